//! `driver RUN --slurm`: keeps workers as tasks of Slurm, and may itself be one.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hpo_driver::engine::{Begin, Drive, DriveFault, DriveOptions, stand_by};
use hpo_driver::journal::JournalFault;
use hpo_driver::launch::slurm::submit::{own_task, requeue};
use hpo_driver::launch::slurm::{SlurmOptions, place};
use hpo_driver::launch::{Away, LocalOptions};
use hpo_driver::rundir::RunDir;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{absolute, jobs, names, tell};
use crate::cli::args::{Driver, Manners};
use crate::cli::drive::{Listen, exit_of, frozen, go_on, local, not_started, options, runtime, wait_for_the_start};
use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
use crate::cli::signals::Signals;

/// A driver on another machine that has given no sign for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);

pub(in crate::cli) fn driver(args: &Driver, listen: Listen, manners: Manners) -> Outcome {
    if args.background {
        // A session of its own: nothing of the terminal reaches it any more. It leads one already where this fails.
        let _ = nix::unistd::setsid();
    }
    let run = absolute(&RunDir::new(&args.sweep))?;
    let checked = frozen(&run)?;
    let jobs = jobs(&checked, &run, names(&run)?)?;
    let workers: Option<LocalOptions> = args.workers.map(|count| local(Some(count), &checked)).transpose()?;
    let task = own_task(&|name| std::env::var(name).ok());
    let slurm = SlurmOptions { jobs, own: task.as_deref().and_then(place) };
    let options = DriveOptions { slurm: Some(slurm), ..options(&run, Begin::Resume, &checked, listen, workers) };
    let runtime = runtime()?;
    let (started, signals, near) = runtime.block_on(async {
        // Before the journal is read, which may take long.
        let mut signals = Signals::listen_past_terminals();
        let mut near = signal(SignalKind::user_defined2()).or_exit(Exit::RunFolder)?;
        let started = tokio::select! {
            started = signals.during(begin(&run, options, manners), || wait_for_the_start(manners)) => Some(started),
            Some(()) = near.recv() => None,
        };
        Ok((started, signals, near))
    })?;
    let Some(started) = started else {
        task.iter().try_for_each(|task| self::runtime().map(|other| back(&other, task, manners)))?;
        return Ok(not_started(runtime, manners));
    };
    let Some(started) = started else { return Ok(not_started(runtime, manners)) };
    let drive = started.map_err(|fault| Failure { exit: exit_of(&fault), why: fault.into() })?;
    let time_is_up = hear(&runtime, &drive, near).or_exit(Exit::RunFolder)?;
    let outcome = go_on(runtime, drive, signals, &run, &checked, manners);
    if time_is_up.load(Ordering::Acquire)
        && let Some(task) = task
    {
        // Another runtime, for the sweep's has ended with it.
        back(&self::runtime()?, &task, manners);
    }
    outcome
}

/// Puts this driver's task back into the queue.
fn back(runtime: &Runtime, task: &str, manners: Manners) {
    match runtime.block_on(requeue(task)) {
        Ok(()) => tell(manners, &format!("the time of job {task} is up: it waits in the queue again, and goes on from there")),
        Err(why) => tell(manners, &format!("the time of job {task} is up, and it cannot be put back into the queue: {why}")),
    }
}

/// Goes on with the sweep once no other driver does: one whose node was lost may still be believed alive for a while.
async fn begin(run: &RunDir, options: DriveOptions, manners: Manners) -> Result<Drive, DriveFault> {
    loop {
        match Drive::start(options.clone()).await {
            Err(DriveFault::Driven { claim, .. }) => {
                tell(manners, &format!("another driver lives ({claim}): waiting until it is gone"));
                stand_by(run, SILENCE, |_| {}).await?;
            }
            Err(DriveFault::Journal(JournalFault::Raced { .. } | JournalFault::TakenOver { .. })) => {
                stand_by(run, SILENCE, |_| {}).await?;
            }
            started => return started,
        }
    }
}

/// What Slurm's own signals mean: USR2 that the time limit is near, so that this driver leaves and comes back; a hang-up nothing,
/// for it comes from terminals.
fn hear(runtime: &Runtime, drive: &Drive, mut near: Signal) -> std::io::Result<Arc<AtomicBool>> {
    let time_is_up = Arc::new(AtomicBool::new(false));
    let (flag, engine, workers) = (time_is_up.clone(), drive.handle(), drive.local_workers());
    let _inside = runtime.enter();
    let mut hung_up = signal(SignalKind::hangup())?;
    runtime.spawn(async move { while hung_up.recv().await.is_some() {} });
    runtime.spawn(async move {
        if near.recv().await.is_none() {
            return;
        }
        flag.store(true, Ordering::Release);
        // The worker beside it goes first, while there is somebody to tell what it has saved.
        if let Some(away) = workers {
            Away::send(&away).await;
        }
        // An engine that has ended need not be asked.
        let _ = engine.leave().await;
    });
    Ok(time_is_up)
}
