//! The two densities, kept up to date.
use hpo_core::{Params, Resource, Seed, Space, TrialId};
use rand::Rng;

use super::TpeOptions;
use super::failures::Failures;
use super::history::{Basis, History};
use super::mixture::{Axes, Mixture, Places};
use crate::chance::unit;
use crate::sobol::Sequence;
use crate::taken::Taken;
use crate::{Observation, Outcome, SuggestFault, candidates};

/// So many trials are good at most: with more the density of the good ones would follow the crowd.
const MOST_GOOD: usize = 25;

/// The kernels of the others are made anew whenever the number of results has grown by this factor; in between they keep their width.
pub(super) const GROWTH: f64 = 1.1;

/// Points by chance are drawn so often, if they are likely to fail.
const DRAWS: usize = 32;

/// What was learned of a space.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    options: TpeOptions,
    axes: Axes,
    taken: Taken,
    sequence: Sequence,
    /// All trials that have begun, in order, and where they are.
    trials: Vec<TrialId>,
    points: Vec<Places>,
    history: History,
    failures: Failures,
    /// Best first.
    good: Vec<TrialId>,
    /// The density of the others: kernel k is that of `trials[k]`, out if the trial does not count. In the order of trials
    /// and not of events, so that equal histories give equal sums.
    others: Mixture,
    /// What `others` was made for: the rung, and how many results it has as a power of [`GROWTH`].
    made_for: (Option<Resource>, i32),
}

impl Model {
    pub(crate) fn new(space: Space, seed: Seed, options: TpeOptions, basis: Basis) -> Self {
        let axes = Axes::new(space.clone());
        Self {
            options,
            others: Mixture::of_others(&axes, 1.0),
            failures: Failures::new(&axes),
            axes,
            sequence: Sequence::new(&space, seed),
            taken: Taken::new(space),
            trials: vec![],
            points: vec![],
            history: History::new(basis),
            good: vec![],
            made_for: (None, 0),
        }
    }

    /// A trial is pending.
    pub(crate) fn begin(&mut self, trial: TrialId, params: &Params) {
        let Err(at) = self.trials.binary_search(&trial) else { return };
        self.taken.insert(params);
        let places = self.axes.places(params);
        self.trials.insert(at, trial);
        self.others.insert(at, &places, true);
        self.points.insert(at, places);
        self.update(trial);
    }

    /// Something came of a trial.
    pub(crate) fn tell(&mut self, seen: &Observation) {
        self.begin(seen.trial, &seen.params);
        self.history.tell(seen);
        if let (Outcome::Infeasible, Ok(at)) = (seen.outcome, self.trials.binary_search(&seen.trial)) {
            self.failures.insert(&self.axes, seen.trial, &self.points[at]);
        }
        self.update(seen.trial);
    }

    /// Whether enough results are there.
    pub(crate) fn is_ready(&self) -> bool {
        self.history.rung().is_some()
    }

    /// The trial's point of Sobol's sequence.
    ///
    /// # Errors
    /// If there is nothing left to propose; the same goes for the other ways.
    pub(crate) fn evenly(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        self.sequence.suggest(trial, &self.taken)
    }

    /// A point by chance: if trials have failed, the more likely the less likely that it does.
    pub(crate) fn by_chance(&self, rng: &mut impl Rng) -> Result<Params, SuggestFault> {
        let mut drawn = self.taken.draw(rng)?;
        for _ in 0..if self.failures.is_empty() { 0 } else { DRAWS } {
            let place = [self.axes.places(&drawn)];
            let sound = self.failures.ln_sound(&place, &self.others.ln(&place), self.others.count())[0];
            if unit(rng).ln() < sound {
                break;
            }
            drawn = self.taken.draw(rng)?;
        }
        Ok(drawn)
    }

    /// The most promising point.
    pub(crate) fn propose(&self, rng: &mut impl Rng) -> Result<Params, SuggestFault> {
        let points: Vec<&Places> = self.good.iter().filter_map(|&trial| self.point(trial)).collect();
        let good = Mixture::of_good(&self.axes, &points);
        let space = self.taken.space();
        let draw = |rng: &mut _| space.from_unit(&good.draw(&self.axes, rng));
        let score = |all: &[Params]| {
            let points: Vec<Places> = all.iter().map(|params| self.axes.places(params)).collect();
            let others = self.others.ln(&points);
            let sound = self.failures.ln_sound(&points, &others, self.others.count());
            good.ln(&points).into_iter().zip(others).zip(sound).map(|((good, other), sound)| good - other + sound).collect()
        };
        candidates::best(&self.taken, self.options.candidates, rng, draw, score)
    }

    fn point(&self, trial: TrialId) -> Option<&Places> {
        self.trials.binary_search(&trial).ok().map(|at| &self.points[at])
    }

    /// Takes account of what was learned about `trial`.
    fn update(&mut self, trial: TrialId) {
        let population = self.history.population();
        let good = self.history.best(((self.options.gamma * population as f64).ceil() as usize).min(MOST_GOOD));
        let before = std::mem::replace(&mut self.good, good);
        let made_for = (self.history.rung(), (population.max(1) as f64).log(GROWTH).floor() as i32);
        if made_for == self.made_for {
            for trial in before.into_iter().chain(self.good.clone()).chain([trial]) {
                if let Ok(at) = self.trials.binary_search(&trial) {
                    self.others.set(at, self.is_other(trial));
                }
            }
            return;
        }
        self.made_for = made_for;
        self.others = Mixture::of_others(&self.axes, GROWTH.powi(made_for.1));
        for (at, &trial) in self.trials.iter().enumerate() {
            self.others.insert(at, &self.points[at], self.is_other(trial));
        }
    }

    fn is_other(&self, trial: TrialId) -> bool {
        !self.good.contains(&trial) && self.history.counts(trial)
    }
}
