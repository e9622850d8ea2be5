//! Drivers that take over from each other in a real folder: the production claims, fence, places, reader and writer, one call at a
//! time, in an order that chance takes. A driver may sleep between any two calls and in the middle of a write, come back, die, or
//! end in good order; a sync may fail, and the host lose its power.
//!
//! The cluster of [`crate::world`] has a disk of its own, which models the folder; this is held against the folder itself. What
//! happens within one call, as between the look and the deletion of an old journal, is not taken apart.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hpo_core::sweep::event::Slot;
use hpo_core::{Event, Seed, Stamp, Sweep, WorkerId};
use hpo_driver::journal::{
    FORMAT, Fence, Header, Journal, JournalFault, Medium, Place, Reader, Record, Replay, Replayed, Writer, decisions, last,
};

use crate::chance::{Chance, Dice};
use crate::setup::spec;

/// At most so many drivers live at one time, and begin in all.
const LIVING: usize = 3;
const DRIVERS: usize = 9;
const STEPS: usize = 120;

/// What a world of drivers came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Drivers that began.
    pub drivers: usize,
    /// Records that were acted upon.
    pub acted: usize,
    /// Drivers that found that another had taken over.
    pub fenced: usize,
    /// Drivers that went on in a copy.
    pub copies: usize,
}

/// What of each file, by its number on the disk, survives a loss of power.
type Durable = Arc<Mutex<BTreeMap<u64, Safe>>>;

#[derive(Clone, Copy, Debug)]
struct Safe {
    bytes: u64,
    /// A sync has failed: nothing behind this ever comes to the disk.
    never_beyond: Option<u64>,
}

/// The journal's file, as [`hpo_driver::journal::Disk`] has it, but that its driver may fall asleep in the middle of a write.
struct Sleeper {
    file: File,
    fence: Arc<Fence>,
    durable: Durable,
    /// How many bytes of the next write come before the sleep.
    asleep_after: Option<usize>,
    rest: Vec<u8>,
    sync_fails: bool,
}

impl Sleeper {
    fn safe<T>(&self, look: impl FnOnce(&mut Safe) -> T) -> io::Result<T> {
        let found = self.file.metadata()?;
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(look(durable.entry(found.ino()).or_insert(Safe { bytes: found.len(), never_beyond: None })))
    }
}

impl Medium for Sleeper {
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
        let now = self.asleep_after.take().unwrap_or(bytes.len()).min(bytes.len());
        self.rest = bytes[now..].to_vec();
        self.file.write_all(&bytes[..now])
    }

    fn sync(&mut self) -> io::Result<()> {
        let rest = mem::take(&mut self.rest);
        self.file.write_all(&rest)?;
        let length = self.length()?;
        if mem::take(&mut self.sync_fails) {
            self.safe(|safe| safe.never_beyond = Some(safe.never_beyond.unwrap_or(safe.bytes)))?;
            return Err(io::Error::other("the device does not answer"));
        }
        self.safe(|safe| safe.bytes = safe.never_beyond.unwrap_or(length))
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

/// One driver, and what it does next.
enum Stage {
    /// It has judged that the driver of this epoch is gone.
    Claims(u32),
    Reads(Arc<Fence>),
    Opens(Arc<Fence>, Place, Box<Replayed>),
    Writes(Box<Running>),
    Syncs(Box<Running>),
}

struct Running {
    writer: Writer<Hand>,
    fence: Arc<Fence>,
    hand: Arc<Mutex<Sleeper>>,
    sweep: Sweep,
    records: u64,
    batch: Vec<Record>,
}

/// A writer's hold of a file that the world can reach, too.
struct Hand(Arc<Mutex<Sleeper>>);

impl Hand {
    fn with<T>(&self, work: impl FnOnce(&mut Sleeper) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Medium for Hand {
    fn epoch(&self) -> u32 {
        self.with(|sleeper| sleeper.epoch())
    }

    fn check(&self) -> Result<(), JournalFault> {
        self.with(|sleeper| sleeper.check())
    }

    fn length(&self) -> io::Result<u64> {
        self.with(|sleeper| sleeper.length())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|sleeper| sleeper.append(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(Sleeper::sync)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.with(|sleeper| sleeper.cut(length))
    }
}

struct Drivers<'a> {
    folder: &'a Path,
    chance: Box<dyn Chance>,
    living: Vec<Stage>,
    durable: Durable,
    /// What was acted upon, by its place in the journal.
    acted: BTreeMap<u64, Record>,
    told: Told,
}

/// Plays drivers in `folder`, which is empty and is not so afterwards.
///
/// # Errors
/// What promise is broken.
pub fn play(seed: u64, folder: &Path) -> Result<Told, String> {
    let chance = Box::new(Dice::of(Seed(seed), "takeover"));
    let (durable, acted) = (Durable::default(), BTreeMap::new());
    let mut drivers = Drivers { folder, chance, living: vec![], durable, acted, told: Told::default() };
    drivers.create(seed).map_err(|fault| fault.to_string())?;
    for _ in 0..STEPS {
        drivers.happen()?;
    }
    drivers.end()
}

impl Drivers<'_> {
    fn create(&mut self, seed: u64) -> Result<(), JournalFault> {
        let header = Header {
            format: FORMAT,
            sweep: "0123456789abcdef0123456789abcdef".to_owned(),
            created_unix_ms: 0,
            version: "sim".to_owned(),
            spec: spec(Seed(seed), self.chance.as_mut()),
            searcher: "random".to_owned(),
            sweep_toml: "00".repeat(32),
            seed: Seed(seed),
        };
        let fence = Arc::new(Fence::claim(self.folder, 0)?);
        drop(Writer::create(&Place::first(self.folder).path(), &header, Arc::clone(&fence))?);
        // The one that made the run may sleep right after that.
        self.living.push(Stage::Reads(fence));
        self.told.drivers = 1;
        Ok(())
    }

    fn happen(&mut self) -> Result<(), String> {
        let room = self.living.len() < LIVING && self.told.drivers < DRIVERS;
        if room && (self.living.is_empty() || self.chance.hits("another driver", 80)) {
            let last = last(self.folder).map_err(|fault| fault.to_string())?.map_or(0, |claim| claim.epoch);
            self.living.push(Stage::Claims(last));
            self.told.drivers += 1;
            return Ok(());
        }
        if self.living.is_empty() {
            return Ok(());
        }
        if self.chance.hits("power", 15) {
            return self.lose_power().map_err(|fault| fault.to_string());
        }
        let index = self.chance.one_of("driver", self.living.len());
        let stage = self.living.swap_remove(index);
        match self.chance.one_of("what becomes of it", 40) {
            0 => forget(stage),
            1 => drop(stage),
            _ => {
                if let Some(next) = self.step(stage)? {
                    self.living.push(next);
                }
            }
        }
        Ok(())
    }

    /// The next call of a driver. None if it ends with that.
    fn step(&mut self, stage: Stage) -> Result<Option<Stage>, String> {
        let done = match stage {
            Stage::Claims(last) => Fence::claim_next(self.folder, last).map(|fence| Stage::Reads(Arc::new(fence))),
            Stage::Reads(fence) => {
                let place = Place::of(self.folder).map_err(|fault| fault.to_string())?;
                match self.replay(&place) {
                    Ok(replayed) => Ok(Stage::Opens(fence, place, Box::new(replayed))),
                    // The file that it found is gone: a driver that was before it has left it, and one behind it must be there.
                    Err(JournalFault::Io { .. }) if fence.check().is_err() => return Ok(None),
                    Err(fault) => return Err(format!("epoch {} cannot read {}: {fault}", fence.epoch(), place.path().display())),
                }
            }
            Stage::Opens(fence, place, replayed) => self.open(fence, &place, *replayed).map(Stage::Writes),
            Stage::Writes(running) => self.write(running).map(Stage::Syncs),
            Stage::Syncs(running) => self.sync(running)?.map(Stage::Writes),
        };
        match done {
            Ok(next) => Ok(Some(next)),
            Err(JournalFault::TakenOver { .. } | JournalFault::Raced { .. }) => {
                self.told.fenced += 1;
                Ok(None)
            }
            // The disk refused, or the file is another: it dies of that.
            Err(JournalFault::Io { .. } | JournalFault::Foreign { .. }) => Ok(None),
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn replay(&self, place: &Place) -> Result<Replayed, JournalFault> {
        let path = place.path();
        let bytes = fs::read(&path).map_err(|source| JournalFault::Io { path: path.clone(), doing: "read", source })?;
        let mut replay = Replay::of(Reader::of(&path, bytes.as_slice())?);
        while replay.step()?.is_some() {}
        replay.finish()
    }

    fn open(&mut self, fence: Arc<Fence>, place: &Place, replayed: Replayed) -> Result<Box<Running>, JournalFault> {
        let (new, writer) = place.go_on(&replayed, Arc::clone(&fence))?;
        // Its place is taken by one that can sleep.
        drop(writer);
        let path = new.path();
        let open = |source| JournalFault::Io { path: path.clone(), doing: "open", source };
        let file = File::options().append(true).open(&path).map_err(open)?;
        let (durable, rest) = (Arc::clone(&self.durable), vec![]);
        let sleeper = Sleeper { file, fence: Arc::clone(&fence), durable, asleep_after: None, rest, sync_fails: false };
        // What it goes on with was synced when it was copied or cut.
        let length = sleeper.length().map_err(open)?;
        sleeper.safe(|safe| safe.bytes = safe.bytes.max(safe.never_beyond.unwrap_or(length))).map_err(open)?;
        self.told.copies += usize::from(new != *place);
        let hand = Arc::new(Mutex::new(sleeper));
        let writer = Writer::on(&path, Hand(Arc::clone(&hand)), length);
        let Replayed { sweep, records, .. } = replayed;
        let mut running = Running { writer, fence, hand, sweep, records, batch: vec![] };
        let epoch = running.fence.epoch();
        running.decide(&Event::DriverStarted { epoch });
        Ok(Box::new(running))
    }

    fn write(&mut self, mut running: Box<Running>) -> Result<Box<Running>, JournalFault> {
        let number = u128::from(running.fence.epoch()) << 64 | u128::from(running.records);
        let slots = vec![Slot { name: "core".to_owned(), milli_gpus: 0 }];
        let (worker, name) = (WorkerId(number << 32 | number), "w".to_owned());
        let joined = Event::WorkerJoined { worker, name, slots, holds: vec![], allocation: None, leaving: false };
        running.decide(&joined);
        let sleeps = self.chance.hits("falls asleep in a write", 250).then(|| self.chance.one_of("bytes before that", 400));
        let fails = self.chance.hits("a sync fails", 40);
        let mut hand = running.hand.lock().unwrap_or_else(PoisonError::into_inner);
        (hand.asleep_after, hand.sync_fails) = (sleeps, fails);
        drop(hand);
        let batch = mem::take(&mut running.batch);
        running.writer.append(&batch)?;
        running.batch = batch;
        Ok(running)
    }

    /// What was written is made durable, and acted upon.
    fn sync(&mut self, mut running: Box<Running>) -> Result<Result<Box<Running>, JournalFault>, String> {
        if let Err(fault) = running.writer.sync() {
            // Whoever the disk has refused does not say that it ended in good order.
            forget(Stage::Syncs(running));
            return Ok(Err(fault));
        }
        for record in mem::take(&mut running.batch) {
            let (seq, epoch) = (record.seq, running.fence.epoch());
            if let Some(other) = self.acted.insert(seq, record.clone()).filter(|other| *other != record) {
                return Err(format!("epoch {epoch} acts upon {record:?}, where {other:?} was acted upon"));
            }
        }
        Ok(Ok(running))
    }

    /// All processes are gone, and with them what was not on the disk.
    fn lose_power(&mut self) -> io::Result<()> {
        self.living.drain(..).for_each(forget);
        for entry in fs::read_dir(self.folder)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with("journal") {
                continue;
            }
            let found = entry.metadata()?;
            let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(safe) = durable.get_mut(&found.ino()) else { continue };
            let least = safe.never_beyond.unwrap_or(safe.bytes).min(found.len());
            let most = safe.never_beyond.map_or(found.len(), |limit| limit.min(found.len()));
            let left = self.chance.between("bytes that survive", (least, most.max(least)));
            File::options().write(true).open(entry.path())?.set_len(left)?;
            *safe = Safe { bytes: left, never_beyond: None };
        }
        Ok(())
    }

    /// Nobody lives any more. A last driver comes, and finds all that was ever acted upon.
    fn end(mut self) -> Result<Told, String> {
        self.living.drain(..).for_each(forget);
        let fence = Arc::new(Fence::claim(self.folder, 0).map_err(|fault| fault.to_string())?);
        let place = Place::of(self.folder).map_err(|fault| fault.to_string())?;
        let replayed = self.replay(&place).map_err(|fault| format!("the last driver: {fault}"))?;
        let (new, _writer) = place.go_on(&replayed, fence).map_err(|fault| format!("the last driver: {fault}"))?;
        let bytes = fs::read(new.path()).map_err(|fault| fault.to_string())?;
        if fs::read(Place::first(self.folder).path()).ok().as_ref() != Some(&bytes) {
            return Err("`journal.jsonl` is not the journal".to_owned());
        }
        let lines = bytes.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty());
        let found: Vec<Record> = lines.map(Record::read).collect::<Result<_, _>>().map_err(|why| why.to_string())?;
        for (seq, record) in &self.acted {
            let there = usize::try_from(*seq - 1).ok().and_then(|at| found.get(at));
            if there != Some(record) {
                return Err(format!("{record:?} was acted upon, and the journal has {there:?}"));
            }
        }
        self.told.acted = self.acted.len();
        Ok(self.told)
    }
}

impl Running {
    fn decide(&mut self, event: &Event) {
        let mut actions = vec![];
        let at = Stamp(self.sweep.now().0 + 1);
        if self.sweep.admit(event).is_ok() {
            self.sweep.apply(at, event, &mut actions);
            self.records += 1;
            self.batch.push(Record { seq: self.records, at, event: event.clone(), acts: decisions(&actions) });
        }
    }
}

/// A process that is killed says nothing more: nobody drops what it had.
fn forget(stage: Stage) {
    let fence = match &stage {
        Stage::Claims(_) => return,
        Stage::Reads(fence) | Stage::Opens(fence, ..) => fence,
        Stage::Writes(running) | Stage::Syncs(running) => &running.fence,
    };
    mem::forget(Arc::clone(fence));
}

/// A folder for it, in memory where the system has such.
///
/// # Errors
/// If there is none.
pub fn folder() -> io::Result<tempfile::TempDir> {
    let fast = PathBuf::from("/dev/shm");
    tempfile::tempdir_in(fast).or_else(|_| tempfile::tempdir())
}
