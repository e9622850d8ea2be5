//! The worker's session between a driver and trainers that may say anything, at any time.
use std::collections::BTreeMap;
use std::path::PathBuf;

use arbitrary::{Result, Unstructured};
use hpo_core::job::{CommandJob, CurveSource, CurvesJob, Job, TabularJob, Trainable};
use hpo_core::sweep::event::{End, FailureKind, Held, Slot};
use hpo_core::{Attempt, Goal, Lease, Metrics, Millis, Resource, Seed, Seq, SlotId, TrialId, WorkerId};
use hpo_wire::{About, Acknowledged, FromDriver, FromWorker, Welcome, from_driver, pb};
use hpo_worker::checkpoint::Stored;
use hpo_worker::session::{Config, Exit, Input, Output, Session, SpawnFailure, StoreFailure, TrainerEvent};
use hpo_worker::trainer::lines::Line;
use hpo_worker::trainer::protocol::FromTrainer;
use prost::Message;

use super::wire::checkpoint;
use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "session", run, examples, found: &[], words: &["\u{0}\u{0}\u{0}\u{0}", "\u{1}\u{1}\u{1}"], bytes_per_byte: 8192 };

const WORKER: WorkerId = WorkerId(7);
const SLOTS: u16 = 3;
const WORDS_MAX: usize = 8;
/// More inputs than this are another input.
const STEPS: usize = 2000;

fn examples() -> Vec<Vec<u8>> {
    use rand::Rng;
    let noise = |seed: u64| {
        let mut bytes = vec![0; 600];
        Seed(seed).rng().fill_bytes(&mut bytes);
        bytes
    };
    (100..112).map(noise).collect()
}

fn job(u: &mut Unstructured<'_>) -> Result<Job> {
    let pattern = u.arbitrary::<bool>()?.then(|| "loss=(.*)".to_owned());
    let command = CommandJob { command: vec!["train".into()], directory: "/".into(), env: BTreeMap::new(), metric_pattern: pattern };
    let table = CurveSource::Tabular(TabularJob { csv: "/x.csv".into(), curve: "loss_".into(), cost: None });
    let curves = CurvesJob { source: table, max_resource: Resource(9), pace: 0.0 };
    let trainable = if u.arbitrary()? { Trainable::Command(command) } else { Trainable::Curves(curves) };
    let limit = |u: &mut Unstructured<'_>| -> Result<Millis> { if u.ratio(1, 8)? { u.arbitrary() } else { Ok(5000) } };
    Ok(Job { trainable, metric: "loss".into(), goal: Goal::Minimize, stall_ms: limit(u)?, grace_ms: limit(u)?, seed: Seed(1) })
}

fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let config = Config {
        worker: WORKER,
        name: "here".into(),
        version: "1".into(),
        slots: vec![Slot { name: "core".into(), milli_gpus: 0 }; SLOTS.into()],
        scratch: PathBuf::from("/run/tmp"),
        retry_cap_ms: 15_000,
        orphan_ms: 600_000,
        farewell_ms: 10_000,
        words_max: WORDS_MAX,
    };
    let mut out = vec![];
    let mut world =
        World { session: Session::new(config, Seed(1).rng()), now: 0, held: vec![], file: BTreeMap::new(), said: BTreeMap::new() };
    world.session.begin(0, &mut out);
    for _ in 0..STEPS {
        // The bytes are at an end.
        let Ok(input) = world.input(&mut u) else { return };
        out.clear();
        world.session.step(world.now, input, &mut out);
        if world.look_at(&out) {
            out.clear();
            world.session.step(world.now, Input::Tick, &mut out);
            assert_eq!(out, [], "after its end it does nothing");
            return;
        }
        if u.is_empty() {
            return;
        }
    }
}

struct World {
    session: Session,
    now: Millis,
    held: Vec<Held>,
    file: BTreeMap<u16, PathBuf>,
    said: BTreeMap<(TrialId, Attempt), Seq>,
}

impl World {
    /// Whether it has ended.
    fn look_at(&mut self, out: &[Output]) -> bool {
        assert!(out.len() < 20_000, "{} outputs for one input", out.len());
        for output in out {
            match output {
                Output::Send(FromWorker::Word(word)) => {
                    // An attempt that is leased again after its end is refused above all that was said of its trial.
                    let of_trial = (word.trial, Attempt(0))..=(word.trial, Attempt(u32::MAX));
                    let highest = self.said.range(of_trial).map(|(_, seq)| seq.0).max().unwrap_or(0);
                    let refused = matches!(word.about, About::Ended(End::Preempted { checkpoint: None }));
                    let last = self.said.entry((word.trial, word.attempt)).or_default();
                    let next = if refused { highest + 1 } else { last.0 + 1 };
                    assert!(word.seq.0 <= next, "words are numbered one after another: {word:?} after {last}");
                    *last = word.seq.max(*last);
                    pb::FromWorker::from(FromWorker::Word(word.clone())).encode_to_vec();
                }
                Output::Spawn { slot, start } => {
                    assert!(*slot < SLOTS);
                    self.file.insert(*slot, start.checkpoint_out.clone());
                }
                Output::Write { slot, .. } | Output::Kill { slot } | Output::Terminate { slot } | Output::Pause { slot, .. } => {
                    assert!(*slot < SLOTS);
                }
                _ => {}
            }
        }
        out.iter().any(|output| matches!(output, Output::Exit(_)))
    }

    fn input(&mut self, u: &mut Unstructured<'_>) -> Result<Input> {
        let wait = if u.ratio(1, 64)? { u.arbitrary()? } else { u.int_in_range(0..=3000)? };
        self.now = self.now.saturating_add(wait);
        Ok(match u.int_in_range(0..=19)? {
            0 => Input::Disconnected,
            1 => Input::Connected,
            2 => Input::Tick,
            3 if u.ratio(1, 8)? => Input::Notice,
            3 => Input::NoDriver,
            4 => Input::Restored { held: self.attempt(u)?, outcome: if u.arbitrary()? { Ok("/state".into()) } else { Err(failure(u)?) } },
            5 => Input::Adopted { held: self.attempt(u)?, outcome: adopted(u)? },
            6..=8 => Input::Driver(self.driver(u)?),
            9 => Input::Driver(FromDriver::Welcome(self.welcome(u)?)),
            10 => match pb::FromDriver::decode(u.bytes(u.len().min(96))?).map(|message| from_driver(message, WORKER)) {
                Ok(Ok(said)) => Input::Driver(said),
                _ => Input::Tick,
            },
            _ => self.trainer(u)?,
        })
    }

    fn attempt(&self, u: &mut Unstructured<'_>) -> Result<Held> {
        if self.held.is_empty() || u.ratio(1, 8)? {
            return Ok(Held { trial: TrialId(u.arbitrary()?), attempt: Attempt(u.arbitrary()?), slot: u.arbitrary()? });
        }
        u.choose(&self.held).copied()
    }

    fn welcome(&self, u: &mut Unstructured<'_>) -> Result<Welcome> {
        let job = if u.ratio(1, 32)? { "{".to_owned() } else { serde_json::to_string(&job(u)?).expect("a job is JSON") };
        let sweep = if u.ratio(1, 32)? { "other" } else { "sweep" };
        Ok(Welcome { sweep: sweep.into(), heartbeat_ms: u.arbitrary()?, lease_ms: u.arbitrary()?, job, epoch: u.arbitrary()? })
    }

    fn driver(&mut self, u: &mut Unstructured<'_>) -> Result<FromDriver> {
        Ok(match u.int_in_range(0..=9)? {
            0 => FromDriver::Stop(self.attempt(u)?),
            1 => FromDriver::CallBack(self.attempt(u)?),
            2 => FromDriver::Heartbeat,
            3 if u.ratio(1, 8)? => FromDriver::Finish { why: "over".into(), resumable: u.arbitrary()? },
            3 | 4 => {
                let Held { trial, attempt, .. } = self.attempt(u)?;
                let seq = Seq(u.int_in_range(0..=20)?);
                // What is acknowledged before it was said is never said.
                let last = self.said.entry((trial, attempt)).or_default();
                *last = seq.max(*last);
                FromDriver::Acknowledged(Acknowledged { trial, attempt, seq })
            }
            _ => FromDriver::Lease(self.lease(u)?),
        })
    }

    fn lease(&mut self, u: &mut Unstructured<'_>) -> Result<Lease> {
        let slot = if u.ratio(1, 16)? { u.arbitrary()? } else { u.int_in_range(0..=SLOTS - 1)? };
        let held = Held { trial: TrialId(u.int_in_range(0..=5)?), attempt: Attempt(u.int_in_range(1..=6)?), slot };
        self.held.push(held);
        let from = if u.ratio(1, 16)? { u.arbitrary()? } else { u.int_in_range(0..=2)? };
        let until = if u.ratio(1, 16)? { u.arbitrary()? } else { 3 };
        Ok(Lease {
            trial: held.trial,
            attempt: held.attempt,
            slot: SlotId { worker: WORKER, index: slot },
            params: [].into(),
            from: Resource(from),
            until: Resource(until),
            checkpoint: u.arbitrary::<bool>()?.then(checkpoint),
            seed: Seed(1),
            in_place: u.arbitrary()?,
        })
    }

    fn trainer(&self, u: &mut Unstructured<'_>) -> Result<Input> {
        let slot = if u.ratio(1, 32)? { u.arbitrary()? } else { u.int_in_range(0..=SLOTS - 1)? };
        let resource = if u.ratio(1, 16)? { u.arbitrary()? } else { u.int_in_range(0..=4)? };
        let own = self.file.get(&slot).cloned();
        let checkpoint = if u.ratio(1, 16)? { Some("/elsewhere".into()) } else { own };
        let metrics: Metrics = [("loss".to_owned(), u.arbitrary()?)].into_iter().collect();
        let said = match u.int_in_range(0..=15)? {
            0 | 1 => FromTrainer::Ready,
            2 => FromTrainer::Started { startup_ms: u.arbitrary()?, restore_ms: u.arbitrary()? },
            3..=6 => FromTrainer::Report { resource, metrics },
            7 | 8 => FromTrainer::Reached { resource, checkpoint, wrote_ms: u.arbitrary()? },
            9 => FromTrainer::Left { resource, checkpoint, wrote_ms: u.arbitrary()? },
            10 => FromTrainer::Stopped,
            11 if u.ratio(1, 4)? => FromTrainer::Unsaved { message: "full".into() },
            11 | 12 => FromTrainer::Failed { kind: FailureKind::NotFinite, message: "nan".into() },
            13 => return Ok(Input::Trainer { slot, event: TrainerEvent::Exited(exit(u)?) }),
            14 => {
                let failure = if u.ratio(1, 4)? { SpawnFailure::Machine("it".into()) } else { SpawnFailure::Job("it".into()) };
                return Ok(Input::Trainer { slot, event: TrainerEvent::NotSpawned(failure) });
            }
            _ => {
                let event = match Line::of(u.bytes(u.len().min(48))?) {
                    Line::Said(said) => TrainerEvent::Said(said),
                    _ => TrainerEvent::Garbled("?".into()),
                };
                return Ok(Input::Trainer { slot, event });
            }
        };
        Ok(Input::Trainer { slot, event: TrainerEvent::Said(said) })
    }
}

fn exit(u: &mut Unstructured<'_>) -> Result<Exit> {
    Ok(Exit { code: u.arbitrary()?, signal: u.arbitrary()?, oom: u.arbitrary()?, tail: "MemoryError".into() })
}

fn failure(u: &mut Unstructured<'_>) -> Result<StoreFailure> {
    Ok(if u.ratio(1, 4)? { StoreFailure::Store("disk".into()) } else { StoreFailure::File("file".into()) })
}

fn adopted(u: &mut Unstructured<'_>) -> Result<std::result::Result<Option<Stored>, StoreFailure>> {
    Ok(match u.int_in_range(0..=3)? {
        0 => Err(failure(u)?),
        1 => Ok(None),
        _ => Ok(Some(Stored { id: "af".repeat(32), bytes: u.arbitrary()? })),
    })
}
