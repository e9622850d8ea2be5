//! What a trial runs. The sweep never looks inside: the driver checks it and passes it on, the worker does it.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Millis, Seed};

/// The `[trial]` part of a sweep, checked, with absolute paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What trains.
    pub trainable: Trainable,
    /// The metric that every report must carry.
    pub metric: String,
    /// Whether that metric is to be small or large.
    pub goal: crate::Goal,
    /// A trainer that makes no progress (no report, no protocol line) for this long hangs.
    pub stall_ms: Millis,
    /// How long a trainer that was told to leave may take before it is killed.
    pub grace_ms: Millis,
    /// What data splits and generated data derive from: the sweep's seed.
    pub seed: Seed,
}

/// Kinds of trainable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trainable {
    /// A built-in burn model.
    Burn(BurnJob),
    /// Any program that speaks `worker/PROTOCOL.md`, or prints a metric that a pattern finds.
    Command(CommandJob),
}

/// A burn model on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BurnJob {
    /// Which network.
    pub model: Model,
    /// Where it trains.
    pub device: Device,
    /// On what.
    pub data: Data,
    /// Shares of the examples.
    pub split: Split,
    /// The scheduler's largest resource (epochs): where a learning-rate schedule ends.
    pub max_resource: crate::Resource,
}

/// Built-in networks for images of any size and number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// Fully connected.
    Mlp,
    /// Convolutions, pooling, a fully connected head.
    Cnn,
}

/// A burn backend, chosen at run time among those compiled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The slot's GPU where there is one and a backend for it is compiled in, else the CPU.
    #[default]
    Auto,
    /// burn-flex.
    Cpu,
    /// NVIDIA.
    Cuda,
    /// Any card with a Vulkan driver.
    Vulkan,
}

/// Where examples come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Data {
    /// Images and labels in IDX files (MNIST's format), gzip or plain.
    Idx {
        /// u8 images, [n, height, width] or [n, height, width, channels].
        images: PathBuf,
        /// u8 labels, [n].
        labels: PathBuf,
    },
    /// Generated glyph-like images: seeded strokes, one shape a class, shifted, scaled, rotated and noisy.
    Glyphs {
        /// How many images.
        count: u32,
        /// How many shapes.
        classes: u32,
        /// Height and width in pixels.
        size: u32,
        /// Standard deviation of the pixel noise; pixels are 0 to 1.
        noise: f64,
    },
}

/// Shares of a data set; they sum to at most 1. Who lands where is drawn once from the sweep's seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// For training.
    pub train: f64,
    /// For the reports that decide.
    pub validation: f64,
    /// For the one honest figure at the end; no decision sees it.
    pub test: f64,
}

/// A user's program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandJob {
    /// Program and arguments; `{name}` stands for a parameter's value or one of `trial`, `attempt`, `seed`, `from`,
    /// `until`, `checkpoint_in`, `checkpoint_out`. `{{name}}` is `{name}` to the letter; any other brace is itself.
    pub command: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Added to its environment.
    pub env: BTreeMap<String, String>,
    /// For programs that do not speak the protocol: a regular expression with one group that finds the metric in a
    /// line of output; each hit is the report of the next resource unit.
    pub metric_pattern: Option<String>,
}
