//! What a cluster does to a sweep: time limits, preemption, dead nodes, daemons that crash. Each test has a cluster of its own.
// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used)]

mod dead;
mod ends;
mod slow;
mod submit;
mod sweep;
