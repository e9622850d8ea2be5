//! Trains a built-in network, epoch by epoch, so that stopping after any epoch and going on elsewhere changes nothing:
//! 2N epochs, and N epochs, a state file, a new process and N more, give the same bits on the CPU backend.
//!
//! Nothing needs to be remembered for that but parameters and optimizer state. The order of the examples and the dropout
//! masks of an epoch come from seeds derived from the trial's seed and the epoch's number; the learning rate is a function
//! of the step's number. An epoch works on a copy and replaces the state when it is whole, so a trial that is interrupted
//! still has the state of its last epoch.
mod device;
mod examples;
pub mod recipe;
pub mod state;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use hpo_core::job::{BURN_METRICS, BurnJob, Job, Trainable};
use hpo_core::{Goal, Metrics, Params, Resource, Seed};

use crate::data::{self, DataCard, DataFault};
use crate::models::{ParamFault, seeded};

pub use super::Epoch;
pub use device::{Backend, DeviceFault, child_environment};
pub use examples::{Examples, Score};
use state::{Best, Identity, Moment, State, StateFault};

/// Steps between looks at the loss. Each look waits for the device; a trial that has diverged wastes at most so many.
const LOOK_EVERY: usize = 32;

/// What all trials of a job share: the device, with the examples in its memory.
pub struct Bench {
    job: BurnJob,
    metric: String,
    goal: Goal,
    device: Device,
    train: Examples,
    validation: Examples,
    card: DataCard,
}

/// Why no trial of a job can begin here.
#[derive(Debug, thiserror::Error)]
pub enum BenchFault {
    /// Another kind of job.
    #[error("this trainer trains burn models only")]
    NotBurn,
    /// A metric that is never reported.
    #[error("metric = \"{metric}\" is not reported by built-in models; they report {}", BURN_METRICS.map(|(name, _)| name).join(", "))]
    Metric {
        /// The one given.
        metric: String,
    },
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceFault),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataFault),
}

/// Why a trial cannot go on from a state.
#[derive(Debug, thiserror::Error)]
pub enum ResumeFault {
    /// Its parameters make no sense.
    #[error(transparent)]
    Params(#[from] ParamFault),
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateFault),
}

/// The training loss is NaN or infinite.
#[derive(Debug, thiserror::Error)]
#[error("the training loss is {loss} in epoch {epoch}, by step {step}: a smaller `lr` may help")]
pub struct NotFinite {
    /// The loss.
    pub loss: f64,
    /// The epoch, from 1.
    pub epoch: u32,
    /// The step in it, from 1.
    pub step: usize,
}

impl Bench {
    /// Chooses the device, and loads the data into its memory.
    ///
    /// # Errors
    /// If the job is not for built-in models, or its metric, device or data cannot be had.
    pub fn open(job: &Job) -> Result<Self, BenchFault> {
        let Trainable::Burn(burn) = &job.trainable else { return Err(BenchFault::NotBurn) };
        if BURN_METRICS.iter().all(|(name, _)| *name != job.metric) {
            return Err(BenchFault::Metric { metric: job.metric.clone() });
        }
        let device = Backend::choose(burn.device)?.open();
        let data = data::load(&burn.data, burn.split, job.seed)?;
        let input = data.card.input;
        Ok(Self {
            job: burn.clone(),
            metric: job.metric.clone(),
            goal: job.goal,
            train: Examples::new(data.train, input, &device),
            validation: Examples::new(data.validation, input, &device),
            card: data.card,
            device,
        })
    }

    fn identify(&self, params: &Params, seed: Seed) -> Result<Identity, ParamFault> {
        let DataCard { input, classes, .. } = self.card;
        let (network, recipe) = recipe::read(self.job.model, params, input, classes, self.job.max_resource)?;
        Ok(Identity { network, recipe, seed, data: self.card.clone(), metric: self.metric.clone(), goal: self.goal })
    }
}

/// One configuration in training.
pub struct Trial {
    identity: Identity,
    state: State,
}

impl Trial {
    /// A trial at its start.
    ///
    /// # Errors
    /// If the parameters make no sense to the model.
    pub fn begin(bench: &Bench, params: &Params, seed: Seed) -> Result<Self, ParamFault> {
        let identity = bench.identify(params, seed)?;
        let network = identity.network.init(&bench.device, seed.derive("init", 0)).valid();
        let best = Best { moment: Moment::default(), network: None };
        let state = State { now: Moment::default(), network, optimizer: identity.recipe.optimizer(), best };
        Ok(Self { identity, state })
    }

    /// A trial that goes on from a state file written after `epoch` epochs.
    ///
    /// # Errors
    /// If the parameters make no sense, or the file is damaged or belongs to another trial.
    pub fn resume(bench: &Bench, params: &Params, seed: Seed, epoch: Resource, path: &Path) -> Result<Self, ResumeFault> {
        let identity = bench.identify(params, seed)?;
        let state = state::load(path, &identity, epoch, &bench.device)?;
        Ok(Self { identity, state })
    }

    /// Whole epochs behind it.
    #[must_use]
    pub fn epochs(&self) -> Resource {
        self.state.now.epoch
    }

    /// Writes the state after the last whole epoch.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), StateFault> {
        state::save(path, &self.identity, &self.state)
    }

    /// Trains one epoch and evaluates. Every example is used once, in an order of this epoch's own, but for the rest that
    /// does not fill a batch; a batch larger than the training part is cut to it. `interrupted` is asked before each step.
    ///
    /// # Errors
    /// If the loss is not finite; the state is that before the epoch.
    pub fn epoch(&mut self, bench: &Bench, interrupted: &mut dyn FnMut() -> bool) -> Result<Epoch, NotFinite> {
        let started = Instant::now();
        let Identity { network: spec, recipe, seed, .. } = &self.identity;
        let epoch = self.state.now.epoch.0;
        let batch = recipe.batch.min(bench.train.count());
        let steps = bench.train.count() / batch;
        let order = data::permutation(bench.train.count(), seed.derive("order", epoch.into()));
        let order: Tensor<1, Int> = Tensor::from_data(TensorData::new(order, [bench.train.count()]), &bench.device);
        let _masks = (spec.dropout > 0.0).then(|| seeded(&bench.device, seed.derive("dropout", epoch.into())));

        let criterion = CrossEntropyLossConfig::new().init(&bench.device);
        let mut network = self.state.network.clone().train();
        let mut optimizer = self.state.optimizer.clone();
        let mut total = 0.0;
        let mut unread: Option<Tensor<1>> = None;
        for step in 0..steps {
            if interrupted() {
                return Ok(Epoch::Interrupted);
            }
            let (images, labels) = bench.train.at(order.clone().narrow(0, step * batch, batch));
            let loss = criterion.forward(network.forward(images.autodiff()), labels.autodiff());
            let value = loss.clone().detach().without_autodiff();
            unread = Some(match unread {
                Some(sum) => sum + value,
                None => value,
            });
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let rate = recipe.learning_rate(u64::from(epoch) * steps as u64 + step as u64, steps as u64);
            network = optimizer.step(rate, network, gradients);
            if (step + 1) % LOOK_EVERY == 0 || step + 1 == steps {
                total += unread.take().map_or(0.0, |sum| f64::from(sum.into_scalar::<f32>()));
                if !total.is_finite() {
                    return Err(NotFinite { loss: total, epoch: epoch + 1, step: step + 1 });
                }
            }
        }
        let trained = started.elapsed().as_secs_f64();
        let network = network.valid();
        let score = bench.validation.score(&network);
        let figures: [f64; BURN_METRICS.len()] =
            [total / steps as f64, score.loss, score.accuracy, started.elapsed().as_secs_f64(), steps as f64 / trained];
        let metrics: Metrics = BURN_METRICS.iter().map(|(name, _)| (*name).to_owned()).zip(figures).collect();
        self.advance(State {
            now: Moment { epoch: Resource(epoch + 1), metrics: metrics.clone() },
            network,
            optimizer,
            best: self.state.best.clone(),
        });
        Ok(Epoch::Done(metrics))
    }

    /// Takes over `next`, whose best epoch is still that of the state before.
    fn advance(&mut self, next: State) {
        let before = std::mem::replace(&mut self.state, next);
        let Identity { metric, goal, .. } = &self.identity;
        let loss = |moment: &Moment| goal.loss(moment.metrics.get(metric).unwrap_or(f64::NAN));
        if before.now.epoch.0 == 0 || loss(&self.state.now) < loss(&self.state.best.moment) {
            self.state.best = Best { moment: self.state.now.clone(), network: None };
        } else {
            self.state.best.network.get_or_insert(before.network);
        }
    }
}
