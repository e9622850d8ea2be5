//! Attempts of a trial are counted from 1 without a gap, and only the newest is listened to, while it has a lease, and to what
//! lies in that.
use hpo_core::sweep::event::End;
use hpo_core::{Event, SweepSpec, TrialId};
use hpo_driver::journal::Record;

use super::act::{Act, Leased, Of, Place};
use super::book::{Book, Phase};
use super::{Judge, Violation, refuse};

/// The attempts so far.
#[derive(Debug)]
pub(super) struct Newest(Book);

const NAME: &str = "newest";

impl Newest {
    /// No attempts.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self(Book::new(spec))
    }

    fn leased(&self, line: u64, lease: &Leased) -> Result<(), Violation> {
        let Leased { of, on, .. } = lease;
        let newest = self.0.trials.get(&of.trial).map_or(0, |row| row.attempt);
        let again = self.0.is_open(*of, *on);
        refuse(!again && of.attempt.0 != newest + 1, NAME, || format!("line {line}: lease of {of} after attempt {newest}"))
    }
}

impl Newest {
    /// Only what was asked for is answered, only an open sweep is drained, and drivers come in the order of their epochs.
    fn was_due(&self, record: &Record) -> Result<(), Violation> {
        let due = match &record.event {
            Event::Suggested { trial, .. } | Event::Exhausted { trial } => self.0.asked.contains(trial),
            Event::DrainAsked => self.0.phase == Phase::Open,
            Event::DriverStarted { epoch } => *epoch > self.0.epoch,
            Event::WorkerLeft { worker } | Event::WorkerLost { worker } => {
                let its = Place::new(*worker, 0).worker;
                self.0.slots.keys().any(|place| place.worker == its)
            }
            _ => true,
        };
        refuse(!due, NAME, || format!("line {}: nobody waited for {:?}", record.seq, record.event))
    }
}

impl Newest {
    /// Reports go on from where the attempt stands to the end of its lease, and no state is of another place.
    fn is_inside(&self, record: &Record, trial: TrialId) -> Result<(), Violation> {
        let Some(row) = self.0.trials.get(&trial) else { return Ok(()) };
        let inside = match &record.event {
            Event::Reported { resource, .. } => resource.0 > row.last.map_or(row.from, |(at, _)| at) && resource.0 <= row.until,
            Event::Reached { resource, checkpoint, .. } => {
                resource.0 == row.until && checkpoint.as_ref().is_none_or(|state| state.resource == *resource)
            }
            Event::Ended { how: End::Preempted { checkpoint: Some(state) }, .. } => (row.from..row.until).contains(&state.resource.0),
            _ => true,
        };
        refuse(!inside, NAME, || format!("line {}: of the lease {}..{}: {:?}", record.seq, row.from, row.until, record.event))
    }
}

impl Judge for Newest {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let line = record.seq;
        if let Some((trial, attempt, _)) = record.event.about() {
            let of = Of { trial, attempt };
            let place = self.0.place(trial);
            let open = place.is_some_and(|place| self.0.is_open(of, place));
            refuse(!open, NAME, || format!("line {line}: a word of {of}, which has no lease"))?;
            self.is_inside(record, trial)?;
        }
        self.was_due(record)?;
        let Some(acts) = Book::acts(record) else {
            return refuse(true, NAME, || format!("line {line}: not decisions: {:?}", record.acts));
        };
        self.0.event(record, &acts);
        for act in &acts {
            if let Act::Lease(lease) = act {
                self.leased(line, lease)?;
            }
            self.0.act(act);
        }
        Ok(())
    }
}
