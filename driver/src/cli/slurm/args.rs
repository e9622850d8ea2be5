//! The words of `hpo slurm`.
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::{Folder, SweepFile};

#[derive(Subcommand, Debug)]
pub(in crate::cli) enum Slurm {
    /// Check everything, show the scripts, start or submit the driver, submit workers, say what to watch
    #[command(after_help = SUBMIT_HELP)]
    Submit(Submit),
    /// Print the scripts, for people who submit by hand
    #[command(after_help = "Example:\n  hpo slurm script sweep.toml > workers.sbatch")]
    Script(Script),
    /// Say how the sweep and its jobs stand
    Status(Folder),
    /// Have another number of workers from now on
    #[command(
        after_help = "Workers that run train on; of those that wait the surplus is cancelled.\n\nExample:\n  hpo slurm scale runs/sweep 64"
    )]
    Scale(Scale),
    /// Stop for now: trials save their states, workers leave, what waits is cancelled
    #[command(after_help = "Example:\n  hpo slurm drain runs/sweep\n  hpo slurm submit runs/sweep     # goes on")]
    Drain(Folder),
    /// End the driver and all workers at once; training since the last checkpoints is lost
    Cancel(Folder),
    /// Find out by a short job whether a sweep could run here: network, run folder, GPU, clock; and say what to change
    #[command(after_help = "Exit code 0 if nothing stands in the way, else 1.\n\nExample:\n  hpo slurm doctor sweep.toml")]
    Doctor(Doctor),
}

const SUBMIT_HELP: &str = "\
[slurm] in the sweep file says what to ask for: partition, account, qos, time, gres, constraint, exclude, mem, cpus_per_task,
max_workers, slots, throttle, requeue, notice, driver, driver_options, submit_from_nodes, extra, remove, prologue, poll.

Examples:
  hpo slurm submit sweep.toml --dry-run     # everything but the submission
  hpo slurm submit sweep.toml
  hpo slurm submit runs/sweep               # goes on with a sweep that was stopped";

#[derive(Args, Debug)]
pub(in crate::cli) struct Submit {
    /// The sweep file of a new sweep, or the run folder of one to go on with
    pub(super) sweep: PathBuf,
    /// The run folder of a new sweep, on a file system that the nodes see [default: runs/NAME]
    #[arg(long)]
    pub(super) run_dir: Option<PathBuf>,
    /// Use this seed instead of the file's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Check everything and show the scripts; start and submit nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Doctor {
    /// The sweep file, or the run folder of a sweep
    pub(super) sweep: PathBuf,
    /// The run folder of a new sweep [default: runs/NAME]
    #[arg(long)]
    pub(super) run_dir: Option<PathBuf>,
    /// How long the job may wait for its turn
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(super) wait: std::time::Duration,
    /// Within the job: what the login node is known by
    #[arg(long, hide = true)]
    pub(super) word: Option<String>,
    /// Within the job: where the login node may be
    #[arg(long, hide = true, value_delimiter = ',')]
    pub(super) at: Vec<String>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Script {
    #[command(flatten)]
    pub(super) sweep: SweepFile,
    /// The run folder [default: runs/NAME]
    #[arg(long)]
    pub(super) run_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Scale {
    /// The run folder
    pub(super) run: PathBuf,
    /// Most workers that wait or run at one time
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) workers: u32,
}
