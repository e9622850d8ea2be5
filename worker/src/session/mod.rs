//! What a worker does, as a pure state machine: no clock, no I/O, no task. Inputs are what the driver and the trainers
//! say and the time; outputs are what is to be sent, started, written and killed. The agent performs them.
//!
//! The promises that it keeps:
//! - A word about an attempt is numbered once and said again on every connection until the driver acknowledges it.
//! - Nobody is taken for silent because this process did not listen ([`Clock`]).
//! - Trainers never notice that the driver is away, until it has been away for so long that nobody will come back.
//! - A slot is given to the next lease only after the process of the one before is idle or proven dead.
//! - Of two attempts of one trial only the newest runs, and no attempt runs twice.
mod clock;
mod desk;
mod exit;
mod link;
mod machine;
mod outbox;
mod process;
mod run;
mod slot;

use std::fmt;
use std::path::PathBuf;

use hpo_core::sweep::event::{Allocation, Held, Slot};
use hpo_core::{Millis, WorkerId};
use hpo_wire::{FromDriver, FromWorker};

pub use clock::Clock;
pub use exit::Exit;
pub use machine::Session;

use crate::checkpoint::Stored;
use crate::trainer::protocol::{FromTrainer, Start, ToTrainer};

/// Who this worker is, and how patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Drawn when the process started.
    pub worker: WorkerId,
    /// Host and process, for people.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// What it offers, in order.
    pub slots: Vec<Slot>,
    /// Folder in which trainers write their states before the store takes them.
    pub scratch: PathBuf,
    /// Longest wait between two tries to reach the driver.
    pub retry_cap_ms: Millis,
    /// A driver that is away for this long will not come back: trainers are called back and the worker ends.
    pub orphan_ms: Millis,
    /// Longest wait for the acknowledgement of the last words when leaving.
    pub farewell_ms: Millis,
    /// When so many words wait for the driver, trainers are not listened to until it has taken some.
    pub words_max: usize,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A connection to the driver stands.
    Connected,
    /// It is gone, or could not be made.
    Disconnected,
    /// It could not be made, for no driver runs: there is no rendezvous.
    NoDriver,
    /// It could not be made, for the sweep has ended.
    SweepEnded {
        /// Why, in its last driver's words.
        why: String,
    },
    /// The driver said something on the connection that stands.
    Driver(FromDriver),
    /// Something about the trainer process of a slot, in the order in which it happened.
    Trainer {
        /// Which slot.
        slot: u16,
        /// What.
        event: TrainerEvent,
    },
    /// The answer to [`Output::Restore`].
    Restored {
        /// For which attempt.
        held: Held,
        /// The verified file, or why there is none.
        outcome: Result<PathBuf, StoreFailure>,
    },
    /// The answer to [`Output::Adopt`].
    Adopted {
        /// For which attempt.
        held: Held,
        /// The stored state (its `resource` and `wrote_ms` are filled in here), or why there is none.
        outcome: Result<Option<Stored>, StoreFailure>,
    },
    /// What a batch system gave this worker, as it stands now; said before it begins, and again when more is known. The
    /// worker leaves by itself when it ends.
    Allocated(Allocation),
    /// Time passes.
    Tick,
    /// This process stood still for a while: the driver has not heard of it, and should at once.
    Woke,
    /// This machine will be taken away (SIGTERM, SIGUSR1, SIGUSR2, Ctrl-C): save what can be saved and leave.
    Notice,
}

/// What a trainer process did.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainerEvent {
    /// It wrote a protocol line.
    Said(FromTrainer),
    /// It wrote a line that looks like one and is none: why, for people.
    Garbled(String),
    /// It is dead; the last event of a process.
    Exited(Exit),
    /// It could not be started; the only event of a process.
    NotSpawned(SpawnFailure),
}

/// Why a trainer process could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpawnFailure {
    /// The job makes no process, here or anywhere.
    Job(String),
    /// This machine does not start it: it lacks memory, processes, a folder.
    Machine(String),
}

/// Why a state was not given or taken by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreFailure {
    /// The file is absent or damaged.
    File(String),
    /// The disk is full or broken, or does not let us.
    Store(String),
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send to the driver, on the connection that stands.
    Send(FromWorker),
    /// Drop the connection if there is one, and make a new one after a while.
    Connect {
        /// How long to wait.
        after_ms: Millis,
    },
    /// Verify a state in the store and say where it lies.
    Restore {
        /// For which attempt.
        held: Held,
        /// Its name in the store.
        id: String,
    },
    /// Start the slot's trainer process and write [`ToTrainer::Start`] to it.
    Spawn {
        /// Which slot.
        slot: u16,
        /// The lease.
        start: Box<Start>,
    },
    /// Write a line to the slot's trainer.
    Write {
        /// Which slot.
        slot: u16,
        /// The line.
        line: ToTrainer,
    },
    /// Send SIGTERM to the slot's trainer and all that it started: it does not read its standard input.
    Terminate {
        /// Which slot.
        slot: u16,
    },
    /// Kill the slot's trainer and all that it started.
    Kill {
        /// Which slot.
        slot: u16,
    },
    /// Listen no more to the slot's trainer, or listen again.
    Pause {
        /// Which slot.
        slot: u16,
        /// Whether to stop listening.
        paused: bool,
    },
    /// Take a file that a trainer wrote into the store.
    Adopt {
        /// Of which attempt.
        held: Held,
        /// The file.
        file: PathBuf,
        /// Whether it may be absent, which then is no failure.
        optional: bool,
    },
    /// Remove what a trainer may have written: nobody wants it any more.
    Discard {
        /// The file, perhaps absent.
        file: PathBuf,
    },
    /// The session is over; kill what still runs.
    Exit(SessionEnd),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The driver said so.
    Finished {
        /// In its words.
        why: String,
        /// Whether the sweep can go on later.
        resumable: bool,
    },
    /// This machine is taken away; states were saved and the driver told, as far as there was time.
    Preempted,
    /// The time limit of its task is near; otherwise as [`SessionEnd::Preempted`].
    OutOfTime,
    /// There was nothing to train for too long.
    Idle {
        /// For how long.
        idle_ms: Millis,
    },
    /// The driver was away for too long.
    Orphaned {
        /// For how long.
        away_ms: Millis,
        /// Words that it never got.
        words: usize,
    },
    /// The driver at that address now works for another sweep.
    OtherSweep {
        /// The sweep that this worker joined.
        ours: String,
        /// The sweep of the driver there.
        theirs: String,
    },
    /// The driver described the job in a way that this version does not understand.
    BadJob {
        /// Why.
        why: String,
    },
    /// No driver runs any more, and there was nothing left to tell one.
    Deserted,
    /// The checkpoint store or this machine is of no more use.
    Broken {
        /// Why.
        why: String,
    },
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished { why, .. } => f.write_str(why),
            Self::Preempted => f.write_str("this machine is taken away"),
            Self::OutOfTime => f.write_str("the time limit of its job is near"),
            Self::Idle { idle_ms } => write!(f, "nothing to train for {:.0} s", *idle_ms as f64 / 1e3),
            Self::Orphaned { away_ms, words } => {
                write!(f, "no driver for {:.0} s; {words} words were not delivered", *away_ms as f64 / 1e3)
            }
            Self::OtherSweep { ours, theirs } => {
                write!(f, "this worker joined the sweep {ours}, and the driver now works for {theirs}: start a new worker for it")
            }
            Self::BadJob { why } => write!(f, "the driver's job is not understood ({why}): use the same version of hpo on both sides"),
            Self::Deserted => f.write_str("no driver runs any more, and nothing was left to tell one"),
            Self::Broken { why } => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests;
