//! A small cluster that answers a sweep as a real one would, on a clock of its own. Everything in it is fixed.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::schedule::{Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::{Budget, Checkpoint, End, FailureKind, Held, Patience, Slot};
use hpo_core::{
    Action, Event, Goal, Lease, Metrics, Params, Resource, Seed, Seq, Space, Stamp, Sweep, SweepSpec, TrialId, Value, WorkerId,
};

use crate::journal::{FORMAT, Header, Record};
use crate::report::{History, Inputs, LiveDriver, ModelCard, Report};

/// 2026-11-18 11:06:40 UTC.
pub(in crate::report) const CREATED: u64 = 1_795_000_000_000;
/// Loss of each trial after one unit; it halves its distance to a third of it with every unit.
const START: [f64; 12] = [1.2, 0.9, 2.4, 0.5, 1.7, 0.8, 3.0, 1.1, 0.6, 2.2, 1.4, 0.7];

pub(in crate::report) fn worker(number: u128) -> WorkerId {
    WorkerId(number << 96)
}

pub(in crate::report) fn spec() -> SweepSpec {
    let parameter = |name: &str, domain| Parameter { name: name.to_owned(), domain, when: BTreeMap::new() };
    let optimizers = ["sgd", "a|b<c>"].map(Value::from).to_vec();
    let space = vec![
        parameter("lr", Domain::Float { low: 1e-4, high: 1e-1, fold: Fold::Log, step: None }),
        parameter("optimizer", Domain::Choice { values: optimizers, ordered: false }),
        parameter("width", Domain::Int { low: 16, high: 128, fold: Fold::Linear, step: 16 }),
    ];
    SweepSpec {
        name: "digits".to_owned(),
        seed: Seed(7),
        metric: "val_loss".to_owned(),
        goal: Goal::Minimize,
        space: Space::new(space).unwrap(),
        scheduler: SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(1), Resource(9), 3).unwrap() },
        budget: Budget { max_trials: Some(12), target: Some(0.169), ..Budget::default() },
        patience: Patience::default(),
    }
}

pub(in crate::report) fn params(trial: u32) -> Params {
    let optimizer = if trial.is_multiple_of(3) { "a|b<c>" } else { "sgd" };
    [
        ("lr".to_owned(), Value::Float(1e-4 * 1.7_f64.powi(trial as i32))),
        ("optimizer".to_owned(), Value::from(optimizer)),
        ("width".to_owned(), Value::Int(16 * (1 + i64::from(trial % 8)))),
    ]
    .into()
}

pub(in crate::report) struct World {
    pub(in crate::report) sweep: Sweep,
    pub(in crate::report) history: History,
    pub(in crate::report) records: Vec<Record>,
    /// What will happen, by time and then in the order of planning.
    plan: BTreeMap<(u64, u32), Event>,
    planned: u32,
    at: u64,
    /// Trials whose loss turns into NaN at the first report.
    pub(in crate::report) broken: BTreeSet<u32>,
    /// Milli-GPUs of each slot.
    pub(in crate::report) milli_gpus: u32,
}

impl World {
    pub(in crate::report) fn new(spec: SweepSpec) -> Self {
        let mut world = Self {
            sweep: Sweep::new(spec),
            history: History::default(),
            records: vec![],
            plan: BTreeMap::new(),
            planned: 0,
            at: 0,
            broken: BTreeSet::new(),
            milli_gpus: 0,
        };
        world.will(10, Event::DriverStarted { epoch: 1 });
        world
    }

    pub(in crate::report) fn will(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.plan.insert((at, self.planned), event);
    }

    pub(in crate::report) fn will_join(&mut self, at: u64, number: u128, name: &str) {
        let slot = Slot { name: "cpu core".to_owned(), milli_gpus: self.milli_gpus };
        self.will(
            at,
            Event::WorkerJoined {
                worker: worker(number),
                name: name.to_owned(),
                slots: vec![slot],
                holds: vec![],
                allocation: None,
                leaving: false,
            },
        );
    }

    /// Everything planned until `end` happens.
    pub(in crate::report) fn run(mut self, end: u64) -> Self {
        while let Some(((at, _), event)) = self.plan.pop_first().filter(|((at, _), _)| *at <= end) {
            if self.sweep.admit(&event).is_err() {
                // A word of an attempt whose worker was lost.
                continue;
            }
            self.at = at;
            let mut actions = vec![];
            self.sweep.apply(Stamp(at), &event, &mut actions);
            self.history.saw(Stamp(at), &event, &self.sweep);
            let acts = crate::journal::decisions(&actions);
            self.records.push(Record { seq: self.records.len() as u64 + 1, at: Stamp(at), event, acts });
            for action in actions {
                self.perform(action);
            }
        }
        self
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Suggest { trial } => self.will(self.at + 2, Event::Suggested { trial, params: params(trial.0), cost_us: 40 }),
            Action::Lease(lease) => self.train(&lease),
            Action::CallBack { held, .. } => self.leave(held),
            _ => {}
        }
    }

    fn train(&mut self, lease: &Lease) {
        let (trial, attempt) = (lease.trial, lease.attempt);
        let startup_ms = if lease.in_place { 5 } else { 400 };
        let restore_ms = if lease.checkpoint.is_some() && !lease.in_place { 60 } else { 0 };
        let mut at = self.at + startup_ms + restore_ms;
        let mut seq = Seq(1);
        self.will(at, Event::Started { trial, attempt, seq, startup_ms, restore_ms });
        for unit in lease.from.0 + 1..=lease.until.0 {
            at += 30_000 + 1_000 * u64::from(trial.0);
            seq.0 += 1;
            let start = START[trial.0 as usize % START.len()];
            let fine = start * (1.0 / 3.0 + 2.0 / 3.0 * 0.5_f64.powi(unit as i32 - 1));
            let metric = if self.broken.contains(&trial.0) { f64::NAN } else { fine };
            let (resource, loss) = (Resource(unit), self.sweep.spec().goal.loss(metric));
            let metrics: Metrics = [("val_loss".to_owned(), metric)].into_iter().collect();
            self.will(at, Event::Reported { trial, attempt, seq, after_ms: None, resource, loss, metrics });
            if metric.is_nan() {
                let how = End::Failed { kind: FailureKind::NotFinite, message: "the loss is not a number\u{1b}[31m <b>".to_owned() };
                seq.0 += 1;
                self.will(at + 1, Event::Ended { trial, attempt, seq, after_ms: None, how });
                return;
            }
        }
        seq.0 += 1;
        let checkpoint = Some(checkpoint(trial, lease.until));
        self.will(at + 40, Event::Reached { trial, attempt, seq, after_ms: None, resource: lease.until, checkpoint });
    }

    /// The attempt writes its state at its next report and leaves.
    fn leave(&mut self, held: Held) {
        let of = |event: &Event| event.about().is_some_and(|(trial, attempt, _)| (trial, attempt) == (held.trial, held.attempt));
        let next = self.plan.iter().find(|(_, event)| of(event) && matches!(event, Event::Reported { .. }));
        let Some((&when, &Event::Reported { trial, attempt, seq, resource, .. })) = next else { return };
        self.plan.retain(|at, event| *at <= when || !of(event));
        let checkpoint = Some(checkpoint(trial, resource));
        self.will(when.0 + 40, Event::Ended { trial, attempt, seq: Seq(seq.0 + 1), after_ms: None, how: End::Preempted { checkpoint } });
    }

    pub(in crate::report) fn header(&self) -> Header {
        Header {
            format: FORMAT,
            sweep: "0123456789abcdef0123456789abcdef".to_owned(),
            created_unix_ms: CREATED,
            version: "0.1.0".to_owned(),
            spec: self.sweep.spec().clone(),
            searcher: "random".to_owned(),
            sweep_toml: "af".repeat(32),
            seed: self.sweep.spec().seed,
        }
    }

    pub(in crate::report) fn report(self, cards: Vec<ModelCard>, inputs: &Inputs) -> Report {
        Report::new(self.header(), self.sweep, self.history, cards, inputs)
    }
}

fn checkpoint(trial: TrialId, resource: Resource) -> Checkpoint {
    Checkpoint { id: format!("{trial:0>60}.{:03}", resource.0), resource, bytes: 1000, wrote_ms: 35 }
}

/// Two workers, one of which is lost and replaced, and a trial that diverges; to its end.
pub(in crate::report) fn whole() -> World {
    let mut world = World::new(spec());
    world.broken.insert(4);
    world.will_join(1_000, 1, "node1-100");
    world.will_join(1_500, 2, "node2-200");
    world.will(250_000, Event::WorkerLost { worker: worker(2) });
    world.will_join(262_000, 3, "node3-300");
    world.run(u64::MAX)
}

/// A driver that lives `ms` after the creation of the sweep.
pub(in crate::report) fn alive(ms: u64) -> Inputs {
    Inputs { price: None, driver: Some(LiveDriver { unix_ms: CREATED + ms, addresses: vec!["192.0.2.7:4100".to_owned()] }) }
}
