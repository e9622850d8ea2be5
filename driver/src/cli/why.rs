//! `why`: what decided about one trial.
use hpo_core::TrialId;
use hpo_driver::report::{self, WhyFault};
use hpo_driver::rundir::RunDir;

use super::args::{Manners, Why};
use super::exit::{Exit, OrExit, Outcome};
use super::runs;

pub(super) fn why(args: &Why, manners: Manners) -> Outcome {
    let run = RunDir::new(&args.run);
    run.must_be_a_run().or_exit(Exit::RunFolder)?;
    let live = runs::living(&run)?.is_some();
    let read = report::Why::read(&run, TrialId(args.trial), live);
    let exit = if matches!(read, Err(WhyFault::NoTrial { .. })) { Exit::BadInput } else { Exit::RunFolder };
    let why = read.or_exit(exit)?;
    if !manners.json {
        super::print(&why.text());
        return Ok(Exit::Done);
    }
    say!("{}", serde_json::to_string(&why.line()).or_exit(Exit::RunFolder)?);
    for moment in why.moments() {
        say!("{}", serde_json::to_string(&moment).or_exit(Exit::RunFolder)?);
    }
    Ok(Exit::Done)
}
