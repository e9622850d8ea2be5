use std::io::{Lines, PipeReader, PipeWriter, pipe};
use std::path::Path;
use std::thread::JoinHandle;

use hpo_core::job::{BurnJob, CurveSource, CurvesJob, Data, Device, Function, Model, Split, SyntheticJob, Trainable};
use hpo_core::{Goal, Params};

use super::*;
use crate::trainable::burn::state::load_best;
use crate::trainable::burn::tests::bits;

fn job(count: u32) -> Job {
    let data = Data::Glyphs { count, classes: 4, size: 12, noise: 0.1 };
    let split = Split { train: 0.8, validation: 0.2, test: 0.0 };
    let burn = BurnJob { model: Model::Mlp, device: Device::Cpu, data, split, max_resource: Resource(9) };
    let (metric, goal) = ("val_accuracy".to_owned(), Goal::Maximize);
    Job { trainable: Trainable::Burn(burn), metric, goal, stall_ms: 1000, grace_ms: 1000, seed: Seed(3) }
}

/// A trainer on a thread, behind real pipes.
struct Trainer {
    orders: PipeWriter,
    words: Lines<BufReader<PipeReader>>,
    thread: JoinHandle<Result<(), ChildFault>>,
}

impl Trainer {
    fn new(job: Job) -> Self {
        let ((read_orders, orders), (words, write_words)) = (pipe().unwrap(), pipe().unwrap());
        let (sender, inbox) = sync_channel(ORDERS_MAX);
        std::thread::spawn(move || listen(BufReader::new(read_orders), &sender));
        let thread = std::thread::spawn(move || serve(&job, &inbox, write_words, || {}));
        let mut trainer = Self { orders, words: BufReader::new(words).lines(), thread };
        assert_eq!(trainer.word(), FromTrainer::Ready);
        trainer
    }

    fn order(&mut self, order: &ToTrainer) {
        writeln!(self.orders, "{}", serde_json::to_string(order).unwrap()).unwrap();
    }

    fn word(&mut self) -> FromTrainer {
        let line = self.words.next().unwrap().unwrap();
        serde_json::from_str(line.strip_prefix(PREFIX).unwrap()).unwrap()
    }

    /// The reports of a lease and the word that ends it.
    fn lease(&mut self, start: Start) -> (Vec<u32>, FromTrainer) {
        self.order(&ToTrainer::Start(start));
        self.rest()
    }

    fn rest(&mut self) -> (Vec<u32>, FromTrainer) {
        let mut reports = vec![];
        loop {
            match self.word() {
                FromTrainer::Started { .. } => assert!(reports.is_empty()),
                FromTrainer::Report { resource, metrics } => {
                    assert!(metrics.get("val_accuracy").is_some());
                    reports.push(resource);
                }
                word => return (reports, word),
            }
        }
    }

    fn end(self) -> Result<(), ChildFault> {
        drop(self.orders);
        self.thread.join().unwrap()
    }
}

fn start(trial: u32, from: u32, until: u32, folder: &Path) -> Start {
    Start {
        trial,
        attempt: 1,
        params: serde_json::from_str(r#"{"width": 16, "dropout": 0.1}"#).unwrap(),
        seed: 5,
        from,
        until,
        checkpoint: None,
        checkpoint_out: folder.join(format!("{trial}-{until}")),
        in_place: false,
    }
}

/// The weights in a state file, whose bytes name parameters by random numbers.
fn weights(path: &Path) -> Vec<Vec<u32>> {
    bits(&load_best(path).unwrap().1)
}

fn failed(word: FromTrainer) -> (FailureKind, String) {
    match word {
        FromTrainer::Failed { kind, message } => (kind, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_trainer_serves_lease_after_lease() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(job(300));
    let (reports, word) = trainer.lease(start(0, 0, 2, folder.path()));
    let rung = folder.path().join("0-2");
    assert_eq!(reports, [1, 2]);
    assert!(matches!(word, FromTrainer::Reached { resource: 2, checkpoint: Some(path), .. } if path == rung));

    // In place, then another trial, then the first again from its checkpoint: the same state.
    let (reports, _) = trainer.lease(Start { in_place: true, ..start(0, 2, 4, folder.path()) });
    assert_eq!(reports, [3, 4]);
    trainer.lease(Start { seed: 6, ..start(1, 0, 1, folder.path()) });
    let again = folder.path().join("again");
    let resumed = Start { checkpoint: Some(rung), checkpoint_out: again.clone(), ..start(0, 2, 4, folder.path()) };
    let (reports, word) = trainer.lease(resumed);
    assert_eq!(reports, [3, 4]);
    assert!(matches!(word, FromTrainer::Reached { resource: 4, .. }));
    assert_eq!(weights(&again), weights(&folder.path().join("0-4")));

    // A lease that is in place where the trainer holds another trial.
    let lost = trainer.lease(Start { in_place: true, ..start(1, 1, 2, folder.path()) });
    assert_eq!(failed(lost.1), (FailureKind::Setup, "the trial's state is not in this trainer's memory".to_owned()));
    assert!(matches!(trainer.lease(start(2, 0, 1, folder.path())).1, FromTrainer::Reached { .. }), "it is still warm");
    trainer.end().unwrap();
}

#[test]
fn called_back_it_leaves_with_the_last_whole_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(job(300));
    trainer.order(&ToTrainer::Start(start(0, 0, 1_000_000, folder.path())));
    assert!(matches!(trainer.word(), FromTrainer::Started { .. }));
    assert!(matches!(trainer.word(), FromTrainer::Report { resource: 1, .. }));
    trainer.order(&ToTrainer::CallBack);
    let (reports, word) = trainer.rest();
    let FromTrainer::Left { resource, checkpoint: Some(path), .. } = word else { panic!("{word:?}") };
    assert_eq!(resource, reports.last().copied().unwrap_or(1), "the state is that of the last report");

    let on = Start { checkpoint: Some(path.clone()), ..start(0, resource, resource + 1, folder.path()) };
    assert_eq!(trainer.lease(on).0, [resource + 1]);
    // Called back before the first epoch of the lease is whole: there is nothing new to write.
    let mut slow = Trainer::new(job(20_000));
    let params = serde_json::from_str(r#"{"batch": 1}"#).unwrap();
    // Both orders are there before the first step.
    slow.order(&ToTrainer::Start(Start { params, ..start(0, 0, 9, folder.path()) }));
    slow.order(&ToTrainer::CallBack);
    assert!(matches!(slow.word(), FromTrainer::Started { .. }));
    assert!(matches!(slow.word(), FromTrainer::Left { resource: 0, checkpoint: None, .. }));
    slow.end().unwrap();
    trainer.end().unwrap();
}

#[test]
fn stopped_it_stays_warm_and_late_orders_are_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(job(300));
    trainer.order(&ToTrainer::Start(start(0, 0, 1_000_000, folder.path())));
    assert!(matches!(trainer.word(), FromTrainer::Started { .. }));
    trainer.order(&ToTrainer::Stop);
    assert_eq!(trainer.rest().1, FromTrainer::Stopped);
    // These crossed the last word.
    trainer.order(&ToTrainer::Stop);
    trainer.order(&ToTrainer::CallBack);
    let (reports, word) = trainer.lease(start(1, 0, 1, folder.path()));
    assert_eq!(reports, [1]);
    assert!(matches!(word, FromTrainer::Reached { resource: 1, .. }));
    trainer.end().unwrap();
}

#[test]
fn what_cannot_be_done_is_said_and_the_trainer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(job(300));
    let mut failure = |start| failed(trainer.lease(start).1);
    let odd: Params = serde_json::from_str(r#"{"widht": 16}"#).unwrap();
    let (kind, message) = failure(Start { params: odd, ..start(0, 0, 1, folder.path()) });
    assert!(kind == FailureKind::Setup && message.contains("did you mean `width`?"), "{message}");

    let torn = folder.path().join("torn");
    std::fs::write(&torn, b"HPOSTATE\x01\0\0\0torn").unwrap();
    for checkpoint in [None, Some(torn), Some(folder.path().join("none"))] {
        let (kind, message) = failure(Start { checkpoint, ..start(0, 2, 3, folder.path()) });
        assert!(kind == FailureKind::Checkpoint && !message.is_empty(), "{message}");
    }
    let newer = folder.path().join("newer");
    std::fs::write(&newer, b"HPOSTATE\x02\0\0\0\x18\0\0\0{\"code_version\":\"9.9.9\"}").unwrap();
    let (kind, message) = failure(Start { checkpoint: Some(newer), ..start(0, 2, 3, folder.path()) });
    assert!(kind == FailureKind::Setup && message.contains("written by hpo 9.9.9"), "{message}");
    let wild: Params = serde_json::from_str(r#"{"optimizer": "sgd", "lr": 100, "batch": 4}"#).unwrap();
    let (kind, message) = failure(Start { params: wild, ..start(0, 0, 5, folder.path()) });
    assert!(kind == FailureKind::NotFinite && message.contains("a smaller `lr` may help"), "{message}");
    assert_eq!(failure(start(0, 2, 1, folder.path())).0, FailureKind::Protocol);
    // A disk that takes no state is not the trial's fault.
    let unsaved = trainer.lease(Start { checkpoint_out: folder.path().join("no/folder"), ..start(0, 0, 1, folder.path()) }).1;
    assert!(matches!(&unsaved, FromTrainer::Unsaved { message } if message.contains("cannot write the state")), "{unsaved:?}");
    // Nor is one that gives none: a folder opens and cannot be read.
    let unread = trainer.lease(Start { checkpoint: Some(folder.path().into()), ..start(0, 2, 3, folder.path()) }).1;
    assert!(matches!(&unread, FromTrainer::Unsaved { message } if message.contains("cannot read the state")), "{unread:?}");
    trainer.order(&ToTrainer::Start(start(0, 0, 1_000_000, folder.path())));
    assert_eq!(failed(trainer.lease(start(1, 0, 1, folder.path())).1).0, FailureKind::Protocol);
    trainer.end().unwrap();
}

#[test]
fn a_job_that_cannot_be_set_up_fails_each_lease() {
    let folder = tempfile::tempdir().unwrap();
    let mut missing = job(300);
    if let Trainable::Burn(burn) = &mut missing.trainable {
        burn.data = Data::Idx { images: "no/images".into(), labels: "no/labels".into() };
    }
    let mut trainer = Trainer::new(missing);
    for _ in 0..2 {
        let (kind, message) = failed(trainer.lease(start(0, 0, 1, folder.path())).1);
        assert_eq!(kind, FailureKind::Setup);
        assert!(message.starts_with("cannot open no/images") && message.contains("No such file"), "{message}");
    }
    trainer.end().unwrap();
}

#[test]
fn curves_are_served_as_models_are() {
    let folder = tempfile::tempdir().unwrap();
    let synthetic = SyntheticJob {
        function: Function::Branin,
        noise: 0.0,
        failure_rate: 0.0,
        crossing: 0.0,
        rate: 5.0,
        seconds: 1.0,
        cost_spread: 0.0,
    };
    let curves = CurvesJob { source: CurveSource::Synthetic(synthetic), max_resource: Resource(9), pace: 0.0 };
    let mut trainer = Trainer::new(Job { trainable: Trainable::Curves(curves), ..job(300) });
    let point: Params = serde_json::from_str(r#"{"x": 1.5, "y": 3.0}"#).unwrap();
    let start = |from, until| Start { params: point.clone(), ..start(0, from, until, folder.path()) };
    let (reports, word) = trainer.lease(start(0, 3));
    let rung = folder.path().join("0-3");
    assert_eq!(reports, [1, 2, 3]);
    assert!(matches!(word, FromTrainer::Reached { resource: 3, checkpoint: Some(path), .. } if path == rung));
    assert_eq!(trainer.lease(Start { in_place: true, ..start(3, 5) }).0, [4, 5]);
    assert_eq!(trainer.lease(Start { checkpoint: Some(rung), ..start(3, 9) }).0, [4, 5, 6, 7, 8, 9]);
    let unknown = Start { params: Params::new(), ..start(0, 1) };
    let (kind, message) = failed(trainer.lease(unknown).1);
    assert!(kind == FailureKind::Setup && message.contains("branin takes two numbers"), "{message}");
    trainer.end().unwrap();
}

#[test]
fn it_ends_when_the_agent_is_gone_or_talks_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(job(300));
    trainer.order(&ToTrainer::Start(start(0, 0, 1_000_000, folder.path())));
    assert!(matches!(trainer.word(), FromTrainer::Started { .. }));
    assert!(matches!(trainer.end(), Err(ChildFault::AgentGone)), "in the middle of an epoch");

    let mut trainer = Trainer::new(job(300));
    writeln!(trainer.orders, "{{\"say\":\"dance\"}}").unwrap();
    assert!(matches!(trainer.thread.join().unwrap(), Err(ChildFault::Order(_))));
}

#[test]
fn panics_are_failures_of_their_kind() {
    let failure = |text: &'static str| match guarded(|| -> Result<(), Failure> { std::panic::panic_any(text) }) {
        Err(failure) => failure,
        Ok(()) => panic!("no panic"),
    };
    let crash = failure("index out of bounds");
    assert_eq!((crash.kind, crash.message.as_str(), crash.panicked), (FailureKind::Crash, "index out of bounds", true));
    assert_eq!(failure("CUDA_ERROR_OUT_OF_MEMORY: out of memory").kind, FailureKind::OutOfMemory);
    let messages = ["Out of memory: can't allocate buffer".to_owned(), "called `Result::unwrap()` on an `Err` value: RecvError".to_owned()];
    assert_eq!(Failure::panic(&messages).message, messages[0], "the first is the cause");
}
