//! The disk under the journal: what readers see, what a power failure leaves, and who may write.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hpo_driver::journal::{Claim, JournalFault, Medium};
use hpo_driver::process::Process;

use crate::chance::Chance;

/// What the journal is called in faults.
const JOURNAL: &str = "journal.jsonl";

/// The journal's file and the claims beside it; shared by all drivers, the living and the dead.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The journals by the epoch that made them, the first of all by 0: the last counts. A driver that lives on may still
    /// write to one before.
    files: BTreeMap<u32, File>,
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
        Self(Arc::new(Mutex::new(State { files: BTreeMap::from([(0, file)]), ..State::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a reader of the journal sees.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().files.last_key_value().map(|(_, file)| file.bytes.clone()).unwrap_or_default()
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

    /// The way of a driver to the newest journal.
    pub(crate) fn open(&self, epoch: u32) -> Head {
        let file = self.lock().files.last_key_value().map_or(0, |(&file, _)| file);
        Head { disk: self.clone(), file, epoch, kept_back: vec![] }
    }

    pub(crate) fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.lock().trouble);
    }

    /// The host loses its power: of what was not synced, chance leaves a part, perhaps followed by zeros.
    pub(crate) fn lose_power(&self, chance: &mut dyn Chance) {
        let mut state = self.lock();
        let Some(mut newest) = state.files.last_entry() else { return };
        let file = newest.get_mut();
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

    /// Turns one bit of a line that was synced and is not the last such. Answers the line, if there is such a one. (What was not synced, or
    /// dropped when that failed, may be gone before anybody reads it.)
    pub(crate) fn flip(&self, chance: &mut dyn Chance) -> Option<u64> {
        let mut state = self.lock();
        let mut newest = state.files.last_entry()?;
        let file = newest.get_mut();
        let safe = file.dropped.map_or(file.durable, |(from, _)| from.min(file.durable));
        let synced = &file.bytes[..safe.min(file.bytes.len())];
        let whole = synced.iter().rposition(|byte| *byte == b'\n')?;
        let last = synced[..whole].iter().rposition(|byte| *byte == b'\n')?;
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
    file: u32,
    epoch: u32,
    kept_back: Vec<u8>,
}

impl Head {
    /// Another handle of the same open file, for the world to look through.
    pub(crate) fn twin(&self) -> Self {
        Self { disk: self.disk.clone(), file: self.file, epoch: self.epoch, kept_back: vec![] }
    }

    /// The first driver that could write to this file.
    pub(crate) fn maker(&self) -> u32 {
        self.file.max(1)
    }

    /// What stands in this driver's file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.disk.lock().files.get(&self.file).map(|file| file.bytes.clone()).unwrap_or_default()
    }

    /// What stands in this driver's file behind `before`; none if it does not begin with that.
    pub(crate) fn bytes_after(&self, before: &[u8]) -> Option<Vec<u8>> {
        let state = self.disk.lock();
        let bytes = state.files.get(&self.file).map(|file| file.bytes.as_slice()).unwrap_or_default();
        bytes.strip_prefix(before).map(<[u8]>::to_vec)
    }

    /// Goes on in a copy of the first `length` bytes, as `driver/src/journal/place.rs` does where an earlier driver may
    /// still write. Only this driver makes a file of this name, and it appears whole and durable.
    pub(crate) fn copy(&mut self, length: u64) {
        let mut bytes = self.bytes();
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        self.file = self.epoch;
        self.disk.lock().files.insert(self.epoch, File { durable: bytes.len(), bytes, dropped: None });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Trouble, &mut File) -> T) -> T {
        let mut state = self.disk.lock();
        let State { files, trouble, .. } = &mut *state;
        work(trouble, files.entry(self.file).or_default())
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
        let by = Claim {
            epoch: newer,
            process: Process { pid: 0, started: 0 },
            host: "another".to_owned(),
            machine: String::new(),
            nonce: 0,
            ended: false,
            successor: None,
        };
        Err(JournalFault::TakenOver { folder: PathBuf::from("run"), by: Box::new(by) })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.with(|_, file| file.bytes.len() as u64))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (sleeps, fits) = self.with(|trouble, file| {
            if std::mem::take(&mut trouble.sleeps) {
                return (true, true);
            }
            let room = trouble.room.unwrap_or(usize::MAX).min(bytes.len());
            if let Some(left) = &mut trouble.room {
                *left -= room;
            }
            file.bytes.extend_from_slice(&bytes[..room]);
            (false, room == bytes.len())
        });
        if sleeps {
            self.kept_back = bytes.to_vec();
        }
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        // What it had not written when it fell asleep is written now.
        let mut late = std::mem::take(&mut self.kept_back);
        self.with(|trouble, file| {
            file.bytes.append(&mut late);
            let (from, to) = (file.durable, file.bytes.len());
            file.durable = to;
            if std::mem::take(&mut trouble.sync_fails) {
                file.dropped = Some((file.dropped.map_or(from, |(earlier, _)| earlier), to));
                return Err(io::Error::other("the device does not answer"));
            }
            Ok(())
        })
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.with(|_, file| {
            file.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            file.durable = file.bytes.len();
        });
        Ok(())
    }
}

/// The journal's name, for faults.
pub(crate) fn journal() -> &'static Path {
    Path::new(JOURNAL)
}
