//! One writer, without file locks (they fail on Lustre and NFS): who wants to write claims the next epoch by creating a
//! file that only one can create, and stops as soon as it sees that someone claimed a later one.
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::fault::JournalFault;
use crate::process::{Process, host};

/// A living driver touches its claim at least this often.
pub(crate) const BEAT: Duration = Duration::from_secs(2);

/// What stands in `driver-epoch-N`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// N: counts the drivers of a sweep, from 1.
    pub epoch: u32,
    /// The driver's process.
    #[serde(flatten)]
    pub process: Process,
    /// The host it runs on.
    pub host: String,
    /// It ended in good order.
    pub ended: bool,
}

/// The right to write the journal, for as long as nobody claims a later epoch.
#[derive(Debug)]
pub struct Fence {
    folder: PathBuf,
    claim: Claim,
}

impl Fence {
    /// Claims an epoch above all that were claimed in this run folder, and above `known`, the last one in the journal.
    ///
    /// # Errors
    /// If someone else claims it at the same moment, or the folder cannot be written.
    pub fn claim(folder: &Path, known: u32) -> Result<Self, JournalFault> {
        let before = last_epoch(folder)?.unwrap_or(0);
        let claim = Claim { epoch: before.max(known).saturating_add(1), process: Process::me(), host: host(), ended: false };
        let path = file(folder, claim.epoch);
        // It appears whole or not at all: nobody reads half a claim.
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(JournalFault::io(&path, "create"))?;
        temporary.write_all(&text(&claim)).map_err(JournalFault::io(&path, "write"))?;
        temporary.as_file().sync_all().map_err(JournalFault::io(&path, "sync"))?;
        temporary.persist_noclobber(&path).map_err(|fault| match fault.error.kind() {
            io::ErrorKind::AlreadyExists => JournalFault::Raced { folder: folder.to_owned() },
            _ => JournalFault::io(&path, "create")(fault.error),
        })?;
        sync_folder(folder)?;
        // The driver before sees that its file is gone, even if it slept through several successors.
        if before > 0 {
            let _ = fs::remove_file(file(folder, before));
        }
        Ok(Self { folder: folder.to_owned(), claim })
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.claim.epoch
    }

    /// Whether the right still stands.
    ///
    /// # Errors
    /// If someone claimed a later epoch.
    pub fn check(&self) -> Result<(), JournalFault> {
        let newer = self.claim.epoch + 1;
        if file(&self.folder, self.claim.epoch).exists() && !file(&self.folder, newer).exists() {
            return Ok(());
        }
        let newer = last_epoch(&self.folder)?.unwrap_or(newer);
        Err(JournalFault::TakenOver { folder: self.folder.clone(), newer })
    }

    /// Touches the claim, so that other hosts see that this driver lives; due every two seconds. That it fails is no
    /// fault of the sweep: the disk's faults show in the journal.
    pub fn beat(&self) {
        if let Ok(open) = File::options().write(true).open(file(&self.folder, self.claim.epoch)) {
            let _ = open.set_modified(SystemTime::now());
        }
    }

    /// Says that nobody need wait for this driver any more. Whoever shares the fence may still hold it; the last one to
    /// let go says it again.
    pub fn end(&self) {
        let ended = Claim { ended: true, ..self.claim.clone() };
        let mut bytes = text(&ended);
        // As long as what it replaces, in one write: a reader sees the one or the other.
        bytes.resize(text(&self.claim).len(), b' ');
        if let Ok(mut open) = File::options().write(true).open(file(&self.folder, self.claim.epoch)) {
            let _ = open.write_all(&bytes);
        }
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.end();
    }
}

/// The driver that lives on this run, if one does. For one on another host this watches its claim for six seconds; on
/// this host it is known at once.
///
/// # Errors
/// If the folder cannot be read.
pub fn living(folder: &Path) -> Result<Option<Claim>, JournalFault> {
    living_within(folder, BEAT * 3)
}

pub(super) fn living_within(folder: &Path, patience: Duration) -> Result<Option<Claim>, JournalFault> {
    let Some(epoch) = last_epoch(folder)? else { return Ok(None) };
    let path = file(folder, epoch);
    let bytes = fs::read(&path).map_err(JournalFault::io(&path, "read"))?;
    // Damaged by someone else. Then its beat tells, as for another host.
    let unknown = Claim { epoch, process: Process { pid: 0, started: 0 }, host: String::new(), ended: false };
    let claim = serde_json::from_slice(&bytes).unwrap_or(unknown);
    let lives = if claim.ended {
        false
    } else if claim.host == host() {
        claim.process.is_alive()
    } else {
        beats(&path, patience)?
    };
    Ok(lives.then_some(claim))
}

/// Whether the file is touched while we watch. No clock of another host is believed.
fn beats(path: &Path, patience: Duration) -> Result<bool, JournalFault> {
    // Opening it makes a network file system ask its server.
    let touched = || File::open(path).and_then(|open| open.metadata()?.modified());
    let first = touched().map_err(JournalFault::io(path, "read"))?;
    let steps = 10;
    for _ in 0..steps {
        std::thread::sleep(patience / steps);
        match touched() {
            Ok(now) if now == first => {}
            // Touched, or replaced by a successor.
            Ok(_) => return Ok(true),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(fault) => return Err(JournalFault::io(path, "read")(fault)),
        }
    }
    Ok(false)
}

fn file(folder: &Path, epoch: u32) -> PathBuf {
    folder.join(format!("driver-epoch-{epoch}"))
}

fn text(claim: &Claim) -> Vec<u8> {
    serde_json::to_vec(claim).unwrap_or_default()
}

fn last_epoch(folder: &Path) -> Result<Option<u32>, JournalFault> {
    let entries = fs::read_dir(folder).map_err(JournalFault::io(folder, "list"))?;
    let mut last = None;
    for entry in entries {
        let name = entry.map_err(JournalFault::io(folder, "list"))?.file_name();
        let epoch = name.to_str().and_then(|name| name.strip_prefix("driver-epoch-")).and_then(|number| number.parse().ok());
        last = last.max(epoch);
    }
    Ok(last)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), JournalFault> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(JournalFault::io(folder, "sync"))
}
