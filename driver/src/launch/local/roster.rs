//! `workers.json` in the run folder: which local worker processes there are, so that the next driver finds them.
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hpo_core::WorkerId;
use serde::{Deserialize, Serialize};

use crate::process::{Process, host};
use crate::rendezvous::{RendezvousFault, write_json};
use crate::rundir::RunDir;

/// One worker process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Which of the local workers, from 0.
    pub(super) index: usize,
    /// The id that it was given.
    pub(super) id: WorkerId,
    /// Where it was started. A process number means nothing on another host.
    pub(super) host: String,
    /// The run folder that it was given, without links; older lists do not say. Should the folder be moved, it does not find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) folder: Option<PathBuf>,
    /// Its process.
    #[serde(flatten)]
    pub(super) process: Process,
}

impl Entry {
    /// Whether this host started it, so that its process can be looked at.
    pub(super) fn is_here(&self) -> bool {
        self.host == host()
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Roster {
    path: PathBuf,
    entries: Mutex<Vec<Entry>>,
}

impl Roster {
    /// The one of a run, and what the last driver left in it.
    pub(super) fn open(run: &RunDir) -> Result<(Self, Vec<Entry>), RendezvousFault> {
        let path = run.workers();
        let fault = |doing, source| RendezvousFault { path: path.clone(), doing, source };
        let left: Vec<Entry> = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|wrong| fault("understand", wrong.into()))?,
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => vec![],
            Err(other) => return Err(fault("read", other)),
        };
        Ok((Self { path, entries: Mutex::new(left.clone()) }, left))
    }

    /// Forgets all and notes these.
    pub(super) fn replace(&self, entries: Vec<Entry>) -> Result<(), RendezvousFault> {
        let mut held = self.held();
        *held = entries;
        write_json(&self.path, &*held)
    }

    /// Notes a started process in place of the one before it on this host.
    pub(super) fn started(&self, entry: Entry) -> Result<(), RendezvousFault> {
        let mut held = self.held();
        held.retain(|other| (other.index, &other.host) != (entry.index, &entry.host));
        held.push(entry);
        write_json(&self.path, &*held)
    }

    /// The processes of this host that live.
    pub(super) fn living(&self) -> Vec<Process> {
        self.held().iter().filter(|entry| entry.is_here()).map(|entry| entry.process).filter(Process::is_alive).collect()
    }

    fn held(&self) -> MutexGuard<'_, Vec<Entry>> {
        // A list of entries is whole at any moment.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
