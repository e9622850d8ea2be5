use burn::tensor::{Distribution, TensorData};
use hpo_core::Params;
use hpo_core::Value;
use hpo_core::job::Model;

use super::*;

fn params(text: &[(&str, Value)]) -> Params {
    text.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn weights(network: &Network) -> Vec<TensorData> {
    struct Collect(Vec<TensorData>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().into_data());
        }
    }
    let mut collect = Collect(vec![]);
    network.visit(&mut collect);
    collect.0
}

#[test]
fn a_network_has_the_sizes_that_it_is_given() {
    let device = Device::flex();
    let given = params(&[("width", 32.into()), ("depth", 3.into())]);
    let mlp = NetworkSpec::from_params(Model::Mlp, &given, [1, 8, 8], 5).unwrap();
    assert_eq!(mlp.init(&device, Seed(0)).num_params(), (64 * 32 + 32) + 2 * (32 * 32 + 32) + 32 * 5 + 5);

    let given = params(&[("channels", 4.into()), ("depth", 2.into()), ("width", 16.into())]);
    let cnn = NetworkSpec::from_params(Model::Cnn, &given, [3, 9, 14], 5).unwrap();
    // 9x14 is halved to 4x7 and 2x3.
    let expected = (3 * 4 * 9 + 4) + (4 * 8 * 9 + 8) + (8 * 2 * 3 * 16 + 16) + (16 * 5 + 5);
    assert_eq!(cnn.init(&device, Seed(0)).num_params(), expected);
    for spec in [cnn, NetworkSpec { input: [3, 9, 14], ..mlp }] {
        let images = Tensor::random([6, 3, 9, 14], Distribution::Default, &device);
        assert_eq!(spec.init(&device, Seed(0)).forward(images).dims(), [6, 5]);
    }
    let normed = NetworkSpec::from_params(Model::Cnn, &params(&[("batch_norm", true.into())]), [1, 8, 8], 2).unwrap();
    assert!(matches!(normed.init(&device, Seed(0)), Network::Cnn(cnn) if cnn.blocks.iter().all(|block| block.norm.is_some())));
}

#[test]
fn the_same_seed_gives_the_same_network_on_any_thread() {
    let spec = NetworkSpec::from_params(Model::Cnn, &Params::new(), [1, 12, 12], 4).unwrap();
    let here = weights(&spec.init(&Device::flex(), Seed(5)));
    let there: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || weights(&spec.init(&Device::flex(), Seed(5)))))
        .map(|thread| thread.join().unwrap())
        .collect();
    assert!(there.iter().all(|other| *other == here));
    assert_ne!(weights(&spec.init(&Device::flex(), Seed(6))), here);
}

#[test]
fn a_spec_survives_json() {
    for model in [Model::Mlp, Model::Cnn] {
        let spec = NetworkSpec::from_params(model, &params(&[("dropout", 0.1.into())]), [1, 28, 28], 10).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<NetworkSpec>(&text).unwrap(), spec, "{text}");
    }
}

#[test]
fn values_that_make_no_network_are_refused() {
    let fault = |name, value| NetworkSpec::from_params(Model::Cnn, &params(&[(name, value)]), [1, 28, 28], 10).unwrap_err().to_string();
    assert_eq!(fault("width", 0.into()), "`width` = 0 is not possible: it takes a whole number from 1 to 16384");
    assert_eq!(fault("width", 1.5.into()), "`width` = 1.5 is not possible: it takes a whole number from 1 to 16384");
    assert_eq!(fault("dropout", 1.0.into()), "`dropout` = 1.0 is not possible: it takes a number from 0.0 to 0.95");
    assert_eq!(fault("dropout", "much".into()), "`dropout` = much is not possible: it takes a number from 0.0 to 0.95");
    assert_eq!(fault("batch_norm", 1.into()), "`batch_norm` = 1 is not possible: it takes true or false");
    assert_eq!(fault("depth", 5.into()), "`depth` = 5 halves a 28x28 image below one pixel: at most 4 convolutions fit");
}
