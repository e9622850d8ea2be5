//! `run`, `resume`, `driver`: a sweep from its first event to its report.
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use hpo_core::SweepSpec;
use hpo_driver::config::{self, Checked, plan, warm};
use hpo_driver::engine::{Begin, Counters, Drive, DriveFault, DriveOptions, Ended, EngineFault, Handle, Rest};
use hpo_driver::launch::LocalOptions;
use hpo_driver::launch::slurm::keep::Notes;
use hpo_driver::process::raise_open_files;
use hpo_driver::rundir::RunDir;
use hpo_driver::{journal, mount, report};
use tokio::runtime::Runtime;

use super::args::{Driver, Manners, Resume, Run};
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::progress::Progress;
use super::signals::{Heard, Signals};
use super::standby::standby;
use super::{files, model, runs};

/// Where the driver listens, and how.
#[derive(Clone, Copy)]
pub(super) struct Listen {
    pub(super) address: SocketAddr,
    pub(super) plaintext: bool,
}

/// For workers that the driver starts itself.
const LOOPBACK: Listen = Listen { address: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0), plaintext: false };

pub(super) fn run(args: &Run, manners: Manners) -> Outcome {
    let hearing = hearing()?;
    let checked = files::load(&args.sweep).or_exit(Exit::BadInput)?;
    warn(&checked, manners);
    let run = new_run(args.run_dir.as_deref(), &checked);
    drive(hearing, &run, Begin::Create, &checked, LOOPBACK, Some(local(args.workers, &checked)?), manners)
}

pub(super) fn resume(args: &Resume, manners: Manners) -> Outcome {
    let hearing = hearing()?;
    let run = RunDir::new(&args.run);
    let checked = frozen(&run)?;
    drive(hearing, &run, Begin::Resume, &checked, LOOPBACK, Some(local(args.workers, &checked)?), manners)
}

pub(super) fn driver(args: &Driver, manners: Manners) -> Outcome {
    raise_open_files();
    let listen = Listen { address: args.listen, plaintext: args.insecure_plaintext_on_loopback };
    if let (Some(count), false) = (args.workers, args.slurm) {
        let why = anyhow::anyhow!(
            "`hpo driver` starts workers only beside those of Slurm (--slurm): use `hpo run FILE --workers {count}` for workers on this \
             machine alone, or leave out --workers and start `hpo worker --run-dir RUN`, here or elsewhere"
        );
        return Err(why).or_exit(Exit::BadInput);
    }
    if args.slurm {
        return super::slurm::driver(args, listen, manners);
    }
    if args.standby {
        return standby(args, listen, manners);
    }
    let hearing = hearing()?;
    if args.sweep.is_dir() {
        if args.seed.is_some() {
            return Err(anyhow::anyhow!("--seed is for new sweeps: this one was created with a seed, and goes on with it"))
                .or_exit(Exit::BadInput);
        }
        if args.run_dir.is_some() {
            return Err(anyhow::anyhow!("--run-dir is for new sweeps: `{}` is a run folder already", args.sweep.display()))
                .or_exit(Exit::BadInput);
        }
        let run = RunDir::new(&args.sweep);
        let checked = frozen(&run)?;
        return drive(hearing, &run, Begin::Resume, &checked, listen, None, manners);
    }
    let file = super::args::SweepFile { file: args.sweep.clone(), seed: args.seed };
    let checked = files::load(&file).or_exit(Exit::BadInput)?;
    warn(&checked, manners);
    let run = new_run(args.run_dir.as_deref(), &checked);
    drive(hearing, &run, Begin::Create, &checked, listen, None, manners)
}

/// What the user most likely did not mean, before anything starts.
fn warn(checked: &Checked, manners: Manners) {
    if !manners.quiet {
        plan::warnings(checked).iter().for_each(|warning| mention!("warning: {warning}"));
        warm::said(checked).iter().for_each(|line| mention!("{line}"));
    }
}

/// What another host would not like about the run folder's file system.
pub(super) fn warn_of_mount(run: &RunDir, manners: Manners) {
    if let (false, Some(doubt)) = (manners.quiet, mount::doubt(run.path())) {
        mention!("warning: {doubt}");
    }
}

pub(super) fn new_run(given: Option<&Path>, checked: &Checked) -> RunDir {
    RunDir::new(given.map_or_else(|| PathBuf::from("runs").join(&checked.spec.name), Path::to_owned))
}

/// The sweep file of a run, as it was when the run was created.
pub(super) fn frozen(run: &RunDir) -> Result<Checked, Failure> {
    run.must_be_a_run().or_exit(Exit::RunFolder)?;
    let checked = config::load(&run.sweep_toml()).or_exit(Exit::RunFolder)?;
    let thawed = warm::thaw(checked, run).with_context(|| format!("cannot read `{}`", run.warm_start().display()));
    thawed.or_exit(Exit::RunFolder)
}

#[cfg(feature = "worker")]
pub(super) fn local(asked: Option<u16>, checked: &Checked) -> Result<LocalOptions, Failure> {
    let count = asked.or(checked.workers.local.map(|count| u16::try_from(count).unwrap_or(u16::MAX)));
    if count == Some(0) {
        let why = "`local = 0` in [workers]: no worker is to be started here. `hpo driver` starts none and waits for those of other machines; `--workers N` starts N";
        return Err(anyhow::anyhow!(why)).or_exit(Exit::BadInput);
    }
    #[cfg(not(feature = "burn"))]
    if matches!(checked.job.trainable, hpo_core::job::Trainable::Burn(_)) {
        let why = anyhow::anyhow!("this hpo was built without the feature `burn`: its workers run programs and recorded curves, no models");
        return Err(why).or_exit(Exit::BadInput);
    }
    #[cfg(feature = "burn")]
    super::builtin::check_device(&checked.job).or_exit(Exit::BadInput)?;
    config::program::find(checked).or_exit(Exit::BadInput)?;
    let places = super::work::places(count, &checked.job);
    LocalOptions::of_this_program(places, checked.job.grace_ms).context("cannot find this program to start workers").or_exit(Exit::BadInput)
}

#[cfg(not(feature = "worker"))]
pub(super) fn local(_asked: Option<u16>, _checked: &Checked) -> Result<LocalOptions, Failure> {
    Err(super::work::no_worker()).or_exit(Exit::BadInput)
}

fn drive(
    (runtime, mut signals): (Runtime, Signals),
    run: &RunDir,
    begin: Begin,
    checked: &Checked,
    listen: Listen,
    local: Option<LocalOptions>,
    manners: Manners,
) -> Outcome {
    warn_of_mount(run, manners);
    let start = Drive::start(options(run, begin, checked, listen, local));
    let started = runtime.block_on(signals.during(start, || wait_for_the_start(manners)));
    match started {
        Some(Ok(drive)) => go_on(runtime, drive, signals, run, checked, manners),
        Some(Err(fault)) => Err(Failure { exit: exit_of(&fault), why: fault.into() }),
        None => Ok(not_started(runtime, manners)),
    }
}

/// What is said to whoever stops a driver that does not listen yet.
pub(super) fn wait_for_the_start(manners: Manners) {
    if !manners.quiet {
        mention!("stopping as soon as the journal is read; once more, and it ends at once");
    }
}

/// The end of a driver that was told twice to stop before it listened. Its journal is as it was.
pub(super) fn not_started(runtime: Runtime, manners: Manners) -> Exit {
    if !manners.quiet {
        mention!("stopped before the driver listened; nothing was lost");
    }
    // The journal is read by a thread that nobody waits for any more.
    runtime.shutdown_background();
    Exit::Resumable
}

pub(super) fn options(run: &RunDir, begin: Begin, checked: &Checked, listen: Listen, local: Option<LocalOptions>) -> DriveOptions {
    let Listen { address: listen, plaintext } = listen;
    DriveOptions { run: run.clone(), begin, file: checked.into(), listen, plaintext, local, slurm: None, limits: checked.into() }
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().or_exit(Exit::RunFolder)
}

/// What a driver needs first of all: files are read, and a long journal, while signals wait to be heeded.
pub(super) fn hearing() -> Result<(Runtime, Signals), Failure> {
    let runtime = runtime()?;
    let signals = runtime.block_on(async { Signals::listen() });
    Ok((runtime, signals))
}

pub(super) fn exit_of(fault: &DriveFault) -> Exit {
    match fault {
        // Nothing was started, nor made.
        DriveFault::Listen { .. } | DriveFault::PlaintextAbroad { .. } => Exit::BadInput,
        // The journal is whole either way; what stopped it may have to be put right first.
        fault if fault.is_about_the_run_folder() => Exit::RunFolder,
        _ => Exit::Resumable,
    }
}

/// Goes on with a sweep to its end, and past it.
pub(super) fn go_on(runtime: Runtime, drive: Drive, signals: Signals, run: &RunDir, checked: &Checked, manners: Manners) -> Outcome {
    let on_slurm = drive.has_slurm();
    let ended = runtime.block_on(watched(drive, signals, run, &checked.spec, manners));
    let outcome = match ended {
        Ok((Ended::Suspended, rest)) => {
            runtime.block_on(rest.close());
            if !manners.quiet {
                say_how_to_go_on(run, on_slurm);
                say_when_it_ends(run, checked);
            }
            Ok(Exit::Resumable)
        }
        Ok((Ended::Finished(_), rest)) => {
            // Slurm may take minutes to say that nobody is left; nobody waits as long for the result.
            let closing = runtime.spawn(rest.close());
            let concluded = conclude(run, checked, manners);
            if !closing.is_finished() && !manners.quiet {
                mention!("waiting until no worker is left");
            }
            // A panic there was told by itself.
            let _ = runtime.block_on(closing);
            concluded
        }
        Err(DriveFault::Engine(EngineFault::Left)) => {
            if !manners.quiet {
                mention!("this driver has left; workers train on for a standby, or for `hpo driver {}`", run.word());
            }
            Ok(Exit::Resumable)
        }
        Err(fault) => Err(Failure { exit: exit_of(&fault), why: fault.into() }),
    };
    // A disk that does not answer must not keep a driver that was fenced off.
    runtime.shutdown_background();
    outcome
}

fn say_how_to_go_on(run: &RunDir, on_slurm: bool) {
    let shown = run.word();
    if !on_slurm {
        mention!("stopped for now; go on with `hpo resume {shown}`");
        return;
    }
    // The queue's troubles are in the log as well, but far above.
    if let Some(why) = Notes::read(run).ok().and_then(|notes| notes.gave_up) {
        mention!("{why}");
    }
    mention!("stopped for now; go on with `hpo slurm submit {shown}`");
}

/// A sweep that is stopped for now has its end all the same, if it was given one on the clock.
fn say_when_it_ends(run: &RunDir, checked: &Checked) {
    let begun = journal::Reader::open(&run.journal()).map(|(header, _)| header.created_unix_ms);
    if let (Some(wall), Ok(begun)) = (checked.spec.budget.wall, begun) {
        let end = report::moment(begun.saturating_add(wall));
        mention!("its `wall` runs on meanwhile: the sweep ends at {end}, with what there is by then");
    }
}

/// Shows how a sweep goes, and turns signals into requests to stop for now, or to leave it to another driver.
async fn watched(drive: Drive, signals: Signals, run: &RunDir, spec: &SweepSpec, manners: Manners) -> Result<(Ended, Rest), DriveFault> {
    let by_hand = drive.has_other_workers();
    if by_hand && !drive.has_slurm() && !manners.quiet {
        let at = drive.addresses().join(", ");
        mention!("listening on {at}; start workers with `hpo worker --run-dir {}`", run.word());
    }
    tokio::spawn(obey(signals, drive.handle(), by_hand, run.clone(), manners));
    let mut seen = drive.progress();
    let mut display = Progress::new(spec, manners);
    let shown = async {
        while seen.changed().await.is_ok() {
            let view = seen.borrow_and_update().view.clone();
            display.show(&view);
        }
        std::future::pending::<()>().await;
    };
    let (outcome, rest) = tokio::select! {
        ended = drive.outcome() => ended?,
        () = shown => return Err(DriveFault::EnginePanicked),
    };
    display.show(&outcome.view);
    let Counters { events, syncs, .. } = outcome.counters;
    tracing::info!(events, syncs, "this driver is done");
    Ok((outcome.ended, rest))
}

/// Heeds signals, also through export and report.
async fn obey(mut signals: Signals, engine: Handle, by_hand: bool, run: RunDir, manners: Manners) {
    loop {
        // Workers of other machines need not stop because this one is taken away.
        let asked = match signals.next().await {
            Heard::Terminate if by_hand => engine.leave().await,
            Heard::Terminate | Heard::Interrupt => engine.drain().await,
        };
        if asked.is_err() {
            // What is left can be done again at any time, and whoever asks now does not want to wait for it.
            if !manners.quiet {
                mention!("stopped before all was done; the rest is done by `hpo resume {}`", run.word());
            }
            std::process::exit(Exit::Resumable as i32);
        }
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
