//! A sweep as a deterministic state machine: events in, actions out.
pub mod action;
mod appetite;
mod apply;
mod budget;
mod check;
mod digest;
pub mod event;
pub mod explain;
mod fill;
mod fleet;
pub mod idle;
mod leaders;
mod pace;
mod rejection;
pub mod spec;
mod trial;
mod trials;
pub mod view;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use action::{Action, EndReason, Lease, Observation, Outcome};
pub use event::{Allocation, Checkpoint, End, Event, FailureKind, Held, Slot};
pub use rejection::Rejection;
pub use spec::{Budget, Patience, SweepSpec};
pub use trial::{State, Trial};
pub use view::SweepView;

use crate::by_trial::ByTrial;
use crate::ledger::Ledger;
use crate::schedule::{self, Place, Scheduler, Standing};
use crate::{Resource, SlotId, Stamp, TrialId, WorkerId};
use leaders::Leaders;

/// The whole state of one sweep.
#[derive(Debug)]
pub struct Sweep {
    spec: SweepSpec,
    scheduler: Box<dyn Scheduler>,
    trials: trials::Trials,
    /// Of which trials the searcher was told something, in this order: the n-th mention of a trial is its n-th observation.
    told: Vec<TrialId>,
    /// Trials whose values were asked for and have not come.
    asked: BTreeSet<TrialId>,
    next_trial: u32,
    /// The searcher has nothing more to propose.
    exhausted: bool,
    /// Interrupted trials: they have state or a promotion behind them, so they go first.
    interrupted: VecDeque<TrialId>,
    /// New trials.
    fresh: VecDeque<TrialId>,
    fleet: fleet::Fleet,
    ledger: Ledger,
    leaders: Leaders,
    tally: view::Tally,
    phase: Phase,
    pace: pace::Pace,
    driver_epoch: u32,
    /// Of workers with an allocation: until when their slots are in the books.
    booked: BTreeMap<WorkerId, Stamp>,
    now: Stamp,
}

/// Where the sweep as a whole stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Leases are given.
    Open,
    /// Asked to stop for now; leases are called back. The next driver opens it again.
    Draining,
    /// A budget ended it; leases are called back.
    Ending(EndReason),
    /// Over.
    Finished(EndReason),
}

impl Sweep {
    /// A sweep in which nothing has happened.
    #[must_use]
    pub fn new(spec: SweepSpec) -> Self {
        Self {
            scheduler: schedule::build(&spec.scheduler, &spec.space, spec.budget.max_trials),
            spec,
            trials: trials::Trials::default(),
            told: vec![],
            asked: BTreeSet::new(),
            next_trial: 0,
            exhausted: false,
            interrupted: VecDeque::new(),
            fresh: VecDeque::new(),
            fleet: fleet::Fleet::default(),
            ledger: Ledger::default(),
            leaders: Leaders::default(),
            tally: view::Tally::default(),
            phase: Phase::Open,
            pace: pace::Pace::default(),
            driver_epoch: 0,
            booked: BTreeMap::new(),
            now: Stamp(0),
        }
    }

    /// The one door for words from outside: whether `event` makes sense now. Reads only.
    ///
    /// # Errors
    /// Why it does not.
    pub fn admit(&self, event: &Event) -> Result<(), Rejection> {
        if let Some((trial, attempt, seq)) = event.about() {
            let trial = self.trials.get(trial).ok_or(Rejection::UnknownTrial)?;
            return trial.admit(attempt, seq, event);
        }
        match event {
            Event::DriverStarted { epoch } => (*epoch > self.driver_epoch).then_some(()).ok_or(Rejection::Fenced),
            Event::Suggested { trial, params, .. } => {
                self.is_asked(*trial)?;
                self.spec.space.contains(params).map_err(|_| Rejection::NotInSpace)
            }
            Event::Exhausted { trial } => self.is_asked(*trial),
            Event::WorkerJoined { worker, slots, .. } => {
                if self.finished().is_some() {
                    return Err(Rejection::Over);
                }
                let room = || self.fleet.knows(*worker) || self.ledger.has_room(slots.iter().map(|slot| slot.milli_gpus));
                ((1..=1024).contains(&slots.len()) && room()).then_some(()).ok_or(Rejection::Slots)
            }
            Event::WorkerLeaving { worker } | Event::WorkerLeft { worker } | Event::WorkerLost { worker } => {
                self.fleet.knows(*worker).then_some(()).ok_or(Rejection::UnknownWorker)
            }
            Event::DrainAsked => matches!(self.phase, Phase::Open).then_some(()).ok_or(Rejection::Over),
            _ => self.finished().is_none().then_some(()).ok_or(Rejection::Over),
        }
    }

    fn is_asked(&self, trial: TrialId) -> Result<(), Rejection> {
        self.asked.contains(&trial).then_some(()).ok_or(Rejection::NotAsked)
    }

    /// What the world still owes, to be asked for again by a new driver. Leases are not among it: a worker that comes
    /// back says what it holds, and what it never got is then sent again.
    #[must_use]
    pub fn owed(&self) -> Vec<Action> {
        match self.phase {
            Phase::Finished(why) => vec![Action::Finish { why }],
            _ => self.asked.iter().map(|&trial| Action::Suggest { trial }).collect(),
        }
    }

    /// Everything that a searcher was told, in the order in which it was: what a new driver tells its searcher.
    pub fn observations(&self) -> impl Iterator<Item = Observation> + '_ {
        let mut mentions = ByTrial::<usize>::default();
        self.told.iter().filter_map(move |&id| {
            let mention = mentions.entry(id);
            *mention += 1;
            self.trials.get(id)?.observation(*mention - 1)
        })
    }

    /// The specification.
    #[must_use]
    pub fn spec(&self) -> &SweepSpec {
        &self.spec
    }

    /// The trials so far, in order.
    pub fn trials(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter()
    }

    /// One trial.
    #[must_use]
    pub fn trial(&self, id: TrialId) -> Option<&Trial> {
        self.trials.get(id)
    }

    /// The workers that this sweep believes in.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerId> {
        self.fleet.workers()
    }

    /// What a worker that this sweep believes in calls itself.
    #[must_use]
    pub fn name_of(&self, worker: WorkerId) -> Option<&str> {
        self.fleet.name(worker)
    }

    /// Whether and why the sweep is over.
    #[must_use]
    pub fn finished(&self) -> Option<EndReason> {
        match self.phase {
            Phase::Finished(why) => Some(why),
            _ => None,
        }
    }

    /// Whether it was asked to stop for now and no attempt runs any more.
    #[must_use]
    pub fn drained(&self) -> bool {
        self.phase == Phase::Draining && self.fleet.live() == 0
    }

    /// The newest driver that this journal knows.
    #[must_use]
    pub fn driver_epoch(&self) -> u32 {
        self.driver_epoch
    }

    /// The stamp of the last event.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// What the slots were used for.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Where a trial stands on the rung at `resource`.
    #[must_use]
    pub fn standing_at(&self, id: TrialId, resource: Resource) -> Option<Standing> {
        self.scheduler.standing(self.spec.scheduler.ladder().rung_at(resource)?, id)
    }

    /// Everyone that a trial is compared with on the rung at `resource`, best first.
    #[must_use]
    pub fn rivals(&self, id: TrialId, resource: Resource) -> Vec<Place> {
        self.spec.scheduler.ladder().rung_at(resource).map_or(vec![], |rung| self.scheduler.rivals(rung, id))
    }

    fn lease_slot(&self, id: TrialId) -> Option<SlotId> {
        match self.trials.get(id)?.state {
            State::Leased { slot } => Some(slot),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
