//! `hpo bench`: what the engine costs on this machine. Never a timed test: machines differ.
mod apply;
mod driven;
mod grpc;
mod history;
mod recover;
mod suggest;
mod talk;
#[cfg(feature = "burn")]
mod train;

use serde::Serialize;

use super::args::{Bench, Manners};
use super::exit::{Exit, OrExit, Outcome};

pub(super) fn run(bench: &Bench, manners: Manners) -> Outcome {
    match bench {
        Bench::Apply { trials } => {
            for &trials in trials {
                let rate = apply::measure(trials).or_exit(Exit::NoResult)?;
                say(&rate, manners).or_exit(Exit::NoResult)?;
            }
        }
        Bench::Grpc(args) => {
            for &workers in &args.workers {
                let rate = grpc::measure(args, workers).or_exit(Exit::NoResult)?;
                say(&rate, manners).or_exit(Exit::NoResult)?;
            }
        }
        Bench::Recover(args) => {
            for &events in &args.events {
                recover::measure(args, events, |took| say(took, manners)).or_exit(Exit::NoResult)?;
            }
        }
        Bench::Suggest(args) => {
            let setups = suggest::open(args).or_exit(Exit::BadInput)?;
            for (file, setup) in &setups {
                for &observations in &args.observations {
                    let cost = suggest::measure(file, setup, observations, args.suggestions).or_exit(Exit::NoResult)?;
                    say(&cost, manners).or_exit(Exit::NoResult)?;
                }
            }
        }
        Bench::Talk(args) => say(&talk::measure(args).or_exit(Exit::NoResult)?, manners).or_exit(Exit::NoResult)?,
        #[cfg(feature = "burn")]
        Bench::Train(args) => {
            let rate = train::measure(args).or_exit(Exit::BadInput)?;
            say(&rate, manners).or_exit(Exit::NoResult)?;
        }
    }
    Ok(Exit::Done)
}

/// One JSON line, or the same fields as `name value` for people.
fn say(rate: &impl Serialize, manners: Manners) -> anyhow::Result<()> {
    let value = serde_json::to_value(rate)?;
    if manners.json {
        say!("{value}");
        return Ok(());
    }
    let fields = value.as_object().into_iter().flatten();
    let words: Vec<String> = fields.map(|(name, value)| plain(&name.replace('_', " "), value)).collect();
    say!("{}", words.join("  "));
    Ok(())
}

fn plain(name: &str, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(parts) => {
            let parts: Vec<String> = parts.iter().map(|(part, value)| plain(part, value)).collect();
            format!("{name} ({})", parts.join(", "))
        }
        serde_json::Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    }
}
