//! Whole sweeps with real processes: driver, agents, trainers, on loopback. Each test states a promise to users.
// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod bench;
mod crash;
mod curves;
mod ends;
mod programs;
mod security;
mod world;
