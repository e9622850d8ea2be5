//! One writer, without file locks (they fail on Lustre and NFS): who wants to write claims the next epoch by creating a
//! file that only one can create, and marks the claims before it as superseded. Whoever finds its claim marked has lost
//! the right, and acts on nothing more. `FORMAT.md` says why this is safe however long a driver sleeps, and where.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::claim::{Claim, LENGTH_MAX, Successor, epochs, file, last_epoch, read};
use super::fault::JournalFault;
use crate::rendezvous::random;

/// A living driver touches its claim at least this often.
pub(crate) const BEAT: Duration = Duration::from_secs(2);

/// The right to write the journal, for as long as nobody claims a later epoch.
#[derive(Debug)]
pub struct Fence {
    folder: PathBuf,
    claim: Claim,
    /// The claim as it was written: it is looked at before and after each batch of the journal.
    written: Vec<u8>,
    /// The last earlier epoch whose driver may still be in the middle of a write, or may have left lines that are not on the
    /// disk; 0 if there is none.
    doubtful: u32,
    /// The disk has refused something: nobody knows what of it is there.
    broken: AtomicBool,
}

impl Fence {
    /// Claims an epoch above all that were claimed in this run folder, and above `known`, the last one in the journal.
    ///
    /// # Errors
    /// If someone else claims it at the same moment, or the folder cannot be written.
    pub fn claim(folder: &Path, known: u32) -> Result<Self, JournalFault> {
        let before = last_epoch(folder)?.unwrap_or(0);
        Self::claim_next(folder, before.max(known))
    }

    /// Claims the epoch after `last` and no other: whoever judged that the driver of `last` is gone knows nothing of a
    /// driver that came since.
    ///
    /// # Errors
    /// [`JournalFault::Raced`] if there is such a driver, or the folder cannot be written.
    pub fn claim_next(folder: &Path, last: u32) -> Result<Self, JournalFault> {
        let epoch = last.saturating_add(1);
        let path = file(folder, epoch);
        let nonce = random::<8>().map_err(JournalFault::io(&path, "draw a number for"))?;
        let claim = Claim::mine(epoch, u64::from_be_bytes(nonce));
        let raced = || JournalFault::Raced { folder: folder.to_owned() };
        // It appears whole or not at all: nobody reads half a claim.
        let written = text(&claim);
        match put(folder, &written)?.persist_noclobber(&path) {
            Ok(_) => {}
            // A network file system may ask its server twice, and hear of its own first try.
            Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists && read(folder, epoch)? == Some(claim.clone()) => {}
            Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists => return Err(raced()),
            Err(other) => return Err(JournalFault::io(&path, "create")(other.error)),
        }
        sync_folder(folder)?;
        let mut fence = Self { folder: folder.to_owned(), claim, written, doubtful: 0, broken: AtomicBool::new(false) };
        // Of two that do not know of each other, at least the one that came later sees the other now.
        if last_epoch(folder)? != Some(epoch) {
            return Err(raced());
        }
        fence.doubtful = fence.supersede()?;
        Ok(fence)
    }

    /// Marks all earlier claims, and then finds the last one of a driver that is not proved to have ended. In this order:
    /// whoever ended has done before all that it will ever do.
    fn supersede(&self) -> Result<u32, JournalFault> {
        let Claim { epoch, process, ref host, .. } = self.claim;
        let successor = Successor { epoch, pid: process.pid, host: host.clone() };
        let claimed = epochs(&self.folder)?;
        // Whoever removed a claim knows more than we do.
        let mut doubtful = (1..epoch).rev().find(|earlier| !claimed.contains(earlier)).unwrap_or(0);
        for &earlier in claimed.range(..epoch) {
            let Some(claim) = read(&self.folder, earlier)? else {
                doubtful = doubtful.max(earlier);
                continue;
            };
            if claim.successor.is_none() {
                let path = file(&self.folder, earlier);
                let marked = text(&Claim { successor: Some(successor.clone()), ..claim.clone() });
                // In place of the old file, so that its name is never free.
                put(&self.folder, &marked)?.persist(&path).map_err(|fault| JournalFault::io(&path, "mark")(fault.error))?;
            }
            // That its process is dead is not enough: it may have died of a sync that failed. What is read then need not be on
            // the disk, and no later sync of the same file would bring it there.
            if !claim.ended {
                doubtful = doubtful.max(earlier);
            }
        }
        sync_folder(&self.folder)?;
        Ok(doubtful)
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.claim.epoch
    }

    /// Whether a driver of `epoch` or a later one may still be in the middle of a write, or has not ended in good order.
    pub(crate) fn doubts(&self, epoch: u32) -> bool {
        self.doubtful >= epoch
    }

    /// Whether the right still stands. Opening the claim makes a network file system ask its server, so what was done
    /// before this returns was done before any successor looked.
    ///
    /// # Errors
    /// If someone claimed a later epoch, or removed the folder or all that could be this driver's or a successor's claim, or the
    /// claim cannot be read.
    pub fn check(&self) -> Result<(), JournalFault> {
        let path = file(&self.folder, self.claim.epoch);
        let mine = match self.open_mine() {
            Ok(mine) => mine.is_some(),
            Err(gone) if matches!(gone.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle) => false,
            Err(other) => return Err(JournalFault::io(&path, "read")(other)),
        };
        if mine && !file(&self.folder, self.claim.epoch.saturating_add(1)).exists() {
            return Ok(());
        }
        let removed = || JournalFault::Removed { folder: self.folder.clone() };
        let last = match last_epoch(&self.folder) {
            Err(JournalFault::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Err(removed()),
            other => other?.unwrap_or(0),
        };
        // A claim that is marked stays where it is: drivers replace claims, and never remove one.
        if last < self.claim.epoch {
            return Err(removed());
        }
        let newer = last.max(self.claim.epoch.saturating_add(1));
        let by = read(&self.folder, newer)?.unwrap_or_else(|| Claim::unknown(newer));
        Err(JournalFault::TakenOver { folder: self.folder.clone(), by: Box::new(by) })
    }

    /// Touches the claim, so that others see that this driver lives; due every two seconds. That it fails is no fault of
    /// the sweep: the disk's faults show in the journal.
    pub fn beat(&self) {
        if let Ok(Some(open)) = self.open_mine() {
            let _ = open.set_modified(SystemTime::now());
        }
    }

    /// The disk has refused to take or keep what was written: this driver will not have ended in good order.
    pub(super) fn broke(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Says that nobody need wait for this driver any more: it writes nothing from here on, and all that it wrote is on the
    /// disk. Whoever shares the fence may still hold it; the last one to let go says it again.
    pub fn end(&self) {
        if self.broken.load(Ordering::Acquire) {
            return;
        }
        let ended = Claim { ended: true, ..self.claim.clone() };
        let mut bytes = text(&ended);
        // As long as what it replaces, in one write: a reader sees the one or the other.
        bytes.resize(self.written.len(), b' ');
        if let Ok(Some(mut open)) = self.open_mine() {
            let _ = open.seek(SeekFrom::Start(0)).and_then(|_| open.write_all(&bytes));
        }
    }

    /// The claim's file, if it is still as this driver made it. It stays this driver's own: a successor puts another file
    /// in its place.
    fn open_mine(&self) -> io::Result<Option<File>> {
        let mut open = File::options().read(true).write(true).open(file(&self.folder, self.claim.epoch))?;
        let mut found = vec![];
        Read::by_ref(&mut open).take(LENGTH_MAX).read_to_end(&mut found)?;
        let same = |claim: Claim| claim.nonce == self.claim.nonce && claim.successor.is_none();
        let mine = found == self.written || serde_json::from_slice(&found).is_ok_and(same);
        // A file that its server has removed, but keeps for whoever has it open.
        let there = open.metadata()?.nlink() > 0;
        Ok((mine && there).then_some(open))
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.end();
    }
}

/// A file that has no name yet.
fn put(folder: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, JournalFault> {
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(JournalFault::io(folder, "write to"))?;
    temporary.write_all(bytes).map_err(JournalFault::io(temporary.path(), "write"))?;
    temporary.as_file().sync_all().map_err(JournalFault::io(temporary.path(), "sync"))?;
    Ok(temporary)
}

fn text(claim: &Claim) -> Vec<u8> {
    serde_json::to_vec(claim).unwrap_or_default()
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), JournalFault> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(JournalFault::io(folder, "sync"))
}
