//! What a rule that looks ahead predicted of a trial.
use serde::Serialize;

use crate::schedule::Judgement;
use crate::sweep::Sweep;
use crate::{Loss, Resource, TrialId};

/// How a trial was judged on its way to a rung. Metrics are in the user's direction; JSON has `null` for one that is not
/// finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// The rung that it was on its way to.
    pub to: Resource,
    /// Its metric there, as predicted; not finite if it had diverged.
    pub predicted: f64,
    /// The same with the leeway that the rule gives: to go on, this must be better than `cutoff`.
    pub at_best: f64,
    /// What the last of the best `quota` had on the rung.
    pub cutoff: f64,
    /// How many would have gone on then.
    pub quota: usize,
    /// How many had come to the rung.
    pub came: usize,
    /// How many had come there or were out.
    pub population: usize,
}

impl Outlook {
    /// Of `trial`, if it was judged by its report at `resource`.
    pub(super) fn of(sweep: &Sweep, trial: TrialId, resource: Resource) -> Option<Self> {
        let judgement = sweep.scheduler.judgement(trial).filter(|judgement| judgement.resource == resource)?;
        let Judgement { rung, predicted, leeway, cutoff, quota, came, population, .. } = judgement;
        let metric = |loss| sweep.spec.goal.metric(Loss::new(loss));
        Some(Self {
            to: sweep.spec.scheduler.ladder().resource(rung),
            predicted: metric(predicted),
            at_best: metric(predicted - leeway),
            cutoff: metric(cutoff),
            quota,
            came,
            population,
        })
    }
}
