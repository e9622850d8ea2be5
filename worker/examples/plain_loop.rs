//! What the engine costs: one training of a CNN as a loop of plain burn and as a trial of the engine, in turn, on one
//! thread, as a trainer runs:
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p hpo-worker --example plain_loop`
//!
//! Both take the same steps in the same order, evaluate after each epoch, and write their state at the end; the example
//! fails unless both come to the same validation losses, bit for bit. `steps` is the time of the training steps alone,
//! `all` that of everything, and `CPU` the processor's, which other programs on the machine disturb least.
//!
//! Arguments: `--epochs`, `--images`, `--size`, `--batch`, `--channels`, `--rounds` and a number each.
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use hpo_core::job::{BurnJob, Data, Device as Asked, Job, Model, Split, Trainable};
use hpo_core::{Goal, Params, Resource, Seed, Value};
use hpo_worker::data::{self, Dataset, Part};
use hpo_worker::models::{Network, NetworkSpec};
use hpo_worker::trainable::burn::{Bench, Epoch, Trial};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: Seed = Seed(7);

type Fallible<T> = Result<T, Box<dyn Error>>;

/// One of the times of a run.
type Pick = fn(&Run) -> f64;

/// What a run took, in seconds, and where it came to.
#[derive(Clone, Default)]
struct Run {
    /// Training steps, without evaluation.
    steps: f64,
    /// Steps, evaluation and the state's writing.
    all: f64,
    /// The same in processor time, user and system.
    cpu: f64,
    /// After each epoch.
    val_losses: Vec<f64>,
}

/// What both train.
struct Case {
    set: Dataset,
    bench: Bench,
    params: Params,
    batch: usize,
    epochs: u32,
}

fn main() -> Fallible<()> {
    let mut numbers =
        BTreeMap::from([("--epochs", 3), ("--images", 2500), ("--size", 28), ("--batch", 64), ("--channels", 16), ("--rounds", 15)]);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let number = numbers.get_mut(name.as_str()).ok_or_else(|| format!("{name} is none of the arguments at the top of this file"))?;
        *number = arguments.next().ok_or_else(|| format!("{name} needs a number"))?.parse()?;
    }
    let case = Case::new(&numbers)?;
    let steps = (case.set.train.len() / case.batch * case.epochs as usize) as f64;
    println!("{steps} steps of {} images {:?}, {} rounds", case.batch, case.set.card.input, numbers["--rounds"]);
    let mut rounds = vec![];
    for round in 0..=numbers["--rounds"] {
        // Who comes second finds other caches and another frequency than who comes first.
        let (plain, engine) = if round % 2 == 0 {
            let plain = plain(&case)?;
            (plain, engine(&case)?)
        } else {
            let engine = engine(&case)?;
            (self::plain(&case)?, engine)
        };
        if plain.val_losses != engine.val_losses {
            return Err(format!("they are not the same training: {:?} and {:?}", plain.val_losses, engine.val_losses).into());
        }
        // The first round warms up.
        if round > 0 {
            println!("{round:3}  plain {:6.2}, engine {:6.2} steps/s", steps / plain.steps, steps / engine.steps);
            rounds.push((plain, engine));
        }
    }
    let summary: [(&str, Pick); 3] = [("steps", |run| run.steps), ("all", |run| run.all), ("all, CPU", |run| run.cpu)];
    for (what, seconds) in summary {
        let median = |pick: fn(&(Run, Run)) -> &Run| quantile(rounds.iter().map(|round| steps / seconds(pick(round))).collect(), 0.5);
        let cost = |at| quantile(rounds.iter().map(|(plain, engine)| 100.0 * (1.0 - seconds(plain) / seconds(engine))).collect(), at);
        print!("{what:8}  plain {:6.2}, engine {:6.2} steps/s: the engine costs ", median(|round| &round.0), median(|round| &round.1));
        println!("{:.2} % (middle half of the rounds {:.2} to {:.2} %)", cost(0.5), cost(0.25), cost(0.75));
    }
    Ok(())
}

fn quantile(mut values: Vec<f64>, at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((at * (values.len() as f64 - 1.0)).round() as usize).copied().unwrap_or(f64::NAN)
}

impl Case {
    fn new(numbers: &BTreeMap<&str, u32>) -> Fallible<Self> {
        let (epochs, batch) = (numbers["--epochs"], numbers["--batch"]);
        let data = Data::Glyphs { count: numbers["--images"], classes: 10, size: numbers["--size"], noise: 0.2 };
        let split = Split { train: 0.8, validation: 0.1, test: 0.1 };
        let whole = |number: u32| Value::Int(number.into());
        let params = Params::from([("batch".to_owned(), whole(batch)), ("channels".to_owned(), whole(numbers["--channels"]))]);
        let set = data::load(&data, split, SEED)?;
        let burn = BurnJob { model: Model::Cnn, device: Asked::Cpu, data, split, max_resource: Resource(epochs) };
        let (metric, goal) = ("val_loss".to_owned(), Goal::Minimize);
        let job = Job { trainable: Trainable::Burn(burn), metric, goal, stall_ms: 60_000, grace_ms: 10_000, seed: SEED };
        Ok(Self { set, bench: Bench::open(&job)?, params, batch: batch as usize, epochs })
    }
}

/// Both clocks at once.
struct Clock {
    started: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Fallible<Self> {
        Ok(Self { cpu: cpu_seconds()?, started: Instant::now() })
    }

    fn read(&self) -> Fallible<(f64, f64)> {
        Ok((self.started.elapsed().as_secs_f64(), cpu_seconds()? - self.cpu))
    }
}

fn cpu_seconds() -> Fallible<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

/// The loop as anyone would write it.
fn plain(case: &Case) -> Fallible<Run> {
    let folder = tempfile::tempdir()?;
    let Case { set, params, batch, epochs, .. } = case;
    let device = Device::flex().autodiff();
    let spec = NetworkSpec::from_params(Model::Cnn, params, set.card.input, set.card.classes)?;
    let mut network = spec.init(&device, SEED.derive("init", 0));
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let mut run = Run::default();
    let clock = Clock::start()?;
    for epoch in 0..*epochs {
        let started = Instant::now();
        let order = data::permutation(set.train.len(), SEED.derive("order", epoch.into()));
        let mut total = 0.0;
        for members in order.chunks_exact(*batch) {
            let (images, labels) = tensors(&set.train, members, set.card.input, &device);
            let loss = criterion.forward(network.forward(images), labels);
            total += f64::from(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(1e-3, network, gradients);
        }
        run.steps += started.elapsed().as_secs_f64();
        let (val_loss, accuracy) = evaluate(&network.valid(), set);
        tracing::info!(epoch, train_loss = total / (order.len() / batch) as f64, val_loss, accuracy);
        run.val_losses.push(val_loss);
    }
    network.save_file(folder.path().join("network"))?;
    optimizer.save(folder.path().join("optimizer"))?;
    (run.all, run.cpu) = clock.read()?;
    Ok(run)
}

fn tensors(part: &Part, members: &[u32], input: [usize; 3], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let [channels, height, width] = input;
    let size = channels * height * width;
    let mut images = Vec::with_capacity(members.len() * size);
    for &member in members {
        images.extend_from_slice(&part.images[member as usize * size..][..size]);
    }
    let labels: Vec<i32> = members.iter().map(|&member| part.labels[member as usize]).collect();
    let images = Tensor::from_data(TensorData::new(images, [members.len(), channels, height, width]), device);
    (images, Tensor::from_data(TensorData::new(labels, [members.len()]), device))
}

fn evaluate(network: &Network, set: &Dataset) -> (f64, f64) {
    let device = Device::flex();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let (mut loss, mut right) = (0.0, 0);
    let all: Vec<u32> = (0..set.validation.len() as u32).collect();
    for members in all.chunks(128) {
        let (images, labels) = tensors(&set.validation, members, set.card.input, &device);
        let logits = network.forward(images);
        let guesses = logits.clone().argmax(1).reshape([members.len()]);
        right += guesses.equal(labels.clone()).int().sum().into_scalar::<i64>();
        loss += f64::from(criterion.forward(logits, labels).into_scalar::<f32>()) * members.len() as f64;
    }
    (loss / all.len() as f64, right as f64 / all.len() as f64)
}

/// The same as a trial.
fn engine(case: &Case) -> Fallible<Run> {
    let folder = tempfile::tempdir()?;
    let mut trial = Trial::begin(&case.bench, &case.params, SEED)?;
    let mut run = Run::default();
    let clock = Clock::start()?;
    for _ in 0..case.epochs {
        let Epoch::Done(metrics) = trial.epoch(&case.bench, &mut || false)? else { return Err("nobody interrupts it".into()) };
        let figure = |name| metrics.get(name).unwrap_or(f64::NAN);
        run.steps += (case.set.train.len() / case.batch) as f64 / figure("steps_per_second");
        run.val_losses.push(figure("val_loss"));
    }
    trial.save(&folder.path().join("state"))?;
    (run.all, run.cpu) = clock.read()?;
    Ok(run)
}
