//! The words of `hpo bench`.
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SweepFile;

#[derive(Subcommand, Debug)]
pub(in crate::cli) enum Bench {
    /// Events applied a second by the sweep, for growing numbers of trials
    Apply {
        /// Numbers of trials
        #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
        trials: Vec<u32>,
    },
    /// Reports a second through gRPC on loopback to a driver of its own process, with the journal on disk and synced, and
    /// how long the driver makes workers wait
    Grpc(BenchGrpc),
    /// Seconds from the start of a driver to the first lease, after a crash with so many events in the journal
    Recover(BenchRecover),
    /// Milliseconds of CPU that a suggestion takes the searcher of a sweep file, by how many results it has seen
    Suggest(BenchSuggest),
    /// Workers that do no work, for the driver of a run: what the tasks of an array run in `benches/slurm/run`
    #[command(hide = true)]
    Talk(BenchTalk),
    /// Training steps a second of a sweep file's model, with the trainer that sweeps use
    #[cfg(feature = "burn")]
    Train(BenchTrain),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct BenchGrpc {
    /// Reports to make in all
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) reports: u32,
    /// Workers that make them; several numbers are measured one after the other
    #[arg(long, value_delimiter = ',', default_value = "4", value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(in crate::cli) workers: Vec<u32>,
    /// Each report waits for the acknowledgement of the one before [default: all of a lease are on their way at once]
    #[arg(long, conflicts_with = "rate")]
    pub(in crate::cli) closed: bool,
    /// So many reports a second in all, evenly, whether they are acknowledged or not
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) rate: Option<u32>,
    /// Without TLS, to see what that costs
    #[arg(long)]
    pub(in crate::cli) plaintext: bool,
    /// The first rung of `asha-promote`
    #[arg(long, default_value_t = 3)]
    pub(in crate::cli) min_resource: u32,
    /// Its last rung
    #[arg(long, default_value_t = 81)]
    pub(in crate::cli) max_resource: u32,
    /// Where the run folder is made, so that the disk that is measured can be chosen
    #[arg(long, default_value = ".")]
    pub(in crate::cli) dir: PathBuf,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct BenchRecover {
    /// Numbers of events
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000", value_parser = clap::value_parser!(u64).range(1000..))]
    pub(in crate::cli) events: Vec<u64>,
    /// Crashes and recoveries of each journal
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) repeats: u32,
    /// Where the run folder is made, so that the disk that is measured can be chosen
    #[arg(long, default_value = ".")]
    pub(in crate::cli) dir: PathBuf,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct BenchSuggest {
    /// Sweep files of a kind that can be simulated
    #[arg(required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// Numbers of results, of trials that were drawn at random
    #[arg(long, value_delimiter = ',', default_value = "100,1000,5000,10000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::cli) observations: Vec<u32>,
    /// Suggestions that are timed after each
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) suggestions: u32,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct BenchTalk {
    /// The run folder, by which they find the driver
    #[arg(long)]
    pub(in crate::cli) run_dir: PathBuf,
    /// How many there are, each with a connection of its own
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(in crate::cli) workers: u32,
    /// The number of the first: no two of one driver may have the same
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000_000))]
    pub(in crate::cli) first: u32,
    /// Reports to make in all
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) reports: u32,
    /// Name of the sweep's metric
    #[arg(long, default_value = "loss")]
    pub(in crate::cli) metric: String,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct BenchTrain {
    #[command(flatten)]
    pub(in crate::cli) sweep: SweepFile,
    /// Network [default: the file's]
    #[arg(long)]
    pub(in crate::cli) model: Option<String>,
    /// Device [default: the file's]
    #[arg(long)]
    pub(in crate::cli) device: Option<String>,
    /// Epochs to train
    #[arg(long, default_value_t = 3)]
    pub(in crate::cli) epochs: u32,
    /// Hyperparameters, as NAME=VALUE
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(in crate::cli) set: Vec<String>,
}
