//! The covariance of two observations:
//!
//! ```text
//! k((x, r), (x', r')) = m(d(x, x')) C(r, r') + 1 + 4 [r = r'] + s^2 [same observation],
//! m(d) = (1 + sqrt(5) d + 5/3 d^2) exp(-sqrt(5) d),    d^2 = sum_a (distance on axis a)^2 / l_a^2,
//! ```
//!
//! Matern's of smoothness 5/2 with a length scale for each axis (Rasmussen and Williams, "Gaussian Processes for Machine
//! Learning", MIT Press 2006, eq. 4.17 and 5.2), times what two rungs have in common ([`super::ladder`]). The constants are the mean
//! of all rungs and that of each: normal with variances 1 and 4 and integrated out (eq. 2.40 there), so that they need no fit.
//! It is the covariance of z = y / s_r: each rung has an amplitude of its own.
use super::cube::{Axis, Points};
use super::ladder::Ladder;

/// Variance of the mean that all rungs share.
const MEAN_OF_ALL: f64 = 1.0;

/// Variance of each rung's own mean.
const MEAN_OF_ONE: f64 = 4.0;

/// What is learned about the kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Theta {
    /// ln l, one an axis.
    pub(crate) lengths: Vec<f64>,
    /// ln s^2.
    pub(crate) noise: f64,
    /// As [`Ladder`] reads it.
    pub(crate) ladder: Vec<f64>,
    /// ln of the amplitude, one a rung.
    pub(crate) amplitudes: Vec<f64>,
}

impl Theta {
    /// In the order of the fields.
    pub(crate) fn flat(&self) -> Vec<f64> {
        [&self.lengths[..], &[self.noise], &self.ladder, &self.amplitudes].concat()
    }

    /// The same form with other numbers.
    pub(crate) fn with(&self, flat: &[f64]) -> Self {
        let (lengths, rest) = flat.split_at(self.lengths.len());
        let (noise, rest) = rest.split_at(1);
        let (ladder, amplitudes) = rest.split_at(self.ladder.len());
        Self { lengths: lengths.to_vec(), noise: noise[0], ladder: ladder.to_vec(), amplitudes: amplitudes.to_vec() }
    }
}

/// The kernel at given parameters.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    axes: Vec<Axis>,
    /// 1/l^2.
    weights: Vec<f64>,
    pub(crate) noise: f64,
    /// C, row by row.
    common: Vec<Vec<f64>>,
}

impl Kernel {
    pub(crate) fn new(axes: &[Axis], ladder: &Ladder, theta: &Theta) -> Self {
        let weights = theta.lengths.iter().map(|length| (-2.0 * length).exp()).collect();
        Self { axes: axes.to_vec(), weights, noise: theta.noise.exp(), common: ladder.common(&theta.ladder) }
    }

    /// What two rungs have in common, as functions and by their means.
    pub(crate) fn rungs(&self, one: usize, other: usize) -> (f64, f64) {
        (self.common[one][other], MEAN_OF_ALL + if one == other { MEAN_OF_ONE } else { 0.0 })
    }

    /// Variance of the function on a rung, without noise.
    pub(crate) fn prior(&self, rung: usize) -> f64 {
        let (common, mean) = self.rungs(rung, rung);
        common + mean
    }

    /// d^2 between `point` and each of `points`.
    fn squares(&self, point: &[f64], points: &Points) -> Vec<f64> {
        let mut sums = vec![0.0; points.len()];
        for (at, axis) in self.axes.iter().enumerate() {
            axis.add(self.weights[at], point[at], points.column(at), &mut sums);
        }
        sums
    }

    /// The covariance of the function at `point` on `rung` with each of `points` on theirs.
    pub(crate) fn column(&self, point: &[f64], rung: usize, points: &Points) -> Vec<f64> {
        let mut column = self.squares(point, points);
        for (one, &other) in column.iter_mut().zip(points.rungs()) {
            let (common, mean) = self.rungs(rung, other);
            *one = matern(*one).0 * common + mean;
        }
        column
    }

    /// The same, and `sum_i f_i d/dx_a k(x, x_i)` for each axis a and each list of factors f.
    pub(crate) fn column_and_slopes<'a>(
        &self,
        point: &[f64],
        rung: usize,
        points: &Points,
        factors: impl IntoIterator<Item = &'a [f64]>,
    ) -> Vec<Vec<f64>> {
        let steep = self.squares(point, points).into_iter().zip(points.rungs());
        let steep: Vec<f64> = steep.map(|(square, &other)| matern(square).1 * self.rungs(rung, other).0).collect();
        let slopes = |factors: &'a [f64]| {
            let slope = |(at, axis): (usize, &Axis)| {
                let terms = points.column(at).iter().zip(&steep).zip(factors);
                -self.weights[at] * terms.map(|((&place, steep), factor)| factor * steep * axis.slope(point[at], place)).sum::<f64>()
            };
            self.axes.iter().enumerate().map(slope).collect()
        };
        factors.into_iter().map(slopes).collect()
    }
}

/// m(d) from d^2, and -2 dm/d(d^2).
pub(crate) fn matern(square: f64) -> (f64, f64) {
    let scaled = (5.0 * square).sqrt();
    let decay = (-scaled).exp();
    let steep = 5.0 / 3.0 * (1.0 + scaled) * decay;
    (decay * (1.0 + scaled) + 5.0 / 3.0 * square * decay, steep)
}
