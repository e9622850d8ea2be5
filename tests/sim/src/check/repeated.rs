//! A driver crash costs no GPU-second: whatever is trained a second time was lost by a worker, a trainer, a preemption without
//! a state, a state that was damaged, or a lease that ran out; never by the death of a driver.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::{Event, SweepSpec, TrialId, WorkerId};
use hpo_driver::journal::Record;

use super::act::{Of, Place};
use super::book::Book;
use super::{Fact, Judge, Stamp, Violation, refuse};

/// Who trained what.
#[derive(Debug)]
pub(super) struct Repeated {
    book: Book,
    /// How far each trial was trained, and by which attempt.
    trained: BTreeMap<TrialId, BTreeMap<u32, Of>>,
    /// Attempts whose work may be lost, for a reason that is no driver's.
    excused: BTreeSet<Of>,
    /// Where each attempt trains.
    at: BTreeMap<Of, WorkerId>,
}

const NAME: &str = "repeated";

impl Repeated {
    /// Nobody has trained.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self { book: Book::new(spec), trained: BTreeMap::new(), excused: BTreeSet::new(), at: BTreeMap::new() }
    }

    /// By the journal: an attempt ended without a state that holds all its work.
    fn excuse(&mut self, record: &Record) {
        match &record.event {
            Event::WorkerLeft { worker } | Event::WorkerLost { worker } => {
                let its = Place::new(*worker, 0).worker;
                let open = self.book.slots.iter().filter(|(place, _)| place.worker == its).filter_map(|(_, slot)| slot.lease);
                self.excused.extend(open);
            }
            Event::Ended { trial, how: End::Failed { kind: FailureKind::Checkpoint, .. }, .. } => {
                // All that was done since the state before.
                let attempts = self.trained.get(trial).into_iter().flat_map(BTreeMap::values);
                self.excused.extend(attempts.copied());
            }
            // A training that keeps no state begins anew.
            Event::Ended { trial, attempt, .. } | Event::Reached { trial, attempt, checkpoint: None, .. } => {
                self.excused.insert(Of { trial: *trial, attempt: *attempt });
            }
            _ => {}
        }
    }

    fn trains(&mut self, of: Of, resource: u32) -> Result<(), Violation> {
        let before = self.trained.entry(of.trial).or_default().insert(resource, of);
        let Some(before) = before.filter(|before| *before != of) else { return Ok(()) };
        refuse(before > of, NAME, || format!("{of} trains unit {resource}, which {before} has trained"))?;
        refuse(!self.excused.contains(&before), NAME, || {
            format!("{of} trains unit {resource} again: {before} had done it, and nothing took it away")
        })
    }
}

impl Judge for Repeated {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        self.excuse(record);
        self.book.record(record);
        Ok(())
    }

    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::TrainingBegan { worker, held, .. } => drop(self.at.insert((*held).into(), *worker)),
            Fact::WorkerDied { worker } => {
                let its = self.at.iter().filter(|(_, at)| *at == worker).map(|(of, _)| *of);
                self.excused.extend(its);
            }
            // An attempt that is not the newest any more trains in vain until it hears of that.
            Fact::Trained { held, resource, .. } if self.book.trials.get(&held.trial).is_some_and(|row| row.attempt == held.attempt.0) => {
                return self.trains((*held).into(), resource.0);
            }
            _ => {}
        }
        Ok(())
    }
}
