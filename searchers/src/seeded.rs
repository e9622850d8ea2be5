//! Points that are known to be good are tried first.
//!
//! Trial t of `seed_trials` gets point t, whatever the searcher beneath would say; from then on that one proposes, and knows of
//! them as of any other trial. A value that a point leaves out is that of the `prior` where there is one, else drawn by chance
//! from the sweep's seed. Points that come out equal are tried once.
use std::collections::BTreeMap;

use hpo_core::{Params, Seed, Space, TrialId, Value};

use crate::chance::unit;
use crate::partial::{PartialFault, complete};
use crate::taken::Taken;
use crate::{Observation, Prior, Searcher, SuggestFault, prior};

/// Draws for values that were left out, before a point that was there already is given up.
const DRAWS: u64 = 64;

/// The searcher around another.
pub(crate) struct Seeded {
    points: Vec<Params>,
    inner: Box<dyn Searcher>,
}

impl Seeded {
    /// # Errors
    /// The first of the points that is none of the space.
    pub(crate) fn new(
        space: &Space,
        seed: Seed,
        some: &[BTreeMap<String, Value>],
        prior: &Prior,
        inner: Box<dyn Searcher>,
    ) -> Result<Self, PartialFault> {
        Ok(Self { points: points(space, seed, some, prior)?, inner })
    }
}

/// The whole points, in order.
fn points(space: &Space, seed: Seed, some: &[BTreeMap<String, Value>], prior: &Prior) -> Result<Vec<Params>, PartialFault> {
    let believed = prior::around(space, prior);
    let mut taken = Taken::new(space.clone());
    let mut points = vec![];
    for (number, given) in some.iter().enumerate() {
        for draw in 0..DRAWS {
            let mut rng = seed.derive("seed_trial", number as u64 * DRAWS + draw).rng();
            let fill = |at: usize| {
                let chance = unit(&mut rng);
                believed.middle(at).unwrap_or(chance)
            };
            let params = complete(space, given, fill)?;
            if !taken.contains(&params) {
                taken.insert(&params);
                points.push(params);
                break;
            }
        }
    }
    Ok(points)
}

impl Searcher for Seeded {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.inner.begin(trial, params);
    }

    fn tell(&mut self, seen: &Observation) {
        self.inner.tell(seen);
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        match self.points.get(trial.0 as usize) {
            Some(params) => Ok(params.clone()),
            None => self.inner.suggest(trial),
        }
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::space::{Domain, Fold, Parameter};

    use super::*;
    use crate::{Belief, Confidence, Random};

    fn space() -> Space {
        let parameter = |name: &str, domain| Parameter { name: name.to_owned(), domain, when: Default::default() };
        let float = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
        Space::new(vec![parameter("x", float), parameter("b", Domain::Bool)]).unwrap()
    }

    fn some(values: &[&[(&str, Value)]]) -> Vec<BTreeMap<String, Value>> {
        values.iter().map(|point| point.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()).collect()
    }

    #[test]
    fn they_come_first_in_their_order_and_are_filled_in_the_same_way_each_time() {
        let known = some(&[&[("x", 0.25.into()), ("b", true.into())], &[("x", 0.75.into())], &[("x", 0.25.into()), ("b", true.into())]]);
        let seeded = |seed| Seeded::new(&space(), seed, &known, &Prior::new(), Box::new(Random::new(space(), seed))).unwrap();
        let ask = |seeded: &Seeded| (0..4).map(|trial| seeded.suggest(TrialId(trial)).unwrap()).collect::<Vec<Params>>();
        let all = ask(&seeded(Seed(3)));
        assert_eq!((&all[0]["x"], &all[0]["b"], &all[1]["x"]), (&0.25.into(), &true.into(), &0.75.into()));
        assert_eq!(all, ask(&seeded(Seed(3))));
        // The third is the first again, and tried once: trial 2 is the searcher's.
        assert_eq!(all[2], Random::new(space(), Seed(3)).suggest(TrialId(2)).unwrap());
    }

    #[test]
    fn what_is_left_out_is_what_is_believed() {
        let belief = Belief { value: 0.125.into(), confidence: Confidence::Low };
        let prior: Prior = [("x".to_owned(), belief)].into();
        let known = some(&[&[("b", false.into())]]);
        assert_eq!(points(&space(), Seed(1), &known, &prior).unwrap()[0]["x"], 0.125.into());
    }

    #[test]
    fn of_three_wishes_for_two_points_two_are_granted() {
        let parameter = Parameter { name: "b".to_owned(), domain: Domain::Bool, when: Default::default() };
        let space = Space::new(vec![parameter]).unwrap();
        assert_eq!(points(&space, Seed(1), &some(&[&[], &[], &[]]), &Prior::new()).unwrap().len(), 2);
    }
}
