//! The production engine's heart as a function of its history: what it has read, and what it was told since.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use hpo_core::{Params, Stamp, Sweep, SweepSpec, TrialId, Value, WorkerId};
use hpo_driver::engine::Options;
use hpo_driver::engine::parts::{Heart, Input, Kept, Link, Outbox, Outgoing, Parts, Store, Thinker};
use hpo_driver::journal::{Journal, JournalFault, Record};
use hpo_searchers::Random;
use hpo_wire::{FromDriver, Hello, Word};

use super::Scope;
use super::cluster::{Hashed, hash};
use crate::check::{Judge, Panel, Premises};

const NOW: Stamp = Stamp(0);
/// More than ever waits here.
const ROOM: usize = 64;

/// What a driver is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Joined(Hello, u64),
    Said(WorkerId, u64, Word),
    Leaving(WorkerId, u64),
    Left(WorkerId, u64),
    Broke(WorkerId, u64),
    Suggested(TrialId),
}

/// A driver and all that led to it.
#[derive(Clone)]
struct Life {
    epoch: u32,
    /// What it read when it began.
    read: Rc<Vec<Record>>,
    told: Rc<Vec<Told>>,
    /// What is durable.
    journal: Rc<Vec<Record>>,
    /// Records and digest.
    standing: (u64, u64),
    /// What the searcher was asked for and has not answered.
    asked: Vec<TrialId>,
}

/// What came of a step.
#[derive(Clone)]
pub(super) struct Done {
    /// The driver after it.
    pub(super) driver: usize,
    /// What it said, in order, by connection.
    pub(super) said: Vec<(u64, Hashed<FromDriver>)>,
    /// Connections that it ended.
    pub(super) ended: Vec<u64>,
    /// Values that it wants.
    pub(super) asks: Vec<TrialId>,
    /// It has gone home.
    pub(super) over: bool,
}

/// All drivers that were met.
pub(super) struct Drivers {
    spec: SweepSpec,
    workers: usize,
    lives: Vec<Life>,
    known: HashMap<String, usize>,
    steps: HashMap<(usize, u64), Done>,
    /// Records that were judged, with the state that each led to.
    judged: HashSet<u64>,
}

/// What was appended and synced.
struct Paper {
    epoch: u32,
    pages: Arc<Mutex<Vec<Record>>>,
}

impl Journal for Paper {
    fn epoch(&self) -> u32 {
        self.epoch
    }
    fn append(&mut self, records: &[Record]) -> Result<(), JournalFault> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(records);
        Ok(())
    }
    fn sync(&mut self) -> Result<(), JournalFault> {
        Ok(())
    }
}

/// The cluster looks after its states by itself.
struct NoStore;

impl Store for NoStore {
    fn remove(&self, _id: &str) -> io::Result<()> {
        Ok(())
    }
    fn ids(&self) -> io::Result<Vec<String>> {
        Ok(vec![])
    }
}

struct Running {
    heart: Heart,
    thinker: Thinker,
    lines: BTreeMap<u64, Outbox>,
    pages: Arc<Mutex<Vec<Record>>>,
}

impl Drivers {
    pub(super) fn new(scope: &Scope) -> Self {
        let (known, steps, judged) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { spec: scope.spec.clone(), workers: scope.workers, lives: vec![], known, steps, judged }
    }

    pub(super) fn count(&self) -> usize {
        self.lives.len()
    }

    /// The sweep that a driver's journal leads to, by number of records and digest: equal ones have equal futures.
    pub(super) fn standing(&self, driver: usize) -> (u64, u64) {
        self.lives[driver].standing
    }

    /// The records that are durable after a driver.
    pub(super) fn journal(&self, driver: usize) -> Rc<Vec<Record>> {
        self.lives[driver].journal.clone()
    }

    /// A driver that begins with what is durable.
    pub(super) fn begin(&mut self, epoch: u32, read: &Rc<Vec<Record>>) -> Result<Done, String> {
        let life = Life { epoch, read: read.clone(), told: Rc::new(vec![]), journal: read.clone(), standing: (0, 0), asked: vec![] };
        self.play(life, None)
    }

    /// What a driver does when it is told something; `key` is one number for that.
    pub(super) fn tell(&mut self, driver: usize, key: u64, told: Told) -> Result<Done, String> {
        let key = (driver, key);
        if let Some(done) = self.steps.get(&key) {
            return Ok(done.clone());
        }
        let life = self.lives[driver].clone();
        let done = self.play(life, Some(told))?;
        self.steps.insert(key, done.clone());
        Ok(done)
    }

    /// Lives a driver's life again, and one step further.
    fn play(&mut self, mut life: Life, next: Option<Told>) -> Result<Done, String> {
        let mut running = self.start(&life)?;
        let mut done = step(&mut running, None)?;
        for told in life.told.iter() {
            done = step(&mut running, Some(told))?;
        }
        if let Some(told) = next {
            done = step(&mut running, Some(&told))?;
            if let Told::Suggested(trial) = told {
                life.asked.retain(|asked| *asked != trial);
            }
            Rc::make_mut(&mut life.told).push(told);
        }
        let before = life.journal.len();
        life.journal = Rc::new(running.pages.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let (records, sweep) = running.heart.standing();
        let digest = sweep.digest();
        life.standing = (records, digest);
        let news = hash((life.standing, format!("{:?}", &life.journal[before..])));
        if life.journal.len() > before && self.judged.insert(news) {
            self.judge(&life.journal, records, sweep)?;
        }
        life.asked.extend(&done.asks);
        life.asked.sort_unstable();
        let lines: Vec<u64> = running.lines.keys().copied().collect();
        let key = format!("{records} {digest:x} {lines:?} {:?} {}", life.asked, life.epoch);
        let place = *self.known.entry(key).or_insert(self.lives.len());
        if place == self.lives.len() {
            self.lives.push(life);
        }
        Ok(Done { driver: place, ..done })
    }

    fn start(&self, life: &Life) -> Result<Running, String> {
        let mut sweep = Sweep::new(self.spec.clone());
        let mut kept = Kept::default();
        for record in life.read.iter() {
            let mut actions = vec![];
            sweep.admit(&record.event).map_err(|why| format!("a replay refuses line {}: {why}", record.seq))?;
            sweep.apply(record.at, &record.event, &mut actions);
            kept.replayed(&record.event, &actions, &sweep);
        }
        let pages = Arc::new(Mutex::new(life.read.to_vec()));
        let parts = Parts {
            sweep,
            journal: Box::new(Paper { epoch: life.epoch, pages: pages.clone() }),
            records: life.read.len() as u64,
            kept,
            store: Box::new(NoStore),
            options: Options::default(),
            closing: Box::new(|| {}),
        };
        let (mut heart, tasks) = Heart::new(parts, NOW);
        heart.begin(NOW);
        let searcher = Box::new(Random::new(self.spec.space.clone(), self.spec.seed));
        Ok(Running { heart, thinker: Thinker::new(searcher, tasks), lines: BTreeMap::new(), pages })
    }

    /// Every judge hears the whole journal of a driver that came to a state by a record by which none had come there.
    fn judge(&self, journal: &[Record], records: u64, sweep: &Sweep) -> Result<(), String> {
        let premises = Premises { spec: self.spec.clone(), faultless: false, heard: true, slots: self.workers, slurm: None };
        let mut panel = Panel::new(&premises);
        journal.iter().try_for_each(|record| panel.record(record)).map_err(|violation| violation.to_string())?;
        panel.settled(NOW, records, sweep).map_err(|violation| violation.to_string())
    }
}

/// One input, made durable and acted upon.
fn step(running: &mut Running, told: Option<&Told>) -> Result<Done, String> {
    let Running { heart, thinker, lines, .. } = running;
    let mut said = vec![];
    if let Some(told) = told {
        let input = match told.clone() {
            Told::Joined(hello, session) => {
                let (link, outbox) = Link::new(session, ROOM);
                lines.insert(session, outbox);
                Input::Joined { hello, link }
            }
            Told::Said(worker, session, word) => Input::Said { worker, session, word },
            Told::Leaving(worker, session) => Input::Leaving { worker, session },
            Told::Left(worker, session) => Input::Left { worker, session, why: String::new() },
            Told::Broke(worker, session) => Input::Broke { worker, session },
            Told::Suggested(trial) => Input::Suggested { trial, answer: Ok(values(trial)), cost_us: 1 },
        };
        heart.take(NOW, input).map_err(|fault| fault.to_string())?;
        heart.look_at_the_time(NOW);
    }
    heart.write().and_then(|()| heart.sync()).map_err(|fault| fault.to_string())?;
    heart.perform(NOW);
    let over = heart.outcome(NOW).is_some();
    let mut ended = vec![];
    for (session, outbox) in lines.iter_mut() {
        while let Ok(outgoing) = outbox.try_recv() {
            let Outgoing::Say(message) = outgoing else { return Err(format!("connection {session} is refused")) };
            said.push((*session, Hashed::new(message)));
        }
        if outbox.is_closed() {
            ended.push(*session);
        }
    }
    lines.retain(|session, _| !ended.contains(session));
    let asks = thinker.try_next().unwrap_or_default();
    Ok(Done { driver: 0, said, ended, asks, over })
}

fn values(trial: TrialId) -> Params {
    [("x".to_owned(), Value::Float(f64::from(trial.0) / 10.0))].into()
}
