//! What can happen to a trial. Metrics are in the user's direction.
use serde::{Serialize, Serializer};

use super::{Outlook, Stand};
use crate::sweep::{EndReason, FailureKind, Lease};
use crate::{Attempt, Resource, SlotId, Stamp, TrialId};

/// One thing that happened to the trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// When.
    pub at: Stamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The searcher proposed its values.
    Suggested {
        /// Microseconds that the searcher took.
        cost_us: u64,
    },
    /// A slot got it.
    Leased {
        /// Which execution.
        attempt: Attempt,
        /// Where.
        #[serde(serialize_with = "text")]
        slot: SlotId,
        /// Name of the slot's worker.
        worker: String,
        /// Resource that it had behind it.
        from: Resource,
        /// Resource that it was to reach.
        until: Resource,
        /// How it began.
        start: Start,
    },
    /// It came to a rung where trials are compared.
    Compared {
        /// Where it stood there.
        stand: Stand,
    },
    /// On its way to a rung it was judged by what it would come to there, and let go on.
    Predicted {
        /// Where it was.
        resource: Resource,
        /// What was predicted.
        outlook: Outlook,
    },
    /// It waited among those that go on, and is not among them any more.
    PushedOut {
        /// Whose result did that, if one did: it is better, and took the last place.
        by: Option<Rival>,
        /// How many were to go on before, if it is because fewer do.
        #[serde(skip_serializing_if = "Option::is_none")]
        quota_before: Option<usize>,
        /// Fewer go on because no more trials come.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        no_more: bool,
        /// Where it stood then.
        stand: Stand,
    },
    /// It waited, and is now among those that go on.
    CameIn {
        /// Whose result made the place, if one did.
        by: Option<Rival>,
        /// Where it stood then.
        stand: Stand,
    },
    /// It goes on.
    Promoted {
        /// The rung that it is to reach.
        to: Resource,
        /// Where it stood on the rung that it left.
        stand: Option<Stand>,
    },
    /// The scheduler ended it.
    Stopped {
        /// Where it was.
        resource: Resource,
        /// Its metric there.
        metric: f64,
        /// Where it stood among those that it was compared with.
        stand: Option<Stand>,
        /// What was predicted for it, if that is why.
        #[serde(skip_serializing_if = "Option::is_none")]
        outlook: Option<Outlook>,
    },
    /// No future promotes it any more.
    HopeLost {
        /// Where it stood then.
        stand: Option<Stand>,
    },
    /// It was asked to save its state and to leave: the sweep stops for now or for good.
    CalledBack,
    /// Its attempt ended early, and not by its fault.
    Preempted {
        /// Resource of the state that it goes on from.
        resumes_at: Resource,
    },
    /// Nobody knows what became of its attempt.
    Lost {
        /// Its worker was lost; else its trainer ended without a word.
        with_worker: bool,
        /// Resource of the state that it goes on from.
        resumes_at: Resource,
    },
    /// Its worker, thought lost, came back, and the attempt goes on.
    Returned {
        /// Which.
        attempt: Attempt,
    },
    /// Its attempt failed.
    Failed {
        /// How; None if the sweep itself says so (lost too often, no report at the end of the lease).
        kind: Option<FailureKind>,
        /// Why, for people.
        message: String,
        /// It is not tried again.
        for_good: bool,
    },
    /// It has consumed max_resource.
    Finished {
        /// That.
        resource: Resource,
        /// Its metric there.
        metric: f64,
    },
    /// It became the best of the sweep.
    TookLead {
        /// With this.
        metric: f64,
    },
    /// It is the best of the sweep no more.
    LostLead {
        /// Who is, and is better; None if nobody is.
        by: Option<Rival>,
    },
    /// Its state was kept.
    Saved {
        /// At this resource.
        resource: Resource,
        /// Size.
        bytes: u64,
    },
    /// Nobody needs that state any more.
    Forgotten {
        /// Its resource.
        resource: Resource,
        /// Size.
        bytes: u64,
    },
    /// Another driver took over while it trained.
    DriverStarted {
        /// Which, counted from 1.
        epoch: u32,
    },
    /// The sweep ended before the trial had.
    SweepEnded {
        /// Why.
        why: EndReason,
    },
}

/// How an attempt begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// From nothing.
    Fresh,
    /// From a checkpoint.
    Restored,
    /// Where it is: the trainer has it in memory.
    InPlace,
}

impl Start {
    pub(super) fn of(lease: &Lease) -> Self {
        match &lease.checkpoint {
            _ if lease.in_place => Self::InPlace,
            Some(_) => Self::Restored,
            None => Self::Fresh,
        }
    }
}

/// Another trial, with what it was compared by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rival {
    /// Which.
    pub trial: TrialId,
    /// Its metric.
    pub metric: f64,
}

fn text<S: Serializer>(slot: &SlotId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(slot)
}
