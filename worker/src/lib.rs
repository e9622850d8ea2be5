//! Does one lease well: takes it from the driver, trains it in a child process, keeps its words until the driver has
//! them on disk, and turns the winner into a verified ONNX model.
pub mod agent;
pub mod checkpoint;
pub mod connect;
pub mod data;
pub mod models;
pub mod onnx;
pub mod resources;
pub mod session;
pub mod trainable;
pub mod trainer;
