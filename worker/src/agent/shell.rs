//! Brings the session what happens and does what it says. All waiting is in one place; nothing here decides anything.
use std::collections::VecDeque;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use hpo_core::Millis;
use hpo_core::sweep::event::Held;
use hpo_wire::FromWorker;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::doubt::Doubt;
use super::term::Term;
use super::{AgentFault, AgentOptions, write_job};
use crate::checkpoint::{CheckpointFault, Store};
use crate::connect::{ConnectFault, Link, LinkEvent, Remedy, Target};
use crate::session::{Clock, Input, Output, Session, SessionEnd, SpawnFailure, StoreFailure, TrainerEvent};
use crate::trainer::Call;
use crate::trainer::parent::{Events, SpawnFault, Trainer};
use crate::trainer::protocol::{Start, ToTrainer};

/// How exact waits of the session are.
const TICK: Duration = Duration::from_millis(100);
/// Events of trainers that wait to be looked at; a trainer waits when it is full.
const EVENTS_MAX: usize = 256;
/// How long the last words may take to be on their way.
const FLUSH_WAIT: Duration = Duration::from_secs(3);

pub(super) struct Shell {
    options: AgentOptions,
    session: Session,
    store: Store,
    target: Target,
    job_file: PathBuf,
    job_written: bool,
    begun: Instant,
    clock: Clock,
    link: Option<Link>,
    /// Where words for the driver go while a connection stands.
    mouth: Option<mpsc::Sender<FromWorker>>,
    /// Words on their way there. The session bounds them: what it has not sent, it keeps.
    outgoing: VecDeque<FromWorker>,
    trainers: Vec<Option<Trainer>>,
    events: Events,
    heard: mpsc::Receiver<(u16, TrainerEvent)>,
    /// Work on the disk; each piece gives what the session is to be told.
    disk: JoinSet<Input>,
    /// From when to when the task lasts, if it is one.
    term: Option<Term>,
    doubt: Doubt,
    /// What the session is to be told next.
    inputs: VecDeque<Input>,
    /// The last try found no token.
    lacks_token: Option<ConnectFault>,
}

impl Shell {
    pub(super) fn new(options: AgentOptions, session: Session, store: Store, scratch: PathBuf, target: Target, term: Option<Term>) -> Self {
        let (events, heard) = mpsc::channel(EVENTS_MAX);
        let trainers = options.slots.iter().map(|_| None).collect();
        Self {
            options,
            session,
            store,
            target,
            job_file: scratch.join("job.json"),
            job_written: false,
            begun: Instant::now(),
            clock: Clock::default(),
            link: None,
            mouth: None,
            outgoing: VecDeque::new(),
            trainers,
            events,
            heard,
            disk: JoinSet::new(),
            doubt: Doubt::new(term.is_some()),
            term,
            inputs: VecDeque::new(),
            lacks_token: None,
        }
    }

    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<SessionEnd, AgentFault> {
        let mut shutdown = pin!(shutdown);
        let mut noticed = false;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outputs = Vec::new();
        let now = self.now();
        self.tell_allocation(now, &mut outputs);
        self.session.begin(now, &mut outputs);
        let ended = loop {
            match self.perform_all(&mut outputs) {
                Ok(None) => {}
                Ok(Some(end)) => break Ok(end),
                Err(fault) => break Err(fault),
            }
            let input = tokio::select! {
                event = next_event(&mut self.link) => match self.linked(event) {
                    Ok(input) => input,
                    Err(fault) => break Err(fault.into()),
                },
                room = room(self.mouth.as_ref(), !self.outgoing.is_empty()) => {
                    self.send_one(room);
                    None
                }
                Some((slot, event)) = self.heard.recv(), if self.doubt.has_room() => {
                    self.doubt.hear(slot, event);
                    None
                }
                (slot, event) = self.doubt.next() => Some(self.trained(slot, event)),
                () = known(&mut self.term) => {
                    let now = self.now();
                    self.tell_allocation(now, &mut outputs);
                    None
                }
                Some(done) = self.disk.join_next() => match done {
                    Ok(input) => Some(input),
                    // A panic there is a panic here.
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                },
                _ = ticks.tick() => Some(Input::Tick),
                () = &mut shutdown, if !noticed => {
                    noticed = true;
                    self.doubt.resolve();
                    Some(Input::Notice)
                }
            };
            let now = self.now();
            if self.clock.woke() {
                self.session.step(now, Input::Woke, &mut outputs);
                // The session's clock stood still, its task's did not.
                self.tell_allocation(now, &mut outputs);
            }
            if let Some(input) = input {
                self.session.step(now, input, &mut outputs);
            }
        };
        let lacks_token = self.lacks_token.take();
        self.close().await;
        match (ended, lacks_token) {
            // It was not the driver that was away.
            (Ok(SessionEnd::Orphaned { .. }), Some(fault)) => Err(fault.into()),
            (ended, _) => ended,
        }
    }

    fn now(&mut self) -> Millis {
        self.clock.at(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn tell_allocation(&mut self, now: Millis, outputs: &mut Vec<Output>) {
        if let Some(term) = &self.term {
            self.session.step(now, Input::Allocated(term.now()), outputs);
        }
    }

    /// Does everything that is to be done, and what follows from it at once.
    fn perform_all(&mut self, outputs: &mut Vec<Output>) -> Result<Option<SessionEnd>, AgentFault> {
        loop {
            for output in outputs.drain(..) {
                if let Some(end) = self.perform(output)? {
                    return Ok(Some(end));
                }
            }
            let Some(input) = self.inputs.pop_front() else { return Ok(None) };
            let now = self.now();
            self.session.step(now, input, outputs);
        }
    }

    fn perform(&mut self, output: Output) -> Result<Option<SessionEnd>, AgentFault> {
        match output {
            Output::Send(message) => self.outgoing.push_back(message),
            Output::Connect { after_ms } => {
                self.hang_up();
                self.link = Some(Link::dial(self.target.clone(), Duration::from_millis(after_ms)));
            }
            Output::Restore { held, id } => self.restore(held, id),
            Output::Adopt { held, file, optional } => self.adopt(held, file, optional),
            Output::Discard { file } => {
                let _ = std::fs::remove_file(file);
            }
            Output::Spawn { slot, start } => self.spawn(slot, *start)?,
            Output::Write { slot, line } => self.write(slot, line),
            Output::Terminate { slot } => self.with(slot, Trainer::terminate),
            Output::Kill { slot } => self.with(slot, Trainer::kill),
            Output::Pause { slot, paused } => self.with(slot, |trainer| trainer.pause(paused)),
            Output::Exit(end) => return Ok(Some(end)),
        }
        Ok(None)
    }

    fn hang_up(&mut self) {
        self.link = None;
        self.mouth = None;
        // The session says them again when it is welcomed.
        self.outgoing.clear();
    }

    fn linked(&mut self, event: LinkEvent) -> Result<Option<Input>, ConnectFault> {
        match event {
            LinkEvent::Up(mouth) => {
                (self.mouth, self.lacks_token) = (Some(mouth), None);
                Ok(Some(Input::Connected))
            }
            LinkEvent::Said(said) => Ok(Some(Input::Driver(said))),
            LinkEvent::Down(fault) => {
                self.hang_up();
                let welcomed = self.session.job().is_some();
                match fault.remedy() {
                    Remedy::GiveUp => return Err(fault),
                    Remedy::RetryIfWelcomed if !welcomed => return Err(fault),
                    Remedy::Retry | Remedy::RetryIfWelcomed => {}
                }
                Ok(Some(self.unconnected(fault)))
            }
        }
    }

    /// There is no connection, and perhaps there will be one. A token that is not there is told of once.
    fn unconnected(&mut self, fault: ConnectFault) -> Input {
        let known = self.lacks_token.take().is_some();
        if let ConnectFault::NoToken { .. } = fault {
            if !known {
                tracing::warn!(
                    "{fault}: waiting for it; if it does not come within {} s, this worker ends",
                    self.options.orphan_limit.as_secs()
                );
            }
            self.lacks_token = Some(fault);
            return Input::Disconnected;
        }
        tracing::info!(why = &fault as &dyn std::error::Error, "no connection to the driver");
        match fault {
            ConnectFault::NoDriver { .. } => Input::NoDriver,
            ConnectFault::Ended { why } => Input::SweepEnded { why },
            _ => Input::Disconnected,
        }
    }

    fn send_one(&mut self, room: Option<mpsc::OwnedPermit<FromWorker>>) {
        match room {
            Some(room) => {
                if let Some(message) = self.outgoing.pop_front() {
                    room.send(message);
                }
            }
            // The connection has ended; its last event will say why.
            None => self.mouth = None,
        }
    }

    fn trained(&mut self, slot: u16, event: TrainerEvent) -> Input {
        if let (TrainerEvent::Exited(_), Some(place)) = (&event, self.trainers.get_mut(usize::from(slot))) {
            *place = None;
        }
        Input::Trainer { slot, event }
    }

    fn restore(&mut self, held: Held, id: String) {
        let store = self.store.clone();
        self.disk.spawn_blocking(move || {
            let outcome = store.open_verified(&id, held.trial).map_err(store_failure);
            Input::Restored { held, outcome }
        });
    }

    fn adopt(&mut self, held: Held, file: PathBuf, optional: bool) {
        let store = self.store.clone();
        self.disk.spawn_blocking(move || {
            let outcome = match store.adopt(&file, held.trial, held.attempt) {
                Ok(stored) => Ok(Some(stored)),
                Err(CheckpointFault::Absent { .. }) if optional => Ok(None),
                Err(fault) => Err(store_failure(fault)),
            };
            Input::Adopted { held, outcome }
        });
    }

    fn spawn(&mut self, slot: u16, start: Start) -> Result<(), AgentFault> {
        let Some(job) = self.session.job() else { return Ok(()) };
        if !self.job_written {
            write_job(job, &self.job_file)?;
            self.job_written = true;
        }
        let index = usize::from(slot);
        let gpu = self.options.slots.get(index).and_then(|slot| slot.gpu.as_deref());
        let log = log_file(&self.options.log_dir, &start);
        let call = Call::new(&self.options.trainer, job, &self.job_file, &start, gpu).map_err(|fault| SpawnFailure::Job(described(&fault)));
        let spawned = call.and_then(|call| Trainer::spawn(call, slot, &log, self.events.clone()).map_err(spawn_failure));
        match spawned {
            Ok(trainer) => {
                trainer.write(ToTrainer::Start(start));
                if let Some(place) = self.trainers.get_mut(index) {
                    *place = Some(trainer);
                }
            }
            Err(why) => self.inputs.push_back(Input::Trainer { slot, event: TrainerEvent::NotSpawned(why) }),
        }
        Ok(())
    }

    fn write(&mut self, slot: u16, line: ToTrainer) {
        if let ToTrainer::Start(start) = &line {
            let log = log_file(&self.options.log_dir, start);
            self.with(slot, |trainer| trainer.log_to(&log));
        }
        self.with(slot, |trainer| trainer.write(line));
    }

    fn with(&self, slot: u16, act: impl FnOnce(&Trainer)) {
        // A trainer that is gone has said so, or is about to.
        if let Some(Some(trainer)) = self.trainers.get(usize::from(slot)) {
            act(trainer);
        }
    }

    /// Leaves nothing behind: last words are sent, trainers are dead.
    async fn close(mut self) {
        let flush = timeout(FLUSH_WAIT, async {
            while let Some(message) = self.outgoing.pop_front() {
                let Some(mouth) = &self.mouth else { return };
                if mouth.send(message).await.is_err() {
                    return;
                }
            }
            // The driver answers the end of our words by the end of its own.
            self.mouth = None;
            while let Some(link) = &mut self.link {
                if link.next().await.is_none() {
                    return;
                }
            }
        });
        let flushed = flush.await.is_ok();
        tracing::debug!(flushed, "the conversation is over");
        // Nobody listens to them any more, so that they cannot wait for us.
        drop(self.heard);
        self.trainers.iter().flatten().for_each(Trainer::kill);
        for trainer in self.trainers.into_iter().flatten() {
            trainer.end().await;
        }
    }
}

/// The next event of the connection, if there is one.
async fn next_event(link: &mut Option<Link>) -> LinkEvent {
    match link {
        Some(link) => match link.next().await {
            Some(event) => event,
            None => LinkEvent::Down(ConnectFault::Closed),
        },
        None => pending().await,
    }
}

/// More is known of the task, if that is possible at all.
async fn known(term: &mut Option<Term>) {
    match term {
        Some(term) => term.known().await,
        None => pending().await,
    }
}

/// Room for one more message, if one waits. `None`: the connection has ended.
async fn room(mouth: Option<&mpsc::Sender<FromWorker>>, wanted: bool) -> Option<mpsc::OwnedPermit<FromWorker>> {
    match mouth {
        Some(mouth) if wanted => mouth.clone().reserve_owned().await.ok(),
        _ => pending().await,
    }
}

fn log_file(folder: &Path, start: &Start) -> PathBuf {
    folder.join(format!("trial-{}.attempt-{}.log", start.trial, start.attempt))
}

pub(super) fn store_failure(fault: CheckpointFault) -> StoreFailure {
    let why = described(&fault);
    if fault.is_of_file() { StoreFailure::File(why) } else { StoreFailure::Store(why) }
}

fn spawn_failure(fault: SpawnFault) -> SpawnFailure {
    let why = described(&fault);
    if fault.is_of_job() { SpawnFailure::Job(why) } else { SpawnFailure::Machine(why) }
}

/// A fault with all its causes.
fn described(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(fault.source(), |fault| fault.source());
    causes.fold(fault.to_string(), |text, cause| format!("{text}: {cause}"))
}
