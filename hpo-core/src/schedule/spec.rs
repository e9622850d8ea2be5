//! Which scheduler, with its numbers.
use serde::{Deserialize, Serialize};

use super::{AshaPromote, AshaStop, BracketPlan, Brackets, Fifo, Ladder, Median, Pasha, Pass, halving, hyperband};

/// A checked choice of scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SchedulerSpec {
    /// Every trial to the end.
    Fifo {
        /// One rung, at max_resource.
        ladder: Ladder,
    },
    /// Successive halving, pausing.
    Halving {
        /// Where trials are compared.
        ladder: Ladder,
        /// Trials a bracket: see [`halving::pass`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bracket: Option<u32>,
    },
    /// The paper's Hyperband: synchronous, pausing.
    Hyperband {
        /// Where trials are compared.
        ladder: Ladder,
    },
    /// The paper's ASHA: promotion, pausing the others.
    AshaPromote {
        /// Where trials are compared.
        ladder: Ladder,
    },
    /// Ray's ASHA: stopping.
    AshaStop {
        /// Where trials are compared.
        ladder: Ladder,
    },
    /// Several of the paper's ASHAs, which enter the ladder at different rungs.
    HyperbandAsync(Brackets),
    /// ASHA whose ladder grows while its ranking is unstable.
    Pasha {
        /// Where trials are compared.
        ladder: Ladder,
        /// Losses no further apart are equal; estimated if None.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epsilon: Option<f64>,
    },
    /// The median stopping rule.
    Median {
        /// From where trials are judged, and where they end. Its other rungs are where losses are told to the searcher.
        ladder: Ladder,
        /// Nobody is judged before so many others have come as far.
        min_trials: u32,
    },
    /// Hyperband that predicts the end of a round.
    Swift {
        /// Where trials are compared.
        ladder: Ladder,
        /// The share of a round after which the rest of it is predicted; above 0, below 1.
        decide_at: f64,
        /// How many times its usual error a prediction must be beyond the cutoff; at least 0.
        margin: f64,
    },
}

impl SchedulerSpec {
    /// The name in sweep files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fifo { .. } => "fifo",
            Self::Halving { .. } => "halving",
            Self::Hyperband { .. } => "hyperband",
            Self::AshaPromote { .. } => "asha-promote",
            Self::AshaStop { .. } => "asha-stop",
            Self::HyperbandAsync(_) => "hyperband-async",
            Self::Pasha { .. } => "pasha",
            Self::Median { .. } => "median",
            Self::Swift { .. } => "swift",
        }
    }

    /// The ladder it climbs.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        match self {
            Self::Fifo { ladder } | Self::AshaPromote { ladder } | Self::AshaStop { ladder } => ladder,
            Self::Halving { ladder, .. } | Self::Hyperband { ladder } | Self::Swift { ladder, .. } => ladder,
            Self::Pasha { ladder, .. } | Self::Median { ladder, .. } => ladder,
            Self::HyperbandAsync(brackets) => brackets.ladder(),
        }
    }

    /// The most of `trials` trials that can come to each rung, whatever they report in whatever order.
    #[must_use]
    pub fn worst_arrivals(&self, trials: u32) -> Vec<u64> {
        match self {
            Self::Fifo { ladder } => Fifo::worst_arrivals(ladder, trials),
            Self::Halving { .. } | Self::Hyperband { .. } | Self::Swift { .. } => {
                self.pass(Some(trials)).map(|pass| pass.worst_arrivals(trials)).unwrap_or_default()
            }
            Self::AshaPromote { ladder } => AshaPromote::worst_arrivals(ladder, trials),
            Self::AshaStop { ladder } => AshaStop::worst_arrivals(ladder, trials),
            Self::HyperbandAsync(brackets) => brackets.worst_arrivals(trials),
            Self::Pasha { ladder, .. } => Pasha::worst_arrivals(ladder, trials),
            Self::Median { ladder, .. } => Median::worst_arrivals(ladder, trials),
        }
    }

    /// The brackets of a rule in whose rungs all wait for all, in a sweep of at most `max_trials`; None for other rules.
    #[must_use]
    pub fn pass(&self, max_trials: Option<u32>) -> Option<Pass> {
        match self {
            Self::Halving { ladder, bracket } => Some(halving::pass(ladder, *bracket, max_trials)),
            Self::Hyperband { ladder } | Self::Swift { ladder, .. } => Some(hyperband::pass(ladder)),
            _ => None,
        }
    }

    /// How many trials fill each bracket once: where a sweep ends for which nobody gave an end. None for a rule without
    /// such a measure.
    #[must_use]
    pub fn one_pass(&self) -> Option<u32> {
        self.pass(None).map(|pass| u32::try_from(pass.trials()).unwrap_or(u32::MAX))
    }

    /// What becomes of the brackets that `trials` trials fill, one after another, if none fails; empty for a rule that does
    /// not wait until a rung is complete.
    #[must_use]
    pub fn brackets(&self, trials: u32) -> Vec<BracketPlan> {
        self.pass(Some(trials)).map(|pass| pass.plans(trials).collect()).unwrap_or_default()
    }

    /// The most resource that `trials` trials can cost, each unit of each counted once: no order of results costs more.
    #[must_use]
    pub fn worst_resource(&self, trials: u32) -> u64 {
        let below = std::iter::once(0).chain(self.ladder().rungs().iter().map(|rung| rung.0));
        let increments = self.ladder().rungs().iter().zip(below).map(|(rung, below)| u64::from(rung.0 - below));
        increments.zip(self.worst_arrivals(trials)).map(|(increment, trials)| increment * trials).sum()
    }
}
