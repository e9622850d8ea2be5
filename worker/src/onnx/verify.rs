//! Does the ONNX model say what the network says? Runs both on the same held images.
use serde::{Deserialize, Serialize};

use super::logits::{Logits, argmax};
use super::runtime::{RuntimeFault, RuntimeId, Session};

/// Largest difference of any logit that passes.
pub const TOLERANCE: f64 = 1e-4;

/// Sizes of batches and how many batches of each are run: more than one size shows that the batch axis is dynamic. The
/// last one runs over everything.
const BATCHES: [(usize, usize); 3] = [(1, 16), (7, 8), (256, usize::MAX)];

/// How far the ONNX model is from the network it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// Largest absolute difference of any logit of any example.
    pub max_abs_diff: f64,
    /// Share of the examples for which both give the same class, 0 to 1.
    pub argmax_agreement: f64,
    /// How many images were compared.
    pub examples: usize,
    /// Sizes of the batches that were run.
    pub batch_sizes: Vec<usize>,
    /// What ran the ONNX model.
    pub runtime: RuntimeId,
}

/// The ONNX model is not the network.
#[derive(Debug, thiserror::Error)]
pub enum ParityFault {
    /// Not even two images to try two batch sizes on.
    #[error("{held} held images are too few to compare on: give the validation or test split at least 2")]
    TooFew {
        /// How many there are.
        held: usize,
    },
    /// A logit is off, or not finite on either side.
    #[error("logits differ by {:e} under {}; at most {TOLERANCE:e} passes", .0.max_abs_diff, .0.runtime)]
    Differs(Parity),
    /// Another class.
    #[error("{} gives the network's class for {:.2} % of {} images; all must agree", .0.runtime, .0.argmax_agreement * 100.0, .0.examples)]
    Disagrees(Parity),
    /// Another number of rows or classes.
    #[error("the model gives {found} logits where the network gives {wanted}")]
    Shape {
        /// Of the network.
        wanted: usize,
        /// Of the model.
        found: usize,
    },
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeFault),
}

/// Compares the model with the network's own logits for the same `rows` (f32 values, `native` has one row for each).
///
/// # Errors
/// If any logit differs by more than [`TOLERANCE`], any class differs, or the model does not run at some batch size.
pub fn parity(session: &mut Session, rows: &[f32], native: &Logits) -> Result<Parity, ParityFault> {
    let held = native.rows().len();
    if held < 2 {
        return Err(ParityFault::TooFew { held });
    }
    let width = rows.len() / held;
    let (mut worst, mut agree) = (0.0_f64, vec![true; held]);
    let mut batch_sizes = Vec::new();
    for (size, count) in BATCHES.map(|(size, count)| (size.min(held), count)) {
        batch_sizes.push(size);
        let some = size.saturating_mul(count).min(held);
        let logits = run(session, &rows[..some * width], width, size)?;
        let wanted = some * native.classes();
        if logits.values().len() != wanted || logits.classes() != native.classes() {
            return Err(ParityFault::Shape { wanted, found: logits.values().len() });
        }
        for ((model, network), agree) in logits.rows().zip(native.rows()).zip(&mut agree) {
            worst = model.iter().zip(network).map(|(a, b)| distance(*a, *b)).fold(worst, f64::max);
            *agree &= argmax(model) == argmax(network);
        }
    }
    batch_sizes.dedup();
    let argmax_agreement = agree.iter().filter(|agree| **agree).count() as f64 / held as f64;
    let parity = Parity { max_abs_diff: worst, argmax_agreement, examples: held, batch_sizes, runtime: session.runtime().clone() };
    if worst > TOLERANCE {
        return Err(ParityFault::Differs(parity));
    }
    if agree.contains(&false) {
        return Err(ParityFault::Disagrees(parity));
    }
    Ok(parity)
}

/// Runs rows of `width` values in batches of at most `size`.
///
/// # Errors
/// As [`Session::run`].
pub fn run(session: &mut Session, rows: &[f32], width: usize, size: usize) -> Result<Logits, RuntimeFault> {
    let mut batches = rows.chunks(size.max(1) * width.max(1)).map(|batch| session.run(batch));
    let mut all = batches.next().ok_or(RuntimeFault::Rows { values: 0, row: width })??;
    for logits in batches {
        all.append(logits?);
    }
    Ok(all)
}

/// What is not finite is infinitely far from everything, itself too.
fn distance(a: f32, b: f32) -> f64 {
    let distance = (f64::from(a) - f64::from(b)).abs();
    if distance.is_finite() { distance } else { f64::INFINITY }
}
