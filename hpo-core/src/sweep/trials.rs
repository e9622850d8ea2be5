//! All trials by number.
use std::ops::Index;

use super::trial::Trial;
use crate::TrialId;

/// Numbers are dense, so this is a table and not a tree: a look-up costs the same however many there are. A trial whose
/// values have not come is a gap.
#[derive(Debug, Default)]
pub(super) struct Trials {
    rows: Vec<Option<Box<Trial>>>,
    count: usize,
}

impl Trials {
    pub(super) fn insert(&mut self, trial: Trial) {
        let row = trial.id.0 as usize;
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, || None);
        }
        let before = self.rows[row].replace(Box::new(trial));
        assert!(before.is_none(), "a trial is suggested once");
        self.count += 1;
    }

    pub(super) fn get(&self, id: TrialId) -> Option<&Trial> {
        self.rows.get(id.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: TrialId) -> Option<&mut Trial> {
        self.rows.get_mut(id.0 as usize)?.as_deref_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Trial> {
        self.rows.iter().flatten().map(AsRef::as_ref)
    }

    /// In order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Trial> {
        self.rows.iter_mut().flatten().map(AsMut::as_mut)
    }
}

impl Index<TrialId> for Trials {
    type Output = Trial;
    fn index(&self, id: TrialId) -> &Trial {
        self.get(id).unwrap_or_else(|| panic!("trial {id} exists"))
    }
}
