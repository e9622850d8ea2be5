//! The run folder before the first event of a driver: made, or claimed and replayed. Blocks.
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use hpo_core::Sweep;

use super::clock::{Clock, unix_ms};
use super::drive::{Begin, DriveOptions, SweepFile};
use super::fault::DriveFault;
use super::kept::Kept;
use crate::journal::{FORMAT, Fence, Header, Replay, Writer, living};
use crate::rendezvous::{RendezvousFault, create_token, random, read_token};
use crate::rundir::RunDir;

/// A run folder that this driver may write.
pub(super) struct Prepared {
    pub(super) header: Header,
    pub(super) sweep: Sweep,
    pub(super) journal: Writer,
    pub(super) records: u64,
    pub(super) kept: Kept,
    pub(super) clock: Clock,
    pub(super) token: String,
}

pub(super) fn prepare(options: &DriveOptions) -> Result<Prepared, DriveFault> {
    match options.begin {
        Begin::Create => create(&options.run, &options.file),
        Begin::Resume => resume(&options.run, &options.file),
    }
}

fn create(run: &RunDir, file: &SweepFile) -> Result<Prepared, DriveFault> {
    make_folder(run)?;
    make_subfolders(run)?;
    let frozen = run.sweep_toml();
    // `[trial] env` may hold secrets.
    let text = File::options().write(true).create_new(true).mode(0o600).open(&frozen);
    let text = text.and_then(|mut open| open.write_all(file.text.as_bytes()).and_then(|()| open.sync_all()));
    text.map_err(fault(&frozen, "write"))?;
    let token = create_token(run)?;
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
    let journal = Writer::create(&run.journal(), &header, Fence::claim(run.path(), 0)?)?;
    let sweep = Sweep::new(header.spec.clone());
    let clock = Clock::of(header.created_unix_ms, sweep.now());
    Ok(Prepared { header, sweep, journal, records: 0, kept: Kept::default(), clock, token })
}

fn make_subfolders(run: &RunDir) -> Result<(), DriveFault> {
    [run.checkpoints(), run.logs()].iter().try_for_each(|folder| fs::create_dir_all(folder).map_err(fault(folder, "create")))
}

/// An empty folder is as good as none, and keeps the mode that its owner gave it.
fn make_folder(run: &RunDir) -> Result<(), DriveFault> {
    let path = run.path();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fault(parent, "create"))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
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
    let (path, journal) = (run.path(), run.journal());
    if !journal.exists() {
        return Err(DriveFault::NotARun { run: path.to_owned() });
    }
    if let Some(claim) = living(path)? {
        return Err(DriveFault::Driven { run: path.to_owned(), claim });
    }
    // Claimed before it is read, so that a driver that lives nevertheless writes nothing behind what is read.
    let mut fence = Fence::claim(path, 0)?;
    let mut kept = Kept::default();
    let mut replay = Replay::open(&journal)?;
    while let Some(step) = replay.step()? {
        kept.replayed(&step.entry.record.event, step.actions, step.sweep);
    }
    let replayed = replay.finish()?;
    if replayed.sweep.driver_epoch() >= fence.epoch() {
        // The run folder was copied without its claims.
        fence = Fence::claim(path, replayed.sweep.driver_epoch())?;
    }
    // `--seed` overrode the file when the sweep was created.
    let mut spec = file.spec.clone();
    spec.seed = replayed.header.spec.seed;
    let frozen = run.sweep_toml();
    let text = fs::read(&frozen).map_err(fault(&frozen, "read"))?;
    if spec != replayed.header.spec || content_hash(&text) != replayed.header.sweep_toml {
        return Err(DriveFault::SweepChanged { path: frozen });
    }
    make_subfolders(run)?;
    let writer = Writer::resume(&journal, &replayed, fence)?;
    let clock = Clock::of(replayed.header.created_unix_ms, replayed.last_at);
    let token = read_token(run)?;
    Ok(Prepared { header: replayed.header, sweep: replayed.sweep, journal: writer, records: replayed.records, kept, clock, token })
}

fn content_hash(text: &[u8]) -> String {
    blake3::hash(text).to_hex().to_string()
}

fn fault(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> DriveFault {
    let path = path.to_owned();
    move |source| DriveFault::Io { path, doing, source }
}
