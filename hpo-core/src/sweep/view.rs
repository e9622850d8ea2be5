//! A sweep at a glance, for progress displays and reports.
use serde::Serialize;

use super::action::EndReason;
use super::{Phase, Sweep};
use crate::ledger::Uses;
use crate::{Params, Resource, Stamp, TrialId};

/// Counts that are kept as events come, so that a view costs O(slots).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) resource: u64,
    pub(super) paused: u32,
    /// Of the paused those that no future promotes.
    pub(super) hopeless: u32,
    pub(super) finished: u32,
    pub(super) stopped: u32,
    pub(super) failed: u32,
    pub(super) reached: u32,
    pub(super) preempted: u32,
    pub(super) lost: u32,
    pub(super) failures: u32,
    /// A slot with a GPU has joined at some time.
    pub(super) gpus: bool,
}

/// A sweep at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct SweepView {
    /// When this was true.
    pub at: Stamp,
    /// Where the sweep stands.
    pub state: SweepState,
    /// Trials by where they stand.
    pub trials: TrialCounts,
    /// Attempts by how they ended.
    pub attempts: AttemptCounts,
    /// The best trial by any report.
    pub best: Option<Best>,
    /// Slots there are, and slots with a lease.
    pub slots: SlotCounts,
    /// Each unit that was trained, counted once.
    pub resource: u64,
    /// Where the slot time went, in milli-slot-milliseconds.
    pub uses: Uses,
    /// Whether slots are GPUs: then hours are GPU-hours, else slot-hours.
    pub gpus: bool,
    /// Names of the workers.
    pub workers: Vec<String>,
}

/// Where a sweep stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum SweepState {
    /// Leases are given.
    Running,
    /// Stopping for now.
    Draining,
    /// A budget ended it; the last attempts are leaving.
    Ending(EndReason),
    /// Over.
    Finished(EndReason),
}

/// How many trials stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct TrialCounts {
    pub total: u32,
    pub waiting: u32,
    pub running: u32,
    pub paused: u32,
    pub finished: u32,
    pub stopped: u32,
    pub failed: u32,
}

/// How many attempts ended how; `finished` are leases that reached their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct AttemptCounts {
    pub finished: u32,
    pub preempted: u32,
    pub lost: u32,
    pub failed: u32,
}

/// How many slots there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct SlotCounts {
    pub total: u32,
    pub busy: u32,
}

/// The best trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Which.
    pub trial: TrialId,
    /// Its best metric, in the user's direction.
    pub metric: f64,
    /// Where it had that.
    pub resource: Resource,
    /// Its values.
    pub params: Params,
}

impl Sweep {
    /// The sweep at its last event.
    #[must_use]
    pub fn view(&self) -> SweepView {
        self.view_at(self.now)
    }

    /// The sweep as it is at `at`, a moment not before its last event.
    #[must_use]
    pub fn view_at(&self, at: Stamp) -> SweepView {
        let at = at.clamp(self.now, Stamp::LATEST);
        let best = self.leaders.first().map(|(_, trial)| trial);
        let running = self.fleet.live() as u32;
        SweepView {
            at,
            state: match self.phase {
                Phase::Open => SweepState::Running,
                Phase::Draining => SweepState::Draining,
                Phase::Ending(why) => SweepState::Ending(why),
                Phase::Finished(why) => SweepState::Finished(why),
            },
            trials: TrialCounts {
                total: self.trials.len() as u32,
                waiting: (self.interrupted.len() + self.fresh.len()) as u32,
                running,
                paused: self.tally.paused,
                finished: self.tally.finished,
                stopped: self.tally.stopped,
                failed: self.tally.failed,
            },
            attempts: AttemptCounts {
                finished: self.tally.reached,
                preempted: self.tally.preempted,
                lost: self.tally.lost,
                failed: self.tally.failures,
            },
            best: best.and_then(|id| self.best_of(id)),
            slots: SlotCounts { total: self.fleet.total() as u32, busy: running },
            resource: self.tally.resource,
            uses: self.ledger.uses(at, best),
            gpus: self.tally.gpus,
            workers: self.fleet.names().map(|(_, name)| name.to_owned()).collect(),
        }
    }

    fn best_of(&self, id: TrialId) -> Option<Best> {
        let trial = self.trials.get(id)?;
        let (loss, resource) = trial.best?;
        Some(Best { trial: id, metric: self.spec.goal.metric(loss), resource, params: trial.params.clone() })
    }

    /// The best trials, best first: at most as many as keep their state to the end.
    #[must_use]
    pub fn best(&self) -> Vec<Best> {
        self.leaders.ids().filter_map(|id| self.best_of(id)).collect()
    }
}
