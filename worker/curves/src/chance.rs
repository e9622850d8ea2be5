//! What chance does to a training that is not done. All of it derives from the trial's seed, so that every attempt of a
//! trial, and every tool that is given the same seeds, meets the same luck.
use std::f64::consts::TAU;

use hpo_core::{Resource, Seed};

/// One trial's luck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    seed: Seed,
    noise: f64,
    fails_in: Option<Resource>,
}

impl Chance {
    /// Every report is exact, and no training fails that need not.
    pub(crate) const NONE: Self = Self { seed: Seed(0), noise: 0.0, fails_in: None };

    /// A report has noise of this standard deviation, and this share of the trials fails, each in a unit drawn for it from
    /// `units`.
    pub(crate) fn new(seed: Seed, noise: f64, failure_rate: f64, units: u32) -> Self {
        let drawn = Resource(1 + (uniform(seed, "failure", 1) * f64::from(units)) as u32);
        let fails = uniform(seed, "failure", 0) < failure_rate;
        Self { seed, noise, fails_in: fails.then_some(drawn) }
    }

    /// The unit in which it fails, from 1, if it does.
    pub(crate) fn fails_in(&self) -> Option<Resource> {
        self.fails_in
    }

    /// What the noise adds to the report after so many units.
    pub(crate) fn noise(&self, resource: Resource) -> f64 {
        if self.noise > 0.0 { self.noise * normal(self.seed, "noise", resource.0.into()) } else { 0.0 }
    }
}

/// In [0, 1), in steps of 2^-53.
pub(crate) fn uniform(seed: Seed, purpose: &str, index: u64) -> f64 {
    (seed.derive(purpose, index).0 >> 11) as f64 / (1_u64 << 53) as f64
}

/// Standard normal, by Box and Muller (Ann. Math. Stat. 29, 1958).
pub(crate) fn normal(seed: Seed, purpose: &str, index: u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(seed, purpose, 2 * index)).ln()).sqrt();
    radius * (TAU * uniform(seed, purpose, 2 * index + 1)).cos()
}
