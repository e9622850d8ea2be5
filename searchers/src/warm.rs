//! What earlier sweeps have found, for a new one: Salinas, Shen and Perrone, "A Quantile-based Approach for Hyperparameter
//! Transfer Learning" (ICML 2020, arXiv:1909.13595).
//!
//! Losses of different tasks are on different scales, so that only ranks are carried over. Of n trials of one sweep the one of
//! rank r, from 1, scores the normal quantile z = Phi^-1((r - 1/2) / n) (their psi, section 3.2); who came further is the better,
//! and on the same rung who has the smaller loss, so that each trial counts once.
//!
//! - **While warm** the searcher beneath sees one history on one rung: the past and, by the same rule, this sweep's own trials,
//!   both by their scores. It is made anew when something was learned and a proposal is asked for.
//! - **Past trials are no trials of this sweep**: they stand before the first of them, are never its best, and may be proposed
//!   again. The [`AGAIN`] best of them are the first proposals.
//! - **Soon forgotten**: when [`COOL`] trials of its own have a finite loss, or as many as past ones are known, the searcher begins
//!   anew with those alone, and as they were reported. What differs between the tasks misleads no longer.
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Loss, Params, Resource, Seed, Space, TrialId};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::spec::{BuildFault, build};
use crate::taken::Taken;
use crate::{Observation, Outcome, Searcher, SearcherSpec, SuggestFault};

/// Past trials that are tried again before anything else.
const AGAIN: usize = 3;

/// So many trials of its own are enough for a sweep to go on without the past.
const COOL: usize = 30;

/// Past trials that are used at most, evenly spread over the ranks of each sweep: more would keep a sweep from its own results.
pub const MOST: usize = 100;

/// Everything is told as of this resource.
const RUNG: Resource = Resource(1);

/// A trial of an earlier sweep as a point of this one's space.
#[derive(Clone, Debug, PartialEq)]
pub struct PastTrial {
    /// Its values.
    pub params: Params,
    /// Its score among those of its sweep, smaller is better; `None` if it failed.
    pub score: Option<f64>,
}

/// Where a trial stands among those of its sweep: the highest resource at which it has a finite loss, and that.
pub type Best = (Resource, Loss);

/// The scores of trials of one sweep, in their order.
#[must_use]
pub fn scores(all: &[Best]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(all[at].0), all[at].1, at));
    let mut scores = vec![0.0; all.len()];
    for (rank, at) in order.into_iter().enumerate() {
        scores[at] = Normal::standard().inverse_cdf((rank as f64 + 0.5) / all.len() as f64);
    }
    scores
}

/// The searcher around another.
pub(crate) struct Warm {
    space: Space,
    seed: Seed,
    method: SearcherSpec,
    past: Vec<PastTrial>,
    /// The first proposals.
    again: Vec<Params>,
    taken: Taken,
    state: State,
}

/// What the searcher beneath knows.
enum State {
    Warm {
        own: BTreeMap<TrialId, Own>,
        /// Empty when it knows less than there is to know.
        searcher: OnceCell<Box<dyn Searcher>>,
    },
    Cold(Box<dyn Searcher>),
}

#[derive(Default)]
struct Own {
    params: Params,
    outcomes: Vec<Outcome>,
}

impl Own {
    fn best(&self) -> Option<Best> {
        let finite = self.outcomes.iter().filter_map(|outcome| match *outcome {
            Outcome::Loss { resource, loss } if loss.is_finite() => Some((resource, loss)),
            _ => None,
        });
        finite.max_by_key(|(resource, _)| *resource)
    }

    fn failed(&self) -> bool {
        self.outcomes.contains(&Outcome::Infeasible)
    }
}

impl Warm {
    /// `past` has the trials of one sweep after those of another.
    ///
    /// # Errors
    /// If the searcher beneath cannot be made for the space.
    pub(crate) fn new(space: &Space, seed: Seed, method: SearcherSpec, past: &[PastTrial]) -> Result<Self, BuildFault> {
        build(&method, space, seed)?;
        let mut ranked: Vec<&PastTrial> = past.iter().filter(|trial| trial.score.is_some()).collect();
        ranked.sort_by(|one, other| one.score.unwrap_or_default().total_cmp(&other.score.unwrap_or_default()));
        let mut taken = Taken::new(space.clone());
        let mut again = vec![];
        for trial in ranked {
            if again.len() < AGAIN && !taken.contains(&trial.params) {
                taken.insert(&trial.params);
                again.push(trial.params.clone());
            }
        }
        let state = State::Warm { own: BTreeMap::new(), searcher: OnceCell::new() };
        Ok(Self { space: space.clone(), seed, method, past: past.to_vec(), again, taken: Taken::new(space.clone()), state })
    }

    fn fresh(&self) -> Box<dyn Searcher> {
        // It was made once before, when this was.
        build(&self.method, &self.space, self.seed).unwrap_or_else(|_| Box::new(crate::Random::new(self.space.clone(), self.seed)))
    }

    /// The number of one of the sweep's own trials after those of the past.
    fn after_the_past(&self, trial: TrialId) -> TrialId {
        TrialId(trial.0.saturating_add(self.past.len() as u32))
    }

    /// The searcher with the past and these trials.
    fn warmed(&self, own: &BTreeMap<TrialId, Own>) -> Box<dyn Searcher> {
        let mut searcher = self.fresh();
        let best: Vec<(TrialId, Best)> =
            own.iter().filter(|(_, own)| !own.failed()).filter_map(|(&trial, own)| Some((trial, own.best()?))).collect();
        let scores = scores(&best.iter().map(|(_, best)| *best).collect::<Vec<Best>>());
        let scores: BTreeMap<TrialId, f64> = best.iter().map(|(trial, _)| *trial).zip(scores).collect();
        let past = self.past.iter().enumerate().map(|(at, past)| (TrialId(at as u32), &past.params, Some(score(past.score))));
        let own = own.iter().map(|(trial, own)| {
            let told = if own.outcomes.is_empty() { None } else { Some(score(scores.get(trial).copied().filter(|_| !own.failed()))) };
            (self.after_the_past(*trial), &own.params, told)
        });
        let all: Vec<(TrialId, &Params, Option<Outcome>)> = past.chain(own).collect();
        all.iter().for_each(|(trial, params, _)| searcher.begin(*trial, params));
        for (trial, params, outcome) in all {
            if let Some(outcome) = outcome {
                searcher.tell(&Observation { trial, params: params.clone(), outcome });
            }
        }
        searcher
    }

    /// The searcher with the sweep's own trials alone.
    fn cooled(&self, own: &BTreeMap<TrialId, Own>) -> Box<dyn Searcher> {
        let mut searcher = self.fresh();
        own.iter().for_each(|(trial, own)| searcher.begin(*trial, &own.params));
        for (&trial, Own { params, outcomes }) in own {
            outcomes.iter().for_each(|&outcome| searcher.tell(&Observation { trial, params: params.clone(), outcome }));
        }
        searcher
    }
}

/// What is told of a trial with this score.
fn score(score: Option<f64>) -> Outcome {
    score.map_or(Outcome::Infeasible, |score| Outcome::Loss { resource: RUNG, loss: Loss::new(score) })
}

impl Searcher for Warm {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.taken.insert(params);
        let later = self.after_the_past(trial);
        match &mut self.state {
            State::Warm { own, searcher } => {
                own.entry(trial).or_insert_with(|| Own { params: params.clone(), outcomes: vec![] });
                if let Some(searcher) = searcher.get_mut() {
                    searcher.begin(later, params);
                }
            }
            State::Cold(searcher) => searcher.begin(trial, params),
        }
    }

    fn tell(&mut self, seen: &Observation) {
        self.begin(seen.trial, &seen.params);
        let own = match &mut self.state {
            State::Cold(searcher) => return searcher.tell(seen),
            State::Warm { own, searcher } => {
                own.entry(seen.trial).or_default().outcomes.push(seen.outcome);
                searcher.take();
                own
            }
        };
        if own.values().filter(|own| own.best().is_some()).count() >= self.past.len().min(COOL) {
            let own = std::mem::take(own);
            self.state = State::Cold(self.cooled(&own));
        }
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        let (own, searcher) = match &self.state {
            State::Cold(searcher) => return searcher.suggest(trial),
            State::Warm { own, searcher } => (own, searcher),
        };
        if let Some(params) = self.again.iter().find(|params| !self.taken.contains(params)) {
            return Ok(params.clone());
        }
        let later = self.after_the_past(trial);
        match searcher.get_or_init(|| self.warmed(own)).suggest(later) {
            Ok(params) => Ok(params),
            // What is left of a small space are points of the past.
            Err(SuggestFault::Exhausted) => self.taken.draw(&mut self.seed.derive("again", trial.0.into()).rng()),
        }
    }
}

/// At most so many of these, evenly spread over their ranks, the best among them.
#[must_use]
pub fn thinned(mut trials: Vec<PastTrial>, most: usize) -> Vec<PastTrial> {
    let count = trials.len();
    if count <= most {
        return trials;
    }
    let key = |trial: &PastTrial| trial.score.unwrap_or(f64::INFINITY);
    trials.sort_by(|one, other| key(one).total_cmp(&key(other)));
    let kept: BTreeSet<usize> = (0..most).map(|at| at * count / most).collect();
    trials.into_iter().enumerate().filter(|(at, _)| kept.contains(at)).map(|(_, trial)| trial).collect()
}

#[cfg(test)]
mod tests;
