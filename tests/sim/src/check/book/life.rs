//! The life of a trial, by the words about it.
use hpo_core::sweep::event::{Checkpoint, End, FailureKind};
use hpo_core::{Event, Loss, Millis, TrialId};

use super::{Book, Move, Place, Vain};
use crate::check::act::{Act, Leased, Of};

/// Where a trial stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It wants a slot.
    #[default]
    Waiting,
    /// It has one.
    Leased,
    /// It stands on a rung.
    Paused,
    /// It has come to the top.
    Finished,
    /// It was stopped.
    Stopped,
    /// It failed for good.
    Failed,
}

impl Life {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed)
    }
}

/// One trial.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Where it stands.
    pub life: Life,
    /// Its newest attempt; 0 before the first.
    pub attempt: u32,
    /// Where that began.
    pub from: u32,
    /// Where it ends.
    pub until: u32,
    /// Its last report.
    pub last: Option<(u32, Loss)>,
    /// The most that any attempt has reported.
    pub trained: u32,
    /// The best finite loss of any report that came further than those before.
    pub best: Option<Loss>,
    /// Where it had that.
    pub best_at: u32,
    /// It was promoted at least once.
    pub promoted: bool,
    /// A state of it could not be used.
    pub damaged: bool,
    /// What it first had on each rung.
    pub rungs: Vec<(u32, Loss)>,
    /// Failures so far.
    pub failures: u32,
    /// Losses in a row without progress.
    pub lost: u32,
    /// What its attempts have shown of which nothing was saved.
    pub vain: Vain,
    /// States in the store that have not been given up, oldest first.
    pub states: Vec<Saved>,
    /// The slot on which it was when its worker was declared lost, if nothing has happened to it since.
    pub lost_on: Option<Place>,
}

/// A state in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// By content.
    pub id: String,
    /// Taken after so many units.
    pub resource: u32,
    /// It could not be used.
    pub suspect: bool,
}

impl Row {
    /// The state that it would go on from.
    #[must_use]
    pub fn newest(&self) -> Option<&Saved> {
        self.states.iter().rev().find(|state| !state.suspect)
    }

    /// Which of its states is let go by such words: its resource, and the beginning of its name. Two attempts may have saved the same
    /// content at the same resource; the older of those goes first.
    #[must_use]
    pub fn meant(&self, resource: u32, id: &str) -> Option<usize> {
        self.states.iter().position(|state| state.resource == resource && state.id.starts_with(id))
    }

    /// Where it would go on.
    #[must_use]
    pub fn resumes_at(&self) -> u32 {
        self.newest().map_or(0, |state| state.resource)
    }

    fn keep(&mut self, checkpoint: Option<&Checkpoint>) {
        let Some(new) = checkpoint else { return };
        self.states.retain(|state| state.id != new.id);
        self.states.push(Saved { id: new.id.clone(), resource: new.resource.0, suspect: false });
    }
}

impl Book {
    /// A word about an attempt that has a lease; any other is for other judges.
    pub(super) fn word(&mut self, word: &Event) {
        let Some((trial, attempt, _)) = word.about() else { return };
        let Some(place) = self.place(trial).filter(|place| self.is_open(Of { trial, attempt }, *place)) else { return };
        match word {
            Event::Reported { resource, loss, .. } => self.reported(trial, resource.0, *loss),
            Event::Reached { resource, checkpoint, .. } => {
                let row = self.trials.entry(trial).or_default();
                let Some((_, loss)) = row.last.filter(|(at, _)| *at == resource.0) else {
                    return self.failed(trial, FailureKind::Protocol);
                };
                row.keep(checkpoint.as_ref());
                row.vain = Vain::default();
                let loss = row.rungs.iter().find(|(rung, _)| *rung == resource.0).map_or(loss, |&(_, first)| first);
                let top = self.spec.scheduler.ladder().rungs().last().is_some_and(|top| top == resource);
                self.close(trial, if top { Life::Finished } else { Life::Paused }, Some((place, resource.0)));
                if !top {
                    self.moves.push(Move::Came(trial, resource.0, loss));
                }
            }
            Event::Ended { how, after_ms, .. } => self.ended(Of { trial, attempt }, how, *after_ms),
            _ => {}
        }
    }

    fn reported(&mut self, trial: TrialId, resource: u32, loss: Loss) {
        let rungs = self.spec.scheduler.ladder().rungs().iter().map(|rung| rung.0);
        let rung = rungs.filter(|rung| *rung <= resource).max();
        let row = self.trials.entry(trial).or_default();
        row.last = Some((resource, loss));
        if resource <= row.trained {
            return;
        }
        row.trained = resource;
        row.lost = 0;
        if loss.is_finite() && row.best.is_none_or(|best| loss < best) {
            (row.best, row.best_at) = (Some(loss), resource);
        }
        if let Some(rung) = rung.filter(|rung| row.rungs.iter().all(|(before, _)| before < rung)) {
            row.rungs.push((rung, loss));
        }
        self.moves.push(Move::Progressed(trial, resource, loss));
    }

    fn ended(&mut self, of: Of, how: &End, after_ms: Option<Millis>) {
        let trial = of.trial;
        match how {
            End::Preempted { checkpoint: None } => {
                let took = self.pace.took(of, after_ms, self.at);
                if took.is_some_and(|took| self.in_vain(of, took)) { self.give_up(trial) } else { self.interrupt(trial) }
            }
            End::Preempted { checkpoint } => {
                let row = self.trials.entry(trial).or_default();
                row.keep(checkpoint.as_ref());
                row.vain = Vain::default();
                self.interrupt(trial);
            }
            End::Stopped | End::Lost => self.lost(trial),
            End::Failed { kind: FailureKind::Checkpoint, .. } => {
                let row = self.trials.entry(trial).or_default();
                row.damaged = true;
                let states = &mut row.states;
                if let Some(bad) = states.iter_mut().rev().find(|state| !state.suspect) {
                    bad.suspect = true;
                }
                self.lost(trial);
            }
            End::Failed { kind, .. } => self.failed(trial, *kind),
        }
    }

    fn interrupt(&mut self, trial: TrialId) {
        self.close(trial, Life::Waiting, None);
        self.interrupted.push_back(trial);
    }

    fn lost(&mut self, trial: TrialId) {
        let row = self.trials.entry(trial).or_default();
        row.lost += 1;
        if row.lost > self.spec.patience.lost_max {
            self.give_up(trial);
        } else {
            self.interrupt(trial);
        }
    }

    fn failed(&mut self, trial: TrialId, kind: FailureKind) {
        let row = self.trials.entry(trial).or_default();
        row.failures += 1;
        // Out of memory and not-a-number would happen again; so would what keeps a program from beginning.
        let chance = matches!(kind, FailureKind::Exit | FailureKind::Crash | FailureKind::Hang | FailureKind::Protocol);
        if chance && row.failures <= self.spec.patience.retries {
            self.interrupt(trial);
        } else {
            self.give_up(trial);
        }
    }

    fn give_up(&mut self, trial: TrialId) {
        self.close(trial, Life::Failed, None);
        self.moves.push(Move::GaveUp(trial));
    }

    /// The lease ends; `memory` is the slot whose trainer still has the state, and at which resource.
    pub(super) fn close(&mut self, trial: TrialId, life: Life, memory: Option<(Place, u32)>) {
        self.slots.values_mut().filter(|slot| slot.lease.is_some_and(|of| of.trial == trial)).for_each(|slot| slot.lease = None);
        let row = self.trials.entry(trial).or_default();
        row.life = life;
        row.lost_on = None;
        if let Some((place, resource)) = memory
            && let Some(slot) = self.slots.get_mut(&place)
        {
            slot.memory = Some((trial, resource));
        }
    }

    pub(super) fn leased(&mut self, lease: &Leased) {
        let Of { trial, attempt } = lease.of;
        if self.is_open(lease.of, lease.on) {
            return;
        }
        self.interrupted.retain(|waiting| *waiting != trial);
        self.fresh.retain(|waiting| *waiting != trial);
        let row = self.trials.entry(trial).or_default();
        row.promoted |= row.life == Life::Paused;
        (row.life, row.attempt, row.last, row.lost_on) = (Life::Leased, attempt.0, None, None);
        (row.from, row.until) = (lease.from, lease.until);
        self.pace.leased(lease.of, self.at);
        self.occupy(lease.of, lease.on);
    }

    fn occupy(&mut self, of: Of, on: Place) {
        for slot in self.slots.values_mut().filter(|slot| slot.memory.is_some_and(|(trial, _)| trial == of.trial)) {
            slot.memory = None;
        }
        let slot = self.slots.entry(on).or_default();
        (slot.lease, slot.memory) = (Some(of), None);
    }

    /// An attempt that was thought lost with its worker goes on, unless it is told to stop.
    pub(super) fn brought_back(&mut self, of: Of, on: Place, acts: &[Act]) {
        if self.is_open(of, on) || acts.contains(&Act::Stop(of, on)) {
            return;
        }
        self.interrupted.retain(|waiting| *waiting != of.trial);
        let row = self.trials.entry(of.trial).or_default();
        (row.life, row.lost_on) = (Life::Leased, None);
        self.occupy(of, on);
    }

    pub(super) fn gone(&mut self, worker: u32, lost: bool) {
        let leases: Vec<_> =
            self.slots.iter().filter(|(place, _)| place.worker == worker).map(|(&place, slot)| (place, slot.lease)).collect();
        for (place, lease) in leases {
            let Some(of) = lease else { continue };
            if lost {
                self.lost(of.trial);
                self.trials.entry(of.trial).or_default().lost_on = Some(place);
            } else {
                self.interrupt(of.trial);
            }
        }
        self.slots.retain(|place, _| place.worker != worker);
    }
}
