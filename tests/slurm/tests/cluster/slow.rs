//! A Slurm that takes its time.
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
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

/// A `sbatch` before the real one on the PATH, which does these lines of shell for a submission; `$real` is the real one.
fn another(sweep: &Sweep, lines: &str) -> String {
    let (real, path, folder) = (real(), std::env::var("PATH").unwrap(), sweep.path("slow"));
    std::fs::create_dir(&folder).unwrap();
    let script = format!("#!/bin/sh\nreal={real}\ncase \" $* \" in *\" --test-only \"*) exec $real \"$@\" ;; esac\n{lines}\n");
    std::fs::write(folder.join("sbatch"), script).unwrap();
    std::fs::set_permissions(folder.join("sbatch"), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{path}", folder.display())
}

/// Whether there is such a process, and not only its name until somebody asks how it ended.
pub(crate) fn lives(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, state)| !state.trim_start().starts_with('Z'))
}

/// Submits a sweep with that `sbatch`; the driver's process.
fn submitted(sweep: &Sweep, path: &str) -> (Child, Value) {
    // It waits for the answer, too, to say what to watch.
    let submit = sweep.command(sweep.program(), &["slurm", "submit", "sweep.toml", "--run-dir", "run"]).env("PATH", path).spawn().unwrap();
    let rendezvous = sweep.path("run/rendezvous.json");
    sweep.wait_for("a driver", |_| rendezvous.exists());
    let rendezvous: Value = serde_json::from_slice(&std::fs::read(rendezvous).unwrap()).unwrap();
    (submit, rendezvous["pid"].clone())
}

/// The report is there while `sbatch` has not answered, and the driver waits for that and for no more.
fn ends_soon(sweep: &Sweep, (mut submit, driver): (Child, Value)) {
    sweep.wait_for("the report", |sweep| sweep.path("run/report/report.html").exists());
    let reported = Instant::now();
    sweep.wait_for("the driver's end", |_| !lives(&driver));
    // A driver that is in doubt waits for five minutes.
    assert!(reported.elapsed() < Duration::from_secs(200), "it was in doubt: {:?}", reported.elapsed());
    assert!(submit.wait().unwrap().success());
    sweep.queue_is_empty();
    sweep.audit(2);
}

#[test]
fn workers_that_have_come_and_gone_before_sbatch_has_answered_keep_no_driver() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(2, 5, "time = \"10m\"\nmax_workers = 2"));
    let lines = format!("answer=$($real \"$@\") || exit\n{}\necho \"$answer\"", behind_the_report(&sweep));
    let path = another(&sweep, &lines);
    ends_soon(&sweep, submitted(&sweep, &path));
}

/// Lines of shell that end when the report has been there for a while, which they note; sooner only if it takes so long that the
/// driver would give the call up.
fn behind_the_report(sweep: &Sweep) -> String {
    let (report, late) = (sweep.path("run/report/report.html"), sweep.path("late"));
    let (report, late) = (report.display(), late.display());
    format!(
        "limit=$(($(date +%s) + 45))\nuntil [ -e '{report}' ] || [ $(date +%s) -gt $limit ]; do sleep 0.1; done\n[ -e '{report}' ] && : > '{late}'\nsleep 3"
    )
}

#[test]
fn a_submission_under_way_at_the_end_is_waited_for_and_leaves_no_doubt() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    // As long as somebody needs to ask for another worker, and not as long as a call of Slurm's may last.
    let sweep = Sweep::new(&slurm, &file(2, 14, "time = \"10m\"\nmax_workers = 1"));
    let first = sweep.path("first").display().to_string();
    // The first at once; another comes to the queue only when the sweep is over.
    let lines = format!("if mkdir '{first}' 2>/dev/null; then exec $real \"$@\"; fi\n{}\nexec $real \"$@\"", behind_the_report(&sweep));
    let path = another(&sweep, &lines);
    let started = submitted(&sweep, &path);
    sweep.wait_for("a worker", |sweep| sweep.joined().len() == 1);
    let scaled = sweep.command(sweep.program(), &["slurm", "scale", "run", "2"]).output().unwrap();
    assert!(scaled.status.success());
    ends_soon(&sweep, started);
    assert!(sweep.path("late").exists(), "nothing was submitted at the end: the test told nothing");
}

#[test]
fn a_configuration_that_is_not_there_is_told_at_once_and_a_controller_that_is_silent_is_not_waited_for_in_silence() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(2, 5, "time = \"10m\""));
    let submits = |variable: &str, value: &str| {
        let begun = Instant::now();
        let mut command = sweep.command(sweep.program(), &["slurm", "submit", "sweep.toml", "--run-dir", "run"]);
        let said = command.env(variable, value).output().unwrap();
        assert!(!said.status.success() && !sweep.path("run").exists());
        (String::from_utf8_lossy(&said.stderr).into_owned(), begun.elapsed())
    };
    let (said, took) = submits("SLURM_CONF", "/no/such/slurm.conf");
    assert!(
        said.contains("there is no `/no/such/slurm.conf`, which SLURM_CONF names") && took < Duration::from_secs(15),
        "{said} {took:?}"
    );
    std::fs::create_dir(sweep.path("hangs")).unwrap();
    std::fs::write(sweep.path("hangs/scontrol"), "#!/bin/sh\nexec sleep 300\n").unwrap();
    std::fs::set_permissions(sweep.path("hangs/scontrol"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", sweep.path("hangs").display(), std::env::var("PATH").unwrap());
    let (said, took) = submits("PATH", &path);
    assert!(said.contains("waiting for Slurm's controller ..") && said.contains("`scontrol ping` must answer"), "{said}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    // A controller that died: its programs say so after some seconds.
    slurm.must(&["kill-controller"]);
    let (said, took) = submits("NO_COLOR", "1");
    assert!(said.contains("Slurm's controller is not reached") && took < Duration::from_secs(60), "{said} {took:?}");
}
