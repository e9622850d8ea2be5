//! Where the slot time went: what a sweep makes of so many workers, and what keeps it from making more of them.
use hpo_core::Millis;
use hpo_core::ledger::Uses;
use serde::Serialize;

use super::outcome::seconds;

/// Slot time by what it was spent on, in milliseconds. The parts sum to all of it, up to a millisecond each for rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Training that counts.
    pub work: Millis,
    /// Workers and trainers that start, and states that are read.
    pub startup: Millis,
    /// Slots that wait for the driver's answer or for the searcher's, although there is something to train.
    pub dispatch: Millis,
    /// States that are written.
    pub checkpoint: Millis,
    /// Training that had to be done again.
    pub redone: Millis,
    /// Slots for which there is nothing to train: at a rung that waits for its last members, and at the end of the sweep.
    pub idle: Millis,
}

impl Split {
    /// From the sweep's books, and from what they do not know: `joining`, the time in which workers started, and `starved`, the
    /// time in which slots had nothing to wait for.
    pub(super) fn of(uses: &Uses, joining: Millis, starved: Millis) -> Self {
        let restful = (uses.idle + uses.drain) / 1000;
        Self {
            work: (uses.winner + uses.explored + uses.stopped) / 1000,
            startup: (uses.startup + uses.restore) / 1000 + joining,
            dispatch: restful.saturating_sub(joining + starved),
            checkpoint: uses.checkpoint / 1000,
            redone: uses.redone / 1000,
            idle: starved,
        }
    }

    /// Everything.
    #[must_use]
    pub fn total(&self) -> Millis {
        self.parts().iter().map(|(_, part)| part).sum()
    }

    /// Each part with its name, in the order of the tables.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, Millis); 6] {
        [
            ("work", self.work),
            ("start-up", self.startup),
            ("dispatch", self.dispatch),
            ("checkpoint", self.checkpoint),
            ("redone", self.redone),
            ("idle", self.idle),
        ]
    }

    /// The share of the slot time that one part is; 0 if there was no time at all.
    #[must_use]
    pub fn share(&self, part: Millis) -> f64 {
        let total = self.total();
        if total == 0 { 0.0 } else { part as f64 / total as f64 }
    }
}

/// As `hpo simulate --json` writes it, in seconds.
#[derive(Serialize)]
pub(super) struct Seconds {
    work: f64,
    startup: f64,
    dispatch: f64,
    checkpoint: f64,
    redone: f64,
    idle: f64,
}

impl From<Split> for Seconds {
    fn from(split: Split) -> Self {
        Self {
            work: seconds(split.work),
            startup: seconds(split.startup),
            dispatch: seconds(split.dispatch),
            checkpoint: seconds(split.checkpoint),
            redone: seconds(split.redone),
            idle: seconds(split.idle),
        }
    }
}
