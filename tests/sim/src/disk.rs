//! The disk under the journal: what readers see, what a power failure leaves, and who may write.
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hpo_driver::journal::{JournalFault, Medium};

use crate::chance::Chance;

/// What the journal is called in faults.
const JOURNAL: &str = "journal.jsonl";

/// The journal's file and the claims beside it; shared by all drivers, the living and the dead.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Files that had the journal's name; the last has it now. A driver that lives on may still write to one before.
    files: Vec<File>,
    claims: BTreeSet<u32>,
    /// How the next operations go wrong.
    trouble: Trouble,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// So many bytes survive anything.
    durable: usize,
    /// Bytes that a failed sync has dropped: in memory they are, on the disk they never come.
    dropped: Option<(usize, usize)>,
}

/// How operations go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// So many bytes fit on the disk.
    pub(crate) room: Option<usize>,
    /// The next sync fails.
    pub(crate) sync_fails: bool,
    /// The next write is kept back: the writer sleeps between its last look and its write.
    pub(crate) sleeps: bool,
}

impl Disk {
    /// With the journal of a new sweep.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let file = File { durable: bytes.len(), bytes, dropped: None };
        Self(Arc::new(Mutex::new(State { files: vec![file], ..State::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a reader of the journal sees.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().files.last().map(|file| file.bytes.clone()).unwrap_or_default()
    }

    /// Claims the next epoch, as [`hpo_driver::journal::Fence`] does.
    pub(crate) fn claim(&self) -> u32 {
        let mut state = self.lock();
        let before = state.claims.last().copied();
        let epoch = before.unwrap_or(0) + 1;
        state.claims.insert(epoch);
        if let Some(before) = before {
            state.claims.remove(&before);
        }
        epoch
    }

    /// The way of a driver to the file that has the journal's name now.
    pub(crate) fn open(&self, epoch: u32) -> Head {
        let file = self.lock().files.len() - 1;
        Head { disk: self.clone(), file, epoch, kept_back: vec![] }
    }

    pub(crate) fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.lock().trouble);
    }

    /// The host loses its power: of what was not synced, chance leaves a part, perhaps followed by zeros.
    pub(crate) fn lose_power(&self, chance: &mut dyn Chance) {
        let mut state = self.lock();
        let Some(file) = state.files.last_mut() else { return };
        if let Some((from, to)) = file.dropped.take() {
            let to = to.min(file.bytes.len());
            if from < to {
                file.bytes[from..to].fill(0);
            }
        }
        let loose = file.bytes.len().saturating_sub(file.durable);
        let left = file.durable + chance.one_of("bytes that survive", loose + 1);
        if chance.hits("zeros behind what survives", 200) {
            file.bytes[left..].fill(0);
        } else {
            file.bytes.truncate(left);
        }
        file.durable = file.bytes.len();
    }

    /// Turns one bit of a line that is not the last. Answers the line, if there is such a one.
    pub(crate) fn flip(&self, chance: &mut dyn Chance) -> Option<u64> {
        let mut state = self.lock();
        let file = state.files.last_mut()?;
        let whole = file.bytes.iter().rposition(|byte| *byte == b'\n')?;
        let last = file.bytes[..whole].iter().rposition(|byte| *byte == b'\n')?;
        // Its newline is left alone: it stands between two lines.
        let at = chance.one_of("byte to flip", last);
        let line = file.bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        file.bytes[at] ^= 1 << chance.one_of("bit to flip", 8);
        Some(line)
    }
}

/// One driver's way to the journal.
#[derive(Debug)]
pub(crate) struct Head {
    disk: Disk,
    file: usize,
    epoch: u32,
    kept_back: Vec<u8>,
}

impl Head {
    /// Another handle of the same open file, for the world to look through.
    pub(crate) fn twin(&self) -> Self {
        Self { disk: self.disk.clone(), file: self.file, epoch: self.epoch, kept_back: vec![] }
    }

    /// What stands in this driver's file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.disk.lock().files[self.file].bytes.clone()
    }
}

impl Medium for Head {
    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn check(&self) -> Result<(), JournalFault> {
        let state = self.disk.lock();
        if state.claims.contains(&self.epoch) && !state.claims.contains(&(self.epoch + 1)) {
            return Ok(());
        }
        let newer = state.claims.last().copied().unwrap_or(self.epoch + 1);
        Err(JournalFault::TakenOver { folder: PathBuf::from("run"), newer })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.file].bytes.len() as u64)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        if std::mem::take(&mut state.trouble.sleeps) {
            self.kept_back = bytes.to_vec();
            return Ok(());
        }
        let room = state.trouble.room.unwrap_or(usize::MAX).min(bytes.len());
        if let Some(left) = &mut state.trouble.room {
            *left -= room;
        }
        state.files[self.file].bytes.extend_from_slice(&bytes[..room]);
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let fails = std::mem::take(&mut state.trouble.sync_fails);
        let file = &mut state.files[self.file];
        // What it had not written when it fell asleep is written now.
        file.bytes.append(&mut self.kept_back);
        let (from, to) = (file.durable, file.bytes.len());
        file.durable = to;
        if fails {
            file.dropped = Some((file.dropped.map_or(from, |(earlier, _)| earlier), to));
            return Err(io::Error::other("the device does not answer"));
        }
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let file = &mut state.files[self.file];
        file.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        file.durable = file.bytes.len();
        Ok(())
    }
}

/// The journal's name, for faults.
pub(crate) fn journal() -> &'static Path {
    Path::new(JOURNAL)
}
