//! The messages as plain types. Their order and meaning are told in `hpo.proto`.
use hpo_core::sweep::event::{Allocation, Checkpoint, End, Held, Slot};
use hpo_core::{Attempt, Event, Lease, Loss, Metrics, Millis, Resource, Seq, TrialId, WorkerId};

/// What a worker says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// The first message.
    Hello(Hello),
    /// It lives.
    Heartbeat,
    /// It leaves as soon as what it holds is safe, and can use no further lease.
    Leaving,
    /// Something about an attempt.
    Word(Word),
    /// It leaves and holds nothing any more.
    Goodbye {
        /// For people.
        why: String,
    },
}

/// Who dials, and what it brings.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// Its [`crate::PROTOCOL`].
    pub protocol: u32,
    /// Drawn when the process started.
    pub worker: WorkerId,
    /// Host and process, for people.
    pub name: String,
    /// Its slots, in order.
    pub slots: Vec<Slot>,
    /// Attempts that run there, or about which words wait for an acknowledgement.
    pub holds: Vec<Held>,
    /// The sweep it worked for before; empty at first.
    pub sweep: String,
    /// Version of its program.
    pub version: String,
    /// What a batch system gave it; none where none did.
    pub allocation: Option<Allocation>,
    /// It leaves as soon as what it holds is safe.
    pub leaving: bool,
}

/// Something about an attempt. The worker keeps it until it is acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Which trial.
    pub trial: TrialId,
    /// Which execution.
    pub attempt: Attempt,
    /// Position among the messages of this attempt, from 1.
    pub seq: Seq,
    /// Milliseconds from the lease's arrival to what is told here, by the worker's clock: the word may reach the driver late.
    pub after_ms: Option<Millis>,
    /// What.
    pub about: About,
}

/// What a word says.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// The first step begins.
    Started {
        /// From the lease's arrival to the first step, without `restore_ms`.
        startup_ms: Millis,
        /// Reading the checkpoint.
        restore_ms: Millis,
    },
    /// Figures at a resource.
    Reported {
        /// What the trial has consumed so far.
        resource: Resource,
        /// The figures, in the user's direction.
        metrics: Metrics,
    },
    /// The lease's range is done.
    Reached {
        /// Its end.
        resource: Resource,
        /// The state there.
        checkpoint: Option<Checkpoint>,
    },
    /// The attempt ended before its lease did.
    Ended(End),
}

impl Word {
    /// The event that this word is, for a sweep that judges figures by `loss`.
    pub fn into_event(self, loss: impl FnOnce(&Metrics) -> Loss) -> Event {
        let Self { trial, attempt, seq, after_ms, about } = self;
        match about {
            About::Started { startup_ms, restore_ms } => Event::Started { trial, attempt, seq, startup_ms, restore_ms },
            About::Reported { resource, metrics } => {
                Event::Reported { trial, attempt, seq, after_ms, resource, loss: loss(&metrics), metrics }
            }
            About::Reached { resource, checkpoint } => Event::Reached { trial, attempt, seq, after_ms, resource, checkpoint },
            About::Ended(how) => Event::Ended { trial, attempt, seq, after_ms, how },
        }
    }
}

/// What the driver says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromDriver {
    /// The answer to a [`Hello`].
    Welcome(Welcome),
    /// A lease for one of the worker's slots.
    Lease(Lease),
    /// End this attempt now.
    Stop(Held),
    /// Let this attempt write a checkpoint, then leave.
    CallBack(Held),
    /// Words that the worker may forget.
    Acknowledged(Acknowledged),
    /// The sweep is over or suspended: leave.
    Finish {
        /// For people.
        why: String,
        /// Another driver may go on with this sweep.
        resumable: bool,
    },
    /// It lives.
    Heartbeat,
}

/// What a worker must know before its first lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Welcome {
    /// Id of the sweep.
    pub sweep: String,
    /// Say something at least this often.
    pub heartbeat_ms: u32,
    /// Silence of this length loses the leases.
    pub lease_ms: u32,
    /// [`hpo_core::job::Job`] as JSON.
    pub job: String,
    /// Which driver of the sweep speaks, from 1: one with a lower epoch than another that was heard is fenced off. 0 from
    /// drivers that do not say.
    pub epoch: u32,
}

/// Every word of this attempt up to `seq` is on the driver's disk, or refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Which trial.
    pub trial: TrialId,
    /// Which execution.
    pub attempt: Attempt,
    /// The last one that may be forgotten.
    pub seq: Seq,
}
