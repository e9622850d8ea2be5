//! Tree-structured Parzen estimators: Bergstra, Bardenet, Bengio and Kegl, "Algorithms for Hyper-Parameter Optimization"
//! (NIPS 2011). All dimensions are modelled at once, as Falkner, Klein and Hutter do (arXiv:1807.01774); Watanabe
//! (arXiv:2304.11127) tells what each part is good for.
//!
//! Of n trials with a result the best gamma n, but no more than 25, are good. With l(x) the density of the good points and
//! g(x) that of all others, the expected improvement over the worst of the good ones is (eq. 5 of the paper)
//!
//! ```text
//! EI(x) ~ (gamma + (1 - gamma) g(x) / l(x))^-1,
//! ```
//!
//! so of `candidates` points drawn from l the one with the largest l(x) / g(x) is proposed; of a pool, or a space of up to 1,024 points,
//! the one of all. Of a pool with more rows 1,024 by chance are compared, and then the rows around the best of them.
//!
//! - **Densities** are sums of kernels, one a point, and of the uniform density as one more, the prior ([`mixture`]).
//! - **Kernels** are products over the parameters ([`axis`]): normal ones cut off at the edges, in the units in which a draw by
//!   chance is uniform; the mass of a value's share where there are few values in order; Aitchison and Aitken's for words.
//! - **Widths** follow Scott's rule, s n^(-1/(d+4)) with d dimensions, n points and their standard deviation s, for g that of the
//!   uniform density; and the paper's clipping to at least 1/min(100, n + 1), which keeps n equal points from being a spike.
//! - **Conditions**: a kernel that never saw a parameter is uniform there, and a parameter that a point has not says nothing
//!   about it.
//! - **Pending** trials are among the others, so that parallel workers keep off each other; and so are **failed** ones, by which
//!   the expected improvement is also multiplied with the probability that the trial does not fail ([`failures`]).
//! - **Rungs**: the good ones are the best on the highest rung that has `startup` results, as in [`Bohb`](crate::Bohb), and all
//!   other trials are the others, wherever they stand: who was not promoted was not good.
//! - Until some rung has `startup` finite results, the points are those of [`Sobol`](crate::Sobol).
mod axis;
mod failures;
mod history;
mod mixture;
mod model;

use hpo_core::{Params, Seed, Space, TrialId};

use crate::{Observation, Searcher, SuggestFault};
pub(crate) use axis::{mass, truncated};
pub(crate) use history::{Basis, History};
pub(crate) use model::Model;

/// What a sweep file says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TpeOptions {
    /// The share of the trials that is good, above 0 and below 1.
    pub gamma: f64,
    /// Points that are drawn from the density of the good ones, of which the best is proposed.
    pub candidates: u32,
    /// Trials with a finite result on one rung before there is a model.
    pub startup: u32,
}

impl Default for TpeOptions {
    fn default() -> Self {
        Self { gamma: 0.15, candidates: 24, startup: 10 }
    }
}

/// The searcher. A suggestion costs a walk over all kernels for each candidate, and a result a few steps.
#[derive(Clone, Debug)]
pub struct Tpe {
    seed: Seed,
    model: Model,
}

impl Tpe {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(space: Space, seed: Seed, options: TpeOptions) -> Self {
        let basis = Basis { least: options.startup as usize, all_others: true };
        Self { seed, model: Model::new(space, seed, options, basis) }
    }
}

impl Searcher for Tpe {
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
        self.model.propose(&mut self.seed.derive("suggest", trial.0.into()).rng())
    }
}
