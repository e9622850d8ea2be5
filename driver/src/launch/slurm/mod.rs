//! Workers as array tasks of Slurm. What decides is pure and knows no clock and no process: [`queue`] reads what Slurm says,
//! [`limit`] paces what it is asked, [`scale`] decides how many tasks there should be, [`script`] writes what they run, [`site`]
//! reads what a site allows, [`share`] shares out a throttle, [`keeper`] holds all of it together. What performs it: [`call`] runs Slurm's programs, [`Slurm`] keeps the workers of a driver, and
//! [`keep`] notes in the run folder what the next driver must know.
pub mod call;
mod jobs;
pub mod keep;
pub mod keeper;
pub mod limit;
pub mod queue;
mod runtime;
pub mod scale;
pub mod script;
pub mod share;
pub mod site;
pub mod submit;

use hpo_core::Millis;

pub use jobs::{Jobs, Names};
pub use runtime::{Slurm, SlurmOptions, place};
use script::Settings;

/// `[slurm]` of a sweep file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What scripts ask for.
    pub settings: Settings,
    /// Most workers that wait or run at one time.
    pub max_workers: u32,
    /// Slots of a worker.
    pub slots: u32,
    /// Whether they are GPUs.
    pub gpus: bool,
    /// Where the driver runs.
    pub driver: DriverPlace,
    /// Options of `sbatch` for the driver's own job.
    pub driver_options: Vec<String>,
    /// Whether a driver on a node submits further workers.
    pub submit_from_nodes: bool,
    /// How often Slurm is asked for the queue.
    pub poll: Millis,
}

impl Setup {
    /// Whether the driver submits workers itself, now and later. Else they are submitted once, with it, and put themselves back
    /// into the queue.
    #[must_use]
    pub fn driver_submits(&self) -> bool {
        self.driver == DriverPlace::Login || self.submit_from_nodes
    }
}

/// Where the driver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverPlace {
    /// Where it is submitted from.
    Login,
    /// In a job of its own.
    Job,
    /// In the first task of the workers' array, beside its worker.
    Task0,
}
