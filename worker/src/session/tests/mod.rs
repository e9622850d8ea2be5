//! Each test gives inputs and names every output: what is not named was not done.
mod away;
mod leases;
mod leaving;
mod limits;
mod trainers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hpo_core::job::{BurnJob, CommandJob, Data, Device, Job, Model, Split, Trainable};
use hpo_core::sweep::event::{Checkpoint, End, FailureKind, Held, Slot};
use hpo_core::{Attempt, Goal, Lease, Metrics, Millis, Params, Resource, Seed, Seq, SlotId, TrialId, WorkerId};
use hpo_wire::{About, Acknowledged, FromDriver, FromWorker, Hello, Welcome, Word};

use super::*;

const WORKER: WorkerId = WorkerId(7);
const GRACE: Millis = 5_000;
const STALL: Millis = 60_000;

/// A session and its clock.
struct Bench {
    session: Session,
    now: Millis,
    /// Of the last word that was sent; what is returned lacks it, for few tests are about it.
    after: Option<Millis>,
}

impl Bench {
    /// Nobody is connected; the first `Connect` was asked for.
    fn new(slots: usize) -> Self {
        let mut bench = Self { session: Session::new(config(slots), Seed(1).rng()), now: 0, after: None };
        let mut out = Vec::new();
        bench.session.begin(0, &mut out);
        assert_eq!(out, [Output::Connect { after_ms: 0 }]);
        bench
    }

    /// Welcomed by the driver of a burn job.
    fn burn(slots: usize) -> Self {
        Self::welcomed(slots, &burn_job())
    }

    /// Welcomed by the driver of a user's program.
    fn command(slots: usize) -> Self {
        Self::welcomed(slots, &command_job())
    }

    fn welcomed(slots: usize, job: &Job) -> Self {
        let mut bench = Self::new(slots);
        bench.on(Input::Connected);
        assert_eq!(bench.on(welcome(job)), []);
        bench
    }

    fn on(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.session.step(self.now, input, &mut out);
        for output in &mut out {
            if let Output::Send(FromWorker::Word(word)) = output {
                self.after = word.after_ms.take();
            }
        }
        out
    }

    fn said(&mut self, slot: u16, said: FromTrainer) -> Vec<Output> {
        self.on(Input::Trainer { slot, event: TrainerEvent::Said(said) })
    }

    fn exited(&mut self, slot: u16, exit: Exit) -> Vec<Output> {
        self.on(Input::Trainer { slot, event: TrainerEvent::Exited(exit) })
    }

    fn ticks(&mut self, millis: Millis) -> Vec<Output> {
        self.now += millis;
        self.on(Input::Tick)
    }

    /// Trial `trial` runs its first attempt on slot 0 from 0 to 3; its trainer reads its standard input.
    fn training(&mut self, trial: u32) -> Held {
        let out = self.on(lease(trial, 1, 0));
        assert!(matches!(out[..], [Output::Spawn { .. } | Output::Write { .. }]), "{out:?}");
        assert_eq!(self.said(0, FromTrainer::Ready), []);
        held(trial, 1, 0)
    }

    /// That trial reports 1, 2, 3 and has reached 3; everything is acknowledged.
    fn reaches(&mut self, trial: u32) {
        for resource in 1..=3 {
            self.said(0, report(resource));
        }
        self.said(0, FromTrainer::Reached { resource: 3, checkpoint: Some(file(trial, 1)), wrote_ms: 4 });
        self.on(Input::Adopted { held: held(trial, 1, 0), outcome: Ok(Some(stored())) });
        assert_eq!(self.on(acknowledged(trial, 1, 4)), []);
    }
}

fn config(slots: usize) -> Config {
    Config {
        worker: WORKER,
        name: "here".to_owned(),
        version: "1".to_owned(),
        slots: vec![Slot { name: "core".to_owned(), milli_gpus: 0 }; slots],
        scratch: PathBuf::from("/run/tmp"),
        retry_cap_ms: 15_000,
        orphan_ms: 600_000,
        farewell_ms: 10_000,
        words_max: 10,
    }
}

fn burn_job() -> Job {
    let data = Data::Glyphs { count: 10, classes: 2, size: 8, noise: 0.0 };
    let split = Split { train: 0.8, validation: 0.1, test: 0.1 };
    job(Trainable::Burn(BurnJob { model: Model::Mlp, device: Device::Cpu, data, split, max_resource: Resource(9) }))
}

fn command_job() -> Job {
    let command = CommandJob { command: vec!["train".to_owned()], directory: "/".into(), env: BTreeMap::new(), metric_pattern: None };
    job(Trainable::Command(command))
}

fn job(trainable: Trainable) -> Job {
    Job { trainable, metric: "loss".to_owned(), goal: Goal::Minimize, stall_ms: STALL, grace_ms: GRACE, seed: Seed(3) }
}

fn welcome(job: &Job) -> Input {
    welcome_to("sweep", job)
}

/// Of a driver that gives a worker up after `lease_ms`; in the other tests that is so long that it never matters.
fn welcome_for(lease_ms: u32, job: &Job) -> Input {
    let job = serde_json::to_string(job).unwrap();
    Input::Driver(FromDriver::Welcome(Welcome { sweep: "sweep".to_owned(), heartbeat_ms: 1_000, lease_ms, job, epoch: 1 }))
}

fn welcome_to(sweep: &str, job: &Job) -> Input {
    welcome_by(1, sweep, job)
}

/// From the driver of this epoch.
fn welcome_by(epoch: u32, sweep: &str, job: &Job) -> Input {
    let job = serde_json::to_string(job).unwrap();
    Input::Driver(FromDriver::Welcome(Welcome { sweep: sweep.to_owned(), heartbeat_ms: 1_000, lease_ms: 100_000_000, job, epoch }))
}

fn held(trial: u32, attempt: u32, slot: u16) -> Held {
    Held { trial: TrialId(trial), attempt: Attempt(attempt), slot }
}

fn a_lease(trial: u32, attempt: u32, slot: u16) -> Lease {
    Lease {
        trial: TrialId(trial),
        attempt: Attempt(attempt),
        slot: SlotId { worker: WORKER, index: slot },
        params: Params::default(),
        from: Resource(0),
        until: Resource(3),
        checkpoint: None,
        seed: Seed(9),
        in_place: false,
    }
}

/// The lease of a promoted trial: from 3 to 9.
fn promoted(trial: u32, attempt: u32, in_place: bool) -> Lease {
    let checkpoint = Some(Checkpoint { id: "ab12".to_owned(), resource: Resource(3), bytes: 100, wrote_ms: 4 });
    Lease { from: Resource(3), until: Resource(9), checkpoint, in_place, ..a_lease(trial, attempt, 0) }
}

fn lease(trial: u32, attempt: u32, slot: u16) -> Input {
    Input::Driver(FromDriver::Lease(a_lease(trial, attempt, slot)))
}

fn start(lease: &Lease, checkpoint: Option<&str>, in_place: bool) -> Start {
    Start {
        trial: lease.trial.0,
        attempt: lease.attempt.0,
        params: lease.params.clone(),
        seed: 9,
        from: lease.from.0,
        until: lease.until.0,
        checkpoint: checkpoint.map(PathBuf::from),
        checkpoint_out: file(lease.trial.0, lease.attempt.0),
        in_place,
    }
}

fn spawn(lease: &Lease, checkpoint: Option<&str>) -> Output {
    Output::Spawn { slot: lease.slot.index, start: Box::new(start(lease, checkpoint, false)) }
}

fn file(trial: u32, attempt: u32) -> PathBuf {
    format!("/run/tmp/trial-{trial}.attempt-{attempt}").into()
}

fn discard(trial: u32, attempt: u32) -> Output {
    Output::Discard { file: file(trial, attempt) }
}

fn stored() -> Stored {
    Stored { id: "ab12".to_owned(), bytes: 100 }
}

fn figures(loss: f64) -> Metrics {
    [("loss".to_owned(), loss)].into_iter().collect()
}

fn report(resource: u32) -> FromTrainer {
    FromTrainer::Report { resource, metrics: figures(0.5) }
}

fn word(trial: u32, attempt: u32, seq: u32, about: About) -> Output {
    Output::Send(FromWorker::Word(Word { trial: TrialId(trial), attempt: Attempt(attempt), seq: Seq(seq), after_ms: None, about }))
}

fn reported(trial: u32, attempt: u32, seq: u32, resource: u32) -> Output {
    word(trial, attempt, seq, About::Reported { resource: Resource(resource), metrics: figures(0.5) })
}

fn ended(trial: u32, attempt: u32, seq: u32, how: End) -> Output {
    word(trial, attempt, seq, About::Ended(how))
}

fn failed(kind: FailureKind, message: &str) -> End {
    End::Failed { kind, message: message.to_owned() }
}

fn acknowledged(trial: u32, attempt: u32, seq: u32) -> Input {
    Input::Driver(FromDriver::Acknowledged(Acknowledged { trial: TrialId(trial), attempt: Attempt(attempt), seq: Seq(seq) }))
}

fn hello(holds: &[Held], sweep: &str, slots: usize) -> Output {
    Output::Send(FromWorker::Hello(Hello {
        protocol: 1,
        worker: WORKER,
        name: "here".to_owned(),
        slots: vec![Slot { name: "core".to_owned(), milli_gpus: 0 }; slots],
        holds: holds.to_vec(),
        sweep: sweep.to_owned(),
        version: "1".to_owned(),
        allocation: None,
        leaving: false,
    }))
}

fn killed() -> Exit {
    Exit { signal: Some(9), ..Exit::default() }
}
