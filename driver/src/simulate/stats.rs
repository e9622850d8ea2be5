//! Medians over seeds, and how sure they are.
use hpo_core::Seed;
use rand::Rng;

/// Resamples of a bootstrap.
const RESAMPLES: u64 = 2000;

/// A median with the interval that holds it in 95 of 100 resamples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The median.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The median of `values`, with a 95 % percentile bootstrap (Efron, Ann. Stat. 7, 1979): medians of 2000 samples of
    /// the same size, drawn with replacement from a fixed seed. Values may be infinite. None if there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let middle = median(values)?;
        let mut medians: Vec<f64> = (0..RESAMPLES).filter_map(|sample| median(&resample(values, sample))).collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[((medians.len() - 1) as f64 * share).round() as usize];
        Some(Self { median: middle, low: at(0.025), high: at(0.975) })
    }
}

fn resample(values: &[f64], sample: u64) -> Vec<f64> {
    let mut rng = Seed(0).derive("bootstrap", sample).rng();
    // Of 64 bits, the modulo's bias is less than one in 10^16 for any number of seeds.
    (0..values.len()).map(|_| values[(rng.next_u64() % values.len() as u64) as usize]).collect()
}

/// The middle value, or the mean of the two middle ones. None if there are none.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = sorted[sorted.len() / 2 - 1];
    // The mean of two infinities is theirs; of a number and infinity, infinity.
    Some(if lower == upper { upper } else { lower + (upper - lower) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[1.0, f64::INFINITY]), Some(f64::INFINITY));
        assert_eq!(median(&[f64::INFINITY, f64::INFINITY]), Some(f64::INFINITY));
        assert_eq!(median(&[]), None);
    }

    /// For 101 values 0..=100 the standard error of the median of a uniform sample is about 5: the interval is 50 +- 10.
    #[test]
    fn the_interval_is_as_wide_as_theory_has_it_and_always_the_same() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        let found = Interval::of(&values).unwrap();
        assert_eq!(found.median, 50.0);
        assert!((36.0..=44.0).contains(&found.low) && (56.0..=64.0).contains(&found.high), "{found:?}");
        assert_eq!(Interval::of(&values), Some(found));
        assert_eq!(Interval::of(&[7.0]), Some(Interval { median: 7.0, low: 7.0, high: 7.0 }));
    }
}
