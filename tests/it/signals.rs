//! What signals do to drivers and workers. Above all to drivers that do not listen yet: a long journal is read first, and a batch
//! system does not wait for that.
use std::time::{Duration, Instant};

use hpo_core::sweep::event::Slot;
use hpo_core::{Event, WorkerId};
use hpo_driver::journal::{Fence, Journal, Record, Writer, decisions, replay};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::world::{PATIENCE, Running, World, acts};

const SWEEP: &str = r#"
[sweep]
name = "signals"
seed = 5
metric = "loss"
max_trials = 2

[space]
lr = { log_uniform = [1e-3, 3e-2] }

[scheduler]
kind = "fifo"
max_resource = 2

[trial]
kind = "command"
command = ["true"]

[workers]
local = 1
"#;

/// Workers that came and went: the better part of a second to read in a test's build, and more on a busy machine.
const VISITS: u128 = 60_000;

/// A run whose driver was killed, with a long journal.
fn long_run() -> World {
    // Its trials last for longer than any driver that was told to stop too late.
    let world = World::new(&SWEEP.replace("[\"true\"]", "[\"sleep\", \"1000\"]"));
    let mut first = world.background(&["driver", "sweep.toml", "--run-dir", "run", "--listen", "127.0.0.1:0"]);
    world.wait_for("the driver", |records| !records.is_empty());
    first.signal(Signal::SIGKILL);
    first.code();
    let journal = world.run_dir().join("journal.jsonl");
    let replayed = replay(&journal).unwrap();
    let mut writer = Writer::resume(&journal, &replayed, Fence::claim(&world.run_dir(), 1).unwrap()).unwrap();
    let slots = vec![Slot { name: "cpu core".to_owned(), milli_gpus: 0 }];
    let visits = (0..VISITS).map(WorkerId).flat_map(|worker| {
        [
            Event::WorkerJoined {
                worker,
                name: "visitor".to_owned(),
                slots: slots.clone(),
                holds: vec![],
                allocation: None,
                leaving: false,
            },
            Event::WorkerLeft { worker },
        ]
    });
    let (mut sweep, at, mut actions) = (replayed.sweep, replayed.last_at, vec![]);
    let record = |(seq, event)| {
        actions.clear();
        sweep.apply(at, &event, &mut actions);
        Record { seq, at, acts: decisions(&actions), event }
    };
    writer.append(&(replayed.records + 1..).zip(visits).map(record).collect::<Vec<_>>()).unwrap();
    writer.sync().unwrap();
    world
}

/// Starts a driver on it and waits until it has claimed the run, which it does before it reads the journal.
fn claimed(world: &World, words: &[&str]) -> Running {
    let claims = || std::fs::read_dir(world.run_dir()).unwrap().flatten().filter(|entry| is_claim(&entry.file_name())).count();
    let before = claims();
    let driver = world.background(words);
    let begun = Instant::now();
    while claims() == before {
        assert!(begun.elapsed() < PATIENCE, "{}", world.said());
        std::thread::sleep(Duration::from_millis(2));
    }
    driver
}

fn is_claim(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.strip_prefix("driver-epoch-").is_some_and(|epoch| epoch.parse::<u32>().is_ok()))
}

/// So many drivers are tried: one may have read its journal before we can say anything to it.
const TRIES: usize = 20;

/// What a driver said that was told to stop while it read its journal, and how many had driven before it.
fn told_while_it_reads(world: &World, words: &[&str], told: impl Fn(&mut Running) -> Option<i32>, answer: &str) -> (String, usize) {
    for _ in 0..TRIES {
        let _ = std::fs::remove_file(world.path("said.log"));
        let before = drivers(world);
        let mut running = claimed(world, words);
        let code = told(&mut running);
        let said = world.said();
        assert_eq!(code, Some(4), "{words:?}: {said}");
        if said.contains(answer) {
            return (said, before);
        }
        assert_eq!(drivers(world), before + 1, "it neither answered nor was it too late: {said}");
    }
    panic!("{TRIES} drivers read their journal before they could be told anything");
}

/// Drivers that have written to the journal.
fn drivers(world: &World) -> usize {
    let text = std::fs::read_to_string(world.run_dir().join("journal.jsonl")).unwrap();
    text.lines().filter(|line| line.contains(r#""event":"driver_started""#)).count()
}

#[test]
fn a_driver_that_still_reads_its_journal_heeds_signals_and_can_be_resumed() {
    let world = long_run();
    let driver: &[&str] = &["driver", "run", "--listen", "127.0.0.1:0"];
    let resume: &[&str] = &["resume", "run"];
    for (words, signal) in [(driver, Signal::SIGTERM), (driver, Signal::SIGINT), (resume, Signal::SIGTERM), (resume, Signal::SIGINT)] {
        let told = |running: &mut Running| {
            running.signal(signal);
            running.code()
        };
        // Said only by a driver that does not listen yet.
        let (said, before) = told_while_it_reads(&world, words, told, "stopping as soon as the journal is read");
        assert_eq!(drivers(&world), before + 1, "{words:?} {signal}: it ended in good order, after its start: {said}");
    }
    let verified = world.json(&["verify", "run", "--json"]);
    assert_eq!(verified["ok"], true, "{verified}");
}

#[test]
fn a_driver_that_is_told_twice_to_stop_does_not_read_its_journal_to_the_end() {
    let world = long_run();
    let words = ["driver", "run", "--listen", "127.0.0.1:0"];
    let told = |running: &mut Running| {
        running.signal(Signal::SIGINT);
        let begun = Instant::now();
        while !world.said().contains("stopping") && running.ended().is_none() {
            assert!(begun.elapsed() < PATIENCE, "{}", world.said());
            std::thread::sleep(Duration::from_millis(2));
        }
        running.signal(Signal::SIGINT);
        running.code()
    };
    let (said, before) = told_while_it_reads(&world, &words, told, "stopped before the driver listened");
    assert!(said.contains("stopping as soon as the journal is read"), "{said}");
    assert_eq!(drivers(&world), before, "{said}");
    // It did not end in good order, and is believed dead because its process is.
    let before = world.said().len();
    let mut next = world.background(&["driver", "run", "--listen", "127.0.0.1:0"]);
    world.wait_until("the next driver", || world.said()[before..].contains("listening on"));
    next.signal(Signal::SIGTERM);
    assert_eq!(next.code(), Some(4), "{}", world.said());
    assert_eq!(world.json(&["verify", "run", "--json"])["ok"], true);
}

#[test]
fn a_worker_that_is_told_to_leave_says_goodbye_and_was_cut_short() {
    let world = World::new(&SWEEP.replace("[\"true\"]", "[\"sleep\", \"1000\"]"));
    let mut driver = world.background(&["driver", "sweep.toml", "--run-dir", "run", "--listen", "127.0.0.1:0"]);
    world.wait_until("the driver", || world.run_dir().join("rendezvous.json").exists());
    for (before, signal) in [Signal::SIGTERM, Signal::SIGUSR2, Signal::SIGINT].into_iter().enumerate() {
        let mut worker = world.logged("worker.log", world.hpo(&["worker", "--run-dir", "run", "--slots", "1", "--no-gpu"]));
        let joined = |record: &Value| record["event"] == "worker_joined";
        let is_lease = |record: &Value| acts(record).any(|act| act.starts_with("lease"));
        world.wait_for("its lease", |records| {
            let its_own = records.iter().filter(|record| joined(record)).nth(before).map(|record| &record["seq"]);
            its_own.is_some_and(|seq| records.iter().any(|record| record["seq"].as_u64() >= seq.as_u64() && is_lease(record)))
        });
        worker.signal(signal);
        assert_eq!(worker.code(), Some(4), "{signal}: {}", std::fs::read_to_string(world.path("worker.log")).unwrap());
        let left = |records: &[Value]| records.iter().filter(|record| record["event"] == "worker_left").count();
        world.wait_for("the goodbye", |records| left(records) == before + 1);
    }
    driver.signal(Signal::SIGINT);
    assert_eq!(driver.code(), Some(4), "{}", world.said());
}

#[test]
fn a_terminal_that_is_closed_suspends_a_sweep_but_not_one_under_nohup() {
    let world = World::new(&SWEEP.replace("[\"true\"]", "[\"sleep\", \"1000\"]"));
    let leased = |records: &[Value]| records.iter().any(|record| acts(record).any(|act| act.starts_with("lease")));
    let mut spared = world.background_behind(&["nohup".to_owned()], &["run", "sweep.toml", "--run-dir", "run"]);
    world.wait_for("a lease", leased);
    let asked = |records: &[Value]| records.iter().filter(|record| record["event"] == "drain_asked").count();
    spared.signal(Signal::SIGHUP);
    // A hang-up that is heeded is in the journal within milliseconds.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(asked(&world.journal()), 0, "{}", world.said());
    spared.signal(Signal::SIGINT);
    assert_eq!(spared.code(), Some(4), "{}", world.said());
    world.wait_for("the word of the second signal", |records| asked(records) == 1);
    // Whoever runs these tests may do so under `nohup`.
    let mut resumed = world.background_behind(&["env".to_owned(), "--default-signal=HUP".to_owned()], &["resume", "run"]);
    world.wait_for("another lease", |records| records.iter().filter(|record| record["event"] == "worker_joined").count() == 2);
    resumed.signal(Signal::SIGHUP);
    assert_eq!(resumed.code(), Some(4), "{}", world.said());
    world.wait_for("the word of the hang-up", |records| asked(records) == 2);
}

#[test]
fn a_sweep_goes_on_when_nobody_reads_what_it_says() {
    let trial = "kind = \"synthetic\"\nfunction = \"branin\"\nseconds = 0.1\npace = 1.0";
    let space = "x1 = { uniform = [-5.0, 10.0] }\nx2 = { uniform = [0.0, 15.0] }";
    let sweep = SWEEP.replace("kind = \"command\"\ncommand = [\"true\"]", trial).replace("lr = { log_uniform = [1e-3, 3e-2] }", space);
    let world = World::new(&sweep);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (also, log) = (writer.try_clone().unwrap(), ["run", "sweep.toml", "--run-dir", "run", "-vv"]);
    let mut run = world.hpo(&log).stdout(also).stderr(writer).spawn().unwrap();
    world.wait_until("the report", || world.run_dir().join("report/report.md").exists());
    assert_eq!(run.wait().unwrap().code(), Some(0));
}
