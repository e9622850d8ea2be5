//! Histories: what a searcher may be told.
use hpo_core::{Loss, Params, Resource, Seed, Space, TrialId};
use rand::Rng;

use super::*;
use crate::chance::{below, unit};

/// A trial of a history and what came of it, in order.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) trial: TrialId,
    pub(super) params: Params,
    pub(super) outcomes: Vec<Outcome>,
}

impl Past {
    pub(super) fn seen(&self) -> impl Iterator<Item = Observation> + '_ {
        self.outcomes.iter().map(|&outcome| Observation { trial: self.trial, params: self.params.clone(), outcome })
    }
}

pub(super) fn at(resource: u32, loss: f64) -> Outcome {
    Outcome::Loss { resource: Resource(resource), loss: Loss::new(loss) }
}

/// So many trials by chance as ASHA leaves them: on rungs 1, 3 and 9, a third going on from each, one in ten failed and one in
/// ten pending.
pub(super) fn by_chance(space: &Space, seed: Seed, count: u32) -> Vec<Past> {
    let mut rng = seed.derive("past", 0).rng();
    let mut past = vec![];
    let mut random = Random::new(space.clone(), seed);
    for trial in (0..count).map(TrialId) {
        let Ok(params) = random.suggest(trial) else { break };
        random.begin(trial, &params);
        let loss = unit(&mut rng);
        let rungs = 1 + usize::from(loss < 1.0 / 3.0) + usize::from(loss < 1.0 / 9.0);
        let mut outcomes: Vec<Outcome> = [1, 3, 9][..rungs].iter().map(|&rung| at(rung, loss + 0.1 * unit(&mut rng))).collect();
        match below(&mut rng, 10) {
            0 => outcomes = vec![],
            1 => outcomes.push(Outcome::Infeasible),
            _ => {}
        }
        past.push(Past { trial, params, outcomes });
    }
    past
}

/// Begins all, then tells all, in order.
pub(super) fn learn(searcher: &mut dyn Searcher, past: &[Past]) {
    past.iter().for_each(|past| searcher.begin(past.trial, &past.params));
    past.iter().flat_map(Past::seen).for_each(|seen| searcher.tell(&seen));
}

/// Asks for so many trials from number `first` on, each pending from then on, until there are no more.
pub(super) fn ask(searcher: &mut dyn Searcher, first: u32, count: u32) -> Vec<Params> {
    let mut all = vec![];
    for trial in (first..first + count).map(TrialId) {
        let Ok(params) = searcher.suggest(trial) else { break };
        searcher.begin(trial, &params);
        all.push(params);
    }
    all
}

/// One trial after the other, each told of before the next is asked for: the best loss after so many.
pub(super) fn search(searcher: &mut dyn Searcher, count: u32, loss: impl Fn(&Params) -> f64) -> f64 {
    let mut best = f64::INFINITY;
    for trial in (0..count).map(TrialId) {
        let Ok(params) = searcher.suggest(trial) else { break };
        searcher.begin(trial, &params);
        let outcome = at(1, loss(&params));
        best = best.min(loss(&params));
        searcher.tell(&Observation { trial, params, outcome });
    }
    best
}

/// What came of all of them, as workers that race each other tell it: of each trial in its order.
pub(super) fn arrivals(past: &[Past], seed: Seed) -> Vec<Observation> {
    let mut left: Vec<_> = past.iter().map(Past::seen).collect();
    let each = past.iter().enumerate().flat_map(|(at, past)| std::iter::repeat_n(at, past.outcomes.len())).collect();
    shuffled(each, seed).into_iter().filter_map(|at| left[at].next()).collect()
}

/// In an order of its own.
pub(super) fn shuffled<T>(mut all: Vec<T>, seed: Seed) -> Vec<T> {
    let mut rng = seed.derive("shuffle", 0).rng();
    for end in (1..all.len()).rev() {
        all.swap(end, (rng.next_u64() % (end as u64 + 1)) as usize);
    }
    all
}

/// As the journal writes it: two points are the same if they read the same.
pub(super) fn written(params: &Params) -> String {
    format!("{params:?}")
}
