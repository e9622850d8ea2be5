//! Starts workers and sees to it that they end: as processes of this machine, or as tasks of Slurm.
mod local;
pub mod slurm;

pub use local::{Away, LaunchFault, Local, LocalOptions, Place};
