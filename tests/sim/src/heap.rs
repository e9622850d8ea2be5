//! What is to come.
use std::collections::BTreeMap;

use hpo_core::Stamp;

use crate::chance::Chance;

/// Things to come, by moment. Of those of one moment chance takes the next.
#[derive(Debug)]
pub(crate) struct Heap<T> {
    moments: BTreeMap<Stamp, Vec<T>>,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { moments: BTreeMap::new() }
    }
}

impl<T> Heap<T> {
    pub(crate) fn push(&mut self, at: Stamp, what: T) {
        self.moments.entry(at).or_default().push(what);
    }

    pub(crate) fn pop(&mut self, chance: &mut dyn Chance) -> Option<(Stamp, T)> {
        let mut first = self.moments.first_entry()?;
        let (at, due) = (*first.key(), first.get_mut());
        let what = due.remove(chance.one_of("next", due.len()));
        if due.is_empty() {
            first.remove();
        }
        Some((at, what))
    }
}
