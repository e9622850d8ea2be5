//! A replay of the journal leads to the very state that the driver is in, and derives every decision again. The searcher is
//! told of each rung that a trial first comes to, and of each trial that fails, once.
use hpo_core::{Action, Stamp, Sweep, SweepSpec};
use hpo_driver::journal::{Record, decisions};

use super::book::{Book, Life};
use super::{Judge, Violation, refuse};

/// A sweep that follows the journal.
#[derive(Debug)]
pub(super) struct Replay {
    sweep: Sweep,
    book: Book,
    seq: u64,
}

const NAME: &str = "replay";
/// Of the states that are equal field by field one in so many is also put into a digest, which tells a loss that is no number
/// from an infinite one.
const DIGESTED: u64 = 64;

impl Replay {
    /// Nothing has happened.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self::of(spec, spec)
    }

    /// A sweep that lives by the one, before a judge who goes by the other.
    #[must_use]
    pub(super) fn of(lived: &SweepSpec, judged: &SweepSpec) -> Self {
        Self { sweep: Sweep::new(lived.clone()), book: Book::new(judged), seq: 0 }
    }

    /// What a searcher can know.
    fn news(&self) -> usize {
        self.book.trials.values().map(|row| row.rungs.len() + usize::from(row.life == Life::Failed)).sum()
    }

    /// The sweep after the last record.
    #[must_use]
    pub(super) fn sweep(&self) -> &Sweep {
        &self.sweep
    }
}

impl Judge for Replay {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let line = record.seq;
        refuse(line != self.seq + 1, NAME, || format!("line {line} comes after {}", self.seq))?;
        self.seq = line;
        refuse(record.at < self.sweep.now(), NAME, || format!("line {line}: time runs backwards"))?;
        if let Err(why) = self.sweep.admit(&record.event) {
            return refuse(true, NAME, || format!("line {line} is in the journal, but {why}"));
        }
        let mut actions = vec![];
        self.sweep.apply(record.at, &record.event, &mut actions);
        let again = decisions(&actions);
        refuse(again != record.acts, NAME, || {
            format!("line {line}: [{}] was decided, and now [{}]", record.acts.join("; "), again.join("; "))
        })?;
        let before = self.news();
        self.book.record(record);
        let (told, news) = (actions.iter().filter(|action| matches!(action, Action::Tell(_))).count(), self.news() - before);
        refuse(told != news, NAME, || format!("line {line}: the searcher hears {told} things, and {news} happened"))?;
        if !cfg!(debug_assertions) {
            // Else it has checked itself.
            self.sweep.check();
        }
        Ok(())
    }

    fn settled(&mut self, _at: Stamp, records: u64, sweep: &Sweep) -> Result<(), Violation> {
        refuse(records != self.seq, NAME, || format!("the driver stands at line {records}, its journal at {}", self.seq))?;
        if !records.is_multiple_of(DIGESTED) && *sweep == self.sweep {
            return Ok(());
        }
        let (digest, again) = (sweep.digest(), self.sweep.digest());
        refuse(again != digest, NAME, || format!("after line {records} the driver's state is {digest:016x}, that of a replay {again:016x}"))
    }
}
