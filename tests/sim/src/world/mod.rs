//! A whole cluster on one thread: drivers, workers, trainers, network, disk and store under one virtual clock.
mod drivers;
mod eyes;
mod figures;
mod forged;
mod misfortunes;
mod net;
mod slurm;
mod starts;
mod trainers;
mod workers;

use std::collections::BTreeSet;

use hpo_core::sweep::EndReason;
use hpo_core::{Attempt, Stamp, TrialId};
use hpo_driver::journal::{FORMAT, Header, JournalFault, Reader, Record, Replay, VerifyFault, first_line};
use hpo_worker::session::Input;

use crate::chance::Chance;
use crate::check::{Fact, Judge, Last, Violation};
use crate::disk::{Disk, journal};
use crate::heap::Heap;
use crate::setup::Setup;
use crate::store::Store;
use crate::trace::Trace;
use drivers::Driver;
use misfortunes::Misfortune;
use net::Conn;
use slurm::{Due, Slurm};
use trainers::Order;
use workers::Worker;

/// When the sweep was created, by the wall clock of the first driver.
const CREATED_UNIX_MS: u64 = 1_760_000_000_000;
/// A worker without a driver ends after this.
const ORPHAN_MS: u64 = 600_000;
/// Nobody waits so long for an event of the world: more than this many are an endless loop.
const EVENTS_MAX: u64 = 5_000_000;

/// Something to come.
#[derive(Debug)]
enum Coming {
    /// A driver does its next step.
    Driver { driver: usize, turn: u64 },
    /// A driver looks at its claim.
    Beat { driver: usize },
    /// Somebody looks whether a driver is needed.
    Start,
    /// A driver that slept for long deletes what it had decided to.
    Delete { ids: Vec<String> },
    /// The searcher of a driver has an answer.
    Suggest { driver: usize, trial: TrialId },
    /// A worker dials.
    Dial { worker: usize, turn: u64 },
    /// The next packet of a connection arrives.
    Arrive { conn: usize, up: bool },
    /// The door of a driver says on a connection that it lives, whatever its engine does.
    Pulse { conn: usize },
    /// A side of a connection has missed its keep-alives.
    Miss { conn: usize, worker_side: bool },
    /// A worker looks at its clock.
    Tick { worker: usize },
    /// An order comes to a trainer process.
    Order { worker: usize, slot: u16, process: u64, order: Order },
    /// A trainer process comes to its next step.
    Train { worker: usize, slot: u16, process: u64, turn: u64 },
    /// A worker hears what a trainer said.
    Hear { worker: usize, slot: u16 },
    /// Something that a worker was waiting for is there.
    Done { worker: usize, input: Box<Input> },
    /// Somebody looks whether a worker is needed.
    Employ,
    /// A machine is taken away.
    Doom { worker: usize },
    /// Proof of a worker's death comes to the driver.
    Proof { worker: usize },
    /// Something goes wrong.
    Misfortune(Misfortune),
    /// Nothing goes wrong any more.
    Heal,
    /// Something of Slurm.
    Slurm(Due),
}

/// How a world ended as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sweep ended.
    Finished(EndReason),
    /// A bit of the journal was turned, and the next driver said so and in which line.
    Refused,
}

/// What became of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// When.
    pub at: Stamp,
    /// Things that happened.
    pub events: u64,
    /// Drivers that began.
    pub drivers: usize,
    /// Workers that began.
    pub workers: usize,
    /// The journal.
    pub journal: Vec<u8>,
    /// One number for all that happened.
    pub trace: u64,
}

/// A promise that was broken.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing is to come, and the sweep has not ended.
    #[error("nothing is to come any more, and the sweep has not ended")]
    Stalled,
    /// The healed world does not come to its end.
    #[error("{left} at {now}; it was to be so within {bound_ms} ms from {since}")]
    Endless {
        /// What is not done.
        left: &'static str,
        /// When it was healed, or the sweep ended.
        since: Stamp,
        /// Now.
        now: Stamp,
        /// How long it may take.
        bound_ms: u64,
    },
    /// A record was durable and acted upon, and a later driver does not find it.
    #[error("of the journal's first {safe} bytes, all of which were durable, some are gone or changed")]
    Lost {
        /// Bytes that were durable.
        safe: usize,
    },
    /// The journal cannot be read, and it was not the disk that changed it.
    #[error("the journal that only drivers wrote cannot be read: {0}")]
    Unreadable(#[source] JournalFault),
    /// A turned bit was not found where it is.
    #[error("a bit was turned in line {flipped}, and the next driver says: {said}")]
    Overlooked {
        /// Where it was turned.
        flipped: u64,
        /// What the driver made of it.
        said: String,
    },
    /// The journal says something else than what is decided on its events.
    #[error(transparent)]
    Unverified(#[from] VerifyFault),
    /// The world, which has eyes everywhere, saw something that must not be.
    #[error("{0}")]
    Senseless(String),
    /// A judge has found something.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// The cluster.
pub struct World {
    setup: Setup,
    job: String,
    header: Header,
    chance: Box<dyn Chance>,
    judges: Vec<Box<dyn Judge>>,
    trace: Trace,
    now: Stamp,
    heap: Heap<Coming>,
    disk: Disk,
    store: Store,
    drivers: Vec<Driver>,
    /// The driver that the rendezvous file names.
    rendezvous: Option<usize>,
    workers: Vec<Worker>,
    conns: Vec<Conn>,
    /// Where workers are its tasks.
    slurm: Option<Slurm>,
    healed: Option<Stamp>,
    /// When it was healed or the sweep ended, whatever came last.
    last_change: Option<Stamp>,
    /// The end of the sweep, once a driver has gone home with it.
    end: Option<End>,
    /// The journal as far as it was ever durable by the word of a driver.
    safe: Vec<u8>,
    /// The line in which a bit was turned.
    flipped: Option<u64>,
    /// How far the wall clock of the next driver is off, in milliseconds.
    wall_off: i64,
    /// Attempts whose trainer, program or state the world made fail.
    blamed: BTreeSet<(TrialId, Attempt)>,
    /// A searcher has answered with values that are no point of the space.
    strayed: bool,
    /// Units that were trained.
    trained: BTreeSet<(TrialId, u32)>,
    failure: Option<Failure>,
}

impl World {
    /// A world in which nothing has happened.
    ///
    /// # Panics
    /// If the setup has no JSON: a fault of the simulator.
    #[must_use]
    pub fn new(setup: Setup, chance: Box<dyn Chance>, judges: Vec<Box<dyn Judge>>, print: bool) -> Self {
        let header = Header {
            format: FORMAT,
            sweep: "0123456789abcdef0123456789abcdef".to_owned(),
            created_unix_ms: CREATED_UNIX_MS,
            version: "sim".to_owned(),
            spec: setup.spec.clone(),
            searcher: "random".to_owned(),
            sweep_toml: "00".repeat(32),
            seed: setup.spec.seed,
        };
        let line = first_line(journal(), &header).unwrap_or_else(|fault| panic!("{fault}"));
        let job = serde_json::to_string(&setup.job()).unwrap_or_else(|fault| panic!("{fault}"));
        let mut world = Self {
            job,
            header,
            chance,
            judges,
            trace: Trace::new(print),
            now: Stamp(0),
            heap: Heap::default(),
            disk: Disk::new(line.clone()),
            store: Store::default(),
            drivers: vec![],
            rendezvous: None,
            workers: vec![],
            conns: vec![],
            slurm: setup.slurm.clone().map(Slurm::new),
            healed: None,
            last_change: None,
            end: None,
            safe: line,
            flipped: None,
            wall_off: 0,
            blamed: BTreeSet::new(),
            strayed: false,
            trained: BTreeSet::new(),
            failure: None,
            setup,
        };
        world.heap.push(Stamp(0), Coming::Start);
        world.heap.push(Stamp(0), Coming::Employ);
        world.heap.push(Stamp(world.setup.safety_ms), Coming::Heal);
        world.spoil_node();
        if world.setup.slurm.as_ref().is_some_and(|slurm| slurm.driver_is_job) {
            world.due(Stamp(0), Due::People);
        }
        world.expect_misfortunes();
        world
    }

    /// Lives to the end.
    ///
    /// # Errors
    /// If a promise is broken.
    pub fn run(mut self) -> Result<Report, Failure> {
        let mut events = 0;
        while !self.is_over() {
            let (at, what) = self.heap.pop(self.chance.as_mut()).ok_or(Failure::Stalled)?;
            events += 1;
            self.now = at;
            self.happen(what);
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if let Some(since) = self.last_change
                && (self.now > since.plus(self.patience_ms()) || events > EVENTS_MAX)
            {
                let left = if self.end.is_none() { "the sweep has not ended" } else { "a worker is still there" };
                return Err(Failure::Endless { left, since, now: self.now, bound_ms: self.patience_ms() });
            }
        }
        self.close(events)
    }

    /// How long the healed world may take: to the end of the sweep, and from there until the last worker has understood. A
    /// worker that no driver ever welcomed waits for one as long as it is told to.
    fn patience_ms(&self) -> u64 {
        if self.end.is_none() { self.setup.bound_ms() } else { ORPHAN_MS + self.setup.bound_ms() }
    }

    fn is_over(&self) -> bool {
        match self.end {
            Some(End::Refused) => true,
            Some(End::Finished(_)) => {
                let kept = self.slurm.as_ref().is_some_and(Slurm::is_kept);
                !kept && self.workers.iter().all(|worker| !worker.alive)
            }
            None => false,
        }
    }

    fn happen(&mut self, what: Coming) {
        match what {
            Coming::Driver { driver, turn } => self.driver_turn(driver, turn),
            Coming::Beat { driver } => self.beat(driver),
            Coming::Start => self.start_if_needed(),
            Coming::Delete { ids } => self.delete_late(&ids),
            Coming::Suggest { driver, trial } => self.suggest(driver, trial),
            Coming::Dial { worker, turn } => self.dial(worker, turn),
            Coming::Arrive { conn, up } => self.arrive(conn, up),
            Coming::Pulse { conn } => self.pulse(conn),
            Coming::Miss { conn, worker_side } => self.miss(conn, worker_side),
            Coming::Tick { worker } => self.tick(worker),
            Coming::Order { worker, slot, process, order } => self.order(worker, slot, process, order),
            Coming::Train { worker, slot, process, turn } => self.train(worker, slot, process, turn),
            Coming::Hear { worker, slot } => self.hear(worker, slot),
            Coming::Done { worker, input } => self.done(worker, input),
            Coming::Employ => self.employ(),
            Coming::Doom { worker } => self.bury(worker, "its machine is taken away"),
            Coming::Proof { worker } => self.prove_death(worker),
            Coming::Misfortune(which) => self.strike(which),
            Coming::Heal => self.heal(),
            Coming::Slurm(due) => self.slurm_happens(due),
        }
    }

    /// The end: what was promised for it is looked at.
    fn close(mut self, events: u64) -> Result<Report, Failure> {
        let journal = self.disk.bytes();
        let end = self.end.unwrap_or(End::Refused);
        if let End::Finished(_) = end {
            if !journal.starts_with(&self.safe) {
                return Err(Failure::Lost { safe: self.safe.len() });
            }
            Replay::of(Reader::of(self::journal(), journal.as_slice()).map_err(Failure::Unreadable)?).verify()?;
            let last = Last { at: self.now, store: self.store.all(), tasks: self.slurm.as_ref().map_or(0, Slurm::left) };
            for judge in &mut self.judges {
                judge.end(&last)?;
            }
        }
        let (drivers, workers) = (self.drivers.len(), self.workers.len());
        Ok(Report { end, at: self.now, events, drivers, workers, journal, trace: self.trace.hash() })
    }

    /// Something is durable by the word of a driver, and may be acted upon.
    fn is_durable(&mut self, tail: &[u8]) {
        self.safe.extend_from_slice(tail);
        for line in tail.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = match Record::read(line) {
                Ok(record) => record,
                Err(why) => return self.fail(format!("a durable line is no record: {why}")),
            };
            self.note(format_args!("  journal {} {}", record.seq, record.acts.join("; ")));
            self.look_at_loss(&record);
            self.look_at_failure(&record);
            for judge in &mut self.judges {
                if let Err(violation) = judge.record(&record) {
                    self.failure.get_or_insert(violation.into());
                }
            }
        }
    }

    /// Something really happened.
    fn fact(&mut self, fact: &Fact) {
        self.trace.say(self.now, format_args!("  {fact:?}"));
        self.judge(fact);
    }

    fn judge(&mut self, fact: &Fact) {
        for judge in &mut self.judges {
            if let Err(violation) = judge.fact(self.now, fact) {
                self.failure.get_or_insert(violation.into());
            }
        }
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        self.trace.say(self.now, line);
    }

    fn fail(&mut self, what: String) {
        self.failure.get_or_insert(Failure::Senseless(what));
    }

    /// The moment after a wait.
    fn after(&mut self, what: &'static str, span: crate::setup::Span) -> Stamp {
        self.now.plus(self.chance.between(what, span))
    }
}
