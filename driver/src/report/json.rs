//! The line that `hpo report --json` prints. Its first ten fields are a promise to scripts; those after them may grow.
use std::path::PathBuf;

use hpo_core::ledger::Uses;
use hpo_core::sweep::EndReason;
use hpo_core::sweep::view::{AttemptCounts, SweepState, TrialCounts};
use hpo_core::{Params, Resource, TrialId};
use serde::Serialize;

use super::{Report, Standing, Suggestions};
use crate::config::warm::Source;

/// What `hpo report RUN --json` prints. What is not known is `null`.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Line {
    pub sweep: String,
    pub state: Standing,
    pub trials: TrialCounts,
    pub best: Option<BestLine>,
    /// `gpu` or `slot`: what `hours` counts.
    pub unit: &'static str,
    pub hours: Hours,
    pub gain_per_hour: Option<f64>,
    /// Units of resource trained, each counted once.
    pub resource: u64,
    pub attempts: AttemptCounts,
    pub model: Option<ModelLine>,

    pub id: String,
    pub metric: String,
    /// Why it is over, if it is.
    pub ended_because: Option<EndReason>,
    /// From the sweep's creation to the moment that this shows.
    pub elapsed_seconds: f64,
    pub first_step_seconds: Option<f64>,
    /// What the gain is measured from.
    pub baseline: Option<BaselineLine>,
    pub target: Option<f64>,
    pub hours_to_target: Option<f64>,
    pub gain_of_last_hour: Option<f64>,
    /// Between 0 and 1; 0: the best came at once.
    pub area: Option<f64>,
    /// Share of the reserved time that was training and was kept.
    pub utilisation: Option<f64>,
    pub cost: Option<f64>,
    pub best_after: Vec<AfterLine>,
    /// Every improvement.
    pub curve: Vec<CurveLine>,
    /// What the searcher cost.
    pub suggestions: Suggestions,
    /// What was taken from earlier runs.
    pub warm_start: Vec<Source>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct BestLine {
    pub trial: TrialId,
    pub metric: f64,
    /// The same figure on the test split, which the search never saw.
    pub test: Option<f64>,
    pub params: Params,
    pub at: Resource,
}

/// In hours of `unit`, to the ninth decimal: the categories sum to `reserved` far within a millisecond.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Hours {
    pub reserved: f64,
    pub winner: f64,
    pub explored: f64,
    pub stopped: f64,
    pub redone: f64,
    pub restore: f64,
    pub checkpoint: f64,
    pub startup: f64,
    pub idle: f64,
    pub drain: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ModelLine {
    pub path: PathBuf,
    pub max_abs_diff: Option<f64>,
    pub argmax_agreement: Option<f64>,
    pub runtime: Option<String>,
    /// `onnx` or `native`.
    pub format: String,
    pub refused: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct BaselineLine {
    pub trial: TrialId,
    pub metric: f64,
    /// Whether it was trained to max_resource.
    pub full: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct AfterLine {
    pub hours: f64,
    pub metric: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct CurveLine {
    pub seconds: f64,
    pub hours: f64,
    pub resource: u64,
    pub metric: f64,
    pub trial: TrialId,
}

/// Hours to 3.6 microseconds.
pub(super) fn rounded(hours: f64) -> f64 {
    (hours * 1e9).round() / 1e9
}

impl From<&Uses> for Hours {
    fn from(uses: &Uses) -> Self {
        let hours = |amount| rounded(Uses::hours(amount));
        Self {
            reserved: hours(uses.reserved),
            winner: hours(uses.winner),
            explored: hours(uses.explored),
            stopped: hours(uses.stopped),
            redone: hours(uses.redone),
            restore: hours(uses.restore),
            checkpoint: hours(uses.checkpoint),
            startup: hours(uses.startup),
            idle: hours(uses.idle),
            drain: hours(uses.drain),
        }
    }
}

impl Report {
    /// The line for scripts.
    #[must_use]
    pub fn line(&self) -> Line {
        let (view, figures) = (&self.view, &self.figures);
        let curve = self.history.curve.iter().map(|point| CurveLine {
            seconds: point.at.0 as f64 / 1e3,
            hours: rounded(Uses::hours(point.reserved)),
            resource: point.resource,
            metric: point.metric,
            trial: point.trial,
        });
        Line {
            sweep: self.sweep.spec().name.clone(),
            state: self.standing(),
            trials: view.trials,
            best: self.best_line(),
            unit: if view.gpus { "gpu" } else { "slot" },
            hours: Hours::from(&view.uses),
            gain_per_hour: figures.gain_per_hour,
            resource: view.resource,
            attempts: view.attempts,
            model: self.model_line(),
            id: self.header.sweep.clone(),
            metric: self.metric_name().to_owned(),
            ended_because: match view.state {
                SweepState::Finished(why) => Some(why),
                _ => None,
            },
            elapsed_seconds: self.elapsed_ms() as f64 / 1e3,
            first_step_seconds: figures.first_step_seconds,
            baseline: figures.baseline.map(|from| BaselineLine { trial: from.trial, metric: from.metric, full: from.full }),
            target: figures.target.map(|(target, _)| target),
            hours_to_target: figures.target.and_then(|(_, hours)| hours).map(rounded),
            gain_of_last_hour: figures.last_hour,
            area: figures.area,
            utilisation: figures.utilisation,
            cost: figures.price.map(|price| price * figures.hours),
            best_after: figures.best_after.iter().map(|&(hours, metric)| AfterLine { hours, metric }).collect(),
            curve: curve.collect(),
            suggestions: self.history.thinking.figures(),
            warm_start: self.past.clone(),
        }
    }

    pub(super) fn best_line(&self) -> Option<BestLine> {
        let best = self.view.best.as_ref()?;
        let exported = self.card.as_ref().and_then(|card| card.test_of(self.metric_name()));
        let test = exported.or_else(|| self.history.tests.get(&best.trial).copied());
        Some(BestLine { trial: best.trial, metric: best.metric, test, params: best.params.clone(), at: best.resource })
    }

    fn model_line(&self) -> Option<ModelLine> {
        let card = self.card.as_ref()?;
        Some(ModelLine {
            path: card.path.clone(),
            max_abs_diff: card.max_abs_diff,
            argmax_agreement: card.argmax_agreement,
            runtime: card.runtime.clone(),
            format: card.format.clone(),
            refused: card.refused.clone(),
        })
    }
}
