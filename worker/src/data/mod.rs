//! Labelled images in memory: read or generated, split once by the sweep's seed, and scaled by what the training part
//! looks like.
mod draw;
mod fault;
mod glyphs;
mod idx;
mod split;
#[cfg(test)]
pub(crate) mod tests;

use hpo_core::Seed;
use hpo_core::job::{Data, Split};
use serde::{Deserialize, Serialize};

pub use draw::permutation;
pub use fault::{DataFault, Found};
pub use idx::read_images;

/// Images and labels, split and scaled. Equal arguments of [`load`] give equal bytes on every machine.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What the network learns from.
    pub train: Part,
    /// What the reports are measured on.
    pub validation: Part,
    /// What no decision sees; perhaps empty.
    pub test: Part,
    /// Where it came from and how it was scaled.
    pub card: DataCard,
}

/// One part of the split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Scaled pixels, [`Part::len`] images after each other, each [channels, height, width], row-major.
    pub images: Vec<f32>,
    /// Class of each image, from 0.
    pub labels: Vec<i32>,
}

/// What a trained model must know about its data: enough to prepare another image, and to see that a state file belongs
/// to other data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataCard {
    /// Channels, height, width.
    pub input: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// How pixels are scaled.
    pub scaling: Scaling,
    /// Content hash over shape, labels and pixels before the split: 64 hexadecimal digits (BLAKE3).
    pub hash: String,
    /// The shares.
    pub split: Split,
    /// The seed that the split was drawn from.
    pub seed: Seed,
}

/// Brings the training part to mean 0 and standard deviation 1: `(pixel / 255 - mean) / sd`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Mean of the training pixels; white is 1.
    pub mean: f32,
    /// Their standard deviation.
    pub sd: f32,
}

impl Scaling {
    /// A pixel as the network sees it.
    #[must_use]
    pub fn apply(self, pixel: u8) -> f32 {
        (f32::from(pixel) / 255.0 - self.mean) / self.sd
    }

    /// Measured in whole numbers, so that it is the same on every machine; `None` if all pixels are equal.
    fn measure<'a>(pixels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let (mut count, mut sum, mut squares) = (0_u64, 0_u64, 0_u64);
        for image in pixels {
            count += image.len() as u64;
            sum += image.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
            squares += image.iter().map(|&pixel| u64::from(pixel).pow(2)).sum::<u64>();
        }
        let mean = sum as f64 / count as f64;
        let variance = squares as f64 / count as f64 - mean * mean;
        (variance > 1e-6).then(|| Self { mean: (mean / 255.0) as f32, sd: (variance.sqrt() / 255.0) as f32 })
    }
}

impl Part {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Images as they came: u8, [n, channels, height, width], before split and scaling.
#[derive(Clone, Debug, PartialEq)]
struct Raw {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    input: [usize; 3],
    classes: usize,
}

impl Raw {
    fn image(&self, index: usize) -> &[u8] {
        let size = self.input.iter().product::<usize>();
        &self.pixels[index * size..(index + 1) * size]
    }

    fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for number in self.input.iter().chain([&self.classes, &self.labels.len()]) {
            hasher.update(&(*number as u64).to_le_bytes());
        }
        hasher.update(&self.labels).update(&self.pixels).finalize().to_hex().to_string()
    }

    fn part(&self, members: &[u32], scaling: Scaling) -> Part {
        let scaled: Vec<f32> = (0..=u8::MAX).map(|pixel| scaling.apply(pixel)).collect();
        let mut part = Part::default();
        part.images.reserve_exact(members.len() * self.input.iter().product::<usize>());
        for &member in members {
            part.images.extend(self.image(member as usize).iter().map(|&pixel| scaled[usize::from(pixel)]));
            part.labels.push(i32::from(self.labels[member as usize]));
        }
        part
    }
}

/// Reads or generates the examples, splits them by `seed`, and scales all parts by the training part.
///
/// # Errors
/// Whatever is wrong with a file, the numbers of a generator, or the shares.
pub fn load(data: &Data, split: Split, seed: Seed) -> Result<Dataset, DataFault> {
    let raw = match data {
        Data::Idx { images, labels } => idx::read(images, labels)?,
        Data::Glyphs { count, classes, size, noise } => glyphs::generate(*count, *classes, *size, *noise, seed.derive("glyphs", 0))?,
    };
    let [train, validation, test] = split::draw(raw.labels.len(), split, seed.derive("split", 0))?;
    let scaling = Scaling::measure(train.iter().map(|&member| raw.image(member as usize))).ok_or(DataFault::Constant)?;
    Ok(Dataset {
        train: raw.part(&train, scaling),
        validation: raw.part(&validation, scaling),
        test: raw.part(&test, scaling),
        card: DataCard { input: raw.input, classes: raw.classes, scaling, hash: raw.hash(), split, seed },
    })
}
