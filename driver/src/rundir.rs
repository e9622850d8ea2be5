//! The folder of one sweep: where everything lies. The only place that knows these names.
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::journal::Place;
/// Permissions of a run's files: nobody but its owner reads or writes them.
pub const PRIVATE_FILE: u32 = 0o600;
/// Permissions of a run's folders.
pub const PRIVATE_FOLDER: u32 = 0o700;

/// Makes a folder of a run, and takes it from others if it is there already.
///
/// # Errors
/// If the system refuses.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(PRIVATE_FOLDER).create(folder) {
        Err(there) if there.kind() == io::ErrorKind::AlreadyExists => fs::set_permissions(folder, Permissions::from_mode(PRIVATE_FOLDER)),
        made => made,
    }
}

/// A folder that a command was given is not that of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a run folder: {why} (`hpo run FILE` makes one, runs/NAME)", run.display())]
pub struct NotARun {
    /// What was given.
    pub run: PathBuf,
    /// What it is instead.
    pub why: &'static str,
}

/// `runs/NAME/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// The run folder at `path`; it need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder as a word of a command that people are told to type.
    #[must_use]
    pub fn word(&self) -> String {
        hpo_core::shell::path(self.path())
    }
    /// Whether it holds a run: a journal is there.
    ///
    /// # Errors
    /// What it is, if it does not.
    pub fn must_be_a_run(&self) -> Result<(), NotARun> {
        let not = |why| Err(NotARun { run: self.0.clone(), why });
        match fs::metadata(&self.0) {
            // Rights, or a broken disk: whoever reads the journal says it better.
            Err(gone) if gone.kind() != io::ErrorKind::NotFound && gone.kind() != io::ErrorKind::NotADirectory => Ok(()),
            Err(_) => not("there is no such folder"),
            Ok(found) if !found.is_dir() => not("it is a file"),
            Ok(_) => match fs::metadata(self.journal()) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => not("it has no journal.jsonl"),
                // As above: a folder that others may not look into may hold a run.
                Ok(_) | Err(_) => Ok(()),
            },
        }
    }
    /// The sweep file as it was when the sweep was created.
    #[must_use]
    pub fn sweep_toml(&self) -> PathBuf {
        self.0.join("sweep.toml")
    }
    /// What was taken from earlier runs when the sweep was created, if its file names some.
    #[must_use]
    pub fn warm_start(&self) -> PathBuf {
        self.0.join("warm-start.json")
    }
    /// What a driver has noted of its jobs, where Slurm runs the workers.
    #[must_use]
    pub fn slurm_notes(&self) -> PathBuf {
        self.0.join("slurm.json")
    }
    /// Every event, in order: `journal.jsonl`, or what has taken its place. See `journal/FORMAT.md`.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        Place::of(&self.0).unwrap_or_else(|_| Place::first(&self.0)).path()
    }
    /// How to reach the driver: addresses, process, epoch.
    #[must_use]
    pub fn rendezvous(&self) -> PathBuf {
        self.0.join("rendezvous.json")
    }
    /// There once the sweep has ended: nobody need wait for a driver any more.
    #[must_use]
    pub fn ended(&self) -> PathBuf {
        self.0.join("ended.json")
    }
    /// The secret that workers show; mode 0600.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.0.join("token")
    }
    /// The certificate of the run's authority: what workers believe.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.0.join("ca.pem")
    }
    /// The key of the run's authority; mode 0600.
    #[must_use]
    pub fn authority_key(&self) -> PathBuf {
        self.0.join("ca-key.pem")
    }
    /// The local worker processes of the driver, so that the next driver finds them.
    #[must_use]
    pub fn workers(&self) -> PathBuf {
        self.0.join("workers.json")
    }
    /// Content-addressed states of trials.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }
    /// `trial-N.attempt-K.log`, `driver.log`, `worker-*.log`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }
    /// Exported models and their cards.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.0.join("models")
    }
    /// `report.md`, `report.html`, `trials.csv`.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.0.join("report")
    }
}
