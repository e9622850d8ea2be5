//! What ends a sweep.
use super::action::{Action, EndReason};
use super::event::Held;
use super::trial::State;
use super::{Phase, Sweep};
use crate::Stamp;

impl Sweep {
    /// When a budget of time must be looked at again: the engine is to send [`super::Event::Ticked`] then.
    #[must_use]
    pub fn next_tick(&self) -> Option<Stamp> {
        if self.phase != Phase::Open {
            return None;
        }
        let wall = self.spec.budget.wall.map(Stamp);
        let reserved = self.spec.budget.reserved.and_then(|limit| self.ledger.reaches(weighted(limit), self.now));
        wall.into_iter().chain(reserved).min()
    }

    pub(super) fn look_at_budget(&mut self, out: &mut Vec<Action>) {
        if self.phase != Phase::Open {
            return;
        }
        let budget = &self.spec.budget;
        let target = budget.target.map(|metric| self.spec.goal.loss(metric));
        let why = if target.is_some_and(|target| self.leaders.first().is_some_and(|(best, _)| best <= target)) {
            EndReason::Target
        } else if budget.wall.is_some_and(|wall| self.now >= Stamp(wall)) {
            EndReason::Wall
        } else if budget.reserved.is_some_and(|limit| self.ledger.reserved(self.now) >= weighted(limit)) {
            EndReason::GpuHours
        } else if self.in_doubt() && self.fleet.live() == 0 && self.interrupted.is_empty() {
            EndReason::NothingStarts
        } else {
            return;
        };
        self.phase = Phase::Ending(why);
        self.asked.clear();
        self.call_back_all(out);
    }

    /// So many trials have failed and none has ever reported that nothing new starts before one does.
    pub(super) fn in_doubt(&self) -> bool {
        self.tally.resource == 0 && self.spec.budget.setup_failures.is_some_and(|most| self.tally.failed >= most)
    }

    /// Every live attempt writes its state and leaves: what was trained is not lost, and the best model can be exported.
    pub(super) fn call_back_all(&mut self, out: &mut Vec<Action>) {
        self.ledger.drain(true, self.now);
        for (slot, id) in self.fleet.busy() {
            if let Some(trial) = self.trials.get_mut(id) {
                trial.run.called_back = true;
                let held = Held { trial: id, attempt: trial.attempt, slot: slot.index };
                out.push(Action::CallBack { worker: slot.worker, held });
            }
        }
    }

    pub(super) fn maybe_finish(&mut self, out: &mut Vec<Action>) {
        let why = match self.phase {
            Phase::Ending(why) if self.fleet.live() == 0 => why,
            Phase::Open if self.fleet.live() == 0 && self.asked.is_empty() && !self.may_ask() => {
                if !self.nobody_waits() {
                    return;
                }
                EndReason::Complete
            }
            _ => return,
        };
        self.phase = Phase::Finished(why);
        self.ledger.drain(true, self.now);
        for trial in self.trials.iter_mut() {
            let id = trial.id;
            let leads = self.leaders.contains(id);
            let newest = if leads { None } else { trial.checkpoint.take() };
            out.extend(
                trial
                    .suspects
                    .drain(..)
                    .chain(newest)
                    .chain(trial.previous.take())
                    .map(|checkpoint| Action::Forget { trial: id, checkpoint }),
            );
        }
        out.push(Action::Finish { why });
    }
}

impl Sweep {
    /// Whether there is no trial that a slot could be given. Slots that leave too soon for one are there to ask.
    fn nobody_waits(&mut self) -> bool {
        // Nobody of them could be done on the slots that are free.
        if !self.interrupted.is_empty() {
            return false;
        }
        // A slot that `fill` left free proves that the scheduler promotes none.
        if !self.fleet.free().is_empty() {
            return true;
        }
        if self.fleet.spent() == 0 {
            return false;
        }
        let Some(id) = self.next_ready() else { return true };
        if let Some(trial) = self.trials.get_mut(id) {
            trial.state = State::Waiting;
        }
        self.interrupted.push_front(id);
        false
    }
}

/// Budgets are in slot-milliseconds, the ledger in milli-slot-milliseconds.
fn weighted(limit: u64) -> u64 {
    limit.saturating_mul(1000)
}
