//! Which scheduler, with its numbers.
use serde::{Deserialize, Serialize};

use super::{AshaPromote, Fifo, Ladder};

/// A checked choice of scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SchedulerSpec {
    /// Every trial to the end.
    Fifo {
        /// One rung, at max_resource.
        ladder: Ladder,
    },
    /// The paper's ASHA: promotion, pausing the others.
    AshaPromote {
        /// Where trials are compared.
        ladder: Ladder,
    },
}

impl SchedulerSpec {
    /// The name in sweep files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fifo { .. } => "fifo",
            Self::AshaPromote { .. } => "asha-promote",
        }
    }

    /// The ladder it climbs.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        match self {
            Self::Fifo { ladder } | Self::AshaPromote { ladder } => ladder,
        }
    }

    /// The most of `trials` trials that can come to each rung, whatever they report in whatever order.
    #[must_use]
    pub fn worst_arrivals(&self, trials: u32) -> Vec<u64> {
        match self {
            Self::Fifo { ladder } => Fifo::worst_arrivals(ladder, trials),
            Self::AshaPromote { ladder } => AshaPromote::worst_arrivals(ladder, trials),
        }
    }

    /// The most resource that `trials` trials can cost, each unit of each counted once: no order of results costs more.
    #[must_use]
    pub fn worst_resource(&self, trials: u32) -> u64 {
        let below = std::iter::once(0).chain(self.ladder().rungs().iter().map(|rung| rung.0));
        let increments = self.ladder().rungs().iter().zip(below).map(|(rung, below)| u64::from(rung.0 - below));
        increments.zip(self.worst_arrivals(trials)).map(|(increment, trials)| increment * trials).sum()
    }
}
