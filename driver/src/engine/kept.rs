//! Which checkpoint files somebody still needs. No two trials share one: their numbers are part of the names.
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, io};

use hpo_core::sweep::event::{Checkpoint, End};
use hpo_core::{Action, Event, Sweep, TrialId, layout};

/// Where checkpoint files lie.
pub trait Store: Send {
    /// Deletes a file. That it is not there is no error.
    ///
    /// # Errors
    /// If the system refuses.
    fn remove(&self, id: &str) -> io::Result<()>;

    /// The ids of all files.
    ///
    /// # Errors
    /// If the system refuses.
    fn ids(&self) -> io::Result<Vec<String>>;
}

/// The `checkpoints` folder of a run.
#[derive(Clone, Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Store for Folder {
    fn remove(&self, id: &str) -> io::Result<()> {
        let state = layout::state(id).ok_or(io::ErrorKind::InvalidInput)?;
        match fs::remove_file(self.0.join(state)) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn ids(&self) -> io::Result<Vec<String>> {
        let mut ids = vec![];
        for folder in fs::read_dir(&self.0)? {
            let folder = folder?;
            // What is there belongs to workers that write it.
            if folder.file_name() == layout::SCRATCH || !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let Ok(id) = file.file_name().into_string() else { continue };
                // Anything else is not ours.
                if layout::state(&id).is_some_and(|state| self.0.join(state) == file.path()) {
                    ids.push(id);
                }
            }
        }
        Ok(ids)
    }
}

/// Files that nobody holds any more, while a journal is replayed.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    garbage: BTreeSet<String>,
}

impl Kept {
    /// A record of the journal, and what followed from it.
    pub fn replayed(&mut self, event: &Event, actions: &[Action], sweep: &Sweep) {
        match event {
            Event::Reached { checkpoint: Some(checkpoint), .. }
            | Event::Ended { how: End::Preempted { checkpoint: Some(checkpoint) }, .. } => {
                self.garbage.remove(&checkpoint.id);
            }
            _ => {}
        }
        for action in actions {
            if let Action::Forget { trial, checkpoint } = action
                && Self::can_go(*trial, checkpoint, sweep)
            {
                self.garbage.insert(checkpoint.id.clone());
            }
        }
    }

    /// The trial lets go of a checkpoint. True if the file can go: not if the trial has the same state once more.
    pub(super) fn can_go(trial: TrialId, checkpoint: &Checkpoint, sweep: &Sweep) -> bool {
        let same = |other: &Option<Checkpoint>| other.as_ref().is_some_and(|other| other.id == checkpoint.id);
        !sweep.trial(trial).is_some_and(|trial| same(&trial.checkpoint) || same(&trial.previous))
    }

    /// Files that no trial of the sweep holds: states that stale attempts wrote and nobody wanted. Only once the sweep is
    /// over and nobody is at work any more: a state is in the store before its word reaches the driver.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn orphans(sweep: &Sweep, store: &dyn Store) -> io::Result<Vec<String>> {
        let states = sweep.trials().flat_map(|trial| trial.checkpoint.iter().chain(&trial.previous).chain(&trial.suspects));
        let held: BTreeSet<&str> = states.map(|state| state.id.as_str()).collect();
        Ok(store.ids()?.into_iter().filter(|id| !held.contains(id.as_str())).collect())
    }

    /// Files that an earlier driver should have deleted and had no time for.
    pub(super) fn leftovers(&mut self, store: &dyn Store) -> Vec<String> {
        let garbage = std::mem::take(&mut self.garbage);
        if garbage.is_empty() {
            return vec![];
        }
        let present = store.ids().unwrap_or_default();
        present.into_iter().filter(|id| garbage.contains(id)).collect()
    }
}
