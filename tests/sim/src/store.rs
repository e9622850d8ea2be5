//! The store of checkpoints and the files that trainers write, as the world knows them.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hpo_core::{Attempt, Resource, TrialId, layout};
use hpo_driver::engine::parts;
use hpo_worker::checkpoint::Stored;
use hpo_worker::session::StoreFailure;

/// What a trainer's state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) trial: TrialId,
    pub(crate) resource: Resource,
    /// Its content, as 64 hexadecimal digits; in the store its name there.
    pub(crate) id: String,
    /// It was not written to its end: whoever reads it notices.
    pub(crate) cut_off: bool,
}

/// Files by path and states by content. The folder is shared by all workers and drivers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store(Arc<Mutex<Shelves>>);

#[derive(Debug, Default)]
struct Shelves {
    scratch: BTreeMap<PathBuf, State>,
    states: BTreeMap<String, Kept>,
    removed: Vec<String>,
    /// So many more deletions happen before the driver dies, or sleeps.
    fuse: Option<usize>,
    /// Deletions that it was about to do then.
    put_off: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    state: State,
    damaged: bool,
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A trainer writes its state.
    pub(crate) fn write(&self, path: &Path, state: State) {
        self.lock().scratch.insert(path.to_owned(), state);
    }

    /// A worker removes what it does not want.
    pub(crate) fn discard(&self, path: &Path) {
        self.lock().scratch.remove(path);
    }

    /// As `Store::adopt` of the worker. The state goes along, for the world's books.
    pub(crate) fn adopt(&self, path: &Path, attempt: Attempt, optional: bool) -> Result<Option<(Stored, State)>, StoreFailure> {
        let mut shelves = self.lock();
        let Some(mut state) = shelves.scratch.remove(path) else {
            let absent = || StoreFailure::File(format!("there is no checkpoint file `{}`", path.display()));
            return if optional { Ok(None) } else { Err(absent()) };
        };
        state.id = layout::id(&state.id, attempt);
        let stored = Stored { id: state.id.clone(), bytes: 100 };
        shelves.states.insert(state.id.clone(), Kept { state: state.clone(), damaged: false });
        Ok(Some((stored, state)))
    }

    /// As `Store::open_verified` of the worker.
    pub(crate) fn open(&self, id: &str) -> Result<PathBuf, StoreFailure> {
        match self.lock().states.get(id) {
            None => Err(StoreFailure::File(format!("there is no checkpoint file `{id}`"))),
            Some(kept) if kept.damaged => Err(StoreFailure::File(format!("the checkpoint `{id}` is damaged"))),
            Some(_) => Ok(PathBuf::from(id)),
        }
    }

    /// A trainer reads what [`Store::open`] has found.
    pub(crate) fn read(&self, path: &Path) -> Option<State> {
        let id = path.to_str()?;
        let shelves = self.lock();
        let kept = shelves.states.get(id).filter(|kept| !kept.damaged && !kept.state.cut_off)?;
        Some(kept.state.clone())
    }

    /// Whether the world has damaged it, or a trainer did not write it to its end.
    pub(crate) fn is_damaged(&self, path: &Path) -> bool {
        let kept = path.to_str().and_then(|id| self.lock().states.get(id).map(|kept| kept.damaged || kept.state.cut_off));
        kept.unwrap_or(false)
    }

    /// The world damages a state.
    pub(crate) fn damage(&self, id: &str) {
        if let Some(kept) = self.lock().states.get_mut(id) {
            kept.damaged = true;
        }
    }

    /// All that lies there.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().states.keys().cloned().collect()
    }

    /// What drivers have deleted since the last look.
    pub(crate) fn removed(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().removed)
    }

    /// The driver will die after so many deletions; `None`: it will not. What was left to do when the one before it died.
    pub(crate) fn burn_after(&self, fuse: Option<usize>) -> Vec<String> {
        let mut shelves = self.lock();
        shelves.fuse = fuse;
        std::mem::take(&mut shelves.put_off)
    }
}

impl parts::Store for Store {
    fn remove(&self, id: &str) -> io::Result<()> {
        let mut shelves = self.lock();
        if let Some(fuse) = &mut shelves.fuse {
            if *fuse == 0 {
                shelves.put_off.push(id.to_owned());
                return Ok(());
            }
            *fuse -= 1;
        }
        if shelves.states.remove(id).is_some() {
            shelves.removed.push(id.to_owned());
        }
        Ok(())
    }

    fn ids(&self) -> io::Result<Vec<String>> {
        Ok(self.all())
    }
}
