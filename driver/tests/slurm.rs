//! `hpo slurm`, whole, on a stand-in for Slurm's programs that goes wrong as it is told: drivers and workers are real processes. What
//! a real Slurm does is seen in tests/slurm, where there is one.
#![cfg(feature = "worker")]
// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hpo_tests::Scratch;

const SWEEP: &str = "
[sweep]
name = \"s\"
metric = \"loss\"
max_trials = 12
[space]
x = { uniform = [-5, 10] }
y = { uniform = [0, 15] }
[scheduler]
kind = \"asha-promote\"
max_resource = 9
[trial]
kind = \"synthetic\"
function = \"branin\"
pace = PACE
[slurm]
poll = \"1s\"
";

/// A cluster, a sweep file, and the run that comes of it.
struct Case {
    scratch: Scratch,
}

impl Case {
    fn new(pace: &str, slurm: &str) -> Self {
        let case = Self { scratch: Scratch::new() };
        fs::create_dir_all(case.path("bin")).unwrap();
        fs::create_dir_all(case.path("slurm/tasks")).unwrap();
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm/slurm.sh");
        for name in ["sbatch", "squeue", "scancel", "scontrol", "sinfo"] {
            symlink(&programs, case.path("bin").join(name)).unwrap();
        }
        fs::write(case.path("sweep.toml"), SWEEP.replace("PACE", pace) + slurm).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What is to go wrong.
    fn mood(&self, mood: &str) {
        fs::write(self.path("slurm/mood"), format!("{mood}\n")).unwrap();
    }

    fn hpo(&self, words: &[&str]) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        Command::new(env!("CARGO_BIN_EXE_hpo"))
            .args(words)
            .current_dir(self.scratch.path())
            .env("PATH", path)
            .env("FAKE_SLURM", self.path("slurm"))
            .output()
            .unwrap()
    }

    fn done(&self, words: &[&str]) -> String {
        let output = self.hpo(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn submit(&self) {
        self.done(&["slurm", "submit", "sweep.toml", "--run-dir", "run"]);
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(words)).unwrap()
    }

    fn wait_for(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            let log = fs::read_to_string(self.path("run/logs/driver.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(480), "{what} did not come; the driver said:\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The sweep has ended, its journal is sound, and no task is left.
    fn finished(&self) -> serde_json::Value {
        self.wait_for("the report", |case| case.path("run/report/report.html").exists());
        assert_eq!(self.json(&["verify", "run", "--json"])["ok"], true);
        // Nobody waits for that to read the report.
        self.wait_for("the end of all tasks", |case| case.alive() == 0);
        self.json(&["report", "run", "--json"])
    }

    /// Tasks that wait or run.
    fn alive(&self) -> u64 {
        let status = self.json(&["slurm", "status", "run", "--json"]);
        let workers = &status["workers"];
        ["pending", "running", "unknown"].iter().map(|state| workers[state].as_u64().unwrap()).sum()
    }

    fn has_no_driver(&self) -> bool {
        self.json(&["slurm", "status", "run", "--json"])["sweep"]["state"] == "stopped"
    }

    /// Tasks that were ever accepted.
    fn accepted(&self) -> usize {
        fs::read_dir(self.path("slurm/tasks")).unwrap().count()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        drop(self.hpo(&["slurm", "cancel", "run", "-q"]));
    }
}

#[test]
fn a_sweep_is_submitted_trained_and_reported_and_nothing_is_left() {
    let case = Case::new("0.01", "max_workers = 3");
    let dry = case.done(&["slurm", "submit", "sweep.toml", "--run-dir", "run", "--dry-run"]);
    assert!(dry.contains("#SBATCH --array=0-2\n") && !case.path("run").exists() && case.accepted() == 0, "{dry}");
    let dry = case.json(&["slurm", "submit", "sweep.toml", "--run-dir", "run", "--dry-run", "--json"]);
    let script = case.json(&["slurm", "script", "sweep.toml", "--run-dir", "run", "--json"]);
    assert_eq!((&dry["submitted"], &dry["tasks"], &dry["scripts"]), (&false.into(), &3.into(), &script["scripts"]), "{dry}");
    assert_eq!(script["scripts"][0]["name"], "workers.sbatch");
    assert!(script["scripts"][0]["text"].as_str().unwrap().contains("#SBATCH --array=0-2\n"), "{script}");
    case.submit();
    let report = case.finished();
    assert_eq!((&report["trials"]["total"], &report["trials"]["failed"]), (&12.into(), &0.into()), "{report}");
    assert_eq!(case.accepted(), 3);
    let again = case.hpo(&["slurm", "submit", "run"]);
    assert_eq!(again.status.code(), Some(2), "there is nothing to go on with: {again:?}");
}

#[test]
fn a_submission_whose_answer_is_lost_is_found_by_its_name_and_not_made_twice() {
    let case = Case::new("0.05", "max_workers = 2");
    case.mood("lose the answer");
    case.submit();
    case.finished();
    assert_eq!(case.accepted(), 2);
}

#[test]
fn a_site_that_takes_one_task_at_a_time_gets_one_at_a_time() {
    let case = Case::new("0.2", "max_workers = 2");
    case.mood("one at a time");
    case.submit();
    case.finished();
    assert!(case.path("slurm/tasks/1_0").exists() && !case.path("slurm/tasks/1_1").exists(), "the first array has one task");
}

#[test]
fn what_waits_is_cancelled_when_the_sweep_can_use_it_no_more() {
    let case = Case::new("0.01", "max_workers = 4");
    fs::write(case.path("slurm/capacity"), "1").unwrap();
    case.submit();
    case.finished();
    let cancelled = |index: u32| case.path(&format!("slurm/tasks/1_{index}/cancelled")).exists();
    assert!((1..4).all(cancelled) && !cancelled(0));
}

#[test]
fn a_sweep_that_is_drained_leaves_nothing_and_goes_on_when_it_is_submitted_again() {
    // Longer than several commands take.
    let case = Case::new("1.5", "max_workers = 2");
    case.submit();
    let training = |case: &Case| case.json(&["slurm", "status", "run", "--json"])["sweep"]["slots"]["busy"] == 2;
    case.wait_for("training", training);
    let scaled = case.json(&["slurm", "scale", "run", "2", "--json"]);
    assert_eq!((&scaled["max_workers"], &scaled["driver"]), (&2.into(), &true.into()), "{scaled}");
    let drained = case.json(&["slurm", "drain", "run", "--json"]);
    assert_eq!((&drained["drain"], &drained["driver"]), (&true.into(), &true.into()), "{drained}");
    case.wait_for("the end of all tasks", |case| case.alive() == 0);
    case.wait_for("the driver's end", Case::has_no_driver);
    let stopped = case.json(&["report", "run", "--json"]);
    assert_eq!((&stopped["trials"]["running"], &stopped["attempts"]["lost"]), (&0.into(), &0.into()), "{stopped}");
    fs::remove_dir_all(case.path("run/report")).unwrap();
    case.done(&["slurm", "submit", "run"]);
    let report = case.finished();
    assert_eq!((&report["trials"]["total"], &report["trials"]["failed"]), (&12.into(), &0.into()), "{report}");
}

#[test]
fn a_site_where_no_worker_starts_is_given_up_with_a_reason() {
    let case = Case::new("0.01", "max_workers = 2\nprologue = [\"exit 1\"]");
    case.submit();
    case.wait_for("the driver's end", Case::has_no_driver);
    let status = case.json(&["slurm", "status", "run", "--json"]);
    let why = status["gave_up"].as_str().unwrap();
    assert!(why.contains("ended before they had joined") && why.contains("doctor"), "{status}");
    let cancelled = case.json(&["slurm", "cancel", "run", "--json"]);
    assert_eq!((&cancelled["cancelled"], &cancelled["ended"]), (&true.into(), &false.into()), "{cancelled}");
    assert!(case.accepted() <= 8, "no endless stream of tasks: {}", case.accepted());
}
