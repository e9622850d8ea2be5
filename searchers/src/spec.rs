//! Which searcher, with its options: what a sweep file says about it, and what the journal keeps.
use hpo_core::{Seed, Space};

use crate::hints::{Hints, hinted};
use crate::{
    Bohb, BohbOptions, COUNTABLE, Ensemble, EnsembleOptions, Evolution, EvolutionOptions, Gp, GpOptions, Grid, GridFault, GridOptions,
    PartialFault, Random, Relation, Searcher, Sobol, Tpe, TpeOptions,
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
    /// Regularised evolution.
    Evolution(EvolutionOptions),
    /// A portfolio of others.
    Ensemble(EnsembleOptions),
    /// Another, with what is known before the sweep begins.
    Hinted {
        /// Who proposes.
        method: Box<SearcherSpec>,
        /// What is known.
        hints: Hints,
    },
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
            Self::Evolution(_) => "evolution",
            Self::Ensemble(_) => "ensemble",
            Self::Hinted { method, .. } => method.name(),
        }
    }

    /// Who proposes, without what is known before.
    #[must_use]
    pub fn method(&self) -> &Self {
        match self {
            Self::Hinted { method, .. } => method.method(),
            method => method,
        }
    }

    /// The same searcher with what is known before; without that it is itself.
    #[must_use]
    pub fn with_hints(self, hints: Hints) -> Self {
        if hints.is_empty() { self } else { Self::Hinted { method: Box::new(self), hints } }
    }

    /// How many points it has for a space at most; `None` if there is no end to them.
    #[must_use]
    pub fn points(&self, space: &Space) -> Option<usize> {
        match self {
            Self::Grid(options) => Grid::new(space, options).ok().map(|grid| grid.size()),
            Self::Hinted { method, hints } => match method.method() {
                Self::Grid(options) => Grid::new(space, options).ok().map(|grid| grid.size_with(space, &hints.seed_trials)),
                // Points that are known are among those of the space.
                method => method.points(space),
            },
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
    /// A known point or a belief is none of the space.
    #[error(transparent)]
    Partial(#[from] PartialFault),
    /// An ensemble of nobody.
    #[error("an ensemble needs members")]
    NoMembers,
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
        SearcherSpec::Evolution(options) => Box::new(Evolution::new(space.clone(), seed, *options)),
        SearcherSpec::Ensemble(options) => Box::new(Ensemble::new(space, seed, options)?),
        SearcherSpec::Hinted { method, hints } => hinted(method, hints, space, seed)?,
    })
}
