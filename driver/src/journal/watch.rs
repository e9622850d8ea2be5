//! Whether the driver of a run is gone, as it looks to one who waits. Time comes in: the waiter's own, which never runs
//! back. The clocks of other hosts are not believed; what counts is that a claim changes.
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::claim::{self, Claim};
use super::fault::JournalFault;
use super::fence::BEAT;
use super::place::Place;

/// A driver that has given no sign for so long is worth a word.
const QUIET: Duration = Duration::from_secs(6);
/// A single look is worth no more silence than this: who was held up himself has not listened.
const LOOK_MAX: Duration = BEAT;

/// What can be seen of a run at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// No journal: the sweep has not been created.
    Nothing,
    /// A journal, but nobody has claimed it: a copy of a run folder.
    Unclaimed,
    /// The last claim.
    Claimed {
        /// The claim.
        claim: Claim,
        /// Its driver is proved to have ended.
        over: bool,
        /// When it was touched, by some clock.
        touched: SystemTime,
    },
}

impl Sight {
    /// Looks at a run folder, which need not exist.
    ///
    /// # Errors
    /// If it cannot be read. Then nothing was seen, which says nothing about the driver.
    pub fn of(folder: &Path) -> Result<Self, JournalFault> {
        match Place::of(folder) {
            Ok(place) if place.path().is_file() => {}
            Ok(_) => return Ok(Self::Nothing),
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(other) => return Err(JournalFault::io(folder, "list")(other)),
        }
        let Some(claim) = claim::last(folder)? else { return Ok(Self::Unclaimed) };
        let touched = claim::touched(folder, claim.epoch).map_err(JournalFault::io(folder, "read the claim in"))?;
        Ok(Self::Claimed { over: claim.is_over(), claim, touched })
    }
}

/// How it stands with the driver of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no sweep yet.
    NoSweep,
    /// There was a sweep, and its run folder is empty or not there. A network file system may show that for a moment.
    Missing,
    /// That has been so for as long as a driver may be silent.
    Removed,
    /// Its driver lives.
    Lives(Claim),
    /// Its driver has given no sign for more than six seconds, but may still live.
    Quiet(Claim),
    /// Nobody drives it.
    Gone {
        /// The last epoch that was claimed; 0 if none was.
        epoch: u32,
        /// How that is known.
        why: Gone,
    },
}

/// How it is known that a driver is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// There never was one.
    #[error("nobody has ever driven this copy of the run folder")]
    Never,
    /// It said so.
    #[error("the driver ({0}) has ended")]
    Ended(Claim),
    /// Its process is dead, on this host.
    #[error("the driver ({0}) is dead")]
    Dead(Claim),
    /// It has given no sign for too long.
    #[error("the driver ({claim}) has given no sign for {} s", silent.as_secs())]
    Silent {
        /// Its claim.
        claim: Claim,
        /// For how long.
        silent: Duration,
    },
}

/// The memory of one who waits.
#[derive(Clone, Debug)]
pub struct Watch {
    patience: Duration,
    last: Option<(u32, SystemTime)>,
    looked: Duration,
    silent: Duration,
    missing: Duration,
}

impl Watch {
    /// One who takes a driver for gone after `patience` without a sign.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience, last: None, looked: Duration::ZERO, silent: Duration::ZERO, missing: Duration::ZERO }
    }

    /// What follows from what was seen at `now`, counted by any clock that never runs back.
    pub fn look(&mut self, now: Duration, sight: Sight) -> Standing {
        let passed = now.saturating_sub(self.looked).min(LOOK_MAX);
        self.looked = now;
        let (claim, over, touched) = match sight {
            Sight::Nothing => return self.nothing(passed),
            // Claims are never removed: somebody is removing the folder.
            Sight::Unclaimed if self.last.is_some() => return self.nothing(passed),
            Sight::Unclaimed => return Standing::Gone { epoch: 0, why: Gone::Never },
            Sight::Claimed { claim, over, touched } => (claim, over, touched),
        };
        self.missing = Duration::ZERO;
        let epoch = claim.epoch;
        if over {
            let why = if claim.ended { Gone::Ended(claim) } else { Gone::Dead(claim) };
            return Standing::Gone { epoch, why };
        }
        if self.last == Some((epoch, touched)) {
            self.silent += passed;
        } else {
            self.last = Some((epoch, touched));
            self.silent = Duration::ZERO;
        }
        match self.silent {
            silent if silent >= self.patience => Standing::Gone { epoch, why: Gone::Silent { claim, silent } },
            silent if silent > QUIET => Standing::Quiet(claim),
            _ => Standing::Lives(claim),
        }
    }

    fn nothing(&mut self, passed: Duration) -> Standing {
        if self.last.is_none() {
            return Standing::NoSweep;
        }
        self.missing += passed;
        if self.missing < self.patience { Standing::Missing } else { Standing::Removed }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn claim(epoch: u32) -> Claim {
        Claim { epoch, ..Claim::unknown(epoch) }
    }

    /// A claim that was touched at `touched` by the clock of its host.
    fn seen(epoch: u32, touched: u64) -> Sight {
        Sight::Claimed { claim: claim(epoch), over: false, touched: UNIX_EPOCH + Duration::from_secs(touched) }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_of_the_whole_patience_is_the_end_and_no_less() {
        let mut watch = Watch::new(PATIENCE);
        for second in 0..30 {
            let standing = watch.look(at(second), seen(1, 5));
            let expected = if second > 6 { Standing::Quiet(claim(1)) } else { Standing::Lives(claim(1)) };
            assert_eq!(standing, expected, "after {second} s");
        }
        let gone = Standing::Gone { epoch: 1, why: Gone::Silent { claim: claim(1), silent: PATIENCE } };
        assert_eq!(watch.look(at(30), seen(1, 5)), gone);
    }

    #[test]
    fn any_change_is_a_sign_of_life_whatever_the_other_clock_says() {
        let mut watch = Watch::new(PATIENCE);
        // Slow, but it beats; its clock is years off and runs back.
        for (beat, second) in (0..3000).step_by(29).enumerate() {
            for later in 0..29 {
                let standing = watch.look(at(second + later), seen(1, 1_000_000 - beat as u64));
                assert!(matches!(standing, Standing::Lives(_) | Standing::Quiet(_)), "{standing:?}");
            }
        }
    }

    #[test]
    fn who_was_held_up_himself_accuses_nobody() {
        let mut watch = Watch::new(PATIENCE);
        watch.look(at(0), seen(1, 5));
        // Stopped, or stuck in the same file system, for an hour.
        assert_eq!(watch.look(at(3600), seen(1, 5)), Standing::Lives(claim(1)));
        assert_eq!(watch.look(at(3601), seen(1, 6)), Standing::Lives(claim(1)));
    }

    #[test]
    fn a_successor_gets_the_whole_time() {
        let mut watch = Watch::new(PATIENCE);
        (0..30).for_each(|second| drop(watch.look(at(second), seen(1, 5))));
        assert_eq!(watch.look(at(30), seen(2, 5)), Standing::Lives(claim(2)));
        assert!(matches!(watch.look(at(59), seen(2, 5)), Standing::Lives(_)), "one look, however late, proves little");
    }

    #[test]
    fn a_run_folder_that_is_missing_for_the_whole_patience_was_removed_and_no_earlier() {
        let mut watch = Watch::new(PATIENCE);
        watch.look(at(0), seen(1, 5));
        (1..30).for_each(|second| assert_eq!(watch.look(at(second), Sight::Nothing), Standing::Missing, "after {second} s"));
        // Shown again: the time begins anew.
        assert_eq!(watch.look(at(30), seen(1, 6)), Standing::Lives(claim(1)));
        (31..60).for_each(|second| assert_eq!(watch.look(at(second), Sight::Nothing), Standing::Missing, "after {second} s"));
        assert_eq!(watch.look(at(60), Sight::Unclaimed), Standing::Removed, "a journal is left, and its claims are gone");
    }

    #[test]
    fn who_came_before_the_sweep_waits_for_it_for_as_long_as_it_takes() {
        let mut watch = Watch::new(PATIENCE);
        (0..3000).for_each(|second| assert_eq!(watch.look(at(second), Sight::Nothing), Standing::NoSweep));
    }

    #[test]
    fn a_proof_of_the_end_needs_no_patience() {
        let mut watch = Watch::new(PATIENCE);
        assert_eq!(watch.look(at(0), Sight::Nothing), Standing::NoSweep);
        let over = |ended| Sight::Claimed { claim: Claim { ended, ..claim(3) }, over: true, touched: UNIX_EPOCH };
        assert!(matches!(watch.look(at(1), over(false)), Standing::Gone { epoch: 3, why: Gone::Dead(_) }));
        assert!(matches!(watch.look(at(2), over(true)), Standing::Gone { epoch: 3, why: Gone::Ended(_) }));
        assert_eq!(watch.look(at(0), Sight::Unclaimed), Standing::Gone { epoch: 0, why: Gone::Never });
    }
}
