//! Plays whole clusters with faults on one thread: the production sweep, engine, journal and worker sessions under a virtual
//! clock, network and disk. A seed says everything that happens, so that a failure is one line to replay.
pub mod chance;
pub mod check;
mod disk;
pub mod exhaust;
mod heap;
pub mod play;
pub mod setup;
mod store;
pub mod takeover;
mod trace;
pub mod world;
