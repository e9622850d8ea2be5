//! `hpo slurm submit`: everything from one command, as users type it.
use std::collections::BTreeSet;
use std::process::Output;

use hpo_slurm::{PATIENCE, Slurm, within};
use hpo_tests::root;

use crate::sweep::{Sweep, synthetic};

/// A sweep file with this `[slurm]`.
pub(crate) fn file(trials: u32, units: u32, slurm: &str) -> String {
    format!("{}\n[slurm]\npoll = \"10s\"\n{slurm}\n", synthetic(trials, units))
}

/// A command that must end well.
fn done(sweep: &Sweep, words: &[&str]) -> (String, String) {
    let Output { status, stdout, stderr } = sweep.command(sweep.program(), words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{words:?}: {}", text(&stderr));
    (text(&stdout), text(&stderr))
}

fn submit(sweep: &Sweep) -> (String, String) {
    done(sweep, &["slurm", "submit", "sweep.toml", "--run-dir", "run"])
}

fn finished(sweep: &Sweep) {
    let report = sweep.path("run/report/report.html");
    sweep.wait_for("the report", |_| report.exists());
    // The driver's last act is its goodbye.
    sweep.queue_is_empty();
}

#[test]
fn an_array_on_four_nodes_trains_everything_and_the_ledger_agrees_with_slurm() {
    let Some(slurm) = Slurm::up(4, 2, "") else { return };
    let sweep = Sweep::new(&slurm, "");
    // Built-in models where this program has them.
    let models = sweep.command(sweep.program(), &["bench", "train", "--help"]).output().unwrap().status.success();
    let text = if models {
        std::fs::read_to_string(root().join("configs/slurm.toml")).unwrap()
    } else {
        file(16, 6, "gres = \"gpu:1\"\ntime = \"10m\"")
    };
    std::fs::write(sweep.path("sweep.toml"), text).unwrap();
    let (shown, _) = submit(&sweep);
    assert!(shown.contains("#SBATCH --array=0-7\n") && shown.contains("#SBATCH --gres=gpu:1\n"), "{shown}");
    finished(&sweep);
    let report = sweep.json(&["report", "run", "--json"]);
    assert_eq!(
        (&report["trials"]["total"], &report["trials"]["failed"], &report["unit"]),
        (&16.into(), &0.into(), &"gpu".into()),
        "{report}"
    );
    assert_eq!(sweep.json(&["verify", "run", "--json"])["ok"], true);
    if models {
        let model = sweep.path(report["model"]["path"].as_str().unwrap());
        assert!(model.exists() && report["model"]["argmax_agreement"] == 1.0, "{report}");
    } else {
        eprintln!("this hpo has no built-in models: no ONNX was looked for");
    }
    let jobs: Vec<u64> = slurm.ended().iter().map(hpo_slurm::Ended::seconds).collect();
    let (paid, booked) = (jobs.iter().sum::<u64>() as f64, report["hours"]["reserved"].as_f64().unwrap() * 3600.0);
    assert!(jobs.len() >= 8 && agrees(paid, booked, jobs.len()), "Slurm counted {jobs:?}, the ledger {booked} s");
}

/// Slurm counts whole seconds, and the moments in which processes end, which a busy machine may draw out; it never counts less.
fn agrees(paid: f64, booked: f64, jobs: usize) -> bool {
    let jobs = jobs as f64;
    (-jobs..=4.0 * jobs).contains(&(paid - booked))
}

#[test]
fn a_time_limit_of_a_minute_is_no_limit_for_the_sweep() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(4, 45, "time = \"1m\"\nnotice = \"20s\"\nmax_workers = 2"));
    submit(&sweep);
    finished(&sweep);
    let report = sweep.audit(4);
    assert_eq!(report["attempts"]["lost"], 0, "{report}");
    assert!(sweep.joined().len() >= 4, "workers came in the place of those that had to leave: {:?}", sweep.joined());
}

#[test]
fn limits_of_the_site_make_arrays_smaller_and_the_sweep_slower_and_nothing_else() {
    // No array of more than four tasks, and no more than ten jobs in all: the third array is one too many, and `sbatch` hangs.
    let Some(slurm) = Slurm::up(2, 0, "MaxArraySize=4\nMaxJobCount=10") else { return };
    let sweep = Sweep::new(&slurm, &file(24, 12, "time = \"10m\"\nmax_workers = 12"));
    submit(&sweep);
    finished(&sweep);
    sweep.audit(24);
    let joined = sweep.joined();
    let places: Vec<(&str, u32)> =
        joined.iter().filter_map(|job| job.split_once('_')).map(|(array, task)| (array, task.parse().unwrap())).collect();
    let arrays: BTreeSet<&str> = places.iter().map(|(array, _)| *array).collect();
    assert!(arrays.len() >= 2 && places.iter().all(|(_, task)| *task < 4), "{joined:?}");
}

/// The latest driver that wrote to the journal.
fn epoch(sweep: &Sweep) -> u64 {
    sweep.events("driver_started").iter().filter_map(|record| record["epoch"].as_u64()).max().unwrap_or(0)
}

#[test]
fn a_driver_that_is_a_job_survives_its_requeue_and_overlaps_with_a_standby() {
    let Some(slurm) = Slurm::up(3, 0, "") else { return };
    // Workers take whole nodes, so that the driver is alone on the first.
    let setup = "time = \"10m\"\nmax_workers = 2\ncpus_per_task = 8\ndriver = \"job\"\ndriver_options = [\"--nodelist=n1\"]";
    let sweep = Sweep::new(&slurm, &file(6, 25, setup));
    submit(&sweep);
    sweep.wait_for("work", |sweep| sweep.events("reported").len() >= 6);
    let first = epoch(&sweep);
    let lines = slurm.ask("squeue", &["--noheader", "--format", "%j|%A|%N"]);
    let driver: Vec<&str> = lines.lines().find(|line| line.starts_with("hpo-driver-")).unwrap().split('|').collect();
    assert_eq!(driver[2], "n1");
    let _ = slurm.ask("scontrol", &["requeue", driver[1]]);
    sweep.wait_for("its second run", |sweep| epoch(sweep) > first);
    sweep.wait_for_reports(4);
    let second = epoch(&sweep);
    // A standby on the login node, and the driver's node dies: Slurm will put it back into the queue when it has noticed.
    let standby = sweep.start("standby.log", &["driver", "run", "--standby", "--takeover-after", "6s"]);
    within(PATIENCE, "a standby", || standby.said().contains("standing by").then_some(()));
    slurm.must(&["kill-node", "n1"]);
    sweep.wait_for("the standby's turn", |sweep| epoch(sweep) > second);
    sweep.wait_for("the report", |sweep| sweep.path("run/report/report.html").exists());
    let report = sweep.audit(6);
    let attempts = &report["attempts"];
    assert_eq!((&attempts["lost"], &attempts["preempted"]), (&0.into(), &0.into()), "no death of a driver costs training: {report}");
    assert_eq!(sweep.joined().len(), 2, "the same two workers all the time");
}

/// Where nothing but one array is allowed. Task 0 ends twice: by hand, and with its node.
#[test]
fn a_driver_in_the_first_task_goes_on_wherever_slurm_starts_that_task_again() {
    let Some(slurm) = Slurm::up(4, 0, "") else { return };
    // Tasks take whole nodes, and one node is left for the first when its own is dead.
    let sweep = Sweep::new(&slurm, &file(9, 25, "time = \"10m\"\nmax_workers = 3\ncpus_per_task = 8\ndriver = \"task0\""));
    submit(&sweep);
    sweep.wait_for("work in all three", |sweep| sweep.joined().len() == 3 && sweep.events("reported").len() >= 6);
    let first_task = || {
        let lines = slurm.ask("squeue", &["--noheader", "-r", "-t", "RUNNING", "--format", "%i|%N"]);
        let line = lines.lines().find(|line| line.contains("_0|")).unwrap().to_owned();
        line.split_once('|').map(|(task, node)| (task.to_owned(), node.to_owned())).unwrap()
    };
    let first = epoch(&sweep);
    let _ = slurm.ask("scontrol", &["requeue", &first_task().0]);
    sweep.wait_for("its second run", |sweep| epoch(sweep) > first);
    sweep.wait_for_reports(4);
    let second = epoch(&sweep);
    slurm.must(&["kill-node", &first_task().1]);
    sweep.wait_for("its third run", |sweep| epoch(sweep) > second);
    sweep.wait_for("the report", |sweep| sweep.path("run/report/report.html").exists());
    sweep.audit(9);
    sweep.queue_is_empty();
}

#[test]
fn a_run_that_goes_on_gets_the_workers_that_are_missing_and_as_many_as_were_asked_for() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(400, 9, "time = \"10m\"\nmax_workers = 3\ndriver = \"job\""));
    submit(&sweep);
    sweep.wait_for("work", |sweep| sweep.joined().len() == 3);
    let before = epoch(&sweep);
    let jobs = slurm.ask("squeue", &["--noheader", "--format", "%j|%A"]);
    let driver = jobs.lines().find_map(|line| line.strip_prefix("hpo-driver-")?.split('|').nth(1)).unwrap();
    let _ = slurm.ask("scancel", &[driver]);
    sweep.wait_for("the driver's end", |_| !slurm.ask("squeue", &["--noheader", "--format", "%j"]).contains("hpo-driver-"));
    done(&sweep, &["slurm", "submit", "run"]);
    sweep.wait_for("the next driver", |sweep| epoch(sweep) > before);
    sweep.wait_for_reports(6);
    assert_eq!(sweep.joined().len(), 3, "workers outlive their driver, and are not doubled: {:?}", sweep.joined());
    done(&sweep, &["slurm", "drain", "run"]);
    sweep.queue_is_empty();
    let dry = |sweep: &Sweep| done(sweep, &["slurm", "submit", "run", "--dry-run"]).0;
    let shown = dry(&sweep);
    assert!(shown.contains("#SBATCH --array=0-2\n"), "a drained sweep is open again: {shown}");
    // A driver that may not submit from its node has them submitted here, and now.
    done(&sweep, &["slurm", "scale", "run", "2"]);
    let shown = dry(&sweep);
    assert!(!shown.contains("--array="), "both are there: {shown}");
    done(&sweep, &["slurm", "submit", "run"]);
    let asked = std::fs::read_to_string(sweep.path("run/slurm-asked.json")).unwrap();
    assert!(asked.contains("\"max_workers\":2"), "what was asked for without a driver is not forgotten: {asked}");
    sweep.wait_for_reports(2);
    done(&sweep, &["slurm", "cancel", "run"]);
}

#[test]
fn a_submission_from_within_a_job_is_not_led_astray_by_what_slurm_left_there() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(4, 5, "time = \"10m\"\nmax_workers = 2\ndriver = \"job\""));
    let hpo = sweep.program().display().to_string();
    let astray =
        "export SBATCH_PARTITION=nowhere SBATCH_ARRAY_INX=5-6 SBATCH_TIMELIMIT=1 SBATCH_MEM_PER_NODE=1T SRUN_DEBUG=7 SLURM_MEM_PER_CPU=1";
    let outer = sweep.submit(&["--array=3-3", "--time=5"], &format!("{astray}\n{hpo} slurm submit sweep.toml --run-dir run"));
    sweep.wait_for("the report", |sweep| sweep.path("run/report/report.html").exists());
    sweep.queue_is_empty();
    sweep.audit(4);
    let joined = sweep.joined();
    assert!(joined.iter().all(|job| !job.starts_with(&format!("{outer}_"))) && joined.len() == 2, "{joined:?}");
}

#[test]
fn a_user_who_is_not_root_needs_nothing_else() {
    let Some(slurm) = Slurm::up(2, 1, "") else { return };
    let sweep = Sweep::of(&slurm, &file(4, 5, "gres = \"gpu:1\"\ntime = \"10m\"\nmax_workers = 2"), "nobody");
    let (found, _) = done(&sweep, &["slurm", "doctor", "sweep.toml", "--run-dir", "run"]);
    assert!(!found.contains("FAULT"), "{found}");
    submit(&sweep);
    finished(&sweep);
    sweep.audit(4);
    assert!(slurm.ended().iter().all(|job| job.field("UserId").starts_with("nobody(")), "{:?}", slurm.ended());
}

#[test]
fn folders_with_odd_names_are_found() {
    let Some(slurm) = Slurm::up(1, 0, "") else { return };
    let sweep = Sweep::new(&slurm, "");
    let odd = "it's 100% \"ours\", a b";
    std::fs::create_dir(sweep.path(odd)).unwrap();
    std::fs::write(sweep.path(odd).join("sweep.toml"), file(2, 2, "time = \"10m\"\nmax_workers = 1\ndriver = \"job\"")).unwrap();
    let run = format!("{odd}/run");
    done(&sweep, &["slurm", "submit", &format!("{odd}/sweep.toml"), "--run-dir", &run]);
    let report = sweep.path(&run).join("report/report.html");
    sweep.wait_for("the report", |_| report.exists());
    sweep.queue_is_empty();
    let logs = std::fs::read_dir(sweep.path(&run).join("logs")).unwrap().flatten();
    let outputs = logs.filter(|file| file.file_name().to_string_lossy().starts_with("slurm-")).count();
    assert!(outputs >= 2, "of the driver and of a worker: {outputs}");
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_change() {
    let Some(slurm) = Slurm::up(1, 1, "") else { return };
    let sweep = Sweep::new(&slurm, "");
    let asked_for = |wait: &str, slurm: &str| {
        std::fs::write(sweep.path("sweep.toml"), file(4, 5, slurm)).unwrap();
        let said = sweep.command(sweep.program(), &["slurm", "doctor", "sweep.toml", "--wait", wait]).output().unwrap();
        (said.status.code(), String::from_utf8_lossy(&said.stdout).into_owned())
    };
    let asked = |slurm: &str| asked_for("5m", slurm);
    let (code, well) = asked("time = \"2m\"\ngres = \"gpu:1\"");
    assert!(code == Some(0) && well.contains("was given GPU 0") && well.contains("it reaches this host at"), "{well}");
    let (code, nowhere) = asked("partition = \"nowhere\"");
    assert!(code == Some(1) && nowhere.contains("Slurm does not take the job") && nowhere.contains("-> change [slurm]"), "{nowhere}");
    // The program is there, but what its script does first ends it.
    let (code, dead) = asked("prologue = [\"echo /opt/hpo: No such file or directory; exit 127\"]");
    assert!(code == Some(1) && dead.contains("-> the node does not see the program"), "{dead}");
    let _ = slurm.ask("scontrol", &["update", "NodeName=n1", "State=DRAIN", "Reason=test"]);
    let (code, waits) = asked_for("8s", "time = \"2m\"");
    assert!(code == Some(0) && waits.contains("still waiting"), "{waits}");
    assert_eq!(slurm.ask("squeue", &["--noheader"]).trim(), "", "it leaves no job behind");
    let left =
        std::fs::read_dir(sweep.path("")).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().contains("doctor")).count();
    assert_eq!(left, 0, "nor a folder");
}

#[test]
fn what_slurms_accounting_counts_is_in_the_ledger_and_a_users_limit_only_slows_a_sweep_down() {
    let Some(slurm) = Slurm::with_accounts(2, 2) else { return };
    let _ = slurm.ask("sacctmgr", &["-i", "modify", "qos", "normal", "set", "MaxSubmitJobsPerUser=2"]);
    let sweep = Sweep::new(&slurm, &file(8, 5, "gres = \"gpu:1\"\ntime = \"10m\"\nmax_workers = 4"));
    submit(&sweep);
    finished(&sweep);
    let report = sweep.audit(8);
    assert_eq!(sweep.joined().len(), 2, "four were refused, two were not");
    let booked = report["hours"]["reserved"].as_f64().unwrap() * 3600.0;
    // The database hears of a job's end a moment later.
    let rows = within(PATIENCE, "the jobs in the database", || {
        let said = slurm.ask("sacct", &["--noheader", "--parsable2", "--allocations", "--format=State,ElapsedRaw"]);
        let rows: Vec<(String, u64)> =
            said.lines().filter_map(|line| line.split_once('|')).map(|(state, took)| (state.to_owned(), took.parse().unwrap())).collect();
        (rows.len() == 2 && rows.iter().all(|(state, _)| state == "COMPLETED")).then_some(rows)
    });
    let paid: u64 = rows.iter().map(|(_, took)| took).sum();
    assert!(agrees(paid as f64, booked, rows.len()), "sacct says {rows:?}, the ledger {booked} s");
}

/// Slurm bounds each array for itself; of all arrays of a sweep together no more than two may run.
#[test]
fn the_throttle_is_of_all_arrays_together_and_what_ends_makes_room() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(40, 60, "max_workers = 4\nthrottle = 2").replace("poll = \"10s\"", "poll = \"1s\""));
    submit(&sweep);
    // Array tasks that run, in order.
    let running = || {
        let mut tasks: Vec<String> = slurm.ask("squeue", &["-h", "-r", "-t", "RUNNING", "-o", "%i"]).lines().map(str::to_owned).collect();
        tasks.sort();
        assert!(tasks.len() <= 2, "{tasks:?}");
        tasks
    };
    let arrays = || {
        let all = slurm.ask("squeue", &["-h", "-r", "-o", "%F"]);
        all.lines().map(|array| array.trim().parse::<u32>().unwrap()).collect::<BTreeSet<_>>()
    };
    let end_one = |array: u32| {
        let first = within(PATIENCE, "a task that runs", || running().into_iter().find(|task| task.starts_with(&format!("{array}_"))));
        let _ = slurm.ask("scancel", &[&first]);
        within(PATIENCE, "its end", || (!running().contains(&first)).then_some(()));
    };
    let first = within(PATIENCE, "two that run", || (running().len() == 2).then(|| arrays().into_iter().next().unwrap()));
    (0..3).for_each(|_| end_one(first));
    let second = within(PATIENCE, "an array beside the one that is left of the first", || {
        let _ = running();
        arrays().into_iter().find(|array| *array != first)
    });
    within(PATIENCE, "one task of each", || (running().len() == 2 && arrays().len() == 2).then_some(()));
    end_one(first);
    within(PATIENCE, "two of the second", || {
        let running = running();
        (running.len() == 2 && running.iter().all(|task| task.starts_with(&format!("{second}_")))).then_some(())
    });
    done(&sweep, &["slurm", "cancel", "run"]);
}

/// A driver in a job may not submit: people did, in arrays that share the throttle, and workers put themselves back.
#[test]
fn a_driver_that_may_not_submit_keeps_the_throttle_over_all_arrays_and_who_is_cancelled_stays_away() {
    let Some(slurm) = Slurm::up(2, 0, "MaxArraySize=4") else { return };
    let setup = "time = \"10m\"\nmax_workers = 5\nthrottle = 3\ndriver = \"job\"";
    let sweep = Sweep::new(&slurm, &file(200, 60, setup).replace("poll = \"10s\"", "poll = \"1s\""));
    let (shown, told) = submit(&sweep);
    assert!(told.contains(": 4 workers") && told.contains(": 1 workers"), "two arrays, for the site takes no five at once: {shown}{told}");
    // Array tasks that run, in order.
    let running = || {
        let all = slurm.ask("squeue", &["-h", "-r", "-t", "RUNNING", "-o", "%i %j"]);
        let mut tasks: Vec<String> =
            all.lines().filter(|line| !line.contains(" hpo-driver-")).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        tasks.sort();
        assert!(tasks.len() <= 3, "{tasks:?}");
        tasks
    };
    let all = within(PATIENCE, "three that run", || Some(running()).filter(|tasks| tasks.len() == 3));
    let arrays: BTreeSet<&str> = all.iter().map(|task| task.split('_').next().unwrap()).collect();
    assert_eq!(arrays.len(), 2, "two of the one and one of the other: {all:?}");
    sweep.wait_for("work", |sweep| sweep.joined().len() == 3);
    // The only one of its array: it saves what it has, and does not come back.
    let only = all.iter().find(|task| all.iter().filter(|other| other.split('_').next() == task.split('_').next()).count() == 1).unwrap();
    let _ = slurm.ask("scancel", &[only]);
    let after = within(PATIENCE, "three of the array that is left", || {
        Some(running()).filter(|tasks| tasks.len() == 3 && tasks.iter().all(|task| task.split('_').next() != only.split('_').next()))
    });
    assert!(!after.contains(only), "{after:?}");
    done(&sweep, &["slurm", "cancel", "run"]);
    // A task that was put back begins after five seconds here.
    std::thread::sleep(std::time::Duration::from_secs(12));
    assert_eq!(slurm.ask("squeue", &["-h", "-r", "-t", "PENDING,RUNNING"]).trim(), "", "nobody came back");
}

#[test]
fn a_submission_tells_of_the_arrays_that_it_made_and_of_none_before() {
    let Some(slurm) = Slurm::up(2, 0, "") else { return };
    let sweep = Sweep::new(&slurm, &file(400, 9, "time = \"10m\"\nmax_workers = 3"));
    let (_, first) = submit(&sweep);
    assert_eq!(first.matches(" workers\n").count(), 1, "{first}");
    sweep.wait_for("work", |sweep| sweep.joined().len() == 3);
    done(&sweep, &["slurm", "drain", "run"]);
    sweep.queue_is_empty();
    within(PATIENCE, "the driver's end", || {
        let again = sweep.command(sweep.program(), &["slurm", "submit", "run", "--dry-run"]).output().unwrap();
        again.status.success().then_some(())
    });
    let (_, second) = done(&sweep, &["slurm", "submit", "run"]);
    let array = |told: &str| told.lines().find_map(|line| line.strip_prefix("array ")?.split(':').next().map(str::to_owned)).unwrap();
    assert_eq!(second.matches(" workers\n").count(), 1, "{second}");
    assert_ne!(array(&first), array(&second), "{first}{second}");
    done(&sweep, &["slurm", "cancel", "run"]);
}
