//! What stands beside the loop: the run folder, the checkpoints that are kept, the searcher's thread.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use hpo_core::sweep::Observation;
use hpo_core::{Action, Attempt, Event, Params, Resource, Seed, Seq, Sweep, TrialId};
use hpo_searchers::{Searcher, SuggestFault};
use hpo_wire::{About, FromDriver, Word};
use tokio::sync::watch;

use super::Case;
use crate::config::warm::Past;
use crate::engine::cycle::Engine;
use crate::engine::heart::Parts;
use crate::engine::kept::{Folder, Kept, Store};
use crate::engine::parts::Outbox;
use crate::engine::{Begin, Drive, DriveFault, DriveOptions, Ended, EngineFault, Handle, Inbox, Input, Link, Options, Outgoing, clock};
use crate::journal::{Fence, Replay, Writer};
use crate::serve::fake::hello;
use crate::testing::{checkpoint, figure, header, spec};

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_refused_with_what_to_do() {
    let case = Case::new(2);
    let start = async |begin| Drive::start(case.options(begin)).await.err().map(|fault| fault.to_string()).unwrap_or_default();
    let not_a_run = start(Begin::Resume).await;
    assert!(not_a_run.contains("is not a run folder: "), "{not_a_run}");
    fs::create_dir(case.run.path()).unwrap();
    fs::write(case.run.path().join("thesis.tex"), "").unwrap();
    let in_the_way = start(Begin::Create).await;
    assert!(in_the_way.contains("exists and is no run folder"), "{in_the_way}");
    fs::remove_file(case.run.path().join("thesis.tex")).unwrap();

    let drive = case.start(Begin::Create).await;
    let exists = start(Begin::Create).await;
    assert!(exists.contains("holds a sweep already; go on with it by `hpo resume"), "{exists}");
    let driven = start(Begin::Resume).await;
    assert!(driven.contains(&format!("has a living driver: process {}", std::process::id())), "{driven}");
    drive.handle().drain().await.unwrap();
    assert_eq!(drive.wait().await.unwrap().ended, Ended::Suspended, "the refused ones did it no harm");

    let mut changed = case.options(Begin::Resume);
    changed.file.spec.budget.max_trials = Some(99);
    let changed = Drive::start(changed).await.unwrap_err().to_string();
    assert!(changed.contains("sweep.toml` was changed after the sweep was created"), "{changed}");
    // What workers do stands in the file alone.
    fs::write(case.run.sweep_toml(), "# frozen\n[trial.env]\n").unwrap();
    let changed = start(Begin::Resume).await;
    assert!(changed.contains("sweep.toml` was changed after the sweep was created"), "{changed}");
    fs::write(case.run.sweep_toml(), "# frozen\n").unwrap();
    let mut reseeded = case.options(Begin::Resume);
    reseeded.file.spec.seed = Seed(8);
    let resumed = Drive::start(reseeded).await.unwrap();
    resumed.handle().drain().await.unwrap();
    resumed.wait().await.unwrap();
}

#[tokio::test]
async fn what_may_hold_secrets_is_its_owners_alone() {
    let case = Case::new(1);
    let mut options = case.options(Begin::Create);
    options.file.past = Some(Past::default());
    let drive = Drive::start(options).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(case.run.path()), mode(&case.run.sweep_toml()), mode(&case.run.warm_start())), (0o700, 0o600, 0o600));
    assert_eq!(Past::of_run(&case.run).unwrap(), Past::default());
    drive.handle().drain().await.unwrap();
    drive.wait().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_leaves_nothing_behind() {
    let case = Case::new(1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = DriveOptions { listen: taken.local_addr().unwrap(), ..case.options(Begin::Create) };
    let fault = Drive::start(options).await.unwrap_err();
    assert!(matches!(fault, DriveFault::Listen { .. }), "{fault}");
    assert!(!case.run.path().exists());
}

#[test]
fn a_drain_lasts_as_long_as_trainers_may_take() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/command.toml");
    let mut checked = crate::config::load(&file).unwrap_or_else(|faults| panic!("{faults}"));
    let mut drain = |grace_ms| {
        checked.job.grace_ms = grace_ms;
        Options::from(&checked).drain_ms
    };
    assert_eq!((drain(1_000), drain(600_000)), (30_000, 615_000));
}

#[test]
fn what_a_dead_driver_should_have_deleted_its_successor_deletes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Folder(folder.path().to_owned());
    let sweep = Sweep::new(spec(2));
    let state = checkpoint(0, 1);
    let file = folder.path().join(&state.id[..2]).join(&state.id);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::create_dir_all(folder.path().join("tmp/worker")).unwrap();
    fs::write(&file, "state").unwrap();
    let reached = Event::Reached {
        trial: TrialId(0),
        attempt: Attempt(1),
        seq: Seq(1),
        after_ms: None,
        resource: Resource(1),
        checkpoint: Some(state.clone()),
    };
    let forget = [hpo_core::Action::Forget { trial: TrialId(0), checkpoint: state.clone() }];
    let mut kept = Kept::default();
    kept.replayed(&reached, &[], &sweep);
    kept.replayed(&Event::Ticked, &forget, &sweep);
    assert_eq!(kept.clone().leftovers(&store), std::slice::from_ref(&state.id), "an earlier driver died before it could delete it");
    store.remove(&state.id).unwrap();
    assert!(!file.exists());
    store.remove(&state.id).unwrap();
    fs::write(&file, "state").unwrap();
    kept.replayed(&Event::Ticked, &forget, &sweep);
    kept.replayed(&reached, &[], &sweep);
    assert!(kept.leftovers(&store).is_empty(), "it was stored once more");
}

/// An engine with this searcher over a sweep of so many trials, to which a worker with one slot is about to come.
async fn engine_with(searcher: Box<dyn Searcher>, trials: u32, folder: &Path) -> (Engine, Handle, Outbox) {
    let fence = Fence::claim(folder, 0).unwrap();
    let journal = Writer::create(&folder.join("journal.jsonl"), &header(spec(trials)), fence).unwrap();
    let (handle, inbox) = Inbox::new();
    let (out, outbox) = tokio::sync::mpsc::channel(10);
    handle.send(Input::Joined { hello: hello(1, 1), link: Link { session: 1, out } }).await.unwrap();
    let parts = Parts {
        sweep: Sweep::new(spec(trials)),
        journal: Box::new(journal),
        records: 0,
        kept: Kept::default(),
        store: Box::new(Folder(folder.to_owned())),
        options: Options::default(),
        closing: Box::new(|| {}),
    };
    let clock = clock::Clock::of(0, hpo_core::Stamp(0));
    let (engine, _progress) = Engine::new(parts, clock, inbox, handle.clone(), searcher).unwrap();
    (engine, handle, outbox)
}

/// What an engine with this searcher ends with.
async fn end_with(searcher: Box<dyn Searcher>) -> EngineFault {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _handle, _outbox) = engine_with(searcher, 2, folder.path()).await;
    engine.run().await.unwrap_err()
}

/// What a searcher has thought about: for which trial, and how many results it knew.
type Thoughts = Vec<(TrialId, usize)>;

/// Draws by chance and takes 0.3 s for it.
struct Slow {
    random: hpo_searchers::Random,
    known: usize,
    thoughts: watch::Sender<Thoughts>,
}

impl Searcher for Slow {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.random.begin(trial, params);
    }
    fn tell(&mut self, _: &Observation) {
        self.known += 1;
    }
    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        std::thread::sleep(Duration::from_millis(300));
        self.thoughts.send_modify(|thoughts| thoughts.push((trial, self.known)));
        self.random.suggest(trial)
    }
}

/// Trains each lease to its end, and writes its state until the searcher has thought about the next of three trials with all
/// that it can know; until the sweep is over.
async fn train(handle: Handle, mut outbox: Outbox, mut thoughts: watch::Receiver<Thoughts>) {
    let worker = hello(1, 1).worker;
    while let Some(Outgoing::Say(word)) = outbox.recv().await {
        let FromDriver::Lease(lease) = word else {
            if matches!(word, FromDriver::Finish { .. }) {
                return handle.send(Input::Left { worker, session: 1, why: "done".into() }).await.unwrap();
            }
            continue;
        };
        let metrics = [("val_loss".to_owned(), figure(lease.trial.0, lease.until.0))].into_iter().collect();
        let abouts = [About::Reported { resource: lease.until, metrics }, About::Reached { resource: lease.until, checkpoint: None }];
        for (seq, about) in (1..).map(Seq).zip(abouts) {
            if seq == Seq(2) && lease.trial < TrialId(2) {
                let next = (TrialId(lease.trial.0 + 1), lease.trial.0 as usize + 1);
                thoughts.wait_for(|thoughts| thoughts.contains(&next)).await.unwrap();
                // What is thought has yet to be told.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let word = Word { trial: lease.trial, attempt: lease.attempt, seq, after_ms: None, about };
            handle.send(Input::Said { worker, session: 1, word }).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_slot_gets_what_a_slow_searcher_has_ready() {
    let folder = tempfile::tempdir().unwrap();
    let (tell, thoughts) = watch::channel(vec![]);
    let slow = Slow { random: hpo_searchers::Random::new(spec(3).space, Seed(7)), known: 0, thoughts: tell };
    let (engine, handle, outbox) = engine_with(Box::new(slow), 3, folder.path()).await;
    // The slot is busy until there is something ready.
    let (outcome, ()) = tokio::join!(engine.run(), train(handle, outbox, thoughts.clone()));
    assert!(matches!(outcome.unwrap().ended, Ended::Finished(_)));
    let thoughts = thoughts.borrow().clone();
    let mut different = thoughts.clone();
    different.dedup();
    assert_eq!(thoughts, different, "what was ready was used, and not thought about once more");
    let mut replay = Replay::open(&folder.path().join("journal.jsonl")).unwrap();
    let (mut asked, mut first) = (BTreeMap::new(), None);
    while let Some(step) = replay.step().unwrap() {
        let at = step.entry.record.at;
        if let Event::Suggested { trial, cost_us, .. } = step.entry.record.event {
            assert!(cost_us >= 300_000, "{cost_us}");
            first.get_or_insert(at.since(asked[&trial]));
        }
        asked.extend(step.actions.iter().filter_map(|action| match action {
            Action::Suggest { trial } => Some((*trial, at)),
            _ => None,
        }));
    }
    assert!(first.is_some_and(|wait| wait >= 300), "nothing was ready for the first: {first:?}");
}

/// Trains the only lease, to its end; a second worker comes in the very moment in which that ends the sweep. What it hears first.
async fn train_to_the_end(handle: Handle, mut outbox: Outbox) -> Option<Outgoing> {
    let (first, second) = (hello(1, 1).worker, hello(2, 1));
    let Some(Outgoing::Say(FromDriver::Lease(lease))) = outbox.recv().await else { panic!("no lease") };
    let metrics = [("val_loss".to_owned(), figure(lease.trial.0, lease.until.0))].into_iter().collect();
    let abouts = [About::Reported { resource: lease.until, metrics }, About::Reached { resource: lease.until, checkpoint: None }];
    for (seq, about) in (1..).map(Seq).zip(abouts) {
        let word = Word { trial: lease.trial, attempt: lease.attempt, seq, after_ms: None, about };
        handle.send(Input::Said { worker: first, session: 1, word }).await.unwrap();
    }
    let (out, mut late) = tokio::sync::mpsc::channel(10);
    let left = [(first, 1), (second.worker, 2)];
    handle.send(Input::Joined { hello: second, link: Link { session: 2, out } }).await.unwrap();
    let heard = late.recv().await;
    for (worker, session) in left {
        handle.send(Input::Left { worker, session, why: "done".into() }).await.unwrap();
    }
    heard
}

#[tokio::test]
async fn a_worker_that_comes_in_the_moment_of_the_end_is_told_to_leave_and_not_refused() {
    let folder = tempfile::tempdir().unwrap();
    let random = hpo_searchers::Random::new(spec(1).space, Seed(7));
    let (engine, handle, outbox) = engine_with(Box::new(random), 1, folder.path()).await;
    let (outcome, heard) = tokio::join!(engine.run(), train_to_the_end(handle, outbox));
    assert!(matches!(outcome.unwrap().ended, Ended::Finished(_)));
    assert!(matches!(heard, Some(Outgoing::Say(FromDriver::Finish { resumable: false, .. }))), "{heard:?}");
}

struct Broken(fn() -> Params);

impl Searcher for Broken {
    fn begin(&mut self, _: TrialId, _: &Params) {}
    fn tell(&mut self, _: &Observation) {}
    fn suggest(&self, _: TrialId) -> Result<Params, SuggestFault> {
        Ok(self.0())
    }
}

#[tokio::test]
async fn a_broken_searcher_ends_the_engine_with_a_clear_fault() {
    let died = end_with(Box::new(Broken(|| panic!("on purpose")))).await;
    assert!(matches!(died, EngineFault::SearcherDied), "{died}");
    let outside = end_with(Box::new(Broken(Params::new))).await;
    assert!(matches!(outside, EngineFault::OutsideSpace { trial: TrialId(0) }), "{outside}");
}
