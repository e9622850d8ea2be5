//! How many slots a sweep can use: what whoever starts workers must know.
use super::{Phase, Sweep};
use crate::WorkerId;

impl Sweep {
    /// How many slots the sweep could use now, those with a lease among them. Exact where slots are free or new trials are to come;
    /// else an estimate, for which paused trials a scheduler will promote is known only once it does: of those that still may be
    /// promoted, one in `eta`. At least 1 as long as the sweep is open, for only a worker that is there can bring it to its end.
    /// O(1).
    #[must_use]
    pub fn appetite(&self) -> u32 {
        let live = self.fleet.live();
        match self.phase {
            Phase::Open => {}
            Phase::Draining | Phase::Ending(_) => return count(live),
            Phase::Finished(_) => return 0,
        }
        let known = live + self.interrupted.len() + self.fresh.len() + self.asked.len() + self.too_short();
        let wanted = if self.in_doubt() {
            live + self.interrupted.len()
        } else if self.may_ask() {
            known.saturating_add(self.spec.budget.max_trials.map_or(usize::MAX, |most| most.saturating_sub(self.next_trial) as usize))
        } else if self.fleet.free().is_empty() {
            known + self.promotable().div_ceil(self.spec.scheduler.ladder().eta() as usize)
        } else {
            // A slot that is free although nothing new comes shows that nobody is promoted now.
            known
        };
        count(wanted.max(1))
    }

    /// Workers in tasks of a batch system that have no lease on any slot: those whose time ends first come first.
    #[must_use]
    pub fn resting_tasks(&self) -> Vec<WorkerId> {
        let busy = |worker: &WorkerId| !self.fleet.busy_of(*worker).is_empty();
        let mut resting: Vec<WorkerId> =
            self.fleet.workers().into_iter().filter(|worker| self.booked.contains_key(worker) && !busy(worker)).collect();
        resting.sort_by_key(|worker| self.fleet.end_of(*worker));
        resting
    }

    /// Paused trials of which one may still go on.
    fn promotable(&self) -> usize {
        self.tally.paused.saturating_sub(self.tally.hopeless) as usize
    }
}

fn count(slots: usize) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}
