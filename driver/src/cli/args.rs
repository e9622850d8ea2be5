//! The words of the command line.
mod bench;

use std::path::PathBuf;

pub(super) use bench::*;
use clap::{Args, Parser, Subcommand};

/// Distributed hyperparameter optimization for GPU clusters.
#[derive(Parser, Debug)]
#[command(name = "hpo", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "\
Examples:
  hpo init my-sweep.toml                     write a commented sweep file
  hpo check my-sweep.toml                    say what it would do, and what is wrong with it
  hpo run my-sweep.toml                      run it here, with local workers
  hpo resume runs/my-sweep                   go on after a crash or Ctrl-C
  hpo simulate my-sweep.toml                 play it under a virtual clock
  hpo report runs/my-sweep                   what it found, and what each slot-hour bought
  hpo why runs/my-sweep 17                   why trial 17 was promoted, paused or stopped

Exit codes: 0 done; 1 no usable result; 2 bad arguments or sweep file; 3 run folder not usable;
4 cut short, can be resumed; 5 verification failed.")]
pub(super) struct Hpo {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) manners: Manners,
}

/// How to speak; means the same everywhere.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Manners {
    /// Print the result as JSON, one object a line, on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say nothing but the result
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Log more (-v: what happens; -vv: everything); HPO_LOG overrides it
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// No live display, plain lines only
    #[arg(long, global = true)]
    pub(super) no_progress: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run a sweep here: driver and local workers, then export and report
    #[command(after_help = "Example:\n  hpo run configs/quickstart.toml --workers 2")]
    Run(Run),
    /// Go on with a sweep that was interrupted, or whose driver died
    #[command(after_help = "Example:\n  hpo resume runs/quickstart")]
    Resume(Resume),
    /// Run only the driver: workers come from elsewhere (`hpo worker`)
    #[command(after_help = DRIVER_HELP)]
    Driver(Driver),
    /// Run a worker for the sweep of a run folder
    #[command(after_help = WORKER_HELP)]
    Worker(Worker),
    /// Say how a sweep stands
    Status(Folder),
    /// Say why a trial was promoted, paused or stopped: at which rung, among whom, and what another eta would have decided
    #[command(after_help = "\
Reads the journal alone, of a sweep that runs, has ended, or crashed. Times count from the start of the sweep.

Example:
  hpo why runs/quickstart 7
  hpo why runs/quickstart 7 --json    the summary, then a line for each moment of the trial")]
    Why(Why),
    /// Write report.md, report.html and trials.csv, and print the summary
    #[command(after_help = "Example:\n  hpo report runs/quickstart --json")]
    Report(Folder),
    /// Export a trial's model to ONNX and verify it
    #[command(after_help = "Example:\n  hpo export runs/quickstart --trial 7")]
    Export(Export),
    /// Run an exported model on a file of inputs
    #[command(after_help = "Example:\n  hpo predict runs/quickstart/models/trial-7.onnx --input digits.idx.gz")]
    Predict(Predict),
    /// Run a sweep as jobs of Slurm
    #[command(subcommand)]
    Slurm(super::slurm::Slurm),
    /// Play sweeps under a virtual clock: what they would find, and what they would cost
    #[command(after_help = SIMULATE_HELP)]
    Simulate(Simulate),
    /// Say what a sweep file would do, or what is wrong with it
    Check(SweepFile),
    /// Show draws from the search space of a sweep file
    #[command(after_help = "Example:\n  hpo space configs/quickstart.toml --sample 5")]
    Space(Space),
    /// Write a commented sweep file
    Init(Init),
    /// Print the JSON Schema of sweep files, for editors
    Schema,
    /// Derive every decision again from the journal and compare
    Verify(Folder),
    /// Measure the engine on this machine
    #[command(subcommand)]
    Bench(Bench),
    /// A trainer child; started by `hpo worker`
    #[command(hide = true)]
    Trainer(Trainer),
}

#[derive(Args, Debug)]
pub(super) struct SweepFile {
    /// The sweep file (TOML)
    pub(super) file: PathBuf,
    /// Use this seed instead of the file's
    #[arg(long)]
    pub(super) seed: Option<u64>,
}

#[derive(Args, Debug)]
pub(super) struct Space {
    #[command(flatten)]
    pub(super) sweep: SweepFile,
    /// How many draws: the values that a random search would give its first trials
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) sample: u32,
}

const DRIVER_HELP: &str = "\
Ctrl-C stops the sweep for now: trials save their states, workers leave, standbys end. SIGTERM, the word of a batch system,
ends this driver alone: workers train on and wait for a standby, or for `hpo driver RUN` (exit code 4 in both cases).

A signal that comes while a long journal is still read is heeded when that is done; a second one ends the driver at once.

A standby ends with the exit code of the sweep when that is over, and with 4 when it or the sweep was stopped by a signal. A
driver that another one has replaced meanwhile (it hung) touches nothing and ends with 3.

Example:
  hpo driver sweep.toml --listen 0.0.0.0:0
  hpo worker --run-dir runs/sweep      # on each node
  hpo driver runs/sweep --standby      # on another node";

const WORKER_HELP: &str = "\
SIGTERM, SIGUSR1, SIGUSR2 and Ctrl-C mean that this machine is taken away: trials save their states and are given to other
workers, and this one leaves (exit code 4; 0 in a job of Slurm, which has done its part). It leaves with 0 when the sweep is
over, and with 4 when no driver came back for ten minutes. In a job of Slurm it leaves by itself before the job's time limit,
too; start it there with `exec`, so that it gets Slurm's signals.

Example:
  hpo worker --run-dir runs/sweep --slots 2";

const SIMULATE_HELP: &str = "\
The trials of the files are looked up or computed: [trial] kind = \"tabular\", \"surrogate\" or \"synthetic\". What the
workers are like stands in [simulate]: startup, restore, checkpoint, suggest, straggler_share, straggler_factor, mtbf, restart; what
a large cluster adds: worker_startup, latency, words_per_second.

The second table tells where the slots' time went: work (training that counts), start-up (of workers and trainers, reading
states), dispatch (waiting for the driver or the searcher), checkpoint (writing states), redone (training lost with a worker), idle
(nothing to train: at a rung that waits for its last members, and at the end). The share of work is what more workers are worth.

Examples:
  hpo simulate sweep.toml --workers 32 --seeds 0..50
  hpo simulate asha.toml hyperband.toml --workers 32 --seeds 0..50 --until-resource 10000
  hpo simulate sweep.toml --set scheduler.eta=4 --set simulate.mtbf=6h --curve curve.csv --json";

#[derive(Args, Debug)]
pub(super) struct Simulate {
    /// Sweep files (TOML); several are compared
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    /// Virtual workers, one slot each [default: `workers` in [simulate], else `local` in [workers], else 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) workers: Option<u32>,
    /// Play once with each of these seeds, A to B - 1 [default: the file's seed alone]
    #[arg(long, value_name = "A..B", value_parser = super::simulate::seeds, conflicts_with = "seed")]
    pub(super) seeds: Option<std::ops::Range<u64>>,
    /// Use this seed instead of the file's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// End when so many units of resource are trained; the file then needs no other end
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) until_resource: Option<u64>,
    /// Write a CSV with a row at each improvement: seed, virtual_seconds, resource, metric, test
    #[arg(long, value_name = "FILE")]
    pub(super) curve: Option<PathBuf>,
    /// Another value than the file's, as often as needed: a dotted path and TOML (what is no TOML is text)
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Seeds that are played at once; changes no result [default: one a core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
}

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) sweep: SweepFile,
    /// The run folder [default: runs/NAME]
    #[arg(long)]
    pub(super) run_dir: Option<PathBuf>,
    /// How many local workers [default: the file's, else one a GPU, else one a core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) workers: Option<u16>,
}

#[derive(Args, Debug)]
pub(super) struct Resume {
    /// The run folder
    pub(super) run: PathBuf,
    /// How many local workers
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) workers: Option<u16>,
}

#[derive(Args, Debug)]
pub(super) struct Driver {
    /// The sweep file of a new sweep, or the run folder of one to go on with
    pub(super) sweep: PathBuf,
    /// The run folder of a new sweep [default: runs/NAME]
    #[arg(long)]
    pub(super) run_dir: Option<PathBuf>,
    /// Use this seed instead of the file's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Where to listen; port 0 takes a free one, which rendezvous.json then names
    #[arg(long, default_value = "0.0.0.0:0")]
    pub(super) listen: std::net::SocketAddr,
    /// Wait until the driver of the run is gone, then go on in its place; several may wait, one goes on
    #[arg(long, conflicts_with = "seed")]
    pub(super) standby: bool,
    /// Take a driver for gone that has given no sign for so long (6s to 5m); one whose process is dead on this host is gone at once
    #[arg(long, value_name = "TIME", requires = "standby", default_value = "30s", value_parser = super::standby::patience)]
    pub(super) takeover_after: std::time::Duration,
    /// Keep workers as tasks of Slurm, as [slurm] of the run's sweep file says; waits until a driver before it is gone
    #[arg(long, conflicts_with_all = ["standby", "seed", "run_dir"])]
    pub(super) slurm: bool,
    /// With --slurm, have so many workers on this machine, too, of one slot each
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) workers: Option<u16>,
    /// Leave the terminal's session
    #[arg(long, hide = true, requires = "slurm")]
    pub(super) background: bool,
    /// Speak without TLS, so that the token and all else can be read by who listens in; refused unless --listen is a loopback
    /// address, as in 127.0.0.1:0
    #[arg(long)]
    pub(super) insecure_plaintext_on_loopback: bool,
}

#[derive(Args, Debug)]
pub(super) struct Worker {
    /// The run folder, on a file system that driver and workers share
    #[arg(long)]
    pub(super) run_dir: PathBuf,
    /// How many trainers [default: one a GPU, else one a core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) slots: Option<u16>,
    /// Thousandths of a GPU that a slot gets: 250 lets four share one
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) milli_gpus: u32,
    /// Offer cores, not GPUs
    #[arg(long, conflicts_with = "milli_gpus")]
    pub(super) no_gpu: bool,
    /// A name for people [default: host and process]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// File that holds the sweep's token [default: RUN_DIR/token]
    #[arg(long, env = "HPO_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Leave when there was nothing to train for so long: an idle allocation costs as much as a busy one
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) idle_limit: Option<std::time::Duration>,
    /// Within Slurm, leave so long before the job's time limit [default: 90s, or a quarter of a short job]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) leave_before: Option<std::time::Duration>,
    /// Within Slurm, put this job (of an array: this task alone) back into the queue after it had to leave before the sweep's end
    #[arg(long)]
    pub(super) requeue: bool,
    /// Identity, drawn by whoever starts this worker (32 hexadecimal digits)
    #[arg(long, hide = true)]
    pub(super) id: Option<hpo_core::WorkerId>,
}

#[derive(Args, Debug)]
pub(super) struct Folder {
    /// The run folder
    pub(super) run: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Why {
    /// The run folder
    pub(super) run: PathBuf,
    /// Number of the trial
    pub(super) trial: u32,
}

#[derive(Args, Debug)]
pub(super) struct Export {
    /// The run folder
    pub(super) run: PathBuf,
    /// Which trial [default: the best]
    #[arg(long)]
    pub(super) trial: Option<u32>,
}

#[derive(Args, Debug)]
pub(super) struct Predict {
    /// The model (.onnx)
    pub(super) model: PathBuf,
    /// Inputs: an IDX file of images (plain or gzip), or one row of pixels a line (CSV or JSON arrays)
    #[arg(long)]
    pub(super) input: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Init {
    /// Where to write it
    #[arg(default_value = "sweep.toml")]
    pub(super) file: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Trainer {
    /// The job of a built-in trainer (JSON)
    #[arg(long, conflicts_with = "exec", required_unless_present = "exec")]
    pub(super) job: Option<PathBuf>,
    /// Become the command after `--`, but die with the worker
    #[arg(long, requires = "command")]
    pub(super) exec: bool,
    /// The command
    #[arg(last = true)]
    pub(super) command: Vec<std::ffi::OsString>,
}
