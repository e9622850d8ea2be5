//! Schedulers: who goes on. One rule, one paper, one file. To add one: a file here, a variant in [`SchedulerSpec`], a
//! line in [`build`], one in the suite `contract`.
mod asha;
mod asha_stop;
#[cfg(test)]
mod contract;
mod fifo;
pub mod halving;
pub mod hyperband;
mod hyperband_async;
mod ladder;
mod median;
mod noise;
mod pasha;
mod pass;
mod quantile;
mod rounds;
mod spec;
mod swift;

use std::any::Any;

pub use asha::AshaPromote;
pub use asha_stop::AshaStop;
pub use fifo::Fifo;
pub use hyperband_async::{Brackets, BracketsFault, HyperbandAsync};
pub use ladder::{Anchor, Ladder, LadderFault};
pub use median::Median;
pub use pasha::Pasha;
pub use pass::{Bracket, BracketPlan, Pass};
pub use rounds::Rounds;
pub use spec::SchedulerSpec;
pub use swift::Swift;

use crate::{Loss, Params, Resource, Space, TrialId};

/// Which rung of a ladder, from 0 at the bottom.
pub type Rung = usize;

/// What orders the members of a rung. Ties break by trial id, so that equal journals give equal decisions.
pub type Place = (Loss, TrialId);

/// What becomes of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It trains on towards the end of its lease.
    Continue,
    /// Its lease has ended; it keeps its state and may be promoted.
    Pause,
    /// It is over; its state may be forgotten.
    Stop,
}

/// A paused trial is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Which.
    pub trial: TrialId,
    /// The rung it is to reach now.
    pub to: Rung,
}

/// Where a trial stands among those that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The bracket whose members are compared; 0 where there is one only.
    pub bracket: usize,
    /// How many are better.
    pub rank: usize,
    /// How many stand here, it among them.
    pub population: usize,
    /// How many of these go on as things stand; None for a rule that does not count places.
    pub quota: Option<usize>,
    /// What its loss must not exceed to go on as things stand; None if nobody would, or anybody.
    pub cutoff: Option<Loss>,
}

/// A rung from which nobody goes on before all of its members have come there or given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// Which bracket; 0 where there is one only.
    pub bracket: usize,
    /// The rung.
    pub rung: Rung,
    /// Who is on the way there, in order.
    pub trials: Vec<TrialId>,
    /// How many more are to enter the bracket.
    pub to_come: u32,
}

/// What a rule that looks ahead said of a trial on its way to a rung: it is stopped if `predicted - leeway >= cutoff`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Resource of the report by which it was judged.
    pub resource: Resource,
    /// The rung where its round ends.
    pub rung: Rung,
    /// The loss predicted there; infinite if it had diverged.
    pub predicted: f64,
    /// By how much the prediction was taken to be too high, in favour of the trial.
    pub leeway: f64,
    /// What the last of the best `quota` had on `rung`.
    pub cutoff: f64,
    /// How many would have gone on then.
    pub quota: usize,
    /// How many had come to `rung`.
    pub came: usize,
    /// How many had come there or were out.
    pub population: usize,
}

impl Judgement {
    /// Whether the trial is not worth the rest of its round. Of a figure that is not a number nothing follows.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.predicted - self.leeway >= self.cutoff
    }
}

/// The rule by which trials go on. Knows no clock and no slots; equal calls give equal answers.
///
/// The sweep calls it in this order for each trial: `enter`; then, for the first time that the trial has consumed some
/// resource, `reported`; then `reached` if that was the end of its lease and not the top. After a promotion again
/// `reported`, `reached`. At any time in between `gave_up`, which is the last word about a trial.
pub trait Scheduler: std::fmt::Debug + Send + Same {
    /// A new trial, called once for each, in the order in which they come. Answers the rung that its first lease leads to.
    fn enter(&mut self, trial: TrialId, params: &Params) -> Rung;
    /// No trial will enter any more. May be said more than once.
    fn no_more(&mut self) {}
    /// `trial` has `loss` at `resource`: at the end of its lease or before. Reports may skip resources. Answers
    /// [`Verdict::Continue`] or [`Verdict::Stop`].
    fn reported(&mut self, _trial: TrialId, _resource: Resource, _loss: Loss) -> Verdict {
        Verdict::Continue
    }
    /// `trial` is at the end of its lease, on `rung` below the top, with `loss`. Called once for each trial and rung.
    /// Answers [`Verdict::Pause`] or [`Verdict::Stop`].
    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict;
    /// The paused trial that most deserves a free slot, if one deserves it. It counts as promoted from then on.
    fn promote(&mut self) -> Option<Promotion>;
    /// `trial` has failed for good and will report no more. What it reported stays.
    fn gave_up(&mut self, trial: TrialId);
    /// Trials that are paused and that no future can promote, each named once: their states may be forgotten.
    fn hopeless(&mut self) -> Vec<TrialId>;
    /// Where a trial stands on `rung`. None if it is not compared there. May cost O(trials): for people, not for decisions.
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing>;
    /// Everyone that `trial` is compared with on `rung`, itself among them, best first. For people, as `standing`.
    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place>;
    /// What was predicted of `trial` when it was stopped in mid-lease, or let go on in the lease that it has. None for a rule
    /// that does not look ahead, or where it could not. For people, as `standing`.
    fn judgement(&self, _trial: TrialId) -> Option<Judgement> {
        None
    }
    /// Rungs that wait for the last of their members; none for a rule without barriers. For people, as `standing`.
    fn barriers(&self) -> Vec<Barrier> {
        vec![]
    }
    /// Asserts every invariant.
    fn check(&self);
}

/// Whether two rules are of one kind and in one state. Every rule that can be compared is.
pub trait Same: Any {
    /// Whether `other` is equal in every field.
    fn same(&self, other: &dyn Any) -> bool;
}

impl<T: Any + PartialEq> Same for T {
    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

impl PartialEq for dyn Scheduler {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}

/// The scheduler of a specification, for a sweep over `space` of at most `max_trials` trials.
#[must_use]
pub fn build(spec: &SchedulerSpec, space: &Space, max_trials: Option<u32>) -> Box<dyn Scheduler> {
    match spec {
        SchedulerSpec::Fifo { ladder } => Box::new(Fifo::new(ladder)),
        SchedulerSpec::Halving { ladder, bracket } => Box::new(Rounds::new(halving::pass(ladder, *bracket, max_trials))),
        SchedulerSpec::Hyperband { ladder } => Box::new(Rounds::new(hyperband::pass(ladder))),
        SchedulerSpec::AshaPromote { ladder } => Box::new(AshaPromote::new(ladder, max_trials)),
        SchedulerSpec::AshaStop { ladder } => Box::new(AshaStop::new(ladder)),
        SchedulerSpec::HyperbandAsync(brackets) => Box::new(HyperbandAsync::new(brackets, max_trials)),
        SchedulerSpec::Pasha { ladder, epsilon } => Box::new(Pasha::new(ladder, *epsilon, max_trials)),
        SchedulerSpec::Median { ladder, min_trials } => Box::new(Median::new(ladder, *min_trials)),
        SchedulerSpec::Swift { ladder, decide_at, margin } => Box::new(Swift::new(ladder, space, *decide_at, *margin)),
    }
}
