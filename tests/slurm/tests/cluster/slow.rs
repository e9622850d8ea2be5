//! A Slurm that takes its time.
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use hpo_slurm::Slurm;
use serde_json::Value;

use crate::submit::file;
use crate::sweep::Sweep;

/// Where the real one is.
fn real() -> String {
    let found = Command::new("sh").args(["-c", "command -v sbatch"]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

/// A `sbatch` before the real one on the PATH, which submits at once and says so after so many seconds.
fn answers_late(sweep: &Sweep, seconds: u32) -> String {
    let (real, path) = (real(), std::env::var("PATH").unwrap());
    let (folder, answered) = (sweep.path("slow"), sweep.path("answered"));
    std::fs::create_dir(&folder).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" --test-only \"*) exec {real} \"$@\" ;; esac\n\
         answer=$({real} \"$@\") || exit\nsleep {seconds}\n: > '{}'\necho \"$answer\"\n",
        answered.display()
    );
    std::fs::write(folder.join("sbatch"), script).unwrap();
    std::fs::set_permissions(folder.join("sbatch"), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{path}", folder.display())
}

/// Whether there is such a process, and not only its name until somebody asks how it ended.
fn lives(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, state)| !state.trim_start().starts_with('Z'))
}

#[test]
fn a_sweep_that_ends_before_sbatch_has_answered_has_its_report_at_once_and_its_driver_waits_for_no_more_than_the_answer() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(2, 5, "time = \"10m\"\nmax_workers = 2"));
    let path = answers_late(&sweep, 25);
    // It waits for the answer, too, to say what to watch.
    let mut submit =
        sweep.command(sweep.program(), &["slurm", "submit", "sweep.toml", "--run-dir", "run"]).env("PATH", path).spawn().unwrap();
    let rendezvous = sweep.path("run/rendezvous.json");
    sweep.wait_for("a driver", |_| rendezvous.exists());
    let rendezvous: Value = serde_json::from_slice(&std::fs::read(rendezvous).unwrap()).unwrap();
    sweep.wait_for("the report", |sweep| sweep.path("run/report/report.html").exists());
    assert!(!sweep.path("answered").exists(), "this machine was too slow for the test to tell anything");
    let reported = Instant::now();
    sweep.wait_for("the driver's end", |_| !lives(&rendezvous["pid"]));
    assert!(reported.elapsed() < Duration::from_secs(90), "it was in doubt: {:?}", reported.elapsed());
    assert!(submit.wait().unwrap().success());
    sweep.queue_is_empty();
    sweep.audit(2);
}
