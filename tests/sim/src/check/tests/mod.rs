//! Judges before histories that are good, and before histories that are not.
mod bad;
mod cluster;
mod good;

pub(super) use bad::has_said;
