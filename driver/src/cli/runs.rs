//! `status`, `report`, `verify`: what can be read from a run folder at any time, on a live or a dead sweep.
use std::time::{SystemTime, UNIX_EPOCH};

use hpo_driver::config;
use hpo_driver::journal::{self, VerifyFault};
use hpo_driver::rendezvous::Rendezvous;
use hpo_driver::report::{Inputs, LiveDriver, Report};
use hpo_driver::rundir::RunDir;
use serde_json::json;

use super::args::{Folder, Manners};
use super::exit::{Exit, Failure, OrExit, Outcome};

/// Now, in milliseconds since 1970-01-01 UTC.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Everything about a run, as it is now.
pub(super) fn read(run: &RunDir) -> Result<Report, Failure> {
    run.must_be_a_run().or_exit(Exit::RunFolder)?;
    // The price stands in the frozen sweep file; a report must not fail because a data file has moved since.
    let price = config::load(&run.sweep_toml()).ok().and_then(|checked| checked.report.price_per_gpu_hour);
    Report::read(run, &Inputs { price, driver: living(run)? }).or_exit(Exit::RunFolder)
}

/// The driver that is at work on the run, if there is one.
pub(super) fn living(run: &RunDir) -> Result<Option<LiveDriver>, Failure> {
    if !run.path().is_dir() || journal::living(run.path()).or_exit(Exit::RunFolder)?.is_none() {
        return Ok(None);
    }
    let rendezvous = Rendezvous::read(run).or_exit(Exit::RunFolder)?;
    let addresses = rendezvous.map(|found| found.addresses).unwrap_or_default();
    Ok(Some(LiveDriver { unix_ms: unix_ms(), addresses }))
}

pub(super) fn status(folder: &Folder, manners: Manners) -> Outcome {
    let report = read(&RunDir::new(&folder.run))?;
    if manners.json {
        say!("{}", serde_json::to_string(&report.status_line()).or_exit(Exit::RunFolder)?);
    } else {
        super::print(&report.status_text());
    }
    Ok(Exit::Done)
}

pub(super) fn report(folder: &Folder, manners: Manners) -> Outcome {
    let run = RunDir::new(&folder.run);
    let report = read(&run)?;
    publish(&run, &report, manners)?;
    Ok(Exit::Done)
}

/// Writes the report's files and prints the summary, or the promised line.
pub(super) fn publish(run: &RunDir, report: &Report, manners: Manners) -> Result<(), Failure> {
    let written = report.write(run);
    // What was found is said even where its files cannot be written.
    if manners.json {
        say!("{}", serde_json::to_string(&report.line()).or_exit(Exit::RunFolder)?);
    } else {
        super::print(&report.summary_text(written.as_ref().ok()));
    }
    written.map(drop).or_exit(Exit::RunFolder)
}

pub(super) fn verify(folder: &Folder, manners: Manners) -> Outcome {
    let run = RunDir::new(&folder.run);
    run.must_be_a_run().or_exit(Exit::RunFolder)?;
    match journal::verify(&run.journal()) {
        Ok(verified) => {
            if manners.json {
                say!("{}", json!({"events": verified.events, "ok": true}));
            } else {
                say!("{} events, every decision is the same again", verified.events);
            }
            Ok(Exit::Done)
        }
        Err(fault) if fault.line().is_some() => {
            let events = match &fault {
                VerifyFault::Mismatch { events, .. } => *events,
                VerifyFault::Journal(_) => fault.line().unwrap_or(1).saturating_sub(1),
            };
            if manners.json {
                say!("{}", json!({"events": events, "ok": false, "line": fault.line(), "why": fault.to_string()}));
            } else {
                say!("{fault}");
            }
            Ok(Exit::NotVerified)
        }
        Err(fault) => Err(fault).or_exit(Exit::RunFolder),
    }
}
