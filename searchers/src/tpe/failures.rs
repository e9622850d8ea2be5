//! Where trials fail: by densities, as the rest of the method.
//!
//! With f(x) the density of the n_f trials that failed and a(x) that of all n, a trial at x fails with a probability of about
//! n_f f(x) / (n a(x)) (Bayes' rule). That of the others stands for a(x): the few good ones do not fail.
use hpo_core::TrialId;

use super::mixture::{Axes, Mixture, Places};
use super::model::GROWTH;

/// However many failed there, one in a hundred may not: kernels are wider than the edge of a region is.
const MOST: f64 = 0.99;

/// The trials that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    /// In the order of trials and not of events, so that equal histories give equal sums.
    all: Vec<(TrialId, Places)>,
    density: Mixture,
    /// What the density was made for: how many there were, as a power of [`GROWTH`].
    made_for: i32,
}

impl Failures {
    pub(crate) fn new(axes: &Axes) -> Self {
        Self { all: vec![], density: Mixture::of_others(axes, 1.0), made_for: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn insert(&mut self, axes: &Axes, trial: TrialId, places: &Places) {
        let Err(at) = self.all.binary_search_by_key(&trial, |(trial, _)| *trial) else { return };
        self.all.insert(at, (trial, places.clone()));
        let made_for = (self.all.len() as f64).log(GROWTH).floor() as i32;
        if made_for == self.made_for {
            self.density.insert(at, places, true);
            return;
        }
        self.made_for = made_for;
        self.density = Mixture::of_others(axes, GROWTH.powi(made_for));
        self.all.iter().enumerate().for_each(|(at, (_, places))| self.density.insert(at, places, true));
    }

    /// ln of the probability that trials at some points do not fail. `all` is ln of the density of all `count`
    /// trials there.
    pub(crate) fn ln_sound(&self, points: &[Places], all: &[f64], count: usize) -> Vec<f64> {
        if self.all.is_empty() {
            return vec![0.0; points.len()];
        }
        let share = (self.all.len() as f64 / count.max(1) as f64).ln();
        let fails = self.density.ln(points).into_iter().zip(all).map(|(failed, all)| (share + failed - all).exp());
        fails.map(|fails| (-fails.min(MOST)).ln_1p()).collect()
    }
}
