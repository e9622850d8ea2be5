//! What one simulation came to.
use hpo_core::sweep::view::Best;
use hpo_core::{Millis, Params, Stamp};
use serde::Serialize;
use serde_json::json;

use super::Split;
use super::split::Seconds;

/// One sweep, played to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Trials that were begun.
    pub trials: u32,
    /// Units that were trained, each counted once.
    pub resource: u64,
    /// The best report of all and its trial, even if that failed later: the last of `improvements`.
    pub best: Option<Best>,
    /// The test metric at that report, where its curve has one.
    pub test: Option<f64>,
    /// When it ended.
    pub ended: Stamp,
    /// Slot time under a lease.
    pub busy: Millis,
    /// Slot time without one.
    pub idle: Millis,
    /// The same time by what it was spent on.
    pub split: Split,
    /// Trials that failed for good.
    pub failed: u32,
    /// What the sweep decided: what `hpo verify` would derive again from its journal.
    pub decisions: u64,
    /// Each report that was better than all before it.
    pub improvements: Vec<Improvement>,
}

/// A report that was better than all before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Improvement {
    /// When.
    pub at: Stamp,
    /// Units trained until then, this one among them.
    pub resource: u64,
    /// The metric, in the user's direction.
    pub metric: f64,
    /// The test metric of that trial, then.
    pub test: Option<f64>,
}

impl Outcome {
    /// As `hpo simulate --json` prints it; of several files, with the file's name.
    #[must_use]
    pub fn to_json(&self, file: Option<&str>) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            file: Option<&'a str>,
            seed: u64,
            trials: u32,
            resource: u64,
            best: Option<Found<'a>>,
            virtual_seconds: f64,
            busy_seconds: f64,
            idle_seconds: f64,
            slot_seconds: Seconds,
            failed: u32,
            decisions: u64,
        }
        #[derive(Serialize)]
        struct Found<'a> {
            trial: u32,
            metric: f64,
            test: Option<f64>,
            params: &'a Params,
        }
        let best = self.best.as_ref().map(|best| Found { trial: best.trial.0, metric: best.metric, test: self.test, params: &best.params });
        let line = Line {
            file,
            seed: self.seed,
            trials: self.trials,
            resource: self.resource,
            best,
            virtual_seconds: seconds(self.ended.0),
            busy_seconds: seconds(self.busy),
            idle_seconds: seconds(self.idle),
            slot_seconds: self.split.into(),
            failed: self.failed,
            decisions: self.decisions,
        };
        // Numbers, texts and maps with text keys: there is nothing that JSON cannot hold.
        serde_json::to_string(&line).unwrap_or_else(|_| json!({"seed": self.seed}).to_string())
    }

    /// The share of slot time under a lease; 1 if there was none at all.
    #[must_use]
    pub fn busy_share(&self) -> f64 {
        let all = self.busy + self.idle;
        if all == 0 { 1.0 } else { self.busy as f64 / all as f64 }
    }
}

/// Milliseconds in seconds.
pub(super) fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1e3
}
