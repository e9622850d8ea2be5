//! What dies without a word: nodes, Slurm's daemons, its controller.
use std::time::{Duration, Instant};

use hpo_slurm::{Slurm, within};

use crate::slow::lives;
use crate::submit::file;
use crate::sweep::{LEASE, Sweep, synthetic};

#[test]
fn a_dead_node_is_noticed_before_slurm_does_and_its_trial_goes_on_elsewhere() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &synthetic(6, 12));
    let mut driver = sweep.driver();
    sweep.workers(&["--array=0-1", "--exclusive", "--requeue"], "--slots 1 --no-gpu");
    sweep.wait_for("two workers at work", |sweep| sweep.events("started").len() >= 2);
    sweep.wait_for_reports(4);
    slurm.must(&["kill-node", "n2"]);
    let killed = Instant::now();
    sweep.wait_for("its loss", |sweep| sweep.events("worker_lost").len() == 1);
    let noticed = killed.elapsed();
    assert!(noticed < LEASE * 2, "{noticed:?}");
    let state = slurm.ask("sinfo", &["--noheader", "--nodes=n2", "--format=%T"]);
    assert!(!state.contains("down"), "Slurm does not know yet: {state}");
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(6);
    assert_eq!((&report["attempts"]["lost"], &report["attempts"]["preempted"]), (&1.into(), &0.into()), "{report}");
}

#[test]
fn two_copies_of_one_array_element_work_side_by_side_and_count_once() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &synthetic(6, 12));
    let mut driver = sweep.driver();
    sweep.workers(&["--array=0-0", "--nodelist=n1", "--requeue"], "--slots 1 --no-gpu");
    sweep.wait_for("a worker at work", |sweep| !sweep.events("started").is_empty());
    // Slurm believes the node dead and starts the element anew elsewhere, but its processes live.
    slurm.must(&["kill-daemon", "n1"]);
    let _ = slurm.ask("scontrol", &["update", "NodeName=n1", "State=DOWN", "Reason=test"]);
    let queue = |format: &str| slurm.ask("squeue", &["--noheader", "--array", "--format", format]);
    within(hpo_slurm::PATIENCE, "the element in the queue again", || queue("%T").contains("PENDING").then_some(()));
    let waiting = queue("%i");
    let _ = slurm.ask("scontrol", &["update", &format!("JobId={}", waiting.trim()), "ReqNodeList=n2"]);
    sweep.wait_for("its second copy", |sweep| sweep.joined().len() == 2);
    let joined = sweep.joined();
    assert_eq!(joined[0], joined[1], "one name, two identities");
    assert!(sweep.events("worker_left").is_empty() && sweep.events("worker_lost").is_empty(), "both are at work");
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(6);
    assert_eq!((&report["attempts"]["lost"], &report["attempts"]["preempted"]), (&0.into(), &0.into()), "{report}");
    let mut slots: Vec<_> = sweep.journal().iter().flat_map(leases).collect();
    slots.sort();
    slots.dedup();
    assert_eq!(slots.len(), 2, "both trained: {slots:?}");
}

/// The workers to which a record's decisions leased something.
fn leases(record: &serde_json::Value) -> Vec<String> {
    let acts = record["acts"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
    acts.filter(|act| act.starts_with("lease ")).filter_map(|act| act.split(" on ").nth(1).map(str::to_owned)).collect()
}

#[test]
fn a_sweep_goes_on_while_the_controller_is_down() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &synthetic(6, 20));
    let mut driver = sweep.driver();
    sweep.workers(&["--array=0-1"], "--slots 1 --no-gpu");
    sweep.wait_for("two workers at work", |sweep| sweep.events("started").len() >= 2);
    slurm.remembers();
    slurm.must(&["kill-controller"]);
    let before = sweep.events("reported").len();
    std::thread::sleep(Duration::from_secs(30));
    let after = sweep.events("reported").len();
    assert!(after > before + 20, "{before} reports, then {after}");
    slurm.must(&["start-controller"]);
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(6);
    assert_eq!((&report["attempts"]["lost"], &report["attempts"]["preempted"]), (&0.into(), &0.into()), "{report}");
    sweep.queue_is_empty();
}

#[test]
fn a_controller_that_dies_after_a_submission_may_forget_or_repeat_jobs_and_the_sweep_ends() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &synthetic(6, 10));
    let mut driver = sweep.driver();
    sweep.workers(&["--array=0-2", "--requeue"], "--slots 1 --no-gpu");
    std::thread::sleep(Duration::from_secs(1));
    slurm.must(&["kill-controller"]);
    std::thread::sleep(Duration::from_secs(3));
    slurm.must(&["start-controller"]);
    // Whatever has become of those, the next array may have their numbers.
    sweep.workers(&["--array=0-1", "--requeue"], "--slots 1 --no-gpu");
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    sweep.audit(6);
}

#[test]
fn a_driver_whose_run_folder_and_cluster_are_gone_does_not_wait_for_them() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(6, 20, "time = \"10m\"\nmax_workers = 2"));
    let submit = sweep.command(sweep.program(), &["slurm", "submit", "sweep.toml", "--run-dir", "run"]).output().unwrap();
    assert!(submit.status.success(), "{}", String::from_utf8_lossy(&submit.stderr));
    sweep.wait_for("two workers at work", |sweep| sweep.events("started").len() >= 2);
    let rendezvous: serde_json::Value = serde_json::from_slice(&std::fs::read(sweep.path("run/rendezvous.json")).unwrap()).unwrap();
    slurm.must(&["kill-controller"]);
    let gone = Instant::now();
    std::fs::rename(sweep.path("run"), sweep.path("elsewhere")).unwrap();
    sweep.wait_for("the driver's end", |_| !lives(&rendezvous["pid"]));
    // Where there is a run folder, tasks of a controller that is away are waited for up to half an hour.
    assert!(gone.elapsed() < Duration::from_secs(300), "{:?}", gone.elapsed());
    let logs = std::fs::read_dir(sweep.path("elsewhere/logs")).unwrap().flatten();
    let said: String = logs.map(|log| std::fs::read_to_string(log.path()).unwrap_or_default()).collect();
    assert!(said.contains("was removed, emptied or moved"), "{said}");
}
