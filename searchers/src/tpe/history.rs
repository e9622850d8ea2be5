//! What came of the trials, and which of them are good.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Loss, Resource, TrialId};

use crate::{Observation, Outcome};

/// Whose results a model is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Basis {
    /// Of all trials, each by its latest result: who came to a higher rung is better, on one rung who has the smaller loss.
    Latest,
    /// Of the trials on one rung: the highest that has so many finite results.
    Rung {
        /// So many.
        least: usize,
    },
}

/// Results, best first.
type Ranking = Vec<(Loss, TrialId)>;

/// All that was told.
#[derive(Clone, Debug)]
pub(crate) struct History {
    basis: Basis,
    /// Of [`Basis::Latest`] each trial stands on its highest rung alone. Finite results only.
    rungs: BTreeMap<Resource, Ranking>,
    /// Each trial's results.
    results: BTreeMap<TrialId, BTreeMap<Resource, Loss>>,
    failed: BTreeSet<TrialId>,
}

impl History {
    pub(crate) fn new(basis: Basis) -> Self {
        Self { basis, rungs: BTreeMap::new(), results: BTreeMap::new(), failed: BTreeSet::new() }
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
                let of_trial = self.results.entry(trial).or_default();
                let latest = of_trial.last_key_value().map(|(&resource, _)| resource);
                if of_trial.insert(resource, loss).is_some() || self.failed.contains(&trial) {
                    return;
                }
                if self.basis == Basis::Latest {
                    if latest > Some(resource) {
                        return;
                    }
                    let below = latest.and_then(|latest| self.rungs.get_mut(&latest));
                    below.into_iter().for_each(|ranking| ranking.retain(|(_, other)| *other != trial));
                }
                if loss.is_finite() {
                    let ranking = self.rungs.entry(resource).or_default();
                    let at = ranking.partition_point(|other| *other < (loss, trial));
                    ranking.insert(at, (loss, trial));
                }
            }
        }
    }

    /// The rung whose results are modelled, of [`Basis::Rung`].
    pub(crate) fn rung(&self) -> Option<Resource> {
        match self.basis {
            Basis::Latest => None,
            Basis::Rung { least } => self.rungs.iter().rev().find(|(_, ranking)| ranking.len() >= least).map(|(&rung, _)| rung),
        }
    }

    /// Trials that can be good, best first.
    fn ranked(&self) -> impl Iterator<Item = &(Loss, TrialId)> {
        let rung = self.rung();
        let counts = move |&(resource, _): &(&Resource, &Ranking)| self.basis == Basis::Latest || Some(*resource) == rung;
        self.rungs.iter().rev().filter(counts).flat_map(|(_, ranking)| ranking)
    }

    /// How many of them there are.
    pub(crate) fn population(&self) -> usize {
        match self.rung() {
            Some(rung) => self.rungs[&rung].len(),
            None if self.basis == Basis::Latest => self.rungs.values().map(Vec::len).sum(),
            None => 0,
        }
    }

    /// The best `count` of them.
    pub(crate) fn best(&self, count: usize) -> Vec<TrialId> {
        self.ranked().take(count).map(|&(_, trial)| trial).collect()
    }

    /// Whether a trial that is not good is bad: not if it only stands on another rung than the one that is modelled.
    pub(crate) fn counts(&self, trial: TrialId) -> bool {
        let Some(rung) = self.rung() else { return true };
        let pending = || self.results.get(&trial).is_none_or(|results| results.contains_key(&rung));
        self.failed.contains(&trial) || pending()
    }
}
