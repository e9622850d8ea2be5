use hpo_core::job::{Device as Place, Model, Split};
use hpo_core::{Goal, Millis, Resource, Seed, Value};

use super::*;
use crate::data::read_images;
use crate::onnx::{inspect, predict};
use crate::trainable::burn::{Bench, Trial};

fn job(model: Model, data: Data, split: Split) -> Job {
    Job {
        trainable: Trainable::Burn(BurnJob { model, device: Place::Cpu, data, split, max_resource: Resource(3) }),
        metric: "val_loss".to_owned(),
        goal: Goal::Minimize,
        stall_ms: Millis::default(),
        grace_ms: Millis::default(),
        seed: Seed(11),
    }
}

fn glyphs() -> Data {
    Data::Glyphs { count: 200, classes: 4, size: 12, noise: 0.2 }
}

const SPLIT: Split = Split { train: 0.6, validation: 0.2, test: 0.2 };

/// A trial that has trained, and a folder with its state.
struct Trained {
    folder: tempfile::TempDir,
    job: Job,
    params: Params,
}

impl Trained {
    fn new(model: Model, data: Data, split: Split, params: &[(&str, Value)], epochs: u32) -> Self {
        let (job, folder) = (job(model, data, split), tempfile::tempdir().unwrap());
        let params: Params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let bench = Bench::open(&job).unwrap();
        let mut trial = Trial::begin(&bench, &params, Seed(5)).unwrap();
        for _ in 0..epochs {
            trial.epoch(&bench, &mut || false).unwrap();
        }
        trial.save(&folder.path().join("state")).unwrap();
        Self { folder, job, params }
    }

    fn cnn() -> Self {
        let params =
            [("channels", Value::Int(4)), ("width", Value::Int(16)), ("batch_norm", Value::Bool(true)), ("dropout", Value::Float(0.3))];
        Self::new(Model::Cnn, glyphs(), SPLIT, &params, 2)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn export(&self) -> Result<Exported, ExportFault> {
        export_trial(&ExportRequest {
            job: &self.job,
            params: &self.params,
            state: &self.path("state"),
            out_dir: &self.path("models"),
            sweep: "quickstart",
            sweep_id: "4f3a",
            trial: TrialId(7),
            attempt: Attempt(2),
            code_version: "0.0.0",
            created_unix_ms: 1_795_000_000_000,
        })
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("models")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_trained_network_becomes_a_model_with_a_card() {
    let mlp = [("width", Value::Int(16)), ("depth", Value::Int(1)), ("dropout", Value::Float(0.1))];
    for trained in [Trained::cnn(), Trained::new(Model::Mlp, glyphs(), SPLIT, &mlp, 1)] {
        let exported = trained.export().unwrap();
        assert_eq!(trained.files(), ["trial-7.card.json", "trial-7.onnx"]);
        let card: Card = serde_json::from_slice(&std::fs::read(&exported.card_path).unwrap()).unwrap();
        assert_eq!(card, exported.card);
        assert_eq!(card.id, blake3::hash(&std::fs::read(&exported.model).unwrap()).to_hex().to_string());
        assert_eq!((card.format, card.file.as_str(), &card.refused), (Format::Onnx, "trial-7.onnx", &None));
        assert_eq!(card.data.split, SplitSizes { train: 120, validation: 40, test: 40 });
        assert!(card.metrics.validation.get("val_loss").unwrap().is_finite());
        let parity = card.parity.unwrap();
        assert!(parity.max_abs_diff <= 1e-4 && parity.argmax_agreement == 1.0 && parity.examples == 40, "{parity:?}");
        assert_eq!(parity.batch_sizes, [1, 7, 40]);
        assert_eq!(trained.export().unwrap().card.id, card.id, "the same state gives another model");

        let inspection = inspect(&exported.model).unwrap();
        assert_eq!((&inspection.inputs, &inspection.outputs), (&card.inputs, &card.outputs));
        assert_eq!((inspection.opset, inspection.ir_version, inspection.producer.as_str()), (18, 8, "hpo 0.0.0"));
        let label = |name: &str| inspection.metadata[name].clone();
        assert_eq!((label("sweep"), label("trial"), label("data_hash")), ("quickstart".to_owned(), "7".to_owned(), card.data.hash));
        assert_eq!(serde_json::from_str::<Params>(&label("hyperparameters")).unwrap(), trained.params);
        let weights = inspection.parameters;
        assert!(weights > 1000, "{weights} parameters");
    }
}

#[test]
fn the_test_score_is_the_networks_own() {
    let trained = Trained::cnn();
    let score = trained.export().unwrap().card.metrics.test.unwrap();
    let data = data::load(&glyphs(), SPLIT, trained.job.seed).unwrap();
    let input = data.card.input;
    let (_, network, _) = load_best(&trained.path("state")).unwrap();
    let own = crate::trainable::burn::Examples::new(data.test, input, &Device::flex()).score(&network);
    assert_eq!((score.accuracy, score.examples), (own.accuracy, 40));
    assert!((score.loss - own.loss).abs() < 1e-5, "{score:?} {own:?}");
}

#[test]
fn without_images_to_compare_on_the_state_is_kept_and_labelled() {
    let split = Split { train: 0.99, validation: 0.01, test: 0.0 };
    let data = Data::Glyphs { count: 100, classes: 2, size: 8, noise: 0.1 };
    let trained = Trained::new(Model::Mlp, data, split, &[("width", Value::Int(4))], 1);
    std::fs::create_dir(trained.path("models")).unwrap();
    std::fs::write(trained.path("models/trial-7.onnx"), b"an earlier export").unwrap();
    let fault = trained.export().unwrap_err();
    let ExportFault::Refused { native, card_path, source, .. } = &fault else { panic!("{fault:?}") };
    assert!(matches!(**source, Refusal::Parity(ParityFault::TooFew { held: 1 })), "{source:?}");
    assert_eq!(trained.files(), ["trial-7.native.bin", "trial-7.native.card.json"]);
    assert_eq!(std::fs::read(native).unwrap(), std::fs::read(trained.path("state")).unwrap());
    load_best(native).unwrap();
    let card: Card = serde_json::from_slice(&std::fs::read(card_path).unwrap()).unwrap();
    assert_eq!((card.format, card.parity), (Format::Native, None));
    let why = card.refused.unwrap();
    assert!(why.starts_with("the exported model is not the network: 1 held images are too few"), "{why}");
}

#[test]
fn a_model_with_other_weights_never_gets_its_name() {
    let trained = Trained::cnn();
    let (model, card) = (trained.path("models/trial-7.onnx"), trained.path("models/trial-7.card.json"));
    trained.export().unwrap();
    let bytes = std::fs::read(&model).unwrap();
    let (state, out_dir) = (trained.path("state"), trained.path("models"));
    let request = ExportRequest {
        job: &trained.job,
        params: &trained.params,
        state: &state,
        out_dir: &out_dir,
        sweep: "quickstart",
        sweep_id: "4f3a",
        trial: TrialId(7),
        attempt: Attempt(2),
        code_version: "0.0.0",
        created_unix_ms: 0,
    };
    let subject = Subject::load(&request).unwrap();
    subject.vet(&bytes).unwrap();

    let (mut tampered, _) = decode(&bytes).unwrap();
    let weights = tampered.graph.as_mut().unwrap().initializer.iter_mut().find(|tensor| tensor.name().ends_with("head.weight")).unwrap();
    weights.raw_data.as_mut().unwrap()[3] ^= 0x80; // the sign of one weight
    let refusal = subject.vet(&tampered.encode_to_vec()).err().unwrap();
    assert!(matches!(&refusal, Refusal::Parity(ParityFault::Differs(_))), "{refusal:?}");
    assert!(matches!(subject.vet(&bytes[..bytes.len() / 2]).err().unwrap(), Refusal::Model(_)));

    let fault = keep_native(&request, &subject, refusal).unwrap();
    assert!(matches!(fault, ExportFault::Refused { .. }));
    assert!(!model.exists() && !card.exists(), "{:?}", trained.files());
    trained.export().unwrap();
    assert_eq!(trained.files(), ["trial-7.card.json", "trial-7.onnx"], "the refused one is forgotten once there is a good one");
}

#[test]
fn a_model_that_has_changed_since_its_card_was_written_predicts_nothing() {
    let trained = Trained::cnn();
    let exported = trained.export().unwrap();
    let images = trained.path("row.csv");
    let pixels: usize = exported.card.inputs[0].row().iter().product();
    std::fs::write(&images, vec!["7"; pixels].join(",")).unwrap();
    let before = predict(&exported.model, &images).unwrap();
    let whole = std::fs::read(&exported.model).unwrap();
    let (mut changed, _) = decode(&whole).unwrap();
    let weights = changed.graph.as_mut().unwrap().initializer.iter_mut().find(|tensor| tensor.name().ends_with("head.weight")).unwrap();
    weights.raw_data.as_mut().unwrap()[3] ^= 0x80; // the sign of one weight
    std::fs::write(&exported.model, changed.encode_to_vec()).unwrap();
    let fault = predict(&exported.model, &images).unwrap_err();
    assert!(matches!(&fault, crate::onnx::PredictFault::Changed { expected, .. } if *expected == exported.card.id), "{fault}");
    // A model alone, or renamed, is taken as it is.
    let copy = trained.path("copy.onnx");
    std::fs::write(&copy, whole).unwrap();
    assert_eq!(predict(&copy, &images).unwrap(), before);
}

#[test]
fn other_data_and_damaged_states_are_refused_with_nothing_written() {
    let mut trained = Trained::cnn();
    trained.job.seed = Seed(12);
    assert!(matches!(trained.export().unwrap_err(), ExportFault::OtherData { trial: TrialId(7), .. }));
    let mut state = std::fs::read(trained.path("state")).unwrap();
    let middle = state.len() / 2;
    state[middle] ^= 1;
    std::fs::write(trained.path("state"), state).unwrap();
    assert!(matches!(trained.export().unwrap_err(), ExportFault::State { source: StateFault::Damaged { .. }, .. }));
    assert!(!trained.path("models").exists());
}

/// Real digits: trained for an epoch, exported, and predicted from the file as it was published.
#[test]
fn published_digits_are_recognised() {
    let folder =
        std::env::var_os("HPO_DATA_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let [images, labels] = ["images-idx3", "labels-idx1"].map(|kind| folder.join(format!("mnist-10k/t10k-{kind}-ubyte.gz")));
    if !images.exists() {
        assert!(std::env::var_os("HPO_REQUIRE_DATA").is_none(), "HPO_REQUIRE_DATA is set and {} is missing", images.display());
        eprintln!("SKIPPED: {} is missing; set HPO_DATA_DIR", images.display());
        return;
    }
    let split = Split { train: 0.8, validation: 0.1, test: 0.1 };
    let data = Data::Idx { images: images.clone(), labels };
    let params = [("width", Value::Int(32)), ("depth", Value::Int(1)), ("lr", Value::Float(3e-3))];
    let trained = Trained::new(Model::Mlp, data, split, &params, 1);
    let exported = trained.export().unwrap();
    let score = exported.card.metrics.test.unwrap();
    assert!(score.accuracy > 0.8 && score.examples == 1000, "{score:?}");

    let predictions = predict(&exported.model, &images).unwrap();
    let (pixels, _) = read_images(&images).unwrap();
    let (_, network, header) = load_best(&trained.path("state")).unwrap();
    let rows: Vec<f32> = pixels[..50 * 784].iter().map(|&pixel| header.data.scaling.apply(pixel)).collect();
    let own = network.forward(Tensor::<4>::from_data(TensorData::new(rows, [50, 1, 28, 28]), &Device::flex())).into_data();
    for (prediction, own) in predictions.iter().zip(own.iter::<f32>().collect::<Vec<_>>().chunks(10)) {
        assert_eq!(prediction.class, crate::onnx::logits::argmax(own));
        assert!(prediction.probability > 0.1 && prediction.probability <= 1.0);
    }
    assert_eq!(predictions.len(), 10_000);
}
