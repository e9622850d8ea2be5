//! What a journal says has happened, kept in the plainest way: no index, no sum kept up to date, no shortcut. Judges look
//! things up here. Written from the design's words on the life of a trial, apart from the sweep that it is held against.
mod life;
mod pace;
mod purse;
mod vain;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hpo_core::{Event, Loss, Stamp, SweepSpec, TrialId};
use hpo_driver::journal::Record;

pub use life::{Life, Row, Saved};
use pace::Pace;
use purse::Purse;
pub use vain::Vain;

use super::act::{Act, Of, Place, is_called};

/// The state of a sweep, by its journal.
#[derive(Clone, Debug)]
pub struct Book {
    /// What was asked for.
    pub spec: SweepSpec,
    /// The stamp of the last record.
    pub at: Stamp,
    /// The newest driver.
    pub epoch: u32,
    /// Trials that have come.
    pub trials: BTreeMap<TrialId, Row>,
    /// Trials whose values were asked for and have not come.
    pub asked: BTreeSet<TrialId>,
    /// How many were ever asked for.
    pub asks: u32,
    /// The searcher has nothing more to propose.
    pub exhausted: bool,
    /// Interrupted trials, in the order of their misfortunes.
    pub interrupted: VecDeque<TrialId>,
    /// New trials, in the order in which they came.
    pub fresh: VecDeque<TrialId>,
    /// Slots of the workers that the journal believes in.
    pub slots: BTreeMap<Place, Slot>,
    /// Workers that have come in a task of a batch system.
    pub tasks: BTreeSet<u32>,
    /// What was reserved.
    pub purse: Purse,
    /// How long things take.
    pace: Pace,
    /// Attempts that the sweep itself has called back.
    called_back: BTreeSet<Of>,
    /// Where the sweep stands.
    pub phase: Phase,
    /// What the last event meant for who goes on.
    pub moves: Vec<Move>,
}

/// One slot of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    /// Its worker has spoken to the newest driver.
    pub heard: bool,
    /// What runs there.
    pub lease: Option<Of>,
    /// Nothing is given to it any more, for its worker leaves too soon.
    pub spent: bool,
    /// The trial that its trainer has in memory, and at which resource.
    pub memory: Option<(TrialId, u32)>,
}

/// Where the sweep stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Leases are given.
    Open,
    /// It stops for now.
    Draining,
    /// A budget has ended it, and why in words.
    Ending(&'static str),
    /// It is over.
    Finished,
}

/// Something that a rule for who goes on hears of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    /// A new trial.
    Entered(TrialId),
    /// A trial came further than any attempt of it before.
    Progressed(TrialId, u32, Loss),
    /// A trial is at the end of its lease, below the top.
    Came(TrialId, u32, Loss),
    /// A trial will report no more.
    GaveUp(TrialId),
}

impl Book {
    /// A sweep in which nothing has happened.
    #[must_use]
    pub fn new(spec: &SweepSpec) -> Self {
        Self {
            spec: spec.clone(),
            at: Stamp(0),
            epoch: 0,
            trials: BTreeMap::new(),
            asked: BTreeSet::new(),
            asks: 0,
            exhausted: false,
            interrupted: VecDeque::new(),
            fresh: VecDeque::new(),
            slots: BTreeMap::new(),
            tasks: BTreeSet::new(),
            purse: Purse::default(),
            pace: Pace::default(),
            called_back: BTreeSet::new(),
            phase: Phase::Open,
            moves: vec![],
        }
    }

    /// The decisions of a record; none of words that are no decision.
    #[must_use]
    pub fn acts(record: &Record) -> Option<Vec<Act>> {
        record.acts.iter().map(|text| Act::read(text)).collect()
    }

    /// A whole record.
    pub fn record(&mut self, record: &Record) {
        let acts = Self::acts(record).unwrap_or_default();
        self.event(record, &acts);
        acts.iter().for_each(|act| self.act(act));
    }

    /// What happened. `acts` says which attempts that a worker brings back are to stop: the others go on.
    pub fn event(&mut self, record: &Record, acts: &[Act]) {
        self.moves.clear();
        self.purse.record(self.at, record);
        self.at = record.at;
        self.pace(record);
        match &record.event {
            Event::DriverStarted { epoch } => {
                self.epoch = *epoch;
                self.slots.values_mut().for_each(|slot| (slot.heard, slot.spent) = (false, false));
                if self.phase == Phase::Draining {
                    self.phase = Phase::Open;
                }
            }
            Event::Suggested { trial, .. } => {
                self.asked.remove(trial);
                self.trials.insert(*trial, Row::default());
                self.fresh.push_back(*trial);
                self.moves.push(Move::Entered(*trial));
            }
            Event::Exhausted { trial } => {
                self.asked.remove(trial);
                self.exhausted = true;
            }
            Event::WorkerJoined { worker, slots, holds, allocation, .. } => {
                self.tasks.extend(allocation.as_ref().map(|_| Place::new(*worker, 0).worker));
                self.leaves_at(record);
                for index in 0..slots.len() {
                    self.slots.entry(Place::new(*worker, index as u16)).or_default().heard = true;
                }
                for held in holds {
                    self.brought_back((*held).into(), Place::new(*worker, held.slot), acts);
                }
            }
            Event::WorkerLeaving { .. } => self.leaves_at(record),
            Event::WorkerLeft { worker } | Event::WorkerLost { worker } => {
                let lost = matches!(record.event, Event::WorkerLost { .. });
                self.gone(Place::new(*worker, 0).worker, lost);
            }
            Event::DrainAsked => self.phase = Phase::Draining,
            Event::Ticked => {}
            word => self.word(word),
        }
        if self.phase == Phase::Open
            && let Some(why) = self.spent()
        {
            self.phase = Phase::Ending(why);
            self.asked.clear();
        }
        self.retire();
    }

    /// What was decided on it.
    pub fn act(&mut self, act: &Act) {
        match act {
            Act::Suggest(trial) => {
                self.asked.insert(*trial);
                self.asks += 1;
            }
            Act::Lease(lease) => self.leased(lease),
            Act::Stop(of, place) => {
                if self.is_open(*of, *place) {
                    self.close(of.trial, Life::Stopped, None);
                    self.retire();
                } else if let Some(row) = self.trials.get_mut(&of.trial).filter(|row| row.attempt == of.attempt.0) {
                    // Told to stop, it is not taken back later: some of its words are turned away.
                    row.lost_on = None;
                }
            }
            Act::CallBack(of, _) => drop(self.called_back.insert(*of)),
            Act::Forget { trial, resource, id } => {
                if let Some(row) = self.trials.get_mut(trial) {
                    row.states.retain(|state| !(state.resource == *resource && is_called(id, &state.id)));
                }
            }
            Act::Finish(_) => self.phase = Phase::Finished,
        }
    }

    /// Whether this attempt has the lease of that slot.
    #[must_use]
    pub fn is_open(&self, of: Of, place: Place) -> bool {
        self.slots.get(&place).is_some_and(|slot| slot.lease == Some(of))
    }

    /// Where a trial runs.
    #[must_use]
    pub fn place(&self, trial: TrialId) -> Option<Place> {
        let mut slots = self.slots.iter();
        slots.find(|(_, slot)| slot.lease.is_some_and(|of| of.trial == trial)).map(|(&place, _)| place)
    }

    /// Slots with a lease.
    #[must_use]
    pub fn live(&self) -> usize {
        self.slots.values().filter(|slot| slot.lease.is_some()).count()
    }

    /// Slots that can be given something.
    pub fn free(&self) -> impl Iterator<Item = Place> + '_ {
        self.slots.iter().filter(|(_, slot)| slot.heard && slot.lease.is_none() && !slot.spent).map(|(&place, _)| place)
    }

    /// Whether some slot has nothing to do, if only because its worker leaves soon.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.slots.values().any(|slot| slot.heard && slot.lease.is_none())
    }

    /// Whether the searcher may be asked for more.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        !self.exhausted && self.spec.budget.max_trials.is_none_or(|most| self.asks < most)
    }

    /// So many of the trials that have not failed, by their best finite loss, best first.
    #[must_use]
    pub fn best(&self, most: usize) -> Vec<(Loss, TrialId)> {
        let candidates = self.trials.iter().filter(|(_, row)| row.life != Life::Failed);
        let mut best: Vec<_> = candidates.filter_map(|(&trial, row)| Some((row.best?, trial))).collect();
        if most < best.len() {
            best.select_nth_unstable(most);
            best.truncate(most);
        }
        best.sort();
        best
    }

    /// So many have failed, and none has ever reported, that nothing new starts.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        let failed = self.trials.values().filter(|row| row.life == Life::Failed).count();
        let silent = self.trials.values().all(|row| row.trained == 0);
        silent && self.spec.budget.setup_failures.is_some_and(|most| failed >= most as usize)
    }

    /// When a budget of time will be used up if nobody comes or goes: the first moment at which it is.
    #[must_use]
    pub fn next_tick(&self) -> Option<Stamp> {
        if self.phase != Phase::Open {
            return None;
        }
        let wall = self.spec.budget.wall.map(Stamp);
        let reserved = self.spec.budget.reserved.and_then(|most| self.purse.first_at(self.at, u128::from(most) * 1000));
        wall.into_iter().chain(reserved).min()
    }

    /// Which budget is used up, in the words of the journal.
    fn spent(&self) -> Option<&'static str> {
        let budget = &self.spec.budget;
        let target = budget.target.map(|metric| self.spec.goal.loss(metric));
        if target.is_some_and(|target| self.best(1).first().is_some_and(|best| best.0 <= target)) {
            Some("the target is reached")
        } else if budget.wall.is_some_and(|wall| self.at.0 >= wall) {
            Some("the time `wall` is over")
        } else if budget.reserved.is_some_and(|most| self.purse.reserved(self.at) >= u128::from(most) * 1000) {
            Some("the budget `gpu_hours` is spent")
        } else if self.in_doubt() && self.live() == 0 && self.interrupted.is_empty() {
            Some("every trial failed at its start")
        } else {
            None
        }
    }
}
