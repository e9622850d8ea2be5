//! One trial, as the sweep knows it.
use super::action::{Observation, Outcome};
use super::event::{Checkpoint, End, Event};
use super::rejection::Rejection;
use crate::ledger::{Booked, Split};
use crate::schedule::Rung;
use crate::{Attempt, Loss, Millis, Params, Resource, Seq, SlotId, Stamp, TrialId};

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It wants a slot: it is new, was promoted, or was interrupted.
    Waiting,
    /// It has one.
    Leased {
        /// Which.
        slot: SlotId,
    },
    /// It stands on a rung and may be promoted.
    Paused,
    /// It has consumed max_resource.
    Finished,
    /// The scheduler ended it.
    Stopped,
    /// It failed for good.
    Failed,
}

/// One configuration and its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number.
    pub id: TrialId,
    /// Values of the active parameters.
    pub params: Params,
    /// Where it stands.
    pub state: State,
    /// Its newest execution; 0 before the first.
    pub attempt: Attempt,
    /// The rung that its current or next lease leads to.
    pub target: Rung,
    /// The most that any attempt has consumed: each unit below was trained at least once.
    pub trained: Resource,
    /// Each unit below was trained by an attempt that is in the books with it: whoever trains it again does it again.
    pub(super) kept: Resource,
    /// Its newest safe state.
    pub checkpoint: Option<Checkpoint>,
    /// The safe state before that, in case the newest turns out damaged.
    pub previous: Option<Checkpoint>,
    /// States that could not be used, kept until there is a newer one.
    pub suspects: Vec<Checkpoint>,
    /// Losses at the rungs where it was compared.
    pub results: Vec<(Resource, Loss)>,
    /// The best finite loss of any report, and where.
    pub best: Option<(Loss, Resource)>,
    /// Whether the scheduler promoted it at least once: its work informed a decision.
    pub promoted: bool,
    /// What the last failure said.
    pub failure: Option<String>,
    pub(super) run: Run,
    pub(super) failures: u32,
    /// Losses in a row without new progress.
    pub(super) lost: u32,
    /// What attempts at its lease were called back that had saved nothing.
    pub(super) unsaved: Unsaved,
    /// It is paused, and no future promotes it.
    pub(super) hopeless: bool,
    /// Its worker was declared lost while it ran: if that worker comes back before anyone else got the trial, the same
    /// attempt goes on.
    pub(super) lost_on: Option<SlotId>,
}

/// The newest attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Run {
    pub(super) seq: Seq,
    /// When it was given its slot.
    pub(super) began: Stamp,
    pub(super) from: Resource,
    pub(super) until: Resource,
    /// The last report of this attempt.
    pub(super) last: Option<(Resource, Loss, Stamp)>,
    pub(super) startup_ms: u64,
    pub(super) restore_ms: u64,
    /// What it reported, and when.
    pub(super) reports: Vec<(Resource, Stamp)>,
    /// When it ended, by its worker's clock: perhaps long before its word came.
    pub(super) over: Option<Stamp>,
    /// It was told to leave.
    pub(super) called_back: bool,
    /// Of one that was interrupted: what its lease is booked as, should it be taken back.
    pub(super) booked: Option<Booked>,
}

/// What an attempt leaves when it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Time that writing its state took.
    pub(super) wrote_ms: Millis,
    /// Training beyond this, or beyond the last report if that is earlier, has to be done again, or was none; `None`: all counts.
    pub(super) safe: Option<Resource>,
}

impl Left {
    pub(super) const ALL: Self = Self { wrote_ms: 0, safe: None };
    /// All has to be done again.
    pub(super) const NOTHING: Self = Self { wrote_ms: 0, safe: Some(Resource(0)) };
    /// It was silent since its last report, and did not train.
    pub(super) const SILENCE: Self = Self { wrote_ms: 0, safe: Some(Resource(u32::MAX)) };
}

/// Attempts in a row that were called back before the end of their lease and had saved nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Unsaved {
    /// The time that a slot must have for the next; 0 if there was none.
    pub(super) need: Millis,
    /// How many of them had a slot for about as long as any worker stays.
    pub(super) whole: u32,
}

impl Run {
    /// When it had trained so much, of what it reported. Units between two reports take equally long.
    fn when(&self, resource: Resource) -> Stamp {
        let trains = self.began.plus(self.startup_ms.saturating_add(self.restore_ms));
        let known = self.reports.partition_point(|(reported, _)| *reported <= resource);
        let (before, since) = self.reports[..known].last().copied().unwrap_or((self.from, trains));
        let Some(&(next, until)) = self.reports.get(known) else { return since };
        let (part, whole) = (resource.0.saturating_sub(before.0), next.0 - before.0);
        let took = u128::from(until.since(since)) * u128::from(part) / u128::from(whole);
        since.plus(u64::try_from(took).unwrap_or(u64::MAX))
    }
}

impl Trial {
    pub(super) fn new(id: TrialId, params: Params, target: Rung) -> Self {
        Self {
            id,
            params,
            state: State::Waiting,
            attempt: Attempt(0),
            target,
            trained: Resource(0),
            kept: Resource(0),
            checkpoint: None,
            previous: None,
            suspects: vec![],
            results: vec![],
            best: None,
            promoted: false,
            failure: None,
            run: Run::default(),
            failures: 0,
            lost: 0,
            unsaved: Unsaved::default(),
            hopeless: false,
            lost_on: None,
        }
    }

    /// What the time of its attempt was, that ends. Training that is lost is redone in the books from now on, and whoever does it
    /// again does what counts; what was kept counts once, and whoever does it again does it again.
    pub(super) fn settle(&mut self, left: Left) -> Split {
        let run = &self.run;
        let lost_since = left.safe.map(|safe| run.when(safe));
        let repeated_until = run.when(self.kept);
        let reported = run.last.map_or(Resource(0), |(resource, ..)| resource);
        self.kept = self.kept.max(reported.min(left.safe.unwrap_or(reported)));
        Split { startup: run.startup_ms, restore: run.restore_ms, checkpoint: left.wrote_ms, lost_since, repeated_until }
    }

    /// Resource at which it would go on.
    #[must_use]
    pub fn resumes_at(&self) -> Resource {
        self.checkpoint.as_ref().map_or(Resource(0), |checkpoint| checkpoint.resource)
    }

    /// Whether it will not run again.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::Stopped | State::Failed)
    }

    pub(super) fn admit(&self, attempt: Attempt, seq: Seq, event: &Event) -> Result<(), Rejection> {
        if attempt != self.attempt || !matches!(self.state, State::Leased { .. }) {
            return Err(Rejection::StaleAttempt);
        }
        if seq <= self.run.seq {
            return Err(Rejection::Duplicate);
        }
        match event {
            Event::Reported { resource, .. } => {
                let before = self.run.last.map_or(self.run.from, |(resource, ..)| resource);
                (*resource > before && *resource <= self.run.until).then_some(()).ok_or(Rejection::OutsideLease)
            }
            Event::Reached { resource, checkpoint, .. } => {
                let honest = checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.resource == *resource);
                (*resource == self.run.until && honest).then_some(()).ok_or(Rejection::OutsideLease)
            }
            Event::Ended { how: End::Preempted { checkpoint: Some(saved) }, .. } => {
                let inside = saved.resource >= self.run.from && saved.resource < self.run.until;
                inside.then_some(()).ok_or(Rejection::OutsideLease)
            }
            _ => Ok(()),
        }
    }

    /// What a searcher is told of it: the losses, and that it failed.
    pub(super) fn observation(&self, number: usize) -> Option<Observation> {
        let outcome = match self.results.get(number) {
            Some(&(resource, loss)) => Outcome::Loss { resource, loss },
            None => (number == self.results.len() && self.state == State::Failed).then_some(Outcome::Infeasible)?,
        };
        Some(Observation { trial: self.id, params: self.params.clone(), outcome })
    }
}
