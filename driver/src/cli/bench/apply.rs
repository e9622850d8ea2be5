//! Events a second through the sweep itself: the cost of one must not grow with the number of trials.
use std::time::Instant;

use hpo_core::schedule::{Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::{Budget, Patience, Slot};
use hpo_core::{Action, Event, Goal, Lease, Loss, Metrics, Params, Resource, Seed, Seq, Space, Stamp, Sweep, SweepSpec, Value, WorkerId};
use serde::Serialize;

/// What one size of sweep cost.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    trials: u32,
    events: u64,
    seconds: f64,
    events_per_second: f64,
    microseconds_per_event: f64,
}

const SLOTS: u16 = 64;

/// Runs a sweep of so many trials to its end, as fast as events can be applied, on 64 slots.
pub(super) fn measure(trials: u32) -> anyhow::Result<Rate> {
    let mut world = World::new(trials)?;
    let begun = Instant::now();
    world.say(&Event::WorkerJoined {
        worker: WorkerId(1),
        name: "bench".to_owned(),
        slots: vec![Slot { name: "cpu core".to_owned(), milli_gpus: 0 }; usize::from(SLOTS)],
        holds: vec![],
        allocation: None,
        leaving: false,
    });
    while let Some(action) = world.todo.pop() {
        match action {
            Action::Suggest { trial } => {
                let x = trial.0.wrapping_mul(2_654_435_761);
                let params: Params = [("x".to_owned(), Value::Float(f64::from(x) / f64::from(u32::MAX)))].into();
                world.say(&Event::Suggested { trial, params, cost_us: 0 });
            }
            Action::Lease(lease) => world.train(&lease),
            _ => {}
        }
    }
    anyhow::ensure!(world.sweep.finished().is_some(), "the sweep did not end");
    let seconds = begun.elapsed().as_secs_f64();
    let events = world.events;
    Ok(Rate { trials, events, seconds, events_per_second: events as f64 / seconds, microseconds_per_event: seconds * 1e6 / events as f64 })
}

struct World {
    sweep: Sweep,
    todo: Vec<Action>,
    events: u64,
}

impl World {
    fn new(trials: u32) -> anyhow::Result<Self> {
        let x = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
        let spec = SweepSpec {
            name: "bench".to_owned(),
            seed: Seed(0),
            metric: "loss".to_owned(),
            goal: Goal::Minimize,
            space: Space::try_from(vec![Parameter { name: "x".to_owned(), domain: x, when: Default::default() }])?,
            scheduler: SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(1), Resource(27), 3)? },
            budget: Budget { max_trials: Some(trials), ..Budget::default() },
            patience: Patience::default(),
        };
        Ok(Self { sweep: Sweep::new(spec), todo: vec![], events: 0 })
    }

    fn say(&mut self, event: &Event) {
        // As the engine does: the door, then the state.
        if self.sweep.admit(event).is_ok() {
            self.events += 1;
            self.sweep.apply(Stamp(self.events), event, &mut self.todo);
        }
    }

    fn train(&mut self, lease: &Lease) {
        let x = lease.params.get("x").and_then(Value::number).unwrap_or_default();
        let (trial, attempt) = (lease.trial, lease.attempt);
        let mut seq = 0;
        let mut next = || {
            seq += 1;
            Seq(seq)
        };
        for resource in lease.from.0 + 1..=lease.until.0 {
            let value = (x - 0.3).abs() + 1.0 / f64::from(resource);
            let metrics: Metrics = [("loss".to_owned(), value)].into_iter().collect();
            self.say(&Event::Reported {
                trial,
                attempt,
                seq: next(),
                after_ms: None,
                resource: Resource(resource),
                loss: Loss::new(value),
                metrics,
            });
        }
        self.say(&Event::Reached { trial, attempt, seq: next(), after_ms: None, resource: lease.until, checkpoint: None });
    }
}
