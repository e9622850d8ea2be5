//! Starts or submits the driver, submits workers, and says what to watch.
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use hpo_driver::journal;
use hpo_driver::launch::slurm::call::scrubbed;
use hpo_driver::launch::slurm::keep::{Notes, Submitted};
use hpo_driver::launch::slurm::share::{self, Part};
use hpo_driver::launch::slurm::submit::{SubmitFault, sbatch_once, squeue};
use hpo_driver::launch::slurm::{DriverPlace, Jobs};
use hpo_driver::process::machine;
use hpo_driver::rundir::PRIVATE_FILE;

use super::tell;
use crate::cli::args::Manners;
use crate::cli::exit::{Exit, OrExit, Outcome};
use crate::cli::runs::unix_ms;

/// How long a driver may take to listen: a long journal is lived through before.
const LISTENS: Duration = Duration::from_secs(120);
/// How long its first submission is waited for.
const SUBMITS: Duration = Duration::from_secs(30);
/// How often both are looked for.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn start(jobs: &Jobs, tasks: u32, array_max: u32, manners: Manners) -> Outcome {
    let run = jobs.run.word();
    let submitted = match jobs.setup.driver {
        DriverPlace::Login => on_this_machine(jobs, tasks, manners).await,
        DriverPlace::Job => in_a_job(jobs, tasks, array_max, manners).await,
        DriverPlace::Task0 => in_task_0(jobs, tasks, array_max, manners).await,
    };
    let again = || format!("{run} is made, but its sweep does not run; once that is put right: `hpo slurm submit {run}`");
    let submitted = submitted.with_context(again).or_exit(Exit::Resumable)?;
    if manners.json {
        let arrays: Vec<u32> = submitted.iter().map(|one| one.array).collect();
        let tasks: u32 = submitted.iter().map(|one| one.tasks).sum();
        say!("{}", serde_json::json!({"run": jobs.run.path(), "name": jobs.names.workers, "arrays": arrays, "tasks": tasks}));
    }
    tell(
        manners,
        &format!(
            "watch it:    hpo slurm status {run}\n\
             workers:     squeue -n {}\n\
             more, less:  hpo slurm scale {run} N\n\
             stop:        hpo slurm drain {run}   (goes on with `hpo slurm submit {run}`)",
            jobs.names.workers
        ),
    );
    Ok(Exit::Done)
}

/// A driver that goes on when this terminal is closed. It submits the workers itself, if some are missing. What it has submitted.
async fn on_this_machine(jobs: &Jobs, missing: u32, manners: Manners) -> anyhow::Result<Vec<Submitted>> {
    let before = journal::last(jobs.run.path())?.map_or(0, |claim| claim.epoch);
    let known = Notes::read(&jobs.run)?.arrays;
    let log = jobs.run.logs().join("driver.log");
    let mut driver = detached(&[jobs.driver_command(), vec!["--background".to_owned()]].concat(), &log)
        .with_context(|| format!("cannot start the driver with its log in `{}`", log.display()))?;
    let listens = || hpo_driver::rendezvous::Rendezvous::read(&jobs.run).ok().flatten().is_some_and(|found| found.epoch > before);
    wait_for(&mut driver, &log, LISTENS, listens).await?;
    tell(manners, &format!("the driver runs here as process {}; its log is {}", driver.id(), log.display()));
    if missing == 0 {
        tell(manners, "its workers of before are still there");
        return Ok(vec![]);
    }
    // Numbers are given out again; the moment tells them apart.
    let is_known = |one: &Submitted| known.iter().any(|other| (other.array, other.unix_ms) == (one.array, one.unix_ms));
    let new = || -> Vec<Submitted> {
        let arrays = Notes::read(&jobs.run).unwrap_or_default().arrays;
        arrays.into_iter().filter(|one| !is_known(one)).collect()
    };
    if wait_for(&mut driver, &log, SUBMITS, || !new().is_empty()).await.is_err() {
        let run = jobs.run.word();
        tell(manners, &format!("Slurm has accepted no workers yet; the driver goes on trying, and `hpo slurm status {run}` tells"));
    }
    let arrays = new();
    arrays.iter().for_each(|one| tell(manners, &format!("array {}: {} workers", one.array, one.tasks)));
    Ok(arrays)
}

fn detached(command: &[String], log: &Path) -> io::Result<Child> {
    let log = File::options().create(true).append(true).mode(PRIVATE_FILE).open(log)?;
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // The driver is no part of the job that this may be called from.
    for name in scrubbed(std::env::vars_os().map(|(name, _)| name)) {
        command.env_remove(name);
    }
    command.spawn()
}

/// Waits until `done`; a driver that ends before that has failed.
async fn wait_for(driver: &mut Child, log: &Path, patience: Duration, done: impl Fn() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if done() {
            return Ok(());
        }
        if let Some(status) = driver.try_wait()? {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(12)..].join("\n");
            return Err(anyhow!("the driver ended ({status}); the last lines of `{}` are:\n{tail}", log.display()));
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(anyhow!("the driver shows nothing after {} s; see `{}`", patience.as_secs(), log.display()))
}

async fn in_a_job(jobs: &Jobs, tasks: u32, array_max: u32, manners: Manners) -> anyhow::Result<Vec<Submitted>> {
    let script = jobs.write("driver", &jobs.driver())?;
    let driver = sbatch_once(&script, &jobs.names.driver).await?;
    tell(manners, &format!("driver: job {driver}"));
    // Workers that begin before it would only wait for it, and an allocation costs as much idle as busy.
    submit_all(jobs, tasks, array_max, 0, manners, |jobs, tasks, _| jobs.workers(tasks, &[], Some(driver))).await
}

async fn in_task_0(jobs: &Jobs, tasks: u32, array_max: u32, manners: Manners) -> anyhow::Result<Vec<Submitted>> {
    let text = |jobs: &Jobs, tasks, first| if first { jobs.workers_with_driver(tasks, &[]) } else { jobs.workers(tasks, &[], None) };
    submit_all(jobs, tasks, array_max, 1, manners, text).await
}

/// Submits workers in as few arrays as the site takes, which share the throttle with those that are there. A limit that is met halves
/// what is asked for; with some workers a sweep goes on. At `least` so many may run beside what runs.
pub(super) async fn submit_all(
    jobs: &Jobs,
    tasks: u32,
    array_max: u32,
    least: u32,
    manners: Manners,
    text: impl Fn(&Jobs, u32, bool) -> String,
) -> anyhow::Result<Vec<Submitted>> {
    let (mut left, mut size) = (tasks, tasks.min(array_max));
    let mut notes = Notes { machine: machine(), ..Notes::read(&jobs.run)? };
    let mut submitted: Vec<Submitted> = vec![];
    let mut room = match jobs.setup.settings.throttle {
        throttle @ Some(_) => share::room(throttle, &squeue(&[&jobs.names.workers]).await?, &jobs.names.workers, &notes.arrays),
        None => None,
    }
    .map(|room| room.max(least));
    while let Some(Part { tasks, most }) = share::next(left, size, room) {
        let script = jobs.write("workers", &text(&jobs.with_throttle(most), tasks, submitted.is_empty()))?;
        match sbatch_once(&script, &jobs.names.workers).await {
            Ok(array) => {
                tell(manners, &format!("array {array}: {tasks} workers"));
                submitted.push(Submitted { array, tasks, unix_ms: unix_ms(), most });
                notes.arrays.extend(submitted.last().copied());
                notes.write(&jobs.run)?;
                left -= tasks;
                room = room.zip(most).map(|(room, most)| room - most);
            }
            Err(SubmitFault::Refused { why }) if tasks > 1 => {
                tell(manners, &format!("{tasks} workers were refused ({why}); trying with fewer"));
                size = tasks / 2;
            }
            Err(fault) if submitted.is_empty() => return Err(fault.into()),
            Err(fault) => {
                tell(manners, &format!("{left} workers were not submitted: {fault}"));
                break;
            }
        }
    }
    if left > 0 && room == Some(0) {
        tell(manners, &format!("{left} workers were not submitted: as many as `throttle` allows run without them"));
    }
    Ok(submitted)
}
