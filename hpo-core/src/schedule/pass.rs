//! Which brackets are filled one after another, and what becomes of each.
use super::{Ladder, Rung};

/// The brackets of a rule in whose rungs all wait for all; after the last one the first comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub(super) eta: u32,
    pub(super) top: Rung,
    /// Never empty.
    pub(super) brackets: Vec<Bracket>,
}

/// One bracket as it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// The rung that its trials first come to.
    pub entry: Rung,
    /// How many trials enter it; at least one.
    pub members: u32,
}

/// What becomes of one bracket if no trial fails or diverges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BracketPlan {
    /// The rung that its trials first come to.
    pub entry: Rung,
    /// How many trials come to that rung, to the next, and so on to the top.
    pub populations: Vec<u32>,
}

impl Pass {
    /// Brackets on `ladder`, in the order in which they are filled.
    ///
    /// # Panics
    /// If there is no bracket, one without members, or one that begins above the ladder.
    #[must_use]
    pub fn new(ladder: &Ladder, brackets: Vec<Bracket>) -> Self {
        assert!(!brackets.is_empty() && brackets.iter().all(|bracket| bracket.members > 0 && bracket.entry <= ladder.top()));
        Self { eta: ladder.eta(), top: ladder.top(), brackets }
    }

    /// How many trials fill each bracket once.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.brackets.iter().map(|bracket| u64::from(bracket.members)).sum()
    }

    /// The brackets that `trials` trials fill, one after another; the last may have fewer members than it wants.
    pub fn plans(&self, trials: u32) -> impl Iterator<Item = BracketPlan> {
        let mut left = trials;
        self.brackets.iter().cycle().map_while(move |bracket| {
            let members = bracket.members.min(left);
            left -= members;
            (members > 0).then(|| self.plan(Bracket { members, ..*bracket }))
        })
    }

    /// Of n members floor(n / eta) go on, of these again floor(n / eta), which makes floor(n / eta^i) after i rungs.
    fn plan(&self, bracket: Bracket) -> BracketPlan {
        let populations = std::iter::successors(Some(bracket.members), |members| Some(members / self.eta));
        BracketPlan { entry: bracket.entry, populations: populations.take(self.top + 1 - bracket.entry).collect() }
    }

    /// The most of `trials` trials that come to each rung or pass it on their way to the first one. This is what comes if
    /// none fails or diverges; a failure can only lessen it.
    #[must_use]
    pub fn worst_arrivals(&self, trials: u32) -> Vec<u64> {
        let whole = u64::from(trials) / self.trials();
        // Less than one pass.
        let rest = (u64::from(trials) % self.trials()) as u32;
        let mut arrivals = vec![0; self.top + 1];
        let passes = self.brackets.iter().map(|&bracket| (whole, self.plan(bracket)));
        for (times, plan) in passes.chain(self.plans(rest).map(|plan| (1, plan))) {
            for (rung, arrivals) in arrivals.iter_mut().enumerate() {
                *arrivals += times * u64::from(plan.populations[rung.saturating_sub(plan.entry)]);
            }
        }
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;

    #[test]
    fn brackets_are_filled_in_turn_and_the_last_one_as_far_as_trials_go() {
        let ladder = Ladder::new(Resource(1), Resource(9), 3).unwrap();
        let pass = Pass::new(&ladder, vec![Bracket { entry: 0, members: 9 }, Bracket { entry: 1, members: 4 }]);
        let plans = |trials| pass.plans(trials).map(|plan| (plan.entry, plan.populations)).collect::<Vec<_>>();
        assert_eq!(plans(0), []);
        assert_eq!(plans(11), [(0, vec![9, 3, 1]), (1, vec![2, 0])]);
        assert_eq!(plans(20), [(0, vec![9, 3, 1]), (1, vec![4, 1]), (0, vec![7, 2, 0])]);
        assert_eq!((pass.trials(), pass.worst_arrivals(0)), (13, vec![0, 0, 0]));
        for trials in [5, 11, 13, 20, 26, 40] {
            let mut sum = vec![0; 3];
            for plan in pass.plans(trials) {
                (0..3).for_each(|rung: Rung| sum[rung] += u64::from(plan.populations[rung.saturating_sub(plan.entry)]));
            }
            assert_eq!(pass.worst_arrivals(trials), sum, "{trials}");
        }
        assert_eq!(pass.worst_arrivals(u32::MAX)[0], u64::from(u32::MAX));
    }
}
