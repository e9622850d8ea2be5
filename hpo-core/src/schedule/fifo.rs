//! Every trial to the end, in the order in which they came: the baseline without early stopping.
use super::{Promotion, Rung, Scheduler, Verdict};
use crate::{Loss, TrialId};

/// Keeps no state: its ladder has one rung, and nobody is compared below the top.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

impl Fifo {
    /// The rule.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Scheduler for Fifo {
    fn entry(&self) -> Rung {
        0
    }
    fn reached(&mut self, _rung: Rung, _trial: TrialId, _loss: Loss) -> Verdict {
        Verdict::Continue
    }
    fn promote(&mut self) -> Option<Promotion> {
        None
    }
    fn gave_up(&mut self, _trial: TrialId) {}
    fn hopeless(&mut self) -> Vec<TrialId> {
        vec![]
    }
    fn standing(&self, _rung: Rung, _trial: TrialId) -> Option<(usize, usize)> {
        None
    }
    fn check(&self) {}
}
