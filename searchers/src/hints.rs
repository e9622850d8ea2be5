//! What is known before a sweep begins, for any searcher.
use std::collections::BTreeMap;

use hpo_core::{Seed, Space, Value};

use crate::prior::{Guided, nearest};
use crate::seeded::Seeded;
use crate::spec::{BuildFault, build};
use crate::warm::Warm;
use crate::{Grid, PastTrial, Prior, Searcher, SearcherSpec};

/// Each is empty if nothing is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Points that are tried first, in order; of each all values or some.
    pub seed_trials: Vec<BTreeMap<String, Value>>,
    /// What is believed about good values.
    pub prior: Prior,
    /// Trials of earlier sweeps.
    pub past: Vec<PastTrial>,
}

impl Hints {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// The searcher with what is known around it: the known points come first; then the prior has its share; the past is what the
/// searcher itself begins with.
pub(crate) fn hinted(method: &SearcherSpec, hints: &Hints, space: &Space, seed: Seed) -> Result<Box<dyn Searcher>, BuildFault> {
    let mut searcher = match hints.past.is_empty() {
        true => build(method, space, seed)?,
        false => Box::new(Warm::new(space, seed, method.clone(), &hints.past)?),
    };
    if !hints.prior.is_empty() {
        let known = hints.seed_trials.len();
        searcher = match method {
            // Nothing off the grid was asked for: the prior says which of its points come early.
            SearcherSpec::Grid(options) => {
                let grid = Grid::new(space, options)?;
                Box::new(Guided::new(grid.space(), seed, &nearest(&hints.prior, space, grid.space()), known, searcher)?)
            }
            _ => Box::new(Guided::new(space, seed, &hints.prior, known, searcher)?),
        };
    }
    if !hints.seed_trials.is_empty() {
        searcher = Box::new(Seeded::new(space, seed, &hints.seed_trials, &hints.prior, searcher)?);
    }
    Ok(searcher)
}
