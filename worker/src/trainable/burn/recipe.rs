//! How a network is trained: optimizer, learning rate and its schedule, batch size.
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use hpo_core::job::Model;
use hpo_core::{Params, Resource};
use serde::{Deserialize, Serialize};

use crate::models::{Float, Hyperparameter, Int, NetworkSpec, ParamFault, Word, check_names};

/// All that decides about a training besides the network, the data and the seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What turns gradients into steps.
    pub optimizer: Optimizer,
    /// The largest learning rate.
    pub lr: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Epochs over which the learning rate rises linearly from (almost) zero.
    pub warmup: f64,
    /// Epochs from the first step to the end of the schedule; after that the rate stays as it is.
    pub horizon: u32,
    /// Images a step.
    pub batch: usize,
    /// L2 penalty (`sgd`, `adam`) or decoupled decay (`adamw`).
    pub weight_decay: f64,
}

/// Kinds of optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "optimizer", rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent; no momentum at 0.
    Sgd {
        /// Share of the last step that is kept.
        momentum: f64,
    },
    /// Kingma and Ba, arXiv:1412.6980.
    Adam {
        /// Decay of the mean gradient.
        beta1: f64,
        /// Decay of the mean square.
        beta2: f64,
    },
    /// Loshchilov and Hutter, arXiv:1711.05101.
    AdamW {
        /// Decay of the mean gradient.
        beta1: f64,
        /// Decay of the mean square.
        beta2: f64,
    },
}

/// Factor on the learning rate against progress, from 0 at the first step to 1 at the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "lowercase")]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// Half a cosine, from 1 to 0 (Loshchilov and Hutter, arXiv:1608.03983, without restarts).
    Cosine,
    /// From 1 to 0 in a line.
    Linear,
    /// Multiplied by `decay` after each third of the horizon.
    Step {
        /// The factor.
        decay: f64,
    },
}

const OPTIMIZER: Word = Word { name: "optimizer", about: "what turns gradients into steps", words: &["adam", "adamw", "sgd"] };
const LR: Float = Float { name: "lr", about: "learning rate (the largest, if it has a schedule)", low: 1e-8, high: 100.0, default: 1e-3 };
const MOMENTUM: Float = Float { name: "momentum", about: "momentum of sgd", low: 0.0, high: 0.999, default: 0.9 };
const BETA1: Float = Float { name: "beta1", about: "decay of the mean gradient (adam, adamw)", low: 0.0, high: 0.9999, default: 0.9 };
const BETA2: Float = Float { name: "beta2", about: "decay of the mean square (adam, adamw)", low: 0.0, high: 0.999_999, default: 0.999 };
const WEIGHT_DECAY: Float =
    Float { name: "weight_decay", about: "L2 penalty (sgd, adam) or decoupled decay (adamw)", low: 0.0, high: 10.0, default: 0.0 };
const BATCH: Int = Int { name: "batch", about: "images a step; an incomplete last batch is left out", low: 1, high: 65_536, default: 64 };
const SCHEDULE: Word = Word { name: "schedule", about: "how the learning rate changes", words: &["constant", "cosine", "linear", "step"] };
const DECAY: Float = Float { name: "decay", about: "factor of the `step` schedule, each third", low: 0.0, high: 1.0, default: 0.1 };
const WARMUP: Float = Float { name: "warmup", about: "epochs of linear warm-up", low: 0.0, high: 1e4, default: 0.0 };
/// Its default is the sweep's `max_resource`; 0 stands for that.
const SCHEDULE_EPOCHS: Int =
    Int { name: "schedule_epochs", about: "epochs to the end of the schedule; 0 = max_resource", low: 0, high: 1_000_000, default: 0 };

/// Every parameter that a built-in model takes, with its values and default.
#[must_use]
pub fn hyperparameters(model: Model) -> Vec<Hyperparameter> {
    let mut all = NetworkSpec::hyperparameters(model);
    all.extend([OPTIMIZER.describe(), LR.describe(), MOMENTUM.describe(), BETA1.describe(), BETA2.describe()]);
    all.extend([WEIGHT_DECAY.describe(), BATCH.describe(), SCHEDULE.describe(), DECAY.describe(), WARMUP.describe()]);
    all.push(SCHEDULE_EPOCHS.describe());
    all
}

/// Reads a trial's parameters. `max_resource` is where the schedule ends unless `schedule_epochs` says otherwise.
///
/// # Errors
/// An unknown name, a value of the wrong kind or out of range, a parameter that means nothing under the others.
pub fn read(
    model: Model,
    params: &Params,
    input: [usize; 3],
    classes: usize,
    max_resource: Resource,
) -> Result<(NetworkSpec, Recipe), ParamFault> {
    let name = match model {
        Model::Mlp => "mlp",
        Model::Cnn => "cnn",
    };
    check_names(name, params, &hyperparameters(model))?;
    Ok((NetworkSpec::from_params(model, params, input, classes)?, Recipe::from_params(params, max_resource)?))
}

impl Recipe {
    fn from_params(params: &Params, max_resource: Resource) -> Result<Self, ParamFault> {
        let word = OPTIMIZER.read(params)?;
        let idle = |name: &'static str, parent, value, wanted| match params.contains_key(name) {
            true => Err(ParamFault::Idle { name, parent, value, wanted }),
            false => Ok(()),
        };
        let optimizer = if word == "sgd" {
            idle(BETA1.name, OPTIMIZER.name, word, r#"["adam", "adamw"]"#)?;
            idle(BETA2.name, OPTIMIZER.name, word, r#"["adam", "adamw"]"#)?;
            Optimizer::Sgd { momentum: MOMENTUM.read(params)? }
        } else {
            idle(MOMENTUM.name, OPTIMIZER.name, word, r#""sgd""#)?;
            let (beta1, beta2) = (BETA1.read(params)?, BETA2.read(params)?);
            if word == "adam" { Optimizer::Adam { beta1, beta2 } } else { Optimizer::AdamW { beta1, beta2 } }
        };
        let word = SCHEDULE.read(params)?;
        if word != "step" {
            idle(DECAY.name, SCHEDULE.name, word, r#""step""#)?;
        }
        if word == "constant" {
            idle(SCHEDULE_EPOCHS.name, SCHEDULE.name, word, r#"["cosine", "linear", "step"]"#)?;
        }
        let schedule = match word {
            "cosine" => Schedule::Cosine,
            "linear" => Schedule::Linear,
            "step" => Schedule::Step { decay: DECAY.read(params)? },
            _ => Schedule::Constant,
        };
        let horizon = match SCHEDULE_EPOCHS.read(params)? {
            0 => max_resource.0.max(1),
            epochs => epochs as u32,
        };
        Ok(Self {
            optimizer,
            lr: LR.read(params)?,
            schedule,
            warmup: WARMUP.read(params)?,
            horizon,
            batch: BATCH.read(params)?,
            weight_decay: WEIGHT_DECAY.read(params)?,
        })
    }

    /// Learning rate of a step, counted from the start of the trial. A function of the position alone, so that a resumed
    /// trial has nothing to restore.
    #[must_use]
    pub fn learning_rate(&self, step: u64, steps_per_epoch: u64) -> f64 {
        let epochs = step as f64 / steps_per_epoch as f64;
        let warm = self.warmup * steps_per_epoch as f64;
        let rise = if (step as f64) < warm { (step + 1) as f64 / warm.ceil() } else { 1.0 };
        // One step before the end at most: the last rate of a falling schedule is not zero.
        let last = f64::from(self.horizon) - 1.0 / steps_per_epoch as f64;
        let epochs = epochs.min(last);
        let progress = epochs / f64::from(self.horizon);
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Schedule::Linear => 1.0 - progress,
            // In this order whole thirds are exact.
            Schedule::Step { decay } => decay.powi((3.0 * epochs / f64::from(self.horizon)) as i32),
        };
        self.lr * rise.min(1.0) * factor
    }

    /// An optimizer with no state yet.
    pub(super) fn optimizer(&self) -> ModuleOptimizer {
        let penalty = (self.weight_decay > 0.0).then(|| WeightDecayConfig::new(self.weight_decay as f32));
        // PyTorch's epsilon and dampening, which published learning rates assume.
        const EPSILON: f32 = 1e-8;
        match self.optimizer {
            Optimizer::Sgd { momentum } => {
                let momentum = (momentum > 0.0).then(|| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0));
                SgdConfig::new().with_momentum(momentum).with_weight_decay(penalty).init()
            }
            Optimizer::Adam { beta1, beta2 } => {
                let config = AdamConfig::new().with_beta_1(beta1 as f32).with_beta_2(beta2 as f32);
                config.with_epsilon(EPSILON).with_weight_decay(penalty).init()
            }
            Optimizer::AdamW { beta1, beta2 } => {
                let config = AdamWConfig::new().with_beta_1(beta1 as f32).with_beta_2(beta2 as f32);
                config.with_epsilon(EPSILON).with_weight_decay(self.weight_decay as f32).init()
            }
        }
    }
}
