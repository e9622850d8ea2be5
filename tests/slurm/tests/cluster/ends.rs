//! Jobs that end: by their time limit, by preemption, by `scancel`.
use std::collections::{BTreeMap, BTreeSet};

use hpo_slurm::{Slurm, within};

use crate::sweep::{LEASE, Sweep, synthetic};

/// How often each element's workers joined.
fn starts(sweep: &Sweep) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for job in sweep.joined() {
        *starts.entry(job).or_insert(0) += 1;
    }
    starts
}

/// Epochs that were reported more than once.
fn reported_again(sweep: &Sweep) -> usize {
    let reports = sweep.events("reported");
    let different: BTreeSet<_> = reports.iter().map(|record| (record["trial"].as_u64(), record["resource"].as_u64())).collect();
    reports.len() - different.len()
}

#[test]
fn a_sweep_of_three_minutes_ends_by_itself_on_workers_that_may_live_for_one() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    // 112 seconds of training for each of two workers, which leave 45 seconds after their start.
    let sweep = Sweep::new(&slurm, &synthetic(8, 28));
    let mut driver = sweep.driver();
    let array = sweep.workers(&["--array=0-1", "--time=1", "--signal=B:USR2@10", "--requeue"], "--slots 1 --no-gpu --requeue");
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(8);
    assert_eq!(report["attempts"]["lost"], 0, "all left in good order: {report}");
    // What is trained again is what an epoch was in the middle of, once for each leave.
    let leaves = report["attempts"]["preempted"].as_u64().unwrap();
    let redone = report["hours"]["redone"].as_f64().unwrap() * 3600.0;
    assert!(leaves >= 4 && redone < 4.0 * leaves as f64, "{leaves} leaves, {redone} s again: {report}");
    assert_eq!(reported_again(&sweep), 0, "whole epochs are kept");
    // One of the two has the array's own number as its job number: `scontrol requeue` of that would restart both.
    let starts = starts(&sweep);
    assert_eq!(starts.keys().collect::<Vec<_>>(), [&format!("{array}_0"), &format!("{array}_1")]);
    let requeued = sweep.printed().matches("is in the queue again").count();
    // One that was put back when the other was about to end the sweep finds it over and does not join.
    let joined = starts.values().sum::<usize>();
    assert!((requeued + 1..=requeued + 2).contains(&joined), "each came back for its own leave alone, {requeued} in all: {starts:?}");
    assert!(starts.values().all(|starts| *starts >= 3), "{starts:?}");
    sweep.queue_is_empty();
}

#[test]
fn preemption_moves_only_its_victims_and_is_nobodys_failure() {
    let Some(slurm) = Slurm::up(2, 2, "") else { return };
    let sweep = Sweep::new(&slurm, &synthetic(8, 24));
    let mut driver = sweep.driver();
    sweep.workers(
        &["--array=0-3", "--partition=low", "--gres=gpu:1", "--time=10", "--signal=B:USR2@30", "--requeue"],
        "--slots 1 --requeue",
    );
    sweep.wait_for("four workers at work", |sweep| sweep.events("started").len() >= 4);
    let slots: Vec<_> = sweep.events("worker_joined").iter().map(|record| record["slots"][0]["milli_gpus"].clone()).collect();
    assert_eq!(slots, vec![serde_json::json!(1000); 4], "each was given its GPU");
    let urgent = sweep.submit(&["--partition=high", "--gres=gpu:2", "--time=1"], "sleep 15");
    sweep.wait_for("the leave of two", |sweep| sweep.events("worker_left").len() >= 2);
    within(hpo_slurm::PATIENCE, "the urgent job", || slurm.ended().iter().find(|job| job.field("JobId") == urgent).map(drop));
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(8);
    assert_eq!(
        (&report["attempts"]["preempted"], &report["attempts"]["lost"]),
        (&2.into(), &0.into()),
        "the victims' trials moved, and no other: {report}"
    );
    let mut starts: Vec<usize> = starts(&sweep).into_values().collect();
    starts.sort_unstable();
    assert_eq!(starts, [1, 1, 2, 2], "the victims came back when the urgent job was over");
}

#[test]
fn a_signal_to_all_processes_of_a_job_costs_no_training() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &synthetic(4, 8));
    let mut driver = sweep.driver();
    let array = sweep.workers(&["--array=0-1"], "--slots 1 --no-gpu");
    sweep.wait_for("two workers at work", |sweep| sweep.events("started").len() >= 2);
    sweep.wait_for_reports(4);
    // SIGCONT and SIGTERM to the worker and to its trainer, at the same time.
    let _ = slurm.ask("scancel", &[&format!("{array}_0")]);
    sweep.wait_for("its leave", |sweep| sweep.events("worker_left").len() == 1);
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(4);
    assert_eq!((&report["attempts"]["preempted"], &report["attempts"]["lost"]), (&1.into(), &0.into()), "{report}");
    // What it was in the middle of; a machine may take its time for that.
    assert!(report["hours"]["redone"].as_f64().unwrap() * 3600.0 < 8.0, "{report}");
    assert_eq!(reported_again(&sweep), 0, "whole epochs are kept");
}

#[test]
fn a_program_that_dies_of_the_jobs_signal_has_not_failed() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    // It knows nothing of us, ends with a code of its own on SIGTERM, and is allowed no retry.
    let script = "trap 'exit 1' TERM; for unit in $(seq 6); do sleep 1 & wait; echo loss=$unit; done";
    let trial = format!("kind = \"command\"\ncommand = [\"bash\", \"-c\", \"{script}\"]\nmetric_pattern = 'loss=(\\S+)'\nretries = 0\n");
    let file = synthetic(3, 6);
    let (head, tail) = (file.split("[trial]").next().unwrap(), file.split("[workers]").nth(1).unwrap());
    let sweep = Sweep::new(&slurm, &format!("{head}[trial]\n{trial}\n[workers]{tail}"));
    let mut driver = sweep.driver();
    let first = sweep.workers(&[], "--slots 1 --no-gpu");
    sweep.wait_for_reports(3);
    let _ = slurm.ask("scancel", &[&first]);
    sweep.wait_for("its leave", |sweep| sweep.events("worker_left").len() == 1);
    sweep.workers(&[], "--slots 1 --no-gpu");
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(3);
    assert_eq!((&report["attempts"]["preempted"], &report["attempts"]["lost"]), (&1.into(), &0.into()), "{report}");
}

#[test]
fn an_idle_worker_gives_its_allocation_back() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &synthetic(1, 60));
    let mut driver = sweep.driver();
    sweep.workers(&["--array=0-1"], "--slots 1 --no-gpu --idle-limit 6s");
    sweep.wait_for("the leave of the one that has nothing to do", |sweep| sweep.events("worker_left").len() == 1);
    assert!(sweep.events("reached").is_empty() && LEASE.as_secs() < 60, "while the other one trains");
    assert_eq!(driver.code(), Some(0), "{}\n{}", driver.said(), sweep.printed());
    let report = sweep.audit(1);
    assert_eq!(report["attempts"]["preempted"], 0, "{report}");
}
