//! `submit` and `script`.
use hpo_core::Sweep;
use hpo_driver::config::{Checked, plan};
use hpo_driver::engine::found;
use hpo_driver::journal;
use hpo_driver::launch::slurm::keep::{Asked, Notes};
use hpo_driver::launch::slurm::{DriverPlace, Jobs, Names};
use hpo_driver::rundir::RunDir;

use super::args::{Script, Submit};
use super::{absolute, checks, jobs, names, start, tell};
use crate::cli::args::{Manners, SweepFile};
use crate::cli::drive::{exit_of, frozen, new_run, runtime};
use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
use crate::cli::files;

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
                return Err(anyhow::anyhow!("--seed and --run-dir are for new sweeps")).or_exit(Exit::BadInput);
            }
            let begun = Some(journal::replay(&run.journal()).or_exit(Exit::RunFolder)?.sweep);
            return Ok(Self { checked: frozen(&run)?, run, begun, names });
        }
        let checked = files::load(&SweepFile { file: args.sweep.clone(), seed: args.seed }).or_exit(Exit::BadInput)?;
        if !manners.quiet {
            plan::warnings(&checked).iter().for_each(|warning| eprintln!("warning: {warning}"));
        }
        let run = absolute(&new_run(args.run_dir.as_deref(), &checked))?;
        // The id is drawn with the run.
        let names = Names::of(&checked.spec.name, "new");
        Ok(Self { checked, run, begun: None, names })
    }

    /// As many workers as the sweep can use now, and as there may be.
    fn tasks(&self, jobs: &Jobs) -> u32 {
        let appetite = self.begun.as_ref().map_or_else(|| Sweep::new(self.checked.spec.clone()).appetite(), Sweep::appetite);
        appetite.div_ceil(jobs.setup.slots).clamp(1, jobs.setup.max_workers)
    }
}

pub(super) fn submit(args: &Submit, manners: Manners) -> Outcome {
    let wanted = Wanted::of(args, manners)?;
    let jobs = jobs(&wanted.checked, &wanted.run, wanted.names.clone())?;
    let tasks = wanted.tasks(&jobs);
    let runtime = runtime()?;
    if wanted.begun.as_ref().is_some_and(|sweep| sweep.finished().is_some()) {
        return Err(anyhow::anyhow!("the sweep in `{}` has ended: there is nothing to submit", wanted.run.path().display()))
            .or_exit(Exit::BadInput);
    }
    if wanted.begun.is_none() && wanted.run.journal().exists() {
        let run = wanted.run.path().display();
        return Err(anyhow::anyhow!(
            "`{run}` holds a sweep already; go on with it by `hpo slurm submit {run}`, or choose another --run-dir"
        ))
        .or_exit(Exit::RunFolder);
    }
    let checks = runtime.block_on(checks::check(&jobs, tasks)).or_exit(Exit::BadInput)?;
    checks.warnings.iter().for_each(|warning| tell(manners, &format!("warning: {warning}")));
    if args.dry_run {
        show(&jobs, tasks);
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
    // What was asked of an earlier driver was for that one, and nodes may have been put right.
    Asked::default().write(&jobs.run).or_exit(Exit::RunFolder)?;
    let notes = Notes::read(&jobs.run).or_exit(Exit::RunFolder)?;
    Notes { bad_nodes: vec![], gave_up: None, ..notes }.write(&jobs.run).or_exit(Exit::RunFolder)?;
    if !manners.quiet {
        show(&jobs, tasks);
    }
    runtime.block_on(start::start(&jobs, tasks, checks.array_max, manners))
}

pub(super) fn script(args: &Script) -> Outcome {
    let checked = files::load(&args.sweep).or_exit(Exit::BadInput)?;
    let run = absolute(&new_run(args.run_dir.as_deref(), &checked))?;
    let names = if run.journal().is_file() { names(&run)? } else { Names::of(&checked.spec.name, "new") };
    let jobs = jobs(&checked, &run, names)?;
    let appetite = Sweep::new(checked.spec.clone()).appetite();
    show(&jobs, appetite.div_ceil(jobs.setup.slots).clamp(1, jobs.setup.max_workers));
    Ok(Exit::Done)
}

/// The scripts, each under the name by which the run folder keeps it.
fn show(jobs: &Jobs, tasks: u32) {
    match jobs.setup.driver {
        DriverPlace::Login => {}
        DriverPlace::Job => say!("# ---- driver.sbatch\n{}", jobs.driver()),
        DriverPlace::Task0 => {
            say!("# ---- workers.sbatch\n{}", jobs.workers_with_driver(tasks, &[]));
            return;
        }
    }
    say!("# ---- workers.sbatch\n{}", jobs.workers(tasks, &[], None));
}
