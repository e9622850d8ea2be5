//! Kernel ridge regression on a few dozen examples: Saunders, Gammerman, Vovk, "Ridge Regression Learning Algorithm in Dual
//! Variables", ICML 1998; the error by leave-one-out as in Rasmussen, Williams, "Gaussian Processes for Machine Learning",
//! MIT Press 2006, eq. 5.12.
//!
//! For n inputs x_i and targets y_i, standardised as below, with the mean m of the y_i:
//!
//! - f(x) = m + sum_i a_i k(x_i, x), where (K + lambda I) a = y - m and K_ij = k(x_i, x_j);
//! - k(x, z) = 1 / (1 + |x - z|^2 / (2 l^2)), the rational quadratic kernel (alpha = 1);
//! - l^2 is the median of |x_i - x_j|^2 over all pairs, and lambda = 0.1;
//! - e_i = a_i / ((K + lambda I)^-1)_ii is the error at x_i of the fit without it, and [`Ridge::error`] the root of the mean
//!   of the e_i^2.
//!
//! A figure v is standardised to (v - median) / (1.4826 MAD), cut off at +-3: one curve that has diverged must not set the
//! scale of all others. Only + - * / and the square root are used, whose rounding IEEE 754 prescribes: the same examples
//! give the same bits on every machine.

/// Added to the diagonal, in units of the kernel's k(x, x) = 1.
const LAMBDA: f64 = 0.1;
/// Standard deviations beyond which a figure is cut off.
const CUT: f64 = 3.0;

/// A fit.
#[derive(Clone, Debug)]
pub(super) struct Ridge {
    /// Of the first columns; the others are taken as they are.
    scales: Vec<Scale>,
    target: Scale,
    inputs: Vec<Vec<f64>>,
    /// l^2.
    length: f64,
    weights: Vec<f64>,
    mean: f64,
    error: f64,
}

impl Ridge {
    /// Fits n `inputs` of d columns each, of which the first `scaled` are standardised, to n `targets`; O(n^3 + n^2 d). None
    /// without examples, or if their figures are too large to reckon with.
    pub(super) fn fit(mut inputs: Vec<Vec<f64>>, scaled: usize, targets: &[f64]) -> Option<Self> {
        assert_eq!(inputs.len(), targets.len(), "one target an input");
        let column = |column: usize| inputs.iter().map(move |input| input[column]);
        let scales: Vec<Scale> = (0..scaled).map(|index| Scale::of(column(index).collect())).collect();
        inputs.iter_mut().for_each(|input| standardise(&scales, input));
        let target = Scale::of(targets.to_vec());
        let targets: Vec<f64> = targets.iter().map(|&value| target.standard(value)).collect();
        let mean = targets.iter().sum::<f64>() / targets.len() as f64;
        let pairs = inputs.iter().enumerate().flat_map(|(index, x)| inputs[..index].iter().map(|z| distance(x, z))).collect();
        let length = Some(median(pairs)).filter(|&median| median > 0.0).unwrap_or(1.0);
        let kernel = inputs.iter().enumerate().map(|(index, x)| inputs[..=index].iter().map(|z| similar(x, z, length)).collect());
        let factor = Cholesky::of(kernel.collect())?;
        let weights = factor.solve(targets.iter().map(|value| value - mean).collect());
        let misses = weights.iter().zip(factor.inverse_diagonal()).map(|(weight, inverse)| (weight / inverse) * (weight / inverse));
        let error = (misses.sum::<f64>() / weights.len() as f64).sqrt() * target.spread;
        error.is_finite().then_some(Self { scales, target, inputs, length, weights, mean, error })
    }

    /// f at `input`, which has the columns of the examples.
    pub(super) fn predict(&self, mut input: Vec<f64>) -> f64 {
        standardise(&self.scales, &mut input);
        let near = self.inputs.iter().zip(&self.weights).map(|(x, weight)| weight * similar(x, &input, self.length));
        self.target.middle + (self.mean + near.sum::<f64>()) * self.target.spread
    }

    /// By how much the fit without an example misses it: root mean square, in units of the targets.
    pub(super) fn error(&self) -> f64 {
        self.error
    }
}

/// Where figures lie, and how far apart.
#[derive(Clone, Copy, Debug)]
struct Scale {
    middle: f64,
    spread: f64,
}

impl Scale {
    /// Median and MAD. Where more than half of the figures are equal and the MAD is zero, the mean deviation takes its place.
    fn of(figures: Vec<f64>) -> Self {
        let middle = median(figures.clone());
        let deviations: Vec<f64> = figures.iter().map(|figure| (figure - middle).abs()).collect();
        let mean = deviations.iter().sum::<f64>() / deviations.len() as f64;
        let spread = [1.4826 * median(deviations), mean].into_iter().find(|&spread| spread > 0.0).unwrap_or(1.0);
        Self { middle, spread }
    }

    fn standard(self, figure: f64) -> f64 {
        ((figure - self.middle) / self.spread).clamp(-CUT, CUT)
    }
}

fn standardise(scales: &[Scale], input: &mut [f64]) {
    input.iter_mut().zip(scales).for_each(|(figure, scale)| *figure = scale.standard(*figure));
}

/// The middle figure, or the mean of the middle two; 0 of none.
fn median(mut figures: Vec<f64>) -> f64 {
    if figures.is_empty() {
        return 0.0;
    }
    let half = figures.len() / 2;
    let even = figures.len().is_multiple_of(2);
    let (below, &mut upper, _) = figures.select_nth_unstable_by(half, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| even);
    lower.map_or(upper, |lower| lower / 2.0 + upper / 2.0)
}

/// |x - z|^2.
fn distance(x: &[f64], z: &[f64]) -> f64 {
    x.iter().zip(z).map(|(x, z)| (x - z) * (x - z)).sum()
}

/// k(x, z).
fn similar(x: &[f64], z: &[f64], length: f64) -> f64 {
    1.0 / (1.0 + distance(x, z) / (2.0 * length))
}

/// K + lambda I = L L^T.
#[derive(Clone, Debug)]
struct Cholesky {
    /// L, row i with its i + 1 figures.
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Of the lower triangle of K. None if figures are not finite; K itself is positive semidefinite.
    fn of(kernel: Vec<Vec<f64>>) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(kernel.len());
        for mut row in kernel {
            let last = row.len() - 1;
            for column in 0..last {
                row[column] = (row[column] - dot(&row[..column], &rows[column])) / rows[column][column];
            }
            let pivot = row[last] + LAMBDA - dot(&row[..last], &row);
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            row[last] = pivot.sqrt();
            rows.push(row);
        }
        Some(Self { rows })
    }

    /// a with L L^T a = `values`.
    fn solve(&self, values: Vec<f64>) -> Vec<f64> {
        let mut values = self.forward(values, 0);
        for (index, row) in self.rows.iter().enumerate().rev() {
            values[index] /= row[index];
            let (above, rest) = values.split_at_mut(index);
            above.iter_mut().zip(row).for_each(|(value, figure)| *value -= figure * rest[0]);
        }
        values
    }

    /// v with L v = `values`, of which those before `first` are zero.
    fn forward(&self, mut values: Vec<f64>, first: usize) -> Vec<f64> {
        for (index, row) in self.rows.iter().enumerate().skip(first) {
            values[index] = (values[index] - dot(&values[first..index], &row[first..])) / row[index];
        }
        values
    }

    /// The diagonal of (L L^T)^-1: the squared lengths of the columns of L^-1.
    fn inverse_diagonal(&self) -> impl Iterator<Item = f64> {
        (0..self.rows.len()).map(|index| {
            let mut unit = vec![0.0; self.rows.len()];
            unit[index] = 1.0;
            self.forward(unit, index).iter().map(|figure| figure * figure).sum()
        })
    }
}

/// Of as many as the shorter has. In four sums, for one would wait for itself at every figure.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    for (a, b) in a.chunks(4).zip(b.chunks(4)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums[0] + sums[1] + sums[2] + sums[3]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    /// Two examples: l^2 is their distance squared, k between them 1 / (1 + 1/2) = 2/3, and the standardised targets are
    /// +-1/1.4826 about their mean 0, so that a = +-t / (1 + lambda - 2/3).
    #[test]
    fn two_examples_have_a_closed_form() {
        let fit = Ridge::fit(vec![vec![0.2, 5.0], vec![0.6, 9.0]], 0, &[10.0, 14.0]).unwrap();
        let weight = 1.0 / (1.0 / 3.0 + LAMBDA);
        assert!(near(fit.predict(vec![0.2, 5.0]), 12.0 - 2.0 * weight / 3.0));
        assert!(near(fit.predict(vec![0.4, 7.0]), 12.0), "half way between them");
        // At distance d from the first and 2 d from the second: k = 2/3 and 1 / (1 + 4/2) = 1/3.
        assert!(near(fit.predict(vec![-0.2, 1.0]), 12.0 - 2.0 * weight / 3.0));
        // Without the other, an example is thought to lie at k / (1 + lambda) times the other's deviation.
        assert!(near(fit.error(), 2.0 * (1.0 + 2.0 / 3.0 / (1.0 + LAMBDA))));
    }

    #[test]
    fn one_that_has_diverged_sets_no_scale() {
        let inputs = || (0..20).map(|index| vec![f64::from(index)]).collect::<Vec<_>>();
        let mut targets: Vec<f64> = (0..20).map(|index| 3.0 * f64::from(index)).collect();
        let calm = Ridge::fit(inputs(), 1, &targets).unwrap();
        targets[19] = 1e9;
        let wild = Ridge::fit(inputs(), 1, &targets).unwrap();
        for x in 0..15 {
            let (calm, wild) = (calm.predict(vec![f64::from(x)]), wild.predict(vec![f64::from(x)]));
            assert!((calm - wild).abs() < 6.0, "{calm} {wild}");
        }
        assert!(calm.error() < 5.0 && wild.error() < 15.0, "{} {}", calm.error(), wild.error());
    }

    #[test]
    fn figures_that_are_all_equal_or_too_large_do_no_harm() {
        let flat = Ridge::fit(vec![vec![1.0]; 4], 1, &[2.0; 4]).unwrap();
        assert_eq!((flat.predict(vec![1.0]), flat.predict(vec![7.0]), flat.error()), (2.0, 2.0, 0.0));
        assert!(Ridge::fit(vec![], 0, &[]).is_none());
        let fit = |x: f64, y: f64| Ridge::fit(vec![vec![x], vec![-x], vec![x]], 1, &[y, -y, 0.0]);
        assert!(fit(1e308, 1.0).is_none(), "the inputs lie farther apart than a float can say");
        assert!(fit(1.0, 1.7e308).is_none(), "and so do the targets");
        let (large, small) = (fit(1e200, 1e200).unwrap(), fit(1.0, 1.0).unwrap());
        assert!(near(large.error() / 1e200, small.error()) && small.error() > 0.5, "{} {}", large.error(), small.error());
        for x in [-1.0, 0.5, 1.0] {
            assert!(near(large.predict(vec![x * 1e200]) / 1e200, small.predict(vec![x])));
        }
    }

    #[test]
    fn the_same_examples_give_the_same_bits_on_every_machine() {
        let figure = |index: u32, by: u32| f64::from(index * by % 17) / 16.0;
        let inputs: Vec<Vec<f64>> = (0..30).map(|index| vec![figure(index, index), figure(index, 5), figure(index, 7)]).collect();
        let targets: Vec<f64> = (0..30).map(|index| figure(index * index, 3) + figure(index, 5).sqrt()).collect();
        let fit = Ridge::fit(inputs, 2, &targets).unwrap();
        // Frozen: other bits are other decisions, and journals would not replay.
        assert_eq!(
            [fit.predict(vec![0.3, 0.6, 0.9]), fit.error()].map(f64::to_bits),
            [4_608_676_648_026_402_297, 4_595_703_240_950_633_487]
        );
    }

    proptest! {
        #[test]
        fn the_factor_solves_and_its_errors_are_those_of_fits_without_one(
            inputs in prop::collection::vec(prop::collection::vec(-2.0..2.0, 3), 2..12),
            targets in prop::collection::vec(-5.0..5.0, 12),
        ) {
            let n = inputs.len();
            let targets = &targets[..n];
            let kernel = |kept: &[usize]| -> Vec<Vec<f64>> {
                let row = |&i: &usize| kept.iter().take_while(|&&j| j <= i).map(|&j| similar(&inputs[i], &inputs[j], 0.7)).collect();
                kept.iter().map(row).collect()
            };
            let all: Vec<usize> = (0..n).collect();
            let factor = Cholesky::of(kernel(&all)).unwrap();
            let weights = factor.solve(targets.to_vec());
            for i in 0..n {
                let back: f64 = (0..n).map(|j| weights[j] * (similar(&inputs[i], &inputs[j], 0.7) + if i == j { LAMBDA } else { 0.0 })).sum();
                prop_assert!(near(back, targets[i]));
            }
            for (i, inverse) in factor.inverse_diagonal().enumerate() {
                let others: Vec<usize> = all.iter().copied().filter(|&j| j != i).collect();
                let without = Cholesky::of(kernel(&others)).unwrap().solve(others.iter().map(|&j| targets[j]).collect());
                let guess: f64 = others.iter().zip(&without).map(|(&j, weight)| weight * similar(&inputs[i], &inputs[j], 0.7)).sum();
                prop_assert!(near(weights[i] / inverse, targets[i] - guess));
            }
        }
    }
}
