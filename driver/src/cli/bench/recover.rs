//! How long workers wait after the driver died: from the start of the next one to the first lease.
use std::fs;
use std::time::Instant;

use anyhow::Context;
use hpo_driver::journal::{self, Reader};
use hpo_driver::rundir::RunDir;
use hpo_driver::serve::talker::{self, Target};
use serde::Serialize;

use super::super::args::BenchRecover;
use super::driven::Driven;
use super::history;

/// One recovery.
#[derive(Debug, Serialize)]
pub(super) struct Took {
    events: u64,
    journal_mib: f64,
    /// In this process, beforehand: reading lines, checksums, JSON.
    read_seconds: f64,
    /// The same with `admit` and `apply`: what a replay takes.
    replay_seconds: f64,
    /// Of the new driver's process: from its start until it listens, which is the replay and all the rest of a start.
    to_listening_seconds: f64,
    /// From there to its welcome for the first worker.
    to_welcome_seconds: f64,
    /// From there to the first lease.
    to_lease_seconds: f64,
    /// All of it: from the start of the process to the first lease.
    seconds: f64,
    driver_cpu_seconds: f64,
    driver_peak_mib: u64,
}

/// Makes the journal once; then a driver goes on with it and is killed, as often as asked.
pub(super) fn measure(args: &BenchRecover, events: u64, mut say: impl FnMut(&Took) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("hpo-bench-").tempdir_in(&args.dir);
    let folder = folder.with_context(|| format!("`{}` cannot be written", args.dir.display()))?;
    let run = RunDir::new(folder.path().join("run"));
    history::write(&run, events)?;
    for _ in 0..args.repeats {
        say(&recover(&run, events)?)?;
    }
    Ok(())
}

fn recover(run: &RunDir, events: u64) -> anyhow::Result<Took> {
    let journal_mib = fs::metadata(run.journal())?.len() as f64 / f64::from(1 << 20);
    let read_seconds = timed(|| Ok(Reader::open(&run.journal())?.1.try_for_each(|entry| entry.map(drop))?))?;
    let replay_seconds = timed(|| Ok(journal::replay(&run.journal()).map(drop)?))?;
    let driven = Driven::start(run.path(), run, &run.path().join("bench.log"), &[])?;
    let target = Target::of(run)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let joined = runtime.block_on(talker::first_lease(&target, history::SOMEONE))?;
    let since = |later: Instant, earlier: Instant| later.saturating_duration_since(earlier).as_secs_f64();
    Ok(Took {
        events,
        journal_mib,
        read_seconds,
        replay_seconds,
        to_listening_seconds: since(driven.listening, driven.started),
        to_welcome_seconds: since(joined.welcomed, driven.listening),
        to_lease_seconds: since(joined.leased, joined.welcomed),
        seconds: since(joined.leased, driven.started),
        driver_cpu_seconds: driven.cpu_seconds()?,
        driver_peak_mib: driven.peak_mib()?,
    })
}

fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64())
}
