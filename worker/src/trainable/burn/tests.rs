use burn::module::{ModuleVisitor, Param};
use hpo_core::Value;
use hpo_core::job::{Data, Device as Asked, Model, Split};

use super::state::load_best;
use super::*;
use crate::data::tests::{mnist, real_data};

fn params(text: &str) -> Params {
    serde_json::from_str(text).unwrap()
}

fn job(model: Model, data: Data) -> Job {
    let split = Split { train: 0.75, validation: 0.25, test: 0.0 };
    let burn = BurnJob { model, device: Asked::Cpu, data, split, max_resource: Resource(4) };
    let (metric, goal) = ("val_loss".to_owned(), Goal::Minimize);
    Job { trainable: Trainable::Burn(burn), metric, goal, stall_ms: 1000, grace_ms: 1000, seed: Seed(3) }
}

fn glyphs(model: Model) -> Bench {
    Bench::open(&job(model, Data::Glyphs { count: 400, classes: 4, size: 12, noise: 0.2 })).unwrap()
}

fn train(trial: &mut Trial, bench: &Bench, epochs: u32) -> Vec<Metrics> {
    let epoch = |_| match trial.epoch(bench, &mut || false).unwrap() {
        Epoch::Done(metrics) => metrics,
        Epoch::Interrupted => panic!("nobody interrupted"),
    };
    (0..epochs).map(epoch).collect()
}

/// Every parameter and running statistic, as bits.
pub(crate) fn bits(network: &crate::models::Network) -> Vec<Vec<u32>> {
    struct Bits(Vec<Vec<u32>>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().into_data().iter::<f32>().map(f32::to_bits).collect());
        }
    }
    let mut bits = Bits(vec![]);
    network.visit(&mut bits);
    bits.0
}

#[test]
fn twice_as_many_epochs_equal_a_resume_bit_for_bit() {
    let recipes = [
        r#""optimizer": "sgd", "momentum": 0.9, "lr": 0.02, "weight_decay": 0.001, "schedule": "linear""#,
        r#""optimizer": "adam", "lr": 0.002, "weight_decay": 0.0001, "schedule": "cosine", "warmup": 0.5"#,
        r#""optimizer": "adamw", "lr": 0.002, "weight_decay": 0.01, "schedule": "step", "decay": 0.3, "beta2": 0.99"#,
    ];
    let folder = tempfile::tempdir().unwrap();
    for (model, shape) in [
        (Model::Mlp, r#""width": 24, "depth": 2, "dropout": 0.3"#),
        (Model::Cnn, r#""channels": 4, "depth": 2, "width": 16, "dropout": 0.3, "batch_norm": true"#),
        (Model::Cnn, r#""channels": 4, "depth": 1, "width": 16, "dropout": 0.1"#),
    ] {
        let bench = glyphs(model);
        for recipe in recipes {
            // 300 images: the last batch of 44 is left out.
            let params = params(&format!("{{{shape}, {recipe}, \"batch\": 64}}"));
            let mut straight = Trial::begin(&bench, &params, Seed(9)).unwrap();
            let expected = train(&mut straight, &bench, 4);

            let mut first = Trial::begin(&bench, &params, Seed(9)).unwrap();
            let mut reports = train(&mut first, &bench, 2);
            let path = folder.path().join("state");
            first.save(&path).unwrap();
            drop(first);
            drop(seeded(&bench.device, Seed(12345)));
            let mut second = Trial::resume(&bench, &params, Seed(9), Resource(2), &path).unwrap();
            reports.extend(train(&mut second, &bench, 2));

            assert_eq!(bits(&second.state.network), bits(&straight.state.network), "{params:?}");
            for (one, other) in expected.iter().zip(&reports) {
                for (name, _) in &BURN_METRICS[..3] {
                    assert_eq!(one.get(name), other.get(name), "{name} of {params:?}");
                }
            }
            // In place is the same again.
            assert_eq!(train(&mut second, &bench, 1)[0].get("train_loss"), train(&mut straight, &bench, 1)[0].get("train_loss"));
        }
    }
}

#[test]
fn dropout_and_order_change_with_the_epoch_and_the_seed() {
    let bench = glyphs(Model::Mlp);
    let losses = |text: &str, seed| -> Vec<f64> {
        let mut trial = Trial::begin(&bench, &params(text), Seed(seed)).unwrap();
        train(&mut trial, &bench, 2).iter().map(|metrics| metrics.get("train_loss").unwrap()).collect()
    };
    // With (almost) no learning rate only the masks and the rest of the order can make a difference.
    let frozen = losses(r#"{"lr": 1e-8, "dropout": 0.5, "batch": 64}"#, 1);
    assert_ne!(frozen[0], frozen[1]);
    assert_ne!(frozen, losses(r#"{"lr": 1e-8, "dropout": 0.5, "batch": 64}"#, 2));
}

#[test]
fn an_interrupted_epoch_changes_nothing() {
    let bench = glyphs(Model::Cnn);
    let params = params(r#"{"batch_norm": true, "dropout": 0.2, "batch": 32, "channels": 4}"#);
    let mut trial = Trial::begin(&bench, &params, Seed(1)).unwrap();
    train(&mut trial, &bench, 1);
    let before = bits(&trial.state.network);
    let mut steps = 0;
    let interrupted = trial.epoch(&bench, &mut || {
        steps += 1;
        steps > 5
    });
    assert_eq!(interrupted.unwrap(), Epoch::Interrupted);
    assert_eq!((steps, trial.epochs()), (6, Resource(1)));
    assert_eq!(bits(&trial.state.network), before);
    let mut other = Trial::begin(&bench, &params, Seed(1)).unwrap();
    train(&mut other, &bench, 2);
    train(&mut trial, &bench, 1);
    assert_eq!(bits(&trial.state.network), bits(&other.state.network));
}

#[test]
fn the_best_epoch_is_kept_and_exported() {
    let bench = glyphs(Model::Mlp);
    // A rate at which the loss jumps about.
    let params = params(r#"{"optimizer": "sgd", "momentum": 0.0, "lr": 0.7, "batch": 32, "width": 32}"#);
    let folder = tempfile::tempdir().unwrap();
    let mut trial = Trial::begin(&bench, &params, Seed(2)).unwrap();
    let mut seen: Vec<(f64, Vec<Vec<u32>>)> = vec![];
    let mut earlier = 0;
    for epoch in 0..8 {
        let metrics = &train(&mut trial, &bench, 1)[0];
        seen.push((metrics.get("val_loss").unwrap(), bits(&trial.state.network)));
        let best = (0..=epoch).min_by(|&a, &b| seen[a].0.total_cmp(&seen[b].0)).unwrap();
        let path = folder.path().join(epoch.to_string());
        trial.save(&path).unwrap();
        let (spec, network, header) = load_best(&path).unwrap();
        assert_eq!(header.best.epoch, Resource(best as u32 + 1));
        assert_eq!(header.best.metrics.get("val_loss"), Some(seen[best].0));
        assert_eq!((header.now.epoch, header.network), (trial.epochs(), spec));
        assert_eq!(bits(&network), seen[best].1);
        let loss = bench.validation.score(&network).loss;
        assert_eq!(loss, seen[best].0, "what is exported is what was reported");
        earlier += usize::from(best < epoch);
        trial = Trial::resume(&bench, &params, Seed(2), trial.epochs(), &path).unwrap();
    }
    assert!(earlier > 0, "every epoch was the best: nothing was tested");
}

#[test]
fn a_damaged_state_is_refused_wherever_it_is_damaged() {
    let bench = glyphs(Model::Mlp);
    let values = params(r#"{"width": 8}"#);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut trial = Trial::begin(&bench, &values, Seed(2)).unwrap();
    train(&mut trial, &bench, 1);
    trial.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let fault = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        match Trial::resume(&bench, &values, Seed(2), Resource(1), &path).map(drop) {
            Err(ResumeFault::State(fault)) => fault,
            other => panic!("{other:?}"),
        }
    };
    for end in (0..whole.len()).step_by(97).chain([8, 11, 12, 16, 20, whole.len() - 1]) {
        let fault = fault(&whole[..end]);
        assert!(matches!(fault, StateFault::NotState { .. } | StateFault::Damaged { .. }), "{end}: {fault}");
    }
    for at in (12..whole.len()).step_by(89) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert!(matches!(fault(&bytes), StateFault::Damaged { .. }), "byte {at}");
    }
    let newer = [&whole[..8], &2_u32.to_le_bytes(), &whole[12..]].concat();
    assert!(matches!(fault(&newer), StateFault::Version { found: 2, writer, .. } if writer == env!("CARGO_PKG_VERSION")));
    assert!(matches!(fault(&newer[..20]), StateFault::Version { writer, .. } if writer == "of another version"));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(load_best(&path), Err(StateFault::Read { .. })));
}

#[test]
fn the_state_of_another_trial_is_refused() {
    let bench = glyphs(Model::Mlp);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let values = params(r#"{"width": 8}"#);
    let mut trial = Trial::begin(&bench, &values, Seed(2)).unwrap();
    train(&mut trial, &bench, 1);
    trial.save(&path).unwrap();
    let what = |text: &str, seed, epoch| match Trial::resume(&bench, &params(text), Seed(seed), Resource(epoch), &path).map(drop) {
        Err(ResumeFault::State(StateFault::Foreign { what, .. })) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(r#"{"width": 9}"#, 2, 1), "network");
    assert_eq!(what(r#"{"width": 8, "lr": 0.1}"#, 2, 1), "way of training");
    assert_eq!(what(r#"{"width": 8}"#, 3, 1), "seed");
    assert_eq!(what(r#"{"width": 8}"#, 2, 2), "number of epochs");
    let other = Bench::open(&job(Model::Mlp, Data::Glyphs { count: 400, classes: 4, size: 12, noise: 0.3 })).unwrap();
    let fault = Trial::resume(&other, &values, Seed(2), Resource(1), &path).map(drop).unwrap_err();
    assert!(matches!(fault, ResumeFault::State(StateFault::Foreign { what: "data set", .. })), "{fault}");
    let full = folder.path().join("no such folder").join("state");
    assert!(matches!(trial.save(&full), Err(StateFault::Write { .. })));
}

#[test]
fn a_loss_that_is_not_finite_ends_the_trial() {
    let bench = glyphs(Model::Mlp);
    let mut trial = Trial::begin(&bench, &params(r#"{"optimizer": "sgd", "lr": 100, "batch": 8}"#), Seed(2)).unwrap();
    let fault = (0..4).find_map(|_| trial.epoch(&bench, &mut || false).err()).unwrap();
    assert!(!fault.loss.is_finite() && fault.to_string().contains("a smaller `lr` may help"), "{fault}");
}

#[test]
fn parameters_are_checked() {
    let fault = |model, text: &str| recipe::read(model, &params(text), [1, 28, 28], 10, Resource(9)).unwrap_err().to_string();
    assert_eq!(
        fault(Model::Mlp, r#"{"leraning_rate": 1}"#),
        "mlp has no parameter `leraning_rate`; it has width, depth, dropout, optimizer, lr, momentum, beta1, beta2, weight_decay, \
         batch, schedule, decay, warmup, schedule_epochs"
    );
    assert!(fault(Model::Mlp, r#"{"bacth": 1}"#).starts_with("mlp has no parameter `bacth` (did you mean `batch`?); it has"));
    assert!(fault(Model::Mlp, r#"{"channels": 8}"#).starts_with("mlp has no parameter `channels`"));
    assert_eq!(fault(Model::Cnn, r#"{"optimizer": "SGD"}"#), "`optimizer` = SGD is not possible: it takes one of adam, adamw, sgd");
    assert_eq!(fault(Model::Cnn, r#"{"lr": 0}"#), "`lr` = 0 is not possible: it takes a number from 1e-8 to 100.0");
    assert_eq!(
        fault(Model::Cnn, r#"{"optimizer": "adam", "momentum": 0.9}"#),
        "`momentum` means nothing with optimizer = adam; make it conditional in [space]: when = { optimizer = \"sgd\" }"
    );
    assert_eq!(
        fault(Model::Cnn, r#"{"optimizer": "sgd", "beta2": 0.9}"#),
        "`beta2` means nothing with optimizer = sgd; make it conditional in [space]: when = { optimizer = [\"adam\", \"adamw\"] }"
    );
    for model in [Model::Mlp, Model::Cnn] {
        for known in recipe::hyperparameters(model) {
            let text = known.default.parse::<f64>().map_or_else(|_| Value::from(known.default.as_str()), Value::from);
            let value = known.default.parse::<bool>().map_or(text, Value::from);
            let given: Params =
                [("optimizer".to_owned(), "sgd".into()), ("schedule".to_owned(), "step".into()), (known.name.to_owned(), value)].into();
            let given = match known.name {
                "beta1" | "beta2" => given.into_iter().filter(|(name, _)| name != "optimizer").collect(),
                _ => given,
            };
            recipe::read(model, &given, [1, 28, 28], 10, Resource(9)).unwrap_or_else(|fault| panic!("its own default: {fault}"));
        }
    }
}

#[test]
fn learning_rates_follow_their_schedule() {
    let rates = |text: &str| -> Vec<f64> {
        let (_, recipe) = recipe::read(Model::Mlp, &params(text), [1, 8, 8], 2, Resource(6)).unwrap();
        (0..9).map(|epoch| (recipe.learning_rate(epoch * 10, 10) * 1e4).round() / 1e4).collect()
    };
    assert_eq!(rates(r#"{"lr": 1}"#), [1.0; 9]);
    let cosine = [1.0, 0.933, 0.75, 0.5, 0.25, 0.067, 0.0007, 0.0007, 0.0007];
    assert_eq!(rates(r#"{"lr": 1, "schedule": "cosine"}"#), cosine);
    assert_eq!(rates(r#"{"lr": 1, "schedule": "linear", "schedule_epochs": 4}"#)[..5], [1.0, 0.75, 0.5, 0.25, 0.025]);
    assert_eq!(rates(r#"{"lr": 1, "schedule": "step"}"#), [1.0, 1.0, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01]);
    assert_eq!(rates(r#"{"lr": 1, "warmup": 2}"#)[..4], [0.05, 0.55, 1.0, 1.0]);
}

#[test]
fn a_bench_that_cannot_be_opened_says_why() {
    let data = || Data::Glyphs { count: 40, classes: 4, size: 12, noise: 0.2 };
    let mut wrong = job(Model::Mlp, data());
    wrong.metric = "accuracy".to_owned();
    assert_eq!(
        Bench::open(&wrong).map(drop).unwrap_err().to_string(),
        "metric = \"accuracy\" is not reported by built-in models; they report train_loss, val_loss, val_accuracy, seconds, steps_per_second"
    );
    let missing = job(Model::Mlp, Data::Idx { images: "no/images".into(), labels: "no/labels".into() });
    assert!(matches!(Bench::open(&missing).map(drop), Err(BenchFault::Data(DataFault::Open { .. }))));
}

#[test]
fn mnist_is_learned() {
    let Some(folder) = real_data() else { return };
    let mut job = job(Model::Mlp, mnist(&folder));
    if let Trainable::Burn(burn) = &mut job.trainable {
        burn.split = Split { train: 0.8, validation: 0.1, test: 0.1 };
    }
    let bench = Bench::open(&job).unwrap();
    let mut trial = Trial::begin(&bench, &params(r#"{"width": 128, "depth": 1, "lr": 0.002, "batch": 64}"#), Seed(1)).unwrap();
    let accuracy = train(&mut trial, &bench, 2)[1].get("val_accuracy").unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}
