//! The driver's heart: takes what happens, asks the sweep, writes it down, and only then acts.
//!
//! [`parts::Heart`] is a machine without waits: journal, searcher, store, time and inputs are given to it, so that the
//! simulator plays it in a world of its own. `Engine` is the loop around it, with a real clock and a real inbox. [`Drive`]
//! is all of it together: the run folder, the loop on a thread of its own, the gRPC door, the local workers.
mod answers;
mod clock;
mod cycle;
mod dead;
mod detector;
mod drive;
mod fault;
mod fleet;
mod heart;
mod inbox;
mod kept;
mod nodes;
mod prepare;
mod proposer;
mod pulse;
mod run;
mod standby;
mod take;

pub use drive::{Begin, Drive, DriveOptions, Rest, SweepFile};
pub use fault::{DriveFault, EngineFault, Settled};
pub(crate) use inbox::Credit;
#[cfg(test)]
pub(crate) use inbox::Inbox;
pub use inbox::{EngineGone, Handle};
pub use prepare::found;
pub use run::{Counters, Ended, Options, Outcome, Progress};
pub use standby::stand_by;

/// What an engine is made of, for a world of one's own.
pub mod parts {
    pub use super::clock::base;
    pub use super::fleet::{Link, Outbox, Outgoing};
    pub use super::heart::{Heart, Parts};
    pub use super::inbox::Input;
    pub use super::kept::{Kept, Store};
    pub use super::proposer::{Ready, Tasks, Thinker};
}
pub(crate) use parts::{Input, Link, Outgoing};

#[cfg(test)]
mod tests;
