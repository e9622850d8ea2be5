//! Something for each trial.
use std::ops::{Index, IndexMut};

use crate::TrialId;

/// Trials are numbered densely, so this is a table and not a tree: a look-up costs the same however many there are. Whoever
/// has not been given anything has the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ByTrial<T>(Vec<T>);

impl<T: Default> ByTrial<T> {
    /// Makes room as needed.
    pub(crate) fn entry(&mut self, trial: TrialId) -> &mut T {
        let row = trial.0 as usize;
        if self.0.len() <= row {
            self.0.resize_with(row + 1, T::default);
        }
        &mut self.0[row]
    }

    pub(crate) fn get(&self, trial: TrialId) -> Option<&T> {
        self.0.get(trial.0 as usize)
    }

    pub(crate) fn get_mut(&mut self, trial: TrialId) -> Option<&mut T> {
        self.0.get_mut(trial.0 as usize)
    }

    /// In order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TrialId, &T)> {
        (0..).map(TrialId).zip(&self.0)
    }
}

impl<T> Index<TrialId> for ByTrial<T> {
    type Output = T;
    fn index(&self, trial: TrialId) -> &T {
        &self.0[trial.0 as usize]
    }
}

impl<T> IndexMut<TrialId> for ByTrial<T> {
    fn index_mut(&mut self, trial: TrialId) -> &mut T {
        &mut self.0[trial.0 as usize]
    }
}
