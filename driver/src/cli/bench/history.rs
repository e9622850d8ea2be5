//! The journal of a sweep that never was: the real sweep, the real searcher and the real writer, in a world where epochs
//! take a second or so. Equal numbers of events give equal journals, but for the stamps of their making.
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use hpo_core::sweep::event::{Checkpoint, Slot};
use hpo_core::{Action, Event, Goal, Lease, Metrics, Millis, Resource, Seq, SlotId, Stamp, Sweep, WorkerId};
use hpo_driver::config::{self, Checked};
use hpo_driver::engine::SweepFile;
use hpo_driver::journal::{FORMAT, Fence, Header, Journal, Record, Writer, decisions};
use hpo_driver::rendezvous::create_token;
use hpo_driver::rundir::RunDir;
use hpo_searchers::Searcher;

/// All but the scheduler of the sweeps that are measured. Seven parameters, as those of LCBench; the program is never run.
pub(super) const SWEEP: &str = r#"[sweep]
name = "bench"
metric = "loss"
max_trials = 10_000_000

[space]
batch_size    = { log_int = [16, 512] }
learning_rate = { log_uniform = [1e-4, 1e-1] }
momentum      = { uniform = [0.1, 0.99] }
weight_decay  = { uniform = [1e-5, 1e-1] }
num_layers    = { int = [1, 5] }
max_units     = { log_int = [64, 1024] }
max_dropout   = { uniform = [0.0, 1.0] }

[trial]
kind = "command"
command = ["true"]
"#;

const SCHEDULER: &str = "[scheduler]\nkind = \"asha-promote\"\nmin_resource = 3\nmax_resource = 81\neta = 3\n";
/// Workers of one slot each.
const WORKERS: u128 = 100;
/// Records that are written in one piece.
const BATCH: usize = 1024;

/// A worker that the journal knows, and that holds a lease at its end.
pub(super) const SOMEONE: WorkerId = WorkerId(1 << 96);

/// Makes a run folder whose driver died after so many events.
pub(super) fn write(run: &RunDir, events: u64) -> anyhow::Result<()> {
    fs::create_dir(run.path())?;
    let text = format!("{SWEEP}\n{SCHEDULER}");
    fs::write(run.sweep_toml(), &text)?;
    create_token(run)?;
    let checked = config::check_text(&text, &run.sweep_toml(), &|_| None)?;
    // So long ago that none of its stamps lies in the future.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let mut world = World::new(&checked, run, Millis::try_from(now.as_millis())?.saturating_sub(events * 1000), events)?;
    world.live()
}

struct World {
    sweep: Sweep,
    searcher: Box<dyn Searcher>,
    writer: Writer,
    now: Stamp,
    events: u64,
    written: u64,
    records: Vec<Record>,
    due: VecDeque<Action>,
    /// What workers will say next, by time.
    agenda: BinaryHeap<Reverse<(Stamp, u64)>>,
    running: Vec<Option<Running>>,
}

/// The attempt on a slot.
struct Running {
    lease: Lease,
    seq: u32,
    resource: u32,
}

impl World {
    fn new(checked: &Checked, run: &RunDir, created_unix_ms: u64, events: u64) -> anyhow::Result<Self> {
        let SweepFile { spec, searcher, .. } = SweepFile::from(checked);
        let header = Header {
            format: FORMAT,
            sweep: format!("{events:032x}"),
            created_unix_ms,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            spec: spec.clone(),
            searcher: searcher.name().to_owned(),
            sweep_toml: blake3::hash(&fs::read(run.sweep_toml())?).to_hex().to_string(),
            seed: spec.seed,
        };
        Ok(Self {
            searcher: hpo_searchers::build(&searcher, &spec.space, spec.seed)?,
            sweep: Sweep::new(spec),
            writer: Writer::create(&run.journal(), &header, Fence::claim(run.path(), 0)?)?,
            now: Stamp(0),
            events,
            written: 0,
            records: vec![],
            due: VecDeque::new(),
            agenda: BinaryHeap::new(),
            running: (0..WORKERS).map(|_| None).collect(),
        })
    }

    fn live(&mut self) -> anyhow::Result<()> {
        self.say(Event::DriverStarted { epoch: self.writer.fence().epoch() })?;
        for number in 0..WORKERS {
            let slots = vec![Slot { name: "gpu".to_owned(), milli_gpus: 1000 }];
            let name = format!("node{number}:4711");
            self.say(Event::WorkerJoined {
                worker: WorkerId((number + 1) << 96),
                name,
                slots,
                holds: vec![],
                allocation: None,
                leaving: false,
            })?;
        }
        loop {
            while let Some(action) = self.due.pop_front() {
                self.perform(action)?;
            }
            // Not between a worker's word and what it leads to, so that nobody waits for anything but the driver.
            if self.written >= self.events && self.is_leased(SOMEONE) {
                self.flush()?;
                self.writer.sync()?;
                // This process lives on, but as the driver it is gone.
                self.writer.fence().end();
                return Ok(());
            }
            let Reverse((at, slot)) = self.agenda.pop().context("nobody has anything to do")?;
            self.now = at;
            self.speak(usize::try_from(slot)?)?;
        }
    }

    fn is_leased(&self, worker: WorkerId) -> bool {
        self.running.iter().flatten().any(|running| running.lease.slot.worker == worker)
    }

    fn say(&mut self, event: Event) -> anyhow::Result<()> {
        let admitted = self.sweep.admit(&event);
        ensure!(admitted.is_ok(), "the sweep refuses {event:?}: {admitted:?}");
        let mut actions = vec![];
        self.sweep.apply(self.now, &event, &mut actions);
        self.written += 1;
        self.records.push(Record { seq: self.written, at: self.now, event, acts: decisions(&actions) });
        self.due.extend(actions);
        if self.records.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.writer.append(&self.records)?;
        self.records.clear();
        Ok(())
    }

    fn perform(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Suggest { trial } => {
                let params = self.searcher.suggest(trial)?;
                self.searcher.begin(trial, &params);
                self.say(Event::Suggested { trial, params, cost_us: 20 })
            }
            Action::Tell(seen) => {
                self.searcher.tell(&seen);
                Ok(())
            }
            Action::Lease(lease) => {
                let slot = slot_number(lease.slot)?;
                let resource = lease.from.0;
                self.running[slot] = Some(Running { lease, seq: 0, resource });
                self.later(slot, 200);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn later(&mut self, slot: usize, wait: Millis) {
        self.agenda.push(Reverse((self.now.plus(wait), slot as u64)));
    }

    /// The next word of the attempt on a slot.
    fn speak(&mut self, slot: usize) -> anyhow::Result<()> {
        let Some(running) = &mut self.running[slot] else { return Ok(()) };
        running.seq += 1;
        let (trial, attempt, seq, until) = (running.lease.trial, running.lease.attempt, Seq(running.seq), running.lease.until);
        if running.seq == 1 {
            self.later(slot, epoch(trial.0));
            return self.say(Event::Started { trial, attempt, seq, startup_ms: 190, restore_ms: 10 });
        }
        if running.resource == until.0 {
            self.running[slot] = None;
            // As long as the name of a real one, and no two alike.
            let id = blake3::hash(format!("{trial} {until}").as_bytes()).to_hex().to_string();
            let checkpoint = Some(Checkpoint { id, resource: until, bytes: 4_813_002, wrote_ms: 12 });
            return self.say(Event::Reached { trial, attempt, seq, after_ms: None, resource: until, checkpoint });
        }
        running.resource += 1;
        let resource = Resource(running.resource);
        self.later(slot, if resource == until { 12 } else { epoch(trial.0) });
        let metrics = figures(trial.0, resource.0);
        let loss = Goal::Minimize.loss(metrics.get("loss").unwrap_or(f64::NAN));
        self.say(Event::Reported { trial, attempt, seq, after_ms: None, resource, loss, metrics })
    }
}

fn slot_number(slot: SlotId) -> anyhow::Result<usize> {
    Ok(usize::try_from(slot.worker.0 >> 96)? - 1)
}

/// How long a unit takes.
fn epoch(trial: u32) -> Millis {
    700 + Millis::from(trial.wrapping_mul(2_654_435_761) >> 22)
}

/// Five figures, as a built-in trainer reports them, with all their digits.
fn figures(trial: u32, resource: u32) -> Metrics {
    let floor = f64::from(trial.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    let loss = floor + 1.0 / f64::from(resource);
    let seconds = epoch(trial) as f64 / 1000.3;
    let named = [
        ("loss", loss),
        ("train_loss", loss * 0.93),
        ("accuracy", 1.0 / (1.0 + loss)),
        ("seconds", seconds),
        ("steps_per_second", 80.0 / seconds),
    ];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
