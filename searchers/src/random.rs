//! Random search: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012).
//!
//! Each dimension is drawn uniformly on its own scale, each row of a pool with equal probability. No point is proposed
//! twice while the space has others.
use std::cell::OnceCell;
use std::collections::BTreeSet;

use hpo_core::{Params, Seed, Space, TrialId, Value};
use rand::Rng;

use crate::{Observation, Searcher, SuggestFault};

/// Draws before the points that are left are counted out instead.
const DRAWS: usize = 256;

/// The searcher. A suggestion costs about a draw, however many trials there are.
#[derive(Clone, Debug)]
pub struct Random {
    space: Space,
    seed: Seed,
    /// What was proposed already, as [`Random::key`].
    taken: BTreeSet<u128>,
    /// The numbers of all points, if they can be counted out: found out when it matters first.
    points: OnceCell<Option<Vec<u128>>>,
}

impl Random {
    /// Spaces of up to so many points are counted out, and end when each was proposed once. In larger ones so many repeated
    /// draws do not happen by chance.
    pub const COUNTABLE: usize = 100_000;

    /// Nothing seen yet.
    #[must_use]
    pub fn new(space: Space, seed: Seed) -> Self {
        Self { space, seed, taken: BTreeSet::new(), points: OnceCell::new() }
    }

    /// Equal for equal points, and different for others: their number where points have numbers.
    fn key(&self, params: &Params) -> u128 {
        self.space.number_of(params).unwrap_or_else(|| fingerprint(params))
    }

    /// The points that were not proposed yet; `None` if they cannot be counted out.
    fn left(&self) -> Option<Vec<u128>> {
        let points = self.points.get_or_init(|| self.space.points(Self::COUNTABLE)).as_ref()?;
        // Both are in order, so one walk along both is enough.
        let mut taken = self.taken.iter().peekable();
        let is_left = |point: &u128| {
            while taken.next_if(|earlier| *earlier < point).is_some() {}
            taken.peek() != Some(&point)
        };
        Some(points.iter().copied().filter(is_left).collect())
    }
}

impl Searcher for Random {
    fn begin(&mut self, _: TrialId, params: &Params) {
        self.taken.insert(self.key(params));
    }

    /// Draws are independent of results.
    fn tell(&mut self, _: &Observation) {}

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        let mut rng = self.seed.derive("suggest", trial.0.into()).rng();
        let mut draw = || self.space.draw(|| unit(&mut rng));
        for _ in 0..DRAWS {
            let params = draw();
            if !self.taken.contains(&self.key(&params)) {
                return Ok(params);
            }
        }
        let Some(left) = self.left() else { return Ok(draw()) };
        let pick = (unit(&mut rng) * left.len() as f64) as usize;
        left.get(pick).and_then(|&point| self.space.point(point)).ok_or(SuggestFault::Exhausted)
    }
}

/// Uniform in [0, 1) from the upper 53 bits. Our own, because it must not change with a version of `rand`.
fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// FNV-1a of 128 bits over names and values: among 10^9 points two are equal with a probability of 10^-21.
fn fingerprint(params: &Params) -> u128 {
    /// The kind and the length keep apart what would read the same.
    fn add(hash: u128, kind: u8, bytes: &[u8]) -> u128 {
        let bytes = bytes.iter().copied().chain([kind, bytes.len() as u8]);
        bytes.fold(hash, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b))
    }
    params.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, (name, value)| {
        let hash = add(hash, 0, name.as_bytes());
        match value {
            Value::Bool(truth) => add(hash, 1, &[u8::from(*truth)]),
            Value::Text(text) => add(hash, 2, text.as_bytes()),
            // 3 and 3.0 are the same.
            Value::Int(_) | Value::Float(_) => match value.integer() {
                Some(number) => add(hash, 3, &number.to_le_bytes()),
                None => add(hash, 4, &value.number().unwrap_or_default().to_bits().to_le_bytes()),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use hpo_core::space::{Domain, Fold, Parameter, Pool};
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
        let direct = random.suggest(TrialId(5)).unwrap();
        for trial in 0..5 {
            assert_ne!(random.suggest(TrialId(trial)).unwrap(), direct);
        }
        assert_eq!(random.suggest(TrialId(5)).unwrap(), direct);
        assert_ne!(Random::new(continuum(), Seed(4)).suggest(TrialId(5)).unwrap(), direct);
    }

    /// Chi-squared test of uniformity over ten equal shares, in each dimension; one false alarm in a million.
    #[test]
    fn draws_are_uniform_on_their_scale() {
        let space = continuum();
        let random = Random::new(space.clone(), Seed(11));
        let draws: Vec<_> = (0..5000).map(|trial| space.to_unit(&random.suggest(TrialId(trial)).unwrap()).unwrap()).collect();
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

    /// Proposes until nothing is left, each proposal pending.
    fn all_of(space: Space, seed: Seed) -> Vec<Params> {
        let mut random = Random::new(space, seed);
        let mut all = vec![];
        loop {
            let trial = TrialId(all.len() as u32);
            match random.suggest(trial) {
                Ok(params) => {
                    random.begin(trial, &params);
                    all.push(params);
                }
                Err(SuggestFault::Exhausted) => return all,
            }
        }
    }

    fn distinct(all: &[Params]) -> usize {
        all.iter().map(|params| format!("{params:?}")).collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn thirty_parallel_asks_give_thirty_distinct_points_and_a_finite_space_ends() {
        let thirty = space(vec![Domain::Int { low: 1, high: 15, fold: Fold::Linear, step: 1 }, Domain::Bool]);
        let all = all_of(thirty, Seed(0));
        assert_eq!((all.len(), distinct(&all)), (30, 30));
    }

    /// On a log scale large numbers are rare: they are found all the same.
    #[test]
    fn a_finite_space_on_a_log_scale_is_used_up() {
        let all = all_of(space(vec![Domain::Int { low: 1, high: 700, fold: Fold::Log, step: 1 }]), Seed(1));
        assert_eq!((all.len(), distinct(&all)), (700, 700));
    }

    /// 2^41 combinations, of which conditions leave 41 + 1 points.
    #[test]
    fn points_that_conditions_leave_are_counted_not_combinations() {
        let chain = (0..41).map(|depth: usize| Parameter {
            name: format!("p{depth}"),
            domain: Domain::Bool,
            when: depth.checked_sub(1).map(|parent| (format!("p{parent}"), vec![true.into()])).into_iter().collect(),
        });
        let all = all_of(Space::new(chain.collect()).unwrap(), Seed(2));
        assert_eq!((all.len(), distinct(&all)), (42, 42));
    }

    #[test]
    fn a_pool_is_drawn_without_repeating_a_row_each_as_likely() {
        // Two rows are equal, and are two points.
        let cells: Vec<Vec<String>> = [1, 2, 2, 4, 5].map(|x| vec![x.to_string()]).into();
        let pool = Space::from(Pool::of_text(vec!["x".to_owned()], &cells).unwrap());
        let mut first = [0.0; 5];
        for seed in 0..2000 {
            let all = all_of(pool.clone(), Seed(seed));
            let mut rows: Vec<i64> = all.iter().map(|params| params["row"].integer().unwrap()).collect();
            first[rows[0] as usize] += 1.0;
            rows.sort_unstable();
            assert_eq!(rows, [0, 1, 2, 3, 4]);
        }
        let statistic: f64 = first.iter().map(|count: &f64| (count - 400.0).powi(2) / 400.0).sum();
        assert!(1.0 - ChiSquared::new(4.0).unwrap().cdf(statistic) > 1e-6, "{first:?}");
    }

    #[test]
    fn the_same_history_gives_the_same_suggestion_whatever_the_order_it_was_learned_in() {
        let pool = || Random::new(space(vec![Domain::Int { low: 0, high: 40, fold: Fold::Linear, step: 1 }]), Seed(5));
        let (mut forwards, mut backwards) = (pool(), pool());
        let begun: Vec<(TrialId, Params)> = (0..39).map(|x: i64| (TrialId(x as u32), [("p0".to_owned(), Value::Int(x))].into())).collect();
        begun.iter().for_each(|(trial, params)| forwards.begin(*trial, params));
        begun.iter().rev().for_each(|(trial, params)| backwards.begin(*trial, params));
        for trial in 39..60 {
            let params = forwards.suggest(TrialId(trial)).unwrap();
            assert!(params["p0"].integer().unwrap() >= 39);
            assert_eq!(params, backwards.suggest(TrialId(trial)).unwrap());
        }
    }

    #[test]
    fn fingerprints_tell_points_apart_and_forgive_how_a_number_is_written() {
        let point =
            |values: &[(&str, Value)]| -> Params { values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect() };
        let all = [
            point(&[]),
            point(&[("a", 1.into_value())]),
            point(&[("a", 2.into_value())]),
            point(&[("b", 1.into_value())]),
            point(&[("a", 1.5.into())]),
            point(&[("a", "1".into())]),
            point(&[("a", true.into())]),
            point(&[("a", "true".into())]),
            point(&[("a", "x".into()), ("b", "y".into())]),
            point(&[("a", "xb".into()), ("", "y".into())]),
        ];
        let keys: BTreeSet<u128> = all.iter().map(fingerprint).collect();
        assert_eq!(keys.len(), all.len());
        assert_eq!(fingerprint(&point(&[("a", 1.into_value())])), fingerprint(&point(&[("a", 1.0.into())])));
    }
}
