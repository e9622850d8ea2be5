//! BOHB's proposals: Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale"
//! (arXiv:1807.01774), for any scheduler with rungs.
//!
//! The densities are those of [`Tpe`](crate::Tpe), over the trials on one rung: the highest that has `startup` of them with a
//! finite result (the paper's N_min + 2), so that what is modelled is as near to a full training as there is data for. Trials
//! that only stand on other rungs are left out; pending and failed ones are among the others. One proposal in
//! 1 / `random_share` is drawn by chance, the paper's rho, which bounds what a model can lose against random search.
use hpo_core::{Params, Seed, Space, TrialId};

use crate::chance::unit;
use crate::tpe::{Basis, Model};
use crate::{Observation, Searcher, SuggestFault, TpeOptions};

/// What a sweep file says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BohbOptions {
    /// As of TPE.
    pub model: TpeOptions,
    /// The share of the trials that is drawn by chance.
    pub random_share: f64,
}

impl Default for BohbOptions {
    fn default() -> Self {
        Self { model: TpeOptions::default(), random_share: 0.333 }
    }
}

/// The searcher. Costs as [`Tpe`](crate::Tpe).
#[derive(Clone, Debug)]
pub struct Bohb {
    seed: Seed,
    random_share: f64,
    model: Model,
}

impl Bohb {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(space: Space, seed: Seed, options: BohbOptions) -> Self {
        let BohbOptions { model, random_share } = options;
        let basis = Basis { least: model.startup as usize, all_others: false };
        Self { seed, random_share, model: Model::new(space, seed, model, basis) }
    }
}

impl Searcher for Bohb {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.model.begin(trial, params);
    }

    fn tell(&mut self, seen: &Observation) {
        self.model.tell(seen);
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        if !self.model.is_ready() {
            return self.model.evenly(trial);
        }
        let mut rng = self.seed.derive("suggest", trial.0.into()).rng();
        if unit(&mut rng) < self.random_share { self.model.by_chance(&mut rng) } else { self.model.propose(&mut rng) }
    }
}
