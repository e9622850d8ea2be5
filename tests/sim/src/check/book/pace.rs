//! Which slots are still there long enough for another lease.
//!
//! By the design: a worker in a task with a time limit says when it leaves. What begins on it later than it takes to come to a state
//! that can be saved is in vain. That is twice the mean time from a lease to the first report of its attempt; where trainings keep
//! no states, no less than the longest lease took. For the first half of its stay a worker is given something all the same.
use std::collections::BTreeMap;

use hpo_core::sweep::State;
use hpo_core::{Event, Millis, Stamp, Sweep, TrialId};
use hpo_driver::journal::Record;

use super::{Book, Life, Phase, Row};
use crate::check::act::{Of, Place};

/// What is known of time: all of it, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// When each attempt got its slot.
    given: BTreeMap<Of, Stamp>,
    /// From the lease to the first report, of each attempt that reported.
    begun: Vec<u64>,
    /// The last report of each attempt, and how long after its lease.
    heard: BTreeMap<Of, (u32, Millis)>,
    /// Leases that were trained to their end: how long they took, and whether they left a state.
    whole: Vec<(u64, bool)>,
    /// By worker: when it leaves, and how long it stays, from when that was first known.
    ends: BTreeMap<u32, (Stamp, Option<u64>)>,
}

impl Pace {
    fn need(&self) -> u64 {
        let first = 2 * self.begun.iter().sum::<u64>().checked_div(self.begun.len() as u64).unwrap_or(0);
        let longest = self.whole.iter().map(|(took, _)| *took).max().unwrap_or(0);
        if self.whole.iter().any(|(_, with_state)| !with_state) { first.max(longest) } else { first }
    }

    pub(super) fn leased(&mut self, of: Of, at: Stamp) {
        self.given.insert(of, at);
    }

    /// From the lease to what a word tells that came at `at`.
    pub(super) fn took(&self, of: Of, after_ms: Option<Millis>, at: Stamp) -> Option<Millis> {
        let given = *self.given.get(&of)?;
        Some(after_ms.map_or(at, |after| given.plus(after).min(at)).since(given))
    }

    /// The last report of an attempt, and how long after its lease.
    pub(super) fn heard(&self, of: Of) -> Option<(u32, Millis)> {
        self.heard.get(&of).copied()
    }

    /// How long a worker stays, from when that was first known.
    pub(super) fn stay(&self, worker: u32) -> Millis {
        self.ends.get(&worker).and_then(|(_, stay)| *stay).unwrap_or(Millis::MAX)
    }

    /// For how long it is still there.
    pub(super) fn left(&self, worker: u32, now: Stamp) -> Millis {
        self.ends.get(&worker).map_or(Millis::MAX, |(ends, _)| ends.since(now))
    }
}

impl Book {
    /// What a word says of how long things take; before it changes anything else.
    pub(super) fn pace(&mut self, record: &Record) {
        let (of, after_ms) = match record.event {
            Event::Reported { trial, attempt, after_ms, .. } | Event::Reached { trial, attempt, after_ms, .. } => {
                (Of { trial, attempt }, after_ms)
            }
            _ => return,
        };
        let Some(took) = self.pace.took(of, after_ms, record.at) else { return };
        if let Event::Reported { resource, .. } = &record.event {
            self.pace.heard.insert(of, (resource.0, took));
        }
        match &record.event {
            Event::Reached { checkpoint, .. } => self.pace.whole.push((took, checkpoint.is_some())),
            _ if self.trials.get(&of.trial).is_some_and(|row| row.last.is_none()) => self.pace.begun.push(took),
            _ => {}
        }
    }

    /// A worker says when it leaves. Another moment than the last it said is looked at anew.
    pub(super) fn leaves_at(&mut self, record: &Record) {
        let (worker, ends, said) = match &record.event {
            Event::WorkerJoined { worker, allocation, leaving, .. } => {
                let stays = allocation.as_ref().and_then(|allocation| allocation.ends_in_ms);
                let ends = if *leaving { Some(0) } else { stays };
                (*worker, ends.map(|left| record.at.plus(left)), stays)
            }
            Event::WorkerLeaving { worker } => (*worker, Some(record.at), None),
            _ => return,
        };
        let its = Place::new(worker, 0).worker;
        let known = self.slots.keys().any(|place| place.worker == its);
        let before = self.pace.ends.remove(&its).filter(|_| known);
        if let Some(ends) = ends {
            let stay = before.and_then(|(_, stay)| stay);
            self.pace.ends.insert(its, (ends, stay.or(said)));
        }
        if before.map(|(ends, _)| ends) != ends {
            self.slots.iter_mut().filter(|(place, _)| place.worker == its).for_each(|(_, slot)| slot.spent = false);
        }
    }

    /// When a worker leaves; one that stays for ever, later than any.
    #[must_use]
    pub fn leaves(&self, worker: u32) -> Stamp {
        self.pace.ends.get(&worker).map_or(Stamp(u64::MAX), |(ends, _)| *ends)
    }

    /// Free slots whose workers leave too soon are given nothing any more.
    pub(super) fn retire(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        let (now, need, ends) = (self.at, self.pace.need(), &self.pace.ends);
        let too_soon = |(ends, stay): &(Stamp, Option<u64>)| *ends <= now.plus(need.min(stay.map_or(u64::MAX, |stay| stay / 2)));
        let free = self.slots.iter_mut().filter(|(_, slot)| slot.heard && slot.lease.is_none());
        let leaving = free.filter(|(place, _)| ends.get(&place.worker).is_some_and(too_soon));
        leaving.for_each(|(_, slot)| slot.spent = true);
    }

    /// Whether nobody runs, nobody more is asked for, and all slots that are there leave too soon for another lease.
    #[must_use]
    pub fn only_spent_slots_are_left(&self) -> bool {
        let idle = self.phase == Phase::Open && self.live() == 0 && self.asked.is_empty() && !self.may_ask();
        idle && self.rests() && self.free().next().is_none()
    }

    /// Then the sweep has to see whether anyone would go on, and chooses who does as soon as a slot comes: from there on that trial
    /// waits. Who is promoted comes before those that are new, and after those that were interrupted or chosen before. Nothing can
    /// happen before a slot comes that would change the choice; the judge of the order sees at its lease that it was right.
    pub(in crate::check) fn hears_of_a_choice(&mut self, sweep: &Sweep) -> Option<TrialId> {
        let goes_first = |(id, row): (&TrialId, &Row)| row.life == Life::Waiting && !self.fresh.contains(id);
        if !self.only_spent_slots_are_left() || self.trials.iter().any(goes_first) {
            return None;
        }
        let waits = |trial: TrialId| sweep.trial(trial).is_some_and(|trial| trial.state == State::Waiting);
        let (id, row) = self.trials.iter_mut().find(|(id, row)| row.life == Life::Paused && waits(**id))?;
        (row.life, row.promoted) = (Life::Waiting, true);
        Some(*id)
    }
}
