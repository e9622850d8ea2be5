//! `driver-epoch-N`: who the drivers of a run are and were, and whether they live.
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::fault::JournalFault;
use super::fence::BEAT;
use crate::process::{Process, host, machine};

/// No claim is longer, in bytes.
pub(super) const LENGTH_MAX: u64 = 1 << 16;

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
    /// Where its process number means something ([`machine`]); empty in claims of earlier versions.
    #[serde(default)]
    pub machine: String,
    /// Drawn for this claim alone.
    #[serde(default)]
    pub nonce: u64,
    /// It ended in good order: it writes nothing any more, and all that it wrote is on the disk.
    pub ended: bool,
    /// Who took the right from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Successor>,
}

/// A later driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// Its epoch.
    pub epoch: u32,
    /// Number of its process.
    pub pid: i32,
    /// Its host.
    pub host: String,
}

impl Claim {
    /// One of this process.
    pub(super) fn mine(epoch: u32, nonce: u64) -> Self {
        Self { epoch, process: Process::me(), host: host(), machine: machine(), nonce, ended: false, successor: None }
    }

    /// One that cannot be read. Its host is nobody's, so only its beat tells whether its driver lives.
    pub(crate) fn unknown(epoch: u32) -> Self {
        let process = Process { pid: 0, started: 0 };
        Self { epoch, process, host: String::new(), machine: String::new(), nonce: 0, ended: false, successor: None }
    }

    /// Whether its process is one of this machine, where it is known whether it runs.
    #[must_use]
    pub fn is_here(&self) -> bool {
        // One name, but another machine, or another start of this one.
        self.host == host() && (self.machine.is_empty() || self.machine == machine())
    }

    /// Whether its driver is proved to do nothing any more. Silence is no proof.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended || (self.is_here() && !self.process.is_alive())
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, process, host, .. } = self;
        if process.pid == 0 { write!(f, "epoch {epoch}") } else { write!(f, "epoch {epoch}, process {} on host `{host}`", process.pid) }
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
    let Some(claim) = last(folder)? else { return Ok(None) };
    let lives = if claim.ended {
        false
    } else if claim.is_here() {
        claim.process.is_alive()
    } else {
        beats(&file(folder, claim.epoch), patience)?
    };
    Ok(lives.then_some(claim))
}

/// The claim of the last epoch.
///
/// # Errors
/// If the folder cannot be read.
pub fn last(folder: &Path) -> Result<Option<Claim>, JournalFault> {
    let Some(epoch) = last_epoch(folder)? else { return Ok(None) };
    // Damaged by someone else. Then its beat tells, as for another host.
    Ok(Some(read(folder, epoch)?.unwrap_or_else(|| Claim::unknown(epoch))))
}

/// When the claim was touched, by the clock of whoever touched it: only a change means something. Opening it makes a
/// network file system ask its server.
///
/// # Errors
/// If it cannot be read.
pub(super) fn touched(folder: &Path, epoch: u32) -> io::Result<SystemTime> {
    touched_at(&file(folder, epoch))
}

fn touched_at(path: &Path) -> io::Result<SystemTime> {
    File::open(path).and_then(|open| open.metadata()?.modified())
}

/// Whether the file is touched while we watch. No clock of another host is believed.
fn beats(path: &Path, patience: Duration) -> Result<bool, JournalFault> {
    let first = touched_at(path).map_err(JournalFault::io(path, "read"))?;
    let steps = 10;
    for _ in 0..steps {
        std::thread::sleep(patience / steps);
        match touched_at(path) {
            Ok(now) if now == first => {}
            // Touched, or replaced by a successor.
            Ok(_) => return Ok(true),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(fault) => return Err(JournalFault::io(path, "read")(fault)),
        }
    }
    Ok(false)
}

pub(super) fn file(folder: &Path, epoch: u32) -> PathBuf {
    folder.join(format!("driver-epoch-{epoch}"))
}

/// The claim of an epoch. None if there is no file, or it makes no sense.
pub(super) fn read(folder: &Path, epoch: u32) -> Result<Option<Claim>, JournalFault> {
    let path = file(folder, epoch);
    let mut bytes = vec![];
    match File::open(&path).and_then(|open| open.take(LENGTH_MAX).read_to_end(&mut bytes)) {
        Ok(_) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(other) => Err(JournalFault::io(&path, "read")(other)),
    }
}

/// The last epoch that was claimed.
pub(super) fn last_epoch(folder: &Path) -> Result<Option<u32>, JournalFault> {
    Ok(epochs(folder)?.last().copied())
}

/// All epochs that were claimed.
pub(super) fn epochs(folder: &Path) -> Result<BTreeSet<u32>, JournalFault> {
    numbers(folder, "driver-epoch-", "").map_err(JournalFault::io(folder, "list"))
}

/// The numbers between `prefix` and `suffix` in the names of a folder.
pub(super) fn numbers(folder: &Path, prefix: &str, suffix: &str) -> io::Result<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<u32>().ok()));
    }
    Ok(numbers)
}
