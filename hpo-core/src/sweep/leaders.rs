//! The best trials by any report: the winner, and those whose state is kept to the end.
use crate::by_trial::ByTrial;
use crate::schedule::Place;
use crate::{Loss, TrialId};

/// States of this many best trials are kept to the end, for export and for retraining the finalists.
const KEPT: usize = 3;
/// So many are held in order; the others are looked through when too many of these have failed. What is answered does not depend on
/// it: in debug builds it is so small that sweeps of a few trials, as simulations play them, come to that, too.
const HELD: usize = if cfg!(debug_assertions) { KEPT + 1 } else { 64 };

/// All trials with a finite loss that have not failed. An update costs O(1), but that each [`HELD`] - [`KEPT`] failures of
/// trials among the best may cost one walk over all trials.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Leaders {
    /// The best of all, best first.
    held: Vec<Place>,
    /// How many are not held.
    others: usize,
    losses: ByTrial<Option<Loss>>,
}

impl Leaders {
    /// `trial` improved from `before` to `now` (finite). Returns who is the first that is not among the leaders now.
    pub(super) fn improved(&mut self, trial: TrialId, before: Option<Loss>, now: Loss) -> Option<TrialId> {
        let was_held = before.is_some_and(|before| self.take(trial, before));
        *self.losses.entry(trial) = Some(now);
        let place = (now, trial);
        // Whoever is better than one of those held, or than itself when it was, is better than all others.
        if was_held || self.others == 0 || self.held.last().is_some_and(|last| place < *last) {
            self.held.insert(self.held.partition_point(|other| *other < place), place);
        } else {
            self.others += 1;
        }
        if self.held.len() > HELD {
            self.held.pop();
            self.others += 1;
        }
        self.held.get(KEPT).map(|&(_, next)| next)
    }

    /// `trial` is no candidate any more.
    pub(super) fn remove(&mut self, trial: TrialId, best: Option<Loss>) {
        if let Some(best) = best {
            self.take(trial, best);
            self.refill();
        }
    }

    /// Returns whether it was held.
    fn take(&mut self, trial: TrialId, best: Loss) -> bool {
        let candidate = self.losses.entry(trial).take().is_some();
        let place = self.held.binary_search(&(best, trial));
        match place {
            Ok(index) => {
                self.held.remove(index);
            }
            Err(_) => self.others -= usize::from(candidate),
        }
        place.is_ok()
    }

    /// Looks through the others when those that are held do not suffice.
    fn refill(&mut self) {
        if self.held.len() > KEPT || self.others == 0 {
            return;
        }
        let mut all: Vec<Place> = self.losses.iter().filter_map(|(trial, loss)| Some(((*loss)?, trial))).collect();
        if all.len() > HELD {
            all.select_nth_unstable(HELD);
        }
        self.others = all.len().saturating_sub(HELD);
        all.truncate(HELD);
        all.sort_unstable();
        self.held = all;
    }

    pub(super) fn first(&self) -> Option<Place> {
        self.held.first().copied()
    }

    pub(super) fn contains(&self, trial: TrialId) -> bool {
        self.ids().any(|leader| leader == trial)
    }

    /// The best, best first.
    pub(super) fn ids(&self) -> impl Iterator<Item = TrialId> + '_ {
        self.held.iter().take(KEPT).map(|&(_, trial)| trial)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Against sorting all of them; failures hit the best most, so that those held run out.
        #[test]
        fn the_best_are_those_of_a_sorted_list(steps in prop::collection::vec((0_u32..300, 0_u8..100, 0_u8..3), 1..900)) {
            let mut leaders = Leaders::default();
            let mut book: BTreeMap<TrialId, Loss> = BTreeMap::new();
            for (trial, loss, what) in steps {
                let sorted = |book: &BTreeMap<TrialId, Loss>| {
                    let mut places: Vec<Place> = book.iter().map(|(&trial, &loss)| (loss, trial)).collect();
                    places.sort();
                    places
                };
                let (trial, loss) = (TrialId(trial), Loss::new(loss.into()));
                if what == 0 && book.len() > 100 {
                    let (best, trial) = sorted(&book)[trial.0 as usize % 5];
                    book.remove(&trial);
                    leaders.remove(trial, Some(best));
                } else if book.get(&trial).is_none_or(|before| loss < *before) {
                    let before = book.insert(trial, loss);
                    let next = leaders.improved(trial, before, loss);
                    prop_assert_eq!(next, sorted(&book).get(KEPT).map(|place| place.1));
                }
                let sorted = sorted(&book);
                prop_assert_eq!(leaders.first(), sorted.first().copied());
                prop_assert!(leaders.ids().eq(sorted.iter().take(KEPT).map(|place| place.1)));
                prop_assert_eq!(leaders.held.len() + leaders.others, book.len());
                prop_assert!(sorted.starts_with(&leaders.held));
            }
        }
    }
}
