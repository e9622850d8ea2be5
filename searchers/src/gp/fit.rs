//! The kernel's parameters: those of the largest posterior density given some observations.
//!
//! The logarithm of the marginal likelihood of z = y / s_r and its derivatives are (Rasmussen and Williams, eq. 5.8 and 5.9)
//!
//! ```text
//! L = -1/2 z' K^-1 z - 1/2 ln |K| - sum_i ln s_r(i),
//! dL/dt = 1/2 tr((a a' - K^-1) dK/dt),  a = K^-1 z,      dL/d ln s_r = sum_(i on r) a_i z_i - n_r.
//! ```
//!
//! Priors are normal on the logarithms, in the form of Hvarfner, Hellsten and Nardi, "Vanilla Bayesian Optimization Performs Great in
//! High Dimensions" (arXiv:2402.02229): length scales grow with the square root of the number of axes, as distances do.
use faer::Mat;

use super::cube::{Axis, Points};
use super::descent::Descent;
use super::factor::{Factor, column};
use super::kernel::{Kernel, Theta, matern};
use super::ladder::Ladder;

/// ln of the median length scale of one axis alone, and its deviation. The paper's median is e^sqrt(2) times as long; with it a search
/// on Hartmann-6 ends where all is noise, and finds less than chance does.
const LENGTH: (f64, f64) = (0.0, 1.732_050_807_568_877_2);

/// The same of the noise's variance. The paper's, -4 and 1, keeps a model of nearly exact results from trusting them: with it `gp` has a
/// regret of .133 after 2,600 epochs of LCBench, and .049 with this.
const NOISE: (f64, f64) = (-8.0, 2.0);

/// The deviation of an amplitude's logarithm from 0.
const AMPLITUDE: f64 = 1.0;

/// Logarithms are between these.
const BOX: (f64, f64) = (-12.0, 6.0);

/// A first search with so many observations finds where to begin with all of them, for a share of the price.
const FEW: usize = 64;

/// Evaluations of the first search, and of the second.
const EVALUATIONS: (usize, usize) = (40, 15);

/// What parameters are fitted to.
pub(crate) struct Data<'a> {
    pub(crate) axes: &'a [Axis],
    pub(crate) ladder: &'a Ladder,
    pub(crate) points: Points,
    pub(crate) losses: Vec<f64>,
}

/// The most probable parameters. A function of the data alone: the search begins at the priors' medians.
pub(crate) fn fit(data: &Data<'_>) -> Theta {
    let start = medians(data);
    if data.points.len() <= FEW {
        return search(data, start, EVALUATIONS.0);
    }
    // Evenly spread over the observations, so that all rungs are among them.
    let some: Vec<usize> = (0..FEW).map(|at| at * data.points.len() / FEW).collect();
    let losses = some.iter().map(|&at| data.losses[at]).collect();
    let first = Data { axes: data.axes, ladder: data.ladder, points: data.points.select(&some), losses };
    search(data, search(&first, start, EVALUATIONS.0), EVALUATIONS.1)
}

/// The middle of the priors.
fn medians(data: &Data<'_>) -> Theta {
    let length = LENGTH.0 + 0.5 * (data.axes.len().max(1) as f64).ln();
    Theta {
        lengths: vec![length; data.axes.len()],
        noise: NOISE.0,
        ladder: data.ladder.prior().0,
        amplitudes: vec![0.0; data.ladder.len()],
    }
}

fn search(data: &Data<'_>, start: Theta, evaluations: usize) -> Theta {
    let pairs = Pairs::new(data);
    let (medians, deviations) = (medians(data).flat(), deviations(data));
    let mut descent = Descent::new(start.flat(), BOX.0, BOX.1);
    for _ in 0..evaluations {
        let at = descent.point().to_vec();
        let (mut value, mut gradient) = pairs.likelihood(data, &start.with(&at));
        for (((x, median), deviation), slope) in at.iter().zip(&medians).zip(&deviations).zip(&mut gradient) {
            let off = (x - median) / deviation;
            value -= 0.5 * off * off;
            *slope -= off / deviation;
        }
        descent.tell(-value, gradient.into_iter().map(|slope| -slope).collect());
        if descent.is_over() {
            break;
        }
    }
    start.with(descent.best())
}

fn deviations(data: &Data<'_>) -> Vec<f64> {
    let (ladder, spread) = data.ladder.prior();
    let all = [vec![LENGTH.1; data.axes.len()], vec![NOISE.1], vec![spread; ladder.len()], vec![AMPLITUDE; data.ladder.len()]];
    all.concat()
}

/// What does not change from one evaluation to the next.
struct Pairs {
    /// Of each axis, the squared distance of observation i from each before it, at i (i - 1) / 2 on.
    squares: Vec<Vec<f64>>,
}

impl Pairs {
    fn new(data: &Data<'_>) -> Self {
        let count = data.points.len();
        let axis = |(at, axis): (usize, &Axis)| {
            let places = data.points.column(at);
            let mut squares = vec![0.0; count * count.saturating_sub(1) / 2];
            for one in 1..count {
                axis.add(1.0, places[one], &places[..one], &mut squares[one * (one - 1) / 2..][..one]);
            }
            squares
        };
        Self { squares: data.axes.iter().enumerate().map(axis).collect() }
    }

    /// L and its derivatives, in the order of [`Theta::flat`].
    fn likelihood(&self, data: &Data<'_>, theta: &Theta) -> (f64, Vec<f64>) {
        let (count, rungs) = (data.points.len(), data.points.rungs());
        let kernel = Kernel::new(data.axes, data.ladder, theta);
        let mut sums = vec![0.0; count * count.saturating_sub(1) / 2];
        for (length, squares) in theta.lengths.iter().zip(&self.squares) {
            let weight = (-2.0 * length).exp();
            sums.iter_mut().zip(squares).for_each(|(sum, square)| *sum += weight * square);
        }
        let alike: Vec<(f64, f64)> = sums.iter().map(|&sum| matern(sum)).collect();
        let covariance = Mat::from_fn(count, count, |one, other| match one.cmp(&other) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => kernel.prior(rungs[one]) + kernel.noise,
            std::cmp::Ordering::Greater => {
                let (common, mean) = kernel.rungs(rungs[one], rungs[other]);
                alike[one * (one - 1) / 2 + other].0 * common + mean
            }
        });
        let mut factor = Factor::new();
        factor.extend(Mat::zeros(0, count), &covariance);
        let amplitude = |rung: usize| theta.amplitudes[rung].exp();
        let scaled: Vec<f64> = data.losses.iter().zip(rungs).map(|(loss, &rung)| loss / amplitude(rung)).collect();
        let mut solved = column(scaled.iter().copied());
        factor.forward(&mut solved);
        factor.backward(&mut solved);
        let solved = solved.col_as_slice(0);
        let fit: f64 = scaled.iter().zip(solved).map(|(z, a)| z * a).sum();
        let scales: f64 = rungs.iter().map(|&rung| theta.amplitudes[rung]).sum();
        let value = -0.5 * fit - 0.5 * factor.ln_determinant() - scales;
        let inverse = factor.inverse();
        let residual = |one: usize, other: usize| solved[one] * solved[other] - inverse[(one, other)];
        let mut gradient = self.by_kernel(data, theta, &kernel, &alike, residual);
        let by_scale = |rung| (0..count).filter(|&at| rungs[at] == rung).map(|at| solved[at] * scaled[at] - 1.0).sum::<f64>();
        gradient.extend((0..data.ladder.len()).map(by_scale));
        (value, gradient)
    }

    /// The derivatives by length scales, noise and ladder. `alike` is what [`matern`] gives of each pair, `residual` a a' - K^-1.
    fn by_kernel(
        &self,
        data: &Data<'_>,
        theta: &Theta,
        kernel: &Kernel,
        alike: &[(f64, f64)],
        residual: impl Fn(usize, usize) -> f64,
    ) -> Vec<f64> {
        let (count, rungs) = (data.points.len(), data.points.rungs());
        // What is the same for all length scales.
        let mut steep = Vec::with_capacity(alike.len());
        let mut by_rungs = vec![vec![0.0; data.ladder.len()]; data.ladder.len()];
        for one in 1..count {
            for other in 0..one {
                let residual = residual(one, other);
                let (matern, slope) = alike[one * (one - 1) / 2 + other];
                steep.push(residual * slope * kernel.rungs(rungs[one], rungs[other]).0);
                by_rungs[rungs[one]][rungs[other]] += residual * matern;
            }
        }
        let by_length =
            |(length, squares): (&f64, &Vec<f64>)| (-2.0 * length).exp() * steep.iter().zip(squares).map(|(a, b)| a * b).sum::<f64>();
        let mut gradient: Vec<f64> = theta.lengths.iter().zip(&self.squares).map(by_length).collect();
        gradient.push(0.5 * kernel.noise * (0..count).map(|at| residual(at, at)).sum::<f64>());
        for slopes in data.ladder.slopes(&theta.ladder) {
            let terms = slopes.iter().flatten().zip(by_rungs.iter().flatten());
            gradient.push(terms.map(|(slope, sum)| slope * sum).sum());
        }
        gradient
    }
}

#[cfg(test)]
mod tests;
