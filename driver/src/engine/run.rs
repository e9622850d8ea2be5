//! What is set for a run of the engine, what can be seen of it, and how it ends.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hpo_core::sweep::EndReason;
use hpo_core::{Millis, Rejection, Stamp, SweepView, WorkerId};

use crate::config::Checked;

/// Time limits of the engine, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A worker that is silent for this long is lost.
    pub lease_ms: Millis,
    /// How often a worker says something at least.
    pub heartbeat_ms: Millis,
    /// How long running attempts may take to write their checkpoints when the sweep is asked to stop for now.
    pub drain_ms: Millis,
    /// How long the engine waits for workers to take their leave at the end.
    pub closing_ms: Millis,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease_ms: 30_000, heartbeat_ms: 2_000, drain_ms: 30_000, closing_ms: 10_000 }
    }
}

impl From<&Checked> for Options {
    fn from(checked: &Checked) -> Self {
        let default = Self::default();
        Self {
            lease_ms: checked.workers.lease,
            heartbeat_ms: checked.workers.heartbeat,
            // Trainers may take their grace; the rest is for workers to hash the states and bring them to disk.
            drain_ms: default.drain_ms.max(checked.job.grace_ms.saturating_add(15_000)),
            ..default
        }
    }
}

/// How the engine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The sweep is over.
    Finished(EndReason),
    /// It was asked to stop for now; `hpo resume` goes on.
    Suspended,
}

/// The end of a driver.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How.
    pub ended: Ended,
    /// The sweep at the end.
    pub view: SweepView,
    /// What the engine counted.
    pub counters: Counters,
}

/// What one driver counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that were applied and written.
    pub events: u64,
    /// Syncs of the journal; fewer than events, because many share one.
    pub syncs: u64,
    /// Words that were turned away, by reason.
    pub refused: BTreeMap<Rejection, u64>,
    /// Attempts that were ended because what they said made no sense.
    pub nonsense: u64,
    /// Workers that were disconnected because they did not read.
    pub slow: u64,
    /// Checkpoint files that could not be deleted.
    pub kept_by_fault: u64,
}

/// The sweep as it stands, for displays. Published at most ten times a second.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The sweep.
    pub view: SweepView,
    /// What the engine counted.
    pub counters: Counters,
    /// Workers that are connected.
    pub connected: usize,
    /// How many slots the sweep could use now ([`hpo_core::Sweep::appetite`]).
    pub appetite: u32,
    /// The tasks of a batch system, as that names them, that workers who came to this driver run in.
    pub tasks: Arc<BTreeMap<WorkerId, String>>,
}

/// Where the engine stands.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// At work.
    Open,
    /// Asked to stop for now.
    Draining {
        /// Nobody is waited for any longer.
        until: Stamp,
    },
    /// Told everyone to leave.
    Closing {
        /// How it ends.
        ended: Ended,
        /// Workers that have not left.
        awaited: BTreeSet<WorkerId>,
        /// Nobody is waited for any longer.
        until: Stamp,
    },
}

impl Phase {
    /// A moment at which something happens by itself.
    pub(super) fn until(&self) -> Option<Stamp> {
        match self {
            Self::Open => None,
            Self::Draining { until } | Self::Closing { until, .. } => Some(*until),
        }
    }

    /// The worker is gone for good, or has heard that it should go and hung up.
    pub(super) fn gone(&mut self, worker: WorkerId) {
        if let Self::Closing { awaited, .. } = self {
            awaited.remove(&worker);
        }
    }

    /// How it ended, once nobody is waited for.
    pub(super) fn is_over(&self, now: Stamp) -> Option<Ended> {
        match self {
            Self::Closing { ended, awaited, until } if awaited.is_empty() || now >= *until => Some(*ended),
            _ => None,
        }
    }
}
