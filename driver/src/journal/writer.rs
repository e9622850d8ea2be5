//! Appends to a journal. Durable means: `sync` has returned.
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Damage, JournalFault};
use super::fence::{Fence, sync_folder};
use super::line;
use super::record::{Header, Record};
use super::replay::Replayed;

/// What an engine writes to.
pub trait Journal: Send {
    /// The epoch by whose right it is written.
    fn epoch(&self) -> u32;

    /// Writes records in one piece. They are durable after the next [`Journal::sync`].
    ///
    /// # Errors
    /// If another driver has taken over or the disk refuses. Part of the records may be on disk then.
    fn append(&mut self, records: &[Record]) -> Result<(), JournalFault>;

    /// Waits until all that was appended is on the disk.
    ///
    /// # Errors
    /// If the disk refuses. The system may have dropped what was written, so there is no second try.
    fn sync(&mut self) -> Result<(), JournalFault>;
}

/// What a [`Writer`] stands on: a file that only grows, and the right to write it.
pub trait Medium: Send {
    /// The epoch of the right.
    fn epoch(&self) -> u32;

    /// Whether the right still stands.
    ///
    /// # Errors
    /// If someone claimed a later epoch.
    fn check(&self) -> Result<(), JournalFault>;

    /// Length of the file in bytes.
    ///
    /// # Errors
    /// If the system refuses.
    fn length(&self) -> io::Result<u64>;

    /// Writes behind the end.
    ///
    /// # Errors
    /// If the system refuses. Part of it may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Brings what was written to the disk.
    ///
    /// # Errors
    /// If the system refuses.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file after so many bytes and brings that to the disk.
    ///
    /// # Errors
    /// If the system refuses.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// A file and a claim in a run folder.
#[derive(Debug)]
pub struct Disk {
    file: File,
    fence: Arc<Fence>,
}

impl Medium for Disk {
    fn epoch(&self) -> u32 {
        self.fence.epoch()
    }
    fn check(&self) -> Result<(), JournalFault> {
        self.fence.check()
    }
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).inspect_err(|_| self.fence.broke())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| self.fence.broke())
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length).and_then(|()| self.file.sync_all()).inspect_err(|_| self.fence.broke())
    }
}

/// The one writer. After a fault it must not be used again: what is on disk is then known only by reading it.
#[derive(Debug)]
pub struct Writer<M = Disk> {
    path: PathBuf,
    medium: M,
    length: u64,
    buffer: Vec<u8>,
}

impl Writer {
    /// Creates the journal of a new sweep: it appears with its header whole or not at all.
    ///
    /// # Errors
    /// If there is one already, or the disk refuses.
    pub fn create(path: &Path, header: &Header, fence: impl Into<Arc<Fence>>) -> Result<Self, JournalFault> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let buffer = first_line(path, header)?;
        // Mode 0600, as all temporary files.
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(JournalFault::io(path, "create"))?;
        temporary.write_all(&buffer).map_err(JournalFault::io(path, "write"))?;
        temporary.as_file().sync_all().map_err(JournalFault::io(path, "sync"))?;
        temporary.persist_noclobber(path).map_err(|fault| match fault.error.kind() {
            io::ErrorKind::AlreadyExists => JournalFault::Exists { path: path.to_owned() },
            _ => JournalFault::io(path, "create")(fault.error),
        })?;
        sync_folder(folder)?;
        Self::append_to(path, fence, buffer.len() as u64)
    }

    /// Goes on with a journal after its last whole line; a torn one is cut off.
    ///
    /// # Errors
    /// If the file is not as it was replayed, or the disk refuses.
    pub fn resume(path: &Path, replayed: &Replayed, fence: impl Into<Arc<Fence>>) -> Result<Self, JournalFault> {
        Self::go_on(path, Disk::open(path, fence)?, replayed)
    }

    /// Behind `length` bytes of whole lines.
    pub(super) fn append_to(path: &Path, fence: impl Into<Arc<Fence>>, length: u64) -> Result<Self, JournalFault> {
        Ok(Self::on(path, Disk::open(path, fence)?, length))
    }

    /// The right by which it writes. Whoever keeps it shows others that this driver is not done yet.
    #[must_use]
    pub fn fence(&self) -> &Arc<Fence> {
        &self.medium.fence
    }
}

impl Disk {
    fn open(path: &Path, fence: impl Into<Arc<Fence>>) -> Result<Self, JournalFault> {
        let file = File::options().append(true).open(path).map_err(JournalFault::io(path, "open"))?;
        Ok(Self { file, fence: fence.into() })
    }

    /// On any file.
    #[cfg(test)]
    pub(super) fn of(file: File, fence: Fence) -> Self {
        Self { file, fence: Arc::new(fence) }
    }
}

impl<M: Medium> Writer<M> {
    /// A writer behind `length` bytes of whole lines, the first of which is [`first_line`]. `path` names it in faults.
    pub fn on(path: &Path, medium: M, length: u64) -> Self {
        Self { path: path.to_owned(), medium, length, buffer: vec![] }
    }

    /// Goes on after the last whole line of what was replayed; a torn one is cut off.
    ///
    /// # Errors
    /// If the file is not as it was replayed, or the disk refuses.
    pub fn go_on(path: &Path, medium: M, replayed: &Replayed) -> Result<Self, JournalFault> {
        let torn = replayed.torn.map_or(0, |torn| torn.bytes);
        let mut writer = Self::on(path, medium, replayed.whole_bytes + torn);
        writer.is_as_left()?;
        // The file was opened before this, so it is not a successor's.
        writer.medium.check()?;
        writer.medium.cut(replayed.whole_bytes).map_err(JournalFault::io(path, "cut"))?;
        writer.length = replayed.whole_bytes;
        Ok(writer)
    }

    /// A driver that overslept its successor would write into the successor's lines; the length gives it away.
    fn is_as_left(&self) -> Result<(), JournalFault> {
        let length = self.medium.length().map_err(JournalFault::io(&self.path, "look at"))?;
        if length == self.length { Ok(()) } else { Err(JournalFault::Foreign { path: self.path.clone() }) }
    }
}

impl<M: Medium> Journal for Writer<M> {
    fn epoch(&self) -> u32 {
        self.medium.epoch()
    }

    fn append(&mut self, records: &[Record]) -> Result<(), JournalFault> {
        self.medium.check()?;
        self.is_as_left()?;
        self.buffer.clear();
        for record in records {
            encode(&self.path, record.seq + 1, record, &mut self.buffer)?;
        }
        self.medium.append(&self.buffer).map_err(JournalFault::io(&self.path, "write"))?;
        self.length += self.buffer.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalFault> {
        self.medium.sync().map_err(JournalFault::io(&self.path, "sync"))?;
        // Taken over meanwhile: the successor may have read the file before these records, so they must not be acted on.
        self.medium.check()
    }
}

/// The bytes of a journal in which nothing has happened yet.
///
/// # Errors
/// If the header has no JSON.
pub fn first_line(path: &Path, header: &Header) -> Result<Vec<u8>, JournalFault> {
    let mut buffer = vec![];
    encode(path, 1, header, &mut buffer)?;
    Ok(buffer)
}

fn encode(path: &Path, line: u64, value: &impl serde::Serialize, out: &mut Vec<u8>) -> Result<(), JournalFault> {
    line::encode(value, out).map_err(|source| JournalFault::Damaged { path: path.to_owned(), line, damage: Damage::NotARecord(source) })
}
