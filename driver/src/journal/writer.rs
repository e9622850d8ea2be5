//! Appends to a journal. Durable means: `sync` has returned.
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Damage, JournalFault};
use super::fence::{Fence, sync_folder};
use super::line;
use super::record::{Header, Record};
use super::replay::Replayed;

/// The one writer. After a fault it must not be used again: what is on disk is then known only by reading it.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    fence: Arc<Fence>,
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
        let mut buffer = vec![];
        encode(path, 1, header, &mut buffer)?;
        // Mode 0600, as all temporary files.
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(JournalFault::io(path, "create"))?;
        temporary.write_all(&buffer).map_err(JournalFault::io(path, "write"))?;
        temporary.as_file().sync_all().map_err(JournalFault::io(path, "sync"))?;
        temporary.persist_noclobber(path).map_err(|fault| match fault.error.kind() {
            std::io::ErrorKind::AlreadyExists => JournalFault::Exists { path: path.to_owned() },
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
        let torn = replayed.torn.map_or(0, |torn| torn.bytes);
        let writer = Self::append_to(path, fence, replayed.whole_bytes + torn)?;
        writer.is_as_left()?;
        // The file was opened before this, so it is not a successor's.
        writer.fence.check()?;
        writer.file.set_len(replayed.whole_bytes).map_err(JournalFault::io(path, "cut"))?;
        writer.file.sync_all().map_err(JournalFault::io(path, "sync"))?;
        Ok(Self { length: replayed.whole_bytes, ..writer })
    }

    pub(super) fn append_to(path: &Path, fence: impl Into<Arc<Fence>>, length: u64) -> Result<Self, JournalFault> {
        let file = File::options().append(true).open(path).map_err(JournalFault::io(path, "open"))?;
        Ok(Self { path: path.to_owned(), file, fence: fence.into(), length, buffer: vec![] })
    }

    /// On any file.
    #[cfg(test)]
    pub(super) fn on(path: PathBuf, file: File, fence: Fence) -> Self {
        Self { path, file, fence: Arc::new(fence), length: 0, buffer: vec![] }
    }

    /// The right by which it writes. Whoever keeps it shows others that this driver is not done yet.
    #[must_use]
    pub fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }

    /// Writes records in one piece. They are durable after the next [`Writer::sync`].
    ///
    /// # Errors
    /// If another driver has taken over or the disk refuses. Part of the records may be on disk then.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalFault> {
        self.fence.check()?;
        self.is_as_left()?;
        self.buffer.clear();
        for record in records {
            encode(&self.path, record.seq + 1, record, &mut self.buffer)?;
        }
        self.file.write_all(&self.buffer).map_err(JournalFault::io(&self.path, "write"))?;
        self.length += self.buffer.len() as u64;
        Ok(())
    }

    /// Waits until all that was appended is on the disk.
    ///
    /// # Errors
    /// If the disk refuses. The system may have dropped what was written, so there is no second try.
    pub fn sync(&mut self) -> Result<(), JournalFault> {
        self.file.sync_data().map_err(JournalFault::io(&self.path, "sync"))?;
        // Taken over meanwhile: the successor may have read the file before these records, so they must not be acted on.
        self.fence.check()
    }

    /// A driver that overslept its successor would write into the successor's lines; the length gives it away.
    fn is_as_left(&self) -> Result<(), JournalFault> {
        let length = self.file.metadata().map_err(JournalFault::io(&self.path, "look at"))?.len();
        if length == self.length { Ok(()) } else { Err(JournalFault::Foreign { path: self.path.clone() }) }
    }
}

fn encode(path: &Path, line: u64, value: &impl serde::Serialize, out: &mut Vec<u8>) -> Result<(), JournalFault> {
    line::encode(value, out).map_err(|source| JournalFault::Damaged { path: path.to_owned(), line, damage: Damage::NotARecord(source) })
}
