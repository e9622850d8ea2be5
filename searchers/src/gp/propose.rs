//! The most promising point: the best of many, moved uphill.
use hpo_core::{Params, TrialId};
use rand::Rng;

use super::acquisition::{Acquisition, ln_phi};
use super::cube::{Cube, Point};
use super::descent::Descent;
use super::process::Process;
use crate::chance::{normal, unit};
use crate::sobol::Sequence;

/// Points of a scrambled Sobol sequence, which begins anew for each proposal.
const EVEN: u32 = 200;

/// So many around each of the best trials.
const AROUND: usize = 12;

/// So many are moved uphill.
const CLIMBERS: usize = 4;

/// Evaluations of each of them.
const STEPS: usize = 16;

/// What points are judged by.
pub(crate) struct Judge<'a> {
    pub(crate) cube: &'a Cube,
    pub(crate) process: &'a Process,
    /// The rung that is judged.
    pub(crate) target: usize,
    pub(crate) acquisition: Acquisition,
    /// The best mean among what was seen.
    pub(crate) best: f64,
    /// What is known of failures: the function is below 0 where trials do not fail.
    pub(crate) failures: Option<&'a Process>,
}

impl Judge<'_> {
    /// How promising points are: the acquisition, and the logarithm of the probability that the trial does not fail (Gardner et
    /// al., "Bayesian Optimization with Inequality Constraints", ICML 2014, eq. 6 in logarithms).
    pub(crate) fn judge(&self, points: &[Point]) -> Vec<f64> {
        let expected = self.process.expect(points, self.target);
        let mut all: Vec<f64> = expected.iter().map(|one| self.acquisition.at(self.best, one.mean, one.deviation).0).collect();
        if let Some(failures) = self.failures {
            let expected = failures.expect(points, 0);
            all.iter_mut().zip(expected).for_each(|(value, one)| *value += ln_phi(-one.mean / one.deviation).0);
        }
        all
    }

    /// The same for configurations.
    pub(crate) fn rank(&self, all: &[Params]) -> Vec<f64> {
        let points: Vec<Point> = all.iter().map(|params| self.cube.point(params)).collect();
        self.judge(&points)
    }

    /// How promising points are, and the slopes.
    fn slopes(&self, points: &[Point]) -> Vec<(f64, Vec<f64>)> {
        let mut all: Vec<(f64, Vec<f64>)> = vec![];
        for one in self.process.slopes(points, self.target) {
            let (value, by_mean, by_deviation) = self.acquisition.at(self.best, one.expected.mean, one.expected.deviation);
            all.push((
                value,
                one.mean.iter().zip(&one.deviation).map(|(mean, deviation)| by_mean * mean + by_deviation * deviation).collect(),
            ));
        }
        for (one, (value, slopes)) in self.failures.iter().flat_map(|failures| failures.slopes(points, 0)).zip(&mut all) {
            let margin = -one.expected.mean / one.expected.deviation;
            let (ln, slope) = ln_phi(margin);
            *value += ln;
            for ((total, mean), deviation) in slopes.iter_mut().zip(&one.mean).zip(&one.deviation) {
                *total -= slope * (mean + margin * deviation) / one.expected.deviation;
            }
        }
        all
    }

    /// Points, best first: evenly spread ones, some around the best trials, and the best of those moved uphill.
    pub(crate) fn search(&self, sequence: &Sequence, best: &[Point], rng: &mut impl Rng) -> Vec<Params> {
        let space = self.cube.space();
        let even = (0..EVEN).map(|number| space.from_unit(&sequence.unit(TrialId(number), space.parameters().len())));
        let mut all: Vec<Params> = even.collect();
        for point in best {
            all.extend((0..AROUND).map(|number| self.cube.params(&self.near(point, number, rng))));
        }
        let mut ranked = self.ranked(all);
        let starts: Vec<Point> = ranked.iter().take(CLIMBERS).map(|(_, point, _)| point.clone()).collect();
        let tops: Vec<Params> = self.climb(starts).iter().map(|top| self.cube.params(top)).collect();
        ranked.extend(self.ranked(tops));
        sort(&mut ranked);
        let next = ranked.first().map(|(_, point, _)| self.cube.neighbours(point)).unwrap_or_default();
        ranked.extend(self.ranked(next.iter().map(|point| self.cube.params(point)).collect()));
        sort(&mut ranked);
        ranked.into_iter().map(|(.., params)| params).collect()
    }

    fn ranked(&self, all: Vec<Params>) -> Vec<(f64, Point, Params)> {
        let points: Vec<Point> = all.iter().map(|params| self.cube.point(params)).collect();
        let mut ranked: Vec<_> =
            self.judge(&points).into_iter().zip(points).zip(all).map(|((value, point), params)| (value, point, params)).collect();
        sort(&mut ranked);
        ranked
    }

    /// A point near another: about two coordinates are changed, by less and less.
    fn near(&self, point: &[f64], number: usize, rng: &mut impl Rng) -> Point {
        let width = [0.2, 0.05, 0.01][number % 3];
        let share = (2.0 / point.len() as f64).max(0.25);
        let mut moved = |(axis, &place): (&super::cube::Axis, &f64)| match unit(rng) < share && axis.is_line() {
            true => (place + width * normal(rng)).clamp(0.0, 1.0),
            false => place,
        };
        self.cube.axes().iter().zip(point).map(&mut moved).collect()
    }

    /// Moves points uphill, all of them a step at a time. Words stay, and numbers on a grid move as if there were none.
    fn climb(&self, starts: Vec<Point>) -> Vec<Point> {
        let free = |point: &Point| -> Vec<usize> {
            (0..point.len()).filter(|&at| self.cube.axes()[at].is_line() && !point[at].is_nan()).collect()
        };
        let free: Vec<Vec<usize>> = starts.iter().map(free).collect();
        let begin = |(point, free): (&Point, &Vec<usize>)| Descent::new(free.iter().map(|&at| point[at]).collect(), 0.0, 1.0);
        let mut descents: Vec<Descent> = starts.iter().zip(&free).map(begin).collect();
        let place = |which: usize, coordinates: &[f64]| {
            let mut point = starts[which].clone();
            free[which].iter().zip(coordinates).for_each(|(&at, &x)| point[at] = x);
            point
        };
        for _ in 0..STEPS {
            let going: Vec<usize> = (0..descents.len()).filter(|&which| !descents[which].is_over()).collect();
            if going.is_empty() {
                break;
            }
            let points: Vec<Point> = going.iter().map(|&which| place(which, descents[which].point())).collect();
            for (&which, (value, slopes)) in going.iter().zip(self.slopes(&points)) {
                descents[which].tell(-value, free[which].iter().map(|&at| -slopes[at]).collect());
            }
        }
        descents.iter().enumerate().map(|(which, descent)| place(which, descent.best())).collect()
    }
}

/// Best first, equally good ones in their order.
fn sort(ranked: &mut [(f64, Point, Params)]) {
    ranked.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
}
