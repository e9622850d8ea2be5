//! What the time of one lease was.
use crate::{Millis, Stamp, TrialId};

/// What of a lease's time was not training, and which part of the training does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) startup: Millis,
    pub(crate) restore: Millis,
    pub(crate) checkpoint: Millis,
    /// Training since this moment has to be done again, or was none.
    pub(crate) lost_since: Option<Stamp>,
    /// Training until this moment had been done before.
    pub(crate) repeated_until: Stamp,
}

/// A stretch of a lease in which its slot was in the books without a gap. A lease has one, and one more for each time that its
/// worker was thought lost and came back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stint {
    pub(super) since: Stamp,
    pub(super) until: Stamp,
    /// What the slot counts for, in thousandths.
    pub(super) weight: u64,
}

impl Stint {
    pub(super) fn amount(self) -> u64 {
        self.weight * self.until.since(self.since)
    }

    /// What of it was before `at`.
    fn before(self, at: Stamp) -> u64 {
        Self { until: self.until.min(at), ..self }.amount()
    }
}

/// A lease that is in the books. All amounts are in milli-slot-milliseconds; they sum to its stints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Booked {
    pub(super) trial: TrialId,
    pub(super) stints: Vec<Stint>,
    pub(super) startup: u64,
    pub(super) restore: u64,
    pub(super) checkpoint: u64,
    pub(super) redone: u64,
    pub(super) kept: u64,
}

impl Booked {
    /// What the worker measured is believed only as far as the driver's own span reaches.
    pub(super) fn new(trial: TrialId, stints: Vec<Stint>, split: Split) -> Self {
        let all: u64 = stints.iter().map(|stint| stint.amount()).sum();
        let before = |at: Stamp| stints.iter().map(|stint| stint.before(at)).sum::<u64>();
        let weight = stints.last().map_or(0, |stint| stint.weight);
        let mut left = all;
        let mut take = |wanted: u64| {
            let part = wanted.min(left);
            left -= part;
            part
        };
        let startup = take(weight.saturating_mul(split.startup));
        let restore = take(weight.saturating_mul(split.restore));
        let checkpoint = take(weight.saturating_mul(split.checkpoint));
        let repeated = before(split.repeated_until).saturating_sub(startup + restore);
        let lost = split.lost_since.map_or(0, |since| (all - before(since)).saturating_sub(checkpoint));
        let redone = take(repeated.saturating_add(lost));
        Self { trial, stints, startup, restore, checkpoint, redone, kept: left }
    }
}
