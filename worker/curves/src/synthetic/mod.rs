//! Trainings in closed form.
//!
//! With loss f(x) at the end, a training of R units stands after r of them at
//!
//! ```text
//! L(r) = (1 - d) f(x) + d s,    d = (exp(-k r/R) - exp(-k)) / (1 - exp(-k)),
//! ```
//!
//! where k is the `rate`, and s, the loss at its start, is [`Landscape::start`] plus `crossing` times [`Landscape::spread`]
//! times a normal number of the trial. Without crossing and noise all curves keep their order from the first unit on; with
//! `crossing` = 1 the first units say next to nothing about the end. A report is L(r) plus `noise` times a normal number of
//! this trial and unit; the test metric is L(r) itself. All chance derives from the trial's seed.
mod function;
#[cfg(test)]
mod tests;

use hpo_core::job::SyntheticJob;
use hpo_core::sweep::event::FailureKind;
use hpo_core::{Goal, Loss, Metrics, Params, Resource, Seed};

pub use function::{Landscape, Misfit};

use crate::chance::{Chance, normal};
use crate::curve::Inner;
use crate::{Curve, CurveFault, Curves, Stop};

/// What reports call L(r).
pub const NOISELESS: &str = "noiseless";

/// Curves of one function.
#[derive(Debug)]
pub struct Synthetic {
    job: SyntheticJob,
    longest: Resource,
    metric: String,
    goal: Goal,
}

impl Synthetic {
    /// Trainings of `longest` units. A sweep that maximises is given the negative of the loss.
    #[must_use]
    pub fn new(job: &SyntheticJob, longest: Resource, metric: &str, goal: Goal) -> Self {
        Self { job: job.clone(), longest, metric: metric.to_owned(), goal }
    }
}

impl Curves for Synthetic {
    fn curve(&self, params: &Params, seed: Seed) -> Result<Curve, CurveFault> {
        let SyntheticJob { function, noise, failure_rate, crossing, rate, seconds, cost_spread } = self.job;
        let end = function.loss(params).map_err(|misfit| CurveFault::Function { function, misfit })?;
        let sign = self.goal.metric(Loss::new(1.0));
        let units = self.longest.0.max(1);
        let chance = Chance::new(seed, noise, failure_rate, units);
        let formula = Formula {
            end,
            start: function.start() + crossing * function.spread() * normal(seed, "start", 0),
            rate,
            units,
            chance,
            sign,
            unit_seconds: seconds * (cost_spread * normal(seed, "cost", 0)).exp(),
            // A loss too large for a number has diverged before the first report.
            fails_in: if end.is_finite() { chance.fails_in() } else { Some(Resource(1)) },
        };
        Ok(Curve(Inner::Formula(formula)))
    }

    fn metrics(&self, curve: &Curve, resource: Resource) -> Result<Metrics, Stop> {
        let point = curve.at(resource)?;
        Ok([(NOISELESS.to_owned(), point.test.unwrap_or(point.metric)), (self.metric.clone(), point.metric)].into_iter().collect())
    }

    fn longest(&self) -> Option<Resource> {
        Some(self.longest)
    }

    fn optimum(&self) -> Option<f64> {
        Some(self.goal.metric(Loss::new(self.job.function.optimum())))
    }
}

/// One trial's curve: nothing is computed before it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Formula {
    end: f64,
    start: f64,
    rate: f64,
    units: u32,
    chance: Chance,
    sign: f64,
    unit_seconds: f64,
    fails_in: Option<Resource>,
}

impl Formula {
    /// The metric with noise and without.
    pub(crate) fn at(&self, resource: Resource) -> Result<(f64, f64), Stop> {
        if resource.0 == 0 || resource.0 > self.units {
            return Err(Stop::Ends { longest: Resource(self.units) });
        }
        if let Some(unit) = self.fails_in.filter(|unit| *unit <= resource) {
            return Err(Stop::Fails { unit, kind: FailureKind::NotFinite });
        }
        let left = (-self.rate).exp_m1();
        let decay = ((-self.rate).exp() - (-self.rate * f64::from(resource.0) / f64::from(self.units)).exp()) / left;
        let exact = (1.0 - decay) * self.end + decay * self.start;
        Ok((self.sign * (exact + self.chance.noise(resource)), self.sign * exact))
    }

    pub(crate) fn unit_seconds(&self) -> f64 {
        self.unit_seconds
    }

    pub(crate) fn fails_in(&self) -> Option<Resource> {
        self.fails_in
    }
}
