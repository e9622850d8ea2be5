use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use hpo_core::job::{CommandJob, Job, Trainable};
use hpo_core::sweep::EndReason;
use hpo_core::sweep::event::{End, Held};
use hpo_core::{Attempt, Event, Goal, Lease, Metrics, Rejection, Resource, Seed, Seq, WorkerId};
use hpo_wire::{About, Acknowledged, FromDriver, FromWorker, Word};

use super::kept::{Folder, Store};
use super::*;
use crate::journal::{self, Fence, Reader};
use crate::rendezvous::{Rendezvous, read_token, read_trust};
use crate::rundir::RunDir;
use crate::serve::fake::{FakeWorker, hello};
use crate::testing::{checkpoint, figure, spec};

mod parts;
mod takeover;

/// A run folder in a folder that goes away.
struct Case {
    _folder: tempfile::TempDir,
    run: RunDir,
    trials: u32,
    limits: Options,
}

impl Case {
    fn new(trials: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path().join("run"));
        let limits = Options { lease_ms: 15_000, heartbeat_ms: 100, drain_ms: 15_000, closing_ms: 5_000 };
        Self { _folder: folder, run, trials, limits }
    }

    fn options(&self, begin: Begin) -> DriveOptions {
        let command = CommandJob { command: vec!["true".into()], directory: "/".into(), env: [].into(), metric_pattern: None };
        let job = Job {
            trainable: Trainable::Command(command),
            metric: "val_loss".into(),
            goal: Goal::Minimize,
            stall_ms: 1000,
            grace_ms: 1000,
            seed: Seed(7),
        };
        let file = SweepFile {
            spec: spec(self.trials),
            job,
            searcher: hpo_searchers::SearcherSpec::Random,
            past: None,
            text: "# frozen\n".into(),
        };
        let listen = "127.0.0.1:0".parse().unwrap();
        DriveOptions { run: self.run.clone(), begin, file, listen, plaintext: false, local: None, slurm: None, limits: self.limits }
    }

    async fn start(&self, begin: Begin) -> Drive {
        Drive::start(self.options(begin)).await.unwrap()
    }

    async fn dial(&self, drive: &Drive, id: u128, slots: usize) -> FakeWorker {
        let (trust, token) = (read_trust(&self.run).unwrap(), read_token(&self.run).unwrap());
        FakeWorker::dial(&drive.addresses()[0], &trust, &token, hello(id, slots)).await.unwrap()
    }

    async fn dial_again(&self, drive: &Drive, id: u128, holds: Vec<Held>) -> FakeWorker {
        let (trust, token) = (read_trust(&self.run).unwrap(), read_token(&self.run).unwrap());
        FakeWorker::dial_again(&drive.addresses()[0], &trust, &token, id, 1, holds).await
    }

    /// The file of a checkpoint as a worker would have written it.
    fn state_file(&self, trial: u32, resource: u32) -> PathBuf {
        let id = checkpoint(trial, resource).id;
        let file = self.run.checkpoints().join(&id[..2]).join(&id);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "state").unwrap();
        file
    }

    /// Names of the states that trials hold.
    fn held_states(&self) -> Vec<String> {
        let sweep = journal::replay(&self.run.journal()).unwrap().sweep;
        sweep.trials().flat_map(|trial| [&trial.checkpoint, &trial.previous]).flatten().map(|state| state.id.clone()).collect()
    }

    fn events(&self) -> Vec<Event> {
        Reader::open(&self.run.journal()).unwrap().1.map(|entry| entry.unwrap().record.event).collect()
    }

    /// The journal is sound, and no report stands in it twice.
    fn check_journal(&self) {
        journal::verify(&self.run.journal()).unwrap_or_else(|fault| panic!("{fault}"));
        let mut seen = BTreeSet::new();
        for event in self.events() {
            if let Some(place) = event.about() {
                assert!(seen.insert(place), "{event:?} was applied twice");
            }
        }
    }
}

fn held(lease: &Lease) -> Held {
    Held { trial: lease.trial, attempt: lease.attempt, slot: lease.slot.index }
}

fn word(lease: &Lease, seq: u32, about: About) -> FromWorker {
    FromWorker::Word(Word { trial: lease.trial, attempt: lease.attempt, seq: Seq(seq), after_ms: None, about })
}

fn report(lease: &Lease, seq: u32, resource: u32) -> FromWorker {
    let metrics: Metrics = [("val_loss".to_owned(), figure(lease.trial.0, resource))].into_iter().collect();
    word(lease, seq, About::Reported { resource: Resource(resource), metrics })
}

/// Everything that a trainer says in the course of a lease.
fn words(lease: &Lease) -> Vec<FromWorker> {
    let started = word(lease, 1, About::Started { startup_ms: 1, restore_ms: 0 });
    let reports = (lease.from.0 + 1..=lease.until.0).zip(2..).map(|(resource, seq)| report(lease, seq, resource));
    let mut all: Vec<FromWorker> = std::iter::once(started).chain(reports).collect();
    let state = Some(checkpoint(lease.trial.0, lease.until.0));
    all.push(word(lease, all.len() as u32 + 1, About::Reached { resource: lease.until, checkpoint: state }));
    all
}

impl FakeWorker {
    async fn lease(&mut self) -> Lease {
        loop {
            match self.hear().await.unwrap().expect("a lease") {
                FromDriver::Lease(lease) => return lease,
                FromDriver::Welcome(_) | FromDriver::Acknowledged(_) | FromDriver::Stop(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn acknowledged(&mut self, lease: &Lease, seq: u32) {
        let wanted = Acknowledged { trial: lease.trial, attempt: lease.attempt, seq: Seq(seq) };
        loop {
            match self.hear().await.unwrap().expect("an acknowledgement") {
                FromDriver::Acknowledged(got) if got == wanted => return,
                FromDriver::Finish { why, .. } => panic!("finish: {why}"),
                _ => {}
            }
        }
    }

    /// Trains whatever comes until told to leave; says each word `times` times. The answer is whether it can be resumed.
    async fn work(&mut self, times: usize) -> bool {
        loop {
            match self.hear().await.unwrap().expect("no end before a finish") {
                FromDriver::Lease(lease) => self.train(&lease, times).await,
                FromDriver::Finish { resumable, .. } => {
                    self.say(FromWorker::Goodbye { why: "told to".into() }).await;
                    return resumable;
                }
                _ => {}
            }
        }
    }

    async fn train(&mut self, lease: &Lease, times: usize) {
        for word in words(lease) {
            for _ in 0..times {
                self.say(word.clone()).await;
            }
        }
    }
}

#[tokio::test]
async fn a_sweep_runs_from_the_first_hello_to_the_last_goodbye() {
    let case = Case::new(9);
    let drive = case.start(Begin::Create).await;
    let found = Rendezvous::read(&case.run).unwrap().unwrap();
    assert_eq!((found.addresses.as_slice(), found.epoch, found.pid), (drive.addresses(), 1, std::process::id()));
    let states: Vec<_> = (0..9).flat_map(|trial| [1, 3, 9].map(|rung| case.state_file(trial, rung))).collect();
    let progress = drive.progress();
    let mut worker = case.dial(&drive, 1, 2).await;
    let scratch = case.run.checkpoints().join("tmp/0d5e");
    std::fs::create_dir_all(&scratch).unwrap();
    std::fs::write(scratch.join("job.json"), "of a worker that was killed").unwrap();
    let mut gone_meanwhile = 0;
    let resumable = loop {
        match worker.hear().await.unwrap().expect("no end before a finish") {
            FromDriver::Lease(lease) => {
                gone_meanwhile = states.iter().filter(|file| !file.exists()).count();
                worker.train(&lease, 1).await;
            }
            FromDriver::Finish { resumable, .. } => break resumable,
            _ => {}
        }
    };
    assert!(!resumable, "finished for good");
    worker.say(FromWorker::Goodbye { why: "told to".into() }).await;
    let outcome = drive.wait().await.unwrap();
    assert_eq!(outcome.ended, Ended::Finished(EndReason::Complete));
    assert_eq!((outcome.view.trials.total, outcome.view.trials.finished), (9, 1));
    assert!(outcome.counters.refused.is_empty() && outcome.counters.syncs <= outcome.counters.events, "{:?}", outcome.counters);
    assert_eq!(progress.borrow().view.trials, outcome.view.trials, "the last view is published");
    assert_eq!(Rendezvous::read(&case.run).unwrap(), None, "nobody listens any more");
    assert!(matches!(case.events().last(), Some(Event::WorkerLeft { .. })), "the goodbye is in the ledger");
    case.check_journal();
    assert!(gone_meanwhile > 0, "states are deleted as soon as they are forgotten");
    let mut held = case.held_states();
    let mut left = Folder(case.run.checkpoints()).ids().unwrap();
    held.sort();
    left.sort();
    assert_eq!(left, held, "at the end what nobody holds is gone, too");
    assert!(!scratch.join("job.json").exists(), "and what dead workers left half-written");
    // Going on with a finished sweep ends at once, with the same result.
    let again = case.start(Begin::Resume).await.wait().await.unwrap();
    assert_eq!((again.ended, again.view.trials), (outcome.ended, outcome.view.trials));
}

#[tokio::test]
async fn words_said_three_times_count_once() {
    let mut views = vec![];
    for times in [1, 3] {
        let case = Case::new(5);
        let drive = case.start(Begin::Create).await;
        let mut worker = case.dial(&drive, 1, 1).await;
        worker.work(times).await;
        let outcome = drive.wait().await.unwrap();
        case.check_journal();
        let refused: u64 = outcome.counters.refused.values().sum();
        assert_eq!(refused > 0, times > 1, "{:?}", outcome.counters);
        let harmless = [Rejection::Duplicate, Rejection::StaleAttempt];
        assert!(outcome.counters.refused.keys().all(|why| harmless.contains(why)), "{:?}", outcome.counters);
        views.push((outcome.view.trials, outcome.view.attempts, outcome.view.resource, outcome.view.best));
    }
    assert_eq!(views[0], views[1]);
}

#[tokio::test]
async fn a_driver_that_dies_loses_no_word_and_its_workers_keep_their_leases() {
    let case = Case::new(1);
    let first = case.start(Begin::Create).await;
    let mut worker = case.dial(&first, 1, 1).await;
    let lease = worker.lease().await;
    let all = words(&lease);
    worker.say(all[0].clone()).await;
    worker.acknowledged(&lease, 1).await;
    // From here the first driver can write no more, as if it had died: what it hears is neither kept nor acknowledged.
    drop(Fence::claim(case.run.path(), 0).unwrap());
    worker.say(all[1].clone()).await;
    let fault = first.wait().await.unwrap_err();
    assert!(fault.is_fenced(), "{fault}");
    while let Ok(Some(heard)) = worker.hear().await {
        assert!(!matches!(heard, FromDriver::Acknowledged(_) | FromDriver::Lease(_)), "{heard:?}");
    }

    let second = case.start(Begin::Resume).await;
    let mut worker = case.dial_again(&second, 1, vec![held(&lease)]).await;
    // It says again what was not acknowledged, and one word too many.
    for word in &all {
        worker.say(word.clone()).await;
    }
    assert!(!worker.work(1).await);
    let outcome = second.wait().await.unwrap();
    assert_eq!((outcome.ended, outcome.view.trials.paused), (Ended::Finished(EndReason::Complete), 1));
    assert_eq!(outcome.counters.refused.get(&Rejection::Duplicate), Some(&1), "{:?}", outcome.counters);
    let leases = case.events().iter().filter_map(Event::about).map(|(_, attempt, _)| attempt).max();
    assert_eq!(leases, Some(Attempt(1)), "the crash cost no attempt");
    case.check_journal();
}

#[tokio::test]
async fn a_silent_worker_is_lost_and_its_trial_goes_on_elsewhere() {
    let mut case = Case::new(1);
    // Neither so long that one waits for it, nor so short that a busy machine takes it from the others, who have no heartbeat.
    case.limits.lease_ms = 5_000;
    let drive = case.start(Begin::Create).await;
    let mut silent = case.dial(&drive, 1, 1).await;
    let old = silent.lease().await;
    // It reads, but says nothing: after the lease time the driver hangs up.
    while let Ok(Some(_)) = silent.hear().await {}
    let mut other = case.dial(&drive, 2, 1).await;
    let new = other.lease().await;
    assert_eq!((new.trial, new.attempt), (old.trial, Attempt(old.attempt.0 + 1)));
    let mut back = case.dial_again(&drive, 1, vec![held(&old)]).await;
    assert!(matches!(back.hear().await, Ok(Some(FromDriver::Welcome(_)))));
    assert_eq!(back.hear().await.unwrap(), Some(FromDriver::Stop(held(&old))), "the old attempt is fenced off");
    back.say(report(&old, 1, 1)).await;
    back.acknowledged(&old, 1).await;
    other.train(&new, 1).await;
    let (left, right) = tokio::join!(other.work(1), back.work(1));
    assert!(!left && !right);
    let outcome = drive.wait().await.unwrap();
    assert_eq!((outcome.view.trials.paused, outcome.view.attempts.lost), (1, 1));
    assert_eq!(outcome.counters.refused.get(&Rejection::StaleAttempt), Some(&1));
    case.check_journal();
}

#[tokio::test]
async fn a_proof_of_death_is_believed_at_once() {
    let case = Case::new(1);
    let drive = case.start(Begin::Create).await;
    let mut dying = case.dial(&drive, 1, 1).await;
    let old = dying.lease().await;
    drop(dying);
    let mut other = case.dial(&drive, 2, 1).await;
    assert!(matches!(other.hear().await, Ok(Some(FromDriver::Welcome(_)))));
    drive.handle().send(Input::Dead { worker: WorkerId(1) }).await.unwrap();
    let new = other.lease().await;
    assert_eq!((new.trial, new.attempt), (old.trial, Attempt(2)));
    other.train(&new, 1).await;
    other.work(1).await;
    drive.wait().await.unwrap();
    case.check_journal();
}

#[tokio::test]
async fn a_drained_sweep_is_suspended_and_goes_on() {
    let case = Case::new(3);
    let drive = case.start(Begin::Create).await;
    let mut worker = case.dial(&drive, 1, 1).await;
    let lease = worker.lease().await;
    worker.say(word(&lease, 1, About::Started { startup_ms: 1, restore_ms: 0 })).await;
    let orphan = case.state_file(1000, 1);
    drive.handle().drain().await.unwrap();
    while worker.hear().await.unwrap() != Some(FromDriver::CallBack(held(&lease))) {}
    worker.say(word(&lease, 2, About::Ended(End::Preempted { checkpoint: None }))).await;
    assert!(worker.work(1).await, "resumable");
    let outcome = drive.wait().await.unwrap();
    assert_eq!((outcome.ended, outcome.view.attempts.preempted), (Ended::Suspended, 1));
    assert!(orphan.exists(), "a worker that is still there may yet say that it wrote this");

    let drive = case.start(Begin::Resume).await;
    let mut worker = case.dial(&drive, 2, 1).await;
    assert!(!worker.work(1).await);
    assert_eq!(drive.wait().await.unwrap().ended, Ended::Finished(EndReason::Complete));
    assert!(!orphan.exists(), "nobody can need it any more");
    case.check_journal();
}

#[tokio::test]
async fn asked_twice_to_stop_nobody_is_waited_for() {
    let case = Case::new(3);
    let drive = case.start(Begin::Create).await;
    let mut worker = case.dial(&drive, 1, 1).await;
    worker.lease().await;
    let before = std::time::Instant::now();
    for _ in 0..3 {
        drive.handle().drain().await.unwrap();
    }
    assert_eq!(drive.wait().await.unwrap().ended, Ended::Suspended);
    assert!(before.elapsed() < Duration::from_millis(case.limits.drain_ms));
    case.check_journal();
}

#[tokio::test]
async fn nobody_speaks_for_the_lease_of_another_worker() {
    let case = Case::new(1);
    let drive = case.start(Begin::Create).await;
    let mut owner = case.dial(&drive, 1, 1).await;
    let lease = owner.lease().await;
    let mut other = case.dial(&drive, 2, 1).await;
    other.say(report(&lease, 1, 1)).await;
    other.acknowledged(&lease, 1).await;
    assert!(!case.events().iter().any(|event| matches!(event, Event::Reported { .. })), "it is not believed");
    owner.train(&lease, 1).await;
    owner.acknowledged(&lease, 3).await;
    case.check_journal();
}

#[tokio::test]
async fn words_that_make_no_sense_end_their_attempt_with_a_reason() {
    let case = Case::new(1);
    let drive = case.start(Begin::Create).await;
    let mut worker = case.dial(&drive, 1, 1).await;
    let first = worker.lease().await;
    let metrics: Metrics = [("loss".to_owned(), 1.0), ("accuracy".to_owned(), 0.5)].into_iter().collect();
    worker.say(word(&first, 1, About::Reported { resource: Resource(1), metrics })).await;
    while worker.hear().await.unwrap() != Some(FromDriver::Stop(held(&first))) {}
    worker.acknowledged(&first, 1).await;
    let second = worker.lease().await;
    assert_eq!(second.attempt, Attempt(2), "a retry");
    worker.say(word(&second, 1, About::Reached { resource: Resource(99), checkpoint: None })).await;
    worker.work(1).await;
    let outcome = drive.wait().await.unwrap();
    assert_eq!((outcome.view.trials.failed, outcome.counters.nonsense), (1, 2));
    let reasons: Vec<String> = case.events().into_iter().filter_map(reason).collect();
    let expected = [
        "the report at 1 lacks the metric `val_loss`; it has accuracy, loss",
        "resource 99 was reported or reached, but the resource lies outside the lease",
    ];
    assert_eq!(reasons, expected);
    case.check_journal();
}

fn reason(event: Event) -> Option<String> {
    match event {
        Event::Ended { how: End::Failed { message, .. }, .. } => Some(message),
        _ => None,
    }
}
