//! `driver --standby`: waits for the end of a run's driver, and goes on in its place.
use std::net::TcpListener;
use std::time::Duration;

use hpo_driver::engine::{Begin, Drive, DriveFault, Settled, stand_by};
use hpo_driver::journal::{Gone, JournalFault, Standing};
use hpo_driver::rundir::RunDir;

use super::args::{Driver, Manners};
use super::drive::{Listen, exit_of, frozen, go_on, hearing, new_run, not_started, options, wait_for_the_start, warn_of_mount};
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::{files, runs};

/// A driver beats every two seconds: less than three beats would accuse the living.
const SHORTEST: Duration = Duration::from_secs(6);
/// Workers wait ten minutes for a driver, and need some of that to come back.
const LONGEST: Duration = Duration::from_secs(300);

/// Reads `--takeover-after`.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let patience = humantime::parse_duration(text).map_err(|why| why.to_string())?;
    if patience < SHORTEST {
        return Err(format!("a driver shows itself every two seconds, so give it {} s at least", SHORTEST.as_secs()));
    }
    if patience > LONGEST {
        return Err(format!("workers wait ten minutes for a driver, so give it {} s at most", LONGEST.as_secs()));
    }
    Ok(patience)
}

pub(super) fn standby(args: &Driver, listen: Listen, manners: Manners) -> Outcome {
    let (runtime, mut signals) = hearing()?;
    let run = run_of(args)?;
    warn_of_mount(&run, manners);
    let cannot_listen = |source| DriveFault::Listen { address: args.listen, source };
    // Now and not when it is needed: an address that is taken is noticed by whoever is still there.
    let listener = TcpListener::bind(listen.address).map_err(cannot_listen).or_exit(Exit::BadInput)?;
    loop {
        let waited = runtime.block_on(async {
            tokio::select! {
                gone = stand_by(&run, args.takeover_after, |standing| say(standing, &run, args.takeover_after, manners)) => gone.map(Some),
                _ = signals.next() => Ok(None),
            }
        });
        let Some((last, why)) = waited.or_exit(Exit::RunFolder)? else {
            tell(manners, "stopped waiting; nothing was touched");
            return Ok(Exit::Resumable);
        };
        let then = if matches!(why, Gone::Ended(_)) { "looking at what it has left" } else { "taking over" };
        tell(manners, &format!("{why}: {then}"));
        let checked = frozen(&run)?;
        let listener = listener.try_clone().map_err(cannot_listen).or_exit(Exit::BadInput)?;
        let options = options(&run, Begin::TakeOver { last }, &checked, listen, None);
        let started = runtime.block_on(signals.during(Drive::start_on(listener, options), || wait_for_the_start(manners)));
        let Some(started) = started else { return Ok(not_started(runtime, manners)) };
        match started {
            Ok(drive) => {
                tell(manners, &took_over(&why, drive.epoch(), &run));
                return go_on(runtime, drive, signals, &run, &checked, manners);
            }
            // Another standby was quicker: it is waited for now.
            Err(DriveFault::Journal(JournalFault::Raced { .. } | JournalFault::TakenOver { .. })) => {
                tell(manners, "another driver has taken over meanwhile: waiting again");
            }
            Err(fault @ DriveFault::Settled { how, .. }) => {
                tell(manners, &format!("{fault}: nothing is left to take over"));
                return settled(&run, how);
            }
            Err(fault) => return Err(Failure { exit: exit_of(&fault), why: fault.into() }),
        }
    }
}

/// The run folder of an existing or coming sweep. Whoever waits creates none.
fn run_of(args: &Driver) -> Result<RunDir, Failure> {
    if !args.sweep.is_file() {
        return Ok(RunDir::new(&args.sweep));
    }
    let file = super::args::SweepFile { file: args.sweep.clone(), seed: None };
    Ok(new_run(args.run_dir.as_deref(), &files::load(&file).or_exit(Exit::BadInput)?))
}

fn tell(manners: Manners, words: &str) {
    if !manners.quiet {
        mention!("{words}");
    }
}

fn say(standing: &Standing, run: &RunDir, patience: Duration, manners: Manners) {
    let run = run.path().display();
    let patience = humantime::format_duration(patience);
    tell(
        manners,
        &match standing {
            Standing::NoSweep => format!("standing by until a sweep is created in `{run}`"),
            Standing::Lives(claim) => {
                format!(
                    "standing by for `{run}`: its driver lives ({claim}); after its death, or {patience} without a sign of it, this one goes on"
                )
            }
            Standing::Quiet(claim) => format!("the driver of `{run}` ({claim}) is quiet; it has {patience} from its last sign"),
            Standing::Missing => format!("there is no run in `{run}` any more; if it does not come back within {patience}, this one ends"),
            Standing::Removed => format!("there is no run in `{run}` any more"),
            Standing::Gone { why, .. } => why.to_string(),
        },
    );
}

fn took_over(why: &Gone, epoch: u32, run: &RunDir) -> String {
    let run = run.path().display();
    match why {
        Gone::Silent { .. } => format!("took over `{run}` as epoch {epoch}; should the silent driver come back, it is fenced off"),
        _ => format!("took over `{run}` as epoch {epoch}"),
    }
}

/// The exit code of the driver that saw the end.
fn settled(run: &RunDir, how: Settled) -> Outcome {
    Ok(match how {
        Settled::Suspended => Exit::Resumable,
        Settled::Finished if runs::read(run)?.has_result() => Exit::Done,
        Settled::Finished => Exit::NoResult,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patience_of_less_than_three_beats_or_longer_than_that_of_workers_is_refused() {
        assert_eq!(patience("6s"), Ok(SHORTEST));
        assert_eq!(patience("2m"), Ok(Duration::from_secs(120)));
        assert!(patience("5s").unwrap_err().contains("6 s at least"));
        assert!(patience("301s").unwrap_err().contains("300 s at most"));
        assert!(patience("soon").is_err());
    }
}
