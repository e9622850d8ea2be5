//! A Gaussian process over observations on rungs: what is expected of a point on one of them.
use faer::Mat;

use super::cube::{Axis, Point, Points};
use super::factor::{Factor, column};
use super::kernel::{Kernel, Theta};
use super::ladder::Ladder;

/// The process given its observations. Rows of believed observations come last: see [`Process::believe`].
#[derive(Clone, Debug)]
pub(crate) struct Process {
    kernel: Kernel,
    amplitudes: Vec<f64>,
    points: Points,
    factor: Factor,
    /// L^-1 z.
    halfway: Mat<f64>,
    /// K^-1 z.
    solved: Mat<f64>,
}

/// Mean and deviation, in units of the rung's amplitude.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

/// The same with their derivatives by each coordinate.
#[derive(Clone, Debug)]
pub(crate) struct Sloped {
    pub(crate) expected: Expected,
    pub(crate) mean: Vec<f64>,
    pub(crate) deviation: Vec<f64>,
}

impl Process {
    /// Without an observation yet.
    pub(crate) fn new(axes: &[Axis], ladder: &Ladder, theta: &Theta) -> Self {
        Self {
            kernel: Kernel::new(axes, ladder, theta),
            amplitudes: theta.amplitudes.iter().map(|amplitude| amplitude.exp()).collect(),
            points: Points::new(axes.len()),
            factor: Factor::new(),
            halfway: Mat::new(),
            solved: Mat::new(),
        }
    }

    /// Leaves the first `count` points.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.points.truncate(count);
        self.factor.truncate(count);
    }

    /// Adds points, of which nothing is known before [`Process::observe`]: b points on n cost b n^2 steps.
    pub(crate) fn extend(&mut self, new: &Points) {
        let old = self.points.len();
        let mut across = Mat::zeros(old, new.len());
        let mut own = Mat::zeros(new.len(), new.len());
        for at in 0..new.len() {
            let (point, rung) = (new.point(at), new.rungs()[at]);
            let covariances = self.kernel.column(&point, rung, &self.points);
            across.col_as_slice_mut(at).copy_from_slice(&covariances);
            let covariances = self.kernel.column(&point, rung, new);
            own.col_as_slice_mut(at).copy_from_slice(&covariances);
            own[(at, at)] += self.kernel.noise;
        }
        self.factor.extend(across, &own);
        for at in 0..new.len() {
            self.points.push(&new.point(at), new.rungs()[at]);
        }
    }

    /// The losses of all points.
    pub(crate) fn observe(&mut self, losses: &[f64]) {
        self.halfway = column(losses.iter().zip(self.points.rungs()).map(|(loss, &rung)| loss / self.amplitudes[rung]));
        self.factor.forward(&mut self.halfway);
        self.solve();
    }

    /// Adds points that are taken for observed, each at the mean that is expected of it: the Kriging believer of Ginsbourger,
    /// Le Riche and Carraro ("Kriging Is Well-Suited to Parallelize Optimization", 2010). No mean changes by that, only deviations.
    pub(crate) fn believe(&mut self, new: &Points) {
        self.extend(new);
        self.halfway.resize_with(self.points.len(), 1, |_, _| 0.0);
        self.solve();
    }

    fn solve(&mut self) {
        self.solved = self.halfway.clone();
        self.factor.backward(&mut self.solved);
    }

    /// The mean at each of some points.
    pub(crate) fn means(&self, points: &[Point], rung: usize) -> Vec<f64> {
        let mean =
            |point: &Point| self.kernel.column(point, rung, &self.points).iter().zip(self.solved.col_as_slice(0)).map(|(k, a)| k * a).sum();
        points.iter().map(mean).collect()
    }

    /// What is expected of each of some points.
    pub(crate) fn expect(&self, points: &[Point], rung: usize) -> Vec<Expected> {
        let columns = self.halves(points, rung);
        (0..points.len()).map(|at| self.expected(&columns, at, rung)).collect()
    }

    /// The same with slopes.
    pub(crate) fn slopes(&self, points: &[Point], rung: usize) -> Vec<Sloped> {
        let mut columns = self.halves(points, rung);
        let expected: Vec<Expected> = (0..points.len()).map(|at| self.expected(&columns, at, rung)).collect();
        self.factor.backward(&mut columns);
        let sloped = |(at, expected): (usize, Expected)| {
            let factors = [self.solved.col_as_slice(0), columns.col_as_slice(at)];
            let mut both = self.kernel.column_and_slopes(&points[at], rung, &self.points, factors);
            let (deviation, mean) = (both.pop().unwrap_or_default(), both.pop().unwrap_or_default());
            // d(s^2) = -2 k' K^-1 dk.
            let deviation = deviation.into_iter().map(|slope| -slope / expected.deviation).collect();
            Sloped { expected, mean, deviation }
        };
        expected.into_iter().enumerate().map(sloped).collect()
    }

    /// L^-1 k of each point, a column each.
    fn halves(&self, points: &[Point], rung: usize) -> Mat<f64> {
        let mut columns = Mat::zeros(self.points.len(), points.len());
        for (at, point) in points.iter().enumerate() {
            columns.col_as_slice_mut(at).copy_from_slice(&self.kernel.column(point, rung, &self.points));
        }
        self.factor.forward(&mut columns);
        columns
    }

    fn expected(&self, columns: &Mat<f64>, at: usize, rung: usize) -> Expected {
        let half = columns.col_as_slice(at);
        let mean = half.iter().zip(self.halfway.col_as_slice(0)).map(|(a, b)| a * b).sum();
        let variance = self.kernel.prior(rung) - half.iter().map(|a| a * a).sum::<f64>();
        Expected { mean, deviation: variance.max(1e-12).sqrt() }
    }
}

#[cfg(test)]
mod tests;
