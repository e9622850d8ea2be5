//! Regularised evolution: Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search"
//! (AAAI 2019, arXiv:1802.01548), Algorithm 1, asynchronous.
//!
//! The population is the `population` (P) youngest trials of which there is a result; the oldest dies whatever it is worth, so
//! that a lucky result does not rule for long. `sample` (S) of them are drawn with replacement, the best is the parent, and a
//! copy of it with one parameter changed is proposed. Until P trials have a result, proposals are points of Sobol's sequence.
//! A trial's age is its number, and a pending trial is not yet born, so that any number may be pending.
//!
//! - **Change** of a value: half of the time to any other of the parameter, as in the paper, where values are words; half of
//!   the time, where values have an order, to one near by (a normal step of a tenth of the range, on its own scale). Parameters
//!   that exist only after a change are drawn by chance. In a pool it is the row nearest to the changed point that is left.
//! - **Rungs**: two trials are compared at the highest resource that both have come to, as ASHA and Hyperband leave them on
//!   different ones; if there is none, who came further is better. A tournament is a knockout in the order of the draw.
//! - **Failed** trials lose against all others; if one wins, because all that were drawn have failed, a point is drawn evenly.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::space::Domain;
use hpo_core::{Loss, Params, Resource, Seed, Space, TrialId};
use rand::Rng;

use crate::around::step;
use crate::chance::{below, unit};
use crate::sobol::Sequence;
use crate::taken::Taken;
use crate::tpe::truncated;
use crate::{Observation, Outcome, Searcher, SuggestFault};

/// The standard deviation of a step to a value near by, in the units in which a draw by chance is uniform.
const NEAR: f64 = 0.1;

/// Changes of a parent before a point is drawn by chance, because all of them are taken.
const CHANGES: usize = 32;

/// What a sweep file says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvolutionOptions {
    /// Trials that are alive, at least 1.
    pub population: u32,
    /// Draws of a tournament, at least 1.
    pub sample: u32,
}

impl Default for EvolutionOptions {
    /// The paper's 100 and 25 with a fifth of its population: sweeps are shorter than searches for architectures.
    fn default() -> Self {
        Self { population: 20, sample: 5 }
    }
}

/// The searcher. A suggestion costs a walk over the population.
#[derive(Clone, Debug)]
pub struct Evolution {
    seed: Seed,
    options: EvolutionOptions,
    taken: Taken,
    sequence: Sequence,
    trials: BTreeMap<TrialId, Individual>,
    /// Those of which there is a result.
    born: BTreeSet<TrialId>,
}

#[derive(Clone, Debug)]
struct Individual {
    params: Params,
    /// The first at each resource.
    results: BTreeMap<Resource, Loss>,
    failed: bool,
}

impl Evolution {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(space: Space, seed: Seed, options: EvolutionOptions) -> Self {
        let sequence = Sequence::new(&space, seed);
        Self { seed, options, taken: Taken::new(space), sequence, trials: BTreeMap::new(), born: BTreeSet::new() }
    }

    /// The winner of a tournament; `None` if nobody is alive.
    fn parent(&self, rng: &mut impl Rng) -> Option<&Individual> {
        let alive: Vec<&Individual> =
            self.born.iter().rev().take(self.options.population as usize).filter_map(|trial| self.trials.get(trial)).collect();
        if alive.is_empty() {
            return None;
        }
        let drawn = (0..self.options.sample.max(1)).map(|_| alive[below(rng, alive.len())]);
        drawn.reduce(|best, next| if next.beats(best) { next } else { best })
    }

    /// A changed copy that is not taken.
    fn child(&self, parent: &Params, rng: &mut impl Rng) -> Option<Params> {
        let space = self.taken.space();
        let varies = |at: &usize| {
            let parameter = &space.parameters()[*at];
            parameter.domain.size() != Some(1) && parent.contains_key(&parameter.name)
        };
        let able: Vec<usize> = (0..space.parameters().len()).filter(varies).collect();
        for _ in 0..CHANGES {
            let changed = *able.get(below(rng, able.len().max(1)))?;
            let parameter = &space.parameters()[changed];
            let unit =
                self::changed(&parameter.domain, parent.get(&parameter.name).map_or(0.5, |value| parameter.domain.to_unit(value)), rng);
            let child = step(space, parent, rng, |at, _| (at == changed).then_some(unit));
            if !self.taken.contains(&child) {
                return Some(child);
            }
        }
        None
    }
}

/// Another coordinate in the place of `unit`.
fn changed(domain: &Domain, unit: f64, rng: &mut impl Rng) -> f64 {
    let has_order = !matches!(domain, Domain::Choice { ordered: false, .. } | Domain::Bool);
    if has_order && self::unit(rng) < 0.5 {
        // A step of less than a value would come to nothing.
        let least = domain.size().map_or(0.0, |size| 1.0 / size as f64);
        return truncated(unit, NEAR.max(least), rng);
    }
    self::unit(rng)
}

impl Individual {
    fn beats(&self, other: &Self) -> bool {
        if self.failed != other.failed {
            return other.failed;
        }
        match self.results.iter().rev().find_map(|(at, ours)| Some((ours, other.results.get(at)?))) {
            Some((ours, theirs)) => ours < theirs,
            None => self.results.last_key_value().map(|(at, _)| at) > other.results.last_key_value().map(|(at, _)| at),
        }
    }
}

impl Searcher for Evolution {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.taken.insert(params);
        let unborn = || Individual { params: params.clone(), results: BTreeMap::new(), failed: false };
        self.trials.entry(trial).or_insert_with(unborn);
    }

    fn tell(&mut self, seen: &Observation) {
        self.begin(seen.trial, &seen.params);
        let Some(individual) = self.trials.get_mut(&seen.trial) else { return };
        match seen.outcome {
            Outcome::Loss { resource, loss } => drop(individual.results.entry(resource).or_insert(loss)),
            Outcome::Infeasible => individual.failed = true,
        }
        self.born.insert(seen.trial);
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        let mut rng = self.seed.derive("suggest", trial.0.into()).rng();
        if self.born.len() < self.options.population as usize {
            return self.sequence.suggest(trial, &self.taken);
        }
        match self.parent(&mut rng).filter(|parent| !parent.failed) {
            Some(parent) => match self.child(&parent.params, &mut rng) {
                Some(child) => Ok(child),
                None => self.taken.draw(&mut rng),
            },
            None => self.sequence.suggest(trial, &self.taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::space::{Fold, Parameter};

    use super::*;

    fn space() -> Space {
        let float = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
        let parameters = ["x", "y", "z"].map(|name| Parameter { name: name.to_owned(), domain: float.clone(), when: Default::default() });
        Space::new(parameters.to_vec()).unwrap()
    }

    fn individual(results: &[(u32, f64)], failed: bool) -> Individual {
        let results = results.iter().map(|&(at, loss)| (Resource(at), Loss::new(loss))).collect();
        Individual { params: Params::new(), results, failed }
    }

    #[test]
    fn two_are_compared_where_both_have_been() {
        let far = individual(&[(1, 0.5), (3, 0.3), (9, 0.2)], false);
        assert!(individual(&[(1, 0.4)], false).beats(&far), "at 1");
        assert!(!individual(&[(1, 0.1), (3, 0.31)], false).beats(&far), "at 3, whatever was at 1");
        assert!(far.beats(&individual(&[(2, 0.01)], false)), "nowhere: who came further");
        assert!(far.beats(&individual(&[(9, f64::NAN)], false)) && far.beats(&individual(&[(1, 0.1)], true)));
        assert!(!individual(&[], true).beats(&individual(&[], true)));
    }

    /// After the population has died, nothing of it is a parent: a far better old trial does not rule.
    #[test]
    fn the_old_die_whatever_they_are_worth() {
        let mut evolution = Evolution::new(space(), Seed(1), EvolutionOptions { population: 4, sample: 64 });
        let tell = |evolution: &mut Evolution, trial: u32, x: f64, loss: f64| {
            let params: Params = [("x", x), ("y", 0.5), ("z", 0.5)].into_iter().map(|(name, x)| (name.to_owned(), x.into())).collect();
            let outcome = Outcome::Loss { resource: Resource(1), loss: Loss::new(loss) };
            evolution.tell(&Observation { trial: TrialId(trial), params, outcome });
        };
        tell(&mut evolution, 0, 0.111, -100.0);
        (1..4).for_each(|trial| tell(&mut evolution, trial, 0.9, f64::from(trial)));
        let kept = |evolution: &Evolution, x: f64| {
            let child = evolution.suggest(TrialId(9)).unwrap();
            let same = ["x", "y", "z"].iter().zip([x, 0.5, 0.5]).filter(|(name, value)| child[**name].number() == Some(*value));
            same.count()
        };
        assert_eq!(kept(&evolution, 0.111), 2, "one parameter is changed");
        tell(&mut evolution, 4, 0.9, 50.0);
        assert_eq!(kept(&evolution, 0.9), 2, "the first is dead");
    }
}
