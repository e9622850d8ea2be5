//! Watches one local worker.
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hpo_core::WorkerId;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tracing::{info, warn};

use super::roster::{Entry, Roster};
use super::{LaunchFault, LocalOptions, POLL};
use crate::engine::{Handle, Input};
use crate::process::{Process, host};
use crate::rendezvous::random;
use crate::rundir::{PRIVATE_FILE, RunDir};

/// A worker that ends within this time of its start has failed at once.
const QUICK: Duration = Duration::from_secs(10);
/// The exit code by which a worker says that the run folder or its disk is at fault: another one would fare no better.
const RUN_FOLDER: i32 = 3;
/// So many failures at once in a row, and it is given up.
const QUICK_MAX: u32 = 5;
/// Pause before the second start; doubles with each failure at once.
const BACK_OFF: Duration = Duration::from_millis(200);
/// How much of a log is quoted.
const TAIL_LINES: usize = 12;

/// What is expected of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be there; one that ends is replaced.
    Working,
    /// To leave.
    Leaving,
}

/// The watch over one worker.
pub(super) struct Supervisor {
    pub(super) index: usize,
    pub(super) run: RunDir,
    pub(super) options: LocalOptions,
    pub(super) engine: Handle,
    pub(super) roster: Arc<Roster>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) closing: watch::Receiver<bool>,
}

impl Supervisor {
    /// Runs until the workers are to leave and this one has left.
    pub(super) async fn run(mut self, adopted: Option<Entry>) -> Result<(), LaunchFault> {
        let mut quick_failures = 0;
        if let Some(entry) = adopted {
            info!("worker {} goes on as process {}", self.name(), entry.process.pid);
            gone(entry.process).await;
            self.died(entry.id).await;
        }
        while !self.is_leaving() {
            let started = Instant::now();
            let (id, mut child) = self.start()?;
            // An error means that someone else reaped it: it is dead in any case.
            let status = child.wait().await;
            self.died(id).await;
            if self.is_leaving() {
                break;
            }
            quick_failures = if started.elapsed() < QUICK { quick_failures + 1 } else { 0 };
            let code = status.as_ref().ok().and_then(std::process::ExitStatus::code);
            warn!("worker {} ended: {}", self.name(), status.map_or_else(|fault| fault.to_string(), |status| status.to_string()));
            if code == Some(RUN_FOLDER) {
                let log = self.log();
                return Err(LaunchFault::RunFolder { name: self.name(), tail: tail(&log), log });
            }
            if quick_failures >= QUICK_MAX {
                let log = self.log();
                return Err(LaunchFault::Crashing { name: self.name(), times: quick_failures, tail: tail(&log), log });
            }
            let pause = BACK_OFF * 2_u32.pow(quick_failures.saturating_sub(1));
            self.rest(pause).await;
        }
        Ok(())
    }

    fn is_leaving(&self) -> bool {
        *self.stage.borrow() == Stage::Leaving || *self.closing.borrow()
    }

    /// Waits for `pause`, or until the workers are to leave.
    async fn rest(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(_) = self.stage.wait_for(|stage| *stage == Stage::Leaving) => {}
            Ok(_) = self.closing.wait_for(|closing| *closing) => {}
        }
    }

    /// Starts the process, in a group of its own so that Ctrl-C in the terminal reaches the driver alone.
    fn start(&self) -> Result<(WorkerId, Child), LaunchFault> {
        let fault = |source| LaunchFault::Start { name: self.name(), program: self.options.program.clone(), source };
        let id = WorkerId(u128::from_be_bytes(random().map_err(fault)?));
        let log = File::options().create(true).append(true).mode(PRIVATE_FILE).open(self.log()).map_err(fault)?;
        let place = &self.options.places[self.index];
        let child = Command::new(&self.options.program)
            .args(&self.options.arguments)
            .arg("--run-dir")
            .arg(self.run.path())
            // Said, because a worker would otherwise believe an inherited `HPO_TOKEN_FILE`.
            .arg("--token-file")
            .arg(self.run.token())
            .args(["--slots", "1", "--name", &self.name(), "--id", &id.to_string()])
            .args(&place.arguments)
            .envs(place.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(fault)?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(fault)?;
        // A child has an id until it is waited for.
        let pid = child.id().map_or(0, |pid| pid as i32);
        let folder = std::fs::canonicalize(self.run.path()).ok();
        self.roster.started(Entry { index: self.index, id, host: host(), folder, process: Process::of(pid) })?;
        Ok((id, child))
    }

    /// Tells the engine: nothing of this worker will come any more.
    async fn died(&self, worker: WorkerId) {
        // An engine that has ended does not mind.
        let _ = self.engine.send(Input::Dead { worker }).await;
    }

    fn name(&self) -> String {
        format!("local-{}", self.index)
    }

    fn log(&self) -> std::path::PathBuf {
        self.run.logs().join(format!("worker-{}.log", self.index))
    }
}

/// Waits until a process that is not our child has ended.
async fn gone(process: Process) {
    while process.is_alive() {
        tokio::time::sleep(POLL).await;
    }
}

/// The last lines of a log, as far as they can be read.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(4096);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
