//! What each event does.
use super::action::{Action, Observation, Outcome};
use super::event::{Allocation, Checkpoint, End, Event, FailureKind, Held, Slot};
use super::trial::{State, Trial};
use super::{Phase, Sweep};
use crate::ledger::Split;
use crate::schedule::Verdict;
use crate::{Loss, Resource, SlotId, Stamp, TrialId, WorkerId};

/// All of an attempt's training is lost.
const ALL: Option<Stamp> = Some(Stamp(0));

impl Sweep {
    /// Applies one admitted event and appends what is to be done to `out`. Cannot fail; costs O(log trials), apart from
    /// a worker's coming and going, which costs O(its slots).
    ///
    /// # Panics
    /// If the event was not admitted, or time runs backwards: both are faults of the caller.
    pub fn apply(&mut self, at: Stamp, event: &Event, out: &mut Vec<Action>) {
        debug_assert_eq!(self.admit(event), Ok(()), "{event:?}");
        let at = at.min(Stamp::LATEST);
        assert!(at >= self.now, "time ran backwards: {at} after {}", self.now);
        let before = std::mem::replace(&mut self.now, at);
        match event {
            Event::DriverStarted { epoch } => self.driver_started(*epoch, before),
            Event::Suggested { trial, params, .. } => {
                self.asked.remove(trial);
                let target = self.scheduler.enter(*trial, params);
                self.trials.insert(Trial::new(*trial, params.clone(), target));
                self.fresh.push_back(*trial);
            }
            Event::Exhausted { trial } => {
                self.asked.remove(trial);
                self.exhausted = true;
            }
            Event::WorkerJoined { worker, name, slots, holds, allocation } => {
                self.arrived(*worker, name, slots, allocation.as_ref());
                self.joined(*worker, holds, out);
            }
            Event::WorkerLeaving { worker } => self.fleet.leaves(*worker, self.now),
            Event::WorkerLeft { worker } => self.gone(*worker, true, out),
            Event::WorkerLost { worker } => self.gone(*worker, false, out),
            Event::DrainAsked => {
                self.phase = Phase::Draining;
                self.call_back_all(out);
            }
            Event::Ticked => {}
            word => self.word(word, out),
        }
        if self.asked.is_empty() && !self.may_ask() {
            self.scheduler.no_more();
        }
        self.lose_hope(out);
        self.look_at_budget(out);
        self.fill(out);
        self.maybe_finish(out);
        if cfg!(debug_assertions) && self.trials.len() < 64 {
            self.check();
        }
    }

    /// `before` is when the driver before this one was last heard of: what happened since is known by nobody.
    fn driver_started(&mut self, epoch: u32, before: Stamp) {
        self.driver_epoch = epoch;
        self.ledger.freeze(before);
        self.fleet.park();
        if self.phase == Phase::Draining {
            self.phase = Phase::Open;
            self.ledger.drain(false, self.now);
        }
    }

    /// A word about a live attempt.
    fn word(&mut self, word: &Event, out: &mut Vec<Action>) {
        let Some((id, _, seq)) = word.about() else { return };
        let Some(slot) = self.lease_slot(id) else { return };
        let now = self.now;
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.run.seq = seq;
        let when = word.after().map_or(now, |after| trial.run.began.plus(after).min(now));
        if word.is_last() {
            trial.run.over = Some(when);
        }
        match word {
            Event::Started { startup_ms, restore_ms, .. } => {
                trial.run.startup_ms = *startup_ms;
                trial.run.restore_ms = *restore_ms;
            }
            Event::Reported { resource, loss, .. } => {
                if trial.run.last.is_none() {
                    self.pace.began(when.since(trial.run.began));
                }
                trial.run.last = Some((*resource, *loss, when));
                if *resource > trial.trained {
                    self.tally.resource += u64::from(resource.0 - trial.trained.0);
                    trial.trained = *resource;
                    trial.lost = 0;
                    self.progressed(id, slot, *resource, *loss, out);
                } else {
                    trial.run.repeated = Some(when);
                }
            }
            Event::Reached { resource, checkpoint, .. } => {
                self.pace.reached(when.since(trial.run.began), checkpoint.is_some());
                let reported = trial.run.last.filter(|(last, ..)| last == resource);
                match reported {
                    Some((_, loss, _)) => self.reached(id, slot, *resource, loss, checkpoint.as_ref(), out),
                    None => self.failed(id, slot, FailureKind::Protocol, "it reached the end of its lease without a report there", out),
                }
            }
            Event::Ended { how, .. } => self.ended(id, slot, how, out),
            _ => {}
        }
    }

    /// Lets go of the states of those that the scheduler will never promote.
    fn lose_hope(&mut self, out: &mut Vec<Action>) {
        for id in self.scheduler.hopeless() {
            if let Some(trial) = self.trials.get_mut(id) {
                trial.hopeless = true;
            }
            self.forget_if_useless(id, out);
        }
    }

    /// A trial came further than any attempt of it before: it may be the best, stand on a rung, or be stopped.
    fn progressed(&mut self, id: TrialId, slot: SlotId, resource: Resource, loss: Loss, out: &mut Vec<Action>) {
        let Some(trial) = self.trials.get_mut(id) else { return };
        if loss.is_finite() && trial.best.is_none_or(|(best, _)| loss < best) {
            let before = trial.best.map(|(best, _)| best);
            trial.best = Some((loss, resource));
            if let Some(dethroned) = self.leaders.improved(id, before, loss) {
                self.forget_if_useless(dethroned, out);
            }
        }
        let Some(trial) = self.trials.get_mut(id) else { return };
        let ladder = self.spec.scheduler.ladder();
        // A trainer that skips resources stands on a rung with its first report at or after it.
        let rung = ladder.rung_at(resource).map(|rung| ladder.resource(rung));
        if let Some(rung) = rung.filter(|rung| trial.results.last().is_none_or(|(last, _)| last < rung)) {
            trial.results.push((rung, loss));
            out.push(tell(trial, Outcome::Loss { resource: rung, loss }));
        }
        // At the end of its lease it is too late to stop it, and too early: its state is not safe yet.
        let ends = resource == trial.run.until;
        if self.scheduler.reported(id, resource, loss) == Verdict::Stop && !ends {
            self.close(id, slot, State::Stopped, Split::default(), None);
            self.tally.stopped += 1;
            let held = Held { trial: id, attempt: self.trials[id].attempt, slot: slot.index };
            out.push(Action::Stop { worker: slot.worker, held });
            self.forget_if_useless(id, out);
        }
    }

    /// The lease's range is done.
    fn reached(
        &mut self,
        id: TrialId,
        slot: SlotId,
        resource: Resource,
        loss: Loss,
        checkpoint: Option<&Checkpoint>,
        out: &mut Vec<Action>,
    ) {
        let split = Split { checkpoint: checkpoint.map_or(0, |checkpoint| checkpoint.wrote_ms), ..Split::default() };
        self.keep(id, checkpoint, out);
        let Some(trial) = self.trials.get_mut(id) else { return };
        let rung = trial.target;
        let top = rung == self.spec.scheduler.ladder().top();
        // Of several attempts that came here, the first counts.
        let loss = trial.results.last().filter(|(at, _)| *at == resource).map_or(loss, |&(_, first)| first);
        self.tally.reached += 1;
        if top {
            self.close(id, slot, State::Finished, split, Some(resource));
            self.tally.finished += 1;
            self.ledger.informed(id);
            self.forget_if_useless(id, out);
            return;
        }
        self.close(id, slot, State::Paused, split, Some(resource));
        if self.scheduler.reached(rung, id, loss) == Verdict::Stop {
            if let Some(trial) = self.trials.get_mut(id) {
                trial.state = State::Stopped;
            }
            self.tally.stopped += 1;
            self.forget_if_useless(id, out);
        } else {
            self.tally.paused += 1;
        }
    }

    /// The attempt ended before its lease did.
    fn ended(&mut self, id: TrialId, slot: SlotId, how: &End, out: &mut Vec<Action>) {
        match how {
            End::Preempted { checkpoint } => {
                self.tally.preempted += 1;
                let run = self.trials[id].run;
                let split = Split {
                    checkpoint: checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.wrote_ms),
                    // Training after the last report is not in the checkpoint; without one, all of it is lost.
                    lost_since: match (checkpoint, run.last) {
                        (Some(saved), Some((resource, _, at))) if saved.resource == resource => Some(at),
                        _ => ALL,
                    },
                    ..Split::default()
                };
                self.keep(id, checkpoint.as_ref(), out);
                match self.in_vain(id, checkpoint.is_some()) {
                    Some(why) => self.give_up(id, slot, &why, split, out),
                    None => self.interrupt(id, slot, split),
                }
            }
            // Told to stop by a Stop that has become moot, or by its own agent: it goes on later.
            End::Stopped | End::Lost => self.lost(id, slot, out),
            End::Failed { kind: FailureKind::Checkpoint, message } => self.damaged(id, slot, message, out),
            End::Failed { kind, message } => self.failed(id, slot, *kind, message, out),
        }
    }

    fn lost(&mut self, id: TrialId, slot: SlotId, out: &mut Vec<Action>) {
        self.tally.lost += 1;
        let split = Split { lost_since: ALL, ..Split::default() };
        let patience = self.spec.patience.lost_max;
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.lost += 1;
        if trial.lost <= patience {
            return self.interrupt(id, slot, split);
        }
        let message = format!("lost {} times in a row without progress", trial.lost);
        self.give_up(id, slot, &message, split, out);
    }

    /// It goes on as soon as there is a slot for it.
    fn interrupt(&mut self, id: TrialId, slot: SlotId, split: Split) {
        self.close(id, slot, State::Waiting, split, None);
        self.interrupted.push_back(id);
    }

    fn failed(&mut self, id: TrialId, slot: SlotId, kind: FailureKind, message: &str, out: &mut Vec<Action>) {
        self.tally.failures += 1;
        let retries = self.spec.patience.retries;
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.failures += 1;
        trial.failure = Some(message.to_owned());
        if kind.may_pass() && trial.failures <= retries {
            return self.interrupt(id, slot, Split { lost_since: ALL, ..Split::default() });
        }
        // What a trainer that hangs did since its last report was no training.
        let silent = (kind == FailureKind::Hang).then(|| trial.run.last.map_or(Stamp(0), |(.., at)| at));
        self.give_up(id, slot, message, Split { lost_since: silent, ..Split::default() }, out);
    }

    /// The trial ends as infeasible. Its training was not in vain: that it fails is known now.
    fn give_up(&mut self, id: TrialId, slot: SlotId, message: &str, split: Split, out: &mut Vec<Action>) {
        self.close(id, slot, State::Failed, split, None);
        self.tally.failed += 1;
        self.scheduler.gave_up(id);
        // What cannot be trained to its end is no winner, however well it began.
        self.leaders.remove(id, self.trials[id].best.map(|(loss, _)| loss));
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.failure = Some(message.to_owned());
        out.push(tell(trial, Outcome::Infeasible));
        self.forget_if_useless(id, out);
    }

    /// The newest checkpoint cannot be used: the one before it is, or none. It is not deleted before there is a newer one,
    /// for the fault may lie with the reader.
    fn damaged(&mut self, id: TrialId, slot: SlotId, message: &str, out: &mut Vec<Action>) {
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.failure = Some(message.to_owned());
        trial.suspects.extend(std::mem::replace(&mut trial.checkpoint, trial.previous.take()));
        self.lost(id, slot, out);
    }

    /// Ends the trial's lease: the slot is free, the time is booked.
    fn close(&mut self, id: TrialId, slot: SlotId, state: State, split: Split, in_memory: Option<Resource>) {
        let Some(trial) = self.trials.get_mut(id) else { return };
        let run = trial.run;
        trial.state = state;
        trial.lost_on = None;
        self.fleet.vacate(slot, in_memory);
        let end = run.over.unwrap_or(self.now);
        self.ledger.end(slot, end, Split { startup: run.startup_ms, restore: run.restore_ms, repeated_until: run.repeated, ..split });
    }

    /// A new safe state; the one before it stays until the next, in case this one turns out damaged.
    fn keep(&mut self, id: TrialId, checkpoint: Option<&Checkpoint>, out: &mut Vec<Action>) {
        let (Some(trial), Some(new)) = (self.trials.get_mut(id), checkpoint) else { return };
        if let Some(old) = trial.checkpoint.as_mut().filter(|old| old.id == new.id) {
            // The same content, but further on: a program that saves only its best state.
            *old = new.clone();
            return;
        }
        let old = std::mem::replace(&mut trial.previous, trial.checkpoint.replace(new.clone()));
        // One that could not be used and was written again is no other: it is kept now.
        let others = trial.suspects.drain(..).chain(old).filter(|other| other.id != new.id);
        out.extend(others.map(|checkpoint| Action::Forget { trial: id, checkpoint }));
    }

    /// Forgets the states of a trial that never runs again, unless it is among the best.
    pub(super) fn forget_if_useless(&mut self, id: TrialId, out: &mut Vec<Action>) {
        let Some(trial) = self.trials.get_mut(id) else { return };
        let never_again = trial.is_over() || (trial.state == State::Paused && trial.hopeless);
        let leads = self.leaders.contains(id);
        let doomed = if never_again && !leads { trial.checkpoint.take() } else { None };
        // A leader that never runs again needs only its newest state.
        let older = if never_again { trial.suspects.drain(..).chain(trial.previous.take()).collect() } else { vec![] };
        out.extend(doomed.into_iter().chain(older).map(|checkpoint| Action::Forget { trial: id, checkpoint }));
    }

    /// A worker that is not known brings its slots. They cost from the beginning of its allocation, but no time twice:
    /// one that was lost comes back with the same allocation.
    fn arrived(&mut self, worker: WorkerId, name: &str, slots: &[Slot], allocation: Option<&Allocation>) {
        let ends = allocation.and_then(|allocation| allocation.ends_in_ms).map(|left| self.now.plus(left));
        if self.fleet.knows(worker) {
            self.fleet.will_end(worker, self.now, ends);
            return;
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
    }

    fn joined(&mut self, worker: WorkerId, holds: &[Held], out: &mut Vec<Action>) {
        self.fleet.unpark(worker);
        self.fleet.slot_ids(worker).into_iter().for_each(|slot| self.ledger.thaw(slot));
        for &held in holds {
            let slot = held.on(worker);
            if !self.is_live(held, slot) && !self.take_back(held, slot) {
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

    /// A worker that was thought lost is back with its attempt, and nobody else got the trial meanwhile: it goes on.
    fn take_back(&mut self, held: Held, slot: SlotId) -> bool {
        let Some(trial) = self.trials.get_mut(held.trial) else { return false };
        // If not now, then never: what it says once it is told to stop is turned away, and would be missing later.
        let was_lost = trial.attempt == held.attempt && trial.state == State::Waiting && trial.lost_on.take_if(|on| *on == slot).is_some();
        if !was_lost || self.phase != Phase::Open || !self.fleet.free().contains(&slot) {
            return false;
        }
        trial.state = State::Leased { slot };
        // They are in the books already.
        (trial.run.startup_ms, trial.run.restore_ms) = (0, 0);
        self.interrupted.retain(|&waiting| waiting != held.trial);
        self.fleet.occupy(slot, held.trial);
        self.ledger.begin(slot, held.trial, self.now);
        true
    }

    /// A worker said goodbye (its attempts are interrupted) or is lost.
    fn gone(&mut self, worker: WorkerId, said_so: bool, out: &mut Vec<Action>) {
        for (slot, id) in self.fleet.busy_of(worker) {
            if said_so {
                self.tally.preempted += 1;
                self.interrupt(id, slot, Split { lost_since: ALL, ..Split::default() });
            } else {
                self.lost(id, slot, out);
                if let Some(trial) = self.trials.get_mut(id) {
                    trial.lost_on = Some(slot);
                }
            }
        }
        for slot in self.fleet.slot_ids(worker) {
            self.ledger.leave(slot, self.now);
        }
        if let Some(until) = self.booked.get_mut(&worker) {
            *until = self.now;
        }
        self.fleet.leave(worker);
    }
}

fn tell(trial: &Trial, outcome: Outcome) -> Action {
    Action::Tell(Observation { trial: trial.id, params: trial.params.clone(), outcome })
}
