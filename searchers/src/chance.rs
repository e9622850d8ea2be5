//! Draws that must not change with a version of `rand`.
use std::f64::consts::TAU;

use rand::Rng;

/// Uniform in [0, 1) from the upper 53 bits.
pub(crate) fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// One of `0..count`, each as likely. `count` is not 0.
pub(crate) fn below(rng: &mut impl Rng, count: usize) -> usize {
    ((unit(rng) * count as f64) as usize).min(count - 1)
}

/// A standard normal number (Box and Muller, Ann. Math. Stat. 29, 1958).
pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    radius * (TAU * unit(rng)).cos()
}
