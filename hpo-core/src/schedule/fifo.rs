//! Every trial to the end, in the order in which they came: the baseline without early stopping.
use super::{Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::{Loss, Params, TrialId};

/// Keeps no state: the first lease leads to the top, and nobody is compared below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fifo {
    top: Rung,
}

impl Fifo {
    /// The rule.
    #[must_use]
    pub fn new(ladder: &Ladder) -> Self {
        Self { top: ladder.top() }
    }

    /// All trials come to every rung.
    #[must_use]
    pub fn worst_arrivals(ladder: &Ladder, trials: u32) -> Vec<u64> {
        vec![trials.into(); ladder.rungs().len()]
    }
}

impl Scheduler for Fifo {
    fn enter(&mut self, _trial: TrialId, _params: &Params) -> Rung {
        self.top
    }
    fn reached(&mut self, _rung: Rung, trial: TrialId, _loss: Loss) -> Verdict {
        unreachable!("trial {trial}: the first lease leads to the top")
    }
    fn promote(&mut self) -> Option<Promotion> {
        None
    }
    fn gave_up(&mut self, _trial: TrialId) {}
    fn hopeless(&mut self) -> Vec<TrialId> {
        vec![]
    }
    fn standing(&self, _rung: Rung, _trial: TrialId) -> Option<Standing> {
        None
    }
    fn rivals(&self, _rung: Rung, _trial: TrialId) -> Vec<Place> {
        vec![]
    }
    fn check(&self) {}
}
