//! Losses made fit for a model of normal noise.
//!
//! What is told of bad trials is of little use: how much worse than the others they are says nothing about where the best one is, and
//! a few of them that diverged would set the scale for all. The three ways here keep the order.
use hpo_core::Loss;
use statrs::distribution::{ContinuousCDF, Normal};

/// How losses are transformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Warp {
    /// (y - median) / (deviation of the better half), and the worse half by its logarithm: the idea of the half-rank and log
    /// warping of Song et al., "The Vizier Gaussian Process Bandit Algorithm" (arXiv:2408.11527), in one smooth function of the value,
    /// so that several rungs can share it.
    #[default]
    Tail,
    /// Less the mean, by the standard deviation.
    Standard,
    /// The normal quantile of the rank: Salinas, Shen and Perrone, "A Quantile-based Approach for Hyperparameter Transfer
    /// Learning" (ICML 2020).
    Rank,
}

/// What a value more than so many deviations of the better half below the median counts, it counts by its logarithm: no
/// single loss may set the scale for the others.
const BEST: f64 = 6.0;

/// The logarithm ends here: beyond about twenty deviations all losses are alike.
const WORST: f64 = 3.0;

/// The warped losses; those that are not finite count as the worst that are. None if none is.
pub(crate) fn warp(how: Warp, losses: &[Loss]) -> Option<Vec<f64>> {
    let mut sorted: Vec<f64> = losses.iter().filter(|loss| loss.is_finite()).map(|loss| loss.get()).collect();
    sorted.sort_by(f64::total_cmp);
    let worst = *sorted.last()?;
    let values: Vec<f64> = losses.iter().map(|loss| if loss.is_finite() { loss.get() } else { worst }).collect();
    let warped: Vec<f64> = match how {
        Warp::Rank => ranks(&values),
        Warp::Standard => scaled(&values, mean(&sorted), deviation(&sorted, mean(&sorted))),
        Warp::Tail => {
            let median = sorted[(sorted.len() - 1) / 2];
            let better = &sorted[..sorted.len().div_ceil(2)];
            scaled(&values, median, deviation(better, median)).into_iter().map(tail).collect()
        }
    };
    // Whatever the transform, what the kernel expects is of about unit variance.
    let middle = mean(&warped);
    let spread = deviation(&warped, middle);
    Some(scaled(&warped, middle, spread))
}

fn tail(value: f64) -> f64 {
    match value {
        worse if worse > 0.0 => worse.ln_1p().min(WORST),
        best if best < -BEST => -BEST - (-BEST - best).ln_1p(),
        _ => value,
    }
}

/// (x - middle) / spread, and 0 where there is no spread. Numbers near the largest there are overflow to nothing.
fn scaled(values: &[f64], middle: f64, spread: f64) -> Vec<f64> {
    let one = |value: &f64| match value / spread - middle / spread {
        sound if sound.is_finite() => sound.clamp(-1e9, 1e9),
        _ => 0.0,
    };
    values.iter().map(one).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().map(|value| value / values.len() as f64).sum()
}

/// Root mean square distance from the middle.
fn deviation(values: &[f64], middle: f64) -> f64 {
    let most = values.iter().map(|value| (value - middle).abs()).fold(0.0, f64::max);
    let squares = values.iter().map(|value| ((value - middle) / most).powi(2));
    most * (squares.sum::<f64>() / values.len() as f64).sqrt()
}

/// Equal values have the rank in the middle of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let normal = Normal::standard();
    let rank = |value: &f64| {
        let (below, up_to) = (sorted.partition_point(|other| other < value), sorted.partition_point(|other| other <= value));
        normal.inverse_cdf((below + up_to) as f64 / (2 * sorted.len()) as f64)
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(values: &[f64]) -> Vec<Loss> {
        values.iter().map(|&value| Loss::new(value)).collect()
    }

    #[test]
    fn the_order_stays_and_what_diverged_is_as_bad_as_the_worst() {
        let told = losses(&[3.0, 1.0, 4.0, 1.5, 9.0, f64::NAN, 2.6, 1e12, f64::NEG_INFINITY]);
        for how in [Warp::Tail, Warp::Standard, Warp::Rank] {
            let warped = warp(how, &told).unwrap();
            for (one, a) in told.iter().zip(&warped) {
                for (other, b) in told.iter().zip(&warped) {
                    // `Standard` cannot tell small numbers apart beside a large one.
                    assert!(one > other || a <= b, "{how:?}: {one:?} and {other:?} become {a} and {b}");
                }
            }
            assert_eq!(warped[5], warped[7], "{how:?}");
            assert_eq!(warped[8], warped[7], "{how:?}");
        }
        let tail = warp(Warp::Tail, &told).unwrap();
        assert!(tail[0] - tail[1] > 0.3, "one diverged trial leaves the others apart: {tail:?}");
    }

    #[test]
    fn nothing_that_a_trial_may_say_becomes_infinite() {
        let odd = [f64::MAX, f64::MIN, 0.0, -0.0, f64::MIN_POSITIVE, f64::INFINITY, 1.0];
        for how in [Warp::Tail, Warp::Standard, Warp::Rank] {
            assert!(warp(how, &losses(&odd)).unwrap().iter().all(|value| value.abs() < 1e3), "{how:?}");
            assert!(warp(how, &losses(&[0.25; 4])).unwrap().iter().all(|value| *value == 0.0), "{how:?}");
        }
        assert_eq!(warp(Warp::Tail, &losses(&[f64::NAN])), None);
    }
}
