//! Everything that a sweep can ask of the world. Performed after the event that caused it is durable.
use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::{Checkpoint, Held};
use crate::{Attempt, Loss, Params, Resource, Seed, SlotId, TrialId, WorkerId, layout};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ask the searcher for the values of this trial.
    Suggest {
        /// Which.
        trial: TrialId,
    },
    /// Give a lease to a slot.
    Lease(Lease),
    /// End an attempt now; nothing it still says matters.
    Stop {
        /// Who holds it.
        worker: WorkerId,
        /// Which.
        held: Held,
    },
    /// Let an attempt write a checkpoint and leave.
    CallBack {
        /// Who holds it.
        worker: WorkerId,
        /// Which.
        held: Held,
    },
    /// No promotion, retry or winner can need this state any more.
    Forget {
        /// Whose.
        trial: TrialId,
        /// Which.
        checkpoint: Checkpoint,
    },
    /// Let the searcher know. Not a decision: it follows from the event, and a restarted driver tells all of
    /// [`crate::Sweep::observations`] again.
    Tell(Observation),
    /// The sweep has ended: workers can go home, the report can be written.
    Finish {
        /// Why.
        why: EndReason,
    },
}

/// What a searcher learns about a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which trial.
    pub trial: TrialId,
    /// Its values.
    pub params: Params,
    /// What came of them.
    pub outcome: Outcome,
}

/// What came of a trial's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// A loss at a rung; perhaps not finite.
    Loss {
        /// The rung's resource.
        resource: Resource,
        /// The loss there.
        loss: Loss,
    },
    /// It failed for good: the values are infeasible.
    Infeasible,
}

/// The right to train one trial over a range of resource, on one slot, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Which trial.
    pub trial: TrialId,
    /// Which execution of it: the fence. Words about an older attempt are refused.
    pub attempt: Attempt,
    /// Where.
    pub slot: SlotId,
    /// Values of the active parameters.
    pub params: Params,
    /// Resource that the trial has behind it: that of `checkpoint`, or 0.
    pub from: Resource,
    /// Train until the trial has consumed this much.
    pub until: Resource,
    /// The state to go on from.
    pub checkpoint: Option<Checkpoint>,
    /// Seed of the trial's own randomness; the same for all its attempts.
    pub seed: Seed,
    /// The slot's trainer still has this very state in memory: continue, with no teardown and no checkpoint read.
    pub in_place: bool,
}

/// Why a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Every trial has ended and the scheduler promotes none.
    Complete,
    /// `gpu_hours` is spent.
    GpuHours,
    /// `wall` is over.
    Wall,
    /// `target` is reached.
    Target,
    /// Trials failed one after the other, and none has ever reported.
    NothingStarts,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "every trial has ended",
            Self::GpuHours => "the budget `gpu_hours` is spent",
            Self::Wall => "the time `wall` is over",
            Self::Target => "the target is reached",
            Self::NothingStarts => "every trial failed at its start",
        })
    }
}

/// The decision in a few words. The journal keeps it beside the event, so that `hpo verify` can compare.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suggest { trial } => write!(f, "suggest {trial}"),
            Self::Lease(lease) => {
                write!(f, "lease {}.{} {}..{} on {}", lease.trial, lease.attempt, lease.from, lease.until, lease.slot)?;
                if lease.in_place { f.write_str(" in place") } else { Ok(()) }
            }
            Self::Stop { worker, held } => write!(f, "stop {}.{} on {}", held.trial, held.attempt, held.on(*worker)),
            Self::CallBack { worker, held } => write!(f, "call back {}.{} on {}", held.trial, held.attempt, held.on(*worker)),
            Self::Forget { trial, checkpoint } => write!(f, "forget {trial}@{} {}", checkpoint.resource, layout::short(&checkpoint.id)),
            Self::Tell(seen) => write!(f, "tell {}", seen.trial),
            Self::Finish { why } => write!(f, "finish: {why}"),
        }
    }
}

impl Action {
    /// Whether the journal keeps it beside its event.
    #[must_use]
    pub fn is_decision(&self) -> bool {
        !matches!(self, Self::Tell(_))
    }
}
