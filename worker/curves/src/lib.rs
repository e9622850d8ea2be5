//! Trainings without a GPU: recorded ones ([`tabular`]), ones that an ONNX model predicts ([`surrogate`]), and ones in closed
//! form ([`synthetic`]). Workers serve leases from them at a chosen pace, `hpo simulate` under a virtual clock.
//!
//! A curve is a function of parameters and seed alone: every attempt of a trial sees the same one, and one that fails
//! fails at the same unit each time.
mod chance;
mod curve;
mod fault;
#[cfg(feature = "surrogate")]
pub mod runtime;
#[cfg(feature = "surrogate")]
pub mod surrogate;
pub mod synthetic;
pub mod tabular;

use hpo_core::job::{CurveSource, CurvesJob};
use hpo_core::{Goal, Metrics, Params, Resource, Seed};

pub use curve::{Curve, Point, Stop};
#[cfg(feature = "surrogate")]
pub use fault::SurrogateFault;
pub use fault::{CurveFault, TableFault};

/// Where curves come from. Shared by all threads of a simulation.
pub trait Curves: Send + Sync {
    /// The whole training of one trial.
    ///
    /// # Errors
    /// If the parameters mean nothing to it. None of these goes away by asking again.
    fn curve(&self, params: &Params, seed: Seed) -> Result<Curve, CurveFault>;

    /// All figures of a report after `resource` units of one of its curves: the sweep's metric, and whatever else there is.
    ///
    /// # Errors
    /// As [`Curve::at`].
    fn metrics(&self, curve: &Curve, resource: Resource) -> Result<Metrics, Stop>;

    /// How long the longest curve is; `None` if there is no end.
    fn longest(&self) -> Option<Resource>;

    /// The best value that the metric can have without noise, where that is known.
    fn optimum(&self) -> Option<f64> {
        None
    }
}

/// Opens what a job names; `metric` and `goal` are the sweep's.
///
/// # Errors
/// If a file cannot be used, or it needs what this build lacks.
pub fn open(job: &CurvesJob, metric: &str, goal: Goal) -> Result<Box<dyn Curves>, CurveFault> {
    match &job.source {
        CurveSource::Tabular(table) => Ok(Box::new(tabular::Table::open(table, metric)?)),
        CurveSource::Synthetic(formula) => Ok(Box::new(synthetic::Synthetic::new(formula, job.max_resource, metric, goal))),
        #[cfg(feature = "surrogate")]
        CurveSource::Surrogate(surrogate) => Ok(Box::new(surrogate::Surrogate::open(surrogate, job.max_resource, metric)?)),
        #[cfg(not(feature = "surrogate"))]
        CurveSource::Surrogate(_) => Err(CurveFault::NoSurrogate),
    }
}
