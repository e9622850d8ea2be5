mod card;
mod check;
mod parity;
mod predict;
mod proto;
mod runtimes;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use hpo_core::Seed;
use prost::Message;

use super::export;
use super::logits::Logits;
use super::proto::ModelProto;
use crate::models::{Network, NetworkSpec, Shape};

/// [channels, height, width] of every test image here.
const SHAPE: [usize; 3] = [2, 6, 8];
const WIDTH: usize = 2 * 6 * 8;
const CLASSES: usize = 5;

/// Networks that hold between them every layer there is, with random weights and batch norms that have seen data.
fn networks() -> Vec<Network> {
    let shapes = [
        Shape::Mlp { width: 16, depth: 2 },
        Shape::Cnn { channels: 3, depth: 2, width: 12, batch_norm: false },
        Shape::Cnn { channels: 4, depth: 1, width: 16, batch_norm: true },
    ];
    let device = Device::flex();
    let networks = shapes.map(|shape| {
        let network = NetworkSpec { input: SHAPE, classes: CLASSES, dropout: 0.5, shape }.init(&device, Seed(3)).train();
        let [channels, height, width] = SHAPE;
        let seen = TensorData::new(rows(64), [64, channels, height, width]);
        let _ = network.forward(Tensor::from_data(seen, &device.clone().autodiff()));
        network.valid()
    });
    networks.into()
}

/// The one with a batch norm.
fn network() -> Network {
    networks().pop().unwrap()
}

fn logits(network: &Network, rows: &[f32]) -> Logits {
    let [channels, height, width] = SHAPE;
    let data = TensorData::new(rows.to_vec(), [rows.len() / WIDTH, channels, height, width]);
    let logits = network.forward(Tensor::<4>::from_data(data, &Device::flex()));
    Logits::new(logits.into_data().try_to_vec().unwrap(), CLASSES)
}

fn model(network: &Network) -> ModelProto {
    let mut model = export::trace(network, SHAPE).unwrap();
    export::label(&mut model, "0.0.0", BTreeMap::from([("trial".to_owned(), "7".to_owned())]));
    model
}

/// Pixels that are never the same in two rows.
fn rows(count: usize) -> Vec<f32> {
    (0..count * WIDTH).map(|index| ((index * 2_654_435_761) % 1000) as f32 / 250.0 - 2.0).collect()
}

#[test]
fn equal_weights_give_equal_bytes() {
    let network = network();
    assert_eq!(model(&network).encode_to_vec(), model(&network).encode_to_vec(), "the counter of burn-onnx shows");
    let names: Vec<_> = model(&network).graph.unwrap().initializer.iter().map(|tensor| tensor.name().to_owned()).collect();
    for kept in ["conv.weight", "norm.gamma", "norm.running_mean", "hidden.bias", "head.weight"] {
        assert!(names.iter().any(|name| name.ends_with(kept)), "{kept} is not among {names:?}");
    }
}
