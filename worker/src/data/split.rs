//! Who trains, who validates, who tests.
use hpo_core::Seed;
use hpo_core::job::Split;

use super::{DataFault, draw};

/// Three disjoint lists of indices below `count`, in the order of one permutation drawn from `seed`.
/// Bounds are rounded cumulative shares, so shares that sum to 1 use every example.
pub(super) fn draw(count: usize, split: Split, seed: Seed) -> Result<[Vec<u32>; 3], DataFault> {
    let shares = [split.train, split.validation, split.test];
    if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || shares.iter().sum::<f64>() > 1.0 + 1e-9 {
        return Err(DataFault::Shares { train: split.train, validation: split.validation, test: split.test });
    }
    let bound = |share: f64| ((share * count as f64).round() as usize).min(count);
    let (first, second, third) = (bound(shares[0]), bound(shares[0] + shares[1]), bound(shares.iter().sum()));
    if first == 0 || second == first {
        let part = if first == 0 { "train" } else { "validation" };
        return Err(DataFault::EmptyPart { part, count });
    }
    let order = draw::permutation(count, seed);
    Ok([order[..first].to_vec(), order[first..second].to_vec(), order[second..third].to_vec()])
}
