//! The ledger sums to the reservation, and its parts to what was leased and what was not.
//!
//! Each slot's time is counted here naively: from joining to leaving, and for each lease from its record to the record that
//! ended it, or as long as its worker says that it had it, if that is shorter; a slot of which no driver has heard since the last
//! one died counts until that one was last heard of. Who brings a lease back that was thought lost had it all the time for which its
//! slot counts.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::ledger::Uses;
use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::{Event, Stamp, Sweep, SweepSpec, TrialId, WorkerId};
use hpo_driver::journal::Record;

use super::act::{Act, Of, Place};
use super::book::{Book, Life, Phase};
use super::passes::{Leaves, Passes};
use super::{Judge, Violation, refuse};

/// The books of every slot.
#[derive(Debug)]
pub(super) struct Ledger {
    book: Book,
    workers: BTreeMap<u32, Worker>,
    /// Leases that have their slot, and since when.
    open: BTreeMap<Place, (Of, Stamp)>,
    /// What each attempt did.
    passes: Passes,
    /// Trials that were promoted, or came to the top: their reports informed a decision.
    informed: BTreeSet<TrialId>,
    /// Free slots' time while leases were given; none once a second driver has come, for then what was free is known late.
    idle: Option<u128>,
    drivers: usize,
}

#[derive(Clone, Debug)]
struct Worker {
    id: WorkerId,
    weights: Vec<u128>,
    /// Since when it counts, of one that has just come; one that was known has just spoken then.
    since: Stamp,
    /// When the driver that last heard of it was last heard of.
    silent: Option<Stamp>,
}

const NAME: &str = "ledger";

impl Ledger {
    /// Nothing is reserved.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self {
            book: Book::new(spec),
            workers: BTreeMap::new(),
            open: BTreeMap::new(),
            passes: Passes::default(),
            informed: BTreeSet::new(),
            idle: Some(0),
            drivers: 0,
        }
    }

    /// What a slot counts for, and until when.
    fn counts(&self, place: Place, at: Stamp) -> (u128, Stamp) {
        let Some(worker) = self.workers.get(&place.worker) else { return (0, at) };
        let weight = worker.weights.get(usize::from(place.slot)).copied().unwrap_or_default();
        (weight, worker.silent.map_or(at, |silent| silent.min(at)))
    }

    fn span(&self, place: Place, since: Stamp, at: Stamp) -> u128 {
        let (weight, until) = self.counts(place, at);
        weight * u128::from(until.since(since))
    }

    /// Who has come and who is silent, before the record changes anything else.
    fn fleet(&mut self, record: &Record) {
        match &record.event {
            Event::DriverStarted { .. } => {
                let before = self.book.at;
                self.drivers += 1;
                self.idle = self.idle.filter(|_| self.drivers == 1);
                self.workers.values_mut().for_each(|worker| worker.silent = worker.silent.or(Some(before)));
            }
            Event::WorkerJoined { worker, slots, allocation, .. } => {
                let weights: Vec<u128> =
                    slots.iter().map(|slot| if slot.milli_gpus == 0 { 1000 } else { slot.milli_gpus.into() }).collect();
                let its = Place::new(*worker, 0).worker;
                let known = self.workers.contains_key(&its);
                let since = if known { record.at } else { self.book.purse.since(*worker, record.at, allocation.as_ref()) };
                let worker = self.workers.entry(its).or_insert(Worker { id: *worker, weights, since, silent: None });
                (worker.since, worker.silent) = (since, None);
            }
            _ => {}
        }
    }

    /// What a word says of time. It is believed as far as the lease's own time goes.
    fn said(&mut self, record: &Record) {
        if let Event::WorkerLeft { worker } | Event::WorkerLost { worker } = &record.event {
            let its = Place::new(*worker, 0).worker;
            let leases = self.book.slots.iter().filter(|(place, _)| place.worker == its).filter_map(|(_, slot)| slot.lease);
            leases.for_each(|of| self.passes.tried(of).leaves = Leaves::UpTo(0));
        }
        let Some((trial, attempt, _)) = record.event.about() else { return };
        let (of, when) = (Of { trial, attempt }, self.over(record));
        let tried = self.passes.tried(of);
        match &record.event {
            Event::Started { startup_ms, restore_ms, .. } => (tried.startup, tried.restore) = (*startup_ms, *restore_ms),
            Event::Reported { resource, .. } => tried.reports.push((resource.0, when)),
            Event::Reached { checkpoint, .. } => tried.wrote = checkpoint.as_ref().map_or(0, |state| state.wrote_ms),
            Event::Ended { how: End::Preempted { checkpoint: Some(state) }, .. } => {
                (tried.wrote, tried.leaves) = (state.wrote_ms, Leaves::UpTo(state.resource.0));
            }
            Event::Ended { .. } => tried.leaves = Leaves::UpTo(0),
            _ => {}
        }
    }

    /// An attempt that failed for good was not in vain: that it fails is known now; but the silence of one that hung was. One that
    /// came to the end of its lease was not either, unless it has to try again.
    fn in_vain(&mut self, record: &Record) {
        let (of, hung) = match &record.event {
            Event::Ended { trial, attempt, how: End::Failed { kind, .. }, .. } if *kind != FailureKind::Checkpoint => {
                (Of { trial: *trial, attempt: *attempt }, *kind == FailureKind::Hang)
            }
            Event::Reached { trial, attempt, .. } => (Of { trial: *trial, attempt: *attempt }, false),
            _ => return,
        };
        let life = self.book.trials.get(&of.trial).map(|row| row.life);
        let tried = self.passes.tried(of);
        tried.leaves = match life {
            Some(Life::Waiting) => Leaves::UpTo(0),
            _ if hung => Leaves::UpTo(u32::MAX),
            _ => Leaves::All,
        };
        if matches!(life, Some(Life::Waiting | Life::Failed)) {
            // The end of a lease without a report there: its state is none.
            tried.wrote = 0;
        }
    }

    /// When that was in truth what a record tells of an attempt, by what its worker says.
    fn over(&mut self, record: &Record) -> Stamp {
        let (of, after_ms) = match record.event {
            Event::Reported { trial, attempt, after_ms, .. }
            | Event::Reached { trial, attempt, after_ms, .. }
            | Event::Ended { trial, attempt, after_ms, .. } => (Of { trial, attempt }, after_ms),
            _ => return record.at,
        };
        after_ms.map_or(record.at, |after| record.at.min(self.passes.tried(of).given.plus(after)))
    }

    /// Leases that have ended are counted, until `over`; new ones begin, and some go on. Answers for how long slots waited between the
    /// two.
    fn leases(&mut self, at: Stamp, over: Stamp) -> u128 {
        let mut waited = 0;
        let ended: Vec<Place> =
            self.open.iter().filter(|(place, (of, _))| !self.book.is_open(*of, **place)).map(|(&place, _)| place).collect();
        for place in ended {
            if let Some((of, since)) = self.open.remove(&place) {
                let (weight, until) = self.counts(place, at);
                waited += self.passes.ended(of, since, until, weight, over);
            }
        }
        let open = self.book.slots.iter().filter_map(|(place, slot)| Some((*place, slot.lease?)));
        let begun: Vec<(Place, Of)> = open.filter(|(place, _)| !self.open.contains_key(place)).collect();
        for (place, of) in begun {
            let since = if self.passes.goes_on(of) {
                self.workers.get(&place.worker).map_or(at, |worker| worker.since)
            } else {
                let tried = self.passes.tried(of);
                (tried.from, tried.given) = (self.book.trials.get(&of.trial).map_or(0, |row| row.from), at);
                at
            };
            self.open.insert(place, (of, since));
        }
        waited
    }

    /// For how long the slots of a worker that has just come count, and had no lease: nobody could give them anything.
    fn before(&self, record: &Record) -> u128 {
        let Event::WorkerJoined { worker, .. } = &record.event else { return 0 };
        let its = Place::new(*worker, 0).worker;
        let Some(since) = self.workers.get(&its).map(|worker| worker.since) else { return 0 };
        let places = self.book.slots.keys().filter(|place| place.worker == its && !self.open.contains_key(place));
        places.map(|place| self.span(*place, since, record.at)).sum()
    }

    /// Whether the books of a sweep, as they stand at `at`, are right.
    pub(super) fn looks_at(&self, line: u64, uses: &Uses, at: Stamp) -> Result<(), Violation> {
        self.compare(line, uses, at)?;
        self.shares(line, uses, at)
    }

    fn compare(&self, line: u64, uses: &Uses, at: Stamp) -> Result<(), Violation> {
        let reserved = self.book.purse.reserved(at);
        let sum: u64 = uses.categories().iter().map(|(_, amount)| amount).sum();
        refuse(u128::from(uses.reserved) != reserved, NAME, || format!("line {line}: {} is reserved, not {}", reserved, uses.reserved))?;
        refuse(sum != uses.reserved, NAME, || format!("line {line}: the categories sum to {sum}, not to {}", uses.reserved))?;
        let leased = self.passes.all.sum() + self.in_course(at).map(|(_, span)| span).sum::<u128>();
        let rest = u128::from(uses.idle) + u128::from(uses.drain);
        refuse(rest + leased != reserved, NAME, || format!("line {line}: {leased} of {reserved} was leased, and {rest} was not"))?;
        let said = &self.passes.all;
        let parts = [
            ("startup", uses.startup, said.startup),
            ("restore", uses.restore, said.restore),
            ("checkpoint", uses.checkpoint, said.wrote),
            ("redone", uses.redone, said.redone),
        ];
        for (name, amount, said) in parts {
            refuse(u128::from(amount) != said, NAME, || format!("line {line}: {amount} of {name}, and workers said {said}"))?;
        }
        Ok(())
    }

    /// Leases that have not ended: whose, and for how long.
    fn in_course(&self, at: Stamp) -> impl Iterator<Item = (TrialId, u128)> {
        self.open.iter().map(move |(place, (of, since))| (of.trial, self.passes.before(*of) + self.span(*place, *since, at)))
    }

    /// What slots without a lease were free for since the record before, while leases were given.
    fn rest(&mut self, at: Stamp) {
        if self.book.phase == Phase::Open {
            let free = self.book.slots.keys().filter(|place| !self.open.contains_key(place));
            let span: u128 = free.map(|place| self.span(*place, self.book.at, at)).sum();
            self.idle = self.idle.map(|idle| idle + span);
        }
    }

    /// A trial goes on from a rung, or is at the top.
    fn informs(&mut self, acts: &[Act]) {
        for act in acts {
            if let Act::Lease(lease) = act
                && self.book.trials.get(&lease.of.trial).is_some_and(|row| row.life == Life::Paused)
            {
                self.informed.insert(lease.of.trial);
            }
        }
        let finished = self.book.trials.iter().filter(|(_, row)| row.life == Life::Finished).map(|(trial, _)| *trial);
        self.informed.extend(finished);
    }

    /// Who wins, who informed and who did neither: each has what of its leases counts, and those in course.
    fn shares(&self, line: u64, uses: &Uses, at: Stamp) -> Result<(), Violation> {
        let winner = self.book.best(1).first().map(|(_, trial)| *trial);
        let mut right = [0_u128; 3];
        let mut add = |trial: TrialId, span: u128| {
            let share = if Some(trial) == winner { 0 } else { 2 - usize::from(self.informed.contains(&trial)) };
            right[share] += span;
        };
        self.passes.by_trial().for_each(|(trial, hours)| add(trial, hours.counts));
        self.in_course(at).for_each(|(trial, span)| add(trial, span));
        let said = [("winner", uses.winner), ("explored", uses.explored), ("stopped", uses.stopped)];
        for ((name, amount), right) in said.into_iter().zip(right) {
            refuse(u128::from(amount) != right, NAME, || format!("line {line}: {name} has {amount}, of leases of {right}"))?;
        }
        let Some(idle) = self.idle.filter(|_| at == self.book.at) else { return Ok(()) };
        refuse(u128::from(uses.idle) != idle, NAME, || format!("line {line}: slots were idle for {idle}, not {}", uses.idle))
    }
}

impl Judge for Ledger {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        self.rest(record.at);
        let open = self.book.phase == Phase::Open;
        self.fleet(record);
        self.said(record);
        let acts = Book::acts(record).unwrap_or_default();
        self.book.event(record, &acts);
        self.in_vain(record);
        // A slot whose lease ends and begins anew in one record: the first is booked before the second begins.
        let over = self.over(record);
        let waited = self.leases(record.at, over);
        let waited = waited + self.before(record);
        self.idle = self.idle.map(|idle| idle + if open { waited } else { 0 });
        self.informs(&acts);
        acts.iter().for_each(|act| self.book.act(act));
        self.leases(record.at, record.at);
        if let Event::WorkerLeft { worker } | Event::WorkerLost { worker } = &record.event {
            self.workers.retain(|_, known| known.id != *worker);
        }
        Ok(())
    }

    fn replayed(&mut self, line: u64, sweep: &Sweep) -> Result<(), Violation> {
        let chosen = self.book.hears_of_a_choice(sweep);
        self.informed.extend(chosen);
        let moments = [self.book.at, self.book.at.plus(7)];
        let [now, soon] = moments.map(|at| sweep.view_at(at).uses);
        self.looks_at(line, &now, moments[0])?;
        self.looks_at(line, &soon, moments[1])?;
        self.grows(line, &now, &soon)
    }
}

impl Ledger {
    /// While leases are given no slot drains, and afterwards none is idle: by the books of two moments.
    pub(super) fn grows(&self, line: u64, now: &Uses, soon: &Uses) -> Result<(), Violation> {
        let open = self.book.phase == Phase::Open;
        refuse(open && soon.drain > now.drain, NAME, || format!("line {line}: a slot is draining, and leases are given"))?;
        refuse(!open && soon.idle > now.idle, NAME, || format!("line {line}: a slot is idle at the end"))
    }
}
