//! `status`, `scale`, `drain`, `cancel`: from any machine that sees the run folder, and Slurm where that is asked.
use std::time::{Duration, Instant};

use hpo_driver::journal::{self, Claim};
use hpo_driver::launch::slurm::keep::{Asked, Notes};
use hpo_driver::launch::slurm::queue::{Queue, State};
use hpo_driver::launch::slurm::submit::{scancel_named, squeue};
use hpo_driver::launch::slurm::{Jobs, Names};
use hpo_driver::rundir::RunDir;
use nix::sys::signal::Signal;
use serde_json::json;

use super::args::Scale;
use super::patience::patiently;
use super::start::submit_all;
use super::{checks, jobs, names, tell};
use crate::cli::args::{Folder, Manners};
use crate::cli::drive::{frozen, runtime};
use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
use crate::cli::runs;

/// How long a driver of this machine may take to end.
const DRIVER_ENDS: Duration = Duration::from_secs(15);
/// How often jobs are cancelled until none is left, and the time between.
const CANCELS: u32 = 10;
const BETWEEN: Duration = Duration::from_secs(1);

/// How many tasks stand where.
#[derive(Default)]
struct Counts {
    pending: usize,
    running: usize,
    unknown: usize,
    /// Why those that wait do, by Slurm's word.
    reasons: Vec<String>,
}

impl Counts {
    fn of(queue: &Queue, name: &str) -> Self {
        let mut counts = Self::default();
        for task in queue.tasks.iter().filter(|task| task.name == name) {
            match task.state {
                State::Pending => {
                    counts.pending += 1;
                    counts.reasons.push(task.reason.clone());
                }
                State::Running => counts.running += 1,
                State::Unknown => counts.unknown += 1,
                State::Over => {}
            }
        }
        counts.reasons.sort();
        counts.reasons.dedup();
        counts
    }

    fn alive(&self) -> usize {
        self.pending + self.running + self.unknown
    }
}

/// Tasks of this name that wait or run, or may.
pub(super) fn alive(queue: &Queue, name: &str) -> u32 {
    u32::try_from(Counts::of(queue, name).alive()).unwrap_or(u32::MAX)
}

/// Nothing can be asked of a sweep that has ended.
fn must_go_on(run: &RunDir) -> Result<(), Failure> {
    let ended = journal::replay(&run.journal()).or_exit(Exit::RunFolder)?.sweep.finished().is_some();
    let why = || anyhow::anyhow!("the sweep in `{}` has ended; `hpo slurm status` tells whether workers are left", run.path().display());
    if ended { Err(why()).or_exit(Exit::BadInput) } else { Ok(()) }
}

pub(super) fn status(folder: &Folder, manners: Manners) -> Outcome {
    let run = RunDir::new(&folder.run);
    let Names { workers, driver } = names(&run)?;
    let report = runs::read(&run)?;
    let notes = Notes::read(&run).or_exit(Exit::RunFolder)?;
    let queue = runtime()?.block_on(patiently(manners, "`squeue`", squeue(&[&workers, &driver])));
    if manners.json {
        let sweep = serde_json::to_value(report.status_line()).or_exit(Exit::RunFolder)?;
        let counted = |name: &str| {
            queue.as_ref().ok().map(|queue| {
                let counts = Counts::of(queue, name);
                json!({"pending": counts.pending, "running": counts.running, "unknown": counts.unknown, "reasons": counts.reasons})
            })
        };
        let Notes { bad_nodes, gave_up, .. } = notes;
        say!(
            "{}",
            json!({"sweep": sweep, "workers": counted(&workers), "driver": counted(&driver), "bad_nodes": bad_nodes, "gave_up": gave_up})
        );
        return Ok(Exit::Done);
    }
    super::super::print(&report.status_text());
    match queue {
        Ok(queue) => {
            let counts = Counts::of(&queue, &workers);
            let reasons = if counts.reasons.is_empty() { String::new() } else { format!(" ({})", counts.reasons.join(", ")) };
            let unknown = if counts.unknown > 0 { format!(", {} in a state that is not known", counts.unknown) } else { String::new() };
            say!("Slurm: {} workers run, {} wait{reasons}{unknown}; squeue -n {workers}", counts.running, counts.pending);
            let job = Counts::of(&queue, &driver);
            if job.alive() > 0 {
                say!("       the driver's job {}", if job.running > 0 { "runs" } else { "waits" });
            }
        }
        Err(why) => say!("Slurm: the queue was not seen: {why}"),
    }
    if !notes.bad_nodes.is_empty() {
        say!("       set aside, because nothing starts there: {}", notes.bad_nodes.join(", "));
    }
    notes.gave_up.iter().for_each(|why| say!("       {why}"));
    Ok(Exit::Done)
}

pub(super) fn scale(args: &Scale, manners: Manners) -> Outcome {
    let run = RunDir::new(&args.run);
    let jobs = jobs(&frozen(&run)?, &run, names(&run)?)?;
    must_go_on(&run)?;
    let asked = Asked::read(&run).or_exit(Exit::RunFolder)?;
    Asked { max_workers: Some(args.workers), ..asked }.write(&run).or_exit(Exit::RunFolder)?;
    let lives = journal::living(run.path()).or_exit(Exit::RunFolder)?.is_some();
    let when = if lives { "the driver will see to it within seconds" } else { "no driver runs: the next one will see to it" };
    tell(manners, &format!("at most {} workers: {when}", args.workers));
    if manners.json {
        say!("{}", json!({"run": run.path(), "max_workers": args.workers, "driver": lives}));
    }
    if !jobs.setup.driver_submits() {
        runtime()?.block_on(add(&jobs, args.workers, manners)).or_exit(Exit::Resumable)?;
    }
    Ok(Exit::Done)
}

/// Submits the workers that are missing, for a driver that may not.
async fn add(jobs: &Jobs, wanted: u32, manners: Manners) -> anyhow::Result<()> {
    let queue = patiently(manners, "`squeue`", squeue(&[&jobs.names.workers])).await?;
    let there = alive(&queue, &jobs.names.workers);
    if wanted > there {
        let array_max = checks::array_max(manners).await?;
        submit_all(jobs, wanted - there, array_max, 0, manners, |jobs, tasks, _| jobs.workers(tasks, &[], None)).await?;
    }
    Ok(())
}

pub(super) fn drain(folder: &Folder, manners: Manners) -> Outcome {
    let run = RunDir::new(&folder.run);
    let names = names(&run)?;
    must_go_on(&run)?;
    let asked = Asked::read(&run).or_exit(Exit::RunFolder)?;
    Asked { drain: true, ..asked }.write(&run).or_exit(Exit::RunFolder)?;
    let shown = run.word();
    let lives = journal::living(run.path()).or_exit(Exit::RunFolder)?.is_some();
    if manners.json {
        say!("{}", json!({"run": run.path(), "drain": true, "driver": lives}));
    }
    if lives {
        tell(
            manners,
            &format!(
                "trials save their states, then workers and driver leave; `hpo slurm status {shown}` tells, `hpo slurm submit {shown}` goes on"
            ),
        );
        return Ok(Exit::Done);
    }
    // Nobody tells the workers; the word of a batch system makes them save what they have and leave.
    tell(manners, "no driver runs: cancelling its workers");
    runtime()?.block_on(scancel_named(&[&names.driver, &names.workers])).or_exit(Exit::Resumable)?;
    Ok(Exit::Done)
}

pub(super) fn cancel(folder: &Folder, manners: Manners) -> Outcome {
    let run = RunDir::new(&folder.run);
    let Names { workers, driver } = names(&run)?;
    let claim = journal::living(run.path()).or_exit(Exit::RunFolder)?;
    let runtime = runtime()?;
    // The driver first, for it would submit others in their place.
    runtime.block_on(scancel_named(&[&driver])).or_exit(Exit::Resumable)?;
    match claim {
        Some(claim) if claim.is_here() => end(&claim),
        Some(claim) => tell(manners, &format!("the driver ({claim}) is on another machine: end it there, if it is no job")),
        None => {}
    }
    let left = runtime.block_on(async {
        let mut left = 0;
        for _ in 0..CANCELS {
            scancel_named(&[&workers]).await?;
            tokio::time::sleep(BETWEEN).await;
            let queue = squeue(&[&workers, &driver]).await?;
            left = Counts::of(&queue, &workers).alive() + Counts::of(&queue, &driver).alive();
            if left == 0 {
                break;
            }
        }
        anyhow::Ok(left)
    });
    let left = left.or_exit(Exit::Resumable)?;
    let shown = run.word();
    if left > 0 {
        return Err(anyhow::anyhow!("{left} jobs are cancelled but not gone yet; `hpo slurm status {shown}` tells"))
            .or_exit(Exit::Resumable);
    }
    let ended = journal::replay(&run.journal()).or_exit(Exit::RunFolder)?.sweep.finished().is_some();
    let then =
        if ended { "the sweep has ended".to_owned() } else { format!("`hpo slurm submit {shown}` goes on from the last checkpoints") };
    tell(manners, &format!("all jobs are gone; {then}"));
    if manners.json {
        say!("{}", json!({"run": run.path(), "cancelled": true, "ended": ended}));
    }
    Ok(Exit::Done)
}

/// A driver that is asked by SIGTERM leaves the sweep as it is.
fn end(claim: &Claim) {
    claim.process.signal(Signal::SIGTERM);
    let begun = Instant::now();
    while claim.process.is_alive() && begun.elapsed() < DRIVER_ENDS {
        std::thread::sleep(BETWEEN / 10);
    }
    claim.process.signal(Signal::SIGKILL);
}
