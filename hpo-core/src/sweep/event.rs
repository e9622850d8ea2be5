//! Everything that can happen to a sweep. Each is journalled before its actions are performed.
use serde::{Deserialize, Serialize};

use crate::{Attempt, Loss, Metrics, Millis, Params, Resource, Seq, SlotId, TrialId, WorkerId};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A driver took over this journal; what it drained before is open again.
    DriverStarted {
        /// Counts the drivers of this sweep, from 1: the fence of the journal.
        epoch: u32,
    },
    /// The searcher's word for a trial that was asked for.
    Suggested {
        /// Which trial.
        trial: TrialId,
        /// Its values: a point of the space.
        params: Params,
        /// Microseconds that the searcher took.
        #[serde(default)]
        cost_us: u64,
    },
    /// The searcher has nothing more to propose (a finite space is used up): the outstanding ask is withdrawn.
    Exhausted {
        /// Which trial will not come.
        trial: TrialId,
    },
    /// A worker came, or came back. A lease it was given and does not hold never reached it and is sent again.
    WorkerJoined {
        /// Its identity.
        worker: WorkerId,
        /// Host and process, for people.
        name: String,
        /// Its slots, in order.
        slots: Vec<Slot>,
        /// The attempts it still holds, or has words about that the driver has not confirmed.
        holds: Vec<Held>,
        /// What a batch system gave it; `None` where none did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allocation: Option<Allocation>,
        /// It leaves as soon as what it holds is safe, and is given nothing more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        leaving: bool,
    },
    /// A worker said that it leaves as soon as what it holds is safe: it is given nothing more.
    WorkerLeaving {
        /// Who.
        worker: WorkerId,
    },
    /// A worker said goodbye; it holds nothing any more.
    WorkerLeft {
        /// Who.
        worker: WorkerId,
    },
    /// No word from a worker for a whole lease time, or proof that its process is dead.
    WorkerLost {
        /// Who.
        worker: WorkerId,
    },
    /// The trainer took its first step: what was before it is startup and restore.
    Started {
        /// Which trial.
        trial: TrialId,
        /// Which execution.
        attempt: Attempt,
        /// Position among the messages of this attempt.
        #[serde(rename = "word")]
        seq: Seq,
        /// From the lease's arrival to the first step, without `restore_ms`.
        startup_ms: Millis,
        /// Reading the checkpoint.
        restore_ms: Millis,
    },
    /// Figures at a resource.
    Reported {
        /// Which trial.
        trial: TrialId,
        /// Which execution.
        attempt: Attempt,
        /// Position among the messages of this attempt.
        #[serde(rename = "word")]
        seq: Seq,
        /// Milliseconds from the lease's arrival to what is told here, by the worker's clock. The word may come late, because the
        /// driver was away; the ledger counts what the worker did. `None` where nobody measured it: then it is now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<Millis>,
        /// What the trial has consumed so far, over all attempts.
        resource: Resource,
        /// The sweep's metric as a loss.
        loss: Loss,
        /// All figures.
        metrics: Metrics,
    },
    /// The lease's range is done and its state is safe.
    Reached {
        /// Which trial.
        trial: TrialId,
        /// Which execution.
        attempt: Attempt,
        /// Position among the messages of this attempt.
        #[serde(rename = "word")]
        seq: Seq,
        /// As in [`Event::Reported`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<Millis>,
        /// The end of the lease.
        resource: Resource,
        /// Where the state is; `None` for a trainable that keeps none.
        checkpoint: Option<Checkpoint>,
    },
    /// The attempt ended before its lease did.
    Ended {
        /// Which trial.
        trial: TrialId,
        /// Which execution.
        attempt: Attempt,
        /// Position among the messages of this attempt.
        #[serde(rename = "word")]
        seq: Seq,
        /// As in [`Event::Reported`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<Millis>,
        /// How.
        how: End,
    },
    /// Someone asked for the sweep to stop for now: leases are called back at their next checkpoint, none is given.
    DrainAsked,
    /// A moment that a budget waits for has come.
    Ticked,
}

/// A slot as a worker offers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// What it is, for people: `cpu core`, `NVIDIA H200 GPU-3f..`.
    pub name: String,
    /// Thousandths of a GPU; 0 for CPU slots.
    pub milli_gpus: u32,
}

/// A task of a batch system, in which a worker runs. Measured when the worker says hello; lengths of time and not moments,
/// for clocks differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// As the batch system names the task: `14_3`, or `17` without an array.
    pub job: String,
    /// As it names the machine.
    pub node: String,
    /// Since the task began, which is when it began to cost.
    pub started_ms_ago: Millis,
    /// Until the worker leaves by itself, shortly before the task's time limit; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_in_ms: Option<Millis>,
}

/// An attempt that a worker knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which trial.
    pub trial: TrialId,
    /// Which execution.
    pub attempt: Attempt,
    /// Index of the slot on which it runs or ran.
    pub slot: u16,
}

impl Held {
    /// The slot on that worker.
    #[must_use]
    pub fn on(&self, worker: WorkerId) -> SlotId {
        SlotId { worker, index: self.slot }
    }
}

/// A trial's state on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its name in the store: the hash of its trial's number and its content (64 hexadecimal digits, BLAKE3), `-`, and the attempt
    /// that wrote it ([`crate::layout::id`]).
    pub id: String,
    /// The resource at which it was taken.
    pub resource: Resource,
    /// Size in bytes.
    pub bytes: u64,
    /// Time that writing it took the slot.
    pub wrote_ms: Millis,
}

/// How an attempt ended early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// Called back, or its machine was taken: not the trial's fault. Goes on from the checkpoint, if one was written.
    Preempted {
        /// The state it left.
        checkpoint: Option<Checkpoint>,
    },
    /// It was told to stop and did.
    Stopped,
    /// The trainer failed.
    Failed {
        /// Whether trying again can help.
        kind: FailureKind,
        /// For people; the first line of what the trainer said.
        message: String,
    },
    /// The trainer process died without a word while the agent lives (killed from outside).
    Lost,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The loss is NaN or infinite.
    NotFinite,
    /// Memory did not suffice.
    OutOfMemory,
    /// The program ended with a code that is not 0.
    Exit,
    /// A signal that it brought on itself (segmentation fault, abort).
    Crash,
    /// No progress for the time `stall`.
    Hang,
    /// It could not begin: the data is missing, the parameters make no sense to the model.
    Setup,
    /// The checkpoint is gone or its hash is wrong. Not the trial's fault: the checkpoint before it is used.
    Checkpoint,
    /// It did not speak the protocol.
    Protocol,
}

impl FailureKind {
    /// Whether another attempt could end differently.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Exit | Self::Crash | Self::Hang | Self::Protocol)
    }
}

impl Event {
    /// The attempt and position of a word about a running attempt; these are applied exactly once.
    #[must_use]
    pub fn about(&self) -> Option<(TrialId, Attempt, Seq)> {
        match *self {
            Self::Started { trial, attempt, seq, .. }
            | Self::Reported { trial, attempt, seq, .. }
            | Self::Reached { trial, attempt, seq, .. }
            | Self::Ended { trial, attempt, seq, .. } => Some((trial, attempt, seq)),
            _ => None,
        }
    }

    /// Milliseconds from the arrival of the lease that it is about to what it tells, if the worker measured them.
    pub(crate) fn after(&self) -> Option<Millis> {
        match *self {
            Self::Reported { after_ms, .. } | Self::Reached { after_ms, .. } | Self::Ended { after_ms, .. } => after_ms,
            _ => None,
        }
    }

    /// Whether nothing follows it about its attempt.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Reached { .. } | Self::Ended { .. })
    }
}
