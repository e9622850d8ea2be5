//! The card that lies beside a model: where it comes from, what it can do, and how far it was checked.
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hpo_core::{Attempt, Metrics, Params, Resource, TrialId};
use serde::{Deserialize, Serialize};

use super::check::Port;
use super::file::{Draft, FileFault};
use super::logits::Score;
use super::verify::Parity;
use crate::data::Scaling;

/// Version of the card's format. Fields may be added without a new version.
pub const VERSION: u32 = 1;

/// Kinds of model files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ONNX, compared with the network it came from.
    Onnx,
    /// A checkpoint of `hpo`, kept because its export was refused.
    Native,
}

/// A model's card, one JSON object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// [`VERSION`].
    pub card: u32,
    /// What the file is.
    pub format: Format,
    /// Name of the model's file, beside the card.
    pub file: String,
    /// The model by its content: blake3 of the file, hexadecimal.
    pub id: String,
    /// Why there is no ONNX model; with `native` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// Values of the trial's active parameters.
    pub hyperparameters: Params,
    /// How good it is.
    pub metrics: Figures,
    /// How far the ONNX model is from the network; with `onnx` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity: Option<Parity>,
    /// What it learned from, and how to feed it.
    pub data: CardData,
    /// What it takes; empty with `native`.
    pub inputs: Vec<Port>,
    /// What it gives; empty with `native`.
    pub outputs: Vec<Port>,
    /// Version of the program that wrote it.
    pub code_version: String,
    /// When, UTC, RFC 3339.
    pub created: String,
}

/// Which trial's state, and when in its training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the sweep.
    pub sweep: String,
    /// Its identity.
    pub sweep_id: String,
    /// Number of the trial.
    pub trial: TrialId,
    /// Execution of the trial that wrote the state.
    pub attempt: Attempt,
    /// Epochs behind these weights.
    pub epoch: Resource,
}

/// Quality, on two splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// As the trial reported them: what the search decided by.
    pub validation: Metrics,
    /// On the test split, which the search never saw, through the ONNX model. None without a test split.
    pub test: Option<Score>,
}

/// What a model learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardData {
    /// `idx` or `glyphs`.
    pub kind: String,
    /// blake3 of images and labels, hexadecimal.
    pub hash: String,
    /// Examples in each split.
    pub split: SplitSizes,
    /// What enters the model: `(pixel / 255 - mean) / sd`.
    pub normalisation: Scaling,
}

/// Examples in each split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSizes {
    /// Trained on.
    pub train: usize,
    /// Decided by.
    pub validation: usize,
    /// Never seen by the search.
    pub test: usize,
}

impl Card {
    /// Writes it as `path`, indented, whole or not at all.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn write(&self, path: &Path) -> Result<(), FileFault> {
        let mut text =
            serde_json::to_string_pretty(self).map_err(|fault| FileFault::Write { path: path.to_owned(), source: fault.into() })?;
        text.push('\n');
        Draft::write(path, text.as_bytes())?.publish()
    }
}

/// Milliseconds since 1970 as RFC 3339, to the second.
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    // beyond the year 9999 there is no such text
    let seconds = (unix_ms / 1000).min(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}
