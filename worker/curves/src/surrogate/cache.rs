//! Curves that were predicted before: sweeps of one seed that differ in their scheduler alone ask for the same ones.
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::encode::Input;
use crate::curve::Recording;

/// Figures that are kept: 40 MB of them, 16,000 curves of 52 units and six outputs.
const KEPT: usize = 5_000_000;

/// The curves of the latest inputs.
pub(super) struct Cache {
    known: Mutex<Known>,
    /// At most so many curves.
    most: usize,
}

#[derive(Default)]
struct Known {
    curves: BTreeMap<Arc<Input>, Arc<Recording>>,
    /// Oldest first.
    order: VecDeque<Arc<Input>>,
}

impl Cache {
    /// For curves of so many figures each.
    pub(super) fn of_curves(figures: usize) -> Self {
        Self { known: Mutex::default(), most: (KEPT / figures.max(1)).max(1) }
    }

    pub(super) fn get(&self, input: &Input) -> Option<Arc<Recording>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).curves.get(input).cloned()
    }

    pub(super) fn put(&self, input: Input, recording: Arc<Recording>) {
        let mut guard = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *guard;
        let input = Arc::new(input);
        // Two threads may have predicted the same.
        if known.curves.insert(Arc::clone(&input), recording).is_none() {
            known.order.push_back(input);
        }
        while known.order.len() > self.most {
            known.order.pop_front().and_then(|oldest| known.curves.remove(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::Names;

    #[test]
    fn the_oldest_makes_room() {
        let names = Arc::new(Names { columns: vec!["a".to_owned()], metric: 0, test: None, alias: "a".to_owned() });
        let recording = || Arc::new(Recording::new(Arc::clone(&names), Box::new([1.0]), 1.0));
        let input = |number: i32| Input { categorical: vec![number], continuous: vec![] };
        let cache = Cache::of_curves(KEPT / 2);
        for number in [1, 2, 2, 3] {
            cache.put(input(number), recording());
        }
        assert_eq!([1, 2, 3].map(|number| cache.get(&input(number)).is_some()), [false, true, true]);
    }
}
