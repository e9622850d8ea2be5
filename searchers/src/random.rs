//! Random search: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012).
//!
//! Each dimension is drawn uniformly on its own scale. No point is proposed twice while the space has others.
use std::collections::BTreeSet;

use hpo_core::{Params, Seed, Space, TrialId};
use rand::Rng;

use crate::{Observation, Pending, Searcher, SuggestFault};

/// Draws before the points of a finite space are counted out instead.
const DRAWS: usize = 256;
/// Spaces up to this many points are counted out; in larger ones, so many repeated draws do not happen by chance.
const COUNTABLE: u64 = 100_000;

/// The searcher.
#[derive(Clone, Debug)]
pub struct Random {
    space: Space,
    seed: Seed,
    seen: BTreeSet<String>,
}

impl Random {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(space: Space, seed: Seed) -> Self {
        Self { space, seed, seen: BTreeSet::new() }
    }

    /// Every point of a finite space, in order; points that differ only in inactive parameters come once.
    fn points(&self) -> Vec<Params> {
        let sizes: Vec<u64> = self.space.parameters().iter().map(|parameter| parameter.domain.size().unwrap_or(1)).collect();
        let mut known = BTreeSet::new();
        let mut digits = vec![0_u64; sizes.len()];
        let mut points = vec![];
        loop {
            let unit: Vec<f64> = digits.iter().zip(&sizes).map(|(&digit, &size)| (digit as f64 + 0.5) / size as f64).collect();
            let params = self.space.from_unit(&unit);
            if known.insert(key(&params)) {
                points.push(params);
            }
            let Some(place) = (0..sizes.len()).rev().find(|&place| digits[place] + 1 < sizes[place]) else { return points };
            digits[place] += 1;
            digits[place + 1..].fill(0);
        }
    }
}

impl Searcher for Random {
    fn tell(&mut self, seen: &Observation) {
        self.seen.insert(key(&seen.params));
    }

    fn suggest(&self, trial: TrialId, pending: &[Pending]) -> Result<Params, SuggestFault> {
        let out: BTreeSet<String> = pending.iter().map(|pending| key(&pending.params)).collect();
        let new = |params: &Params| {
            let key = key(params);
            !out.contains(&key) && !self.seen.contains(&key)
        };
        let mut rng = self.seed.derive("suggest", trial.0.into()).rng();
        let mut draw = || {
            let unit: Vec<f64> = self.space.parameters().iter().map(|_| unit(&mut rng)).collect();
            self.space.from_unit(&unit)
        };
        if let Some(params) = (0..DRAWS).map(|_| draw()).find(|params| new(params)) {
            return Ok(params);
        }
        match self.space.size() {
            Some(size) if size <= COUNTABLE => {
                let mut left: Vec<Params> = self.points().into_iter().filter(|params| new(params)).collect();
                if left.is_empty() {
                    return Err(SuggestFault::Exhausted);
                }
                let pick = (unit(&mut rng) * left.len() as f64) as usize;
                Ok(left.swap_remove(pick.min(left.len() - 1)))
            }
            _ => Ok(draw()),
        }
    }
}

/// Uniform in [0, 1) from the upper 53 bits. Our own, because it must not change with a version of `rand`.
fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Equal for equal points.
fn key(params: &Params) -> String {
    use std::fmt::Write;
    params.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}={value};");
        text
    })
}

#[cfg(test)]
mod tests {
    use hpo_core::Value;
    use hpo_core::space::{Domain, Fold, Parameter};
    use statrs::distribution::{ChiSquared, ContinuousCDF};

    use super::*;

    fn space(domains: Vec<Domain>) -> Space {
        let named = domains.into_iter().enumerate();
        Space::new(named.map(|(index, domain)| Parameter { name: format!("p{index}"), domain, when: Default::default() }).collect())
            .unwrap()
    }

    fn continuum() -> Space {
        space(vec![
            Domain::Float { low: 1e-4, high: 1e-1, fold: Fold::Log, step: None },
            Domain::Int { low: 0, high: 9, fold: Fold::Linear, step: 1 },
            Domain::Choice { values: vec!["a".into(), "b".into(), "c".into()], ordered: false },
            Domain::Constant(3.into_value()),
        ])
    }

    trait IntoValue {
        fn into_value(self) -> Value;
    }
    impl IntoValue for i64 {
        fn into_value(self) -> Value {
            Value::Int(self)
        }
    }

    #[test]
    fn equal_seeds_give_equal_suggestions_whatever_was_asked_before() {
        let random = Random::new(continuum(), Seed(3));
        let direct = random.suggest(TrialId(5), &[]).unwrap();
        for trial in 0..5 {
            assert_ne!(random.suggest(TrialId(trial), &[]).unwrap(), direct);
        }
        assert_eq!(random.suggest(TrialId(5), &[]).unwrap(), direct);
        assert_ne!(Random::new(continuum(), Seed(4)).suggest(TrialId(5), &[]).unwrap(), direct);
    }

    /// Chi-squared test of uniformity over ten equal shares, in each dimension; one false alarm in a million.
    #[test]
    fn draws_are_uniform_on_their_scale() {
        let space = continuum();
        let random = Random::new(space.clone(), Seed(11));
        let draws: Vec<_> = (0..5000).map(|trial| space.to_unit(&random.suggest(TrialId(trial), &[]).unwrap()).unwrap()).collect();
        for (dimension, shares) in [(0, 10.0), (1, 10.0), (2, 3.0)] {
            let mut counts = vec![0.0; shares as usize];
            for draw in &draws {
                counts[(draw[dimension].unwrap() * shares) as usize] += 1.0;
            }
            let expected = draws.len() as f64 / shares;
            let statistic: f64 = counts.iter().map(|count| (count - expected) * (count - expected) / expected).sum();
            let p = 1.0 - ChiSquared::new(shares - 1.0).unwrap().cdf(statistic);
            assert!(p > 1e-6, "dimension {dimension}: {counts:?}");
        }
    }

    #[test]
    fn thirty_parallel_asks_give_thirty_distinct_points_and_a_finite_space_ends() {
        let thirty = space(vec![Domain::Int { low: 1, high: 15, fold: Fold::Linear, step: 1 }, Domain::Bool]);
        let random = Random::new(thirty, Seed(0));
        let mut pending: Vec<Pending> = vec![];
        for trial in 0..30 {
            let params = random.suggest(TrialId(trial), &pending).unwrap();
            assert!(pending.iter().all(|other| other.params != params));
            pending.push(Pending { trial: TrialId(trial), params });
        }
        assert_eq!(random.suggest(TrialId(30), &pending), Err(SuggestFault::Exhausted));
    }
}
