//! Each word is applied once, in order and without a gap, and none is called safe before it is.
use std::collections::BTreeMap;

use hpo_core::sweep::event::Held;
use hpo_core::{Seq, SweepSpec};
use hpo_driver::journal::Record;

use super::act::Of;
use super::book::Book;
use super::{Fact, Judge, Stamp, Violation, refuse};

/// Of the words of each attempt, the last that is in the journal.
#[derive(Debug)]
pub(super) struct Once {
    book: Book,
    last: BTreeMap<Of, u32>,
}

const NAME: &str = "once";

impl Once {
    /// Nothing is in the journal.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self { book: Book::new(spec), last: BTreeMap::new() }
    }

    /// A worker forgets what is acknowledged. So while the attempt has its lease, it must be in the journal; when it has none any
    /// more, its words are turned away for good.
    fn acknowledged(&self, held: Held, seq: Seq) -> Result<(), Violation> {
        let of = Of::from(held);
        let open = self.book.place(of.trial).is_some_and(|place| self.book.is_open(of, place));
        let last = self.last.get(&of).copied().unwrap_or_default();
        refuse(open && last < seq.0, NAME, || format!("word {} of {of} is acknowledged, and the last that is durable is {last}", seq.0))
    }
}

impl Judge for Once {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        if let Some((trial, attempt, seq)) = record.event.about() {
            let of = Of { trial, attempt };
            let last = self.last.entry(of).or_default();
            let before = std::mem::replace(last, seq.0);
            refuse(seq.0 <= before, NAME, || format!("line {}: word {} of {of} comes after word {before}", record.seq, seq.0))?;
            refuse(seq.0 > before + 1, NAME, || format!("line {}: of {of} the words between {before} and {} are lost", record.seq, seq.0))?;
        }
        self.book.record(record);
        Ok(())
    }

    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Acknowledged { held, seq, .. } => self.acknowledged(*held, *seq),
            _ => Ok(()),
        }
    }
}
