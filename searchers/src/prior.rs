//! What an expert believes about good values: PriorBand, Mallik, Bergman, Hvarfner, Stoll, Janowski, Lindauer, Nardi and
//! Hutter, "PriorBand: Practical Hyperparameter Optimization in the Age of Deep Learning" (NeurIPS 2023, arXiv:2306.12370).
//!
//! Its ensemble of three ways to a proposal, above any searcher, which takes the place of the paper's uniform draws:
//!
//! - **The searcher** beneath, which learns of all trials, whoever proposed them.
//! - **The prior** pi: each parameter that has a belief by a normal density around its value, cut off at the edges, with a standard
//!   deviation of .5, .25 or .125 of its range (on its own scale) for low, medium and high confidence; a word 2, 4 or 6 times as
//!   likely as each other one; all other parameters by chance. The first proposal that is no known point's is its middle.
//! - **The incumbent**, the best trial on the highest rung that has [`LEAST`] results: a copy in which each parameter is drawn anew
//!   with probability 1/2, by the density lambda of medium confidence around it. Before that it has no share.
//!
//! **Shares.** The searcher has one half, as on the paper's lowest rung (the sweep and not the searcher knows which rung a trial
//! is for). What is left is split between prior and incumbent by how likely each makes the best third x_1, .. x_k of that rung,
//! best first (section 5.2):
//!
//! ```text
//! s_pi = sum_i (k + 1 - i) pi(x_i),   s_lambda = sum_i (k + 1 - i) lambda(x_i),   p_pi : p_lambda = s_pi : s_lambda,
//! ```
//!
//! so that a prior under which no good trial is likely loses its share. Not in the paper: with more than [`EARLY`] results the
//! searcher's half grows to 1 - EARLY / (2 n), as in pi-BO (Hvarfner et al., ICLR 2022, arXiv:2204.11051) the weight of the prior
//! falls with 1 / n, since a searcher with a model then knows more than either.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::space::Domain;
use hpo_core::{Params, Seed, Space, TrialId, Value};
use rand::Rng;

use crate::around::{Around, Spread, step};
use crate::chance::unit;
use crate::partial::{PartialFault, complete};
use crate::taken::Taken;
use crate::tpe::{Basis, History};
use crate::{Observation, Searcher, SuggestFault};

/// Results on a rung before its best trial is an incumbent.
const LEAST: usize = 9;

/// Results up to which the searcher has one half of the proposals.
const EARLY: usize = 20;

/// Draws before a proposal is left to the searcher, because all of them are taken.
const DRAWS: usize = 32;

/// How sure a belief is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Somewhere there.
    Low,
    /// Around there.
    Medium,
    /// Near.
    High,
}

impl Confidence {
    fn spread(self) -> Spread {
        match self {
            Self::Low => Spread { width: 0.5, weight: 2.0 },
            Self::Medium => Spread { width: 0.25, weight: 4.0 },
            Self::High => Spread { width: 0.125, weight: 6.0 },
        }
    }
}

/// What is believed about one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Belief {
    /// The value that is believed to be good.
    pub value: Value,
    /// How sure that is.
    pub confidence: Confidence,
}

/// Beliefs by the names of parameters.
pub type Prior = BTreeMap<String, Belief>;

/// The density of a prior.
pub(crate) fn around(space: &Space, prior: &Prior) -> Around {
    Around::new(space, |parameter| prior.get(&parameter.name).map(|belief| (&belief.value, belief.confidence.spread())))
}

/// The same beliefs about the values that `grid` has of `space`: each about the nearest. What is no value of the space stays as it is.
pub(crate) fn nearest(prior: &Prior, space: &Space, grid: &Space) -> Prior {
    let belief = |(name, belief): (&String, &Belief)| {
        let of =
            |space: &Space| space.parameters().iter().find(|parameter| parameter.name == *name).map(|parameter| parameter.domain.clone());
        let (Some(domain), Some(Domain::Choice { values, .. })) = (of(space), of(grid)) else { return (name.clone(), belief.clone()) };
        let apart = |value: &Value| (domain.to_unit(value) - domain.to_unit(&belief.value)).abs();
        let near = values.into_iter().min_by(|a, b| apart(a).total_cmp(&apart(b)));
        let value = near.filter(|_| domain.contains(&belief.value)).unwrap_or_else(|| belief.value.clone());
        (name.clone(), Belief { value, ..belief.clone() })
    };
    prior.iter().map(belief).collect()
}

/// The searcher around another.
pub(crate) struct Guided {
    seed: Seed,
    taken: Taken,
    prior: Around,
    /// The middle of the prior.
    middle: Params,
    /// From this trial on none has a known point.
    first: TrialId,
    begun: BTreeMap<TrialId, Params>,
    history: History,
    /// Trials with a result, finite or not.
    told: BTreeSet<TrialId>,
    inner: Box<dyn Searcher>,
}

impl Guided {
    /// `known` trials at most, the first ones, have points that are known beforehand ([`Seeded`](crate::seeded::Seeded)).
    ///
    /// # Errors
    /// If a belief is about something that is not in the space, or about a value that its parameter does not take.
    pub(crate) fn new(space: &Space, seed: Seed, prior: &Prior, known: usize, inner: Box<dyn Searcher>) -> Result<Self, PartialFault> {
        for (name, belief) in prior {
            let parameter = space.parameters().iter().find(|parameter| parameter.name == *name);
            let parameter = parameter.ok_or_else(|| PartialFault::NoParameter { name: name.clone() })?;
            if !parameter.domain.contains(&belief.value) {
                return Err(PartialFault::Outside { name: name.clone(), value: belief.value.clone() });
            }
        }
        let density = around(space, prior);
        let mut rng = seed.derive("prior", u64::MAX).rng();
        let middle = match space.pool() {
            Some(_) => space.from_unit(&units(space, |at| density.middle(at).unwrap_or(0.5))),
            None => complete(space, &believed_together(space, prior), |at| {
                let chance = unit(&mut rng);
                density.middle(at).unwrap_or(chance)
            })?,
        };
        Ok(Self {
            seed,
            taken: Taken::new(space.clone()),
            prior: density,
            middle,
            first: TrialId(known as u32),
            begun: BTreeMap::new(),
            history: History::new(Basis { least: LEAST, all_others: true }),
            told: BTreeSet::new(),
            inner,
        })
    }

    /// The best third of the rung that is looked at, best first.
    fn best(&self) -> Vec<&Params> {
        let best = self.history.best(self.history.population().div_ceil(3));
        best.iter().filter_map(|trial| self.begun.get(trial)).collect()
    }

    /// A point by prior or incumbent.
    fn guided(&self, rng: &mut impl Rng) -> Params {
        let space = self.taken.space();
        let best = self.best();
        let Some(incumbent) = best.first() else { return self.by_prior(rng) };
        let spread = Confidence::Medium.spread();
        let around = Around::new(space, |parameter| incumbent.get(&parameter.name).map(|value| (value, spread)));
        let score = |density: &Around| {
            let weighted = best.iter().rev().enumerate().map(|(weight, params)| (weight + 1) as f64 * density.at(space, params));
            weighted.sum::<f64>()
        };
        let (prior, near) = (score(&self.prior), score(&around));
        if unit(rng) * (prior + near) < prior {
            return self.by_prior(rng);
        }
        step(space, incumbent, rng, |at, rng| (unit(rng) < 0.5).then(|| around.draw(at, rng)))
    }

    fn by_prior(&self, rng: &mut impl Rng) -> Params {
        let space = self.taken.space();
        space.from_unit(&units(space, |at| self.prior.draw(at, rng)))
    }
}

fn units(space: &Space, one: impl FnMut(usize) -> f64) -> Vec<f64> {
    (0..space.parameters().len()).map(one).collect()
}

/// The believed values to the bit, of parameters that always exist: others have theirs where they exist.
fn believed_together(space: &Space, prior: &Prior) -> BTreeMap<String, Value> {
    let always = space.parameters().iter().filter(|parameter| parameter.when.is_empty());
    always.filter_map(|parameter| Some((parameter.name.clone(), prior.get(&parameter.name)?.value.clone()))).collect()
}

impl Searcher for Guided {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.taken.insert(params);
        self.begun.entry(trial).or_insert_with(|| params.clone());
        self.inner.begin(trial, params);
    }

    fn tell(&mut self, seen: &Observation) {
        self.history.tell(seen);
        self.told.insert(seen.trial);
        self.inner.tell(seen);
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        if self.begun.range(self.first..).next().is_none() && !self.taken.contains(&self.middle) {
            return Ok(self.middle.clone());
        }
        let mut rng = self.seed.derive("prior", trial.0.into()).rng();
        let share = EARLY as f64 / (2 * self.told.len().max(EARLY)) as f64;
        if unit(&mut rng) < share {
            for _ in 0..DRAWS {
                let params = self.guided(&mut rng);
                // A step from a known point that is off a grid may be off it, too.
                if !self.taken.contains(&params) && self.taken.space().contains(&params).is_ok() {
                    return Ok(params);
                }
            }
        }
        self.inner.suggest(trial)
    }
}

#[cfg(test)]
mod tests;
