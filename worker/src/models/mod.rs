//! The built-in networks: image in, logits out. Made only of operations that the ONNX exporter knows.
mod hyper;
mod spec;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use hpo_core::Seed;

pub(crate) use hyper::{Float, Int, Word, check_names};
pub use hyper::{Hyperparameter, ParamFault};
pub use spec::{NetworkSpec, Shape};

/// burn's random numbers come from one generator a process. Whoever seeds it holds this until it has drawn what it needs.
static RANDOMNESS: Mutex<()> = Mutex::new(());

/// Seeds the generator of `device` and keeps others from drawing while the guard lives.
pub(crate) fn seeded(device: &Device, seed: Seed) -> MutexGuard<'static, ()> {
    // A panic elsewhere leaves nothing behind that the new seed does not replace.
    let guard = RANDOMNESS.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed.0);
    guard
}

/// A network of any kind.
#[derive(Module, Debug)]
pub enum Network {
    /// Fully connected.
    Mlp(Mlp),
    /// Convolutional.
    Cnn(Cnn),
}

impl Network {
    /// Logits [n, classes] of scaled images [n, channels, height, width].
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Mlp(mlp) => mlp.forward(images),
            Self::Cnn(cnn) => cnn.forward(images),
        }
    }
}

/// `depth` times (linear, ReLU, dropout), then a linear head.
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Vec<Linear>,
    dropout: Dropout,
    head: Linear,
}

impl Mlp {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let flat = images.flatten(1, 3);
        let features = self.hidden.iter().fold(flat, |x, layer| self.dropout.forward(relu(layer.forward(x))));
        self.head.forward(features)
    }
}

/// `depth` blocks, each halving the image and doubling the channels, then one hidden layer and a linear head.
#[derive(Module, Debug)]
pub struct Cnn {
    blocks: Vec<Block>,
    hidden: Linear,
    dropout: Dropout,
    head: Linear,
}

impl Cnn {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let features = self.blocks.iter().fold(images, |x, block| block.forward(x)).flatten(1, 3);
        self.head.forward(self.dropout.forward(relu(self.hidden.forward(features))))
    }
}

/// Convolution 3x3, perhaps batch norm, ReLU, max pooling 2x2.
#[derive(Module, Debug)]
pub struct Block {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    pool: MaxPool2d,
}

impl Block {
    fn new(input: usize, output: usize, batch_norm: bool, device: &Device) -> Self {
        Self {
            // The bias would be taken away again by the norm's mean.
            conv: Conv2dConfig::new([input, output], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(!batch_norm)
                .init(device),
            norm: batch_norm.then(|| BatchNormConfig::new(output).init(device)),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.conv.forward(x);
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        // Pooling first gives the same values, for both only compare, and leaves a quarter for ReLU to do.
        relu(self.pool.forward(x))
    }
}

impl NetworkSpec {
    /// A network with fresh parameters, the same for the same seed on one backend.
    #[must_use]
    pub fn init(&self, device: &Device, seed: Seed) -> Network {
        let _guard = seeded(device, seed);
        let network = self.build(device);
        // Parameters are drawn when they are first looked at: look now, in the order of the fields.
        network.visit(&mut Look);
        network
    }

    fn build(&self, device: &Device) -> Network {
        let dropout = DropoutConfig::new(self.dropout).init();
        let linear = |input, output| LinearConfig::new(input, output).init(device);
        let [channels, height, width] = self.input;
        match self.shape {
            Shape::Mlp { width: hidden, depth } => {
                let inputs = std::iter::once(channels * height * width).chain(std::iter::repeat(hidden));
                Network::Mlp(Mlp {
                    hidden: inputs.take(depth).map(|input| linear(input, hidden)).collect(),
                    dropout,
                    head: linear(hidden, self.classes),
                })
            }
            Shape::Cnn { channels: first, depth, width: hidden, batch_norm } => {
                let outputs = (0..depth).map(|block| first << block);
                let inputs = std::iter::once(channels).chain(outputs.clone());
                let features = (first << (depth - 1)) * (height >> depth) * (width >> depth);
                Network::Cnn(Cnn {
                    blocks: inputs.zip(outputs).map(|(input, output)| Block::new(input, output, batch_norm, device)).collect(),
                    hidden: linear(features, hidden),
                    dropout,
                    head: linear(hidden, self.classes),
                })
            }
        }
    }
}

struct Look;

impl ModuleVisitor for Look {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _ = param.val();
    }
}
