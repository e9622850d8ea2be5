//! From a network to an ONNX model: burn-onnx traces the forward pass, and what it writes is then named and labelled.
//!
//! The bytes depend on the weights and labels alone: burn-onnx names values by a counter that runs through the process,
//! so they are named anew, and sorted.
use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_onnx::export::{AxisSpec, ExportError, InputSpec, OnnxExporter};
use prost::Message;

use super::proto::{GraphProto, ModelProto, StringStringEntryProto};
use super::{BATCH, INPUT, OUTPUT};
use crate::models::Network;

/// Written as the model's producer.
pub const PRODUCER: &str = "hpo";

/// A network that could not be written as ONNX.
#[derive(Debug, thiserror::Error)]
pub enum TraceFault {
    /// burn-onnx has no ONNX for it.
    #[error("the network cannot be written as ONNX")]
    Export(#[from] ExportError),
    /// burn-onnx wrote what is no ONNX model.
    #[error("the exported network is no ONNX model")]
    Decode(#[from] prost::DecodeError),
}

/// Traces the forward pass on images of [channels, height, width], with a batch of any size. Its parameters must have
/// been drawn: burn-onnx would draw them where no other device can read them.
///
/// # Errors
/// If an operation of the network has no counterpart, or does something to the batch axis that ONNX cannot follow.
pub fn trace(network: &Network, [channels, height, width]: [usize; 3]) -> Result<ModelProto, TraceFault> {
    // A clone shares the statistics of batch norms, and burn-onnx would take them along to the device that it traces on.
    // What `valid` gives shares nothing, and records no gradients.
    let network = network.valid();
    // The batch is what differs between two traces; 1 would look like an axis to broadcast.
    let images = |batch: usize| Tensor::<4>::zeros([batch, channels, height, width], &Device::flex());
    let axes = [InputSpec::new([AxisSpec::dynamic(BATCH), AxisSpec::Static, AxisSpec::Static, AxisSpec::Static])];
    let model = OnnxExporter::new().export_dynamic(&network, images(2), images(5), &axes, Network::forward)?;
    let mut model = ModelProto::decode(model.as_bytes())?;
    if let Some(graph) = &mut model.graph {
        rename(graph);
    }
    Ok(model)
}

/// Adds who wrote it and what it should be known by. Keys are sorted.
pub fn label(model: &mut ModelProto, code_version: &str, labels: BTreeMap<String, String>) {
    model.producer_name = Some(PRODUCER.to_owned());
    model.producer_version = Some(code_version.to_owned());
    model.metadata_props = labels.into_iter().map(|(key, value)| StringStringEntryProto { key: Some(key), value: Some(value) }).collect();
}

/// The labels of a model, by key.
#[must_use]
pub fn labels(model: &ModelProto) -> BTreeMap<String, String> {
    model.metadata_props.iter().map(|entry| (entry.key().to_owned(), entry.value().to_owned())).collect()
}

/// Gives the input and output their names, and numbers what burn-onnx named by its counter in the order of first use.
/// Parameters keep theirs (`conv1.weight`).
fn rename(graph: &mut GraphProto) {
    let mut names = BTreeMap::new();
    names.extend(graph.input.first().map(|input| (input.name().to_owned(), INPUT.to_owned())));
    names.extend(graph.output.first().map(|output| (output.name().to_owned(), OUTPUT.to_owned())));
    for name in graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output)) {
        if name.strip_prefix("tensor_").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
            let number = names.len();
            names.entry(name.clone()).or_insert_with(|| format!("value_{number}"));
        }
    }
    let rename = |name: &mut String| {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    };
    let ports = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    ports.filter_map(|port| port.name.as_mut()).for_each(rename);
    graph.initializer.iter_mut().filter_map(|tensor| tensor.name.as_mut()).for_each(rename);
    graph.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output)).for_each(rename);
    graph.initializer.sort_by(|a, b| a.name.cmp(&b.name));
    graph.name = Some(PRODUCER.to_owned());
}
