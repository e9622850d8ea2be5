//! Workers that come and go, and what they hold.
use super::action::Action;
use super::event::{Allocation, Held, Slot};
use super::trial::{Left, State};
use super::{Phase, Sweep};
use crate::{SlotId, Stamp, WorkerId};

impl Sweep {
    /// A worker that is not known brings its slots. They cost from the beginning of its allocation, but no time twice:
    /// one that was lost comes back with the same allocation. Answers since when they are in the books without having been given
    /// anything.
    pub(super) fn arrived(&mut self, worker: WorkerId, name: &str, slots: &[Slot], allocation: Option<&Allocation>) -> Stamp {
        let ends = allocation.and_then(|allocation| allocation.ends_in_ms).map(|left| self.now.plus(left));
        if self.fleet.knows(worker) {
            self.fleet.will_end(worker, self.now, ends);
            return self.now;
        }
        let begun = allocation.map_or(self.now, |allocation| Stamp(self.now.0.saturating_sub(allocation.started_ms_ago)));
        let since = self.booked.get(&worker).map_or(begun, |&until| begun.max(until));
        self.fleet.join(worker, name, slots.len());
        self.fleet.will_end(worker, self.now, ends);
        self.tally.gpus |= slots.iter().any(|slot| slot.milli_gpus > 0);
        for (slot, offer) in self.fleet.slot_ids(worker).into_iter().zip(slots) {
            self.ledger.join(slot, offer.milli_gpus, since);
        }
        if allocation.is_some() {
            self.booked.insert(worker, since);
        }
        since
    }

    pub(super) fn joined(&mut self, worker: WorkerId, holds: &[Held], since: Stamp, out: &mut Vec<Action>) {
        self.fleet.unpark(worker);
        self.fleet.slot_ids(worker).into_iter().for_each(|slot| self.ledger.thaw(slot));
        for &held in holds {
            let slot = held.on(worker);
            if !self.is_live(held, slot) && !self.take_back(held, slot, since) {
                out.push(Action::Stop { worker, held });
            }
        }
        // A lease that the worker does not know of never reached it.
        for (slot, id) in self.fleet.busy_of(worker) {
            let trial = &self.trials[id];
            let held = Held { trial: id, attempt: trial.attempt, slot: slot.index };
            if !holds.contains(&held) {
                out.push(Action::Lease(self.lease(id, slot, false)));
            }
            if trial.run.called_back {
                out.push(Action::CallBack { worker, held });
            }
        }
    }

    fn is_live(&self, held: Held, slot: SlotId) -> bool {
        self.trials.get(held.trial).is_some_and(|trial| trial.attempt == held.attempt && trial.state == State::Leased { slot })
    }

    /// A worker thought lost is back with its attempt, and nobody else got the trial meanwhile: it goes on, or saves its state. Nothing
    /// was lost then, and what its slot did `since` it is in the books again was this.
    fn take_back(&mut self, held: Held, slot: SlotId, since: Stamp) -> bool {
        let Some(trial) = self.trials.get_mut(held.trial) else { return false };
        // If not now, then never: what it says once it is told to stop is turned away, and would be missing later.
        let was_lost = trial.attempt == held.attempt && trial.state == State::Waiting && trial.lost_on.take_if(|on| *on == slot).is_some();
        if !was_lost || matches!(self.phase, Phase::Ending(_) | Phase::Finished(_)) || !self.fleet.free().contains(&slot) {
            return false;
        }
        trial.run.called_back |= self.phase == Phase::Draining;
        trial.state = State::Leased { slot };
        self.interrupted.retain(|&waiting| waiting != held.trial);
        self.fleet.occupy(slot, held.trial);
        if let Some(booked) = trial.run.booked.take() {
            self.ledger.resume(slot, booked, since);
        }
        true
    }

    /// A worker said goodbye (its attempts are interrupted) or is lost.
    pub(super) fn gone(&mut self, worker: WorkerId, said_so: bool, out: &mut Vec<Action>) {
        for (slot, id) in self.fleet.busy_of(worker) {
            if said_so {
                self.tally.preempted += 1;
                self.interrupt(id, slot, Left::NOTHING);
            } else {
                self.lost(id, slot, out);
                if let Some(trial) = self.trials.get_mut(id) {
                    trial.lost_on = Some(slot);
                }
            }
        }
        for slot in self.fleet.slot_ids(worker) {
            // Not until now, if it was silent since the driver before this one: should it come back, that time is still to be booked.
            let end = self.ledger.leave(slot, self.now);
            self.booked.entry(worker).and_modify(|until| *until = end.unwrap_or(*until));
        }
        self.fleet.leave(worker);
    }
}
