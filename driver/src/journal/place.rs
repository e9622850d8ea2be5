//! Which file is the journal. `journal.jsonl`, until a driver takes over from one that may still be in the middle of a
//! write: then it goes on in a copy, `journal-epoch-N.jsonl`, whose name nobody else ever makes, and `journal.jsonl`
//! becomes a second name of that. Whatever the old driver writes later goes to a file that nobody reads.
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claim::numbers;
use super::fault::JournalFault;
use super::fence::{Fence, sync_folder};
use super::replay::Replayed;
use super::writer::Writer;

/// The name that always leads to the journal.
const NAME: &str = "journal.jsonl";
const PREFIX: &str = "journal-epoch-";
const SUFFIX: &str = ".jsonl";

/// Where the journal of a run lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    folder: PathBuf,
    /// The driver that made the file; 0 for the first file of a run.
    epoch: u32,
}

impl Place {
    /// The newest journal in a run folder. A driver asks after it has claimed its epoch: then no earlier one can make a
    /// newer file that counts.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let epoch = numbers(folder, PREFIX, SUFFIX)?.last().copied().unwrap_or(0);
        Ok(Self { folder: folder.to_owned(), epoch })
    }

    /// The first journal of a run.
    #[must_use]
    pub fn first(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), epoch: 0 }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.epoch {
            0 => self.folder.join(NAME),
            epoch => self.folder.join(format!("{PREFIX}{epoch}{SUFFIX}")),
        }
    }

    /// Goes on with the journal that was replayed from here: in the same file if all who might still write to it have
    /// ended in good order, else in a copy.
    ///
    /// # Errors
    /// If another driver has taken over, the file is not as it was replayed, or the disk refuses.
    pub fn go_on(&self, replayed: &Replayed, fence: Arc<Fence>) -> Result<(Self, Writer), JournalFault> {
        // Drivers before the one that made this file can only write to older ones.
        let (place, writer) = if fence.doubts(self.epoch.max(1)) {
            self.copy(replayed.whole_bytes, fence)?
        } else {
            (self.clone(), Writer::resume(&self.path(), replayed, fence)?)
        };
        // The name is for people and other programs; ours find the file without it.
        if let Err(why) = place.mend() {
            tracing::warn!("`{NAME}` in `{}` is not the newest journal: {why}", self.folder.display());
        }
        Ok((place, writer))
    }

    /// The first `length` bytes as a file of this driver's own.
    fn copy(&self, length: u64, fence: Arc<Fence>) -> Result<(Self, Writer), JournalFault> {
        let from = self.path();
        let copy = Self { folder: self.folder.clone(), epoch: fence.epoch() };
        let to = copy.path();
        let mut temporary = tempfile::NamedTempFile::new_in(&self.folder).map_err(JournalFault::io(&to, "create"))?;
        let source = File::open(&from).map_err(JournalFault::io(&from, "open"))?;
        let copied = io::copy(&mut source.take(length), temporary.as_file_mut()).map_err(JournalFault::io(&to, "write"))?;
        if copied != length {
            return Err(JournalFault::Foreign { path: from });
        }
        temporary.as_file().sync_all().map_err(JournalFault::io(&to, "sync"))?;
        match temporary.persist_noclobber(&to) {
            Ok(_) => {}
            // Only the driver of this epoch makes this name: a network file system has asked its server twice.
            Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(other) => return Err(JournalFault::io(&to, "create")(other.error)),
        }
        sync_folder(&self.folder)?;
        // A successor that comes after this finds the copy. One that came before may be reading the old file.
        fence.check()?;
        if self.epoch > 0 {
            let _ = fs::remove_file(&from);
        }
        let writer = Writer::append_to(&to, fence, length)?;
        Ok((copy, writer))
    }

    /// Makes `journal.jsonl` a name of this file, if it is not: the run folder was copied, or a driver that overslept its
    /// successor has just come so far as to name its own copy.
    ///
    /// # Errors
    /// If the file system refuses, or knows no second names.
    pub fn mend(&self) -> io::Result<()> {
        let (name, newest) = (self.folder.join(NAME), self.path());
        let file = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
        if self.epoch == 0 || file(&name).ok() == Some(file(&newest)?) {
            return Ok(());
        }
        self.name()
    }

    /// Gives this file the name `journal.jsonl`, in one step.
    pub(super) fn name(&self) -> io::Result<()> {
        let (name, newest) = (self.folder.join(NAME), self.path());
        let other = tempfile::Builder::new().make_in(&self.folder, |path| fs::hard_link(&newest, path))?;
        let second = other.path().to_owned();
        other.persist(&name).map_err(|fault| fault.error)?;
        // Some network file systems number two names of one file apart. Where they were one already, rename does nothing.
        let _ = fs::remove_file(second);
        Ok(())
    }
}
