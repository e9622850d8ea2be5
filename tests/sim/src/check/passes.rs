//! What the time of a trial's attempts was, counted unit by unit from all that is known of them, anew whenever more is known.
//!
//! By the design: a unit may be trained several times, and one pass counts. A pass is undone if its attempt ends without a state that
//! holds it, unless the attempt came to its end, was stopped, or showed that the trial fails. Of the others the first counts. All the
//! rest is redone, and so is what an attempt did after its last report, if that was undone or silence. Whoever comes back with an
//! attempt that was thought lost brings its passes back: it has never ended.
//!
//! Of an attempt's time on its slot first the start counts, then the reading of its state; the last is the writing of one. Units
//! between two reports take equally long.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Attempt, Stamp, TrialId};

use super::act::Of;

/// All attempts so far.
#[derive(Debug, Default)]
pub(super) struct Passes {
    trials: BTreeMap<TrialId, BTreeMap<Attempt, Tried>>,
    of: BTreeMap<TrialId, Hours>,
    /// Of all trials.
    pub(super) all: Hours,
}

/// One attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried {
    /// Where it began, and when it was given its first slot.
    pub(super) from: u32,
    pub(super) given: Stamp,
    /// Since when it had a slot, until when, and what that counts for.
    stays: Vec<(Stamp, Stamp, u128)>,
    /// What its worker said of it.
    pub(super) startup: u64,
    pub(super) restore: u64,
    pub(super) wrote: u64,
    pub(super) reports: Vec<(u32, Stamp)>,
    pub(super) leaves: Leaves,
    /// It has ended: when, by its worker's word.
    over: Option<Stamp>,
}

/// Which of its passes an attempt leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leaves {
    /// All, and nothing that it did was in vain.
    #[default]
    All,
    /// Those up to this unit, and nothing of what came after its last report.
    UpTo(u32),
}

/// Time of attempts that have ended, in thousandths of a slot times milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hours {
    pub(super) startup: u128,
    pub(super) restore: u128,
    pub(super) wrote: u128,
    pub(super) redone: u128,
    pub(super) counts: u128,
}

impl Hours {
    pub(super) fn sum(&self) -> u128 {
        self.startup + self.restore + self.wrote + self.redone + self.counts
    }

    fn each(&mut self, other: &Self, what: impl Fn(&mut u128, u128)) {
        what(&mut self.startup, other.startup);
        what(&mut self.restore, other.restore);
        what(&mut self.wrote, other.wrote);
        what(&mut self.redone, other.redone);
        what(&mut self.counts, other.counts);
    }
}

impl Tried {
    /// What its slot was its own for before `at`. Nobody has it any more when it is over.
    fn had(&self, at: Stamp) -> u128 {
        let at = at.min(self.over.unwrap_or(at));
        self.stays.iter().map(|(since, until, weight)| weight * u128::from(at.min(*until).since(*since))).sum()
    }

    /// When it had trained so much.
    fn when(&self, unit: u32) -> Stamp {
        let mut last = (self.from, self.given.plus(self.startup.saturating_add(self.restore)));
        for &(reported, at) in &self.reports {
            if reported >= unit {
                let took = at.since(last.1) * u64::from(unit - last.0) / u64::from(reported - last.0);
                return last.1.plus(took);
            }
            last = (reported, at);
        }
        last.1
    }

    /// Its hours, after those that have done these units.
    fn hours(&self, done: &mut BTreeSet<u32>) -> Hours {
        let all = self.had(Stamp(u64::MAX));
        let weight = self.stays.last().map_or(0, |(.., weight)| *weight);
        let startup = all.min(weight * u128::from(self.startup));
        let restore = (all - startup).min(weight * u128::from(self.restore));
        let wrote = (all - startup - restore).min(weight * u128::from(self.wrote));
        let (begin, end) = (startup + restore, all - wrote);
        let (mut at, mut redone) = (begin as i128, 0_i128);
        let last = self.reports.last().map_or(self.from, |(unit, _)| *unit);
        for unit in self.from + 1..=last {
            let then = self.had(self.when(unit)).clamp(begin, end) as i128;
            let undone = matches!(self.leaves, Leaves::UpTo(most) if unit > most);
            if undone || !done.insert(unit) {
                redone += then - at;
            }
            at = then;
        }
        if self.leaves != Leaves::All {
            redone += end as i128 - at;
        }
        let redone = redone.unsigned_abs();
        Hours { startup, restore, wrote, redone, counts: end - begin - redone }
    }
}

impl Passes {
    /// What is known of an attempt.
    pub(super) fn tried(&mut self, of: Of) -> &mut Tried {
        self.trials.entry(of.trial).or_default().entry(of.attempt).or_default()
    }

    /// An attempt ended: it had a slot from `since` to `until`, and ended, by its worker's word, at `over`. Answers how much of its
    /// time on slots was after that.
    pub(super) fn ended(&mut self, of: Of, since: Stamp, until: Stamp, weight: u128, over: Stamp) -> u128 {
        let tried = self.tried(of);
        tried.stays.push((since, until, weight));
        let all = tried.had(Stamp(u64::MAX));
        tried.over = Some(over);
        let waited = all - tried.had(Stamp(u64::MAX));
        self.count(of.trial);
        waited
    }

    /// One that had ended goes on. Answers whether there was such a one, or this is its beginning.
    pub(super) fn goes_on(&mut self, of: Of) -> bool {
        let tried = self.tried(of);
        (tried.over, tried.leaves, tried.wrote) = (None, Leaves::All, 0);
        let known = !tried.stays.is_empty();
        self.count(of.trial);
        known
    }

    /// What an attempt that has a slot again had before.
    pub(super) fn before(&self, of: Of) -> u128 {
        let tried = self.trials.get(&of.trial).and_then(|trial| trial.get(&of.attempt));
        tried.filter(|tried| tried.over.is_none()).map_or(0, |tried| tried.had(Stamp(u64::MAX)))
    }

    fn count(&mut self, trial: TrialId) {
        let mut done = BTreeSet::new();
        let mut new = Hours::default();
        for tried in self.trials.get(&trial).into_iter().flat_map(BTreeMap::values).filter(|tried| tried.over.is_some()) {
            new.each(&tried.hours(&mut done), |sum, part| *sum += part);
        }
        let old = self.of.insert(trial, new).unwrap_or_default();
        self.all.each(&new, |sum, part| *sum += part);
        self.all.each(&old, |sum, part| *sum -= part);
    }

    /// The hours of each trial.
    pub(super) fn by_trial(&self) -> impl Iterator<Item = (TrialId, &Hours)> {
        self.of.iter().map(|(trial, hours)| (*trial, hours))
    }
}
