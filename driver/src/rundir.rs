//! The folder of one sweep: where everything lies. The only place that knows these names.
use std::path::{Path, PathBuf};

use crate::journal::Place;

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
    /// The sweep file as it was when the sweep was created.
    #[must_use]
    pub fn sweep_toml(&self) -> PathBuf {
        self.0.join("sweep.toml")
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
    /// The secret that workers show; mode 0600.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.0.join("token")
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
