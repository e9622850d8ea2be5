//! One small world, driven by hand or by chance. Each scenario ends with every invariant checked.
use std::collections::BTreeMap;

use super::*;
use crate::schedule::{Ladder, SchedulerSpec};
use crate::space::{Domain, Fold, Parameter};
use crate::{Attempt, Goal, Loss, Metrics, Millis, Params, Resource, Seed, Seq, Space, Value};

mod absurd;
mod allocation;
mod chance;
mod doubt;
mod explain;
mod hours;
mod rounds;
mod scenarios;
mod silence;
mod swift;

const ONE: WorkerId = WorkerId(1 << 96);
const TWO: WorkerId = WorkerId(2 << 96);
const THREE: WorkerId = WorkerId(3 << 96);

fn spec(max_trials: u32) -> SweepSpec {
    let x = Parameter {
        name: "x".to_owned(),
        domain: Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None },
        when: BTreeMap::new(),
    };
    SweepSpec {
        name: "test".to_owned(),
        seed: Seed(7),
        metric: "loss".to_owned(),
        goal: Goal::Minimize,
        space: Space::new(vec![x]).unwrap(),
        scheduler: SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(1), Resource(9), 3).unwrap() },
        budget: Budget { max_trials: Some(max_trials), ..Budget::default() },
        patience: Patience { retries: 1, lost_max: 2 },
    }
}

fn params(x: f64) -> Params {
    [("x".to_owned(), Value::Float(x))].into()
}

/// Keeps what the sweep asked for, and answers as a well-behaved world would.
struct World {
    sweep: Sweep,
    at: u64,
    history: Vec<(Stamp, Event)>,
    leases: BTreeMap<TrialId, (Lease, Seq)>,
    asked: Vec<TrialId>,
    /// What workers say of how long after its lease the next word's matter was.
    after: Option<Millis>,
    out: Vec<Action>,
}

impl World {
    fn new(spec: SweepSpec) -> Self {
        let mut world =
            Self { sweep: Sweep::new(spec), at: 0, history: vec![], leases: BTreeMap::new(), asked: vec![], after: None, out: vec![] };
        world.say(Event::DriverStarted { epoch: 1 });
        world
    }

    /// Ten milliseconds later, `event` happens. Returns the decisions in words.
    fn say(&mut self, event: Event) -> Vec<String> {
        self.at += 10;
        assert_eq!(self.sweep.admit(&event), Ok(()), "{event:?}");
        self.out.clear();
        self.sweep.apply(Stamp(self.at), &event, &mut self.out);
        self.sweep.check();
        self.history.push((Stamp(self.at), event));
        for action in &self.out {
            match action {
                Action::Suggest { trial } => self.asked.push(*trial),
                Action::Lease(lease) => {
                    self.leases.insert(lease.trial, (lease.clone(), Seq(0)));
                }
                _ => {}
            }
        }
        self.out.iter().filter(|action| action.is_decision()).map(ToString::to_string).collect()
    }

    fn join(&mut self, worker: WorkerId, slots: u16, holds: Vec<Held>) -> Vec<String> {
        let slots = (0..slots).map(|index| Slot { name: format!("cpu {index}"), milli_gpus: 0 }).collect();
        self.say(Event::WorkerJoined { worker, name: "host".to_owned(), slots, holds, allocation: None, leaving: false })
    }

    /// A worker of one slot in a task that began `ago` and ends in `left` milliseconds.
    fn join_task(&mut self, worker: WorkerId, ago: u64, left: u64, holds: Vec<Held>) -> Vec<String> {
        let slots = vec![Slot { name: "cpu".to_owned(), milli_gpus: 0 }];
        let allocation = Allocation { job: "14_3".to_owned(), node: "n1".to_owned(), started_ms_ago: ago, ends_in_ms: Some(left) };
        self.say(Event::WorkerJoined { worker, name: "host".to_owned(), slots, holds, allocation: Some(allocation), leaving: false })
    }

    fn suggest_all(&mut self) -> Vec<String> {
        let mut said = vec![];
        while !self.asked.is_empty() {
            let trial = self.asked.remove(0);
            said.extend(self.say(Event::Suggested { trial, params: params(0.5), cost_us: 3 }));
        }
        said
    }

    fn word(&mut self, trial: u32, make: impl FnOnce(TrialId, Attempt, Seq) -> Event) -> Vec<String> {
        let id = TrialId(trial);
        let (lease, seq) = self.leases.get_mut(&id).unwrap();
        seq.0 += 1;
        let mut event = make(id, lease.attempt, *seq);
        if let Event::Reported { after_ms, .. } | Event::Reached { after_ms, .. } | Event::Ended { after_ms, .. } = &mut event {
            *after_ms = self.after;
        }
        self.say(event)
    }

    fn report(&mut self, trial: u32, resource: u32, loss: f64) -> Vec<String> {
        let metrics: Metrics = [("loss".to_owned(), loss)].into_iter().collect();
        self.word(trial, |trial, attempt, seq| Event::Reported {
            trial,
            attempt,
            seq,
            after_ms: None,
            resource: Resource(resource),
            loss: Loss::new(loss),
            metrics,
        })
    }

    fn finish_lease(&mut self, trial: u32, loss: f64) -> Vec<String> {
        let lease = self.leases[&TrialId(trial)].0.clone();
        for resource in lease.from.0 + 1..=lease.until.0 {
            self.report(trial, resource, loss);
        }
        let checkpoint = Some(checkpoint(trial, lease.until.0));
        let said = self.word(trial, |trial, attempt, seq| Event::Reached {
            trial,
            attempt,
            seq,
            after_ms: None,
            resource: lease.until,
            checkpoint,
        });
        if self.leases[&TrialId(trial)].0 == lease {
            self.leases.remove(&TrialId(trial));
        }
        said
    }

    fn state(&self, trial: u32) -> State {
        self.sweep.trial(TrialId(trial)).unwrap().state
    }
}

fn checkpoint(trial: u32, resource: u32) -> Checkpoint {
    Checkpoint { id: format!("{trial:04}-{resource:03}"), resource: Resource(resource), bytes: 10, wrote_ms: 1 }
}
