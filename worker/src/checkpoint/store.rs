//! The content-addressed store: a state's name begins with the BLAKE3 hash of its trial's number and its content, so what lies
//! there can be verified. It ends with the attempt that wrote it: no two trials share a state, nor two attempts, for the driver
//! deletes one when its trial lets go of it, perhaps late, and cannot know of an equal one that was stored meanwhile. The folder
//! is laid out as [`layout`] says.
//!
//! A trainer writes in [`layout::SCRATCH`]; [`Store::adopt`] hashes the file, brings it to disk, renames it, and brings the
//! folder to disk: after a crash at any point a state is there whole or not at all, and only files in `tmp` are left over.
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hpo_core::{Attempt, TrialId, WorkerId, layout};

use crate::private;

/// A store of states. Many processes and machines may use one folder at once.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// A state that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name ([`layout::id`]).
    pub id: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// What can go wrong with a state.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFault {
    /// Not as [`layout::id`] makes them; it is never made into a path.
    #[error("`{id}` is not the id of a checkpoint")]
    BadId {
        /// What came.
        id: String,
    },
    /// Nothing lies there.
    #[error("there is no checkpoint file `{path}`")]
    Absent {
        /// Where.
        path: PathBuf,
    },
    /// What lies there is a folder, a link or a device.
    #[error("the checkpoint `{path}` is no file but {what}: a state is one file; of a folder write for example a tar")]
    NoFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The content is not what the name says. The sweep goes on from the state before it.
    #[error("the checkpoint `{path}` is damaged: its hash should be {expected} and is {found}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// By its name.
        expected: String,
        /// By its content.
        found: String,
    },
    /// No room.
    #[error("the disk is full: cannot store the checkpoint `{path}`; free some space, then `hpo resume` goes on")]
    Full {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Anything else that a disk can do.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl CheckpointFault {
    /// Whether the file itself is at fault (absent, damaged), not the disk: another state can still be used.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        matches!(self, Self::BadId { .. } | Self::Absent { .. } | Self::NoFile { .. } | Self::Damaged { .. })
    }
}

/// Turns what the system says into a fault that names the path.
fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointFault {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => CheckpointFault::Absent { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CheckpointFault::Full { path, source },
        _ => CheckpointFault::Io { doing, path, source },
    }
}

impl Store {
    /// The store in `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A folder in which the trainers of one worker write; it is on the store's file system.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&self, worker: WorkerId) -> Result<PathBuf, CheckpointFault> {
        let scratch = self.root.join(layout::SCRATCH).join(worker.to_string());
        private::folder(&scratch).map_err(at("make the folder", &scratch))?;
        Ok(scratch)
    }

    /// Takes a file of [`Store::scratch`] into the store as the state that this attempt of the trial wrote; it is gone from where it
    /// was.
    ///
    /// # Errors
    /// If there is no such file or the disk fails.
    pub fn adopt(&self, file: &Path, trial: TrialId, attempt: Attempt) -> Result<Stored, CheckpointFault> {
        let kind = fs::symlink_metadata(file).map_err(at("look at", file))?.file_type();
        if !kind.is_file() {
            let what = if kind.is_dir() {
                "a folder"
            } else if kind.is_symlink() {
                "a link"
            } else {
                "a device"
            };
            return Err(CheckpointFault::NoFile { path: file.to_owned(), what });
        }
        let (hash, bytes, open) = hash(file, trial)?;
        let stored = Stored { id: layout::id(&hash, attempt), bytes };
        open.sync_all().map_err(at("bring to disk", file))?;
        // A user's program has written it, as its umask says. A file that is not ours stays as it is: its folder is closed.
        let _ = private::close(file);
        let target = self.path(&stored.id)?;
        let folder = target.parent().unwrap_or(&self.root);
        if !folder.is_dir() {
            private::folder(folder).map_err(at("make the folder", folder))?;
            sync_folder(&self.root)?;
        }
        fs::rename(file, &target).map_err(at("move into the store", file))?;
        sync_folder(folder)?;
        Ok(stored)
    }

    /// Where that state of the trial lies, after its content was found to be what its name says.
    ///
    /// # Errors
    /// If it is absent or damaged, or cannot be read.
    pub fn open_verified(&self, id: &str, trial: TrialId) -> Result<PathBuf, CheckpointFault> {
        let path = self.path(id)?;
        let expected = layout::hash(id).unwrap_or(id);
        let (found, ..) = hash(&path, trial)?;
        if found == expected { Ok(path) } else { Err(CheckpointFault::Damaged { path, expected: expected.to_owned(), found }) }
    }

    /// Removes what dead workers have left in `tmp`: the folders in which nothing has changed for `age`. Gives how many files went.
    /// Age alone tells, for nobody can know whether a worker on another machine lives; one that does touches a file of its folder
    /// now and then, and files that it has needed for long stay with that.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn sweep_stale(&self, age: Duration) -> Result<usize, CheckpointFault> {
        let scratch = self.root.join(layout::SCRATCH);
        let mut removed = 0;
        let folders = match fs::read_dir(&scratch) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            folders => folders.map_err(at("read the folder", &scratch))?,
        };
        for folder in folders.flatten() {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            let files: Vec<fs::DirEntry> = files.flatten().collect();
            // What another worker removes meanwhile is as good as old.
            let mut all = files.iter().chain([&folder]);
            if all.any(|entry| entry.metadata().is_ok_and(|found| !is_older(&found, age))) {
                continue;
            }
            removed += files.iter().filter(|file| fs::remove_file(file.path()).is_ok()).count();
            // Only an empty folder can be removed.
            let _ = fs::remove_dir(folder.path());
        }
        Ok(removed)
    }

    fn path(&self, id: &str) -> Result<PathBuf, CheckpointFault> {
        let state = layout::state(id).ok_or_else(|| CheckpointFault::BadId { id: id.chars().take(80).collect() })?;
        Ok(self.root.join(state))
    }
}

fn is_older(found: &fs::Metadata, age: Duration) -> bool {
    let Ok(changed) = found.modified() else { return false };
    SystemTime::now().duration_since(changed).is_ok_and(|since| since >= age)
}

/// The hash of the trial's number and the file's content, the length of that in bytes, and the file.
fn hash(path: &Path, trial: TrialId) -> Result<(String, u64, File), CheckpointFault> {
    let file = File::open(path).map_err(at("open", path))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("trial {trial}\n").as_bytes());
    let prefix = hasher.count();
    hasher.update_reader(&file).map_err(at("read", path))?;
    Ok((hasher.finalize().to_hex().to_string(), hasher.count() - prefix, file))
}

/// Brings the names in a folder to disk.
fn sync_folder(folder: &Path) -> Result<(), CheckpointFault> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(at("bring to disk", folder))
}

#[cfg(test)]
mod tests;
