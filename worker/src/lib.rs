//! Does one lease well: takes it from the driver, trains it in a child process, keeps its words until the driver has
//! them on disk, and turns the winner into a verified ONNX model.
pub mod agent;
pub mod allocation;
pub mod checkpoint;
pub mod connect;
#[cfg(feature = "burn")]
pub mod data;
#[cfg(feature = "burn")]
pub mod models;
#[cfg(feature = "burn")]
pub mod onnx;
mod private;
pub mod resources;
pub mod session;
pub mod trainable;
pub mod trainer;
