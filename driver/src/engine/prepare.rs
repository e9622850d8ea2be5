//! The run folder before the first event of a driver: made, or claimed and replayed. Blocks.
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hpo_core::Sweep;
use hpo_core::sweep::view::SweepState;

use super::clock::{Clock, unix_ms};
use super::drive::{Begin, DriveOptions, SweepFile};
use super::fault::{DriveFault, Settled};
use super::kept::Kept;
use super::pulse::Pulse;
use crate::journal::{FORMAT, Fence, Header, JournalFault, Place, Replay, Replayed, Writer, last, living};
use crate::rendezvous::{RendezvousFault, create_token, random, read_token};
use crate::rundir::{PRIVATE_FILE, PRIVATE_FOLDER, RunDir, make_private_folder};
use crate::serve::authority::Authority;

/// How often, and how long each time, a write of the driver before is waited for.
const SETTLE_TRIES: u32 = 5;
const SETTLE_WAIT: Duration = Duration::from_secs(1);

/// A run folder that this driver may write.
pub(super) struct Prepared {
    pub(super) header: Header,
    pub(super) sweep: Sweep,
    pub(super) journal: Writer,
    pub(super) records: u64,
    pub(super) kept: Kept,
    pub(super) clock: Clock,
    pub(super) token: String,
    pub(super) authority: Authority,
    pub(super) place: Place,
    pub(super) pulse: Pulse,
}

pub(super) fn prepare(options: &DriveOptions) -> Result<Prepared, DriveFault> {
    match options.begin {
        Begin::Create => create(&options.run, &options.file),
        Begin::Resume => resume(&options.run, &options.file),
        Begin::TakeOver { last } => take_over(&options.run, &options.file, last),
    }
}

/// Makes the run folder of a new sweep, and leaves it to the driver to come.
///
/// # Errors
/// If there is something in its place, or the disk refuses.
pub fn found(run: &RunDir, file: &SweepFile) -> Result<(), DriveFault> {
    create(run, file).map(drop)
}

fn create(run: &RunDir, file: &SweepFile) -> Result<Prepared, DriveFault> {
    make_folder(run)?;
    make_subfolders(run)?;
    // `[trial] env` may hold secrets.
    freeze(&run.sweep_toml(), file.text.as_bytes())?;
    if let Some(past) = &file.past {
        freeze(&run.warm_start(), &past.to_json())?;
    }
    let token = create_token(run)?;
    let authority = Authority::open(run)?;
    let id = random::<16>().map_err(|source| RendezvousFault { path: run.journal(), doing: "draw an id for", source })?;
    let header = Header {
        format: FORMAT,
        sweep: format!("{:032x}", u128::from_be_bytes(id)),
        created_unix_ms: unix_ms(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        spec: file.spec.clone(),
        searcher: file.searcher.name().to_owned(),
        sweep_toml: content_hash(file.text.as_bytes()),
        seed: file.spec.seed,
    };
    // The journal comes last: with it the folder is a run.
    let fence = Arc::new(Fence::claim(run.path(), 0)?);
    let pulse = Pulse::start(Arc::downgrade(&fence))?;
    let place = Place::first(run.path());
    let journal = Writer::create(&place.path(), &header, fence)?;
    let sweep = Sweep::new(header.spec.clone());
    let clock = Clock::of(header.created_unix_ms, sweep.now());
    Ok(Prepared { header, sweep, journal, records: 0, kept: Kept::default(), clock, token, authority, place, pulse })
}

/// Writes a file that never changes again.
fn freeze(path: &Path, bytes: &[u8]) -> Result<(), DriveFault> {
    let file = File::options().write(true).create_new(true).mode(PRIVATE_FILE).open(path);
    file.and_then(|mut open| open.write_all(bytes).and_then(|()| open.sync_all())).map_err(fault(path, "write"))
}

fn make_subfolders(run: &RunDir) -> Result<(), DriveFault> {
    [run.checkpoints(), run.logs()].iter().try_for_each(|folder| make_private_folder(folder).map_err(fault(folder, "create")))
}

/// An empty folder is as good as none, and keeps the mode that its owner gave it.
fn make_folder(run: &RunDir) -> Result<(), DriveFault> {
    let path = run.path();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fault(parent, "create"))?;
    }
    match DirBuilder::new().mode(PRIVATE_FOLDER).create(path) {
        Ok(()) => Ok(()),
        Err(there) if there.kind() == io::ErrorKind::AlreadyExists => {
            if run.journal().exists() {
                return Err(DriveFault::Exists { run: path.to_owned() });
            }
            let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
            if empty { Ok(()) } else { Err(DriveFault::InTheWay { run: path.to_owned() }) }
        }
        Err(other) => Err(fault(path, "create")(other)),
    }
}

fn resume(run: &RunDir, file: &SweepFile) -> Result<Prepared, DriveFault> {
    let path = run.path();
    run.must_be_a_run()?;
    // Before it is known whether that driver lives: one that comes meanwhile is not fenced off unseen.
    let last = last(path)?.map_or(0, |claim| claim.epoch);
    if let Some(claim) = living(path)? {
        return Err(DriveFault::Driven { run: path.to_owned(), claim: Box::new(claim) });
    }
    go_on(run, file, last, |_| Ok(()))
}

/// Takes the run from the driver of epoch `last`, which is gone, if there is something left to drive.
fn take_over(run: &RunDir, file: &SweepFile, last: u32) -> Result<Prepared, DriveFault> {
    go_on(run, file, last, |sweep| match sweep.view().state {
        SweepState::Finished(_) => Err(DriveFault::Settled { run: run.path().to_owned(), how: Settled::Finished }),
        SweepState::Draining => Err(DriveFault::Settled { run: run.path().to_owned(), how: Settled::Suspended }),
        SweepState::Running | SweepState::Ending(_) => Ok(()),
    })
}

fn go_on(run: &RunDir, file: &SweepFile, last: u32, wanted: impl FnOnce(&Sweep) -> Result<(), DriveFault>) -> Result<Prepared, DriveFault> {
    // Claimed before it is read, so that a driver that lives nevertheless does nothing that is not in what is read.
    let mut fence = Arc::new(Fence::claim_next(run.path(), last)?);
    let mut pulse = Pulse::start(Arc::downgrade(&fence))?;
    let (place, replayed, kept) = loop {
        let (place, replayed, kept) = replay_settled(run, &fence)?;
        let known = replayed.sweep.driver_epoch();
        if known < fence.epoch() {
            break (place, replayed, kept);
        }
        // The run folder was copied without its claims. What was read before the right one may be out of date.
        fence = Arc::new(Fence::claim_next(run.path(), known)?);
        pulse = Pulse::start(Arc::downgrade(&fence))?;
    };
    wanted(&replayed.sweep)?;
    // `--seed` overrode the file when the sweep was created.
    let mut spec = file.spec.clone();
    spec.seed = replayed.header.spec.seed;
    let frozen = run.sweep_toml();
    let text = fs::read(&frozen).map_err(fault(&frozen, "read"))?;
    if spec != replayed.header.spec || content_hash(&text) != replayed.header.sweep_toml {
        return Err(DriveFault::SweepChanged { path: frozen });
    }
    make_subfolders(run)?;
    let (place, journal) = place.go_on(&replayed, fence)?;
    let clock = Clock::of(replayed.header.created_unix_ms, replayed.last_at);
    let token = read_token(run)?;
    // Its own, if the last driver was of this version: workers that hold trials believe this driver as well.
    let authority = Authority::open(run)?;
    Ok(Prepared {
        header: replayed.header,
        sweep: replayed.sweep,
        journal,
        records: replayed.records,
        kept,
        clock,
        token,
        authority,
        place,
        pulse,
    })
}

/// As [`replay`]. A driver that is being replaced may be in the middle of a write, of which a network file system shows
/// later parts before earlier ones; it lands, or its host is dead.
fn replay_settled(run: &RunDir, fence: &Fence) -> Result<(Place, Replayed, Kept), DriveFault> {
    for _ in 0..SETTLE_TRIES {
        match replay(run) {
            Err(DriveFault::Journal(JournalFault::Damaged { .. })) if fence.doubts(1) => std::thread::sleep(SETTLE_WAIT),
            other => return other,
        }
    }
    replay(run)
}

/// Lives the newest journal through again.
fn replay(run: &RunDir) -> Result<(Place, Replayed, Kept), DriveFault> {
    let place = Place::of(run.path()).map_err(fault(run.path(), "list"))?;
    let mut kept = Kept::default();
    let mut replay = Replay::open(&place.path())?;
    while let Some(step) = replay.step()? {
        kept.replayed(&step.entry.record.event, step.actions, step.sweep);
    }
    Ok((place, replay.finish()?, kept))
}

fn content_hash(text: &[u8]) -> String {
    blake3::hash(text).to_hex().to_string()
}

fn fault(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> DriveFault {
    let path = path.to_owned();
    move |source| DriveFault::Io { path, doing, source }
}
