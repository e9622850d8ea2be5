//! What must hold after every event.
use std::collections::BTreeSet;

use super::trial::State;
use super::{Phase, Sweep};
use crate::TrialId;

impl Sweep {
    /// Asserts every invariant. O(trials): on in debug builds of small sweeps, in the simulator, and in tests.
    ///
    /// # Panics
    /// If one does not hold: a fault of ours.
    pub fn check(&self) {
        self.scheduler.check();
        self.fleet.check();
        self.ledger.check(self.now, self.leaders.first().map(|(_, trial)| trial));
        let most = self.spec.budget.max_trials.unwrap_or(u32::MAX);
        assert!(self.next_trial <= most, "max_trials is never overshot");
        let queued: Vec<TrialId> = self.interrupted.iter().chain(&self.fresh).copied().collect();
        let distinct: BTreeSet<TrialId> = queued.iter().copied().collect();
        assert_eq!(queued.len(), distinct.len(), "nobody waits twice");
        let paused = || self.trials.iter().filter(|trial| trial.state == State::Paused);
        let hopeless = paused().filter(|trial| trial.hopeless).count();
        assert_eq!((self.tally.paused, self.tally.hopeless), (paused().count() as u32, hopeless as u32), "the paused are counted");
        let mut live = 0;
        for trial in self.trials.iter() {
            let id = &trial.id;
            assert!(!self.asked.contains(id), "a trial that came is not asked for");
            assert_eq!(trial.state == State::Waiting, distinct.contains(id), "trial {id} waits in a queue");
            if let State::Leased { slot } = trial.state {
                live += 1;
                assert!(self.fleet.busy().any(|busy| busy == (slot, *id)), "trial {id} runs where the fleet says");
                assert!(trial.run.from < trial.run.until, "a lease has something to do");
            }
            assert!(self.spec.space.contains(&trial.params).is_ok());
        }
        assert_eq!(live, self.fleet.live());
        if let Phase::Finished(_) = self.phase {
            assert_eq!(live, 0, "nothing runs after the end");
            let kept: BTreeSet<TrialId> = self.leaders.ids().collect();
            let mut holders = self.trials.iter().filter(|trial| trial.checkpoint.is_some());
            assert!(holders.all(|trial| kept.contains(&trial.id)), "only the best keep their state");
        }
    }
}
