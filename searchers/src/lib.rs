//! Where to look next: pure functions of (space, history, seed). One searcher, one paper, one file; to add one, write
//! it beside [`random`] and add a line to [`Kind`] and [`build`].
mod random;

pub use hpo_core::sweep::{Observation, Outcome};
use hpo_core::{Params, Seed, Space, TrialId};
pub use random::Random;

/// Proposes configurations.
///
/// A trial is pending from `begin` until it is told of. Who takes up a history begins all of its trials in order, then
/// tells all that came of them.
pub trait Searcher: Send {
    /// Learns that a trial has these values: most often, but not always, those that were suggested for it.
    fn begin(&mut self, trial: TrialId, params: &Params);

    /// Learns what came of a trial. Preempted and lost attempts are never told.
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

/// The searchers there are, as sweep files name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Independent uniform draws.
    Random,
}

impl Kind {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 1] = [("random", Self::Random)];

    /// The searcher of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, kind)| kind)
    }
}

/// A searcher with an empty history.
#[must_use]
pub fn build(kind: Kind, space: &Space, seed: Seed) -> Box<dyn Searcher> {
    match kind {
        Kind::Random => Box::new(Random::new(space.clone(), seed)),
    }
}
