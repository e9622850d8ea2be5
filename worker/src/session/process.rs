//! The trainer process of a slot.
use hpo_core::{Millis, Resource, TrialId};

/// A process that was killed and is not dead after this time hangs in the kernel, and may for ever.
pub(super) const DEATH_MS: Millis = 60_000;

#[derive(Debug, PartialEq)]
pub(super) enum Process {
    None,
    Alive {
        /// Whether it reads its standard input: it said [`crate::trainer::protocol::FromTrainer::Ready`].
        ready: bool,
        /// The trial whose state it still has in memory, and where that stands.
        holds: Option<(TrialId, Resource)>,
    },
    /// Only its exit is awaited; it is killed at `until`.
    Ending {
        until: Millis,
    },
    /// It was killed; only its death is awaited.
    Killed {
        since: Millis,
    },
}

impl Process {
    /// Whether no lease can be given to it and none to another before it is dead.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self, Self::Ending { .. } | Self::Killed { .. })
    }

    /// Whether it was killed and does not die.
    pub(super) fn hangs(&self, now: Millis) -> bool {
        matches!(self, Self::Killed { since } if now.saturating_sub(*since) >= DEATH_MS)
    }
}
