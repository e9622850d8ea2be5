//! Examples on the device where they are used, and how well a network does on them.
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::Part;
use crate::models::Network;

/// Images that are evaluated at once: enough to fill the arithmetic, few enough for a CPU's cache.
const EVALUATED_AT_ONCE: usize = 128;

/// One part of a data set in a device's memory.
pub struct Examples {
    /// [n, pixels]: rows of a matrix are what backends gather fastest.
    images: Tensor<2>,
    labels: Tensor<1, Int>,
    input: [usize; 3],
    count: usize,
}

/// How well a network does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of images whose largest logit is the right one.
    pub accuracy: f64,
}

impl Examples {
    /// Moves `part`, whose images are `input` = [channels, height, width], to `device`.
    #[must_use]
    pub fn new(part: Part, input: [usize; 3], device: &Device) -> Self {
        let count = part.len();
        let pixels = input.iter().product();
        Self {
            images: Tensor::from_data(TensorData::new(part.images, [count, pixels]), device),
            labels: Tensor::from_data(TensorData::new(part.labels, [count]), device),
            input,
            count,
        }
    }

    /// Number of images.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Images [n, channels, height, width] and labels [n] at `indices` [n].
    #[must_use]
    pub fn at(&self, indices: Tensor<1, Int>) -> (Tensor<4>, Tensor<1, Int>) {
        let images = self.images.clone().select(0, indices.clone());
        (self.shaped(images), self.labels.clone().select(0, indices))
    }

    fn range(&self, range: std::ops::Range<usize>) -> (Tensor<4>, Tensor<1, Int>) {
        (self.shaped(self.images.clone().slice([range.clone()])), self.labels.clone().slice([range]))
    }

    fn shaped(&self, images: Tensor<2>) -> Tensor<4> {
        let [channels, height, width] = self.input;
        let [count, _] = images.dims();
        images.reshape([count, channels, height, width])
    }

    /// Loss and accuracy of `network`, without dropout.
    #[must_use]
    pub fn score(&self, network: &Network) -> Score {
        let network = network.valid();
        let criterion = CrossEntropyLossConfig::new().init(&self.images.device());
        let (mut loss, mut right) = (0.0, 0);
        for start in (0..self.count).step_by(EVALUATED_AT_ONCE) {
            let end = (start + EVALUATED_AT_ONCE).min(self.count);
            let (images, labels) = self.range(start..end);
            let logits = network.forward(images);
            let guesses = logits.clone().argmax(1).reshape([end - start]);
            right += guesses.equal(labels.clone()).int().sum().into_scalar::<i64>();
            loss += f64::from(criterion.forward(logits, labels).into_scalar::<f32>()) * (end - start) as f64;
        }
        Score { loss: loss / self.count as f64, accuracy: right as f64 / self.count as f64 }
    }
}
