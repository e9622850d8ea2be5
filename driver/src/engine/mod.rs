//! The driver's heart: takes what happens, asks the sweep, writes it down, and only then acts.
//!
//! `Engine` is the loop alone; journal, clock, searcher, store and options are given to it, so tests run it in-process.
//! [`Drive`] is all of it together: the run folder, the loop on a thread of its own, the gRPC door, the local workers.
mod clock;
mod cycle;
mod detector;
mod drive;
mod fault;
mod fleet;
mod inbox;
mod kept;
mod prepare;
mod proposer;
mod pulse;
mod run;
mod standby;
mod take;

pub use drive::{Begin, Drive, DriveOptions, SweepFile};
pub use fault::{DriveFault, EngineFault, Settled};
pub(crate) use fleet::{Link, Outgoing};
#[cfg(test)]
pub(crate) use inbox::Inbox;
pub(crate) use inbox::Input;
pub use inbox::{EngineGone, Handle};
pub use run::{Counters, Ended, Options, Outcome, Progress};
pub use standby::stand_by;

#[cfg(test)]
mod tests;
