use burn::module::Module;
use prost::Message;

use super::{CLASSES, WIDTH, logits, model, network, networks, rows};
use crate::onnx::logits::Logits;
use crate::onnx::runtime::Session;
use crate::onnx::verify::{ParityFault, parity};

#[test]
fn an_export_says_what_the_network_says_at_every_batch_size() {
    for network in networks() {
        let rows = rows(300);
        let mut session = Session::open(&model(&network).encode_to_vec()).unwrap();
        let parity = parity(&mut session, &rows, &logits(&network, &rows)).unwrap();
        assert_eq!((parity.argmax_agreement, parity.examples), (1.0, 300));
        assert_eq!(parity.batch_sizes, [1, 7, 256]);
        if let Ok(expected) = std::env::var(super::runtimes::EXPECTED) {
            assert_eq!(parity.runtime.name, expected);
        }
        assert!(parity.max_abs_diff < 1e-5, "{parity:?}");
        assert_eq!(session.input(), ("images", vec![-1, 2, 6, 8]));
        assert_eq!(session.output(), ("logits", vec![-1, 5]));
    }
}

#[test]
fn a_tampered_weight_is_refused() {
    let network = network();
    let rows = rows(20);
    let mut model = model(&network);
    let weights = model.graph.as_mut().unwrap().initializer.iter_mut().find(|tensor| tensor.name().ends_with("head.bias")).unwrap();
    let bytes = weights.raw_data.as_mut().unwrap();
    let value = f32::from_le_bytes(bytes[..4].try_into().unwrap()) + 2e-4;
    bytes[..4].copy_from_slice(&value.to_le_bytes());
    let mut session = Session::open(&model.encode_to_vec()).unwrap();
    let fault = parity(&mut session, &rows, &logits(&network, &rows)).unwrap_err();
    let ParityFault::Differs(found) = fault else { panic!("{fault}") };
    assert!((found.max_abs_diff - 2e-4).abs() < 2e-5, "{found:?}");
}

#[test]
fn what_is_no_number_or_no_row_for_a_row_is_refused() {
    let network = network();
    let rows = rows(4);
    let mut session = Session::open(&model(&network).encode_to_vec()).unwrap();
    let good = logits(&network, &rows);
    let with = |change: &dyn Fn(&mut Vec<f32>)| {
        let mut values = good.values().to_vec();
        change(&mut values);
        Logits::new(values, CLASSES)
    };
    let no_number = with(&|values| values[7] = f32::NAN);
    assert!(matches!(parity(&mut session, &rows, &no_number), Err(ParityFault::Differs(found)) if found.max_abs_diff == f64::INFINITY));
    let short = with(&|values| values.truncate(CLASSES));
    assert!(matches!(parity(&mut session, &rows[..WIDTH], &short), Err(ParityFault::TooFew { held: 1 })));
    let wide = Logits::new(good.values().to_vec(), CLASSES * 2);
    assert!(matches!(parity(&mut session, &rows[..2 * WIDTH], &wide), Err(ParityFault::Shape { .. })));
}

#[test]
fn a_tie_that_falls_the_other_way_is_refused() {
    let network = network();
    // every logit zero: the model says class 0; a network that says class 1 by 1e-5 is within the tolerance, and another answer
    let network = network.map(&mut Zero);
    let rows = rows(3);
    let mut session = Session::open(&model(&network).encode_to_vec()).unwrap();
    let mut values = logits(&network, &rows).values().to_vec();
    assert!(values.iter().all(|value| *value == 0.0));
    values[1] = 1e-5;
    let fault = parity(&mut session, &rows, &Logits::new(values, CLASSES)).unwrap_err();
    let ParityFault::Disagrees(found) = &fault else { panic!("{fault}") };
    assert!((found.argmax_agreement - 2.0 / 3.0).abs() < 1e-12);
    assert!(fault.to_string().contains("66.67 % of 3 images"), "{fault}");
}

struct Zero;

impl burn::module::ModuleMapper for Zero {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<burn::tensor::Tensor<D>>,
    ) -> burn::module::Param<burn::tensor::Tensor<D>> {
        param.map(|tensor| tensor.zeros_like())
    }
}
