//! All trials by number.
use std::ops::Index;

use super::trial::Trial;
use crate::TrialId;
use crate::by_trial::ByTrial;

/// A trial whose values have not come is a gap.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Trials {
    rows: ByTrial<Option<Box<Trial>>>,
    count: usize,
}

impl Trials {
    pub(super) fn insert(&mut self, trial: Trial) {
        let before = self.rows.entry(trial.id).replace(Box::new(trial));
        assert!(before.is_none(), "a trial is suggested once");
        self.count += 1;
    }

    pub(super) fn get(&self, id: TrialId) -> Option<&Trial> {
        self.rows.get(id)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: TrialId) -> Option<&mut Trial> {
        self.rows.get_mut(id)?.as_deref_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Trial> {
        self.rows.iter().filter_map(|(_, trial)| trial.as_deref())
    }

    /// In order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Trial> {
        self.rows.iter_mut().filter_map(Option::as_deref_mut)
    }
}

impl Index<TrialId> for Trials {
    type Output = Trial;
    fn index(&self, id: TrialId) -> &Trial {
        self.get(id).unwrap_or_else(|| panic!("trial {id} exists"))
    }
}
