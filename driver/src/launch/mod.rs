//! Starts workers and sees to it that they end.
mod local;

pub use local::{LaunchFault, Local, LocalOptions, Place};
