//! Leases that are begun again, of which nothing was saved: a program may save its state only at the end.
//!
//! By the design: an attempt that was called back, and not by the sweep itself, and left no state shows how much time the next one at
//! this lease must have: as long as all of it takes by the last report of such an attempt, and in any case a quarter more than it had. A worker that
//! stays for seven eighths of what the one stays that stays longest of those there is good enough all the same. Interrupted trials
//! that no free slot holds are passed over. Whoever had a slot for at least half of the longest stay more than `lost_max` times, and
//! saved nothing, is given up.
use hpo_core::{Millis, TrialId};

use super::{Book, Place};
use crate::check::act::Of;

/// What such attempts of a trial have shown, since its last state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vain {
    /// The next must have so much time; 0: it is not known.
    pub need: Millis,
    /// How many had a slot for at least half of the longest stay.
    pub long: u32,
}

impl Book {
    /// How long the worker stays that stays longest, of those that the journal believes in.
    fn longest_stay(&self) -> Millis {
        self.slots.keys().map(|place| self.pace.stay(place.worker)).max().unwrap_or(Millis::MAX)
    }

    /// Whether the worker of that slot is there for long enough for this trial.
    #[must_use]
    pub fn holds(&self, place: Place, trial: TrialId) -> bool {
        let need = self.trials.get(&trial).map_or(0, |row| row.vain.need);
        let longest = self.longest_stay();
        need == 0 || self.pace.left(place.worker, self.at) >= need.min(longest - longest / 8)
    }

    /// The interrupted trial whose turn it is: the first for which a free slot is good.
    #[must_use]
    pub fn next_interrupted(&self) -> Option<TrialId> {
        let free: Vec<Place> = self.free().collect();
        self.interrupted.iter().copied().find(|trial| free.iter().any(|place| self.holds(*place, *trial)))
    }

    /// An attempt was called back after `took`, and left nothing: whether its trial is given up.
    pub(super) fn in_vain(&mut self, of: Of, took: Millis) -> bool {
        if self.called_back.contains(&of) {
            return false;
        }
        let longest = self.longest_stay();
        let heard = self.pace.heard(of);
        let row = self.trials.entry(of.trial).or_default();
        let whole =
            heard.map_or(row.vain.need, |(resource, at)| at * u64::from(row.until - row.from) / u64::from(resource - row.from).max(1));
        row.vain.need = whole.max(took + took / 4);
        row.vain.long += u32::from(2 * (took + 1) > longest);
        row.vain.long > self.spec.patience.lost_max
    }
}
