//! Which scheduler, with its numbers.
use serde::{Deserialize, Serialize};

use super::Ladder;

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
    /// The ladder it climbs.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        match self {
            Self::Fifo { ladder } | Self::AshaPromote { ladder } => ladder,
        }
    }
}
