//! A sweep under a virtual clock: `hpo simulate`.
//!
//! The [`Sweep`](hpo_core::Sweep), its scheduler and its searcher are those of a real run, and hear the same words in the
//! same order. What is played is the world around them ([`world`]): workers of one slot each that train by a curve
//! ([`hpo_curves`]), take their time to start and to write, straggle and die ([`Conditions`]). One thread plays one seed;
//! several seeds and files are played side by side ([`play_all`]), and equal seeds give equal outcomes on any number of
//! cores.
//!
//! - **Time** is in whole milliseconds. Of what falls on one moment, what was set in motion first comes first.
//! - **A unit of resource** takes what its curve says (a second where the curve knows no time), times
//!   [`Conditions::straggler_factor`] on a straggler. The first one of a training takes a millisecond or more, so that time
//!   goes on.
//! - **Resource** counts each unit that was trained once. With `until`, a simulation is over at the very report that makes
//!   it full: units that are under way then are counted nowhere.
//! - **Best** is the best report of any trial, whether or not the trial failed later: what `improvements` ends with.
//! - **Words** reach the driver after [`Conditions::latency`] and are taken one after the other; what it answers is there at once,
//!   for the latency is that of both ways.
//! - **Busy** is slot time under a lease, with start-up, restoring, writing and what was trained in vain; **idle** is slot
//!   time without one. Both come from the sweep's own ledger. A worker that is being restarted is neither. [`Split`] tells
//!   more.
mod conditions;
mod fault;
mod machine;
mod outcome;
mod parallel;
mod post;
mod queue;
mod setup;
mod split;
mod stats;
mod table;
mod world;

pub use conditions::Conditions;
pub use fault::Fault;
pub use outcome::{Improvement, Outcome};
pub use parallel::play_all;
pub use setup::{Setup, open};
pub use split::Split;
pub use stats::{Interval, median};
pub use table::Table;
pub use world::play;

#[cfg(test)]
mod tests;
