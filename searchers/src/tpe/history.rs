//! What came of the trials, and which of them are good.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Loss, Resource, TrialId};

use crate::{Observation, Outcome};

/// Which trials a model is made of: those on the highest rung that has enough of them, and perhaps others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Basis {
    /// So many finite results are enough.
    pub(crate) least: usize,
    /// Whether trials that only stand on other rungs are among the others that the good ones are held against.
    pub(crate) all_others: bool,
}

/// Results, best first.
type Ranking = Vec<(Loss, TrialId)>;

/// All that was told.
#[derive(Clone, Debug)]
pub(crate) struct History {
    basis: Basis,
    /// Finite results of trials that have not failed.
    rungs: BTreeMap<Resource, Ranking>,
    /// The rungs that each trial came to, whatever its results.
    reached: BTreeMap<TrialId, BTreeSet<Resource>>,
    failed: BTreeSet<TrialId>,
}

impl History {
    pub(crate) fn new(basis: Basis) -> Self {
        Self { basis, rungs: BTreeMap::new(), reached: BTreeMap::new(), failed: BTreeSet::new() }
    }

    pub(crate) fn tell(&mut self, seen: &Observation) {
        let trial = seen.trial;
        match seen.outcome {
            Outcome::Infeasible => {
                self.failed.insert(trial);
                // Whatever it reached: its region is to be avoided.
                self.rungs.values_mut().for_each(|ranking| ranking.retain(|(_, other)| *other != trial));
            }
            Outcome::Loss { resource, loss } => {
                let is_new = self.reached.entry(trial).or_default().insert(resource);
                if is_new && loss.is_finite() && !self.failed.contains(&trial) {
                    let ranking = self.rungs.entry(resource).or_default();
                    let at = ranking.partition_point(|other| *other < (loss, trial));
                    ranking.insert(at, (loss, trial));
                }
            }
        }
    }

    /// The rung whose results are modelled, best first.
    fn modelled(&self) -> Option<(Resource, &Ranking)> {
        let enough = |(_, ranking): &(&Resource, &Ranking)| ranking.len() >= self.basis.least.max(1);
        self.rungs.iter().rev().find(enough).map(|(&rung, ranking)| (rung, ranking))
    }

    /// The rung whose results are modelled.
    pub(crate) fn rung(&self) -> Option<Resource> {
        self.modelled().map(|(rung, _)| rung)
    }

    /// How many results it has.
    pub(crate) fn population(&self) -> usize {
        self.modelled().map_or(0, |(_, ranking)| ranking.len())
    }

    /// The best `count` of them.
    pub(crate) fn best(&self, count: usize) -> Vec<TrialId> {
        self.modelled().into_iter().flat_map(|(_, ranking)| ranking.iter().take(count)).map(|&(_, trial)| trial).collect()
    }

    /// Whether a trial that is not good is one of the others.
    pub(crate) fn counts(&self, trial: TrialId) -> bool {
        let Some(rung) = self.rung().filter(|_| !self.basis.all_others) else { return true };
        let pending_or_there = self.reached.get(&trial).is_none_or(|reached| reached.contains(&rung));
        pending_or_there || self.failed.contains(&trial)
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::Params;

    use super::*;

    fn history(all_others: bool, told: &[(u32, Outcome)]) -> History {
        let mut history = History::new(Basis { least: 2, all_others });
        told.iter().for_each(|&(trial, outcome)| history.tell(&Observation { trial: TrialId(trial), params: Params::new(), outcome }));
        history
    }

    fn at(resource: u32, loss: f64) -> Outcome {
        Outcome::Loss { resource: Resource(resource), loss: Loss::new(loss) }
    }

    #[test]
    fn the_highest_rung_with_enough_finite_results_is_modelled() {
        let mut told = vec![(0, at(1, 0.5)), (1, at(1, 0.4)), (2, at(1, 0.3)), (2, at(3, 0.2)), (1, at(3, f64::NAN))];
        let below = history(true, &told);
        assert_eq!((below.rung(), below.population(), below.best(2)), (Some(Resource(1)), 3, vec![TrialId(2), TrialId(1)]));
        told.push((0, at(3, 0.1)));
        let above = history(true, &told);
        assert_eq!((above.rung(), above.population(), above.best(1)), (Some(Resource(3)), 2, vec![TrialId(0)]));
        told.push((0, Outcome::Infeasible));
        let again = history(true, &told);
        assert_eq!((again.rung(), again.best(9)), (Some(Resource(1)), vec![TrialId(2), TrialId(1)]));
        assert_eq!(history(true, &told[..1]).rung(), None);
    }

    /// 0 and 1 stand on the upper rung, 2 on the lower one alone, 3 has failed there, 4 is pending.
    #[test]
    fn the_others_are_those_of_the_rung_the_pending_and_the_failed_or_all() {
        let told = [
            (0, at(1, 0.1)),
            (1, at(1, 0.1)),
            (2, at(1, 0.9)),
            (3, at(1, 0.5)),
            (0, at(3, 0.1)),
            (1, at(3, 0.1)),
            (3, Outcome::Infeasible),
        ];
        let counts = |all_others| (0..5).map(TrialId).map(|trial| history(all_others, &told).counts(trial)).collect::<Vec<_>>();
        assert_eq!(counts(false), [true, true, false, true, true]);
        assert_eq!(counts(true), [true; 5]);
    }
}
