//! A trainer process as its agent sees it: spoken to, listened to, killed, proven dead.
//!
//! The process leads a group of its own, so that a kill takes what it has started as well; its guard finds what a user's
//! program has started in other groups. Its events come in the order in which they happened, and [`TrainerEvent::Exited`] is
//! the last: it comes after the process was waited for, the rest of its group was killed, and everything that it wrote was
//! read.
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::call::Call;
use super::guard::END_ALL;
use super::lines::{Line, Pattern, next_line};
use super::log::Log;
use super::memory::oom_kills;
use super::protocol::ToTrainer;
use crate::session::{Exit, TrainerEvent};

/// Orders that may wait for the process's minder; a session gives a handful to each lease.
const ORDERS_MAX: usize = 64;
/// A program that does not read its input for this long will not read this line.
const WRITE_WAIT: Duration = Duration::from_secs(1);
/// How long the output of a dead process may stay open in the hands of something that has left its group.
const DRAIN_WAIT: Duration = Duration::from_secs(5);
/// How long a guard may take to kill what it guards and be dead itself.
const GUARD_WAIT: Duration = Duration::from_secs(7);
/// How long a killed process may take to be dead.
const DEATH_WAIT: Duration = Duration::from_secs(10);

/// Where the events of all trainers go, with the number of their slot.
pub type Events = mpsc::Sender<(u16, TrainerEvent)>;

/// A running trainer process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Trainer {
    orders: mpsc::Sender<Order>,
    paused: watch::Sender<bool>,
    log: Log,
    minder: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    Write(ToTrainer),
    Terminate,
    Kill,
}

/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start `{what}`{place}")]
pub struct SpawnFault {
    what: String,
    place: String,
    source: io::Error,
}

impl SpawnFault {
    /// Whether the arguments themselves are at fault, so that it fails on every machine.
    #[must_use]
    pub fn is_of_job(&self) -> bool {
        matches!(self.source.kind(), ErrorKind::ArgumentListTooLong | ErrorKind::InvalidInput)
    }
}

impl Trainer {
    /// Starts a process in `slot`. To be called on a thread that lives as long as the agent: the kernel kills the process
    /// when that thread ends.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(call: Call, slot: u16, log_file: &Path, events: Events) -> Result<Self, SpawnFault> {
        let Call { program, args, env, directory, pattern, guarded, what } = call;
        let mut command = Command::new(&program);
        command.args(args).envs(env).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(directory) = &directory {
            command.current_dir(directory);
        }
        let oom_before = oom_kills();
        let spawned = command.spawn();
        let place = directory.map(|directory| format!(" in `{}`", directory.display())).unwrap_or_default();
        let mut child = spawned.map_err(|source| SpawnFault { what, place, source })?;

        let log = Log::default();
        log.switch(log_file);
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let (paused, unpaused) = watch::channel(false);
        let ear = Ear { slot, events, paused: unpaused, log: log.clone(), pattern: Arc::new(Mutex::new(pattern)) };
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(ear.clone().listen(stdout, true));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(ear.clone().listen(stderr, false));
        }
        let minder = tokio::spawn(mind(Process { child, guarded }, inbox, readers, ear, oom_before));
        Ok(Self { orders, paused, log, minder })
    }

    /// The next line's attempt logs to `path`.
    pub fn log_to(&self, path: &Path) {
        self.log.switch(path);
    }

    /// Writes a line to its standard input. A program that does not read is no fault.
    pub fn write(&self, line: ToTrainer) {
        self.order(Order::Write(line));
    }

    /// SIGTERM to its group.
    pub fn terminate(&self) {
        self.order(Order::Terminate);
    }

    /// SIGKILL to its group, and to all that a guarded program has started.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    /// Stops or resumes listening; what it writes meanwhile stays in its pipes, and it waits when they are full.
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Kills it and waits for its death.
    pub async fn end(self) {
        self.pause(false);
        self.kill();
        if timeout(DEATH_WAIT, self.minder).await.is_err() {
            tracing::error!("a killed trainer does not die");
        }
    }

    fn order(&self, order: Order) {
        // It fails if the process is dead already, or if nobody has taken orders for very long.
        if let Err(mpsc::error::TrySendError::Full(order)) = self.orders.try_send(order) {
            tracing::error!(?order, "the trainer's minder does not take orders");
        }
    }
}

struct Process {
    child: Child,
    guarded: bool,
}

impl Process {
    /// Itself, and its group: it leads one. None after it was waited for.
    fn id(&self) -> Option<Pid> {
        // Ids fit.
        self.child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
    }

    /// Kills it with what it has started. A guard finds more of that than its group holds.
    async fn kill(&mut self) -> io::Result<ExitStatus> {
        if self.guarded
            && let Some(guard) = self.id()
            && kill(guard, END_ALL).is_ok()
            && let Ok(status) = timeout(GUARD_WAIT, self.child.wait()).await
        {
            return status;
        }
        signal(self.id(), Signal::SIGKILL);
        self.child.wait().await
    }
}

/// Carries out orders until the process has ended, then tells how.
async fn mind(mut process: Process, mut orders: mpsc::Receiver<Order>, mut readers: JoinSet<()>, ear: Ear, oom_before: Option<u64>) {
    let mut stdin = process.child.stdin.take();
    let group = process.id();
    let status = loop {
        tokio::select! {
            status = process.child.wait() => break status,
            order = orders.recv() => match order {
                Some(Order::Write(line)) => write(&mut stdin, &line).await,
                Some(Order::Terminate) => signal(group, Signal::SIGTERM),
                // Without orders to come, the agent has dropped it.
                Some(Order::Kill) | None => break process.kill().await,
            },
        }
    };
    // What it has started dies with it, and with that the last writers of its pipes.
    signal(group, Signal::SIGKILL);
    loop {
        tokio::select! {
            next = readers.join_next() => if next.is_none() { break },
            () = sleep(DRAIN_WAIT) => if !*ear.paused.borrow() { break },
        }
    }
    readers.abort_all();
    let oom = oom_kills().zip(oom_before).is_some_and(|(now, before)| now > before);
    ear.tell(TrainerEvent::Exited(exit(status.as_ref().ok(), oom, ear.log.tail()))).await;
}

fn exit(status: Option<&ExitStatus>, oom: bool, tail: String) -> Exit {
    Exit { code: status.and_then(ExitStatus::code), signal: status.and_then(ExitStatusExt::signal), oom, tail }
}

fn signal(group: Option<Pid>, which: Signal) {
    // No such group: all of it is dead.
    if let Some(group) = group
        && let Err(why) = killpg(group, which)
        && why != nix::Error::ESRCH
    {
        tracing::warn!(%group, %which, %why, "cannot signal a trainer");
    }
}

async fn write(stdin: &mut Option<ChildStdin>, line: &ToTrainer) {
    let Some(open) = stdin else { return };
    let Ok(mut text) = serde_json::to_string(line) else { return };
    text.push('\n');
    let written = timeout(WRITE_WAIT, async {
        open.write_all(text.as_bytes()).await?;
        open.flush().await
    });
    if !matches!(written.await, Ok(Ok(()))) {
        // Half a line may be in the pipe: nothing that could follow would make sense.
        tracing::debug!("the trainer does not read its standard input");
        *stdin = None;
    }
}

/// What listens to a process's output.
#[derive(Clone)]
struct Ear {
    slot: u16,
    events: Events,
    paused: watch::Receiver<bool>,
    log: Log,
    pattern: Arc<Mutex<Option<Pattern>>>,
}

impl Ear {
    async fn listen(mut self, stream: impl AsyncRead + Unpin, speaks: bool) {
        let mut input = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            // The sender is gone with the agent's interest in this process; then it is killed anyway.
            if self.paused.wait_for(|paused| !*paused).await.is_err() {
                return;
            }
            if !matches!(next_line(&mut input, &mut line).await, Ok(true)) {
                return;
            }
            match if speaks { Line::of(&line) } else { Line::Log } {
                Line::Said(said) => self.tell(TrainerEvent::Said(said)).await,
                Line::Garbled(quote) => self.tell(TrainerEvent::Garbled(format!("not a protocol line: {quote}"))).await,
                Line::Log => {
                    if speaks {
                        self.log.out(&line)
                    } else {
                        self.log.err(&line)
                    }
                    let found =
                        self.pattern.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|pattern| pattern.find(&line));
                    match found {
                        Some(Ok(report)) => self.tell(TrainerEvent::Said(report)).await,
                        Some(Err(why)) => self.tell(TrainerEvent::Garbled(why)).await,
                        None => {}
                    }
                }
            }
        }
    }

    async fn tell(&self, event: TrainerEvent) {
        // Nobody listens any more: the agent is leaving.
        let _ = self.events.send((self.slot, event)).await;
    }
}

#[cfg(test)]
mod tests;
