//! `run`, `resume`, `driver`: a sweep from its first event to its report.
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

#[cfg(feature = "worker")]
use anyhow::Context;
use hpo_core::SweepSpec;
use hpo_driver::config::{self, Checked, plan};
use hpo_driver::engine::{Begin, Drive, DriveFault, DriveOptions, Ended};
use hpo_driver::launch::LocalOptions;
use hpo_driver::rundir::RunDir;

use super::args::{Driver, Manners, Resume, Run};
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::progress::Progress;
use super::{files, model, runs};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) fn run(args: &Run, manners: Manners) -> Outcome {
    let checked = files::load(&args.sweep).or_exit(Exit::BadInput)?;
    warn(&checked, manners);
    let run = new_run(args.run_dir.as_deref(), &checked);
    drive(&run, Begin::Create, &checked, LOOPBACK, Some(local(args.workers, &checked)?), manners)
}

pub(super) fn resume(args: &Resume, manners: Manners) -> Outcome {
    let run = RunDir::new(&args.run);
    let checked = frozen(&run)?;
    drive(&run, Begin::Resume, &checked, LOOPBACK, Some(local(args.workers, &checked)?), manners)
}

pub(super) fn driver(args: &Driver, manners: Manners) -> Outcome {
    if args.sweep.is_dir() {
        if args.seed.is_some() {
            return Err(anyhow::anyhow!("--seed is for new sweeps: this one was created with a seed, and goes on with it"))
                .or_exit(Exit::BadInput);
        }
        let run = RunDir::new(&args.sweep);
        let checked = frozen(&run)?;
        return drive(&run, Begin::Resume, &checked, args.listen, None, manners);
    }
    let file = super::args::SweepFile { file: args.sweep.clone(), seed: args.seed };
    let checked = files::load(&file).or_exit(Exit::BadInput)?;
    warn(&checked, manners);
    let run = new_run(args.run_dir.as_deref(), &checked);
    drive(&run, Begin::Create, &checked, args.listen, None, manners)
}

/// What the user most likely did not mean, before anything starts.
fn warn(checked: &Checked, manners: Manners) {
    if !manners.quiet {
        plan::warnings(checked).iter().for_each(|warning| eprintln!("warning: {warning}"));
    }
}

fn new_run(given: Option<&Path>, checked: &Checked) -> RunDir {
    RunDir::new(given.map_or_else(|| PathBuf::from("runs").join(&checked.spec.name), Path::to_owned))
}

/// The sweep file of a run, as it was when the run was created.
fn frozen(run: &RunDir) -> Result<Checked, Failure> {
    if !run.journal().is_file() {
        return Err(DriveFault::NotARun { run: run.path().to_owned() }).or_exit(Exit::RunFolder);
    }
    config::load(&run.sweep_toml()).or_exit(Exit::RunFolder)
}

#[cfg(feature = "worker")]
fn local(asked: Option<u16>, checked: &Checked) -> Result<LocalOptions, Failure> {
    let count = asked.or(checked.workers.local.map(|count| u16::try_from(count).unwrap_or(u16::MAX)));
    #[cfg(not(feature = "burn"))]
    if matches!(checked.job.trainable, hpo_core::job::Trainable::Burn(_)) {
        let why = anyhow::anyhow!("this hpo was built without the feature `burn`: its workers run programs and recorded curves, no models");
        return Err(why).or_exit(Exit::BadInput);
    }
    #[cfg(feature = "burn")]
    super::builtin::check_device(&checked.job).or_exit(Exit::BadInput)?;
    let places = super::work::places(count, &checked.job);
    LocalOptions::of_this_program(places, checked.job.grace_ms).context("cannot find this program to start workers").or_exit(Exit::BadInput)
}

#[cfg(not(feature = "worker"))]
fn local(_asked: Option<u16>, _checked: &Checked) -> Result<LocalOptions, Failure> {
    Err(super::work::no_worker()).or_exit(Exit::BadInput)
}

fn drive(run: &RunDir, begin: Begin, checked: &Checked, listen: SocketAddr, local: Option<LocalOptions>, manners: Manners) -> Outcome {
    let options = DriveOptions { run: run.clone(), begin, file: checked.into(), listen, local, limits: checked.into() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().or_exit(Exit::RunFolder)?;
    let ended = runtime.block_on(watched(options, &checked.spec, manners)).map_err(|fault| {
        let exit = match &fault {
            // Nothing was started, nor made.
            DriveFault::Listen { .. } => Exit::BadInput,
            // The journal is whole either way; what stopped it may have to be put right first.
            fault if fault.is_about_the_run_folder() => Exit::RunFolder,
            _ => Exit::Resumable,
        };
        Failure { exit, why: fault.into() }
    })?;
    match ended {
        Ended::Suspended => {
            if !manners.quiet {
                eprintln!("stopped for now; go on with `hpo resume {}`", run.path().display());
            }
            Ok(Exit::Resumable)
        }
        Ended::Finished(_) => conclude(run, checked, manners),
    }
}

/// Drives the sweep, shows how it goes, and turns signals into a request to stop for now.
async fn watched(options: DriveOptions, spec: &SweepSpec, manners: Manners) -> Result<Ended, DriveFault> {
    let by_hand = options.local.is_none();
    let run = options.run.clone();
    let drive = Drive::start(options).await?;
    if by_hand && !manners.quiet {
        let at = drive.addresses().join(", ");
        eprintln!("listening on {at}; start workers with `hpo worker --run-dir {}`", run.path().display());
    }
    let engine = drive.handle();
    // Goes on through export and report.
    tokio::spawn(async move {
        while signalled().await {
            if engine.drain().await.is_err() {
                // What is left can be done again at any time, and whoever asks now does not want to wait for it.
                if !manners.quiet {
                    eprintln!("stopped before all was done; the rest is done by `hpo resume {}`", run.path().display());
                }
                std::process::exit(Exit::Resumable as i32);
            }
        }
    });
    let mut seen = drive.progress();
    let mut display = Progress::new(spec, manners);
    let shown = async {
        while seen.changed().await.is_ok() {
            let view = seen.borrow_and_update().view.clone();
            display.show(&view);
        }
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = drive.wait() => outcome?,
        () = shown => return Err(DriveFault::EnginePanicked),
    };
    display.show(&outcome.view);
    Ok(outcome.ended)
}

/// Ctrl-C, or the SIGTERM of a batch system. False if signals cannot be heard.
async fn signalled() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        tracing::warn!("signals cannot be heard: Ctrl-C will kill the driver, and `hpo resume` goes on from its journal");
        return false;
    };
    tokio::select! {
        heard = interrupt.recv() => heard.is_some(),
        heard = terminate.recv() => heard.is_some(),
    }
}

/// Exports and verifies the best model, writes the report and prints it.
fn conclude(run: &RunDir, checked: &Checked, manners: Manners) -> Outcome {
    let before = runs::read(run)?;
    let has_result = before.has_result();
    let exported = if has_result { model::export_best(run, checked, manners) } else { Ok(Exit::Done) };
    // The report is written whatever became of the export: it says so.
    let report = runs::read(run)?;
    runs::publish(run, &report, manners)?;
    let exported = exported?;
    Ok(if has_result { exported } else { Exit::NoResult })
}
