//! A worker process: the session, with the connection, the trainers and the checkpoint store that it speaks of.
mod doubt;
mod life;
mod notice;
mod shell;
mod term;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use hpo_core::job::Job;
use hpo_core::{WorkerId, layout};
use rand::TryRng;
use rand::rngs::SysRng;

pub use notice::notice;

use crate::allocation::Allocation;
use crate::checkpoint::{CheckpointFault, Store};
use crate::connect::{ConnectFault, Target};
use crate::private;
use crate::resources::Slot;
use crate::session::{Config, Session, SessionEnd};
use crate::trainer::TrainerProgram;

use term::Term;

/// Longest wait for the acknowledgement of the last words.
const FAREWELL: Duration = Duration::from_secs(10);
/// Words that may wait for the driver; a report of a few figures takes some hundred bytes.
const WORDS_MAX: usize = 10_000;

/// What an agent needs to know.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Identity; drawn if nobody has.
    pub worker: Option<WorkerId>,
    /// Host and process, for people.
    pub name: String,
    /// Which process it is, in words that a driver of the same machine understands: kept in [`layout::PROCESS`] while it lives.
    pub process: String,
    /// What it offers.
    pub slots: Vec<Slot>,
    /// The driver's `rendezvous.json`.
    pub rendezvous: PathBuf,
    /// The certificate of the run's authority, `ca.pem`.
    pub authority: PathBuf,
    /// The sweep's secret, readable by its owner alone.
    pub token_file: PathBuf,
    /// The run's checkpoint store.
    pub checkpoints: PathBuf,
    /// Where `trial-N.attempt-K.log` go.
    pub log_dir: PathBuf,
    /// How trainers are started.
    pub trainer: TrainerProgram,
    /// A driver that is away for this long is given up.
    pub orphan_limit: Duration,
    /// Longest wait between two tries to reach the driver.
    pub retry_cap: Duration,
    /// The task of Slurm in which it runs, whose time limit it keeps to.
    pub allocation: Option<Allocation>,
    /// It leaves so long before that limit; by default 90 s, or a quarter of a short task.
    pub leave_before: Option<Duration>,
    /// Whether its task is put back into the queue when it had to leave before the sweep was over.
    pub requeue: bool,
    /// It leaves when there was nothing to train for so long.
    pub idle_limit: Option<Duration>,
}

impl AgentOptions {
    /// The default of `orphan_limit`.
    pub const ORPHAN_LIMIT: Duration = Duration::from_secs(600);
    /// The default of `retry_cap`; on the driver's own machine five seconds are kinder.
    pub const RETRY_CAP: Duration = Duration::from_secs(15);
}

/// How an agent ended that did what it could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentEnd {
    /// The driver said so, or none runs any more and nothing was left to tell one.
    Finished {
        /// In its words.
        why: String,
        /// Whether the sweep can go on later.
        resumable: bool,
    },
    /// Its machine is taken away, or its time is up; the driver was told as far as there was time.
    Preempted,
    /// There was nothing to train for so long.
    Idle(Duration),
    /// No driver for too long; states are saved.
    Orphaned {
        /// For how long.
        away: Duration,
        /// Words that the driver never got.
        words: usize,
    },
}

/// Why an agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AgentFault {
    /// The driver does not want it, or it has nothing to show.
    #[error(transparent)]
    Connect(#[from] ConnectFault),
    /// The driver changed its sweep.
    #[error("this worker joined the sweep {ours}, and the driver now works for {theirs}: start a new worker for it")]
    OtherSweep {
        /// What this worker joined.
        ours: String,
        /// What runs there now.
        theirs: String,
    },
    /// Driver and worker are of different versions.
    #[error("the driver's job is not understood ({why}): use the same version of hpo on both sides")]
    BadJob {
        /// What is not understood.
        why: String,
    },
    /// The store of checkpoints cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointFault),
    /// The store of checkpoints or this machine is of no more use.
    #[error("{why}")]
    Broken {
        /// What failed.
        why: String,
    },
    /// A folder or file that an agent needs.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] io::Error),
    /// Nothing to work with.
    #[error("a worker needs at least one slot")]
    NoSlots,
}

impl AgentFault {
    /// The exit code of the process: 3 where the run folder, its disk or this machine is at fault, 2 where the call or the versions are.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Checkpoint(_) | Self::Broken { .. } | Self::Io { .. } => 3,
            Self::Connect(_) | Self::OtherSweep { .. } | Self::BadJob { .. } | Self::Random(_) | Self::NoSlots => 2,
        }
    }
}

/// Works for the driver until it says that the sweep is over, until `shutdown` (see [`notice`]), or until the driver has
/// been away for too long. To be awaited on a thread that lives as long as the process: trainers die with it.
///
/// # Errors
/// If the worker cannot work at all, or no more. No trainer is left behind in any case.
pub async fn run(options: AgentOptions, shutdown: impl Future<Output = ()>) -> Result<AgentEnd, AgentFault> {
    if options.slots.is_empty() {
        return Err(AgentFault::NoSlots);
    }
    let worker = options.worker.map_or_else(draw, Ok).map_err(AgentFault::Random)?;
    // Trainers work in a directory of their own, and are given paths into it.
    let checkpoints = std::path::absolute(&options.checkpoints).map_err(io_fault("find", &options.checkpoints))?;
    let store = Store::new(checkpoints);
    let scratch = store.scratch(worker)?;
    let process = scratch.join(layout::PROCESS);
    write_private(&process, options.process.as_bytes()).map_err(io_fault("write", &process))?;
    private::folder(&options.log_dir).map_err(io_fault("make the folder", &options.log_dir))?;
    match store.sweep_stale(life::STALE) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed what dead workers had left"),
        Err(why) => tracing::warn!(%why, "what dead workers have left stays"),
    }
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        worker,
        name: options.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        slots: options.slots.iter().map(Slot::offer).collect(),
        scratch: scratch.clone(),
        retry_cap_ms: millis(options.retry_cap),
        orphan_ms: millis(options.orphan_limit),
        farewell_ms: millis(FAREWELL),
        words_max: WORDS_MAX,
    };
    // The low half of a random id is as good a seed as any.
    let seed = hpo_core::Seed(worker.0 as u64);
    let term = match &options.allocation {
        Some(allocation) => Some(Term::begin(allocation.clone(), options.leave_before, seed.derive("term", 0).rng()).await),
        None => None,
    };
    let (allocation, requeue) = (options.allocation.clone(), options.requeue);
    let session = Session::new(config, seed.rng()).idle_limit(options.idle_limit.map(millis));
    let (rendezvous, authority) = (options.rendezvous.clone(), options.authority.clone());
    let target = Target { rendezvous, authority, token_file: options.token_file.clone(), worker };
    let signs = tokio::spawn(life::signs_of_life(process, life::SIGN));
    let ended = shell::Shell::new(options, session, store, scratch.clone(), target, term).run(shutdown).await;
    signs.abort();
    // Trainers are dead by now. What cannot be removed is stale one day.
    let _ = std::fs::remove_dir_all(&scratch);
    let ended = ended?;
    if let (true, Some(allocation), SessionEnd::Preempted | SessionEnd::OutOfTime) = (requeue, &allocation, &ended) {
        // All is safe by now, for this is the end of this process, too.
        match allocation.requeue().await {
            Ok(()) => tracing::info!("job {} is in the queue again", allocation.job),
            Err(why) => tracing::warn!(%why, "job {} is not put back into the queue", allocation.job),
        }
    }
    match ended {
        SessionEnd::Finished { why, resumable } => Ok(AgentEnd::Finished { why, resumable }),
        end @ SessionEnd::Deserted => Ok(AgentEnd::Finished { why: end.to_string(), resumable: true }),
        SessionEnd::Preempted | SessionEnd::OutOfTime => Ok(AgentEnd::Preempted),
        SessionEnd::Idle { idle_ms } => Ok(AgentEnd::Idle(Duration::from_millis(idle_ms))),
        SessionEnd::Orphaned { away_ms, words } => Ok(AgentEnd::Orphaned { away: Duration::from_millis(away_ms), words }),
        SessionEnd::OtherSweep { ours, theirs } => Err(AgentFault::OtherSweep { ours, theirs }),
        SessionEnd::BadJob { why } => Err(AgentFault::BadJob { why }),
        SessionEnd::Broken { why } => Err(AgentFault::Broken { why }),
    }
}

fn draw() -> io::Result<WorkerId> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(WorkerId(u128::from_le_bytes(bytes)))
}

fn io_fault(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> AgentFault {
    let path = path.to_owned();
    move |source| AgentFault::Io { doing, path, source }
}

/// The job in a file, for trainers that are started with `--job`; only for its owner, for the environment of a command may
/// hold secrets.
fn write_job(job: &Job, path: &std::path::Path) -> Result<(), AgentFault> {
    let text = serde_json::to_vec(job).map_err(|why| io_fault("write the job to", path)(why.into()))?;
    write_private(path, &text).map_err(io_fault("write the job to", path))
}

fn write_private(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private::options().write(true).truncate(true).open(path)?;
    // One that a process of the same id has left keeps its own mode.
    private::close(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests;
