//! Successive halving: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
//! arXiv:1502.07943; with r, R and eta as in Li et al., arXiv:1810.05934, Algorithm 1 (`SuccessiveHalving`, s = 0).
//!
//! All members of a bracket train to the lowest rung; when all are there, the best floor(n / eta) train to the next.
use super::{Bracket, Ladder, Pass};

/// Brackets of `bracket` members, from the lowest rung. By default one of all `max_trials`; if these are not limited, of as
/// many as it takes for one to come to the top.
#[must_use]
pub fn pass(ladder: &Ladder, bracket: Option<u32>, max_trials: Option<u32>) -> Pass {
    let members = bracket.or(max_trials).unwrap_or_else(|| least(ladder));
    Pass::new(ladder, vec![Bracket { entry: 0, members: members.max(1) }])
}

/// The smallest bracket of which one trial comes to the top: eta^k for k rungs below it.
#[must_use]
pub fn least(ladder: &Ladder) -> u32 {
    // No overflow: the rungs of an anchored ladder span at least this factor.
    ladder.eta().saturating_pow(ladder.top() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;
    use crate::schedule::Anchor;

    #[test]
    fn a_bracket_has_the_members_asked_for_or_all_trials_or_the_least() {
        let ladder = Ladder::anchored(Anchor::Top, Resource(1), Resource(30), 3).unwrap();
        let members = |bracket, max_trials| pass(&ladder, bracket, max_trials).brackets[0].members;
        assert_eq!([members(Some(9), Some(20)), members(None, Some(20)), members(None, None)], [9, 20, 27]);
        assert_eq!(pass(&ladder, None, Some(30)).worst_arrivals(30), [30, 10, 3, 1]);
    }
}
