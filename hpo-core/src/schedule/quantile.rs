//! Order statistics of sets that only grow.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;

use crate::Loss;

/// The least k of a growing set, and the others. An insertion costs O(log n); both borders cost O(1).
#[derive(Clone, Debug)]
pub(super) struct Split<T> {
    least: BinaryHeap<T>,
    others: BinaryHeap<Reverse<T>>,
}

impl<T: Ord> Default for Split<T> {
    fn default() -> Self {
        Self { least: BinaryHeap::new(), others: BinaryHeap::new() }
    }
}

impl<T: PartialEq> PartialEq for Split<T> {
    /// Heaps are compared as they lie.
    fn eq(&self, other: &Self) -> bool {
        self.least.as_slice() == other.least.as_slice() && self.others.as_slice() == other.others.as_slice()
    }
}

impl<T: Ord> Split<T> {
    /// Adds `item`; from now on the least `k` are split off: as many as before, or one more.
    pub(super) fn insert(&mut self, item: T, k: usize) {
        debug_assert!(k == self.least.len() || k == self.least.len() + 1);
        // Whatever leaves the least k, or never came among them, is the new item of the rest.
        let item = match self.least.peek_mut() {
            Some(mut last) if item < *last => mem::replace(&mut *last, item),
            _ => item,
        };
        if self.least.len() == k {
            self.others.push(Reverse(item));
            return;
        }
        let next = match self.others.peek_mut() {
            Some(mut first) if first.0 < item => mem::replace(&mut first.0, item),
            _ => item,
        };
        self.least.push(next);
    }

    pub(super) fn len(&self) -> usize {
        self.least.len() + self.others.len()
    }

    /// How many are split off.
    pub(super) fn k(&self) -> usize {
        self.least.len()
    }

    /// The k-th.
    pub(super) fn last(&self) -> Option<&T> {
        self.least.peek()
    }

    /// The one after the k-th.
    pub(super) fn next(&self) -> Option<&T> {
        self.others.peek().map(|Reverse(item)| item)
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.least.iter().chain(self.others.iter().map(|Reverse(item)| item))
    }

    pub(super) fn check(&self) {
        if let (Some(last), Some(next)) = (self.last(), self.next()) {
            assert!(last <= next, "the least k come before the others");
        }
    }
}

/// A quantile of all losses so far, with linear interpolation between neighbours, as numpy's `percentile` has it:
/// of n losses in order the one at (n - 1) / parts, counted from 0. With two parts it is the median.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantile {
    parts: usize,
    losses: Split<Loss>,
}

impl Quantile {
    pub(super) fn new(parts: u32) -> Self {
        Self { parts: parts as usize, losses: Split::default() }
    }

    /// O(log n).
    pub(super) fn insert(&mut self, loss: Loss) {
        let k = self.losses.len() / self.parts + 1;
        self.losses.insert(loss, k);
    }

    pub(super) fn len(&self) -> usize {
        self.losses.len()
    }

    /// The quantile; None of nothing. O(1).
    pub(super) fn get(&self) -> Option<Loss> {
        let low = *self.losses.last()?;
        let rest = (self.losses.len() - 1) % self.parts;
        match self.losses.next() {
            Some(&high) if rest > 0 => Some(between(low, high, rest as f64, self.parts as f64)),
            _ => Some(low),
        }
    }

    pub(super) fn check(&self) {
        assert_eq!(self.losses.k(), self.losses.len().div_ceil(self.parts), "the quantile is at (n - 1) / parts");
        self.losses.check();
    }
}

/// The loss at `part` of `parts` of the way from `low` to `high`. Equal ends give that value exactly; no distance between
/// finite ends is too large; between a value and what is not finite there is nothing finite.
fn between(low: Loss, high: Loss, part: f64, parts: f64) -> Loss {
    if low == high || !high.is_finite() {
        return high;
    }
    let (low, high) = (low.get(), high.get());
    let step = (high - low) * part / parts;
    Loss::new(if step.is_finite() { low + step } else { low * (1.0 - part / parts) + high * (part / parts) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_border_moves_as_sorting_says(items in prop::collection::vec((0_u8..30, 0_u8..3), 0..80)) {
            let mut split = Split::default();
            let mut sorted = vec![];
            for (item, grow) in items {
                let k = (split.k() + usize::from(grow == 0)).min(sorted.len() + 1);
                split.insert(item, k);
                sorted.push(item);
                sorted.sort_unstable();
                prop_assert_eq!((split.k(), split.len()), (k, sorted.len()));
                prop_assert_eq!(split.last(), k.checked_sub(1).map(|last| &sorted[last]));
                prop_assert_eq!(split.next(), sorted.get(k));
                split.check();
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        let quantile = |losses: &[f64], parts| {
            let mut quantile = Quantile::new(parts);
            losses.iter().for_each(|&loss| quantile.insert(Loss::new(loss)));
            quantile.check();
            quantile.get().map(Loss::get)
        };
        // numpy.percentile([...], 100 / parts)
        assert_eq!(quantile(&[], 4), None);
        assert_eq!(quantile(&[7.0], 4), Some(7.0));
        assert_eq!(quantile(&[3.0, 1.0], 4), Some(1.5));
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 4), Some(1.75));
        assert_eq!(quantile(&[5.0, 4.0, 1.0, 3.0, 2.0], 4), Some(2.0));
        assert_eq!(quantile(&[5.0, 4.0, 1.0, 3.0, 2.0], 2), Some(3.0));
        assert_eq!(quantile(&[5.0, 4.0, 1.0, 2.0], 2), Some(3.0));
        assert!((quantile(&[4.0, 1.0, 3.0, 2.0, 9.0, 7.0], 3).unwrap() - 8.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn no_arithmetic_makes_a_cutoff_of_nothing() {
        let at = |low, high, part| between(Loss::new(low), Loss::new(high), part, 4.0);
        assert_eq!(at(0.1, 0.1, 1.0).get(), 0.1);
        for odd in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(at(1.0, odd, 2.0), Loss::new(f64::INFINITY), "ranks last");
            assert_eq!(at(odd, odd, 2.0), Loss::new(f64::INFINITY));
        }
        assert_eq!(at(-f64::MAX, f64::MAX, 2.0).get(), 0.0);
        assert!(at(-f64::MAX, f64::MAX, 3.0).is_finite());
    }
}
