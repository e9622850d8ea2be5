//! `hpo bench`: what the engine costs on this machine. Never a timed test: machines differ.
mod apply;
mod grpc;
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
        Bench::Grpc { reports, workers } => {
            let rate = grpc::measure(*reports, *workers).or_exit(Exit::NoResult)?;
            say(&rate, manners).or_exit(Exit::NoResult)?;
        }
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
    let words: Vec<String> = fields.map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
    say!("{}", words.join("  "));
    Ok(())
}
