use prost::Message;

use super::{model, network, networks};
use crate::onnx::check::{Axis, CheckFault, check};
use crate::onnx::inspect::{ModelFault, decode};
use crate::onnx::proto::{ModelProto, OperatorSetIdProto, tensor_shape_proto::dimension::Value, type_proto};

/// The fault of a good model after one change.
fn broken(change: impl FnOnce(&mut ModelProto)) -> CheckFault {
    let mut model = model(&network());
    change(&mut model);
    check(&model).unwrap_err()
}

fn first_axis(info: &mut crate::onnx::proto::ValueInfoProto) -> &mut Option<Value> {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_mut().unwrap().value.as_mut() else { panic!("no tensor") };
    &mut tensor.shape.as_mut().unwrap().dim[0].value
}

#[test]
fn an_export_is_sound() {
    for network in networks() {
        let interface = check(&model(&network)).unwrap();
        assert_eq!((interface.input.name.as_str(), interface.output.name.as_str()), ("images", "logits"));
        assert_eq!(interface.input.shape, [Axis::Any("batch".to_owned()), Axis::Size(2), Axis::Size(6), Axis::Size(8)]);
        assert_eq!(interface.output.shape, [Axis::Any("batch".to_owned()), Axis::Size(5)]);
    }
}

#[test]
fn every_flaw_is_found() {
    assert_eq!(broken(|model| model.ir_version = Some(10)), CheckFault::IrVersion { found: 10 });
    assert_eq!(broken(|model| model.opset_import[0].version = Some(21)), CheckFault::Opset { found: "ONNX 21".to_owned() });
    assert_eq!(broken(|model| model.opset_import.clear()), CheckFault::Opset { found: "none".to_owned() });
    let other = OperatorSetIdProto { domain: Some("com.microsoft".to_owned()), version: Some(1) };
    assert_eq!(broken(|model| model.opset_import.push(other)), CheckFault::Opset { found: "ONNX 18, com.microsoft 1".to_owned() });
    assert_eq!(broken(|model| model.graph = None), CheckFault::NoGraph);
}

#[test]
fn every_flaw_of_the_graph_is_found() {
    let graph = |change: fn(&mut crate::onnx::proto::GraphProto)| broken(|model| change(model.graph.as_mut().unwrap()));
    assert!(matches!(graph(|graph| graph.node[0].domain = Some("com.microsoft".to_owned())), CheckFault::Domain { .. }));
    assert!(matches!(graph(|graph| graph.node.swap(0, 1)), CheckFault::Dangling { .. }));
    assert!(matches!(graph(|graph| drop(graph.initializer.remove(0))), CheckFault::Dangling { .. }));
    assert!(matches!(graph(|graph| graph.node[1].name = graph.node[0].name.clone()), CheckFault::Duplicate { what: "node", .. }));
    assert!(matches!(graph(|graph| graph.node[1].output = graph.node[0].output.clone()), CheckFault::Duplicate { what: "value", .. }));
    assert!(matches!(graph(|graph| graph.initializer.push(graph.initializer[0].clone())), CheckFault::Duplicate { what: "value", .. }));
    assert!(matches!(graph(|graph| graph.output[0].name = Some("other".to_owned())), CheckFault::NoOutput { .. }));
    assert!(matches!(graph(|graph| graph.output.push(graph.input[0].clone())), CheckFault::Ports { inputs: 1, outputs: 2 }));
    assert!(matches!(graph(|graph| graph.initializer[0].dims[0] += 1), CheckFault::Size { .. }));
    assert!(matches!(graph(|graph| graph.initializer[0].dims = vec![i64::MAX, i64::MAX]), CheckFault::Size { wanted: u64::MAX, .. }));
    assert!(matches!(graph(|graph| graph.initializer[0].dims = vec![-1, -4]), CheckFault::Size { .. }));
    assert!(matches!(graph(|graph| graph.initializer[0].raw_data = None), CheckFault::Size { found: 0, .. }));
    assert!(matches!(graph(|graph| graph.initializer[0].data_type = Some(10)), CheckFault::ElementType { data_type: 10, .. }));
    let fixed = graph(|graph| *first_axis(&mut graph.input[0]) = Some(Value::DimValue(4)));
    assert_eq!(fixed, CheckFault::Port { name: "images".to_owned() });
    let fixed = graph(|graph| *first_axis(&mut graph.output[0]) = Some(Value::DimValue(4)));
    assert_eq!(fixed, CheckFault::Port { name: "logits".to_owned() });
    let other = graph(|graph| *first_axis(&mut graph.output[0]) = Some(Value::DimParam("rows".to_owned())));
    assert_eq!(other, CheckFault::Batch { input: "batch".to_owned(), output: "rows".to_owned() });
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let mut model = model(&network());
    let whole = model.encode_to_vec();
    decode(&whole).unwrap();
    // the labels come last: without them the graph is whole, and the model is merely anonymous
    model.metadata_props.clear();
    let labels = whole.len() - model.encoded_len();
    for length in (0..whole.len() - labels).step_by(97) {
        let fault = decode(&whole[..length]).expect_err("a part of a model passed");
        assert!(matches!(fault, ModelFault::Decode(_) | ModelFault::Check(_)), "{fault}");
    }
}
