//! Gaussian processes: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (MIT Press 2006); Snoek, Larochelle and
//! Adams, "Practical Bayesian Optimization of Machine Learning Algorithms" (arXiv:1206.2944). With rungs as in MOBSTER: Klein,
//! Tiao, Lienart, Archambeau and Seeger, "Model-based Asynchronous Hyperparameter and Neural Architecture Search"
//! (arXiv:2003.10865).
//!
//! The loss is taken for a draw from a normal process whose covariance says how alike two points are. Given what was seen, the process
//! expects of each point a mean m(x) and a deviation s(x), and the point is proposed that makes the logarithm of the expected
//! improvement on the best the largest, with s(x) doubled: such a model is too sure of itself ([`acquisition`]).
//!
//! - **Points** are those of the unit cube in which a draw by chance is uniform, words one-hot, conditions as in [`cube`].
//! - **Losses** are warped, so that bad ones do not set the scale ([`warp`]); what is not finite is as bad as the worst that is.
//! - **Kernel** ([`kernel`]): Matern's of smoothness 5/2 with a length scale for each parameter, and noise.
//! - **Its parameters** are the most probable ones ([`fit`]), fitted anew when the number of trials has grown by a fifth, and, up to 256
//!   results, when something is learned of a trial that they are fitted to ([`mind`]).
//! - **Rungs**: `gp` models one, the highest with `startup` results. `gp-mf` models all of them in one process, which learns how much a
//!   rung says about the next ([`ladder`]), and proposes for the highest that has three results. Which trials go on is chosen by their
//!   losses; a process that knows these losses is not misled by that, where one for each rung alone is (Rubin, "Inference and
//!   missing data", Biometrika 63, 1976).
//! - **Pending** trials, the 200 newest, are taken for observed at the mean that is expected of them ([`process`]), so that parallel
//!   workers keep off each other. The points of all others, too, are proposed to nobody else.
//! - **Failed** trials have no loss. A second process learns where trials fail, and the expected improvement is multiplied with the
//!   probability that this one does not.
//! - **Proposals** ([`propose`]): the best of 200 points of a Sobol sequence and 60 around the best trials; four of them are moved uphill
//!   by the slopes of the acquisition, rounded to the grid, and there compared with their neighbours. In a pool or a space of up to
//!   1,024 points all of them are compared; of a larger pool 1,024 rows by chance, and then the rows around the best of them.
//! - **Many trials**: a process has at most 1,000 observations: those of the newest trials and 750 others, most of them those of the
//!   best trials ([`history`]).
//! - Until some rung has `startup` finite results, the points are those of [`Sobol`](crate::Sobol).
//!
//! A result costs n^2 steps for n observations, of whichever trial it is. A fit costs some dozen times m^3, for the m observations that it is
//! made of, 256 at most. `hpo bench suggest` tells what either takes: docs/benchmarks.md.
mod acquisition;
mod cube;
mod descent;
mod factor;
mod fit;
mod history;
mod kernel;
mod ladder;
mod mind;
mod process;
mod propose;
mod warp;

use std::cell::RefCell;

use hpo_core::{Params, Seed, Space, TrialId};

use crate::chance::unit;
use crate::sobol::Sequence;
use crate::taken::Taken;
use crate::{Observation, Searcher, SuggestFault, candidates};
pub use acquisition::Acquisition;
use cube::{Cube, Point, Points};
use history::{Dataset, History};
pub use ladder::Relation;
use mind::Mind;
use propose::Judge;
pub use warp::Warp;

/// Trials as close as this in every coordinate of the cube are the same trial again: workers that ask one after the other would get
/// the optimum of nearly the same model, and where a loss has no noise a search would end in repeating its best trial.
const SAME: f64 = 1e-3;

/// Points are tried around so many of the best trials.
const TOPS: usize = 5;

/// Points by chance of which the best is taken, if all that were searched for are taken.
const DRAWS: u32 = 64;

/// What a sweep file says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpOptions {
    /// Trials with a finite result on one rung before there is a model.
    pub startup: u32,
    /// What is made large.
    pub acquisition: Acquisition,
    /// How losses are transformed.
    pub warp: Warp,
}

impl Default for GpOptions {
    fn default() -> Self {
        Self { startup: 8, acquisition: Acquisition::default(), warp: Warp::default() }
    }
}

/// The searcher, by either name: with one rung `gp`, with all `gp-mf`.
#[derive(Clone, Debug)]
pub struct Gp {
    seed: Seed,
    options: GpOptions,
    /// How the rungs are related, if all of them are modelled.
    relation: Option<Relation>,
    cube: Cube,
    taken: Taken,
    sequence: Sequence,
    history: History,
    /// What was worked out from the history, and would be worked out again.
    known: RefCell<Known>,
}

/// Of losses and of failures.
#[derive(Clone, Debug, Default)]
struct Known {
    losses: Option<Mind>,
    failures: Option<Mind>,
}

impl Gp {
    /// Nothing seen yet. Models one rung, the highest with `startup` results.
    #[must_use]
    pub fn new(space: Space, seed: Seed, options: GpOptions) -> Self {
        Self::with(space, seed, options, None)
    }

    /// Nothing seen yet. Models all rungs.
    #[must_use]
    pub fn of_rungs(space: Space, seed: Seed, options: GpOptions, relation: Relation) -> Self {
        Self::with(space, seed, options, Some(relation))
    }

    fn with(space: Space, seed: Seed, options: GpOptions, relation: Option<Relation>) -> Self {
        Self {
            seed,
            options,
            relation,
            cube: Cube::new(space.clone()),
            sequence: Sequence::new(&space, seed),
            taken: Taken::new(space),
            history: History::default(),
            known: RefCell::default(),
        }
    }

    /// What `data` say, and what the failures, of which `before` may know a part.
    fn learn(&self, before: Known, data: &Dataset) -> (Mind, Option<Mind>) {
        let mut losses = Mind::of(before.losses, &self.cube, data, Some(self.options.warp), self.seed);
        let mut pending = Points::new(self.cube.axes().len());
        self.history.pending().for_each(|point| pending.push(point, data.target));
        losses.believe(&pending);
        let failures = self.history.failures(self.seed);
        (losses, failures.map(|data| Mind::of(before.failures, &self.cube, &data, None, self.seed)))
    }

    /// Whether a trial says more than how noisy the trials are that there were.
    fn is_new(&self, params: &Params) -> bool {
        let point = self.cube.point(params);
        let is_same = |(a, b): (&f64, &f64)| (a - b).abs() < SAME || a.is_nan() && b.is_nan();
        !self.taken.contains(params) && !self.history.points().any(|seen| seen.iter().zip(&point).all(is_same))
    }

    /// The most promising point that is left.
    fn best(&self, trial: TrialId, data: &Dataset, losses: &Mind, failures: Option<&Mind>) -> Result<Params, SuggestFault> {
        let mut rng = self.seed.derive("suggest", trial.0.into()).rng();
        let (space, process) = (self.taken.space(), losses.process());
        let seen = data.distinct();
        let means = process.means(&seen, data.target);
        let mut order: Vec<usize> = (0..seen.len()).collect();
        order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
        let judge = Judge {
            cube: &self.cube,
            process,
            target: data.target,
            acquisition: self.options.acquisition,
            best: order.first().map_or(0.0, |&at| means[at]),
            failures: failures.map(Mind::process),
        };
        if !candidates::is_ranked_whole(space) {
            let tops: Vec<Point> = order.iter().take(TOPS).map(|&at| seen[at].clone()).collect();
            let sequence = Sequence::new(space, self.seed.derive("candidates", trial.0.into()));
            let found = judge.search(&sequence, &tops, &mut rng).into_iter().find(|params| self.is_new(params));
            if let Some(params) = found {
                return Ok(params);
            }
        }
        let draw = |rng: &mut _| space.draw(|| unit(rng));
        candidates::best(&self.taken, DRAWS, &mut rng, draw, |all| judge.rank(all))
    }
}

impl Searcher for Gp {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        if !self.history.knows(trial) {
            self.taken.insert(params);
            self.history.begin(trial, self.cube.point(params));
        }
    }

    fn tell(&mut self, seen: &Observation) {
        self.begin(seen.trial, &seen.params);
        self.history.tell(seen);
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        match self.history.losses(self.options.startup as usize, self.relation, self.seed) {
            None => self.sequence.suggest(trial, &self.taken),
            Some(data) => {
                let (losses, failures) = self.learn(self.known.take(), &data);
                let answer = self.best(trial, &data, &losses, failures.as_ref());
                self.known.replace(Known { losses: Some(losses), failures });
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::space::{Domain, Fold, Parameter};
    use hpo_core::{Loss, Resource, Value};

    use super::*;
    use crate::Outcome;

    #[test]
    fn workers_that_ask_one_after_the_other_get_different_points_also_when_all_is_known() {
        let rate = Domain::Float { low: 1e-5, high: 1.0, fold: Fold::Log, step: None };
        let words = Domain::Choice { values: ["sgd", "adam"].map(Value::from).to_vec(), ordered: false };
        let parameter = |name: &str, domain| Parameter { name: name.to_owned(), domain, when: Default::default() };
        let space = Space::new(vec![parameter("lr", rate), parameter("optimizer", words)]).unwrap();
        let mut gp = Gp::new(space, Seed(3), GpOptions::default());
        let mut all: Vec<Params> = vec![];
        for number in 0..40_u32 {
            if let Some(done) = number.checked_sub(6) {
                let params = all[done as usize].clone();
                let Value::Float(lr) = params["lr"] else { panic!("{params:?}") };
                let outcome = Outcome::Loss { resource: Resource(1), loss: Loss::new((lr.log10() + 3.0).powi(2)) };
                gp.tell(&Observation { trial: TrialId(done), params, outcome });
            }
            let params = gp.suggest(TrialId(number)).unwrap();
            assert!(gp.is_new(&params), "trial {number}: {params:?}");
            gp.begin(TrialId(number), &params);
            all.push(params);
        }
    }

    /// One of the eight newest trials is told of, and one of the oldest was promoted.
    #[test]
    fn what_older_trials_come_to_leaves_the_same_bits_as_a_fresh_start() {
        let rate = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
        let parameter = |name: &str| Parameter { name: name.to_owned(), domain: rate.clone(), when: Default::default() };
        let space = Space::new(vec![parameter("x"), parameter("y")]).unwrap();
        let fresh = || Gp::of_rungs(space.clone(), Seed(4), GpOptions::default(), Relation::Chain);
        let (mut gp, mut begun, mut told): (Gp, Vec<Params>, Vec<Observation>) = (fresh(), vec![], vec![]);
        for trial in (0..90).map(TrialId) {
            let params = gp.suggest(trial).unwrap();
            gp.begin(trial, &params);
            begun.push(params);
            let late = |slow: u32| trial.0.checked_sub(slow).map(|older| (TrialId(older), 1));
            let promoted = TrialId(trial.0 * 7 % 31);
            for (older, rung) in late([8, 1, 4][trial.0 as usize % 3]).into_iter().chain((trial.0 > 40).then_some((promoted, 3))) {
                let params = begun[older.0 as usize].clone();
                let loss = params.values().map(|value| (value.number().unwrap() - 0.4).powi(2)).sum::<f64>() / f64::from(rung);
                let seen = Observation { trial: older, params, outcome: Outcome::Loss { resource: Resource(rung), loss: Loss::new(loss) } };
                gp.tell(&seen);
                told.push(seen);
            }
            if trial.0 % 9 == 0 {
                let mut other = fresh();
                begun.iter().enumerate().for_each(|(number, params)| other.begin(TrialId(number as u32), params));
                told.iter().for_each(|seen| other.tell(seen));
                assert_eq!(gp.suggest(TrialId(500)), other.suggest(TrialId(500)), "after trial {trial}");
            }
        }
    }
}
