//! A small sweep and a pretended world for it, shared by tests.
use std::collections::VecDeque;

use hpo_core::schedule::{Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::event::{Checkpoint, End, Slot};
use hpo_core::sweep::{Budget, Patience};
use hpo_core::{Action, Event, Goal, Loss, Metrics, Resource, Seed, Seq, Space, Stamp, Sweep, SweepSpec, WorkerId};

use crate::journal::{FORMAT, Header, Record, decisions};

/// `asha-promote` over rungs 1, 3, 9 with so many trials.
pub(crate) fn spec(max_trials: u32) -> SweepSpec {
    let lr = Domain::Float { low: 1e-4, high: 0.1, fold: Fold::Log, step: None };
    let space = Space::new(vec![Parameter { name: "lr".into(), domain: lr, when: [].into() }]).unwrap();
    SweepSpec {
        name: "test".into(),
        seed: Seed(7),
        metric: "val_loss".into(),
        goal: Goal::Minimize,
        space,
        scheduler: SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(1), Resource(9), 3).unwrap() },
        budget: Budget { max_trials: Some(max_trials), ..Budget::default() },
        patience: Patience::default(),
    }
}

pub(crate) fn header(spec: SweepSpec) -> Header {
    Header {
        format: FORMAT,
        sweep: "0123456789abcdef0123456789abcdef".into(),
        created_unix_ms: 1_760_000_000_000,
        version: "0.1.0".into(),
        seed: spec.seed,
        searcher: "random".into(),
        sweep_toml: "af".repeat(32),
        spec,
    }
}

/// The name of a checkpoint that never was.
pub(crate) fn checkpoint(trial: u32, resource: u32) -> Checkpoint {
    let id = format!("{:064x}", u64::from(trial) << 32 | u64::from(resource));
    Checkpoint { id, resource: Resource(resource), bytes: 100, wrote_ms: 3 }
}

/// The loss of a trial at a resource, in this world.
pub(crate) fn figure(trial: u32, resource: u32) -> f64 {
    1.0 / f64::from(resource) + f64::from(trial * 7 % 5) / 10.0
}

/// The whole life of a sweep with two slots, as a driver would write it down.
pub(crate) fn history(spec: &SweepSpec) -> Vec<Record> {
    let mut sweep = Sweep::new(spec.clone());
    let cpu = Slot { name: "cpu core".into(), milli_gpus: 0 };
    let joined = Event::WorkerJoined {
        worker: WorkerId(5),
        name: "w".into(),
        slots: vec![cpu.clone(), cpu],
        holds: vec![],
        allocation: None,
        leaving: false,
    };
    let mut events = VecDeque::from([Event::DriverStarted { epoch: 1 }, joined]);
    let mut records: Vec<Record> = vec![];
    while let Some(event) = events.pop_front() {
        let at = Stamp(records.len() as u64 * 10);
        sweep.admit(&event).unwrap_or_else(|why| panic!("{event:?}: {why}"));
        let mut actions = vec![];
        sweep.apply(at, &event, &mut actions);
        records.push(Record { seq: records.len() as u64 + 1, at, event, acts: decisions(&actions) });
        actions.iter().for_each(|action| react(action, spec, &mut events));
    }
    assert!(sweep.finished().is_some());
    records
}

fn react(action: &Action, spec: &SweepSpec, events: &mut VecDeque<Event>) {
    match action {
        Action::Suggest { trial } => {
            let params = spec.space.from_unit(&[f64::from(trial.0) * 0.37 % 1.0]);
            events.push_back(Event::Suggested { trial: *trial, params, cost_us: 4 });
        }
        Action::Lease(lease) => {
            let (trial, attempt) = (lease.trial, lease.attempt);
            let mut seq = 0;
            let mut next = || {
                seq += 1;
                Seq(seq)
            };
            events.push_back(Event::Started { trial, attempt, seq: next(), startup_ms: 2, restore_ms: 1 });
            for resource in lease.from.0 + 1..=lease.until.0 {
                let value = figure(trial.0, resource);
                let metrics: Metrics = [("val_loss".to_owned(), value)].into_iter().collect();
                let resource = Resource(resource);
                events.push_back(Event::Reported {
                    trial,
                    attempt,
                    seq: next(),
                    after_ms: None,
                    resource,
                    loss: Loss::new(value),
                    metrics,
                });
            }
            let resource = lease.until;
            events.push_back(Event::Reached {
                trial,
                attempt,
                seq: next(),
                after_ms: None,
                resource,
                checkpoint: Some(checkpoint(trial.0, resource.0)),
            });
        }
        Action::CallBack { held, .. } => {
            let how = End::Preempted { checkpoint: None };
            events.push_back(Event::Ended { trial: held.trial, attempt: held.attempt, seq: Seq(u32::MAX), after_ms: None, how });
        }
        Action::Stop { .. } | Action::Forget { .. } | Action::Tell(_) | Action::Finish { .. } => {}
    }
}
