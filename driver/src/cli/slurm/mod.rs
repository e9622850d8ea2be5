//! `hpo slurm`: a sweep as jobs of Slurm.
mod args;
mod checks;
mod doctor;
mod driver;
mod manage;
mod patience;
mod start;
mod submit;

use anyhow::{Context, anyhow};
use hpo_driver::config::Checked;
use hpo_driver::journal::Reader;
use hpo_driver::launch::slurm::{Jobs, Names};
use hpo_driver::rundir::RunDir;

use super::args::Manners;
use super::exit::{Exit, Failure, OrExit, Outcome};
pub(super) use args::Slurm;
pub(super) use driver::driver;

pub(super) fn slurm(command: &Slurm, manners: Manners) -> Outcome {
    match command {
        Slurm::Submit(args) => submit::submit(args, manners),
        Slurm::Script(args) => submit::script(args, manners),
        Slurm::Status(folder) => manage::status(folder, manners),
        Slurm::Scale(args) => manage::scale(args, manners),
        Slurm::Drain(folder) => manage::drain(folder, manners),
        Slurm::Cancel(folder) => manage::cancel(folder, manners),
        Slurm::Doctor(args) => doctor::doctor(args, manners),
    }
}

/// What the jobs of an existing run are called.
fn names(run: &RunDir) -> Result<Names, Failure> {
    run.must_be_a_run().or_exit(Exit::RunFolder)?;
    let (header, _) = Reader::open(&run.journal()).or_exit(Exit::RunFolder)?;
    Ok(Names::of(&header.spec.name, &header.sweep))
}

/// The scripts of a run that has these names.
fn jobs(checked: &Checked, run: &RunDir, names: Names) -> Result<Jobs, Failure> {
    let Some(setup) = checked.slurm.clone() else {
        let file = checked.source.display();
        return Err(anyhow!("{file} has no [slurm]: a line `[slurm]` is enough to begin with, `hpo schema` tells its keys"))
            .or_exit(Exit::BadInput);
    };
    let program = std::env::current_exe().context("cannot find this program").or_exit(Exit::BadInput)?;
    Ok(Jobs { setup, run: absolute(run)?, program, folder: checked.base.clone(), names })
}

/// Jobs start elsewhere.
fn absolute(run: &RunDir) -> Result<RunDir, Failure> {
    Ok(RunDir::new(std::path::absolute(run.path()).or_exit(Exit::RunFolder)?))
}

/// Words for people, who may want none.
fn tell(manners: Manners, words: &str) {
    if !manners.quiet {
        mention!("{words}");
    }
}
