//! The ledger sums to the reservation, and its parts to what was leased and what was not.
//!
//! Each slot's time is counted here naively: from joining to leaving, and for each lease from its record to the record that
//! ended it, or as long as its worker says that it had it, if that is shorter; a slot of which no driver has heard since the last
//! one died counts until that one was last heard of.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::ledger::Uses;
use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::{Event, Stamp, Sweep, SweepSpec, TrialId, WorkerId};
use hpo_driver::journal::Record;

use super::act::{Act, Of, Place};
use super::book::{Book, Life, Phase};
use super::{Judge, Violation, refuse};

/// The books of every slot.
#[derive(Debug)]
pub(super) struct Ledger {
    book: Book,
    workers: BTreeMap<u32, Worker>,
    /// Leases that have their slot, and since when.
    open: BTreeMap<Place, (Of, Stamp)>,
    /// When each attempt was given its first slot; one that is taken back keeps it.
    given: BTreeMap<Of, Stamp>,
    /// Of leases that have ended, in thousandths of a slot times milliseconds.
    leased: u128,
    /// What workers said they took for it, as far as their leases went, likewise.
    startup: u128,
    restore: u128,
    checkpoint: u128,
    redone: u128,
    /// By attempt: what it said and is not booked.
    said: BTreeMap<Of, Said>,
    /// Of leases that have ended, by trial.
    by_trial: BTreeMap<TrialId, u128>,
    /// Trials that were promoted, or came to the top: their reports informed a decision.
    informed: BTreeSet<TrialId>,
    /// Free slots' time while leases were given; none once a second driver has come, for then what was free is known late.
    idle: Option<u128>,
    drivers: usize,
}

/// What is known of one attempt's time, from its beginning on.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    startup: u64,
    restore: u64,
    checkpoint: u64,
    /// Its last report, and when that was.
    last: Option<(u32, Stamp)>,
    /// When it last reported a unit that was trained before.
    again: Option<Stamp>,
    /// What it trained after this is in no state, and is to be done again.
    lost: Option<Stamp>,
}

#[derive(Clone, Debug)]
struct Worker {
    id: WorkerId,
    weights: Vec<u128>,
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
            given: BTreeMap::new(),
            leased: 0,
            startup: 0,
            restore: 0,
            checkpoint: 0,
            redone: 0,
            said: BTreeMap::new(),
            by_trial: BTreeMap::new(),
            informed: BTreeSet::new(),
            idle: Some(0),
            drivers: 0,
        }
    }

    fn span(&self, place: Place, since: Stamp, at: Stamp) -> u128 {
        let Some(worker) = self.workers.get(&place.worker) else { return 0 };
        let weight = worker.weights.get(usize::from(place.slot)).copied().unwrap_or_default();
        // A word may say of a worker that is silent that its lease ended before that.
        weight * u128::from(worker.silent.map_or(at, |silent| silent.min(at)).since(since))
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
                if !self.workers.contains_key(&Place::new(*worker, 0).worker) && self.book.phase == Phase::Open {
                    // Nobody could give it anything before it came.
                    let before = record.at.since(self.book.purse.since(*worker, record.at, allocation.as_ref()));
                    self.idle = self.idle.map(|idle| idle + weights.iter().sum::<u128>() * u128::from(before));
                }
                let new = Worker { id: *worker, weights, silent: None };
                self.workers.entry(Place::new(*worker, 0).worker).or_insert(new).silent = None;
            }
            _ => {}
        }
    }

    /// What a word says of time. It is believed as far as the lease's own time goes.
    fn said(&mut self, record: &Record) {
        if let Event::WorkerLeft { worker } | Event::WorkerLost { worker } = &record.event {
            let its = Place::new(*worker, 0).worker;
            let leases = self.book.slots.iter().filter(|(place, _)| place.worker == its).filter_map(|(_, slot)| slot.lease);
            leases.for_each(|of| self.said.entry(of).or_default().lost = Some(Stamp(0)));
        }
        let Some((trial, attempt, _)) = record.event.about() else { return };
        let (of, when) = (Of { trial, attempt }, self.over(record));
        let trained = self.book.trials.get(&trial).map_or(0, |row| row.trained);
        let said = self.said.entry(of).or_default();
        match &record.event {
            Event::Started { startup_ms, restore_ms, .. } => (said.startup, said.restore) = (*startup_ms, *restore_ms),
            Event::Reported { resource, .. } => {
                said.last = Some((resource.0, when));
                if resource.0 <= trained {
                    said.again = Some(when);
                }
            }
            Event::Reached { checkpoint, .. } => said.checkpoint = checkpoint.as_ref().map_or(0, |state| state.wrote_ms),
            Event::Ended { how: End::Preempted { checkpoint: Some(state) }, .. } => {
                said.checkpoint = state.wrote_ms;
                // What came after the report of what it holds is not in it.
                let reported = said.last.filter(|(reported, _)| *reported == state.resource.0);
                said.lost = Some(reported.map_or(Stamp(0), |(_, at)| at));
            }
            Event::Ended { .. } => said.lost = Some(Stamp(0)),
            _ => {}
        }
    }

    /// An attempt that failed for good was not in vain: that it fails is known now; but the silence of one that hung was. One that
    /// came to the end of its lease was not either, unless it has to try again.
    fn in_vain(&mut self, record: &Record) {
        let (of, failed, hung) = match &record.event {
            Event::Ended { trial, attempt, how: End::Failed { kind, .. }, .. } => {
                (Of { trial: *trial, attempt: *attempt }, *kind != FailureKind::Checkpoint, *kind == FailureKind::Hang)
            }
            Event::Reached { trial, attempt, .. } => (Of { trial: *trial, attempt: *attempt }, true, false),
            _ => return,
        };
        let life = self.book.trials.get(&of.trial).map(|row| row.life);
        if failed && let Some(said) = self.said.get_mut(&of) {
            said.lost = match life {
                Some(Life::Waiting) => Some(Stamp(0)),
                _ if hung => Some(said.last.map_or(Stamp(0), |(_, at)| at)),
                _ => None,
            };
            if matches!(life, Some(Life::Waiting | Life::Failed)) {
                // The end of a lease without a report there: its state is none.
                said.checkpoint = 0;
            }
        }
    }

    /// When that was in truth what a record tells of an attempt, by what its worker says.
    fn over(&self, record: &Record) -> Stamp {
        let (of, after_ms) = match record.event {
            Event::Reported { trial, attempt, after_ms, .. }
            | Event::Reached { trial, attempt, after_ms, .. }
            | Event::Ended { trial, attempt, after_ms, .. } => (Of { trial, attempt }, after_ms),
            _ => return record.at,
        };
        let (Some(given), Some(after)) = (self.given.get(&of), after_ms) else { return record.at };
        record.at.min(given.plus(after))
    }

    /// Leases that have ended are booked, until `over`; new ones begin. Answers for how long slots waited between the two.
    fn leases(&mut self, at: Stamp, over: Stamp) -> u128 {
        let mut waited = 0;
        let ended: Vec<Place> =
            self.open.iter().filter(|(place, (of, _))| !self.book.is_open(*of, **place)).map(|(&place, _)| place).collect();
        for place in ended {
            if let Some((of, since)) = self.open.remove(&place) {
                let span = self.span(place, since, over);
                waited += self.span(place, since, at) - span;
                self.leased += span;
                self.books(of, place, since, span);
                *self.by_trial.entry(of.trial).or_default() += span;
            }
        }
        for (place, slot) in &self.book.slots {
            if let Some(of) = slot.lease {
                self.open.entry(*place).or_insert((of, at));
                self.given.entry(of).or_insert(at);
            }
        }
        waited
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
        let leased = self.leased + self.open.iter().map(|(place, (_, since))| self.span(*place, *since, at)).sum::<u128>();
        let rest = u128::from(uses.idle) + u128::from(uses.drain);
        refuse(rest + leased != reserved, NAME, || format!("line {line}: {leased} of {reserved} was leased, and {rest} was not"))?;
        let parts = [
            ("startup", uses.startup, self.startup),
            ("restore", uses.restore, self.restore),
            ("checkpoint", uses.checkpoint, self.checkpoint),
            ("redone", uses.redone, self.redone),
        ];
        for (name, amount, said) in parts {
            refuse(u128::from(amount) != said, NAME, || format!("line {line}: {amount} of {name}, and workers said {said}"))?;
        }
        Ok(())
    }

    /// Of a lease's time first the start counts, then the reading of the state, then its writing; of what is left, what was
    /// trained before, or will be again.
    fn books(&mut self, of: Of, place: Place, since: Stamp, span: u128) {
        let said = self.said.entry(of).or_default();
        let Said { startup, restore, checkpoint, last, again, lost } = *said;
        // Should it be taken back, its start is in the books.
        *said = Said { last, again, ..Said::default() };
        let weight = self.workers.get(&place.worker).and_then(|worker| worker.weights.get(usize::from(place.slot)));
        let weight = weight.copied().unwrap_or_default();
        let (mut left, mut done) = (span, [0; 3]);
        for (part, said) in done.iter_mut().zip([startup, restore, checkpoint]) {
            *part = left.min(weight * u128::from(said));
            left -= *part;
        }
        let over = since.plus(u64::try_from(span / weight.max(1)).unwrap_or(u64::MAX));
        let again = again.map_or(0, |again| (weight * u128::from(again.since(since))).saturating_sub(done[0] + done[1]));
        let lost = lost.map_or(0, |lost| (weight * u128::from(over.since(lost))).saturating_sub(done[2]));
        self.startup += done[0];
        self.restore += done[1];
        self.checkpoint += done[2];
        self.redone += left.min(again + lost);
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

    /// Who wins, who informed and who did neither: none has more than its leases.
    fn shares(&self, line: u64, uses: &Uses, at: Stamp) -> Result<(), Violation> {
        let winner = self.book.best(1).first().map(|(_, trial)| *trial);
        let mut most = [0_u128; 3];
        let mut add = |trial: TrialId, span: u128| {
            let share = if Some(trial) == winner { 0 } else { 2 - usize::from(self.informed.contains(&trial)) };
            most[share] += span;
        };
        self.by_trial.iter().for_each(|(trial, span)| add(*trial, *span));
        self.open.iter().for_each(|(place, (of, since))| add(of.trial, self.span(*place, *since, at)));
        for (index, (name, amount)) in
            [("winner", uses.winner), ("explored", uses.explored), ("stopped", uses.stopped)].into_iter().enumerate()
        {
            let most = most[index];
            refuse(u128::from(amount) > most, NAME, || format!("line {line}: {name} has {amount}, of leases of {most}"))?;
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
        let waited = self.leases(record.at, self.over(record));
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
