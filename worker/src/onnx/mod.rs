//! Turns the winner into an ONNX model that has been compared with the network it came from, and runs such models.
pub mod card;
pub mod check;
pub mod export;
mod file;
pub mod inspect;
pub mod logits;
pub mod predict;
/// The messages of an ONNX file: made by prost from `proto/onnx.proto`, compared in a test.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
pub mod proto;
mod rows;
pub mod runtime;
pub mod trial;
pub mod verify;

#[cfg(test)]
mod tests;

pub use file::FileFault;
pub use inspect::{Inspection, ModelFault, inspect};
pub use predict::{PredictFault, Prediction, predict};
pub use rows::{LineFault, RowsFault};
pub use trial::{ExportFault, ExportRequest, Exported, Refusal, export_trial};

/// Name of every model's input: images, [batch, channels, height, width], normalised.
pub const INPUT: &str = "images";
/// Name of every model's output: logits, [batch, classes].
pub const OUTPUT: &str = "logits";
/// Name of the first axis of both.
pub const BATCH: &str = "batch";
/// Version of ONNX's operators: every runtime since 2022 takes it.
pub const OPSET: i64 = 18;
/// Version of ONNX's file format that belongs to it.
pub const IR_VERSION: i64 = 8;
/// The label that holds mean and sd of the pixels, as JSON: a model takes `(pixel / 255 - mean) / sd`.
pub const NORMALISATION: &str = "normalisation";
