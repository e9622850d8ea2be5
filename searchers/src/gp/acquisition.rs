//! How promising a point is, from the mean and the deviation of what the model expects there.
use std::f64::consts::{PI, SQRT_2};

use statrs::function::erf::erfc;

/// The expected improvement takes the model's deviations for so many times as large. A kernel whose parameters are the most probable
/// ones of a few dozen observations is too sure of what it says; left so, a search refines its first good region for ever. Bull
/// ("Convergence Rates of Efficient Global Optimization Algorithms", arXiv:1101.3501) has functions on which it never leaves, and Wang and
/// de Freitas ("Theoretical Analysis of Bayesian Optimisation with Unknown Gaussian Process Hyper-Parameters", arXiv:1406.7758) widen
/// the deviations for that reason. Its size was measured: docs/measurements/2026-11-22-searchers.md.
const DOUBT: f64 = 2.0;

/// What is made large.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Acquisition {
    /// The logarithm of the expected improvement on the best: Ament et al., "Unexpected Improvements to Expected Improvement for
    /// Bayesian Optimization" (arXiv:2310.20708). Where the improvement itself rounds to 0, its logarithm still has a slope. The
    /// model's deviations count twice: it is too sure of itself.
    #[default]
    LogEi,
    /// How low the loss may well be: `beta` deviations below the mean (Srinivas et al., arXiv:0912.3995).
    Ucb {
        /// How many.
        beta: f64,
    },
}

impl Acquisition {
    /// The value at a mean and a deviation, and its derivatives by both.
    pub(crate) fn at(self, best: f64, mean: f64, deviation: f64) -> (f64, f64, f64) {
        match self {
            Self::Ucb { beta } => (beta * deviation - mean, -1.0, beta),
            Self::LogEi => {
                let wide = DOUBT * deviation;
                let u = (best - mean) / wide;
                let (value, slope) = ln_h(u);
                (wide.ln() + value, -slope / wide, (1.0 - slope * u) / deviation)
            }
        }
    }
}

/// ln h(u) and its derivative, h(u) = phi(u) + u Phi(u) (eq. 9 of the paper).
fn ln_h(u: f64) -> (f64, f64) {
    let density = (-0.5 * u * u).exp() / (2.0 * PI).sqrt();
    if u > -4.0 {
        let mass = 0.5 * erfc(-u / SQRT_2);
        let h = density + u * mass;
        return (h.ln(), mass / h);
    }
    // Phi(u) = phi(u) R with Mills' ratio R = 1/(|u| + K), K = 1/(|u| + 2/(|u| + 3/(...))) (Abramowitz and Stegun 26.2.14), so that
    // h(u) = phi(u) (1 - |u| R) = phi(u) K R loses nothing to a difference of near equals.
    let k = (1..=40).rev().fold(0.0, |k, step| f64::from(step) / (k - u));
    let mills = 1.0 / (k - u);
    (-0.5 * u * u - 0.5 * (2.0 * PI).ln() + (k * mills).ln(), 1.0 / k)
}

/// ln Phi(x), the logarithm of the probability that a standard normal number is below x, and its derivative.
pub(crate) fn ln_phi(x: f64) -> (f64, f64) {
    let ln_density = -0.5 * x * x - 0.5 * (2.0 * PI).ln();
    let value = if x > -4.0 {
        (0.5 * erfc(-x / SQRT_2)).ln()
    } else {
        ln_density - (1..=40).rev().fold(-x, |below, step| f64::from(step) / below - x).ln()
    };
    (value, (ln_density - value).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by mpmath with 50 digits.
    #[test]
    fn logarithms_are_right_far_out() {
        let exact = [
            (1.0, 0.080_026_218_849_306_94),
            (-1.0, -2.485_121_025_712_641),
            (-3.9, -11.410_393_270_072_436),
            (-4.1, -12.296_899_546_413_045),
            (-10.0, -55.553_122_036_122_35),
            (-1e3, -500_014.734_452_091_16),
        ];
        for (u, expected) in exact {
            let (value, _) = ln_h(u);
            assert!((value - expected).abs() < 1e-8 * f64::abs(expected).max(1.0), "{u}: {value}");
        }
        assert!((ln_phi(-10.0).0 + 53.231_285_150_512_47).abs() < 1e-10);
        assert!((ln_phi(0.0).0 - 0.5_f64.ln()).abs() < 1e-12);
    }

    /// Both as a model was sure of them after 90 trials of LCBench task 189354, whose best region it had not seen.
    #[test]
    fn what_is_hardly_known_is_tried_before_the_same_is_refined_once_more() {
        let promise = |mean: f64, deviation: f64| Acquisition::LogEi.at(-2.27, mean, deviation).0;
        let (refined, elsewhere) = (promise(-2.27, 0.02), promise(-1.36, 0.49));
        assert!(elsewhere > refined + 1.0, "{elsewhere} and {refined}");
        assert!(promise(-2.27, 0.02) > promise(0.5, 0.49), "what is known to be bad stays bad");
    }

    #[test]
    fn slopes_are_those_of_the_values_and_there_is_no_step_where_the_formulas_meet() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-4 * (1.0 + a.abs());
        for u in [-200.0, -20.0, -4.001, -3.999, -1.0, 0.0, 2.0, 9.0] {
            for function in [ln_h, ln_phi] {
                let step = 1e-5;
                let slope = (function(u + step).0 - function(u - step).0) / (2.0 * step);
                assert!(near(function(u).1, slope), "{u}: {} and {slope}", function(u).1);
            }
        }
        assert!(near(ln_h(-4.0 - 1e-9).0, ln_h(-4.0 + 1e-9).0) && near(ln_phi(-4.0 - 1e-9).0, ln_phi(-4.0 + 1e-9).0));
        for acquisition in [Acquisition::LogEi, Acquisition::Ucb { beta: 2.0 }] {
            let value = |mean, deviation| acquisition.at(0.3, mean, deviation).0;
            let (_, by_mean, by_deviation) = acquisition.at(0.3, 1.1, 0.4);
            assert!(near(by_mean, (value(1.1 + 1e-6, 0.4) - value(1.1 - 1e-6, 0.4)) / 2e-6));
            assert!(near(by_deviation, (value(1.1, 0.4 + 1e-6) - value(1.1, 0.4 - 1e-6)) / 2e-6));
        }
    }
}
