//! Proposes trials, leases them to workers, writes everything down before it acts on it, and reports.
pub mod config;
pub mod engine;
pub mod journal;
pub mod launch;
pub mod mount;
pub mod process;
pub mod rendezvous;
pub mod report;
pub mod rundir;
pub mod serve;
pub mod simulate;

#[cfg(test)]
mod testing;
