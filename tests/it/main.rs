//! Whole sweeps with real processes: driver, agents, trainers, on loopback. Each test states a promise to users.
// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod bench;
mod chaos;
mod crash;
mod curves;
mod departed;
mod ends;
mod failover;
mod known;
mod programs;
mod security;
mod signals;
mod world;
