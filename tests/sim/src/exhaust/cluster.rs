//! The state of a small cluster, what can happen to it next, and what then becomes of it.
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::rc::Rc;

use hpo_core::{Metrics, TrialId};
use hpo_driver::engine::Options;
use hpo_driver::journal::Record;
use hpo_wire::{FromDriver, FromWorker, Welcome};
use hpo_worker::checkpoint::Stored;
use hpo_worker::session::{Input, Output, TrainerEvent};
use hpo_worker::trainer::protocol::{FromTrainer, Start, ToTrainer};

use super::Scope;
use super::driver::{Done, Drivers, Told};
use super::worker::{Sessions, id};
use crate::setup::Setup;

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// A driver begins.
    Start,
    /// A worker's connection is made.
    Dial(usize),
    /// The next message of a worker comes to the driver, which dies after so many of its own answers.
    Up(usize, Option<usize>),
    /// The next message of the driver comes to a worker.
    Down(usize),
    /// The searcher's answer comes to the driver, which dies after so many of its own messages.
    Suggest(TrialId, Option<usize>),
    /// A trainer says its next word.
    Train(usize),
    /// The driver dies.
    Crash,
}

/// The whole cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    job: Rc<str>,
    /// The driver that lives.
    driver: Option<usize>,
    /// What it is, or was when it died.
    last: Option<usize>,
    over: bool,
    epoch: u32,
    journal: Rc<Vec<Record>>,
    asks: Vec<TrialId>,
    crashes: u8,
    workers: Vec<Worker>,
    /// The most that each trial was trained.
    trained: BTreeMap<u32, u32>,
}

#[derive(Clone, Debug, Hash)]
struct Worker {
    session: usize,
    gone: bool,
    dials: bool,
    /// Connections that it has made.
    calls: u64,
    /// Its connection; the driver's end may be gone already.
    line: Option<u64>,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    trainer: Option<Trainer>,
}

#[derive(Clone, Debug, Hash)]
enum Up {
    Said(Hashed<FromWorker>),
    Closed,
}

#[derive(Clone, Debug, Hash)]
enum Down {
    Said(Hashed<FromDriver>),
    Closed,
}

/// Something long that is shown as one number, which is found once.
#[derive(Clone)]
pub(super) struct Hashed<T>(u64, Rc<T>);

impl<T: fmt::Debug> Hashed<T> {
    pub(super) fn new(what: T) -> Self {
        Self(hash(format!("{what:?}")), Rc::new(what))
    }
}

/// One number for something that is said.
pub(super) fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl<T> Hash for Hashed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A trainer process.
#[derive(Clone, Debug, Default, Hash)]
struct Trainer {
    ready: bool,
    orders: VecDeque<Hashed<ToTrainer>>,
    /// What it trains, and how far it is.
    work: Option<(Hashed<Start>, u32)>,
}

impl Cluster {
    pub(super) fn new(scope: &Scope, sessions: &mut Sessions) -> Self {
        let job = serde_json::to_string(&Setup::small(scope.spec.clone(), scope.workers).job()).unwrap_or_default();
        let worker = |worker| {
            let (session, _) = sessions.begin(worker);
            Worker { session, gone: false, dials: true, calls: 0, line: None, up: VecDeque::new(), down: VecDeque::new(), trainer: None }
        };
        Self {
            job: job.into(),
            driver: None,
            last: None,
            over: false,
            epoch: 0,
            journal: Rc::new(vec![]),
            asks: vec![],
            crashes: scope.crashes,
            workers: (0..scope.workers).map(worker).collect(),
            trained: BTreeMap::new(),
        }
    }

    /// One number for the whole state; equal states have equal futures.
    pub(super) fn key(&self, drivers: &Drivers) -> u128 {
        let durable = self.last.map(|last| drivers.standing(last));
        let state = (self.driver, self.over, self.epoch, durable, &self.asks, self.crashes, &self.workers, &self.trained);
        u128::from(hash((1, state))) << 64 | u128::from(hash((2, state)))
    }

    /// Everything that can happen next.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let mut choices = vec![];
        let lives = self.driver.is_some() && !self.over;
        let deaths: Vec<Option<usize>> = if self.crashes > 0 { vec![None, Some(0), Some(1), Some(2)] } else { vec![None] };
        if self.driver.is_none() {
            choices.push(Choice::Start);
        }
        if lives && self.crashes > 0 {
            choices.push(Choice::Crash);
        }
        for (index, worker) in self.workers.iter().enumerate() {
            if lives && !worker.up.is_empty() {
                choices.extend(deaths.iter().map(|death| Choice::Up(index, *death)));
            }
            if worker.gone {
                continue;
            }
            if !worker.down.is_empty() {
                choices.push(Choice::Down(index));
            }
            if lives && worker.dials {
                choices.push(Choice::Dial(index));
            }
            if worker.trainer.as_ref().is_some_and(Trainer::has_something_to_do) {
                choices.push(Choice::Train(index));
            }
        }
        if lives {
            choices.extend(self.asks.iter().flat_map(|trial| deaths.iter().map(|death| Choice::Suggest(*trial, *death))));
        }
        choices
    }

    pub(super) fn take(&mut self, choice: &Choice, drivers: &mut Drivers, sessions: &mut Sessions) -> Result<(), String> {
        match *choice {
            Choice::Start => {
                self.epoch += 1;
                let done = drivers.begin(self.epoch, &self.journal)?;
                self.acts(done, None, drivers);
                Ok(())
            }
            Choice::Crash => {
                self.crash();
                Ok(())
            }
            Choice::Dial(worker) => {
                let it = &mut self.workers[worker];
                it.calls += 1;
                // The number says whose it is, so that equal numbers are equal connections.
                (it.dials, it.line) = (false, Some(it.calls << 8 | worker as u64));
                self.tell(worker, 1, Input::Connected, sessions)
            }
            Choice::Up(worker, death) => self.heard(worker, death, drivers),
            Choice::Down(worker) => match self.workers[worker].down.pop_front() {
                Some(Down::Said(message)) => self.tell(worker, hash((0, message.0)), Input::Driver((*message.1).clone()), sessions),
                _ => {
                    self.workers[worker].line = None;
                    self.tell(worker, 2, Input::Disconnected, sessions)
                }
            },
            Choice::Suggest(trial, death) => {
                self.asks.retain(|asked| *asked != trial);
                self.told(hash((2, trial)), Told::Suggested(trial), death, drivers)
            }
            Choice::Train(worker) => {
                let said = self.train(worker)?;
                let key = hash(format!("{said:?}"));
                self.tell(worker, key, Input::Trainer { slot: 0, event: TrainerEvent::Said(said) }, sessions)
            }
        }
    }

    fn heard(&mut self, worker: usize, death: Option<usize>, drivers: &mut Drivers) -> Result<(), String> {
        let it = &mut self.workers[worker];
        let (Some(up), Some(line)) = (it.up.pop_front(), it.line) else { return Ok(()) };
        let said = match up {
            Up::Said(said) => said,
            Up::Closed => return self.told(hash((1, line)), Told::Broke(id(worker), line), death, drivers),
        };
        let key = hash((0, said.0, line));
        let told = match (*said.1).clone() {
            FromWorker::Hello(hello) => {
                let Options { heartbeat_ms, lease_ms, .. } = Options::default();
                let sweep = "0123456789abcdef0123456789abcdef".to_owned();
                let (heartbeat_ms, lease_ms, job) = (heartbeat_ms as u32, lease_ms as u32, self.job.to_string());
                let welcome = FromDriver::Welcome(Welcome { sweep, heartbeat_ms, lease_ms, job, epoch: self.epoch });
                it.down.push_back(Down::Said(Hashed::new(welcome)));
                Told::Joined(hello, line)
            }
            FromWorker::Word(word) => Told::Said(id(worker), line, word),
            FromWorker::Goodbye { .. } => Told::Left(id(worker), line),
            FromWorker::Leaving => Told::Leaving(id(worker), line),
            FromWorker::Heartbeat => return Ok(()),
        };
        self.told(key, told, death, drivers)
    }

    fn told(&mut self, key: u64, told: Told, death: Option<usize>, drivers: &mut Drivers) -> Result<(), String> {
        let Some(driver) = self.driver else { return Ok(()) };
        let done = drivers.tell(driver, key, told)?;
        self.acts(done, death, drivers);
        Ok(())
    }

    /// What the driver has decided is durable; it says all of it, or dies after so many messages.
    fn acts(&mut self, done: Done, death: Option<usize>, drivers: &Drivers) {
        self.journal = drivers.journal(done.driver);
        (self.driver, self.last) = (Some(done.driver), Some(done.driver));
        for (line, message) in done.said.into_iter().take(death.unwrap_or(usize::MAX)) {
            if let Some(worker) = self.workers.iter_mut().find(|worker| worker.line == Some(line)) {
                worker.down.push_back(Down::Said(message));
            }
        }
        if death.is_some() {
            return self.crash();
        }
        for worker in self.workers.iter_mut().filter(|worker| worker.line.is_some_and(|line| done.ended.contains(&line))) {
            worker.down.push_back(Down::Closed);
        }
        self.asks.extend(done.asks);
        if done.over {
            self.over = true;
            self.hang_up();
        }
    }

    /// What it has sent still arrives, and then the end of the connection; what was sent to it is lost.
    fn crash(&mut self) {
        self.crashes -= 1;
        self.driver = None;
        self.asks.clear();
        self.hang_up();
    }

    fn hang_up(&mut self) {
        for worker in &mut self.workers {
            worker.up.clear();
            if worker.line.is_some() && !matches!(worker.down.back(), Some(Down::Closed)) {
                worker.down.push_back(Down::Closed);
            }
        }
    }

    /// The session is told something, and what it wants is done.
    fn tell(&mut self, worker: usize, key: u64, input: Input, sessions: &mut Sessions) -> Result<(), String> {
        let mut inputs = VecDeque::from([(key, input)]);
        while let Some((key, input)) = inputs.pop_front() {
            let (session, outputs) = sessions.tell(self.workers[worker].session, key, input);
            let ends = matches!(self.workers[worker].down.back(), Some(Down::Closed));
            let driver = self.driver.is_some() && !self.over && !ends;
            let it = &mut self.workers[worker];
            it.session = session;
            for output in outputs.iter() {
                match output {
                    Output::Send(message) if it.line.is_some() && driver => it.up.push_back(Up::Said(Hashed::new(message.clone()))),
                    Output::Connect { .. } => (it.dials, it.line) = (true, None),
                    Output::Restore { held, id } => {
                        let input = Input::Restored { held: *held, outcome: Ok(PathBuf::from(id)) };
                        inputs.push_back((hash(format!("{input:?}")), input));
                    }
                    Output::Adopt { held, file, .. } => {
                        let stored = Stored { id: file.display().to_string(), bytes: 1 };
                        let input = Input::Adopted { held: *held, outcome: Ok(Some(stored)) };
                        inputs.push_back((hash(format!("{input:?}")), input));
                    }
                    Output::Spawn { start, .. } if it.trainer.is_some() => return Err(format!("a second trainer begins: {start:?}")),
                    Output::Spawn { start, .. } => {
                        it.trainer =
                            Some(Trainer { orders: [Hashed::new(ToTrainer::Start((**start).clone()))].into(), ..Trainer::default() });
                    }
                    Output::Write { line, .. } => {
                        if let Some(trainer) = &mut it.trainer {
                            trainer.orders.push_back(Hashed::new(line.clone()));
                        }
                    }
                    Output::Kill { .. } | Output::Terminate { .. } => return Err("a sound trainer is killed".to_owned()),
                    Output::Exit(_) => {
                        it.gone = true;
                        it.trainer = None;
                        if driver {
                            it.up.push_back(Up::Closed);
                        }
                    }
                    Output::Send(_) | Output::Discard { .. } | Output::Pause { .. } => {}
                }
            }
        }
        Ok(())
    }

    /// The next word of a trainer. What was trained is never trained again: all that can happen here is that the driver dies.
    fn train(&mut self, worker: usize) -> Result<FromTrainer, String> {
        let others = self.workers.iter().enumerate().filter(|(other, _)| *other != worker);
        let elsewhere: Vec<u32> = others.filter_map(|(_, it)| Some(it.trainer.as_ref()?.work.as_ref()?.0.1.trial)).collect();
        let Some(trainer) = self.workers[worker].trainer.as_mut() else { return Ok(FromTrainer::Ready) };
        if !std::mem::replace(&mut trainer.ready, true) {
            return Ok(FromTrainer::Ready);
        }
        if let Some((Hashed(_, start), done)) = &mut trainer.work {
            let trial = start.trial;
            if let Some(order) = trainer.orders.pop_front() {
                return Err(format!("trial {trial} is interrupted: {order:?}"));
            }
            if *done == start.until {
                let (resource, checkpoint) = (*done, Some(start.checkpoint_out.clone()));
                trainer.work = None;
                return Ok(FromTrainer::Reached { resource, checkpoint, wrote_ms: 0 });
            }
            *done += 1;
            let before = self.trained.insert(trial, *done).unwrap_or_default();
            if before + 1 != *done {
                return Err(format!("trial {trial} trains unit {done} after unit {before}"));
            }
            // The later trials are better, so that some are promoted late.
            let loss = 10.0 - f64::from(trial) + 1.0 / f64::from(*done);
            return Ok(FromTrainer::Report { resource: *done, metrics: Metrics::from_iter([("loss".to_owned(), loss)]) });
        }
        let order = trainer.orders.pop_front().map(|order| (*order.1).clone());
        let Some(ToTrainer::Start(start)) = order else { return Ok(FromTrainer::Stopped) };
        if elsewhere.contains(&start.trial) {
            return Err(format!("trial {} begins in a second place", start.trial));
        }
        let done = start.from;
        trainer.work = Some((Hashed::new(start), done));
        Ok(FromTrainer::Started { startup_ms: 0, restore_ms: 0 })
    }

    /// Nothing more can happen: then all must be done.
    pub(super) fn is_over(&self) -> Result<(), String> {
        // Who was not connected when the driver went home looks for another in vain, for as long as it is patient.
        let looks_in_vain = |worker: &Worker| worker.dials && worker.trainer.as_ref().is_none_or(|trainer| trainer.work.is_none());
        let left: Vec<_> = self.workers.iter().filter(|worker| !worker.gone && !looks_in_vain(worker)).collect();
        // A driver that waits for a worker that has gone before it came goes home in its own time.
        let ended = self.journal.iter().any(|record| record.acts.iter().any(|act| act.starts_with("finish: ")));
        if ended && left.is_empty() { Ok(()) } else { Err(format!("nothing more happens; ended: {ended}, workers left: {left:?}")) }
    }
}

impl Trainer {
    fn has_something_to_do(&self) -> bool {
        !self.ready || self.work.is_some() || !self.orders.is_empty()
    }
}
