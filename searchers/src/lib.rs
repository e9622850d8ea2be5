//! Where to look next: pure functions of (space, history, seed). One searcher, one paper, one file; to add one, write
//! it beside [`random`], and add a kind to [`SearcherSpec`], to [`build`] and to the contract that all of them keep.
mod around;
mod bohb;
mod candidates;
mod chance;
#[cfg(test)]
mod contract;
mod ensemble;
mod evolution;
mod gp;
mod grid;
mod hints;
mod partial;
mod prior;
mod random;
mod seeded;
mod sobol;
mod spec;
mod taken;
mod tpe;
mod warm;

pub use bohb::{Bohb, BohbOptions};
pub use ensemble::{Ensemble, EnsembleOptions};
pub use evolution::{Evolution, EvolutionOptions};
pub use gp::{Acquisition, Gp, GpOptions, Relation, Warp};
pub use grid::{Grid, GridFault, GridOptions};
pub use hints::Hints;
pub use hpo_core::sweep::{Observation, Outcome};
use hpo_core::{Params, TrialId};
pub use partial::{PartialFault, complete};
pub use prior::{Belief, Confidence, Prior};
pub use random::Random;
pub use sobol::Sobol;
pub use spec::{BuildFault, SearcherSpec, build};
pub use taken::COUNTABLE;
pub use tpe::{Tpe, TpeOptions};
pub use warm::{Best, MOST as MOST_PAST, PastTrial, scores, thinned};

/// Proposes configurations.
///
/// A trial is pending from `begin` until it is told of. Who takes up a history begins all of its trials in order, then tells all that came of
/// them in the order in which it came, and proposes what the searcher before would have proposed.
pub trait Searcher: Send {
    /// Learns that a trial has these values: most often, but not always, those that were suggested for it.
    fn begin(&mut self, trial: TrialId, params: &Params);

    /// Learns what came of a trial, once for each rung that it comes to. Preempted and lost attempts are never told.
    fn tell(&mut self, seen: &Observation);

    /// The values of trial number `trial`, given those that are out. Changes nothing, so that asking twice is harmless;
    /// randomness comes from a stream of the trial's own, so that the answer depends on seed, history and trial alone.
    ///
    /// # Errors
    /// If there is nothing left to propose.
    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault>;
}

/// Why there is no suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuggestFault {
    /// Every point of a finite space has been proposed.
    #[error("every configuration of the space has been proposed")]
    Exhausted,
}
