//! Hyperband: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", arXiv:1603.06560,
//! Algorithm 1.
//!
//! Successive halving in brackets that begin with many trials and little resource, then with fewer and more, since nobody
//! knows how early losses tell. The paper finishes one bracket before the next; here the next takes the slots that a
//! rung leaves free while it waits, which changes no decision.
use super::{Bracket, Ladder, Pass};

/// Brackets s = s_max, ..., 0, of n = ceil((s_max + 1) eta^s / (s + 1)) members each, from the rung of resource R eta^-s.
/// On a ladder that is anchored at the top that is the rung s below it, so that s_max is the number of rungs below the top.
#[must_use]
pub fn pass(ladder: &Ladder) -> Pass {
    let s_max = ladder.top() as u32;
    let bracket = |s: u32| {
        let members = (u64::from(s_max + 1) * u64::from(ladder.eta()).saturating_pow(s)).div_ceil(u64::from(s + 1));
        // At most eta^s_max, which is at most R: (s_max + 1) / (s + 1) <= 2^(s_max - s).
        Bracket { entry: (s_max - s) as usize, members: members as u32 }
    };
    Pass::new(ladder, (0..=s_max).rev().map(bracket).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;
    use crate::schedule::Anchor;

    #[test]
    fn brackets_are_those_of_the_paper() {
        let ladder = |min, max, eta| Ladder::anchored(Anchor::Top, Resource(min), Resource(max), eta).unwrap();
        let plans: Vec<_> = pass(&ladder(1, 81, 3)).plans(143).map(|plan| (plan.entry, plan.populations)).collect();
        // By Algorithm 1; the paper's Table 1 shows fewer in the brackets between the first and the last.
        assert_eq!(plans, [(0, vec![81, 27, 9, 3, 1]), (1, vec![34, 11, 3, 1]), (2, vec![15, 5, 1]), (3, vec![8, 2]), (4, vec![5])]);
        let widest = pass(&ladder(1, u32::MAX, 2));
        assert_eq!((widest.brackets[0].members, widest.brackets[31].members), (1 << 31, 32));
    }
}
