//! What the user asked for, checked and frozen: the part of a sweep file that decides.
use serde::{Deserialize, Serialize};

use crate::schedule::SchedulerSpec;
use crate::{Goal, Millis, Seed, Space};

/// The frozen specification of one sweep. Everything that changes a decision is in it; how workers are reached is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepSpec {
    /// Name of the run folder.
    pub name: String,
    /// The seed that all others derive from.
    pub seed: Seed,
    /// The metric that every report must carry.
    pub metric: String,
    /// Its direction.
    pub goal: Goal,
    /// The search space.
    pub space: Space,
    /// Who goes on.
    pub scheduler: SchedulerSpec,
    /// When to end.
    pub budget: Budget,
    /// How often an attempt may fail or be lost.
    pub patience: Patience,
}

/// What ends a sweep; the first that is reached does. Counted over the whole sweep, never per worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Most trials to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_trials: Option<u32>,
    /// Most slot time to reserve, in milliseconds over all slots (weighted by their share of a GPU).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Millis>,
    /// Longest time since the sweep was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Millis>,
    /// A value of the metric (in the user's direction) that is good enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// When so many trials (at least 1) have failed for good and none has ever reported, nothing new starts; if none of
    /// those that run then reports either, the sweep ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_failures: Option<u32>,
}

/// How much misfortune a trial is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Retries after a failure that may be chance (exit code, crash, hang). Not-finite losses and out of memory are
    /// never retried: they would happen again.
    pub retries: u32,
    /// Times in a row that a trial may be lost (no word from its worker, or the worker died) without new progress; and that it may
    /// be called back with nothing saved after it had its slot for about as long as any worker stays.
    pub lost_max: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { retries: 1, lost_max: 5 }
    }
}
