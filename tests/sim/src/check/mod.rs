//! Judges of a simulated cluster, written apart from the code that they judge: they see the durable journal and what the
//! world really did, and share no rule with hpo-core but its words.
//!
//! One promise, one file. Each judge keeps the [`book::Book`] that it needs: what the journal says, in the plainest terms.
pub mod act;
mod appetite;
pub mod book;
mod budget;
mod jobs;
mod ledger;
mod mirror;
mod newest;
mod nodes;
mod once;
mod order;
mod panel;
mod passes;
mod repeated;
mod replay;
mod resting;
pub mod rule;
mod sense;
mod silence;
mod slots;
mod states;
#[cfg(test)]
mod tests;
mod textbook;
mod throttle;
mod written;

use hpo_core::sweep::event::Held;
use hpo_core::{Resource, Seq, Stamp, Sweep, SweepSpec, TrialId, WorkerId};
use hpo_driver::journal::Record;

use crate::setup::Cluster;
pub use panel::Panel;

/// Something that really happened, whoever was told of it. `at` is the true time, which no driver's clock need agree with.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A worker process began, with so many slots.
    WorkerBorn {
        /// Who.
        worker: WorkerId,
        /// Thousandths of a GPU of each slot.
        slots: Vec<u32>,
    },
    /// A worker process is dead, and its trainers with it.
    WorkerDied {
        /// Who.
        worker: WorkerId,
    },
    /// A worker has heard that it is not needed any more: it leaves, and speaks to no other driver.
    WorkerDismissed {
        /// Who.
        worker: WorkerId,
    },
    /// A driver process began; it has replayed the journal.
    DriverBorn {
        /// Its epoch.
        epoch: u32,
    },
    /// A driver process is dead.
    DriverDied {
        /// Its epoch.
        epoch: u32,
    },
    /// A driver sent a lease, after its record was durable (or so it must be).
    LeaseSent {
        /// To whom.
        worker: WorkerId,
        /// Which attempt.
        held: Held,
        /// Where it begins.
        from: Resource,
        /// Where it ends.
        until: Resource,
    },
    /// A driver told a worker that a word is safe.
    Acknowledged {
        /// Whom.
        worker: WorkerId,
        /// Of which attempt.
        held: Held,
        /// Up to which word.
        seq: Seq,
    },
    /// A trainer process began to work on an attempt.
    TrainingBegan {
        /// On which worker.
        worker: WorkerId,
        /// Which attempt.
        held: Held,
        /// From where.
        from: Resource,
        /// The state that it read, by content; none from the start or in place.
        checkpoint: Option<String>,
    },
    /// A trainer process works on an attempt no more: it ended its part, was told to, failed or died.
    TrainingEnded {
        /// On which worker.
        worker: WorkerId,
        /// Which attempt.
        held: Held,
    },
    /// A trainer has trained one more unit.
    Trained {
        /// On which worker.
        worker: WorkerId,
        /// Which attempt.
        held: Held,
        /// Units behind it now.
        resource: Resource,
    },
    /// A state is in the store.
    Stored {
        /// By content.
        id: String,
        /// Of which trial.
        trial: TrialId,
        /// After so many units.
        resource: Resource,
    },
    /// A state was deleted from the store.
    Removed {
        /// By content.
        id: String,
    },
    /// A state was damaged by the world, not by us.
    Damaged {
        /// By content.
        id: String,
    },
    /// A task of Slurm began, as the first of a worker's doings.
    TaskBegan {
        /// The worker in it.
        worker: WorkerId,
        /// When the task began.
        at: Stamp,
        /// When the worker leaves by itself, shortly before the task's time limit.
        leaves: Option<Stamp>,
    },
    /// A task of Slurm came to nothing before its worker began.
    StartFailed {
        /// On this node.
        node: String,
    },
    /// People ask for another number of workers at the most.
    Allowed {
        /// So many tasks may wait or run.
        tasks: u32,
    },
    /// A driver asked Slurm for the queue.
    Looked {
        /// Its epoch.
        epoch: u32,
        /// Whether its sweep is over, and it sees to it that nobody is left.
        ending: bool,
    },
    /// A driver asks Slurm for tasks.
    Asked {
        /// Its epoch.
        epoch: u32,
        /// How many.
        tasks: u32,
        /// On none of these nodes.
        exclude: Vec<String>,
    },
    /// What it heard: whether they were accepted, or that nobody says.
    Answered {
        /// Its epoch.
        epoch: u32,
        /// None: there was no answer.
        accepted: Option<bool>,
    },
    /// Tasks are in the queue.
    Queued {
        /// All that wait or run now.
        tasks: u32,
    },
    /// A driver lets some tasks of an array run at one time.
    Throttled {
        /// Its epoch.
        epoch: u32,
        /// How many.
        most: u32,
    },
    /// A task was to begin, and did if its array's throttle let it.
    Running {
        /// All that run now.
        tasks: u32,
        /// All that run or may, as far as throttles go.
        allowed: u32,
        /// Whether it waits because of its array's throttle alone.
        held: bool,
    },
    /// A worker that has to leave put a task back into the queue.
    PutBack {
        /// Which task.
        task: (u32, u32),
        /// Whether the controller believes that this worker runs in it, and nobody has cancelled it.
        own: bool,
    },
    /// A worker began in a task.
    ElementBegan {
        /// Which task.
        task: (u32, u32),
        /// How often it was put back into the queue before.
        restarts: u32,
        /// Workers that live in a task of this name, with this one.
        copies: u32,
    },
    /// The driver's own job began. It drives once no other does.
    DriverJobBegan {
        /// How often it was put back into the queue before.
        restarts: u32,
        /// Drivers that live.
        drivers: u32,
    },
}

/// What a world was made of.
#[derive(Clone, Debug)]
pub struct Premises {
    /// The sweep.
    pub spec: SweepSpec,
    /// Whether no fault was switched on.
    pub faultless: bool,
    /// Whether everyone who lives can be heard in time: no worker hangs, no driver pauses, no message is late or lost but by
    /// the death of one of its ends, and clocks go right.
    pub heard: bool,
    /// Slots that there are at one time.
    pub slots: usize,
    /// Where workers are tasks of Slurm.
    pub slurm: Option<Cluster>,
}

/// How a world ended, after it was healed.
#[derive(Clone, Debug, PartialEq)]
pub struct Last {
    /// The true time.
    pub at: Stamp,
    /// States in the store.
    pub store: Vec<String>,
    /// Tasks that wait or run.
    pub tasks: u32,
}

/// What a judge has found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{judge}: {what}")]
pub struct Violation {
    /// Which judge.
    pub judge: &'static str,
    /// What it has found, with trial, attempt, line.
    pub what: String,
}

/// Looks at one promise.
pub trait Judge {
    /// A record has become durable. Each is seen once, in order, over all drivers.
    ///
    /// # Errors
    /// If it breaks the promise.
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let _ = record;
        Ok(())
    }

    /// A replay of the journal up to and with record `line` has led to `sweep`.
    ///
    /// # Errors
    /// If what it says of itself breaks the promise.
    fn replayed(&mut self, line: u64, sweep: &Sweep) -> Result<(), Violation> {
        let _ = (line, sweep);
        Ok(())
    }

    /// Something happened.
    ///
    /// # Errors
    /// If it breaks the promise.
    fn fact(&mut self, at: Stamp, fact: &Fact) -> Result<(), Violation> {
        let _ = (at, fact);
        Ok(())
    }

    /// A driver has made durable all that it has applied so far, which are so many records, and has this sweep.
    ///
    /// # Errors
    /// If that is not where its journal leads.
    fn settled(&mut self, at: Stamp, records: u64, sweep: &Sweep) -> Result<(), Violation> {
        let _ = (at, records, sweep);
        Ok(())
    }

    /// The sweep has ended and everyone has left.
    ///
    /// # Errors
    /// If the end breaks the promise.
    fn end(&mut self, last: &Last) -> Result<(), Violation> {
        let _ = last;
        Ok(())
    }
}

/// Err if it is `broken`. Each call is a sentence that a judge can say; `tests/bad` has a history for each.
#[cfg_attr(test, track_caller)]
pub(crate) fn refuse(broken: bool, judge: &'static str, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if !broken {
        return Ok(());
    }
    #[cfg(test)]
    tests::has_said(std::panic::Location::caller());
    Err(Violation { judge, what: what() })
}
