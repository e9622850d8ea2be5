//! Who goes on, by the words of each paper and in the slowest way: everything is looked at again for every question.
mod asha;
mod ridge;
mod rounds;
mod stops;
mod swift;

use std::collections::BTreeSet;

use hpo_core::schedule::SchedulerSpec;
use hpo_core::{Loss, Params, SweepSpec, TrialId};

/// A rule as a reader of its paper would write it down. Resources, not rungs: `to` is where a trial is to come to.
pub trait Rule: std::fmt::Debug {
    /// The values of a new trial.
    fn suggested(&mut self, _trial: TrialId, _params: &Params) {}
    /// A new trial; answers where its first lease leads to.
    fn entered(&mut self, trial: TrialId) -> u32;
    /// A trial came further than before; answers whether it is stopped, or none if that hangs on a last digit.
    fn progressed(&mut self, _trial: TrialId, _resource: u32, _loss: Loss) -> Option<bool> {
        Some(false)
    }
    /// A trial is at the end of its lease.
    fn came(&mut self, _trial: TrialId, _resource: u32, _loss: Loss) {}
    /// A trial was stopped, or failed for good.
    fn out(&mut self, _trial: TrialId) {}
    /// Nobody more will come.
    fn no_more(&mut self) {}
    /// Who is to go on now, and to where.
    fn next(&self) -> Option<(TrialId, u32)> {
        None
    }
    /// Of trials that are paused, those that will never go on, whatever the others do.
    fn hopeless(&self, _paused: &[TrialId]) -> BTreeSet<TrialId> {
        BTreeSet::new()
    }
    /// It was done.
    fn promoted(&mut self, _trial: TrialId) {}
}

/// The rule of a sweep.
#[must_use]
pub fn of(spec: &SweepSpec) -> Box<dyn Rule> {
    let rungs: Vec<u32> = spec.scheduler.ladder().rungs().iter().map(|rung| rung.0).collect();
    let eta = spec.scheduler.ladder().eta() as usize;
    let most = spec.budget.max_trials;
    match &spec.scheduler {
        SchedulerSpec::Fifo { .. } => Box::new(stops::Never { top: top(&rungs) }),
        SchedulerSpec::AshaStop { .. } => Box::new(stops::Percentile::new(rungs, eta)),
        SchedulerSpec::Median { min_trials, .. } => Box::new(stops::Median::new(&rungs, *min_trials as usize)),
        SchedulerSpec::AshaPromote { .. } => Box::new(asha::Asha::new(vec![1], rungs, eta).at_most(most)),
        SchedulerSpec::HyperbandAsync(brackets) => {
            // The weights are not public, and what is computed from them is what is judged.
            let written = serde_json::to_value(brackets).unwrap_or_default();
            let weights = written["weights"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_i64).collect();
            Box::new(asha::Asha::new(weights, rungs, eta).at_most(most))
        }
        SchedulerSpec::Halving { bracket, .. } => {
            let least = eta.pow(rungs.len() as u32 - 1) as u32;
            let members = bracket.or(most).unwrap_or(least).max(1) as usize;
            Box::new(rounds::Rounds::new(vec![(0, members)], rungs, eta))
        }
        SchedulerSpec::Hyperband { .. } => Box::new(rounds::Rounds::new(rounds::brackets(rungs.len(), eta), rungs, eta)),
        SchedulerSpec::Swift { decide_at, margin, .. } => {
            let rounds = rounds::Rounds::new(rounds::brackets(rungs.len(), eta), rungs.clone(), eta);
            Box::new(swift::Swift::new(rounds, rungs, spec.space.clone(), *decide_at, *margin))
        }
        SchedulerSpec::Pasha { epsilon, .. } => Box::new(asha::Asha::growing(*epsilon, rungs, eta).at_most(most)),
    }
}

fn top(rungs: &[u32]) -> u32 {
    rungs.last().copied().unwrap_or_default()
}
