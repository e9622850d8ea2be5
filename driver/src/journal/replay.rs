//! Lives a journal through again.
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use hpo_core::{Action, Stamp, Sweep};

use super::fault::JournalFault;
use super::reader::{Entry, Reader, Torn};
use super::record::{Header, decisions};

/// A journal on its way through the sweep, record by record.
#[derive(Debug)]
pub struct Replay<R = BufReader<File>> {
    header: Header,
    reader: Reader<R>,
    sweep: Sweep,
    actions: Vec<Action>,
    records: u64,
}

/// One record that was applied.
#[derive(Debug)]
pub struct Step<'a> {
    /// The record.
    pub entry: Entry,
    /// What the sweep asks for. It was done when the record was written, or will be asked for again.
    pub actions: &'a [Action],
    /// The sweep after it.
    pub sweep: &'a Sweep,
}

impl Replay {
    /// Opens a journal at its first record.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open(path: &Path) -> Result<Self, JournalFault> {
        Reader::open(path).map(Self::of)
    }
}

impl<R: BufRead> Replay<R> {
    /// The same on any journal.
    #[must_use]
    pub fn of((header, reader): (Header, Reader<R>)) -> Self {
        let sweep = Sweep::new(header.spec.clone());
        Self { header, reader, sweep, actions: vec![], records: 0 }
    }

    /// The first line.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Applies the next record. `None` at the end.
    ///
    /// # Errors
    /// If the file is damaged, or the sweep refuses the event.
    pub fn step(&mut self) -> Result<Option<Step<'_>>, JournalFault> {
        let Some(entry) = self.reader.next().transpose()? else { return Ok(None) };
        let event = &entry.record.event;
        if let Err(why) = self.sweep.admit(event) {
            return Err(JournalFault::Refused { path: self.reader.path().to_owned(), line: entry.line, why });
        }
        self.records += 1;
        self.actions.clear();
        self.sweep.apply(entry.record.at, event, &mut self.actions);
        Ok(Some(Step { entry, actions: &self.actions, sweep: &self.sweep }))
    }

    /// Goes through the rest.
    ///
    /// # Errors
    /// As [`Replay::step`].
    pub fn finish(mut self) -> Result<Replayed, JournalFault> {
        while self.step()?.is_some() {}
        Ok(Replayed {
            records: self.records,
            last_at: self.sweep.now(),
            torn: self.reader.torn(),
            whole_bytes: self.reader.whole_bytes(),
            header: self.header,
            sweep: self.sweep,
        })
    }

    /// Derives every decision again and compares it with what was written down.
    ///
    /// # Errors
    /// The first difference, or why the file cannot be read to its end.
    pub fn verify(mut self) -> Result<Verified, VerifyFault> {
        while let Some(Step { entry, actions, .. }) = self.step()? {
            let expected = decisions(actions);
            if expected != entry.record.acts {
                return Err(VerifyFault::Mismatch { line: entry.line, events: entry.record.seq, expected, found: entry.record.acts });
            }
        }
        let replayed = self.finish()?;
        Ok(Verified { events: replayed.records, digest: replayed.sweep.digest(), torn: replayed.torn })
    }
}

/// What a journal leads to.
#[derive(Debug)]
pub struct Replayed {
    /// The first line.
    pub header: Header,
    /// The sweep after the last record.
    pub sweep: Sweep,
    /// How many records there are, which is the number of the last.
    pub records: u64,
    /// Stamp of the last record; 0 if there is none.
    pub last_at: Stamp,
    /// A cut-off last line, which counts as not written.
    pub torn: Option<Torn>,
    /// Length in bytes of what is whole.
    pub whole_bytes: u64,
}

/// Every record of the journal, applied to a fresh sweep.
///
/// # Errors
/// If the file cannot be read, is damaged before its end, or holds an event that the sweep refuses.
pub fn replay(path: &Path) -> Result<Replayed, JournalFault> {
    Replay::open(path)?.finish()
}

/// A journal whose every decision was derived again and is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Events in it.
    pub events: u64,
    /// [`Sweep::digest`] after the last.
    pub digest: u64,
    /// A cut-off last line.
    pub torn: Option<Torn>,
}

/// Why a journal is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFault {
    /// It cannot be read to its end.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The first event on which something else is decided than was written down.
    #[error("line {line}: on this event the sweep decides [{}], but the journal has [{}]", expected.join("; "), found.join("; "))]
    Mismatch {
        /// Where.
        line: u64,
        /// Events up to and with it.
        events: u64,
        /// What is decided now.
        expected: Vec<String>,
        /// What was written down.
        found: Vec<String>,
    },
}

impl VerifyFault {
    /// The line it is about, if it is about one.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Journal(fault) => fault.line(),
            Self::Mismatch { line, .. } => Some(*line),
        }
    }
}

/// Derives every decision again and compares it with what was written down.
///
/// # Errors
/// The first difference, or why the file cannot be read to its end.
pub fn verify(path: &Path) -> Result<Verified, VerifyFault> {
    Replay::open(path)?.verify()
}
