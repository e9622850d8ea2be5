//! States of trials on disk.
mod store;

pub use store::{CheckpointFault, Store, Stored};
