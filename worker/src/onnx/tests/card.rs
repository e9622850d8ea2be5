use hpo_core::{Attempt, Metrics, Params, Resource, TrialId, Value};

use crate::data::Scaling;
use crate::onnx::card::{Card, CardData, Figures, Format, Origin, SplitSizes, VERSION, utc};
use crate::onnx::check::{Axis, Port};
use crate::onnx::logits::Score;
use crate::onnx::runtime::RuntimeId;
use crate::onnx::verify::Parity;

fn port(name: &str, row: &[u64]) -> Port {
    let batch = std::iter::once(Axis::Any("batch".to_owned()));
    Port { name: name.to_owned(), dtype: "f32".to_owned(), shape: batch.chain(row.iter().copied().map(Axis::Size)).collect() }
}

fn card() -> Card {
    Card {
        card: VERSION,
        format: Format::Onnx,
        file: "trial-7.onnx".to_owned(),
        id: "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".to_owned(),
        refused: None,
        origin: Origin {
            sweep: "mnist".to_owned(),
            sweep_id: "4f3a".to_owned(),
            trial: TrialId(7),
            attempt: Attempt(2),
            epoch: Resource(9),
        },
        hyperparameters: Params::from([
            ("dropout".to_owned(), Value::Float(0.25)),
            ("optimizer".to_owned(), Value::from("adam")),
            ("width".to_owned(), Value::Int(32)),
        ]),
        metrics: Figures {
            validation: Metrics::from_iter([("accuracy".to_owned(), 0.98), ("validation_loss".to_owned(), 0.0625)]),
            test: Some(Score { loss: 0.07, accuracy: 0.975, examples: 1000 }),
        },
        parity: Some(Parity {
            max_abs_diff: 2.5e-6,
            argmax_agreement: 1.0,
            examples: 1000,
            batch_sizes: vec![1, 7, 256],
            runtime: RuntimeId { name: "tract".to_owned(), version: "0.5.0+0.23".to_owned() },
        }),
        data: CardData {
            kind: "idx".to_owned(),
            hash: "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100".to_owned(),
            split: SplitSizes { train: 8000, validation: 1000, test: 1000 },
            normalisation: Scaling { mean: 0.125, sd: 0.3125 },
        },
        inputs: vec![port("images", &[1, 28, 28])],
        outputs: vec![port("logits", &[10])],
        code_version: "0.1.0".to_owned(),
        created: utc(1_795_000_000_123),
    }
}

/// Cards of version 1 are read for ever: this file is never changed, new fields get a file of their own.
#[test]
fn the_card_is_written_as_promised_and_read_back() {
    let fixture = include_str!("card-1.json");
    let mut text = serde_json::to_string_pretty(&card()).unwrap();
    text.push('\n');
    assert_eq!(text, fixture);
    assert_eq!(serde_json::from_str::<Card>(fixture).unwrap(), card());
}

#[test]
fn a_native_card_says_why() {
    let refused = Some("the network cannot be written as ONNX".to_owned());
    let native = Card { format: Format::Native, refused, parity: None, inputs: vec![], outputs: vec![], ..card() };
    let text = serde_json::to_string(&native).unwrap();
    assert!(text.contains(r#""format":"native""#) && text.contains(r#""refused":"the network"#), "{text}");
    assert!(!text.contains("parity"), "{text}");
    assert_eq!(serde_json::from_str::<Card>(&text).unwrap(), native);
}

#[test]
fn moments_are_utc() {
    assert_eq!(utc(0), "1970-01-01T00:00:00Z");
    assert_eq!(utc(1_795_000_000_999), "2026-11-18T11:06:40Z");
    assert_eq!(utc(u64::MAX), "9999-12-31T23:59:59Z");
}
