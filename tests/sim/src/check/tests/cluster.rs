//! A cluster without engine, wire and sessions: chance says what happens, the sweep decides, and all is told to whoever listens.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::schedule::{Anchor, Brackets, Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::event::{Checkpoint, End, FailureKind, Held, Slot};
use hpo_core::sweep::spec::{Budget, Patience};
use hpo_core::{Action, Event, Goal, Lease, Loss, Metrics, Resource, Seed, Seq, Space, Stamp, Sweep, SweepSpec, TrialId, Value, WorkerId};
use hpo_driver::journal::{Record, decisions};
use rand::Rng;
use rand::rngs::ChaCha8Rng;

use crate::check::{Fact, Judge, Last, Premises, Violation};

/// What a judge is told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Record(Record),
    Fact(Stamp, Fact),
    End(Last),
}

/// Tells a whole history.
pub(super) fn tell(judge: &mut dyn Judge, history: &[Told]) -> Result<(), Violation> {
    history.iter().try_for_each(|told| match told {
        Told::Record(record) => judge.record(record),
        Told::Fact(at, fact) => judge.fact(*at, fact),
        Told::End(last) => judge.end(last),
    })
}

pub(super) fn schedulers() -> Vec<SchedulerSpec> {
    let ladder = Ladder::new(Resource(1), Resource(9), 3).unwrap();
    let halves = Ladder::anchored(Anchor::Top, Resource(1), Resource(8), 2).unwrap();
    vec![
        SchedulerSpec::Fifo { ladder: Ladder::single(Resource(4)).unwrap() },
        SchedulerSpec::AshaPromote { ladder: ladder.clone() },
        SchedulerSpec::AshaPromote { ladder: halves.clone() },
        SchedulerSpec::AshaStop { ladder: ladder.clone() },
        SchedulerSpec::Halving { ladder: halves.clone(), bracket: None },
        SchedulerSpec::Halving { ladder: halves.clone(), bracket: Some(5) },
        SchedulerSpec::Hyperband { ladder: halves.clone() },
        SchedulerSpec::HyperbandAsync(Brackets::weighted(ladder.clone(), vec![3, 2, 1]).unwrap()),
        SchedulerSpec::Pasha { ladder: ladder.clone(), epsilon: None },
        SchedulerSpec::Pasha { ladder: halves.clone(), epsilon: Some(0.5) },
        SchedulerSpec::Median { ladder, min_trials: 2 },
        SchedulerSpec::Swift { ladder: halves, decide_at: 0.5, margin: 0.0 },
    ]
}

pub(super) fn spec(scheduler: SchedulerSpec, max_trials: u32) -> SweepSpec {
    let domain = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
    let x = Parameter { name: "x".to_owned(), domain, when: BTreeMap::new() };
    SweepSpec {
        name: "test".to_owned(),
        seed: Seed(7),
        metric: "loss".to_owned(),
        goal: Goal::Minimize,
        space: Space::new(vec![x]).unwrap(),
        scheduler,
        budget: Budget { max_trials: Some(max_trials), ..Budget::default() },
        patience: Patience { retries: 1, lost_max: 2 },
    }
}

struct Run {
    lease: Lease,
    at: u32,
    seq: u32,
    begun: bool,
}

/// Who is there, and what they do.
pub(super) struct Cluster {
    sweep: Sweep,
    rng: ChaCha8Rng,
    at: Stamp,
    records: u64,
    slots: usize,
    /// One fault in so many steps; none at 0.
    faults: u64,
    workers: BTreeMap<WorkerId, BTreeMap<u16, Run>>,
    born: u128,
    asked: Vec<TrialId>,
    store: BTreeMap<String, BTreeSet<TrialId>>,
    over: bool,
    pub(super) history: Vec<Told>,
}

impl Cluster {
    pub(super) fn new(spec: &SweepSpec, seed: u64, slots: usize, faults: u64) -> Self {
        Self {
            sweep: Sweep::new(spec.clone()),
            rng: Seed(seed).rng(),
            at: Stamp(0),
            records: 0,
            slots,
            faults,
            workers: BTreeMap::new(),
            born: 0,
            asked: vec![],
            store: BTreeMap::new(),
            over: false,
            history: vec![],
        }
    }

    pub(super) fn premises(&self) -> Premises {
        let spec = self.sweep.spec().clone();
        Premises { spec, faultless: self.faults == 0, heard: self.faults == 0, slots: self.slots, slurm: None }
    }

    /// Plays to the end.
    pub(super) fn play(mut self) -> Vec<Told> {
        self.say(Event::DriverStarted { epoch: 1 });
        self.birth();
        if self.faults > 0 {
            self.birth();
        }
        for step in 0..4000 {
            if self.over {
                break;
            }
            let fault = self.faults > 0 && step < 600 && self.die(self.faults) == 0;
            if fault { self.fault() } else { self.step() }
        }
        assert!(self.over, "the sweep has not ended");
        let store = self.store.keys().cloned().collect();
        self.history.push(Told::End(Last { at: self.at, store, tasks: 0 }));
        self.history
    }

    fn die(&mut self, sides: u64) -> u64 {
        self.rng.next_u64() % sides
    }

    fn fact(&mut self, fact: Fact) {
        self.history.push(Told::Fact(self.at, fact));
    }

    fn say(&mut self, event: Event) {
        let pause = self.die(20);
        self.at = self.at.plus(pause);
        if self.sweep.admit(&event).is_err() {
            return;
        }
        let mut actions = vec![];
        self.sweep.apply(self.at, &event, &mut actions);
        self.records += 1;
        let acts = decisions(&actions);
        if let Event::Reached { trial, checkpoint: Some(state), .. }
        | Event::Ended { trial, how: End::Preempted { checkpoint: Some(state) }, .. } = &event
        {
            self.store.entry(state.id.clone()).or_default().insert(*trial);
        }
        self.history.push(Told::Record(Record { seq: self.records, at: self.at, event, acts }));
        actions.into_iter().for_each(|action| self.perform(action));
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Suggest { trial } => self.asked.push(trial),
            Action::Lease(lease) => self.lease(lease),
            Action::Stop { worker, held } => self.stop(worker, held),
            Action::CallBack { worker, held } => self.call_back(worker, held),
            Action::Forget { trial, checkpoint } => {
                let holders = self.store.entry(checkpoint.id.clone()).or_default();
                holders.remove(&trial);
                if holders.is_empty() {
                    self.store.remove(&checkpoint.id);
                    self.fact(Fact::Removed { id: checkpoint.id });
                }
            }
            Action::Finish { .. } => self.over = true,
            Action::Tell(_) => {}
        }
    }

    fn lease(&mut self, lease: Lease) {
        let (worker, index) = (lease.slot.worker, lease.slot.index);
        if !self.workers.contains_key(&worker) {
            return;
        }
        let held = Held { trial: lease.trial, attempt: lease.attempt, slot: index };
        self.fact(Fact::LeaseSent { worker, held, from: lease.from, until: lease.until });
        let checkpoint = lease.checkpoint.as_ref().map(|state| state.id.clone()).filter(|_| !lease.in_place);
        self.fact(Fact::TrainingBegan { worker, held, from: lease.from, checkpoint });
        let run = Run { at: lease.from.0, lease, seq: 0, begun: false };
        self.workers.get_mut(&worker).unwrap().insert(index, run);
    }

    fn stop(&mut self, worker: WorkerId, held: Held) {
        let runs = self.workers.get_mut(&worker);
        if runs.and_then(|runs| runs.remove(&held.slot)).is_some() {
            self.fact(Fact::TrainingEnded { worker, held });
        }
    }

    fn call_back(&mut self, worker: WorkerId, held: Held) {
        if self.workers.get(&worker).is_some_and(|runs| runs.contains_key(&held.slot)) {
            self.preempted(worker, held.slot, true);
        }
    }

    fn word(&mut self, worker: WorkerId, slot: u16, ends: bool, make: impl FnOnce(&Lease, Seq) -> Event) {
        let run = self.workers.get_mut(&worker).unwrap().get_mut(&slot).unwrap();
        run.seq += 1;
        let (event, seq) = (make(&run.lease, Seq(run.seq)), run.seq);
        let held = Held { trial: run.lease.trial, attempt: run.lease.attempt, slot };
        if ends {
            self.workers.get_mut(&worker).unwrap().remove(&slot);
            self.fact(Fact::TrainingEnded { worker, held });
        }
        self.say(event);
        self.fact(Fact::Acknowledged { worker, held, seq: Seq(seq) });
    }

    fn state(lease: &Lease, at: u32) -> Checkpoint {
        let id = format!("{:04}{:03}{:03}-state", lease.trial.0, at, lease.attempt.0);
        Checkpoint { id, resource: Resource(at), bytes: 10, wrote_ms: 2 }
    }

    fn preempted(&mut self, worker: WorkerId, slot: u16, saves: bool) {
        let run = &self.workers[&worker][&slot];
        let (at, worth) = (run.at, saves && run.at > run.lease.from.0 && run.at < run.lease.until.0);
        self.word(worker, slot, true, |lease, seq| {
            let checkpoint = worth.then(|| Self::state(lease, at));
            Event::Ended { trial: lease.trial, attempt: lease.attempt, seq, after_ms: None, how: End::Preempted { checkpoint } }
        });
    }

    fn pick(&mut self) -> Option<(WorkerId, u16)> {
        let all: Vec<(WorkerId, u16)> = self.workers.iter().flat_map(|(worker, runs)| runs.keys().map(|slot| (*worker, *slot))).collect();
        let choice = self.die(all.len().max(1) as u64) as usize;
        all.get(choice).copied()
    }

    /// A word, or a suggestion.
    fn step(&mut self) {
        if !self.asked.is_empty() && (self.die(3) == 0 || self.workers.values().all(BTreeMap::is_empty)) {
            let choice = self.die(self.asked.len() as u64) as usize;
            let trial = self.asked.remove(choice);
            let x = f64::from(trial.0 % 11) / 10.0;
            return self.say(Event::Suggested { trial, params: [("x".to_owned(), Value::Float(x))].into(), cost_us: 1 });
        }
        let Some((worker, slot)) = self.pick() else {
            if self.workers.is_empty() {
                self.birth();
            }
            return self.say(Event::Ticked);
        };
        let run = &self.workers[&worker][&slot];
        let (at, until, held) = (run.at, run.lease.until.0, Held { trial: run.lease.trial, attempt: run.lease.attempt, slot });
        if !run.begun {
            self.workers.get_mut(&worker).unwrap().get_mut(&slot).unwrap().begun = true;
            let (startup_ms, restore_ms) = (self.die(4), self.die(3));
            return self.word(worker, slot, false, |lease, seq| Event::Started {
                trial: lease.trial,
                attempt: lease.attempt,
                seq,
                startup_ms,
                restore_ms,
            });
        }
        if at == until {
            return self.word(worker, slot, true, |lease, seq| {
                let checkpoint = Some(Self::state(lease, at));
                Event::Reached { trial: lease.trial, attempt: lease.attempt, seq, after_ms: None, resource: Resource(at), checkpoint }
            });
        }
        self.workers.get_mut(&worker).unwrap().get_mut(&slot).unwrap().at = at + 1;
        self.fact(Fact::Trained { worker, held, resource: Resource(at + 1) });
        let loss = (Seed(11).derive("loss", u64::from(held.trial.0) * 100 + u64::from(at)).0 % 40) as f64 / 8.0;
        self.word(worker, slot, false, |lease, seq| Event::Reported {
            trial: lease.trial,
            attempt: lease.attempt,
            seq,
            after_ms: None,
            resource: Resource(at + 1),
            loss: Loss::new(loss),
            metrics: Metrics::from_iter([("loss".to_owned(), loss)]),
        });
    }

    fn birth(&mut self) {
        self.born += 1;
        let worker = WorkerId(self.born << 96 | 5);
        self.workers.insert(worker, BTreeMap::new());
        self.fact(Fact::WorkerBorn { worker, slots: vec![0; self.slots] });
        self.join(worker);
    }

    fn join(&mut self, worker: WorkerId) {
        let slot = |index: usize| Slot { name: format!("gpu {index}"), milli_gpus: 250 * index as u32 };
        let held = |(slot, run): (&u16, &Run)| Held { trial: run.lease.trial, attempt: run.lease.attempt, slot: *slot };
        let holds = self.workers[&worker].iter().map(held).collect();
        self.say(Event::WorkerJoined {
            worker,
            name: "host".to_owned(),
            slots: (0..self.slots).map(slot).collect(),
            holds,
            allocation: None,
            leaving: false,
        });
    }

    fn dies(&mut self, worker: WorkerId) {
        self.workers.remove(&worker);
        self.fact(Fact::WorkerDied { worker });
    }

    fn fault(&mut self) {
        let choice = self.die(self.workers.len().max(1) as u64) as usize;
        let Some(&worker) = self.workers.keys().nth(choice) else { return self.birth() };
        let slot = self.pick();
        match self.die(12) {
            0 => {
                self.dies(worker);
                self.say(Event::WorkerLost { worker });
            }
            // It lives, and comes back at once.
            1 => {
                self.say(Event::WorkerLost { worker });
                self.join(worker);
            }
            2 => {
                self.dies(worker);
                self.say(Event::WorkerLeft { worker });
            }
            3 if self.workers.len() < 3 => self.birth(),
            4 | 5 => self.restart(),
            6 if self.die(6) == 0 => {
                self.say(Event::DrainAsked);
                self.restart();
            }
            _ => {
                let Some((worker, slot)) = slot else { return };
                self.misfortune(worker, slot);
            }
        }
    }

    fn misfortune(&mut self, worker: WorkerId, slot: u16) {
        let kinds = [FailureKind::NotFinite, FailureKind::Exit, FailureKind::Hang, FailureKind::OutOfMemory];
        let kind = kinds[self.die(4) as usize];
        let reads = self.workers[&worker][&slot].lease.checkpoint.clone();
        let message = "why".to_owned();
        let how = match self.die(8) {
            0 | 1 => return self.preempted(worker, slot, false),
            2 | 3 => return self.preempted(worker, slot, true),
            4 => End::Lost,
            5 if reads.is_some() => {
                self.fact(Fact::Damaged { id: reads.unwrap().id });
                End::Failed { kind: FailureKind::Checkpoint, message }
            }
            _ => End::Failed { kind, message },
        };
        self.word(worker, slot, true, |lease, seq| Event::Ended { trial: lease.trial, attempt: lease.attempt, seq, after_ms: None, how });
    }

    /// A new driver; each worker comes back, or is dead.
    fn restart(&mut self) {
        let epoch = self.sweep.driver_epoch() + 1;
        self.at = self.at.plus(500);
        self.asked.clear();
        for owed in self.sweep.owed() {
            self.perform(owed);
        }
        self.say(Event::DriverStarted { epoch });
        let known: Vec<WorkerId> = self.sweep.workers();
        for worker in known {
            if self.die(4) == 0 {
                self.dies(worker);
                self.say(Event::WorkerLost { worker });
            } else if self.workers.contains_key(&worker) {
                self.join(worker);
            }
        }
    }
}
