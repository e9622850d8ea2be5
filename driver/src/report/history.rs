//! What the journal tells beyond the sweep's last state: when things got better, and what that had cost.
use std::collections::BTreeMap;
use std::path::Path;

use hpo_core::job::TEST;
use hpo_core::sweep::State;
use hpo_core::{Event, Loss, Stamp, Sweep, TrialId};

use super::thinking::Thinking;
use crate::journal::{JournalFault, Replay, Replayed};

/// One improvement of the best metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at: Stamp,
    /// Reserved by then, in milli-slot-milliseconds.
    pub reserved: u64,
    /// Resource trained by then, each unit counted once.
    pub resource: u64,
    /// The new best, in the user's direction.
    pub metric: f64,
    /// Whose.
    pub trial: TrialId,
}

/// Collected while a journal is lived through again.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The anytime curve: every improvement of the best metric, in order.
    pub curve: Vec<Point>,
    /// What was reserved when each trial was at its best, in milli-slot-milliseconds.
    pub peaks: BTreeMap<TrialId, u64>,
    /// The figure `test` of each trial's best report, where its trainer reports one.
    pub tests: BTreeMap<TrialId, f64>,
    /// When the first trainer took its first step.
    pub first_step: Option<Stamp>,
    /// The first trial that was trained to max_resource and has a finite metric.
    pub first_full: Option<TrialId>,
    /// When the sweep ended; what comes after is workers that leave, and drivers that look again.
    pub finished: Option<Stamp>,
    /// Events so far.
    pub events: u64,
    /// A trial was promoted without a state to go on from.
    pub stateless: bool,
    /// What proposals took.
    pub thinking: Thinking,
    best: Option<Loss>,
}

impl History {
    /// Reads a journal. A torn last line counts as not written; a journal that a driver is writing may be read too.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn read(journal: &Path) -> Result<(Self, Replayed), JournalFault> {
        let mut history = Self::default();
        let mut replay = Replay::open(journal)?;
        while let Some(step) = replay.step()? {
            history.saw(step.entry.record.at, &step.entry.record.event, step.sweep);
        }
        Ok((history, replay.finish()?))
    }

    /// Notes `event`, which `sweep` has just applied. O(log trials); an improvement of the best costs O(slots).
    pub fn saw(&mut self, at: Stamp, event: &Event, sweep: &Sweep) {
        self.events += 1;
        self.thinking.saw(at, event, sweep);
        if self.finished.is_none() && sweep.finished().is_some() {
            self.finished = Some(at);
        }
        match event {
            Event::Started { .. } => {
                self.first_step.get_or_insert(at);
            }
            Event::Reported { trial, resource, metrics, .. } => {
                self.stateless |= sweep.trial(*trial).is_some_and(|trial| trial.promoted && trial.checkpoint.is_none());
                let peak = sweep.trial(*trial).and_then(|trial| trial.best);
                if let Some((loss, _)) = peak.filter(|(_, at)| at == resource) {
                    if let Some(test) = metrics.get(TEST) {
                        self.tests.insert(*trial, test);
                    }
                    self.peaked(at, *trial, loss, sweep);
                }
            }
            Event::Reached { trial, .. } if self.first_full.is_none() => {
                self.first_full =
                    sweep.trial(*trial).filter(|trial| trial.state == State::Finished && trial.best.is_some()).map(|trial| trial.id);
            }
            _ => {}
        }
    }

    fn peaked(&mut self, at: Stamp, trial: TrialId, loss: Loss, sweep: &Sweep) {
        let reserved = sweep.ledger().reserved(at);
        self.peaks.insert(trial, reserved);
        if self.best.is_none_or(|best| loss < best) {
            self.best = Some(loss);
            let metric = sweep.spec().goal.metric(loss);
            self.curve.push(Point { at, reserved, resource: sweep.view().resource, metric, trial });
        }
    }
}
