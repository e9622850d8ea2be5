//! No slot is sold twice: not in the journal, and not in truth. No trial trains in two places under its newest attempt.
use std::collections::BTreeMap;

use hpo_core::{SweepSpec, WorkerId};
use hpo_driver::journal::Record;

use super::act::{Act, Leased, Of, Place};
use super::book::{Book, Life, Phase};
use super::{Fact, Judge, Stamp, Violation, refuse};

/// Who has which slot, by the journal and in truth.
#[derive(Debug)]
pub(super) struct Slots {
    book: Book,
    training: BTreeMap<(WorkerId, u16), Of>,
}

const NAME: &str = "slots";

impl Slots {
    /// Nobody has any.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self { book: Book::new(spec), training: BTreeMap::new() }
    }

    fn leased(&self, line: u64, Leased { of, on, .. }: Leased) -> Result<(), Violation> {
        if self.book.is_open(of, on) {
            return Ok(());
        }
        let Some(slot) = self.book.slots.get(&on) else {
            return refuse(true, NAME, || format!("line {line}: lease of {of} on {on}, which is nowhere"));
        };
        refuse(!slot.heard, NAME, || format!("line {line}: lease of {of} on {on}, of which this driver has not heard"))?;
        refuse(slot.spent, NAME, || format!("line {line}: lease of {of} on {on}, whose worker leaves too soon for it"))?;
        let short = !self.book.holds(on, of.trial);
        refuse(short, NAME, || format!("line {line}: lease of {of} on {on}, which leaves before it could be done, as it was once"))?;
        if let Some(other) = slot.lease {
            return refuse(true, NAME, || format!("line {line}: lease of {of} on {on}, which {other} has"));
        }
        let elsewhere = self.book.place(of.trial);
        refuse(elsewhere.is_some(), NAME, || format!("line {line}: lease of {of}, and the trial has one already"))
    }

    /// A worker brings attempts back that nobody stops: their slots must have been free, and they the newest.
    fn brought_back(&self, record: &Record, acts: &[Act]) -> Result<(), Violation> {
        let hpo_core::Event::WorkerJoined { worker, holds, .. } = &record.event else { return Ok(()) };
        for held in holds {
            let (of, on) = (Of::from(*held), Place::new(*worker, held.slot));
            let row = self.book.trials.get(&of.trial);
            let right = row.is_some_and(|row| row.attempt == of.attempt.0 && row.lost_on == Some(on));
            if acts.contains(&Act::Stop(of, on)) {
                // Nobody else got the trial meanwhile, so it could have gone on, if only to save its state.
                let wanted = matches!(self.book.phase, Phase::Open | Phase::Draining);
                let waits = right && row.is_some_and(|row| row.life == Life::Waiting) && wanted;
                let free = self.book.slots.get(&on).is_none_or(|slot| slot.lease.is_none());
                let alone = holds.iter().filter(|other| other.slot == held.slot).count() == 1;
                refuse(waits && free && alone, NAME, || format!("line {}: {of} on {on} is stopped, and could go on", record.seq))?;
                continue;
            }
            if self.book.is_open(of, on) {
                continue;
            }
            let right = right && row.is_some_and(|row| row.life == Life::Waiting);
            refuse(!right, NAME, || format!("line {}: {of} on {on} may go on, and was not lost there", record.seq))?;
            let taken = self.book.slots.get(&on).and_then(|slot| slot.lease);
            refuse(taken.is_some(), NAME, || format!("line {}: {of} goes on on {on}, which is taken", record.seq))?;
        }
        Ok(())
    }

    fn began(&mut self, worker: WorkerId, slot: u16, of: Of) -> Result<(), Violation> {
        if let Some(other) = self.training.insert((worker, slot), of) {
            return refuse(true, NAME, || format!("{of} and {other} train at once on slot {slot} of {worker}"));
        }
        let twice = self.training.values().filter(|other| **other == of).count() > 1;
        refuse(twice, NAME, || format!("{of} trains in two places at once"))
    }
}

impl Judge for Slots {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let acts = Book::acts(record).unwrap_or_default();
        self.brought_back(record, &acts)?;
        self.book.event(record, &acts);
        for act in &acts {
            if let Act::Lease(lease) = act {
                self.leased(record.seq, *lease)?;
            }
            self.book.act(act);
        }
        Ok(())
    }

    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::TrainingBegan { worker, held, .. } => return self.began(*worker, held.slot, (*held).into()),
            Fact::TrainingEnded { worker, held } => drop(self.training.remove(&(*worker, held.slot))),
            Fact::WorkerDied { worker } => self.training.retain(|(owner, _), _| owner != worker),
            Fact::Trained { worker, held, .. } => {
                let trains = self.training.get(&(*worker, held.slot)) == Some(&Of::from(*held));
                return refuse(!trains, NAME, || format!("{} trains on, and has ended", Of::from(*held)));
            }
            _ => {}
        }
        Ok(())
    }
}
