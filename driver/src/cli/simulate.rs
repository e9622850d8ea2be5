//! `simulate`: sweeps under a virtual clock.
use std::fs::File;
use std::io::{self, BufWriter};
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use hpo_core::Seed;
use hpo_driver::config::{self, Checked, Overrides};
use hpo_driver::simulate::{self, Fault, Outcome as Played, Table};

use super::args::{Manners, Simulate};
use super::exit::{Exit, Failure, OrExit, Outcome};

pub(super) fn simulate(args: &Simulate, manners: Manners) -> Outcome {
    let overrides = Overrides { set: args.set.clone(), ends: args.until_resource.is_some() };
    let load = |file: &PathBuf| config::load_with(file, &overrides).map(|checked| reseeded(checked, args.seed));
    let files: Vec<Checked> = args.files.iter().map(load).collect::<Result<_, _>>().or_exit(Exit::BadInput)?;
    let name = |place: usize| args.files[place].display().to_string();
    let in_file = |(place, fault): (usize, Fault)| Failure { exit: code(&fault), why: anyhow::Error::from(fault).context(name(place)) };
    // What cannot be written is to be known before the work is done.
    let curve = args.curve.as_ref().map(|path| File::create(path).with_context(|| format!("cannot write {}", path.display())));
    let curve = curve.transpose().or_exit(Exit::BadInput)?;
    let setups = simulate::open(&files, args.workers, args.until_resource).map_err(in_file)?;
    let threads = args.threads.map(usize::from).or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let played = simulate::play_all(&setups, args.seeds.clone(), threads.unwrap_or(1)).map_err(in_file)?;
    let several = args.files.len() > 1;
    let named: Vec<(String, &[Played])> = played.iter().enumerate().map(|(place, outcomes)| (name(place), outcomes.as_slice())).collect();
    if let Some(file) = curve {
        write_curve(file, &named, several).context("cannot write the curve").or_exit(Exit::BadInput)?;
    }
    if manners.json {
        for (name, outcomes) in &named {
            for outcome in *outcomes {
                say!("{}", outcome.to_json(several.then_some(name)));
            }
        }
    } else {
        let rows = named.iter().zip(&files).map(|((name, outcomes), file)| (name.as_str(), file.spec.goal, *outcomes));
        let count = named.first().map_or(0, |(_, outcomes)| outcomes.len());
        let seeds = if count == 1 { "one seed".to_owned() } else { format!("medians over {count} seeds, with 95 % bootstrap intervals") };
        super::print(&format!("{}{seeds}\n", Table::of(rows)));
    }
    let found = played.iter().all(|outcomes| outcomes.iter().any(|outcome| outcome.best.is_some()));
    Ok(if found { Exit::Done } else { Exit::NoResult })
}

fn reseeded(checked: Checked, seed: Option<u64>) -> Checked {
    match seed {
        Some(seed) => checked.with_seed(Seed(seed)),
        None => checked,
    }
}

/// Sweeps that come to nothing are no bad input.
fn code(fault: &Fault) -> Exit {
    match fault {
        Fault::Barren { .. } | Fault::StandsStill => Exit::NoResult,
        _ => Exit::BadInput,
    }
}

/// A row at each improvement; of several files each row begins with its file.
fn write_curve(file: File, sweeps: &[(String, &[Played])], several: bool) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(BufWriter::new(file));
    let columns = ["file", "seed", "virtual_seconds", "resource", "metric", "test"];
    let own = usize::from(!several);
    out.write_record(&columns[own..])?;
    for (name, outcomes) in sweeps {
        for outcome in *outcomes {
            for better in &outcome.improvements {
                let cells = [
                    name.clone(),
                    outcome.seed.to_string(),
                    (better.at.0 as f64 / 1e3).to_string(),
                    better.resource.to_string(),
                    better.metric.to_string(),
                    better.test.map_or(String::new(), |test| test.to_string()),
                ];
                out.write_record(&cells[own..])?;
            }
        }
    }
    out.flush()
}

/// `A..B`, half-open.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    match range {
        Some(Range { start, end }) if start < end => Ok(start..end),
        _ => Err("write A..B with A below B, as in 0..10 for the ten seeds from 0 to 9".to_owned()),
    }
}
