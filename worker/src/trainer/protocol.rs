//! The lines that an agent and a trainer child say to each other: one JSON object a line. `PROTOCOL.md` beside `src`
//! explains them to people who write a trainer of their own.
use std::collections::BTreeMap;
use std::path::PathBuf;

use hpo_core::sweep::event::FailureKind;
use hpo_core::{Metrics, Params};
use serde::{Deserialize, Serialize};

/// A line of the trainer's standard output that begins with this is a protocol line; any other is log output.
pub const PREFIX: &str = "@hpo ";

/// What the agent writes to the trainer's standard input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum ToTrainer {
    /// Train a range. The first line that a fresh trainer reads.
    Start(Start),
    /// Write a checkpoint and answer [`FromTrainer::Left`].
    CallBack,
    /// Give the trial up and answer [`FromTrainer::Stopped`].
    Stop,
}

/// A lease as the trainer sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Trial number.
    pub trial: u32,
    /// Execution number.
    pub attempt: u32,
    /// Values of the active parameters.
    pub params: Params,
    /// Seed of the trial's own randomness.
    pub seed: u64,
    /// Resource units (epochs) behind it.
    pub from: u32,
    /// Train until this many are.
    pub until: u32,
    /// State to restore, verified; none at `from` = 0, or when `in_place`.
    pub checkpoint: Option<PathBuf>,
    /// Where to write the state when told to: a file name that does not exist yet, in an existing folder.
    pub checkpoint_out: PathBuf,
    /// The trainer still holds this trial's state at `from` in memory: continue with it.
    pub in_place: bool,
}

/// What the trainer writes to its standard output, each line after [`PREFIX`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromTrainer {
    /// It can take a [`Start`].
    Ready,
    /// The first training step begins.
    Started {
        /// Milliseconds from `Start` to now, without `restore_ms`.
        #[serde(default)]
        startup_ms: u64,
        /// Milliseconds spent on reading the checkpoint.
        #[serde(default)]
        restore_ms: u64,
    },
    /// Figures after so many resource units (of the trial, not of this attempt).
    Report {
        /// The units.
        resource: u32,
        /// The figures; the sweep's metric must be among them. A value that is not a number may be `"nan"`.
        metrics: Metrics,
    },
    /// `until` is reached, and the state is in the file.
    Reached {
        /// Equals `until`.
        resource: u32,
        /// The file that was written (`checkpoint_out`), or none if this program keeps no state.
        #[serde(default)]
        checkpoint: Option<PathBuf>,
        /// Milliseconds that writing took.
        #[serde(default)]
        wrote_ms: u64,
    },
    /// The answer to `CallBack`.
    Left {
        /// Units at which the state was taken.
        resource: u32,
        /// The file, or none if nothing new was written.
        #[serde(default)]
        checkpoint: Option<PathBuf>,
        /// Milliseconds that writing took.
        #[serde(default)]
        wrote_ms: u64,
    },
    /// The answer to `Stop`.
    Stopped,
    /// The state cannot be written or read (the disk is full or broken), or this machine cannot start the program. Not the
    /// trial's fault; the worker leaves and says why.
    Unsaved {
        /// For people.
        message: String,
    },
    /// The attempt cannot go on.
    Failed {
        /// Why.
        kind: FailureKind,
        /// For people.
        message: String,
    },
}

/// Environment that every trainer gets beside its standard input, for programs that do not read it.
#[must_use]
pub fn environment(start: &Start) -> BTreeMap<&'static str, String> {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    BTreeMap::from([
        ("HPO_TRIAL", start.trial.to_string()),
        ("HPO_ATTEMPT", start.attempt.to_string()),
        ("HPO_SEED", start.seed.to_string()),
        ("HPO_FROM", start.from.to_string()),
        ("HPO_UNTIL", start.until.to_string()),
        ("HPO_PARAMS", serde_json::to_string(&start.params).unwrap_or_default()),
        ("HPO_CHECKPOINT_IN", start.checkpoint.as_ref().map(path).unwrap_or_default()),
        ("HPO_CHECKPOINT_OUT", path(&start.checkpoint_out)),
    ])
}
