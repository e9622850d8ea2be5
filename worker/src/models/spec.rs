//! What a network looks like, before it exists.
use hpo_core::Params;
use hpo_core::job::Model;
use serde::{Deserialize, Serialize};

use super::hyper::{Float, Hyperparameter, Int, ParamFault, Truth};

/// All that is needed to build a network: written into state files and model cards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Channels, height, width of an image.
    pub input: [usize; 3],
    /// Number of logits.
    pub classes: usize,
    /// Share of features dropped while training, 0 to below 1.
    pub dropout: f64,
    /// Kind and sizes.
    #[serde(flatten)]
    pub shape: Shape,
}

/// Kind of network and its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "lowercase")]
pub enum Shape {
    /// Fully connected.
    Mlp {
        /// Units of each hidden layer.
        width: usize,
        /// Hidden layers.
        depth: usize,
    },
    /// Convolutional.
    Cnn {
        /// Channels of the first block; each further one has twice as many.
        channels: usize,
        /// Blocks.
        depth: usize,
        /// Units of the hidden layer after them.
        width: usize,
        /// Whether each convolution is followed by batch norm.
        batch_norm: bool,
    },
}

const DROPOUT: Float = Float { name: "dropout", about: "share of features dropped while training", low: 0.0, high: 0.95, default: 0.0 };
const MLP_WIDTH: Int = Int { name: "width", about: "units of each hidden layer", low: 1, high: 16_384, default: 128 };
const MLP_DEPTH: Int = Int { name: "depth", about: "hidden layers", low: 1, high: 64, default: 2 };
const CHANNELS: Int =
    Int { name: "channels", about: "channels of the first convolution; each next has twice as many", low: 1, high: 1024, default: 16 };
const CNN_DEPTH: Int = Int { name: "depth", about: "convolutions, each halving the image", low: 1, high: 6, default: 2 };
const CNN_WIDTH: Int = Int { name: "width", about: "units of the hidden layer after the convolutions", low: 1, high: 16_384, default: 128 };
const BATCH_NORM: Truth = Truth { name: "batch_norm", about: "batch norm after each convolution", default: false };

impl NetworkSpec {
    /// Reads the parameters that shape the network; others are left to those who know them.
    ///
    /// # Errors
    /// A value of the wrong kind or out of range; more convolutions than the image can be halved.
    pub fn from_params(model: Model, params: &Params, input: [usize; 3], classes: usize) -> Result<Self, ParamFault> {
        let shape = match model {
            Model::Mlp => Shape::Mlp { width: MLP_WIDTH.read(params)?, depth: MLP_DEPTH.read(params)? },
            Model::Cnn => {
                let depth = CNN_DEPTH.read(params)?;
                let [_, height, width] = input;
                let most = height.min(width).checked_ilog2().unwrap_or(0) as usize;
                if depth > most {
                    return Err(ParamFault::TooDeep { depth, height, width, most });
                }
                Shape::Cnn { channels: CHANNELS.read(params)?, depth, width: CNN_WIDTH.read(params)?, batch_norm: BATCH_NORM.read(params)? }
            }
        };
        Ok(Self { input, classes, dropout: DROPOUT.read(params)?, shape })
    }

    /// How many weights it has, without biases; `None` if [`NetworkSpec::from_params`] makes no such network. Asked before
    /// one is built from a file, which may say anything.
    #[must_use]
    pub fn weights(&self) -> Option<u64> {
        let within = |number: usize, of: &Int| i64::try_from(number).is_ok_and(|number| (of.low..=of.high).contains(&number));
        let product = |factors: &[usize]| factors.iter().try_fold(1_u64, |product, &factor| product.checked_mul(factor as u64));
        let sound = self.classes > 0 && self.input.iter().all(|&size| size > 0) && (DROPOUT.low..=DROPOUT.high).contains(&self.dropout);
        let [channels, height, width] = self.input;
        let layers = match self.shape {
            Shape::Mlp { width: units, depth } if sound && within(units, &MLP_WIDTH) && within(depth, &MLP_DEPTH) => {
                let first = product(&[channels, height, width, units])?;
                vec![first, product(&[units, units, depth - 1])?.max(1), product(&[units, self.classes])?]
            }
            Shape::Cnn { channels: first, depth, width: units, .. }
                if sound && within(first, &CHANNELS) && within(depth, &CNN_DEPTH) && within(units, &CNN_WIDTH) =>
            {
                let outputs = (0..depth).map(|block| first << block);
                let inputs = std::iter::once(channels).chain(outputs.clone());
                let mut layers: Vec<u64> =
                    inputs.zip(outputs).map(|(input, output)| product(&[9, input, output])).collect::<Option<_>>()?;
                layers.push(product(&[first << (depth - 1), height >> depth, width >> depth, units])?);
                layers.push(product(&[units, self.classes])?);
                layers
            }
            _ => return None,
        };
        // An image that is halved to nothing has no features.
        layers.into_iter().try_fold(0, |sum: u64, weights| if weights == 0 { None } else { sum.checked_add(weights) })
    }

    /// The parameters that [`NetworkSpec::from_params`] reads.
    #[must_use]
    pub fn hyperparameters(model: Model) -> Vec<Hyperparameter> {
        match model {
            Model::Mlp => vec![MLP_WIDTH.describe(), MLP_DEPTH.describe(), DROPOUT.describe()],
            Model::Cnn => {
                vec![CHANNELS.describe(), CNN_DEPTH.describe(), CNN_WIDTH.describe(), BATCH_NORM.describe(), DROPOUT.describe()]
            }
        }
    }
}
