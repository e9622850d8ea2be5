//! Starts workers and sees to it that they end.
mod local;
pub mod slurm;

pub use local::{LaunchFault, Local, LocalOptions, Place};
