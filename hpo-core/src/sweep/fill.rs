//! Which free slot gets which trial.
use std::cell::LazyCell;

use super::action::{Action, Lease};
use super::trial::{Run, State, Unsaved};
use super::{Phase, Sweep};
use crate::{Attempt, SlotId, TrialId};

impl Sweep {
    /// Gives every free slot something to do, and asks for new trials for those that stay free.
    pub(super) fn fill(&mut self, out: &mut Vec<Action>) {
        if self.phase != Phase::Open {
            return;
        }
        self.fleet.retire(self.now, self.pace.need());
        while !self.fleet.free().is_empty() {
            let Some(id) = self.next_ready() else { break };
            let trial = &self.trials[id];
            let Some((slot, in_place)) = self.fleet.choose(id, trial.resumes_at(), trial.unsaved.need, self.now) else { break };
            self.begin(id, slot);
            out.push(Action::Lease(self.lease(id, slot, in_place)));
        }
        while self.asked.len() < self.fleet.free().len() && self.may_ask() && !self.in_doubt() {
            let trial = TrialId(self.next_trial);
            self.next_trial += 1;
            self.asked.insert(trial);
            out.push(Action::Suggest { trial });
        }
    }

    /// Slots that are free only because their workers leave too soon for whoever waits.
    pub(super) fn too_short(&self) -> usize {
        if self.interrupted.is_empty() { 0 } else { self.fleet.free().len().saturating_sub(self.asked.len()) }
    }

    /// Interrupted trials first (they hold state, and others wait for their result), then the scheduler's promotions,
    /// then new trials. Passed over is who could not be done on any free slot before its worker leaves.
    pub(super) fn next_ready(&mut self) -> Option<TrialId> {
        // Hardly anyone has such a need, and all workers are looked at for it.
        let room = LazyCell::new(|| self.fleet.room(self.now));
        let fits = |id: &TrialId| match self.trials[*id].unsaved.need {
            0 => !self.fleet.free().is_empty(),
            need => room.is_some_and(|room| need <= room),
        };
        if let Some(place) = self.interrupted.iter().position(fits) {
            return self.interrupted.remove(place);
        }
        if self.in_doubt() {
            return None;
        }
        let Some(promotion) = self.scheduler.promote() else { return self.fresh.pop_front() };
        let trial = self.trials.get_mut(promotion.trial)?;
        trial.target = promotion.to;
        trial.promoted = true;
        trial.unsaved = Unsaved::default();
        self.tally.paused -= 1;
        self.ledger.informed(promotion.trial);
        Some(promotion.trial)
    }

    pub(super) fn may_ask(&self) -> bool {
        !self.exhausted && self.spec.budget.max_trials.is_none_or(|most| self.next_trial < most)
    }

    fn begin(&mut self, id: TrialId, slot: SlotId) {
        let ladder = self.spec.scheduler.ladder();
        if let Some(trial) = self.trials.get_mut(id) {
            trial.attempt = Attempt(trial.attempt.0 + 1);
            trial.state = State::Leased { slot };
            trial.lost_on = None;
            trial.run = Run { began: self.now, from: trial.resumes_at(), until: ladder.resource(trial.target), ..Run::default() };
        }
        self.fleet.occupy(slot, id);
        self.ledger.begin(slot, id, self.now);
    }

    /// The lease of a live attempt, as it was or is to be sent.
    pub(super) fn lease(&self, id: TrialId, slot: SlotId, in_place: bool) -> Lease {
        let trial = &self.trials[id];
        Lease {
            trial: id,
            attempt: trial.attempt,
            slot,
            params: trial.params.clone(),
            from: trial.run.from,
            until: trial.run.until,
            checkpoint: trial.checkpoint.clone(),
            seed: self.spec.seed.derive("train", id.0.into()),
            in_place,
        }
    }
}
