//! Runs an exported model on a file of images.
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::NORMALISATION;
use super::card::Card;
use super::check::Port;
use super::export::labels;
use super::file::read;
use super::inspect::{ModelFault, decode};
use super::logits::{argmax, probability};
use super::rows::{self, RowsFault};
use super::runtime::{RuntimeFault, Session, SessionFault};
use crate::data::Scaling;

/// Images that go through the model together.
const BATCH: usize = 256;

/// What the model says of one image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Position of the image in the file, from 0.
    pub row: usize,
    /// The most likely class.
    pub class: usize,
    /// Its softmax probability.
    pub probability: f64,
    /// The model's words for every class.
    pub logits: Vec<f32>,
}

/// No predictions.
#[derive(Debug, thiserror::Error)]
pub enum PredictFault {
    /// The model is none.
    #[error("cannot use {path} as a model")]
    Model {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: ModelFault,
    },
    /// It is not what was exported and verified.
    #[error(
        "{path} is damaged, or another model: its card says that its hash is {expected}, and it is {found}; `hpo export` makes it anew"
    )]
    Changed {
        /// Which file.
        path: PathBuf,
        /// By its card.
        expected: String,
        /// By its content.
        found: String,
    },
    /// The model does not take images.
    #[error("{path} takes rows of {row:?}, not images of (channels, height, width)")]
    NoImages {
        /// Which file.
        path: PathBuf,
        /// A row's axes.
        row: Vec<usize>,
    },
    /// Nobody can know what pixels must go through before they enter.
    #[error("{path} has no label `{NORMALISATION}` with mean and sd: was it exported by hpo?")]
    NoNormalisation {
        /// Which file.
        path: PathBuf,
    },
    /// The images are none.
    #[error("cannot take images from the input")]
    Rows(#[from] RowsFault),
    /// The model does not load.
    #[error(transparent)]
    Session(#[from] SessionFault),
    /// The model does not run.
    #[error(transparent)]
    Runtime(#[from] RuntimeFault),
}

/// Predicts the class of every image of `input`: an IDX file, plain or gzip, or text with one image a line, its pixels as
/// whole numbers from 0 to 255 in CSV or as a JSON array. Pixels are normalised as the model's labels say.
///
/// # Errors
/// If the model or the input cannot be used; both are named, with the line where there is one.
pub fn predict(model: &Path, input: &Path) -> Result<Vec<Prediction>, PredictFault> {
    let fault = |source| PredictFault::Model { path: model.to_owned(), source };
    let bytes = read(model).map_err(|file| fault(file.into()))?;
    is_as_its_card_says(model, &bytes)?;
    let (decoded, interface) = decode(&bytes).map_err(fault)?;
    let shape = image(&interface.input).ok_or_else(|| PredictFault::NoImages { path: model.to_owned(), row: interface.input.row() })?;
    let scaling: Scaling = labels(&decoded)
        .get(NORMALISATION)
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| PredictFault::NoNormalisation { path: model.to_owned() })?;
    let pixels = rows::read(input, shape)?;
    let mut session = Session::open(&bytes)?;
    let mut predictions = Vec::new();
    for batch in pixels.chunks(BATCH * shape.iter().product::<usize>()) {
        let scaled: Vec<f32> = batch.iter().map(|&pixel| scaling.apply(pixel)).collect();
        for logits in session.run(&scaled)?.rows() {
            let (row, class) = (predictions.len(), argmax(logits));
            predictions.push(Prediction { row, class, probability: probability(logits, class), logits: logits.to_vec() });
        }
    }
    Ok(predictions)
}

/// A weight that has changed on a disk or in a copy gives other answers, and no sign of it. Without a card beside it a model is taken as it is.
fn is_as_its_card_says(model: &Path, bytes: &[u8]) -> Result<(), PredictFault> {
    let card = read(&model.with_extension("card.json")).ok().and_then(|text| serde_json::from_slice::<Card>(&text).ok());
    let Some(card) = card.filter(|card| model.file_name().is_some_and(|name| name == card.file.as_str())) else { return Ok(()) };
    let found = blake3::hash(bytes).to_hex().to_string();
    if card.id == found { Ok(()) } else { Err(PredictFault::Changed { path: model.to_owned(), expected: card.id, found }) }
}

fn image(port: &Port) -> Option<[usize; 3]> {
    port.row().try_into().ok()
}
