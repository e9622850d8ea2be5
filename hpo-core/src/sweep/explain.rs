//! The history of one trial, told from the journal: a fold over a replay, for `hpo why`.
//!
//! It asks the scheduler only where the trial stands and among whom ([`Sweep::standing_at`], [`Sweep::rivals`],
//! [`Sweep::barriers`]), so it explains every rule. An event that cannot concern the trial costs O(1), one on a
//! rung while the trial is paused O(its rivals).
mod moment;
mod outlook;
mod stand;

pub use moment::{Moment, Rival, Start, What};
pub use outlook::Outlook;
use stand::Chance;
pub use stand::{Alternative, Stand};

use super::Sweep;
use super::action::Action;
use super::event::{Checkpoint, End, Event};
use super::trial::{State, Trial};
use crate::schedule::Place;
use crate::{Attempt, Loss, Resource, SlotId, Stamp, TrialId};

/// Follows one trial through a sweep.
#[derive(Clone, Debug)]
pub struct Explain {
    trial: TrialId,
    moments: Vec<Moment>,
    before: Before,
}

/// What must be remembered from one event to the next.
#[derive(Clone, Debug, Default)]
struct Before {
    slot: Option<SlotId>,
    attempt: Attempt,
    /// The last report of this attempt.
    reported: Option<(Resource, Loss)>,
    /// The highest rung where it was compared.
    compared: Option<Resource>,
    /// The rung that it was last let go on to by what was predicted there.
    predicted: Option<Resource>,
    /// The rung where it waits for a promotion, and whether it is among those that go on.
    paused: Option<(Resource, Chance)>,
    hopeless: bool,
    leads: bool,
}

/// All there is to say about one trial.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Which.
    pub trial: TrialId,
    /// What happened to it, in order.
    pub moments: Vec<Moment>,
    /// Where it stands now on the highest rung where it was compared; None if it never was.
    pub stand: Option<Stand>,
    /// Its place among the best of the sweep, from 0, if it is one of those whose state is kept to the end.
    pub leader: Option<usize>,
    /// It is paused, and no future promotes it.
    pub hopeless: bool,
}

impl Explain {
    /// Nothing has happened to `trial` yet.
    #[must_use]
    pub fn new(trial: TrialId) -> Self {
        Self { trial, moments: vec![], before: Before::default() }
    }

    /// Notes what `event` and the `actions` that it caused mean for the trial; `sweep` has just applied it, at `at`.
    pub fn saw(&mut self, sweep: &Sweep, at: Stamp, event: &Event, actions: &[Action]) {
        let Some(trial) = sweep.trial(self.trial) else { return };
        let mut story = Story { trial, sweep, at, before: &mut self.before, moments: &mut self.moments };
        match event.about() {
            Some((id, ..)) if id == trial.id => story.own_word(event),
            _ => story.elsewhere(event),
        }
        story.rivals_moved(event);
        story.hope();
        story.actions(event, actions);
        story.lead();
        self.before.slot = lease_slot(trial);
        self.before.attempt = trial.attempt;
    }

    /// The history so far, and where the trial stands in `sweep`, as of the last event seen. None if the trial has not
    /// come.
    #[must_use]
    pub fn finish(self, sweep: &Sweep) -> Option<Explanation> {
        let trial = sweep.trial(self.trial)?;
        Some(Explanation {
            stand: self.before.compared.and_then(|rung| Stand::of(sweep, self.trial, rung)),
            leader: sweep.leaders.ids().position(|leader| leader == self.trial),
            hopeless: trial.hopeless,
            trial: self.trial,
            moments: self.moments,
        })
    }
}

fn lease_slot(trial: &Trial) -> Option<SlotId> {
    match trial.state {
        State::Leased { slot } => Some(slot),
        _ => None,
    }
}

/// One event, from the view of the trial.
struct Story<'a> {
    trial: &'a Trial,
    sweep: &'a Sweep,
    at: Stamp,
    before: &'a mut Before,
    moments: &'a mut Vec<Moment>,
}

impl Story<'_> {
    fn say(&mut self, what: What) {
        self.moments.push(Moment { at: self.at, what });
    }

    fn metric(&self, loss: Loss) -> f64 {
        self.sweep.spec.goal.metric(loss)
    }

    /// A word about the trial's live attempt.
    fn own_word(&mut self, event: &Event) {
        match event {
            Event::Reported { resource, loss, .. } => {
                self.before.reported = Some((*resource, *loss));
                if self.trial.state == State::Stopped {
                    self.stopped(*resource, *loss);
                } else {
                    self.compared();
                    self.predicted(*resource);
                }
            }
            Event::Reached { resource, checkpoint, .. } => self.reached(*resource, checkpoint.as_ref()),
            Event::Ended { how: End::Preempted { checkpoint }, .. } => {
                self.saved(checkpoint.as_ref());
                // At the end of the sweep the state may be forgotten at once.
                let resumes_at = checkpoint.as_ref().map_or_else(|| self.trial.resumes_at(), |saved| saved.resource);
                self.say(What::Preempted { resumes_at });
                if self.trial.state == State::Failed {
                    self.failed(None, "");
                }
            }
            Event::Ended { how: End::Stopped | End::Lost, .. } => self.lost(false),
            Event::Ended { how: End::Failed { kind, message }, .. } => self.failed(Some(*kind), message),
            _ => {}
        }
    }

    /// An event about something else that may concern the trial.
    fn elsewhere(&mut self, event: &Event) {
        let was_on = |worker| self.before.slot.is_some_and(|slot| slot.worker == worker);
        match event {
            Event::Suggested { trial, cost_us, .. } if *trial == self.trial.id => self.say(What::Suggested { cost_us: *cost_us }),
            Event::DriverStarted { epoch } if self.before.slot.is_some() => self.say(What::DriverStarted { epoch: *epoch }),
            Event::WorkerLeft { worker } if was_on(*worker) => self.say(What::Preempted { resumes_at: self.trial.resumes_at() }),
            Event::WorkerLost { worker } if was_on(*worker) => self.lost(true),
            // It runs without a new lease: its worker was thought lost.
            Event::WorkerJoined { .. }
                if self.before.slot.is_none() && lease_slot(self.trial).is_some() && self.before.attempt == self.trial.attempt =>
            {
                self.say(What::Returned { attempt: self.trial.attempt });
            }
            _ => {}
        }
    }

    fn reached(&mut self, resource: Resource, checkpoint: Option<&Checkpoint>) {
        let Some((_, loss)) = self.before.reported.filter(|(at, _)| *at == resource) else {
            return self.failed(None, "");
        };
        self.saved(checkpoint);
        match self.trial.state {
            State::Finished => self.say(What::Finished { resource, metric: self.metric(loss) }),
            State::Stopped => self.stopped(resource, loss),
            _ => {
                self.compared();
                self.before.paused = Some((resource, Chance::of(self.sweep, self.trial.id, resource).unwrap_or_default()));
            }
        }
    }

    /// If its newest result has put it among rivals, where.
    fn compared(&mut self) {
        let Some(&(rung, _)) = self.trial.results.last() else { return };
        if self.before.compared == Some(rung) {
            return;
        }
        if let Some(stand) = Stand::of(self.sweep, self.trial.id, rung) {
            self.before.compared = Some(rung);
            self.say(What::Compared { stand });
        }
    }

    /// If its newest report was enough to look ahead from, what was seen. An attempt that repeats the report is not judged again.
    fn predicted(&mut self, resource: Resource) {
        let outlook = Outlook::of(self.sweep, self.trial.id, resource);
        if let Some(outlook) = outlook.filter(|outlook| self.before.predicted != Some(outlook.to)) {
            self.before.predicted = Some(outlook.to);
            self.say(What::Predicted { resource, outlook });
        }
    }

    fn stopped(&mut self, resource: Resource, loss: Loss) {
        let stand = Stand::of(self.sweep, self.trial.id, resource);
        if let Some(stand) = &stand {
            self.before.compared = Some(stand.resource);
        }
        // A place with which it would go on is not why it was stopped.
        let stand = stand.filter(|stand| !stand.goes_on);
        let outlook = Outlook::of(self.sweep, self.trial.id, resource);
        self.say(What::Stopped { resource, metric: self.metric(loss), stand, outlook });
    }

    fn saved(&mut self, checkpoint: Option<&Checkpoint>) {
        if let Some(&Checkpoint { resource, bytes, .. }) = checkpoint {
            self.say(What::Saved { resource, bytes });
        }
    }

    fn lost(&mut self, with_worker: bool) {
        self.say(What::Lost { with_worker, resumes_at: self.trial.resumes_at() });
        if self.trial.state == State::Failed {
            self.failed(None, "");
        }
    }

    fn failed(&mut self, kind: Option<super::FailureKind>, message: &str) {
        // What ended the trial may be more than this failure.
        let message = self.trial.failure.as_deref().unwrap_or(message).to_owned();
        self.say(What::Failed { kind, message, for_good: self.trial.state == State::Failed });
    }

    /// Others came to the rung where it waits, or went.
    fn rivals_moved(&mut self, event: &Event) {
        let Some((rung, before)) = self.before.paused.filter(|_| self.may_move(event)) else { return };
        let Some(now) = Chance::of(self.sweep, self.trial.id, rung) else { return };
        self.before.paused = Some((rung, now));
        let Some(stand) = Stand::of(self.sweep, self.trial.id, rung).filter(|_| now.goes_on != before.goes_on) else { return };
        let came = match event {
            Event::Reached { trial, resource, .. } if *resource == rung => self.place(*trial, rung),
            _ => None,
        };
        self.say(if now.goes_on {
            What::CameIn { by: came.map(|place| self.rival(place)), stand }
        } else {
            // Another may come in the moment in which fewer go on: it is to blame only if it took the last place.
            let own = self.place(self.trial.id, rung);
            let by = came.filter(|place| Some(*place) < own && stand.quota.is_none_or(|quota| stand.rank == quota + 1));
            let quota_before = before.quota.filter(|quota| by.is_none() && stand.quota.is_some_and(|now| now < *quota));
            let no_more = quota_before.is_some() && self.last_is_here(event);
            What::PushedOut { by: by.map(|place| self.rival(place)), quota_before, no_more, stand }
        });
    }

    /// The place of `rival` among those that the trial is compared with on `rung`: those of its bracket.
    fn place(&self, rival: TrialId, rung: Resource) -> Option<Place> {
        self.sweep.rivals(self.trial.id, rung).into_iter().find(|place| place.1 == rival)
    }

    fn rival(&self, (loss, trial): Place) -> Rival {
        Rival { trial, metric: self.metric(loss) }
    }

    /// Whether `event` may change who goes on from some rung: someone came to that one, or to one on which it depends; or
    /// someone is out, by a stop in mid-round, too, or will not come.
    fn may_move(&self, event: &Event) -> bool {
        match event {
            Event::Suggested { .. } => self.last_is_here(event),
            Event::Reached { .. } | Event::Ended { .. } | Event::WorkerLost { .. } | Event::Exhausted { .. } => true,
            Event::Reported { trial, .. } => self.sweep.trial(*trial).is_some_and(|trial| trial.state == State::Stopped),
            _ => false,
        }
    }

    /// With `event` it is known that no more trials come: a rung that waits for all had counted on them.
    fn last_is_here(&self, event: &Event) -> bool {
        matches!(event, Event::Suggested { .. } | Event::Exhausted { .. }) && self.sweep.asked.is_empty() && !self.sweep.may_ask()
    }

    fn hope(&mut self) {
        if self.trial.hopeless && !self.before.hopeless {
            self.before.hopeless = true;
            let stand = self.before.compared.and_then(|rung| Stand::of(self.sweep, self.trial.id, rung));
            self.say(What::HopeLost { stand });
        }
    }

    fn actions(&mut self, event: &Event, actions: &[Action]) {
        // A worker that comes back is told again what it was told.
        let again = matches!(event, Event::WorkerJoined { .. });
        for action in actions {
            match action {
                Action::Lease(lease) if lease.trial == self.trial.id && lease.attempt > self.before.attempt => {
                    if let Some((rung, _)) = self.before.paused.take() {
                        self.say(What::Promoted { to: lease.until, stand: Stand::of(self.sweep, self.trial.id, rung) });
                    }
                    self.before.reported = None;
                    let worker = self.sweep.name_of(lease.slot.worker).unwrap_or_default().to_owned();
                    self.say(What::Leased {
                        attempt: lease.attempt,
                        slot: lease.slot,
                        worker,
                        from: lease.from,
                        until: lease.until,
                        start: Start::of(lease),
                    });
                }
                Action::CallBack { held, .. } if held.trial == self.trial.id && !again => self.say(What::CalledBack),
                Action::Forget { trial, checkpoint } if *trial == self.trial.id => {
                    self.say(What::Forgotten { resource: checkpoint.resource, bytes: checkpoint.bytes });
                }
                Action::Finish { why } if !self.trial.is_over() => self.say(What::SweepEnded { why: *why }),
                _ => {}
            }
        }
    }

    fn lead(&mut self) {
        let first = self.sweep.leaders.first();
        let leads = first.is_some_and(|(_, leader)| leader == self.trial.id);
        if leads == self.before.leads {
            return;
        }
        self.before.leads = leads;
        self.say(match first {
            Some((loss, _)) if leads => What::TookLead { metric: self.metric(loss) },
            // Whoever leads because this one has failed is not better.
            first => {
                let better = first.filter(|(loss, _)| self.trial.best.is_some_and(|(best, _)| *loss <= best));
                What::LostLead { by: better.map(|place| self.rival(place)) }
            }
        });
    }
}
