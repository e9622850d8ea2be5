//! Why slots have no lease.
use serde::Serialize;

use super::{Phase, Sweep};
use crate::schedule::Barrier;
use crate::sweep::EndReason;
use crate::{Resource, TrialId};

/// One reason why a slot that is there trains nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Their workers have not been heard of since the driver was started anew.
    Unheard {
        /// How many slots without a lease.
        slots: usize,
        /// Names of their workers.
        workers: Vec<String>,
    },
    /// Their workers leave, at the end of their allocations, too soon to train anything that could be kept.
    Spent {
        /// How many slots without a lease.
        slots: usize,
    },
    /// The searcher owes the values of these trials.
    Searcher {
        /// Which, in order.
        trials: Vec<TrialId>,
    },
    /// A rung from which nobody goes on yet.
    Barrier(RungBarrier),
    /// No further trial will start.
    NoMore {
        /// How many have started.
        started: u32,
        /// The searcher has nothing more to propose; else `max_trials` is reached.
        exhausted: bool,
    },
    /// Every trial has failed at its start so far: nothing new starts before one of those that run reports.
    Doubt {
        /// How many have failed.
        failed: u32,
    },
    /// The sweep stops for now, or for the given reason.
    Leaving(Option<EndReason>),
}

/// A rung from which nobody goes on before all of its members have come there or given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RungBarrier {
    /// Which bracket; 0 where there is one only.
    pub bracket: usize,
    /// The rung.
    pub resource: Resource,
    /// Who is on the way there, in order.
    pub trials: Vec<TrialId>,
    /// How many more are to enter the bracket.
    pub to_come: u32,
}

impl Sweep {
    /// Every reason why a slot has no lease, the plainest first. Empty if each has one, or none is there. O(trials).
    #[must_use]
    pub fn idle(&self) -> Vec<Idle> {
        let unheard = self.fleet.unheard();
        let spent = self.fleet.spent() + self.too_short();
        if self.fleet.free().is_empty() && unheard.is_empty() && spent == 0 {
            return vec![];
        }
        match self.phase {
            Phase::Open => {}
            Phase::Draining => return vec![Idle::Leaving(None)],
            Phase::Ending(why) | Phase::Finished(why) => return vec![Idle::Leaving(Some(why))],
        }
        let mut reasons = vec![];
        if !unheard.is_empty() {
            let workers = self.fleet.names().filter(|(worker, _)| unheard.iter().any(|slot| slot.worker == *worker));
            reasons.push(Idle::Unheard { slots: unheard.len(), workers: workers.map(|(_, name)| name.to_owned()).collect() });
        }
        if spent > 0 {
            reasons.push(Idle::Spent { slots: spent });
        }
        if self.fleet.free().is_empty() {
            return reasons;
        }
        if !self.asked.is_empty() {
            reasons.push(Idle::Searcher { trials: self.asked.iter().copied().collect() });
        }
        if self.in_doubt() {
            reasons.push(Idle::Doubt { failed: self.tally.failed });
        }
        reasons.extend(self.barriers().into_iter().map(Idle::Barrier));
        if !self.may_ask() {
            reasons.push(Idle::NoMore { started: self.trials.len() as u32, exhausted: self.exhausted });
        }
        reasons
    }

    /// Slots without a lease, and those of them that wait for values which the searcher owes. O(1).
    #[must_use]
    pub fn free_slots(&self) -> (usize, usize) {
        let free = self.fleet.free().len();
        let waiting = if self.phase == Phase::Open { self.asked.len().min(free) } else { 0 };
        (free, waiting)
    }

    /// Rungs that wait for the last of their members, of a rule that lets a rung go on together.
    #[must_use]
    pub fn barriers(&self) -> Vec<RungBarrier> {
        let ladder = self.spec.scheduler.ladder();
        let told =
            |at: Barrier| RungBarrier { bracket: at.bracket, resource: ladder.resource(at.rung), trials: at.trials, to_come: at.to_come };
        self.scheduler.barriers().into_iter().map(told).collect()
    }

    /// The trials that train now, in order.
    #[must_use]
    pub fn running(&self) -> Vec<TrialId> {
        let mut running: Vec<TrialId> = self.fleet.busy().map(|(_, trial)| trial).collect();
        running.sort_unstable();
        running
    }
}
