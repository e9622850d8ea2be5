//! The best trials by any report: the winner, and those whose state is kept to the end.
use std::collections::BTreeSet;

use crate::{Loss, TrialId};

/// States of this many best trials are kept to the end, for export and for retraining the finalists.
const KEPT: usize = 3;

/// All trials with a finite loss that have not failed, best first. Updates cost O(log trials).
#[derive(Clone, Debug, Default)]
pub(super) struct Leaders(BTreeSet<(Loss, TrialId)>);

impl Leaders {
    /// `trial` improved from `before` to `now` (finite). Returns who is the first that is not among the leaders now.
    pub(super) fn improved(&mut self, trial: TrialId, before: Option<Loss>, now: Loss) -> Option<TrialId> {
        self.remove(trial, before);
        self.0.insert((now, trial));
        self.0.iter().nth(KEPT).map(|&(_, next)| next)
    }

    /// `trial` is no candidate any more.
    pub(super) fn remove(&mut self, trial: TrialId, best: Option<Loss>) {
        if let Some(best) = best {
            self.0.remove(&(best, trial));
        }
    }

    pub(super) fn first(&self) -> Option<(Loss, TrialId)> {
        self.0.first().copied()
    }

    pub(super) fn contains(&self, trial: TrialId) -> bool {
        self.ids().any(|leader| leader == trial)
    }

    /// The best, best first.
    pub(super) fn ids(&self) -> impl Iterator<Item = TrialId> + '_ {
        self.0.iter().take(KEPT).map(|&(_, trial)| trial)
    }
}
