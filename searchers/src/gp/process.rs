//! A Gaussian process over observations on rungs: what is expected of a point on one of them.
use faer::{Mat, MatMut};

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
    halfway: Vec<f64>,
    /// K^-1 z.
    solved: Vec<f64>,
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
            halfway: vec![],
            solved: vec![],
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
            across.col_mut(at).iter_mut().zip(covariances).for_each(|(cell, one)| *cell = one);
            let covariances = self.kernel.column(&point, rung, new);
            own.col_mut(at).iter_mut().zip(covariances).for_each(|(cell, one)| *cell = one);
            own[(at, at)] += self.kernel.noise;
        }
        self.factor.extend(across, &own);
        for at in 0..new.len() {
            self.points.push(&new.point(at), new.rungs()[at]);
        }
    }

    /// The losses of all points.
    pub(crate) fn observe(&mut self, losses: &[f64]) {
        self.halfway = losses.iter().zip(self.points.rungs()).map(|(loss, &rung)| loss / self.amplitudes[rung]).collect();
        self.factor.forward(column(&mut self.halfway));
        self.solve();
    }

    /// Adds points that are taken for observed, each at the mean that is expected of it: the Kriging believer of Ginsbourger,
    /// Le Riche and Carraro ("Kriging Is Well-Suited to Parallelize Optimization", 2010). No mean changes by that, only deviations.
    pub(crate) fn believe(&mut self, new: &Points) {
        self.extend(new);
        self.halfway.resize(self.points.len(), 0.0);
        self.solve();
    }

    fn solve(&mut self) {
        self.solved = self.halfway.clone();
        self.factor.backward(column(&mut self.solved));
    }

    /// The mean at each of some points.
    pub(crate) fn means(&self, points: &[Point], rung: usize) -> Vec<f64> {
        let mean = |point: &Point| self.kernel.column(point, rung, &self.points).iter().zip(&self.solved).map(|(k, a)| k * a).sum();
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
        self.factor.backward(MatMut::from_column_major_slice_mut(&mut columns, self.points.len(), points.len()));
        let sloped = |(at, expected): (usize, Expected)| {
            let solved = &columns[at * self.points.len()..][..self.points.len()];
            let mut both = self.kernel.column_and_slopes(&points[at], rung, &self.points, [&self.solved[..], solved]);
            let (deviation, mean) = (both.pop().unwrap_or_default(), both.pop().unwrap_or_default());
            // d(s^2) = -2 k' K^-1 dk.
            let deviation = deviation.into_iter().map(|slope| -slope / expected.deviation).collect();
            Sloped { expected, mean, deviation }
        };
        expected.into_iter().enumerate().map(sloped).collect()
    }

    /// L^-1 k of each point, one after the other.
    fn halves(&self, points: &[Point], rung: usize) -> Vec<f64> {
        let mut columns: Vec<f64> = points.iter().flat_map(|point| self.kernel.column(point, rung, &self.points)).collect();
        self.factor.forward(MatMut::from_column_major_slice_mut(&mut columns, self.points.len(), points.len()));
        columns
    }

    fn expected(&self, columns: &[f64], at: usize, rung: usize) -> Expected {
        let half = &columns[at * self.points.len()..][..self.points.len()];
        let mean = half.iter().zip(&self.halfway).map(|(a, b)| a * b).sum();
        let variance = self.kernel.prior(rung) - half.iter().map(|a| a * a).sum::<f64>();
        Expected { mean, deviation: variance.max(1e-12).sqrt() }
    }
}

#[cfg(test)]
mod tests;
