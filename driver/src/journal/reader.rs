//! Reads a journal line by line, so that its size does not matter.
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use hpo_core::Stamp;
use serde::Deserialize;

use super::fault::{Damage, JournalFault};
use super::record::{Header, Record};
use super::{FORMAT, line};

/// No line is longer, in bytes; keeps a damaged file from filling the memory.
const LINE_MAX: usize = 64 << 20;

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Line of the file, from 1; the header is line 1.
    pub line: u64,
    /// What stands there.
    pub record: Record,
}

/// A last line that was not written to its end: the writer died before it could act on it, so nothing is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Which line.
    pub line: u64,
    /// How many bytes of it there are.
    pub bytes: u64,
}

/// The records of a journal, in order. Ends at the first fault.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    path: PathBuf,
    input: R,
    buffer: Vec<u8>,
    line: u64,
    whole: u64,
    next: u64,
    last_at: Stamp,
    torn: Option<Torn>,
    ended: bool,
}

impl Reader {
    /// Opens a journal and reads its header.
    ///
    /// # Errors
    /// If it cannot be read, has no header, or is of another format.
    pub fn open(path: &Path) -> Result<(Header, Self), JournalFault> {
        let file = File::open(path).map_err(JournalFault::io(path, "open"))?;
        Self::of(path, BufReader::with_capacity(1 << 16, file))
    }
}

impl<R: BufRead> Reader<R> {
    /// The same on any bytes; `path` names them in faults.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn of(path: &Path, input: R) -> Result<(Header, Self), JournalFault> {
        let mut reader =
            Self { path: path.to_owned(), input, buffer: vec![], line: 0, whole: 0, next: 1, last_at: Stamp(0), torn: None, ended: false };
        if !reader.next_line()? {
            return Err(JournalFault::NoHeader { path: path.to_owned() });
        }
        // The version first: another format may have another header.
        let format = reader.decode::<Format>()?.format;
        if format != FORMAT {
            return Err(JournalFault::Format { path: path.to_owned(), found: format, known: FORMAT });
        }
        Ok((reader.decode()?, reader))
    }

    /// The torn line at the end, once the end is reached.
    #[must_use]
    pub fn torn(&self) -> Option<Torn> {
        self.torn
    }

    /// Length in bytes of the lines read so far, all whole.
    #[must_use]
    pub fn whole_bytes(&self) -> u64 {
        self.whole
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&mut self) -> Result<Option<Entry>, JournalFault> {
        if !self.next_line()? {
            return Ok(None);
        }
        let record: Record = self.decode()?;
        if record.seq != self.next {
            return Err(self.damaged(Damage::Gap { expected: self.next, found: record.seq }));
        }
        if record.at < self.last_at {
            return Err(self.damaged(Damage::TimeReversed));
        }
        self.next += 1;
        self.last_at = record.at;
        Ok(Some(Entry { line: self.line, record }))
    }

    /// Reads the next whole line into the buffer, without its newline. False at the end, where `torn` is then known.
    fn next_line(&mut self) -> Result<bool, JournalFault> {
        self.buffer.clear();
        self.line += 1;
        let limit = LINE_MAX as u64 + 1;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(JournalFault::io(&self.path, "read"))? as u64;
        if read == 0 {
            return Ok(false);
        }
        if self.buffer.pop_if(|last| *last == b'\n').is_none() && read == limit {
            return Err(self.damaged(Damage::TooLong { max: LINE_MAX }));
        }
        let ended_in_newline = self.buffer.len() as u64 != read;
        let checked = line::check(&self.buffer);
        if ended_in_newline && checked.is_ok() {
            self.whole += read;
            return Ok(true);
        }
        let at_end = self.input.fill_buf().map_err(JournalFault::io(&self.path, "read"))?.is_empty();
        match checked {
            Err(damage) if !at_end => Err(self.damaged(damage)),
            _ => {
                self.torn = Some(Torn { line: self.line, bytes: read });
                Ok(false)
            }
        }
    }

    fn decode<T: for<'a> Deserialize<'a>>(&self) -> Result<T, JournalFault> {
        serde_json::from_slice(&self.buffer).map_err(|source| self.damaged(Damage::NotARecord(source)))
    }

    fn damaged(&self, damage: Damage) -> JournalFault {
        JournalFault::Damaged { path: self.path.clone(), line: self.line, damage }
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, JournalFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.read().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}
