use std::fs;
use std::path::Path;

use super::*;
use crate::engine::{Inbox, Input};

/// Nothing that is to come comes later: a process may be kept from running for seconds.
const PATIENCE: Duration = Duration::from_secs(60);

struct Case {
    folder: tempfile::TempDir,
    run: RunDir,
    engine: Handle,
    inbox: Inbox,
    closing: watch::Sender<bool>,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        fs::create_dir(run.logs()).unwrap();
        let (engine, inbox) = Inbox::new();
        Self { folder, run, engine, inbox, closing: watch::channel(false).0 }
    }

    /// Workers that are a shell script.
    async fn start(&self, count: usize, script: &str) -> Local {
        let options = LocalOptions {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into(), "worker".into()],
            places: vec![super::Place::default(); count],
            leave: Duration::from_millis(300),
            grace: Duration::from_secs(5),
        };
        Local::start(&self.run, options, self.engine.clone(), self.closing.subscribe()).await.unwrap()
    }

    /// The processes, once there are so many.
    async fn processes(&self, count: usize) -> Vec<Process> {
        within(&format!("{count} workers"), || {
            let roster = Roster::open(&self.run).unwrap().1;
            let living: Vec<Process> = roster.iter().map(|entry| entry.process).filter(Process::is_alive).collect();
            (living.len() == count).then_some(living)
        })
        .await
    }

    async fn dead(&mut self) -> hpo_core::WorkerId {
        let mut batch = vec![];
        self.inbox.next_batch(1, PATIENCE, &mut batch).await;
        match batch.pop() {
            Some(Input::Dead { worker }) => worker,
            other => panic!("{other:?}"),
        }
    }
}

async fn within<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn dies(process: Process) {
    within(&format!("the death of {process:?}"), || (!process.is_alive()).then_some(())).await;
}

/// The first line of a log, once it is there.
async fn first_line(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    within(&path.display().to_string(), || Some(fs::read_to_string(path).unwrap()).filter(|text| text.ends_with('\n'))).await
}

#[tokio::test]
async fn workers_are_started_replaced_and_sent_home() {
    let mut case = Case::new();
    let local = case.start(2, "echo \"$@\"; exec sleep 60").await;
    let before = case.processes(2).await;
    let said = first_line(case.run.logs().join("worker-1.log")).await;
    let expected = format!("--run-dir {0} --token-file {0}/token --slots 1 --name local-1 --id ", case.folder.path().display());
    assert!(said.starts_with(&expected), "{said}");
    before[0].signal(Signal::SIGKILL);
    let lost = case.dead().await;
    dies(before[0]).await;
    let after = case.processes(2).await;
    assert!(after.contains(&before[1]) && !after.contains(&before[0]), "{before:?} {after:?}");
    let roster = Roster::open(&case.run).unwrap().1;
    assert!(roster.iter().all(|entry| entry.id != lost), "a new process has a new id");
    local.finish(true).await;
    assert!(after.iter().all(|process| !process.is_alive()));
}

#[tokio::test]
async fn one_that_does_not_go_is_killed_with_all_its_processes() {
    let case = Case::new();
    let local = case.start(1, "trap '' TERM; sleep 60 & echo $! ; wait; sleep 60").await;
    let worker = case.processes(1).await[0];
    let child = Process::of(first_line(case.run.logs().join("worker-0.log")).await.trim().parse().unwrap());
    assert!(child.is_alive());
    local.finish(false).await;
    assert!(!worker.is_alive());
    dies(child).await;
}

#[tokio::test]
async fn one_that_fails_at_once_ends_the_run_with_its_last_words() {
    let case = Case::new();
    let mut local = case.start(1, "echo starting; echo 'no such card: 7' >&2; exit 2").await;
    let fault = tokio::time::timeout(PATIENCE, local.fault()).await.unwrap();
    let text = fault.to_string();
    assert!(matches!(fault, LaunchFault::Crashing { times: 5, .. }), "{text}");
    assert!(text.starts_with("worker local-0 ended 5 times") && text.ends_with("starting\nno such card: 7"), "{text}");
    local.finish(false).await;
}

#[tokio::test]
async fn one_whose_disk_is_full_is_not_started_again() {
    let case = Case::new();
    let mut local = case.start(1, "echo 'no space left' >&2; exit 3").await;
    let fault = tokio::time::timeout(PATIENCE, local.fault()).await.unwrap();
    assert!(matches!(fault, LaunchFault::RunFolder { .. }) && fault.to_string().ends_with("no space left"), "{fault}");
    local.finish(false).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_said() {
    let case = Case::new();
    let mut local = case.start(0, "").await;
    local.finish(true).await;
    let options =
        LocalOptions { program: "/nowhere/hpo".into(), ..LocalOptions::of_this_program(vec![super::Place::default()], 0).unwrap() };
    local = Local::start(&case.run, options, case.engine.clone(), case.closing.subscribe()).await.unwrap();
    let text = local.fault().await.to_string();
    assert_eq!(text, "cannot start worker local-0 by `/nowhere/hpo`");
}

#[tokio::test]
async fn workers_of_a_dead_driver_are_taken_over_and_not_doubled() {
    let mut case = Case::new();
    let driver = case.start(3, "exec sleep 60").await;
    let before = case.processes(3).await;
    driver.abandon();
    let ids: Vec<_> = Roster::open(&case.run).unwrap().1.iter().map(|entry| (entry.index, entry.id)).collect();
    before[0].signal(Signal::SIGKILL);
    case.processes(2).await;
    // One has died meanwhile, and one is more than is wanted now.
    let local = case.start(2, "exec sleep 60").await;
    let dead = case.dead().await;
    assert!(ids.iter().any(|(_, id)| *id == dead));
    let after = case.processes(2).await;
    let kept = after.iter().filter(|process| before.contains(process)).count();
    let kept_wanted = ids.iter().filter(|(index, id)| *index < 2 && *id != dead).count();
    assert_eq!(kept, kept_wanted, "{before:?} {after:?}");
    local.finish(true).await;
    // The one too many was told to leave, and is not waited for.
    for process in before.into_iter().chain(after) {
        dies(process).await;
    }
}

#[tokio::test]
async fn workers_that_leave_when_the_engine_closes_are_not_replaced() {
    let case = Case::new();
    let mut local = case.start(1, "exec sleep 60").await;
    let worker = case.processes(1).await[0];
    case.closing.send_replace(true);
    worker.signal(Signal::SIGKILL);
    assert!(local.gone_within(PATIENCE).await, "the watch ends with the worker");
    assert!(!worker.is_alive());
    assert_eq!(Roster::open(&case.run).unwrap().1.len(), 1, "no second one was started");
}

#[tokio::test]
async fn workers_of_another_host_are_left_alone() {
    let mut case = Case::new();
    let roster = Roster::open(&case.run).unwrap().0;
    // By number and start they are this very process and one that is dead; on their own host they may be anything.
    let dead = Process { pid: Process::me().pid, started: Process::me().started + 1 };
    let entries: Vec<Entry> = [(0, Process::me()), (1, dead), (7, Process::me())]
        .map(|(index, process)| Entry { index, id: hpo_core::WorkerId(index as u128), host: "elsewhere".into(), folder: None, process })
        .into();
    roster.replace(entries.clone()).unwrap();
    let local = case.start(2, "exec sleep 60").await;
    let started: Vec<Entry> = loop {
        let left = Roster::open(&case.run).unwrap().1;
        assert!(entries.iter().all(|entry| left.contains(entry)), "their own host may drive again: {left:?}");
        let started: Vec<Entry> = left.into_iter().filter(Entry::is_here).collect();
        if started.len() == 2 {
            break started;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // Neither adopted nor signalled: this process would not have survived the second.
    assert_eq!(local.roster.living().len(), 2);
    local.finish(false).await;
    for _ in 0..2 {
        let dead = case.dead().await;
        assert!(started.iter().any(|entry| entry.id == dead), "no proof of death for {dead}");
    }
}

#[test]
fn workers_get_the_time_that_their_trainers_may_take() {
    let leave = |grace_ms| LocalOptions::of_this_program(vec![], grace_ms).unwrap().leave;
    assert_eq!((leave(1_000), leave(600_000)), (Duration::from_secs(20), Duration::from_secs(615)));
}
