//! `kill -9`, in the middle, for real.
use hpo_driver::process::Process;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::failover;
use crate::world::{World, about, acts, agents, files, hit, long_sweep, trainers};

fn reported(records: &[Value]) -> usize {
    records.iter().filter(|record| record["event"] == "reported").count()
}

/// Attempts that have a lease and have neither reached its end nor ended.
pub(crate) fn live(records: &[Value]) -> Vec<(u64, u64)> {
    let mut live = vec![];
    for record in records {
        for act in acts(record) {
            if let Some(lease) = act.strip_prefix("lease ") {
                let (trial, rest) = lease.split_once('.').unwrap();
                let attempt = rest.split(' ').next().unwrap();
                live.push((trial.parse().unwrap(), attempt.parse().unwrap()));
            }
        }
        if record["event"] == "reached" || record["event"] == "ended" {
            let over = about(record).unwrap();
            live.retain(|held| *held != over);
        }
    }
    live
}

#[test]
fn a_killed_driver_costs_no_training_and_no_report() {
    let world = World::new(&long_sweep());
    let mut driver = world.start();
    world.wait_for("a report of a running trial", |records| reported(records) >= 3 && live(records).len() == 2);
    driver.signal(Signal::SIGKILL);
    driver.code();
    let before = world.journal();
    let running = live(&before);
    let workers = agents(&world);
    assert_eq!(workers.len(), 2, "the workers live on");
    // They train to the ends of their leases and put the states into the store, of which nobody hears for now.
    world.wait_until("the states of what was trained without a driver", || world.unheard_states(&before) >= running.len());
    assert_eq!(agents(&world), workers);
    let output = world.done(&["resume", "run"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report = world.audit();
    assert_eq!(report["attempts"]["lost"], 0, "nobody was declared dead: {report}");
    assert_eq!(report["attempts"]["preempted"], 0);
    assert_eq!(report["hours"]["redone"], 0.0, "no GPU-second was lost: {report}");
    // The very attempts that ran when the driver died went on to the end of their leases.
    let reached: Vec<_> = world.events("reached").iter().filter_map(about).collect();
    assert!(!running.is_empty() && running.iter().all(|held| reached.contains(held)), "{running:?} in {reached:?}");
    // And had come there before the next driver: what is said late is said with its time.
    let records = world.journal();
    let at = |record: &Value| record["at"].as_u64().unwrap();
    let back = at(records[before.len()..].iter().find(|record| record["event"] == "worker_joined").unwrap());
    for (trial, attempt) in running {
        let lease = format!("lease {trial}.{attempt} ");
        let leased = at(records.iter().find(|record| acts(record).any(|act| act.starts_with(&lease))).unwrap());
        let end = records.iter().find(|record| record["event"] == "reached" && about(record) == Some((trial, attempt))).unwrap();
        assert!(leased + end["after_ms"].as_u64().unwrap() < back, "leased at {leased}, the driver was back at {back}: {end}");
    }
}

#[test]
fn a_killed_agent_loses_its_lease_and_the_trial_goes_on_elsewhere() {
    let world = World::new(&long_sweep());
    let mut driver = world.start();
    // A promoted trial has just begun: it has a checkpoint behind it, and epochs before it.
    let promoted = |records: &[Value]| {
        let mut live = live(records);
        live.retain(|held| records.iter().all(|record| record["event"] != "reported" || about(record) != Some(*held)));
        records.iter().flat_map(acts).find_map(|act| {
            let held = live.iter().find(|(trial, attempt)| act.starts_with(&format!("lease {trial}.{attempt} ")))?;
            (!act.contains(" 0..")).then_some((*held, act.to_owned()))
        })
    };
    let mut children = vec![];
    // Its lease may end in the very moment of the kill: then another is hit, for the agent is replaced.
    let hit_in_the_middle = || {
        let ((trial, attempt), act) = world.find("a promoted trial", || promoted(&world.journal()));
        let slot = act.split(" on ").nth(1).unwrap().split('/').next().unwrap();
        let its_own = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(slot));
        let agent = agents(&world).into_iter().find(its_own).unwrap();
        children.extend(trainers(agent).into_iter().map(|pid| Process::of(pid as i32)));
        hit(agent, Signal::SIGKILL);
        let is_its_loss = |record: &Value| record["event"] == "worker_lost" && record["worker"].as_str().unwrap().starts_with(slot);
        let before = world.find("its loss", || {
            let mut records = world.journal();
            records.truncate(records.iter().position(is_its_loss)?);
            Some(records)
        });
        live(&before).contains(&(trial, attempt)).then(|| (trial, attempt, act.split(' ').nth(2).unwrap().to_owned()))
    };
    let (trial, attempt, range) = std::iter::repeat_with(hit_in_the_middle).flatten().next().unwrap();
    assert_eq!(driver.code(), Some(0), "{}", world.said());
    assert!(children.iter().all(|trainer| !trainer.is_alive()), "no trainer outlives its agent");
    let report = world.audit();
    assert!(report["attempts"]["lost"].as_u64().unwrap() >= 1, "{report}");
    assert_eq!(report["trials"]["failed"], 0, "a lost attempt is not a failure");
    assert_eq!(report["attempts"]["failed"], 0);
    // The trial went on from its checkpoint, not from the start.
    let next = format!("lease {trial}.{} {range} ", attempt + 1);
    assert!(world.journal().iter().flat_map(acts).any(|act| act.starts_with(&next)), "{next}");
}

#[test]
fn a_killed_trainer_is_replaced_and_no_retry_is_spent() {
    let world = World::new(&long_sweep());
    let mut driver = world.start();
    world.wait_for("reports", |records| reported(records) >= 3 && live(records).len() == 2);
    let killed: Vec<u32> = agents(&world).into_iter().flat_map(trainers).collect();
    assert!(!killed.is_empty());
    for trainer in killed {
        hit(trainer, Signal::SIGKILL);
    }
    assert_eq!(driver.code(), Some(0), "{}", world.said());
    let report = world.audit();
    assert!(report["attempts"]["lost"].as_u64().unwrap() >= 1, "{report}");
    assert_eq!((&report["trials"]["failed"], &report["attempts"]["failed"]), (&0.into(), &0.into()));
}

#[test]
fn ctrl_c_ends_cleanly_and_the_sweep_goes_on_later() {
    let world = World::new(&long_sweep().replace("max_trials", "wall = \"30 days\"\nmax_trials"));
    let mut driver = world.start();
    world.wait_for("reports", |records| reported(records) >= 3);
    driver.signal(Signal::SIGINT);
    assert_eq!(driver.code(), Some(4), "{}", world.said());
    assert!(["`hpo resume run`", "its `wall` runs on meanwhile"].iter().all(|words| world.said().contains(words)), "{}", world.said());
    assert_eq!(agents(&world), Vec::<u32>::new(), "no worker is left behind");
    let status = world.json(&["status", "run", "--json"]);
    assert_ne!(status["state"], "finished");
    let output = world.done(&["resume", "run"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report = world.audit();
    assert_eq!(report["attempts"]["lost"], 0, "{report}");
    assert_eq!(report["attempts"]["failed"], 0, "{report}");
    assert_eq!(report["state"], "finished");
}

#[test]
fn a_torn_journal_tail_is_cut_and_the_rest_counts() {
    let world = World::new(failover::SWEEP);
    let mut driver = world.start();
    world.wait_for("reports", |records| reported(records) >= 2);
    driver.signal(Signal::SIGINT);
    assert_eq!(driver.code(), Some(4), "{}", world.said());
    let path = world.run_dir().join("journal.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let records = world.journal().len();
    std::fs::write(&path, format!("{whole}{{\"seq\":99999,\"at\":1,\"eve")).unwrap();
    let output = world.done(&["resume", "run"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(world.journal().len() > records);
    world.audit();
}

#[test]
fn a_second_driver_on_the_same_run_is_refused_and_harms_nothing() {
    let world = World::new(failover::SWEEP);
    let mut driver = world.start();
    world.wait_for("reports", |records| reported(records) >= 1);
    let second = world.done(&["resume", "run"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains(&driver.pid().to_string()), "it names the driver that is alive: {said}");
    assert_eq!(driver.code(), Some(0), "{}", world.said());
    world.audit();
}

#[test]
fn a_damaged_checkpoint_is_noticed_and_the_trial_goes_on_without_it() {
    let world = World::new(&long_sweep());
    let mut driver = world.start();
    world.wait_for("a checkpoint", |records| records.iter().filter(|record| record["event"] == "reached").count() >= 2);
    driver.signal(Signal::SIGINT);
    assert_eq!(driver.code(), Some(4), "{}", world.said());
    let mut damaged = 0;
    for file in files(&world.run_dir().join("checkpoints")) {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        damaged += 1;
    }
    assert!(damaged >= 2);
    let output = world.done(&["resume", "run"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report = world.audit();
    assert_eq!(report["trials"]["failed"], 0, "{report}");
    assert!(world.events("ended").iter().any(|record| record["how"]["kind"] == "checkpoint"), "it was noticed");
}

#[test]
fn a_journal_that_lost_lines_which_were_on_disk_costs_training_and_not_the_sweep() {
    let world = World::new(&long_sweep());
    let mut first = world.background(&["driver", "sweep.toml", "--run-dir", "run"]);
    world.wait_for("the rendezvous", |_| world.run_dir().join("rendezvous.json").exists());
    let mut worker = world.background(&["worker", "--run-dir", "run", "--slots", "2", "--no-gpu"]);
    world.wait_for("some trials", |records| records.iter().filter(|record| record["event"] == "reached").count() >= 4);
    hit(first.pid(), Signal::SIGKILL);
    first.code();
    // A disk that lies about what is safe, or a file that was put back: words are gone that the worker holds for safe.
    let journal = world.run_dir().join("journal.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let last_but_one = lines.iter().enumerate().filter(|(_, line)| line.contains(r#""event":"reached""#)).rev().nth(1).unwrap().0;
    std::fs::write(&journal, lines[..last_but_one].concat()).unwrap();
    let second = world.done(&["driver", "run"]);
    assert_eq!(second.status.code(), Some(0), "{}", String::from_utf8_lossy(&second.stderr));
    assert_eq!(worker.code(), Some(0));
    let report = world.audit();
    assert_eq!((&report["trials"]["total"], &report["trials"]["failed"]), (&18.into(), &0.into()), "{report}");
}
