//! `submit` and `script`.
use anyhow::anyhow;
use hpo_core::{Event, Sweep};
use hpo_driver::config::{Checked, plan};
use hpo_driver::engine::found;
use hpo_driver::journal;
use hpo_driver::launch::slurm::keep::{Asked, Notes};
use hpo_driver::launch::slurm::submit::squeue;
use hpo_driver::launch::slurm::{DriverPlace, Jobs, Names};
use hpo_driver::rundir::RunDir;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::args::{Script, Submit};
use super::manage::alive;
use super::{absolute, checks, jobs, names, start, tell};
use crate::cli::args::{Manners, SweepFile};
use crate::cli::drive::{exit_of, frozen, new_run, runtime};
use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
use crate::cli::files;

const WORKERS: &str = "workers.sbatch";

/// A sweep that is to be submitted.
struct Wanted {
    checked: Checked,
    run: RunDir,
    /// As far as it got before.
    begun: Option<Sweep>,
    names: Names,
}

impl Wanted {
    fn of(args: &Submit, manners: Manners) -> Result<Self, Failure> {
        if args.sweep.is_dir() {
            let run = absolute(&RunDir::new(&args.sweep))?;
            let names = names(&run)?;
            if args.seed.is_some() || args.run_dir.is_some() {
                return Err(anyhow!("--seed and --run-dir are for new sweeps")).or_exit(Exit::BadInput);
            }
            let sweep = journal::replay(&run.journal()).or_exit(Exit::RunFolder)?.sweep;
            return Ok(Self { checked: frozen(&run)?, run, begun: Some(reopened(sweep)), names });
        }
        let checked = files::load(&SweepFile { file: args.sweep.clone(), seed: args.seed }).or_exit(Exit::BadInput)?;
        if !manners.quiet {
            plan::warnings(&checked).iter().for_each(|warning| mention!("warning: {warning}"));
        }
        let run = absolute(&new_run(args.run_dir.as_deref(), &checked))?;
        // The id is drawn with the run.
        let names = Names::of(&checked.spec.name, "new");
        Ok(Self { checked, run, begun: None, names })
    }

    /// Whether there is something to submit, and nobody has.
    fn check(&self, runtime: &Runtime) -> Result<(), Failure> {
        let (run, word) = (self.run.path().display(), self.run.word());
        let Some(sweep) = &self.begun else {
            let why = anyhow!(
                "`{run}` holds a sweep already; go on with it by `hpo slurm submit {word}` if it has not ended, or choose another --run-dir"
            );
            return if self.run.journal().exists() { Err(why).or_exit(Exit::RunFolder) } else { Ok(()) };
        };
        if sweep.finished().is_some() {
            return Err(anyhow!("the sweep in `{run}` has ended: there is nothing to submit")).or_exit(Exit::BadInput);
        }
        if let Some(claim) = journal::living(self.run.path()).or_exit(Exit::RunFolder)? {
            let why = anyhow!("the sweep in `{run}` has a living driver ({claim}); `hpo slurm status {word}` tells");
            return Err(why).or_exit(Exit::RunFolder);
        }
        let queue = runtime.block_on(squeue(&[&self.names.driver])).or_exit(Exit::BadInput)?;
        match queue.tasks.iter().find(|task| task.state.is_alive()) {
            Some(task) => {
                Err(anyhow!("the driver of `{run}` is job {}; `hpo slurm cancel {word}` ends it", task.job)).or_exit(Exit::RunFolder)
            }
            None => Ok(()),
        }
    }

    /// As many workers as the sweep can use now, and as there may be.
    fn tasks(&self, jobs: &Jobs, asked: Asked) -> u32 {
        let appetite = self.begun.as_ref().map_or_else(|| Sweep::new(self.checked.spec.clone()).appetite(), Sweep::appetite);
        appetite.div_ceil(jobs.setup.slots).clamp(1, asked.max_workers.unwrap_or(jobs.setup.max_workers))
    }

    /// Those of them that are not there yet: workers outlive their driver. A driver that is a worker itself needs one task anyway.
    fn missing(&self, runtime: &Runtime, jobs: &Jobs, tasks: u32) -> Result<u32, Failure> {
        let driver = u32::from(jobs.setup.driver == DriverPlace::Task0);
        if self.begun.is_none() {
            return Ok(tasks);
        }
        let queue = runtime.block_on(squeue(&[&self.names.workers])).or_exit(Exit::BadInput)?;
        Ok(tasks.saturating_sub(alive(&queue, &self.names.workers)).max(driver))
    }
}

/// The sweep as the next driver will find it: one that was told to stop for now is open again.
fn reopened(mut sweep: Sweep) -> Sweep {
    if sweep.finished().is_none() {
        let (now, epoch) = (sweep.now(), sweep.driver_epoch().saturating_add(1));
        sweep.apply(now, &Event::DriverStarted { epoch }, &mut vec![]);
    }
    sweep
}

pub(super) fn submit(args: &Submit, manners: Manners) -> Outcome {
    let wanted = Wanted::of(args, manners)?;
    let jobs = jobs(&wanted.checked, &wanted.run, wanted.names.clone())?;
    // What people asked for stays asked for; that it should stop is over.
    let asked = Asked { drain: false, ..Asked::read(&wanted.run).or_exit(Exit::RunFolder)? };
    let runtime = runtime()?;
    // The first question tells whether anybody answers.
    let array_max = runtime.block_on(checks::array_max(manners)).or_exit(Exit::BadInput)?;
    wanted.check(&runtime)?;
    let tasks = wanted.missing(&runtime, &jobs, wanted.tasks(&jobs, asked))?;
    let checks = runtime.block_on(checks::check(&jobs, tasks.max(1), array_max, manners)).or_exit(Exit::BadInput)?;
    checks.warnings.iter().for_each(|warning| tell(manners, &format!("warning: {warning}")));
    if args.dry_run {
        if manners.json {
            let scripts = as_json(&scripts(&jobs, tasks));
            say!("{}", json!({"run": jobs.run.path(), "submitted": false, "tasks": tasks, "start": checks.start, "scripts": scripts}));
        } else {
            show(&jobs, tasks);
        }
        tell(manners, &format!("Slurm would take it ({}); nothing was submitted", checks.start));
        return Ok(Exit::Done);
    }
    let names = match wanted.begun {
        None => {
            found(&wanted.run, &(&wanted.checked).into()).map_err(|fault| Failure { exit: exit_of(&fault), why: fault.into() })?;
            names(&wanted.run)?
        }
        Some(_) => wanted.names,
    };
    let jobs = Jobs { names, ..jobs };
    asked.write(&jobs.run).or_exit(Exit::RunFolder)?;
    // Nodes may have been put right.
    let notes = Notes::read(&jobs.run).or_exit(Exit::RunFolder)?;
    Notes { bad_nodes: vec![], gave_up: None, ..notes }.write(&jobs.run).or_exit(Exit::RunFolder)?;
    if !manners.quiet && !manners.json {
        show(&jobs, tasks);
    }
    runtime.block_on(start::start(&jobs, tasks, array_max, manners))
}

pub(super) fn script(args: &Script, manners: Manners) -> Outcome {
    let checked = files::load(&args.sweep).or_exit(Exit::BadInput)?;
    let run = absolute(&new_run(args.run_dir.as_deref(), &checked))?;
    let names = if run.journal().is_file() { names(&run)? } else { Names::of(&checked.spec.name, "new") };
    let jobs = jobs(&checked, &run, names)?;
    let appetite = Sweep::new(checked.spec.clone()).appetite();
    let tasks = appetite.div_ceil(jobs.setup.slots).clamp(1, jobs.setup.max_workers);
    if manners.json {
        say!("{}", json!({"run": jobs.run.path(), "tasks": tasks, "scripts": as_json(&scripts(&jobs, tasks))}));
    } else {
        show(&jobs, tasks);
    }
    Ok(Exit::Done)
}

/// The scripts, each with the name by which the run folder keeps it; none for workers where all are there.
fn scripts(jobs: &Jobs, tasks: u32) -> Vec<(&'static str, String)> {
    let workers = || (tasks > 0).then(|| (WORKERS, jobs.workers(tasks, &[], None)));
    match jobs.setup.driver {
        DriverPlace::Login => workers().into_iter().collect(),
        DriverPlace::Job => [("driver.sbatch", jobs.driver())].into_iter().chain(workers()).collect(),
        DriverPlace::Task0 => vec![(WORKERS, jobs.workers_with_driver(tasks, &[]))],
    }
}

fn show(jobs: &Jobs, tasks: u32) {
    scripts(jobs, tasks).iter().for_each(|(name, text)| say!("# ---- {name}\n{text}"));
}

fn as_json(scripts: &[(&str, String)]) -> Value {
    scripts.iter().map(|(name, text)| json!({"name": name, "text": text})).collect()
}
