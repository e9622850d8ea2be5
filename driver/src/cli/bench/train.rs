//! Steps a second of the very trainer that sweeps use: our own binary as a child, spoken to by its line protocol.
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use hpo_core::job::{Device, Model, Trainable};
use hpo_core::{Params, Value};
use hpo_worker::trainer::protocol::{FromTrainer, PREFIX, Start, ToTrainer};
use serde::{Deserialize, Serialize};

use crate::cli::args::BenchTrain;
use crate::cli::files;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    /// Steps a second over all epochs after the first, which warms caches and compiles kernels; of the first if it is the only one.
    steps_per_second: f64,
    /// From the start of the child to its first step.
    first_step_seconds: f64,
    epochs: Vec<f64>,
    losses: Vec<f64>,
    params: Params,
    device: Device,
    model: Model,
}

pub(super) fn measure(args: &BenchTrain) -> anyhow::Result<Rate> {
    let checked = files::load(&args.sweep)?;
    let mut job = checked.job;
    let Trainable::Burn(burn) = &mut job.trainable else { bail!("`hpo bench train` needs a sweep file with `kind = \"burn\"`") };
    if let Some(model) = &args.model {
        burn.model = word(model).context("--model: mlp or cnn")?;
    }
    if let Some(device) = &args.device {
        burn.device = word(device).context("--device: auto, cpu, cuda or vulkan")?;
    }
    burn.max_resource = hpo_core::Resource(args.epochs);
    let (model, device) = (burn.model, burn.device);
    let folder = tempfile::tempdir()?;
    let job_file = folder.path().join("job.json");
    std::fs::write(&job_file, serde_json::to_vec(&job)?)?;
    let params: Params = args.set.iter().map(|text| assignment(text)).collect::<anyhow::Result<_>>()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["trainer".as_ref(), "--job".as_ref(), job_file.as_os_str()])
        .envs(hpo_worker::trainable::burn::child_environment(device))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let begun = std::time::Instant::now();
    let start = ToTrainer::Start(Start {
        trial: 0,
        attempt: 1,
        params: params.clone(),
        seed: job.seed.0,
        from: 0,
        until: args.epochs,
        checkpoint: None,
        checkpoint_out: folder.path().join("state"),
        in_place: false,
    });
    let mut input = child.stdin.take().context("the child has no standard input")?;
    writeln!(input, "{}", serde_json::to_string(&start)?)?;
    let output = BufReader::new(child.stdout.take().context("the child has no standard output")?);
    let mut rate = Rate { steps_per_second: 0.0, first_step_seconds: 0.0, epochs: vec![], losses: vec![], params, device, model };
    let mut steps = vec![];
    for line in output.lines() {
        let line = line?;
        let Some(said) = line.strip_prefix(PREFIX) else { continue };
        match serde_json::from_str(said)? {
            FromTrainer::Started { .. } => rate.first_step_seconds = begun.elapsed().as_secs_f64(),
            FromTrainer::Report { metrics, .. } => {
                rate.epochs.push(metrics.get("seconds").unwrap_or(f64::NAN));
                rate.losses.push(metrics.get("train_loss").unwrap_or(f64::NAN));
                steps.push(metrics.get("steps_per_second").unwrap_or(f64::NAN));
            }
            FromTrainer::Reached { .. } => break,
            FromTrainer::Failed { message, .. } => bail!("the trainer failed: {message}"),
            _ => {}
        }
    }
    drop(input);
    child.wait()?;
    let counted = if steps.len() > 1 { &steps[1..] } else { &steps[..] };
    // Every epoch has as many steps: the mean rate is the harmonic mean.
    rate.steps_per_second = counted.len() as f64 / counted.iter().map(|rate| 1.0 / rate).sum::<f64>();
    Ok(rate)
}

/// A word as the sweep file writes it.
fn word<T: for<'a> Deserialize<'a>>(text: &str) -> anyhow::Result<T> {
    Ok(serde_json::from_value(serde_json::Value::String(text.to_owned()))?)
}

fn assignment(text: &str) -> anyhow::Result<(String, Value)> {
    let (name, value) = text.split_once('=').with_context(|| format!("--set {text}: write NAME=VALUE"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::Text(value.to_owned()));
    Ok((name.to_owned(), value))
}
