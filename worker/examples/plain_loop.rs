//! Training steps per second of the CNN in a loop of plain burn, and of the same steps as a trial of the engine: what the
//! engine costs. Run both in turn on one thread of a quiet machine, as a trainer runs:
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p hpo-worker --example plain_loop -- --epochs 4`
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
use hpo_worker::data::{self, Dataset};
use hpo_worker::models::NetworkSpec;
use hpo_worker::trainable::burn::{Bench, Trial};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: Seed = Seed(7);

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers =
        BTreeMap::from([("--epochs", 3), ("--images", 2500), ("--size", 28), ("--batch", 64), ("--channels", 16), ("--rounds", 5)]);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let number = numbers.get_mut(name.as_str()).ok_or_else(|| format!("{name} is none of the arguments at the top of this file"))?;
        *number = arguments.next().ok_or_else(|| format!("{name} needs a number"))?.parse()?;
    }
    let (epochs, batch) = (numbers["--epochs"], numbers["--batch"] as usize);
    let data = Data::Glyphs { count: numbers["--images"], classes: 10, size: numbers["--size"], noise: 0.2 };
    let split = Split { train: 0.8, validation: 0.1, test: 0.1 };
    let params =
        Params::from([("batch".to_owned(), Value::Int(batch as i64)), ("channels".to_owned(), Value::Int(numbers["--channels"].into()))]);
    let set = data::load(&data, split, SEED)?;
    let steps = set.train.len() / batch * epochs as usize;
    let job = Job {
        trainable: Trainable::Burn(BurnJob { model: Model::Cnn, device: Asked::Cpu, data, split, max_resource: Resource(epochs) }),
        metric: "val_loss".to_owned(),
        goal: Goal::Minimize,
        stall_ms: 60_000,
        grace_ms: 10_000,
        seed: SEED,
    };
    println!("{steps} steps of {batch} images {:?}, {} rounds each", set.card.input, numbers["--rounds"]);
    let (mut plain_rates, mut engine_rates) = (vec![], vec![]);
    for _ in 0..numbers["--rounds"] {
        plain_rates.push(steps as f64 / plain(&set, &params, batch, epochs)?);
        engine_rates.push(steps as f64 / engine(&job, &params, epochs)?);
        println!("plain {:8.2} steps/s, engine {:8.2} steps/s", plain_rates[plain_rates.len() - 1], engine_rates[engine_rates.len() - 1]);
    }
    let (plain, engine) = (median(plain_rates), median(engine_rates));
    println!("medians: plain {plain:.2}, engine {engine:.2}: the engine costs {:.1} %", 100.0 * (1.0 - engine / plain));
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds of the loop as anyone would write it, evaluation after each epoch included.
fn plain(set: &Dataset, params: &Params, batch: usize, epochs: u32) -> Result<f64, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let [channels, height, width] = set.card.input;
    let spec = NetworkSpec::from_params(Model::Cnn, params, set.card.input, set.card.classes)?;
    let mut network = spec.init(&device, SEED);
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let size = channels * height * width;
    let tensors = |part: &data::Part, members: &[u32], device: &Device| -> (Tensor<4>, Tensor<1, Int>) {
        let mut images = Vec::with_capacity(members.len() * size);
        for &member in members {
            images.extend_from_slice(&part.images[member as usize * size..][..size]);
        }
        let labels: Vec<i32> = members.iter().map(|&member| part.labels[member as usize]).collect();
        let images = Tensor::from_data(TensorData::new(images, [members.len(), channels, height, width]), device);
        (images, Tensor::from_data(TensorData::new(labels, [members.len()]), device))
    };
    let order: Vec<u32> = (0..set.train.len() as u32).collect();
    let validation: Vec<u32> = (0..set.validation.len() as u32).collect();
    let started = Instant::now();
    for epoch in 0..epochs {
        let mut total = 0.0;
        for members in order.chunks_exact(batch) {
            let (images, labels) = tensors(&set.train, members, &device);
            let loss = criterion.forward(network.forward(images), labels);
            total += f64::from(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(1e-3, network, gradients);
        }
        let (valid, mut right) = (network.valid(), 0);
        for members in validation.chunks(128) {
            let (images, labels) = tensors(&set.validation, members, &Device::flex());
            let guesses = valid.forward(images).argmax(1).reshape([members.len()]);
            right += guesses.equal(labels).int().sum().into_scalar::<i64>();
        }
        eprintln!("  epoch {epoch}: loss {total:.3}, {right} right");
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds of the same epochs as a trial, with its state written at the end.
fn engine(job: &Job, params: &Params, epochs: u32) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let bench = Bench::open(job)?;
    let mut trial = Trial::begin(&bench, params, SEED)?;
    let started = Instant::now();
    for _ in 0..epochs {
        trial.epoch(&bench, &mut || false)?;
    }
    trial.save(&folder.path().join("state"))?;
    Ok(started.elapsed().as_secs_f64())
}
