//! Trainings as a surrogate predicts them, in the style of YAHPO Gym (arXiv:2109.03670): an ONNX model from configuration
//! and fidelity to all figures. One inference, a batch of all units, gives the whole curve.
//!
//! **Time** is a prediction too, and need not grow from unit to unit. So a unit takes an equal part of the time that is
//! predicted for the longest training: `cost` at `max_resource`, divided by `max_resource`. A prediction of no time or
//! less counts as [`LEAST_SECONDS`].
//!
//! **Chance**: a surrogate is smooth, and trainings are not. `noise` times a normal number of this trial and unit is added to
//! the metric alone, in the place that decisions see; what else is predicted, and the test metric, stay exact. The share
//! `failure_rate` of the trials fails, at a unit drawn for each. All of it derives from the trial's seed.
mod cache;
mod encode;
mod model;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hpo_core::job::SurrogateJob;
use hpo_core::{Metrics, Params, Resource, Seed};

use crate::chance::Chance;
use crate::curve::{Inner, Names, Recording};
use crate::{Curve, CurveFault, Curves, Stop, SurrogateFault};
use cache::Cache;
use encode::Encoder;
use model::Model;

/// Seconds that the longest training takes at least: a clock that stands still tells nothing.
pub const LEAST_SECONDS: f64 = 1e-3;

/// Longest training that is predicted: each costs as many rows of input.
pub const LONGEST: Resource = Resource(100_000);

/// Curves of one model.
pub struct Surrogate {
    encoder: Encoder,
    model: Model,
    names: Arc<Names>,
    cost: Option<usize>,
    noise: f64,
    failure_rate: f64,
    longest: Resource,
    cache: Cache,
}

impl Surrogate {
    /// Reads model and encoding. Curves have `longest` units; `metric` is what the sweep calls the job's metric.
    ///
    /// # Errors
    /// If a file cannot be used, or the job names what is not there.
    pub fn open(job: &SurrogateJob, longest: Resource, metric: &str) -> Result<Self, SurrogateFault> {
        if longest > LONGEST {
            return Err(SurrogateFault::TooLong { longest, most: LONGEST });
        }
        let output = |name: &String| {
            let place = job.outputs.iter().position(|output| output == name);
            place.ok_or_else(|| SurrogateFault::NoOutput { name: name.clone(), outputs: job.outputs.clone() })
        };
        let names = Names {
            columns: job.outputs.clone(),
            metric: output(&job.metric)?,
            test: job.test.as_ref().map(output).transpose()?,
            alias: metric.to_owned(),
        };
        let cost = job.cost.as_ref().map(output).transpose()?;
        let encoder = Encoder::open(job)?;
        let model = Model::open(job)?;
        let cache = Cache::of_curves(longest.0 as usize * names.columns.len());
        let SurrogateJob { noise, failure_rate, .. } = *job;
        Ok(Self { encoder, model, names: Arc::new(names), cost, noise, failure_rate, longest, cache })
    }

    fn predict(&self, params: &Params) -> Result<Arc<Recording>, SurrogateFault> {
        let input = self.encoder.encode(params)?;
        if let Some(known) = self.cache.get(&input) {
            return Ok(known);
        }
        let rows = self.encoder.rows(&input, self.longest);
        let predicted = self.model.run(&rows)?;
        let figures: Box<[f64]> = predicted.into_iter().map(f64::from).collect();
        let longest = f64::from(self.longest.0);
        let seconds = match self.cost {
            // `max` also turns a NaN into the least.
            Some(cost) => figures.rchunks_exact(self.names.columns.len()).next().map_or(0.0, |row| row[cost]).max(LEAST_SECONDS),
            None => longest,
        };
        let recording = Arc::new(Recording::new(Arc::clone(&self.names), figures, seconds / longest));
        self.cache.put(input, Arc::clone(&recording));
        Ok(recording)
    }
}

impl Curves for Surrogate {
    fn curve(&self, params: &Params, seed: Seed) -> Result<Curve, CurveFault> {
        let chance = Chance::new(seed, self.noise, self.failure_rate, self.longest.0);
        Ok(Curve(Inner::Recorded(self.predict(params)?, chance)))
    }

    fn metrics(&self, curve: &Curve, resource: Resource) -> Result<Metrics, Stop> {
        curve.recorded(resource)
    }

    fn longest(&self) -> Option<Resource> {
        Some(self.longest)
    }
}
