//! The built-in trainer, of models and of curves: the process that a slot's agent starts, speaking [`super::protocol`] on
//! standard input and output as any user's program does. It outlives its leases: device and data stay loaded, and the last
//! trial's state stays in memory for a lease that goes on in place.
//!
//! **Called back**, it leaves at once with the state of the last whole epoch, which is always in memory, and drops the
//! epoch in progress: a preempted machine gives some 30 seconds, and nobody knows how long an epoch is. **Told to stop**,
//! it drops everything and waits for the next lease. **When its input ends**, its agent is dead and its words reach nobody:
//! it ends at once, also in the middle of a step. **To a batch system's signals** it is deaf ([`super::deaf`]). **After a panic** it says so and ends, for a device that failed once
//! cannot be trusted with the next trial; after any other failure it goes on.
// Two attributes: clippy takes only a bare `cfg(test)` for a test.
#[cfg(feature = "burn")]
#[cfg(test)]
mod tests;

use std::any::Any;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hpo_core::job::Job;
use hpo_core::sweep::event::FailureKind;
use hpo_core::{Resource, Seed};

use super::deaf::Hearing;
use super::protocol::{FromTrainer, PREFIX, Start, ToTrainer};
use crate::trainable::{Bench, Epoch, Trial, TrialFault};

/// Orders that wait while a step runs. An agent sends one or two; one that sends more is out of its mind.
const ORDERS_MAX: usize = 16;

/// Exit code when the agent is gone. Nobody reads it; it tells a person who looks at the process table's history.
const AGENT_GONE: i32 = 3;

/// Panics that are remembered: the first is the cause, the others follow from it.
const PANICS_MAX: usize = 8;

/// Why the trainer ended other than by the end of its input.
#[derive(Debug, thiserror::Error)]
pub enum ChildFault {
    /// Nobody reads what it says.
    #[error("the agent does not read any more")]
    Output(#[from] io::Error),
    /// A line that is no order.
    #[error("the agent said what is no order; agent and trainer must be of one version")]
    Order(#[source] serde_json::Error),
    /// The system does not let it be deaf to signals.
    #[error("cannot take the signals of a job")]
    Signals(#[source] nix::Error),
    /// Its input ended.
    #[error("the agent is gone")]
    AgentGone,
    /// Training panicked. The agent knows.
    #[error("training panicked")]
    Panicked,
}

/// Serves leases from standard input until it ends, which ends the process.
///
/// # Errors
/// If the agent cannot be heard or told anything, or after a panic in training.
pub fn run(job: Job) -> Result<(), ChildFault> {
    let hearing = Hearing::take().map_err(ChildFault::Signals)?;
    remember_panics();
    let (orders, inbox) = sync_channel(ORDERS_MAX);
    std::thread::spawn(move || {
        listen(BufReader::new(io::stdin()), &orders);
        std::process::exit(AGENT_GONE);
    });
    serve(&job, &inbox, io::stdout(), || hearing.ends())
}

type Order = Result<ToTrainer, serde_json::Error>;

/// Passes on one order a line until the input ends, nobody waits for orders any more, or too many wait.
fn listen(input: impl BufRead, orders: &SyncSender<Order>) {
    for line in input.lines() {
        let Ok(line) = line else { return };
        if !line.trim().is_empty() && orders.try_send(serde_json::from_str(&line)).is_err() {
            return;
        }
    }
}

/// Serves leases until the inbox is closed. `ready` is called before that is said.
fn serve(job: &Job, inbox: &Receiver<Order>, output: impl Write, ready: impl FnOnce()) -> Result<(), ChildFault> {
    // Before the first lease comes; what is wrong is said when there is an attempt to which it can be said.
    let bench = guarded(|| Bench::open(job).map_err(|fault| Failure::new(FailureKind::Setup, &fault)));
    let mut child = Child { bench, inbox, voice: Voice(output), held: None };
    ready();
    child.voice.say(&FromTrainer::Ready)?;
    while let Ok(order) = inbox.recv() {
        match order.map_err(ChildFault::Order)? {
            ToTrainer::Start(start) => child.attempt(&start)?,
            // It crossed our last word about an attempt that has ended.
            ToTrainer::Stop | ToTrainer::CallBack => {}
        }
    }
    Ok(())
}

struct Voice<W>(W);

impl<W: Write> Voice<W> {
    fn say(&mut self, word: &FromTrainer) -> io::Result<()> {
        // One write a line: burn's threads may print too.
        let line = format!("{PREFIX}{}\n", serde_json::to_string(word)?);
        self.0.write_all(line.as_bytes())?;
        self.0.flush()
    }
}

struct Child<'a, W> {
    bench: Result<Bench, Failure>,
    inbox: &'a Receiver<Order>,
    voice: Voice<W>,
    /// The trial whose lease was served last, as it was at the end of that lease.
    held: Option<Held>,
}

struct Held {
    number: u32,
    trial: Trial,
}

impl<W: Write> Child<'_, W> {
    /// Serves one lease. What the attempt is to blame for is said, the rest returned.
    fn attempt(&mut self, start: &Start) -> Result<(), ChildFault> {
        let held = self.held.take();
        let failure = match guarded(|| self.lease(start, held)) {
            Ok((word, held)) => {
                self.held = held;
                return Ok(self.voice.say(&word)?);
            }
            Err(Trouble::Fault(fault)) => return Err(fault),
            Err(Trouble::Unsaved(message)) => return Ok(self.voice.say(&FromTrainer::Unsaved { message })?),
            Err(Trouble::Failure(failure)) => failure,
        };
        let Failure { kind, message, panicked } = failure;
        self.voice.say(&FromTrainer::Failed { kind, message })?;
        if panicked { Err(ChildFault::Panicked) } else { Ok(()) }
    }

    /// The last word about the lease, and the trial if another lease may go on with it.
    fn lease(&mut self, start: &Start, held: Option<Held>) -> Result<(FromTrainer, Option<Held>), Trouble> {
        let began = Instant::now();
        let bench = self.bench.as_ref().map_err(Clone::clone)?;
        let (mut trial, restore_ms) = prepare(bench, start, held)?;
        self.voice.say(&FromTrainer::Started { startup_ms: millis(began).saturating_sub(restore_ms), restore_ms })?;

        while trial.epochs().0 < start.until {
            let mut order = None;
            let mut interrupted = || {
                order = match self.inbox.try_recv() {
                    Ok(order) => Some(order.map_err(ChildFault::Order)),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => Some(Err(ChildFault::AgentGone)),
                };
                order.is_some()
            };
            let epoch = bench.epoch(&mut trial, &mut interrupted)?;
            match (epoch, order.transpose()?) {
                (Epoch::Done(metrics), _) => self.voice.say(&FromTrainer::Report { resource: trial.epochs().0, metrics })?,
                (Epoch::Interrupted, Some(ToTrainer::CallBack)) => return leave(start, &trial),
                (Epoch::Interrupted, Some(ToTrainer::Stop)) => return Ok((FromTrainer::Stopped, None)),
                (Epoch::Interrupted, _) => {
                    return Err(Failure::says(FailureKind::Protocol, "a lease came in the middle of another one").into());
                }
            }
        }
        let resource = trial.epochs().0;
        let (checkpoint, wrote_ms) = write(start, &trial)?;
        let held = Held { number: start.trial, trial };
        Ok((FromTrainer::Reached { resource, checkpoint: Some(checkpoint), wrote_ms }, Some(held)))
    }
}

/// The trial as the lease wants it, and the milliseconds that reading its state took.
fn prepare(bench: &Bench, start: &Start, held: Option<Held>) -> Result<(Trial, u64), Trouble> {
    let (from, seed) = (Resource(start.from), Seed(start.seed));
    if start.until < start.from {
        return Err(Failure::says(FailureKind::Protocol, "the lease ends before it begins").into());
    }
    if start.in_place {
        return match held {
            Some(held) if held.number == start.trial && held.trial.epochs() == from => Ok((held.trial, 0)),
            _ => Err(Failure::says(FailureKind::Setup, "the trial's state is not in this trainer's memory").into()),
        };
    }
    // Two states at once need not fit into the device's memory.
    drop(held);
    match &start.checkpoint {
        Some(path) => {
            let began = Instant::now();
            let trial = bench.resume(&start.params, seed, from, path)?;
            Ok((trial, millis(began)))
        }
        None if start.from == 0 => Ok((bench.begin(&start.params, seed)?, 0)),
        None => Err(Failure::says(FailureKind::Checkpoint, "the lease begins in the middle of the trial but names no checkpoint").into()),
    }
}

/// The answer to being called back: nothing new is written before the first epoch of a lease is whole.
fn leave(start: &Start, trial: &Trial) -> Result<(FromTrainer, Option<Held>), Trouble> {
    let resource = trial.epochs().0;
    let (checkpoint, wrote_ms) = if resource > start.from {
        let (path, wrote_ms) = write(start, trial)?;
        (Some(path), wrote_ms)
    } else {
        (None, 0)
    };
    Ok((FromTrainer::Left { resource, checkpoint, wrote_ms }, None))
}

fn write(start: &Start, trial: &Trial) -> Result<(PathBuf, u64), Trouble> {
    let began = Instant::now();
    trial.save(&start.checkpoint_out).map_err(|fault| Trouble::Unsaved(with_causes(&fault)))?;
    Ok((start.checkpoint_out.clone(), millis(began)))
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A fault and what it came from, in one line.
fn with_causes(fault: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(fault), |fault| (*fault).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What ends an attempt too early.
#[derive(Clone, Debug, PartialEq)]
struct Failure {
    kind: FailureKind,
    message: String,
    panicked: bool,
}

/// What keeps a lease from its end: the attempt's failure, the disk's, or the trainer's own.
enum Trouble {
    Failure(Failure),
    Unsaved(String),
    Fault(ChildFault),
}

impl Failure {
    fn new(kind: FailureKind, fault: &TrialFault) -> Self {
        Self { kind, message: with_causes(fault), panicked: false }
    }

    fn says(kind: FailureKind, message: &str) -> Self {
        Self { kind, message: message.to_owned(), panicked: false }
    }

    /// From the messages of panics, the first of which is the cause.
    fn panic(messages: &[String]) -> Self {
        let all = messages.join("\n").to_lowercase();
        let memory = ["out of memory", "out_of_memory", "outofmemory", "not enough memory"].iter().any(|words| all.contains(words));
        let kind = if memory { FailureKind::OutOfMemory } else { FailureKind::Crash };
        let message = messages.first().map_or("training panicked", |first| first.as_str()).to_owned();
        Self { kind, message, panicked: true }
    }
}

impl From<TrialFault> for Trouble {
    fn from(fault: TrialFault) -> Self {
        match fault.kind() {
            Some(kind) => Failure::new(kind, &fault).into(),
            None => Self::Unsaved(with_causes(&fault)),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ChildFault> for Trouble {
    fn from(fault: ChildFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Trouble {
    fn from(fault: io::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Messages of panics in any thread since the last look.
static PANICS: Mutex<Vec<String>> = Mutex::new(vec![]);

/// A GPU's trouble shows first in a thread of burn's; ours then panics because that one is gone. So all are remembered.
fn remember_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        if panics.len() < PANICS_MAX {
            panics.push(info.payload_as_str().unwrap_or("a panic without words").to_owned());
        }
        drop(panics);
        print(info);
    }));
}

/// Turns a panic in `work` into a failure. What `work` has changed must not be used after that.
fn guarded<T, E: From<Failure>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let mut messages = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
        messages.extend(words(payload.as_ref()));
        Err(Failure::panic(&messages).into())
    })
}

fn words(payload: &(dyn Any + Send)) -> Option<String> {
    payload.downcast_ref::<String>().cloned().or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
}
