//! What a model file says of itself.
use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use serde::Serialize;

use super::check::{CheckFault, Interface, Port, check};
use super::export::labels;
use super::file::{FileFault, read};
use super::proto::ModelProto;

/// A model as a person wants to know it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// What it takes.
    pub inputs: Vec<Port>,
    /// What it gives.
    pub outputs: Vec<Port>,
    /// Version of ONNX's operators.
    pub opset: i64,
    /// Version of the format.
    pub ir_version: i64,
    /// Who wrote it, with version.
    pub producer: String,
    /// Values of all initializers together.
    pub parameters: u64,
    /// How often each operator is used.
    pub operators: BTreeMap<String, usize>,
    /// Its labels: sweep, trial, hyperparameters, data, normalisation.
    pub metadata: BTreeMap<String, String>,
}

/// A file that is no model of ours.
#[derive(Debug, thiserror::Error)]
pub enum ModelFault {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileFault),
    /// It is no protobuf of a model: another file, or a damaged one.
    #[error("the file is no ONNX model, or is damaged")]
    Decode(#[from] prost::DecodeError),
    /// It is a model, and not one that `hpo` writes.
    #[error("the file is no ONNX model that hpo writes, or is damaged")]
    Check(#[from] CheckFault),
}

/// Decodes and checks a model.
pub(super) fn decode(bytes: &[u8]) -> Result<(ModelProto, Interface), ModelFault> {
    let model = ModelProto::decode(bytes)?;
    let interface = check(&model)?;
    Ok((model, interface))
}

/// Reads a model file, and checks it.
///
/// # Errors
/// If it cannot be read, or is not a model as [`super::check`] wants it.
pub fn inspect(path: &Path) -> Result<Inspection, ModelFault> {
    let (model, Interface { input, output }) = decode(&read(path)?)?;
    let mut operators = BTreeMap::new();
    for node in model.graph.iter().flat_map(|graph| &graph.node) {
        *operators.entry(node.op_type().to_owned()).or_default() += 1;
    }
    // checked above: a shape's product fits
    let size = |dims: &[i64]| dims.iter().map(|&axis| axis.unsigned_abs()).product::<u64>();
    Ok(Inspection {
        inputs: vec![input],
        outputs: vec![output],
        opset: model.opset_import.first().map_or(0, |set| set.version()),
        ir_version: model.ir_version(),
        producer: format!("{} {}", model.producer_name(), model.producer_version()).trim().to_owned(),
        parameters: model.graph.iter().flat_map(|graph| &graph.initializer).map(|tensor| size(&tensor.dims)).sum(),
        operators,
        metadata: labels(&model),
    })
}
