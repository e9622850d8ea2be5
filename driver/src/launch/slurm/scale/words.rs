//! What goes into the scaler, and what comes out.
use hpo_core::Millis;

use crate::launch::slurm::queue::Queue;

/// One task of one array.
pub type Place = (u32, u32);

/// What may be used.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Our tasks have this name, and nobody else's: it holds the sweep's id.
    pub name: String,
    /// Most tasks that wait or run at one time.
    pub max_tasks: u32,
    /// Slots of each.
    pub slots_per_task: u32,
    /// Most tasks that run at one time, of all arrays together; None: all that Slurm has room for.
    pub throttle: Option<u32>,
    /// Most tasks of one array.
    pub array_max: u32,
    /// The controller serves a whole cluster: it is asked at most so often.
    pub look_every: Millis,
    /// Whether tasks may be submitted at all; else only those that wait in vain are cancelled.
    pub submits: bool,
}

/// What became known.
#[derive(Clone, Debug)]
pub enum News {
    /// The answer to [`Order::Look`].
    Queue(Queue),
    /// There was none.
    NoQueue,
    /// The answer to [`Order::Submit`]: so many tasks of this array.
    Submitted {
        /// Its number.
        array: u32,
        /// Its tasks.
        tasks: u32,
    },
    /// Slurm has done what [`Order::Throttle`] asks for.
    Throttled {
        /// Of which array.
        array: u32,
        /// So many of its tasks may run.
        most: u32,
    },
    /// Slurm refused it.
    Refused {
        /// Because of the nodes that are left to choose from, by what it said.
        for_nodes: bool,
    },
    /// There was no answer: perhaps it was accepted.
    NoAnswer,
    /// A worker of this task has joined the sweep.
    Joined(Place),
    /// Trials fail on this node, whatever they are.
    Bad(String),
}

/// What is to be done. At most one look and one submission are out at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ask for the queue.
    Look,
    /// Submit an array.
    Submit {
        /// Of so many tasks.
        tasks: u32,
        /// On none of these nodes.
        exclude: Vec<String>,
        /// Of which so many may run at one time.
        most: Option<u32>,
    },
    /// Let so many tasks of an array run at one time.
    Throttle {
        /// Which array.
        array: u32,
        /// How many; at least one.
        most: u32,
    },
    /// Cancel tasks that wait.
    Cancel {
        /// Which.
        tasks: Vec<Place>,
    },
    /// Tell people, once: nothing is submitted any more, because starts fail.
    GiveUp {
        /// How many in a row.
        failed: u32,
        /// Where the last ones failed.
        nodes: Vec<String>,
    },
}
