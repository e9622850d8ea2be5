//! Random numbers whose values do not change with a release of `rand` or with the machine's mathematical library: only
//! the generator's bits and operations that IEEE 754 defines exactly are used.
use hpo_core::Seed;
use rand::Rng;

/// 0..`count` in an order drawn from `seed` (Fisher-Yates).
pub fn permutation(count: usize, seed: Seed) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut rng = seed.rng();
    for last in (1..count).rev() {
        order.swap(last, below(&mut rng, last as u32 + 1) as usize);
    }
    order
}

/// Uniform in [0, 1), a multiple of 2^-24.
pub(super) fn unit(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// Uniform in [-1, 1).
pub(super) fn signed(rng: &mut impl Rng) -> f32 {
    2.0 * unit(rng) - 1.0
}

/// Uniform in 0..`end`, without bias worth a name: the fixed-point product of Lemire (arXiv:1805.10941) on 64 bits.
pub(super) fn below(rng: &mut impl Rng, end: u32) -> u32 {
    ((u128::from(rng.next_u64()) * u128::from(end)) >> 64) as u32
}

/// Nearly normal with mean 0 and standard deviation 1: the sum of four uniforms (Irwin-Hall), which has variance 1/3.
pub(super) fn bell(rng: &mut impl Rng) -> f32 {
    let bits = rng.next_u64();
    let sum: u32 = (0..4).map(|part| (bits >> (16 * part)) as u32 & 0xffff).sum();
    (sum as f32 / 65536.0 - 2.0) * 3_f32.sqrt()
}
