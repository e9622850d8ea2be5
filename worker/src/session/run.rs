//! One attempt on one slot: how far it is.
use std::path::{Path, PathBuf};

use hpo_core::job::{CommandJob, Job, Trainable};
use hpo_core::sweep::event::{End, Held};
use hpo_core::{Lease, Metrics, Millis, Resource};
use hpo_wire::limits::{METRICS_MAX, NAME_MAX};

use crate::trainer::protocol::Start;

#[derive(Debug)]
pub(super) struct Run {
    pub(super) lease: Lease,
    /// When the lease came.
    pub(super) arrived: Millis,
    /// Time spent on verifying the checkpoint.
    restore_ms: Millis,
    /// The last resource that was reported; at first what the trial has behind it.
    pub(super) reported: Resource,
    /// When the trainer last said something.
    pub(super) heard: Millis,
    /// Where the trainer is to write its state.
    pub(super) file: PathBuf,
    pub(super) stage: Stage,
}

#[derive(Debug, PartialEq)]
pub(super) enum Stage {
    /// The checkpoint is being verified.
    Restoring { since: Millis },
    /// The trainer works.
    Training,
    /// It was asked to leave, and is killed at `until`.
    Asked { what: Ask, until: Millis },
    /// Its state is being stored; then this is said.
    Storing { goal: Goal, resource: Resource, wrote_ms: Millis, since: Millis },
    /// It was killed; the end is said when its death is proven.
    Dying(End),
}

/// What a trainer can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Stop,
    CallBack,
}

impl Ask {
    /// How an attempt ended that did this without leaving a state.
    pub(super) fn end(self) -> End {
        match self {
            Self::Stop => End::Stopped,
            Self::CallBack => End::Preempted { checkpoint: None },
        }
    }
}

/// Why a state is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Reached {
        /// Whether the trainer still has it in memory, for a lease that goes on in place.
        in_memory: bool,
    },
    Left,
}

impl Run {
    pub(super) fn new(lease: Lease, arrived: Millis, scratch: &Path) -> Self {
        let file = scratch.join(format!("trial-{}.attempt-{}", lease.trial, lease.attempt));
        let reported = lease.from;
        Self { lease, arrived, restore_ms: 0, reported, heard: arrived, file, stage: Stage::Training }
    }

    pub(super) fn held(&self) -> Held {
        held(&self.lease)
    }

    /// What the trainer is told; `checkpoint` is the verified file.
    pub(super) fn start(&self, checkpoint: Option<PathBuf>, in_place: bool) -> Start {
        Start {
            trial: self.lease.trial.0,
            attempt: self.lease.attempt.0,
            params: self.lease.params.clone(),
            seed: self.lease.seed.0,
            from: self.lease.from.0,
            until: self.lease.until.0,
            checkpoint,
            checkpoint_out: self.file.clone(),
            in_place,
        }
    }

    /// Why the store is given up that keeps this attempt waiting, if it has for too long.
    pub(super) fn given_up(&self, now: Millis, stall_ms: Millis) -> Option<String> {
        let (what, since) = match self.stage {
            Stage::Restoring { since } => ("given", since),
            Stage::Storing { since, .. } => ("taken", since),
            Stage::Training | Stage::Asked { .. } | Stage::Dying(_) => return None,
        };
        let trial = self.lease.trial;
        let why = || format!("the checkpoint store has not {what} the state of trial {trial} for {:.1} s (`stall`)", stall_ms as f64 / 1e3);
        (now.saturating_sub(since) >= stall_ms).then(why)
    }

    pub(super) fn restored(&mut self, now: Millis) {
        if let Stage::Restoring { since } = self.stage {
            self.restore_ms = now.saturating_sub(since);
        }
    }

    /// (startup, restore): all the time since the lease came is one of them, whatever the trainer saw of it.
    pub(super) fn beginnings(&self, now: Millis, said_restore_ms: Millis) -> (Millis, Millis) {
        let all = now.saturating_sub(self.arrived);
        let restore = all.min(self.restore_ms.saturating_add(said_restore_ms));
        (all - restore, restore)
    }

    /// What is wrong with a report, if something is.
    pub(super) fn fault_of_report(&self, resource: Resource, metrics: &Metrics, metric: &str) -> Option<String> {
        let Lease { from, until, .. } = self.lease;
        if metrics.get(metric).is_none() {
            let given: Vec<&str> = metrics.0.keys().map(String::as_str).collect();
            return Some(format!("the report at {resource} lacks the metric `{metric}`; it has: {}", given.join(", ")));
        }
        if metrics.0.len() > METRICS_MAX {
            return Some(format!("the report at {resource} has {} figures; {METRICS_MAX} are the most", metrics.0.len()));
        }
        if let Some(name) = metrics.0.keys().find(|name| name.len() > NAME_MAX) {
            let begin: String = name.chars().take(30).collect();
            return Some(format!("the name of a figure, `{begin}...`, has {} bytes; {NAME_MAX} are the most", name.len()));
        }
        if resource <= self.reported || resource > until {
            let last = self.reported;
            return Some(format!("a report at {resource} after {last} in a lease from {from} to {until}: each must be above the last"));
        }
        None
    }

    /// What is wrong with the claim to have reached the end, if something is.
    pub(super) fn fault_of_reached(&self, resource: Resource) -> Option<String> {
        let until = self.lease.until;
        if resource != until {
            return Some(format!("it said `reached` at {resource}; its lease ends at {until}"));
        }
        (self.reported != until).then(|| format!("it said `reached` without a report at {until}; the last was at {}", self.reported))
    }

    /// What is wrong with a program that ended well, but before its lease did.
    pub(super) fn fault_of_end(&self, job: &Job) -> String {
        let Lease { from, until, .. } = self.lease;
        let what = format!("ended with code 0 after a last report at {}; its lease ends at {until}", self.reported);
        match &job.trainable {
            Trainable::Command(CommandJob { metric_pattern: Some(pattern), .. }) if self.reported == from => {
                format!("{what}; no line of its output matched metric_pattern = '{pattern}'")
            }
            _ => what,
        }
    }

    /// What is wrong with the claim to have left with a state of `resource`, if something is.
    pub(super) fn fault_of_left(&self, resource: Resource, saved: bool, asked: bool) -> Option<String> {
        let from = self.lease.from;
        if !asked && self.reported == from {
            return Some("it left without being asked and without progress".to_owned());
        }
        if !asked && !saved {
            // It would be begun again, and again.
            return Some("it left without being asked and without a state, so that nothing of it was kept".to_owned());
        }
        let inside = (from..=self.reported).contains(&resource);
        (!inside).then(|| format!("it said `left` at {resource}; it began at {from} and reported up to {}", self.reported))
    }

    /// What is wrong with the file that a state was said to be in, if something is.
    pub(super) fn fault_of_file(&self, file: Option<&PathBuf>) -> Option<String> {
        let strange = file.filter(|file| **file != self.file)?;
        Some(format!("it wrote its state to `{}`; `checkpoint_out` is `{}`", strange.display(), self.file.display()))
    }
}

pub(super) fn held(lease: &Lease) -> Held {
    Held { trial: lease.trial, attempt: lease.attempt, slot: lease.slot.index }
}
