//! What a trial runs. The sweep never looks inside: the driver checks it and passes it on, the worker does it.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Goal, Millis, Resource, Seed, Value};

/// The `[trial]` part of a sweep, checked, with absolute paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What trains.
    pub trainable: Trainable,
    /// The metric that every report must carry.
    pub metric: String,
    /// Whether that metric is to be small or large.
    pub goal: Goal,
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
    /// A training that is looked up or computed, not done.
    Curves(CurvesJob),
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
    pub max_resource: Resource,
}

/// The figure in a report that is the sweep's metric on data that no decision sees.
pub const TEST: &str = "test";

/// What a built-in network reports after every epoch, and which way is better.
pub const BURN_METRICS: [(&str, Goal); 5] = [
    ("train_loss", Goal::Minimize),
    ("val_loss", Goal::Minimize),
    ("val_accuracy", Goal::Maximize),
    ("seconds", Goal::Minimize),
    ("steps_per_second", Goal::Maximize),
];

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

/// Trainings without a GPU: schedulers and searchers are tried on them, in a simulator or by real workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvesJob {
    /// Where the figures come from.
    pub source: CurveSource,
    /// The scheduler's largest resource: where a training is complete.
    pub max_resource: Resource,
    /// How long a real worker takes over one second of the training, in seconds; 0 is as fast as it can.
    pub pace: f64,
}

/// Where the figures of a training come from that is not done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum CurveSource {
    /// Recorded trainings.
    Tabular(TabularJob),
    /// A model that predicts them.
    Surrogate(SurrogateJob),
    /// A formula.
    Synthetic(SyntheticJob),
}

/// Recorded trainings: a CSV of one training a row, whose configurations are the sweep's pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TabularJob {
    /// The file, with a header.
    pub csv: PathBuf,
    /// The columns of the curve are those named so and a number, in the order of the numbers.
    pub curve: String,
    /// The column with the seconds that the whole training took; without one a unit takes a second.
    pub cost: Option<String>,
}

/// Trainings as a surrogate in the style of YAHPO Gym (arXiv:2109.03670) predicts them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurrogateJob {
    /// The ONNX model: i32 `[n, categorical]` and f32 `[n, continuous]` in, f32 `[n, outputs]` out.
    pub model: PathBuf,
    /// JSON: for each categorical input the number of each of its words.
    pub encoding: Option<PathBuf>,
    /// Names of the categorical inputs, in the model's order.
    pub categorical: Vec<String>,
    /// Names of the continuous inputs, in the model's order; in natural units.
    pub continuous: Vec<String>,
    /// Inputs that no trial changes, such as the task.
    pub fixed: BTreeMap<String, Value>,
    /// The continuous input that is the resource.
    pub fidelity: String,
    /// How much of it one unit of resource is.
    pub fidelity_step: f64,
    /// Names of the outputs, in the model's order.
    pub outputs: Vec<String>,
    /// The output that is the sweep's metric.
    pub metric: String,
    /// The output that is the test metric.
    pub test: Option<String>,
    /// The output that is the seconds since the training began; without one a unit takes a second.
    pub cost: Option<String>,
    /// Standard deviation of the noise on the metric of each report.
    #[serde(default)]
    pub noise: f64,
    /// The share of trials that fail, at a unit drawn for each.
    #[serde(default)]
    pub failure_rate: f64,
}

/// Trainings in closed form, whose best loss is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyntheticJob {
    /// What the loss is after a whole training.
    pub function: Function,
    /// Standard deviation of the noise on each report.
    pub noise: f64,
    /// The share of trials that diverge, at a unit drawn for each.
    pub failure_rate: f64,
    /// How much early ranks mislead: 0 not at all, 1 as good as wholly.
    pub crossing: f64,
    /// How fast a curve comes down: the exponent that it has lost at the end.
    pub rate: f64,
    /// Median of the seconds that one unit takes.
    pub seconds: f64,
    /// Standard deviation, over trials, of the logarithm of those seconds.
    pub cost_spread: f64,
}

/// Test functions of global optimisation; `hpo-curves` has the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// Two numbers; three equal minima.
    Branin,
    /// Six numbers from 0 to 1; one of six minima is the best.
    Hartmann6,
    /// Two or more numbers; a long bent valley.
    Rosenbrock,
    /// Like the settings of a network: a choice, a number that only one choice has, a log scale, a whole number, a switch.
    Mixed,
}
