//! Reports a second through a real driver: gRPC on loopback, every report in the journal and synced before it counts.
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use hpo_core::WorkerId;
use hpo_driver::config;
use hpo_driver::engine::{Begin, Drive, DriveOptions, Options};
use hpo_driver::rundir::RunDir;
use hpo_driver::{rendezvous, serve::talker};
use serde::Serialize;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    reports: u32,
    workers: u32,
    seconds: f64,
    reports_per_second: f64,
    /// Group commit: many reports share one sync.
    journal_syncs: u64,
}

/// The journal lies in the current folder, so that the disk that is measured can be chosen.
pub(super) fn measure(reports: u32, workers: u32) -> anyhow::Result<Rate> {
    anyhow::ensure!(workers > 0 && reports >= workers, "--workers must be at least 1, and --reports at least as many");
    let folder = tempfile::Builder::new().prefix("hpo-bench-").tempdir_in(".").context("the current folder cannot be written")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(drive(folder.path(), reports, workers))
}

async fn drive(folder: &Path, reports: u32, workers: u32) -> anyhow::Result<Rate> {
    let each = reports / workers;
    let checked = config::check_text(&sweep(each, workers), &folder.join("sweep.toml"), &|_| None)?;
    let run = RunDir::new(folder.join("run"));
    let options = DriveOptions {
        run: run.clone(),
        begin: Begin::Create,
        file: (&checked).into(),
        listen: ([127, 0, 0, 1], 0).into(),
        plaintext: false,
        local: None,
        limits: Options::default(),
    };
    let drive = Drive::start(options).await?;
    let address = drive.addresses().first().context("the driver has no address")?.clone();
    let (trust, token) = (rendezvous::read_trust(&run)?, rendezvous::read_token(&run)?);
    let begun = Instant::now();
    let talkers: Vec<_> = (1..=workers)
        .map(|id| {
            let (address, trust, token) = (address.clone(), trust.clone(), token.clone());
            tokio::spawn(async move { talker::talk(&address, &trust, &token, WorkerId(id.into()), "loss").await })
        })
        .collect();
    let outcome = drive.wait().await?;
    let seconds = begun.elapsed().as_secs_f64();
    for talker in talkers {
        talker.await??;
    }
    let reports = each * workers;
    Ok(Rate { reports, workers, seconds, reports_per_second: f64::from(reports) / seconds, journal_syncs: outcome.counters.syncs })
}

/// As many trials as workers, each as long as its share of the reports; the program is never run.
fn sweep(each: u32, workers: u32) -> String {
    format!(
        "[sweep]\nname = \"bench\"\nmetric = \"loss\"\nmax_trials = {workers}\n[space]\nx = {{ uniform = [0.0, 1.0] }}\n\
         [scheduler]\nkind = \"fifo\"\nmax_resource = {each}\n[trial]\nkind = \"command\"\ncommand = [\"true\"]\n"
    )
}
