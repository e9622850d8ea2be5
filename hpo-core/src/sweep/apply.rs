//! What each event does.
use super::action::{Action, Observation, Outcome};
use super::event::{Checkpoint, End, Event, FailureKind, Held};
use super::trial::{Left, State, Trial};
use super::{Phase, Sweep};
use crate::schedule::Verdict;
use crate::{Loss, Resource, SlotId, Stamp, TrialId};

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
            Event::WorkerJoined { worker, name, slots, holds, allocation, leaving } => {
                let since = self.arrived(*worker, name, slots, allocation.as_ref());
                leaving.then(|| self.fleet.leaves(*worker, self.now));
                self.joined(*worker, holds, since, out);
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
                trial.run.reports.push((*resource, when));
                if *resource > trial.trained {
                    self.tally.resource += u64::from(resource.0 - trial.trained.0);
                    trial.trained = *resource;
                    trial.lost = 0;
                    self.progressed(id, slot, *resource, *loss, out);
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
                self.tally.hopeless += u32::from(trial.state == State::Paused && !trial.hopeless);
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
            self.told.push(id);
            out.push(tell(trial, Outcome::Loss { resource: rung, loss }));
        }
        // At the end of its lease it is too late to stop it, and too early: its state is not safe yet.
        let ends = resource == trial.run.until;
        if self.scheduler.reported(id, resource, loss) == Verdict::Stop && !ends {
            self.close(id, slot, State::Stopped, Left::ALL, None);
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
        let left = Left { wrote_ms: checkpoint.map_or(0, |checkpoint| checkpoint.wrote_ms), ..Left::ALL };
        self.keep(id, checkpoint, out);
        let Some(trial) = self.trials.get_mut(id) else { return };
        let rung = trial.target;
        let top = rung == self.spec.scheduler.ladder().top();
        // Of several attempts that came here, the first counts.
        let loss = trial.results.last().filter(|(at, _)| *at == resource).map_or(loss, |&(_, first)| first);
        self.tally.reached += 1;
        if top {
            self.close(id, slot, State::Finished, left, Some(resource));
            self.tally.finished += 1;
            self.ledger.informed(id);
            self.forget_if_useless(id, out);
            return;
        }
        self.close(id, slot, State::Paused, left, Some(resource));
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
                // Training after the last report is not in the checkpoint; without one, all of it is lost.
                let left = checkpoint.as_ref().map_or(Left::NOTHING, |state| Left { wrote_ms: state.wrote_ms, safe: Some(state.resource) });
                self.keep(id, checkpoint.as_ref(), out);
                match self.in_vain(id, checkpoint.is_some()) {
                    Some(why) => self.give_up(id, slot, &why, left, out),
                    None => self.interrupt(id, slot, left),
                }
            }
            // Told to stop by a Stop that has become moot, or by its own agent: it goes on later.
            End::Stopped | End::Lost => self.lost(id, slot, out),
            End::Failed { kind: FailureKind::Checkpoint, message } => self.damaged(id, slot, message, out),
            End::Failed { kind, message } => self.failed(id, slot, *kind, message, out),
        }
    }

    pub(super) fn lost(&mut self, id: TrialId, slot: SlotId, out: &mut Vec<Action>) {
        self.tally.lost += 1;
        let patience = self.spec.patience.lost_max;
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.lost += 1;
        if trial.lost <= patience {
            return self.interrupt(id, slot, Left::NOTHING);
        }
        let message = format!("lost {} times in a row without progress", trial.lost);
        self.give_up(id, slot, &message, Left::NOTHING, out);
    }

    /// It goes on as soon as there is a slot for it.
    pub(super) fn interrupt(&mut self, id: TrialId, slot: SlotId, left: Left) {
        self.close(id, slot, State::Waiting, left, None);
        self.interrupted.push_back(id);
    }

    fn failed(&mut self, id: TrialId, slot: SlotId, kind: FailureKind, message: &str, out: &mut Vec<Action>) {
        self.tally.failures += 1;
        let retries = self.spec.patience.retries;
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.failures += 1;
        trial.failure = Some(message.to_owned());
        if kind.may_pass() && trial.failures <= retries {
            return self.interrupt(id, slot, Left::NOTHING);
        }
        // What a trainer that hangs did since its last report was no training.
        let left = if kind == FailureKind::Hang { Left::SILENCE } else { Left::ALL };
        self.give_up(id, slot, message, left, out);
    }

    /// The trial ends as infeasible. Its training was not in vain: that it fails is known now.
    fn give_up(&mut self, id: TrialId, slot: SlotId, message: &str, left: Left, out: &mut Vec<Action>) {
        self.close(id, slot, State::Failed, left, None);
        self.tally.failed += 1;
        self.scheduler.gave_up(id);
        // What cannot be trained to its end is no winner, however well it began.
        self.leaders.remove(id, self.trials[id].best.map(|(loss, _)| loss));
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.failure = Some(message.to_owned());
        self.told.push(id);
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
    fn close(&mut self, id: TrialId, slot: SlotId, state: State, left: Left, in_memory: Option<Resource>) {
        let Some(trial) = self.trials.get_mut(id) else { return };
        trial.state = state;
        trial.lost_on = None;
        let (end, split) = (trial.run.over.unwrap_or(self.now), trial.settle(left));
        self.fleet.vacate(slot, in_memory);
        let booked = self.ledger.end(slot, end, split);
        if state == State::Waiting {
            trial.run.booked = booked;
        } else {
            trial.run.reports = vec![];
        }
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
}

fn tell(trial: &Trial, outcome: Outcome) -> Action {
    Action::Tell(Observation { trial: trial.id, params: trial.params.clone(), outcome })
}
