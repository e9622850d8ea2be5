//! What trainers say and write: figures and states.
use hpo_core::{Attempt, Metrics, Resource, TrialId};

use super::World;
use crate::store::State;

impl World {
    /// The same trial has the same figures wherever and however often it is trained, unless this world's are fickle.
    pub(super) fn figures(&self, trial: TrialId, attempt: Attempt, resource: u32) -> Metrics {
        let share = |purpose: &str, index: u64| self.setup.curves.derive(purpose, index).0 as f64 / u64::MAX as f64;
        let (place, odd) = (u64::from(trial.0), &self.setup.odd);
        let diverges = self.setup.curves.derive("diverges", place).0;
        let breaks_at = 1 + diverges / 1000 % 9;
        let again = if odd.fickle { u64::from(attempt.0) << 16 } else { 0 };
        let noise = odd.noise * share("noise", place << 32 | again | u64::from(resource));
        let mut loss = odd.loss(share("quality", place) + 1.0 / f64::from(resource) + noise);
        if diverges % 1000 < u64::from(self.setup.faults.nan_pm) && u64::from(resource) >= breaks_at {
            loss = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][(diverges % 3) as usize];
        }
        let metric = self.setup.spec.goal.metric(hpo_core::Loss::new(loss));
        [(self.setup.spec.metric.clone(), metric)].into_iter().collect()
    }

    /// The state goes to where the lease says.
    pub(super) fn write_state(&mut self, worker: usize, slot: u16) {
        if self.setup.odd.saves_nothing {
            return;
        }
        let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.as_ref()) else { return };
        let (trial, resource) = (TrialId(work.start.trial), Resource(work.done));
        let path = work.start.checkpoint_out.clone();
        let mut cut_off = false;
        if self.healed.is_none() && self.chance.hits("state", self.setup.faults.state_pm) {
            self.blame(worker, slot);
            if self.chance.one_of("state is missing or cut off", 2) == 0 {
                return;
            }
            cut_off = true;
        }
        // The store's names hold the trial's number, so that states of different trials are never one file.
        let part = if self.setup.odd.best_only { 0 } else { u64::from(resource.0) << 1 };
        let content = self.setup.curves.derive("state", u64::from(trial.0) << 32 | part | u64::from(cut_off));
        let id = format!("{:016x}", content.0).repeat(4);
        self.store.write(&path, State { trial, resource, id, cut_off });
    }
}
