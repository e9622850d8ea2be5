//! Schedulers: who goes on. One rule, one paper, one file. To add one: a file here, a variant in [`SchedulerSpec`], a
//! line in [`build`].
mod asha;
mod fifo;
mod ladder;
mod spec;

pub use asha::AshaPromote;
pub use fifo::Fifo;
pub use ladder::{Ladder, LadderFault};
pub use spec::SchedulerSpec;

use crate::{Loss, TrialId};

/// Which rung of a ladder, from 0 at the bottom.
pub type Rung = usize;

/// What becomes of a trial that has reached a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It trains on towards the end of its lease.
    Continue,
    /// Its lease ends; it keeps its state and may be promoted.
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

/// The rule by which trials go on. Knows no clock, no slots and no params; equal calls give equal answers.
pub trait Scheduler: std::fmt::Debug + Send {
    /// The rung that a new trial's first lease leads to.
    fn entry(&self) -> Rung;
    /// `trial` has reached `rung` below the top with `loss`. Called once for each trial and rung.
    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict;
    /// The paused trial that most deserves a free slot, if one deserves it. It counts as promoted from then on.
    fn promote(&mut self) -> Option<Promotion>;
    /// `trial` has failed for good and will report no more. What it reported stays.
    fn gave_up(&mut self, trial: TrialId);
    /// Trials that are paused and that no future can promote, each named once: their states may be forgotten.
    fn hopeless(&mut self) -> Vec<TrialId>;
    /// Where a trial stands on `rung`: rank from 0, and how many stand there. None if it never came there.
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<(usize, usize)>;
    /// Asserts every invariant.
    fn check(&self);
}

/// The scheduler of a specification, for a sweep of at most `max_trials` trials.
#[must_use]
pub fn build(spec: &SchedulerSpec, max_trials: Option<u32>) -> Box<dyn Scheduler> {
    match spec {
        SchedulerSpec::Fifo { .. } => Box::new(Fifo::new()),
        SchedulerSpec::AshaPromote { ladder } => Box::new(AshaPromote::new(ladder, max_trials)),
    }
}
