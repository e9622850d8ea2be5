//! Which searcher, with its options: what a sweep file says about it, and what the journal keeps.
use hpo_core::{Seed, Space};

use crate::{
    Bohb, BohbOptions, COUNTABLE, Gp, GpOptions, Grid, GridFault, GridOptions, Random, Relation, Searcher, Sobol, Tpe, TpeOptions,
};

/// The searchers there are, under the names that sweep files give them.
#[derive(Clone, Debug, PartialEq)]
pub enum SearcherSpec {
    /// Independent uniform draws.
    Random,
    /// Sobol's sequence.
    Sobol,
    /// Every combination of some values.
    Grid(GridOptions),
    /// Tree-structured Parzen estimators.
    Tpe(TpeOptions),
    /// The same over the highest rung with enough trials.
    Bohb(BohbOptions),
    /// A Gaussian process over one rung.
    Gp(GpOptions),
    /// A Gaussian process over all rungs.
    GpMf(GpOptions, Relation),
}

impl SearcherSpec {
    /// As sweep files and journals name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Sobol => "sobol",
            Self::Grid(_) => "grid",
            Self::Tpe(_) => "tpe",
            Self::Bohb(_) => "bohb",
            Self::Gp(_) => "gp",
            Self::GpMf(..) => "gp-mf",
        }
    }

    /// How many points it has for a space at most; `None` if there is no end to them.
    #[must_use]
    pub fn points(&self, space: &Space) -> Option<usize> {
        match self {
            Self::Grid(options) => Grid::new(space, options).ok().map(|grid| grid.size()),
            _ => space.size().and_then(|size| usize::try_from(size).ok()).filter(|&size| size <= COUNTABLE),
        }
    }
}

/// Why a searcher cannot be made for a space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BuildFault {
    /// See there.
    #[error(transparent)]
    Grid(#[from] GridFault),
}

/// A searcher with an empty history.
///
/// # Errors
/// If its options do not fit the space.
pub fn build(spec: &SearcherSpec, space: &Space, seed: Seed) -> Result<Box<dyn Searcher>, BuildFault> {
    Ok(match spec {
        SearcherSpec::Random => Box::new(Random::new(space.clone(), seed)),
        SearcherSpec::Sobol => Box::new(Sobol::new(space.clone(), seed)),
        SearcherSpec::Grid(options) => Box::new(Grid::new(space, options)?),
        SearcherSpec::Tpe(options) => Box::new(Tpe::new(space.clone(), seed, *options)),
        SearcherSpec::Bohb(options) => Box::new(Bohb::new(space.clone(), seed, *options)),
        SearcherSpec::Gp(options) => Box::new(Gp::new(space.clone(), seed, *options)),
        SearcherSpec::GpMf(options, relation) => Box::new(Gp::of_rungs(space.clone(), seed, *options, *relation)),
    })
}
