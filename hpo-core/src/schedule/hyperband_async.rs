//! Asynchronous Hyperband: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, section 3.2
//! ("looping through brackets of ASHA"), with the proportions of Hyperband, arXiv:1603.06560, Algorithm 1.
//!
//! Bracket b is an ASHA of its own on the rungs from b upwards: its trials are first compared at r eta^b, and only with each
//! other. Small b stops early and often, large b is for losses that mislead early. No bracket waits for another.
use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{AshaPromote, Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::by_trial::ByTrial;
use crate::{Loss, Params, TrialId};

/// How many brackets there are on which ladder, and how many trials each gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Brackets {
    ladder: Ladder,
    weights: Vec<u32>,
}

#[derive(Deserialize)]
struct Parts {
    ladder: Ladder,
    weights: Vec<u32>,
}

/// Why there are no such brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BracketsFault {
    /// More than rungs to enter at.
    #[error("this ladder has room for {most} brackets: one for each min_resource x eta^b up to max_resource")]
    TooMany {
        /// How many it has.
        most: usize,
    },
    /// No trial would know where to go.
    #[error("at least one bracket must have a weight above 0")]
    NoWeight,
    /// More than [`Brackets::MOST_WEIGHT`].
    #[error("a weight must be at most {}", Brackets::MOST_WEIGHT)]
    Weight,
}

impl TryFrom<Parts> for Brackets {
    type Error = BracketsFault;
    fn try_from(parts: Parts) -> Result<Self, BracketsFault> {
        Self::weighted(parts.ladder, parts.weights)
    }
}

impl Brackets {
    /// The largest weight: enough for the proportions of Hyperband, and few enough to count through.
    pub const MOST_WEIGHT: u32 = 100_000;

    /// Of each `weights[0] + weights[1] + ...` trials in a row, bracket b gets `weights[b]`.
    ///
    /// # Errors
    /// If there are more weights than rungs to enter at ([`Brackets::most`]), all are 0, or one is too large.
    pub fn weighted(ladder: Ladder, weights: Vec<u32>) -> Result<Self, BracketsFault> {
        let most = Self::most(&ladder);
        if weights.len() > most {
            return Err(BracketsFault::TooMany { most });
        }
        if weights.iter().all(|&weight| weight == 0) {
            return Err(BracketsFault::NoWeight);
        }
        if weights.iter().any(|&weight| weight > Self::MOST_WEIGHT) {
            return Err(BracketsFault::Weight);
        }
        Ok(Self { ladder, weights })
    }

    /// The weights of the `brackets` most eager brackets as Hyperband sizes them: n_s = ceil((s_max + 1) eta^s / (s + 1)),
    /// s = s_max - b. Where that is too many to count through, all are scaled down, to no less than 1.
    #[must_use]
    pub fn hyperband(ladder: &Ladder, brackets: usize) -> Vec<u32> {
        let count = Self::most(ladder);
        let size = |entry: usize| {
            let s = (count - 1 - entry) as u32;
            (count as u64 * u64::from(ladder.eta()).pow(s)).div_ceil(u64::from(s) + 1)
        };
        let scale = size(0).div_ceil(Self::MOST_WEIGHT.into());
        // At most MOST_WEIGHT by this scale.
        (0..brackets.min(count)).map(|entry| size(entry).div_ceil(scale) as u32).collect()
    }

    /// The most brackets that a ladder has room for: one for each r eta^b up to R, s_max + 1 in the words of Hyperband.
    #[must_use]
    pub fn most(ladder: &Ladder) -> usize {
        let (min, max) = (ladder.resource(0).0, ladder.resource(ladder.top()).0);
        std::iter::successors(Some(min), |level| level.checked_mul(ladder.eta())).take_while(|&level| level <= max).count()
    }

    /// Where trials are compared.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// How many of `trials` trials each bracket gets. O(the smaller of trials and the sum of weights).
    #[must_use]
    pub fn sizes(&self, trials: u32) -> Vec<u32> {
        let cycle: u32 = self.weights.iter().sum();
        let mut spread = Spread::new(&self.weights);
        for _ in 0..trials % cycle {
            spread.next();
        }
        spread.got.iter().zip(&self.weights).map(|(&got, weight)| got + trials / cycle * weight).collect()
    }

    /// The most of `trials` trials that can ever come to each rung: those of each bracket as in an ASHA of their own.
    #[must_use]
    pub fn worst_arrivals(&self, trials: u32) -> Vec<u64> {
        let sizes = self.sizes(trials);
        let each = sizes.iter().enumerate().map(|(entry, &size)| AshaPromote::worst_arrivals_from(entry, &self.ladder, size));
        let none = vec![0; self.ladder.rungs().len()];
        each.fold(none, |sum, arrivals| sum.iter().zip(arrivals).map(|(sum, more)| sum + more).collect())
    }
}

/// Deals trials out: the next goes to the bracket that is furthest behind its share, the lower of two that are as far.
/// After as many as the weights sum to, each bracket has got its weight, and it begins anew.
#[derive(Clone, Debug, PartialEq)]
struct Spread {
    weights: Vec<u32>,
    got: Vec<u32>,
    dealt: u32,
}

impl Spread {
    fn new(weights: &[u32]) -> Self {
        Self { weights: weights.to_vec(), got: vec![0; weights.len()], dealt: 0 }
    }

    fn next(&mut self) -> usize {
        let cycle: u32 = self.weights.iter().sum();
        self.dealt += 1;
        let share = |bracket: usize| i64::from(self.weights[bracket]) * i64::from(self.dealt);
        let behind = |bracket: usize| share(bracket) - i64::from(self.got[bracket]) * i64::from(cycle);
        let open = (0..self.weights.len()).rev().filter(|&bracket| self.got[bracket] < self.weights[bracket]);
        let next = open.max_by_key(|&bracket| behind(bracket)).unwrap_or_default();
        self.got[next] += 1;
        if self.dealt == cycle {
            self.dealt = 0;
            self.got.fill(0);
        }
        next
    }
}

/// Several ASHAs over one ladder. Every call costs O(rungs x brackets + log trials), but those for people.
#[derive(Clone, Debug, PartialEq)]
pub struct HyperbandAsync {
    spread: Spread,
    brackets: Vec<AshaPromote>,
    /// By trial.
    bracket_of: ByTrial<u8>,
}

impl HyperbandAsync {
    /// Empty brackets.
    #[must_use]
    pub fn new(brackets: &Brackets, max_trials: Option<u32>) -> Self {
        let sizes = max_trials.map(|trials| brackets.sizes(trials));
        let asha = |entry: usize| AshaPromote::entering_at(entry, &brackets.ladder, sizes.as_ref().map(|sizes| sizes[entry]));
        let spread = Spread::new(&brackets.weights);
        Self { spread, brackets: (0..brackets.weights.len()).map(asha).collect(), bracket_of: ByTrial::default() }
    }

    /// The ASHA of a trial that has entered.
    fn asha(&mut self, trial: TrialId) -> &mut AshaPromote {
        &mut self.brackets[usize::from(self.bracket_of[trial])]
    }
}

impl Scheduler for HyperbandAsync {
    fn enter(&mut self, trial: TrialId, params: &Params) -> Rung {
        let bracket = self.spread.next();
        // A ladder of u32 has no more than 32 brackets.
        *self.bracket_of.entry(trial) = bracket as u8;
        self.brackets[bracket].enter(trial, params)
    }

    fn no_more(&mut self) {
        self.brackets.iter_mut().for_each(Scheduler::no_more);
    }

    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict {
        self.asha(trial).reached(rung, trial, loss)
    }

    /// Each bracket names its candidate as ASHA does. Of these the one on the highest rung goes on, for it is closest to a
    /// result; on the same rung the best, for there losses of different brackets are at the same resource.
    fn promote(&mut self) -> Option<Promotion> {
        let candidates = self.brackets.iter().enumerate().filter_map(|(bracket, asha)| Some((asha.candidate(Rung::MAX)?, bracket)));
        let (_, bracket) = candidates.min_by_key(|&((rung, place), _)| (Reverse(rung), place))?;
        self.brackets[bracket].promote()
    }

    fn gave_up(&mut self, trial: TrialId) {
        self.asha(trial).gave_up(trial);
    }

    fn hopeless(&mut self) -> Vec<TrialId> {
        self.brackets.iter_mut().flat_map(Scheduler::hopeless).collect()
    }

    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let bracket = usize::from(*self.bracket_of.get(trial)?);
        Some(Standing { bracket, ..self.brackets[bracket].standing(rung, trial)? })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        let bracket = self.bracket_of.get(trial);
        bracket.map(|&bracket| self.brackets[usize::from(bracket)].rivals(rung, trial)).unwrap_or_default()
    }

    fn check(&self) {
        self.brackets.iter().for_each(Scheduler::check);
        assert!(self.spread.got.iter().zip(&self.spread.weights).all(|(got, weight)| got <= weight), "nobody gets more than its share");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Resource;

    fn ladder(min: u32, max: u32, eta: u32) -> Ladder {
        Ladder::new(Resource(min), Resource(max), eta).unwrap()
    }

    #[test]
    fn brackets_have_the_proportions_of_hyperband() {
        assert_eq!(Brackets::hyperband(&ladder(1, 81, 3), 5), [81, 34, 15, 8, 5]);
        assert_eq!(Brackets::hyperband(&ladder(1, 81, 3), 2), [81, 34]);
        // Not a power: 10, 40 and 160 are entered, 200 is only a top. The paper on MLPF: 16 x 3 / 3, 4 x 3 / 2, 3.
        assert_eq!(Brackets::hyperband(&ladder(10, 200, 4), 9), [16, 6, 3]);
        assert_eq!(Brackets::hyperband(&ladder(5, 5, 2), 9), [1]);
        let large = Brackets::hyperband(&ladder(1, u32::MAX, 2), 99);
        assert_eq!((large.len(), large[0] <= Brackets::MOST_WEIGHT, large[31]), (32, true, 1));
    }

    #[test]
    fn each_fault_is_named() {
        let of = |weights: &[u32]| Brackets::weighted(ladder(1, 9, 3), weights.to_vec());
        assert_eq!(of(&[1, 1, 1, 1]), Err(BracketsFault::TooMany { most: 3 }));
        assert_eq!(of(&[]), Err(BracketsFault::NoWeight));
        assert_eq!(of(&[0, 0]), Err(BracketsFault::NoWeight));
        assert_eq!(of(&[Brackets::MOST_WEIGHT + 1]), Err(BracketsFault::Weight));
        let brackets = of(&[3, 0, 1]).unwrap();
        let text = serde_json::to_string(&brackets).unwrap();
        assert_eq!(serde_json::from_str::<Brackets>(&text).unwrap(), brackets);
        assert!(serde_json::from_str::<Brackets>(&text.replace("[3,0,1]", "[0]")).is_err());
    }

    #[test]
    fn trials_are_spread_evenly() {
        let brackets = |weights: &[u32], trials: u32| {
            let mut spread = Spread::new(weights);
            (0..trials).map(|_| spread.next()).collect::<Vec<_>>()
        };
        assert_eq!(brackets(&[1, 1, 1], 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(brackets(&[4, 2, 1], 14), [0, 1, 0, 2, 0, 1, 0, 0, 1, 0, 2, 0, 1, 0]);
        assert_eq!(brackets(&[0, 1], 3), [1, 1, 1]);
    }

    proptest! {
        /// At no time is a bracket off its share by as much as the number of brackets, and sizes are what is dealt.
        #[test]
        fn sizes_are_what_is_dealt(weights in prop::collection::vec(0_u32..30, 1..5), trials in 0_u32..400) {
            prop_assume!(weights.iter().any(|&weight| weight > 0));
            let brackets = Brackets::weighted(ladder(1, 81, 3), weights.clone()).unwrap();
            let mut spread = Spread::new(&weights);
            let mut got = vec![0; weights.len()];
            let sum: u32 = weights.iter().sum();
            for dealt in 1..=trials {
                got[spread.next()] += 1;
                for (&got, &weight) in got.iter().zip(&weights) {
                    let share = f64::from(dealt * weight) / f64::from(sum);
                    prop_assert!((f64::from(got) - share).abs() < weights.len() as f64, "{got} of {dealt}, {share}");
                }
            }
            prop_assert_eq!(brackets.sizes(trials), got);
        }
    }

    #[test]
    fn the_highest_rung_goes_first_then_the_best_loss_and_only_brackets_are_compared() {
        let mut rule = HyperbandAsync::new(&Brackets::weighted(ladder(1, 4, 2), vec![1, 1, 1]).unwrap(), Some(12));
        let entered: Vec<Rung> = (0..12).map(|trial| rule.enter(TrialId(trial), &Params::new())).collect();
        assert_eq!(entered, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
        // Trials 0, 3, 6, 9 start on rung 0; 1, 4, 7, 10 on rung 1.
        for (rung, trial, loss) in [(0, 0, 1.0), (0, 3, 2.0), (1, 1, 8.0), (1, 4, 9.0)] {
            assert_eq!(rule.reached(rung, TrialId(trial), Loss::new(loss)), Verdict::Pause);
        }
        let mut next = || rule.promote().map(|promotion| (promotion.trial.0, promotion.to));
        assert_eq!(next(), Some((1, 2)), "the higher rung first, though its loss is worse");
        assert_eq!((next(), next()), (Some((0, 1)), None));
        assert_eq!(rule.standing(1, TrialId(4)).map(|standing| (standing.bracket, standing.rank, standing.population)), Some((1, 1, 2)));
        assert_eq!(rule.standing(0, TrialId(4)), None, "it came past that rung without being compared");
        rule.reached(1, TrialId(0), Loss::new(5.0));
        rule.reached(0, TrialId(6), Loss::new(0.5));
        rule.reached(0, TrialId(9), Loss::new(0.7));
        let first = rule.promote().map(|promotion| (promotion.trial.0, promotion.to));
        assert_eq!(first, Some((6, 1)));
        rule.reached(1, TrialId(6), Loss::new(6.0));
        rule.reached(1, TrialId(7), Loss::new(1.0));
        rule.reached(1, TrialId(10), Loss::new(9.5));
        let order: Vec<u32> = std::iter::from_fn(|| rule.promote()).map(|promotion| promotion.trial.0).collect();
        assert_eq!(order, [7, 0, 9], "on one rung the best of all brackets, then the rung below");
        rule.check();
    }

    #[test]
    fn worst_arrivals_are_those_of_each_bracket() {
        let brackets = Brackets::weighted(ladder(1, 9, 3), vec![2, 1, 1]).unwrap();
        assert_eq!(brackets.sizes(12), [6, 3, 3]);
        // 6, 4, 2 + 3, 3, 1 + 3, 3, 3
        assert_eq!(brackets.worst_arrivals(12), [12, 10, 6]);
    }
}
