//! Random search: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012).
//!
//! Each dimension is drawn uniformly on its own scale, each row of a pool with equal probability. No point is proposed
//! twice while the space has others.
use hpo_core::{Params, Seed, Space, TrialId};

use crate::taken::Taken;
use crate::{Observation, Searcher, SuggestFault};

/// The searcher. A suggestion costs about a draw, however many trials there are.
#[derive(Clone, Debug)]
pub struct Random {
    seed: Seed,
    taken: Taken,
}

impl Random {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(space: Space, seed: Seed) -> Self {
        Self { seed, taken: Taken::new(space) }
    }
}

impl Searcher for Random {
    fn begin(&mut self, _: TrialId, params: &Params) {
        self.taken.insert(params);
    }

    /// Draws are independent of results.
    fn tell(&mut self, _: &Observation) {}

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        self.taken.draw(&mut self.seed.derive("suggest", trial.0.into()).rng())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hpo_core::Value;
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
}
