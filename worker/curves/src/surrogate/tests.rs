use std::collections::BTreeMap;
use std::path::PathBuf;

use hpo_core::Value;
use hpo_tests::Scratch;

use super::*;

/// Epoch, and what ONNX Runtime 1.31.1 gives there: seconds, accuracy, cross-entropy and balanced accuracy on validation
/// data, the last two on test data.
type Reference = (u32, [f64; 6]);

/// Task, the values of [`INPUTS`] after the first, and references.
const REFERENCES: [(&str, [f64; 7], [Reference; 2]); 4] = [
    (
        "3945",
        [91.0, 0.0031622777, 0.545, 0.050005, 3.0, 256.0, 0.5],
        [
            (1, [15.923601, 38.19505, 0.6803293, 0.4542263, 0.68519986, 0.4578325]),
            (52, [165.68974, 93.39881, 0.3800975, 0.6844975, 0.5414951, 0.67015153]),
        ],
    ),
    (
        "167168",
        [16.0, 0.0001, 0.1, 1e-5, 1.0, 64.0, 0.0],
        [
            (3, [4.3425236, 42.605106, 1.2729967, 0.40126866, 1.418274, 0.4030121]),
            (52, [23.731243, 43.583855, 1.289438, 0.42425284, 1.4348993, 0.41688508]),
        ],
    ),
    (
        "189354",
        [512.0, 0.1, 0.99, 0.1, 5.0, 1024.0, 1.0],
        [
            (27, [2763.1018, 59.03276, 0.5057933, 0.6388243, 0.6422671, 0.6197853]),
            (52, [4982.297, 65.82805, 0.52266014, 0.6506057, 0.635597, 0.6292706]),
        ],
    ),
    (
        "126026",
        [64.0, 0.01, 0.9, 0.001, 2.0, 128.0, 0.25],
        [
            (1, [7.3741026, 49.26937, 0.5679059, 0.5557691, 0.65842885, 0.57211107]),
            (3, [5.35212, 95.85802, 0.14512275, 0.9457053, 0.38085824, 0.94201475]),
        ],
    ),
];

const INPUTS: [&str; 8] = ["epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"];
const OUTPUTS: [&str; 6] =
    ["time", "val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_cross_entropy", "test_balanced_accuracy"];

/// How far tract may be from ONNX Runtime. An output is a sigmoid times its largest value, which for time is 46,791 s;
/// tract's sigmoid is good to about 1e-7.
const TOLERANCES: [f64; 6] = [0.02, 1e-3, 1e-5, 1e-5, 1e-5, 1e-5];

fn lcbench(task: &str) -> Option<SurrogateJob> {
    let model = hpo_tests::data("lcbench-surrogate/model.onnx")?;
    Some(SurrogateJob {
        encoding: Some(model.with_file_name("encoding.json")),
        model,
        categorical: vec!["OpenML_task_id".to_owned()],
        continuous: INPUTS.map(str::to_owned).to_vec(),
        fixed: [("OpenML_task_id".to_owned(), task.into())].into(),
        fidelity: "epoch".to_owned(),
        fidelity_step: 1.0,
        outputs: OUTPUTS.map(str::to_owned).to_vec(),
        metric: "val_accuracy".to_owned(),
        test: Some("test_balanced_accuracy".to_owned()),
        cost: Some("time".to_owned()),
        noise: 0.0,
        failure_rate: 0.0,
    })
}

fn params(values: &[f64; 7]) -> Params {
    INPUTS[1..].iter().zip(values).map(|(name, value)| ((*name).to_owned(), Value::Float(*value))).collect()
}

fn close(found: f64, wanted: f64, tolerance: f64) -> bool {
    (found - wanted).abs() <= tolerance
}

#[test]
fn curves_of_lcbench_are_those_of_onnx_runtime() {
    for (task, values, references) in REFERENCES {
        let Some(job) = lcbench(task) else { return };
        let surrogate = Surrogate::open(&job, Resource(52), "score").unwrap();
        let curve = surrogate.curve(&params(&values), Seed(0)).unwrap();
        for (epoch, wanted) in references {
            let metrics = surrogate.metrics(&curve, Resource(epoch)).unwrap();
            for ((name, wanted), tolerance) in OUTPUTS.iter().zip(wanted).zip(TOLERANCES) {
                assert!(close(metrics.get(name).unwrap(), wanted, tolerance), "{task} {epoch} {name}: {metrics:?}");
            }
            let point = curve.at(Resource(epoch)).unwrap();
            assert!(close(point.metric, wanted[1], TOLERANCES[1]) && close(point.test.unwrap(), wanted[5], TOLERANCES[5]), "{point:?}");
            assert_eq!(metrics.get("score"), Some(point.metric), "the sweep's own name");
        }
        let total = surrogate.metrics(&curve, Resource(52)).unwrap().get("time").unwrap();
        assert!(close(curve.seconds(Resource(13)), total / 4.0, 1e-9), "each epoch takes an equal part of the whole");
        assert!(curve.at(Resource(53)).is_err());
    }
}

/// The figures are those of `benches/peers/problem.py`, so that other tools meet the same luck.
#[test]
fn chance_is_on_the_metric_alone_and_follows_the_trials_seed() {
    let Some(job) = lcbench("3945") else { return };
    let job = SurrogateJob { noise: 2.0, failure_rate: 0.25, test: Some(job.metric.clone()), ..job };
    let surrogate = Surrogate::open(&job, Resource(52), "score").unwrap();
    let curve = |trial| surrogate.curve(&params(&REFERENCES[0].1), Seed(7).derive("train", trial)).unwrap();
    let seen = curve(0).at(Resource(3)).unwrap();
    let metrics = surrogate.metrics(&curve(0), Resource(3)).unwrap();
    assert_eq!((metrics.get("score"), metrics.get("val_accuracy")), (Some(seen.metric), seen.test), "the prediction stays");
    assert!(close(seen.metric - seen.test.unwrap(), -1.014_693_176_638_498_4, 1e-9), "{seen:?}");
    assert_eq!(seen, curve(0).at(Resource(3)).unwrap(), "every attempt sees the same");
    let failing: Vec<(u64, u32)> = (0..12).filter_map(|trial| Some((trial, curve(trial).fails_in()?.0))).collect();
    assert_eq!(failing, [(4, 40), (7, 40)]);
    let stop = curve(4).at(Resource(40)).unwrap_err();
    assert_eq!(stop, Stop::Fails { unit: Resource(40), kind: hpo_core::sweep::event::FailureKind::NotFinite });
    assert!(curve(4).at(Resource(39)).is_ok());
}

#[test]
fn threads_share_a_surrogate_and_a_curve_is_predicted_once() {
    let Some(job) = lcbench("3945") else { return };
    let surrogate = Surrogate::open(&job, Resource(52), "val_accuracy").unwrap();
    let point = |trial: u64| params(&[16.0 + trial as f64, 0.01, 0.5, 0.01, 2.0, 100.0, 0.5]);
    let metric = |source: &Surrogate, trial| source.curve(&point(trial), Seed(trial)).unwrap().at(Resource(9)).unwrap().metric;
    let one: Vec<f64> = (0..12).map(|trial| metric(&surrogate, trial)).collect();
    let fresh = Surrogate::open(&job, Resource(52), "val_accuracy").unwrap();
    let many: Vec<f64> = std::thread::scope(|scope| {
        let (metric, fresh) = (&metric, &fresh);
        let threads: Vec<_> = (0..12).map(|trial| scope.spawn(move || metric(fresh, trial))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(one, many);
    let (first, again) = (surrogate.predict(&point(0)).unwrap(), surrogate.predict(&point(0)).unwrap());
    assert!(Arc::ptr_eq(&first, &again));
}

#[test]
fn what_a_job_names_must_be_there() {
    let Some(job) = lcbench("3945") else { return };
    let no = |change: &dyn Fn(&mut SurrogateJob)| {
        let mut job = job.clone();
        change(&mut job);
        let said = Surrogate::open(&job, Resource(52), "loss").err().unwrap().to_string();
        said.replace(&*job.model.with_file_name("").to_string_lossy(), "")
    };
    let folder = Scratch::new();
    let text = folder.path().join("text");
    std::fs::write(&text, "{\"OpenML_task_id\": 3}").unwrap();
    let said = [
        no(&|job| job.metric = "accuracy".to_owned()),
        no(&|job| job.fidelity = "epochs".to_owned()),
        no(&|job| job.encoding = None),
        no(&|job| _ = job.fixed.insert("OpenML_task_id".to_owned(), "1".into())),
        no(&|job| _ = job.fixed.insert("epoch".to_owned(), 3_i64.into())),
        no(&|job| _ = job.fixed.insert("colour".to_owned(), 3_i64.into())),
        no(&|job| _ = job.fixed.insert("momentum".to_owned(), "high".into())),
        no(&|job| _ = job.continuous.pop()),
        no(&|job| _ = job.outputs.pop().and(job.test.take())),
        no(&|job| job.model = job.model.with_file_name("none.onnx")),
        no(&|job| job.model = job.model.with_file_name("encoding.json")),
    ];
    let expected = [
        "`accuracy` is not among the `outputs`, which are time, val_accuracy, val_cross_entropy, val_balanced_accuracy, test_cross_entropy, test_balanced_accuracy",
        "fidelity = \"epochs\" is not among the `continuous` inputs",
        "`encoding` says nothing about the categorical input `OpenML_task_id`",
        "the input `OpenML_task_id` cannot be 1, which is not a word of its encoding",
        "`epoch` is a parameter of the space and also `fixed` or the `fidelity`; it can be one of them",
        "the surrogate has no input `colour`; name it in `categorical` or `continuous`, or remove it",
        "the input `momentum` cannot be high, which is not a number",
        "`model.onnx` must take i32 [n, 1] and f32 [n, 7] and give f32 [n, 6], as named in the sweep file; it is i32 [-1, 1], f32 [-1, 8] -> f32 [-1, 6]",
        "`model.onnx` must take i32 [n, 1] and f32 [n, 8] and give f32 [n, 5], as named in the sweep file; it is i32 [-1, 1], f32 [-1, 8] -> f32 [-1, 6]",
        "`none.onnx` cannot be read",
        "`encoding.json` cannot be used",
    ];
    assert_eq!(said, expected);
    let wrong = SurrogateJob { encoding: Some(text), ..job };
    let said = Surrogate::open(&wrong, Resource(52), "loss").err().unwrap().to_string();
    assert!(said.ends_with("is no encoding: it must hold, for each categorical input, an object of words and whole numbers"), "{said}");
}

/// An encoder of two words and three numbers, with conditions as the spaces of rbv2 have them.
fn encoder(folder: &Scratch) -> Encoder {
    let encoding = folder.path().join("encoding.json");
    std::fs::write(&encoding, r##"{"kernel": {"#na#": 0, "linear": 1, "radial": 2}, "shrink": {"FALSE": 0, "TRUE": 1}}"##).unwrap();
    let job = SurrogateJob {
        model: PathBuf::new(),
        encoding: Some(encoding),
        categorical: vec!["kernel".to_owned(), "shrink".to_owned()],
        continuous: vec!["cost".to_owned(), "trainsize".to_owned(), "gamma".to_owned()],
        fixed: BTreeMap::from([("cost".to_owned(), Value::Int(3))]),
        fidelity: "trainsize".to_owned(),
        fidelity_step: 0.05,
        outputs: vec![],
        metric: String::new(),
        test: None,
        cost: None,
        noise: 0.0,
        failure_rate: 0.0,
    };
    Encoder::open(&job).unwrap()
}

fn named<const N: usize>(values: [(&str, Value); N]) -> Params {
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn missing_inputs_are_zero_or_their_own_word_and_the_fidelity_has_a_step() {
    let encoder = encoder(&Scratch::new());
    let input = encoder.encode(&named([("shrink", true.into())])).unwrap();
    let rows = encoder.rows(&input, Resource(3));
    assert_eq!((rows.count, rows.categorical), (3, vec![0, 1, 0, 1, 0, 1]));
    assert_eq!(rows.continuous, [3.0, 0.05, 0.0, 3.0, 0.1, 0.0, 3.0, 0.15, 0.0]);
    let input = encoder.encode(&named([("shrink", false.into()), ("kernel", "radial".into()), ("gamma", 0.5.into())])).unwrap();
    let rows = encoder.rows(&input, Resource(1));
    assert_eq!((rows.categorical, rows.continuous), (vec![2, 0], vec![3.0, 0.05, 0.5]));
}

#[test]
fn parameters_that_are_no_input_are_explained() {
    let encoder = encoder(&Scratch::new());
    let no = |params: Params| encoder.encode(&params).unwrap_err().to_string();
    let said = [
        no(Params::new()),
        no(named([("shrink", true.into()), ("kernel", "poly".into())])),
        no(named([("shrink", true.into()), ("cost", 1.0.into())])),
        no(named([("shrink", true.into()), ("trainsize", 1.0.into())])),
        no(named([("shrink", true.into()), ("depth", 1_i64.into())])),
    ];
    let expected = [
        "the input `shrink` has no value, and its encoding no `#na#`; make it a parameter or give it in `fixed`",
        "the input `kernel` cannot be poly, which is not a word of its encoding",
        "`cost` is a parameter of the space and also `fixed` or the `fidelity`; it can be one of them",
        "`trainsize` is a parameter of the space and also `fixed` or the `fidelity`; it can be one of them",
        "the surrogate has no input `depth`; name it in `categorical` or `continuous`, or remove it",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_training_without_end_is_refused_before_it_is_predicted() {
    let Some(job) = lcbench("3945") else { return };
    let said = Surrogate::open(&job, Resource(LONGEST.0 + 1), "loss").err().unwrap().to_string();
    assert!(said.contains("more than a surrogate can predict at once: at most 100000"), "{said}");
}
