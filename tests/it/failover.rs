//! `hpo driver --standby`: drivers that die, hang, come back and hand over, with real workers that train on meanwhile.
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::world::{Running, World, agents};

/// Some fifteen seconds of trainings in closed form on two workers.
pub(crate) const SWEEP: &str = r#"
[sweep]
name = "failover"
seed = 5
metric = "loss"
max_trials = 30

[space]
optimizer = { choice = ["sgd", "adam"] }
lr = { log_uniform = [1e-5, 1.0] }
momentum = { uniform = [0.0, 0.99], when = { optimizer = "sgd" } }
layers = { int = [1, 12] }
norm = { bool = true }

[scheduler]
kind = "asha-promote"
min_resource = 1
max_resource = 9
eta = 3

[trial]
kind = "synthetic"
function = "mixed"
seconds = 1.0
pace = 0.4

[workers]
local = 2
"#;

/// The same for twice as long: trainings go on at their pace however long a test takes to do something to them.
pub(crate) fn long_sweep() -> String {
    SWEEP.replace("max_trials = 30", "max_trials = 60")
}

/// Drivers, standbys and workers of one run, as on several machines that share a file system.
struct Cluster {
    world: World,
    workers: Vec<Running>,
}

impl Cluster {
    fn new() -> Self {
        Self { world: World::new(SWEEP), workers: vec![] }
    }

    fn long() -> Self {
        Self { world: World::new(&long_sweep()), workers: vec![] }
    }

    /// The driver that creates the sweep; its words go to `first.log`.
    fn first(&self) -> Running {
        let words = ["driver", "sweep.toml", "--run-dir", "run", "--listen", "127.0.0.1:0"];
        let first = self.world.logged("first.log", self.world.hpo(&words));
        self.world.wait_for("the sweep", |records| !records.is_empty());
        first
    }

    /// A driver with two workers, and its first reports.
    fn at_work(&mut self) -> Running {
        let first = self.first();
        self.join();
        self.wait_for_reports(4);
        first
    }

    fn join(&mut self) {
        let rendezvous = self.world.run_dir().join("rendezvous.json");
        self.world.wait_until("rendezvous.json", || rendezvous.exists());
        for name in ["a", "b"] {
            let words = ["worker", "--run-dir", "run", "--slots", "1", "--no-gpu", "--name", name];
            self.workers.push(self.world.logged("workers.log", self.world.hpo(&words)));
        }
    }

    /// A driver that waits, and has said that it does.
    fn standby(&self, log: &str, more: &[&str]) -> Running {
        let words = [&["driver", "run", "--standby", "--listen", "127.0.0.1:0"], more].concat();
        let standby = self.world.logged(log, self.world.hpo(&words));
        self.hears(log, "standing by");
        standby
    }

    fn said(&self, log: &str) -> String {
        std::fs::read_to_string(self.world.path(log)).unwrap_or_default()
    }

    /// Waits until a log holds these words.
    fn hears(&self, log: &str, words: &str) -> Duration {
        let begun = Instant::now();
        self.world.wait_until(words, || self.said(log).contains(words));
        begun.elapsed()
    }

    /// When the driver of an epoch gave its last sign of life.
    fn beat(&self, epoch: u32) -> SystemTime {
        std::fs::metadata(self.world.run_dir().join(format!("driver-epoch-{epoch}"))).unwrap().modified().unwrap()
    }

    /// Waits until a standby of six seconds' patience has taken over from a driver that has beaten at `beat`, or later. What it
    /// says tells that the silence was long enough, and by its own clock alone that it waited for no longer.
    fn takes_over_after_six_seconds(&self, log: &str, beat: SystemTime) {
        self.hears(log, "took over");
        assert!(beat.elapsed().unwrap() >= Duration::from_secs(6));
        // No look counts for more than two seconds.
        let (said, told) = (self.said(log), |time| format!("has given no sign for {time}: taking over"));
        assert!(said.contains(&told("6 s")) || said.contains(&told("7 s")), "{said}");
    }

    fn reports(&self) -> usize {
        self.world.events("reported").len()
    }

    fn wait_for_reports(&self, count: usize) {
        let reported = |records: &[Value]| records.iter().filter(|record| record["event"] == "reported").count();
        self.world.wait_for("reports", |records| reported(records) >= count);
    }

    /// The epochs that wrote to the journal, in order.
    fn epochs(&self) -> Vec<u64> {
        self.world.events("driver_started").iter().filter_map(|record| record["epoch"].as_u64()).collect()
    }

    /// The sweep is whole, and no training was lost or repeated by anyone's death.
    fn nothing_was_lost(&self) -> Value {
        let report = self.world.audit();
        let attempts = &report["attempts"];
        assert_eq!((&attempts["lost"], &attempts["preempted"], &attempts["failed"]), (&0.into(), &0.into(), &0.into()), "{report}");
        assert_eq!(report["hours"]["redone"], 0.0, "{report}");
        let mut joined: Vec<String> = self.world.events("worker_joined").iter().map(|record| record["worker"].to_string()).collect();
        joined.sort();
        joined.dedup();
        assert_eq!(joined.len(), 2, "no worker was started again");
        report
    }

    /// Workers that went home by themselves, for the sweep is over.
    fn workers_leave(&mut self) {
        for worker in &mut self.workers {
            assert_eq!(worker.code(), Some(0), "{}", std::fs::read_to_string(self.world.path("workers.log")).unwrap_or_default());
        }
    }

    /// Names of journals in the run folder.
    fn journals(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.world.run_dir()).unwrap().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.starts_with("journal"));
        names.sort();
        names
    }
}

#[test]
fn a_standby_goes_on_after_kill_9_and_no_training_is_lost() {
    let mut cluster = Cluster::new();
    let mut first = cluster.at_work();
    let mut standby = cluster.standby("standby.log", &["--takeover-after", "5m"]);
    assert!(cluster.said("standby.log").contains(&format!("process {}", first.pid())), "it names the driver that it waits for");
    first.signal(Signal::SIGKILL);
    first.code();
    let taken = cluster.hears("standby.log", "took over");
    assert!(taken < Duration::from_secs(120), "a death on this host is noticed at once: {taken:?}");
    assert_eq!(standby.code(), Some(0), "{}", cluster.said("standby.log"));
    cluster.workers_leave();
    cluster.nothing_was_lost();
    assert_eq!(cluster.epochs(), [1, 2]);
    assert_eq!(cluster.journals(), ["journal-epoch-2.jsonl", "journal.jsonl"], "it did not end in good order: perhaps its disk failed it");
}

#[test]
fn a_driver_that_hangs_is_replaced_and_fenced_off_when_it_comes_back() {
    let mut cluster = Cluster::new();
    let mut first = cluster.at_work();
    let mut standby = cluster.standby("standby.log", &["--takeover-after", "6s"]);
    let beat = cluster.beat(1);
    first.signal(Signal::SIGSTOP);
    cluster.takes_over_after_six_seconds("standby.log", beat);
    let before = cluster.reports();
    // The stopped driver's connections stand; workers find its successor nevertheless.
    cluster.wait_for_reports(before + 2);
    first.signal(Signal::SIGCONT);
    assert_eq!(first.code(), Some(3), "{}", cluster.said("first.log"));
    let said = cluster.said("first.log");
    let by = format!("another driver (epoch 2, process {} on host `", standby.pid());
    assert!(said.contains(&by) && said.contains("fenced off"), "it says who took over: {said}");
    assert_eq!(standby.code(), Some(0), "{}", cluster.said("standby.log"));
    cluster.workers_leave();
    cluster.nothing_was_lost();
    assert_eq!(cluster.epochs(), [1, 2]);
    assert_eq!(cluster.journals(), ["journal-epoch-2.jsonl", "journal.jsonl"]);
    let read = |name| std::fs::read(cluster.world.run_dir().join(name)).unwrap();
    assert!(read("journal.jsonl") == read("journal-epoch-2.jsonl"), "the promised name leads to the successor's file");
}

#[test]
fn drivers_that_hang_one_after_the_other_and_come_back_together_write_nothing_that_counts() {
    let mut cluster = Cluster::new();
    let mut hanging = vec![(cluster.at_work(), "first.log")];
    for log in ["two.log", "three.log"] {
        let next = cluster.standby(log, &["--takeover-after", "6s"]);
        hanging[hanging.len() - 1].0.signal(Signal::SIGSTOP);
        cluster.hears(log, "took over");
        let before = cluster.reports();
        cluster.wait_for_reports(before + 2);
        hanging.push((next, log));
    }
    let (mut last, _) = hanging.pop().unwrap();
    hanging.iter().for_each(|(driver, _)| driver.signal(Signal::SIGCONT));
    for (driver, log) in &mut hanging {
        assert_eq!(driver.code(), Some(3), "{}", cluster.said(log));
        assert!(cluster.said(log).contains("another driver (epoch 3, "), "{}", cluster.said(log));
    }
    assert_eq!(last.code(), Some(0), "{}", cluster.said("three.log"));
    cluster.workers_leave();
    cluster.nothing_was_lost();
    assert_eq!(cluster.epochs(), [1, 2, 3]);
    assert_eq!(cluster.journals(), ["journal-epoch-3.jsonl", "journal.jsonl"], "what the copy replaces is removed");
}

#[test]
fn of_two_standbys_one_goes_on_and_the_other_waits_for_that_one() {
    let mut cluster = Cluster::new();
    let mut first = cluster.at_work();
    let mut standbys = [cluster.standby("one.log", &[]), cluster.standby("two.log", &[])];
    first.signal(Signal::SIGKILL);
    first.code();
    let codes: Vec<Option<i32>> = standbys.iter_mut().map(Running::code).collect();
    let said = [cluster.said("one.log"), cluster.said("two.log")];
    assert_eq!(codes, [Some(0), Some(0)], "{said:?}");
    let drove = said.iter().filter(|said| said.contains("took over")).count();
    let waited = said.iter().filter(|said| said.contains("has ended: nothing is left to take over")).count();
    assert_eq!((drove, waited), (1, 1), "{said:?}");
    cluster.nothing_was_lost();
    assert_eq!(cluster.epochs(), [1, 2], "one successor wrote");
}

#[test]
fn three_drivers_can_die_one_after_the_other() {
    let mut cluster = Cluster::long();
    let mut driver = cluster.at_work();
    for (takeover, log) in ["two.log", "three.log", "four.log"].into_iter().enumerate() {
        let next = cluster.standby(log, &[]);
        driver.signal(Signal::SIGKILL);
        driver.code();
        cluster.hears(log, "took over");
        let before = cluster.reports();
        cluster.wait_for_reports(before + 2);
        assert_eq!(cluster.epochs().len(), takeover + 2);
        driver = next;
    }
    assert_eq!(driver.code(), Some(0), "{}", cluster.said("four.log"));
    cluster.workers_leave();
    cluster.nothing_was_lost();
    assert_eq!(cluster.epochs(), [1, 2, 3, 4]);
}

#[test]
fn a_standby_from_before_the_sweep_sees_its_whole_life_and_ends_with_it() {
    let mut cluster = Cluster::new();
    let mut standby = cluster.standby("standby.log", &[]);
    assert!(cluster.said("standby.log").contains("standing by until a sweep is created in `run`"), "{}", cluster.said("standby.log"));
    let mut first = cluster.first();
    cluster.join();
    cluster.hears("standby.log", "its driver lives");
    assert_eq!(first.code(), Some(0), "{}", cluster.said("first.log"));
    assert_eq!(standby.code(), Some(0), "{}", cluster.said("standby.log"));
    assert!(cluster.said("standby.log").contains("has ended: nothing is left to take over"), "{}", cluster.said("standby.log"));
    cluster.nothing_was_lost();
    assert_eq!(cluster.epochs(), [1]);
}

#[test]
fn a_standby_whose_run_folder_is_removed_waits_for_its_patience_and_leaves() {
    let mut cluster = Cluster::new();
    let mut first = cluster.at_work();
    let mut standby = cluster.standby("standby.log", &["--takeover-after", "6s"]);
    std::fs::rename(cluster.world.run_dir(), cluster.world.path("elsewhere")).unwrap();
    cluster.hears("standby.log", "if it does not come back within 6s");
    assert_eq!((first.code(), standby.code()), (Some(3), Some(3)), "{}", cluster.said("standby.log"));
    assert!(cluster.said("standby.log").contains("it waits no longer"), "{}", cluster.said("standby.log"));
    // Something of a worker may have come there after the move, and may come again: the workers look for their driver.
    cluster.world.find("room for the run folder", || {
        let _ = std::fs::remove_dir_all(cluster.world.run_dir());
        std::fs::rename(cluster.world.path("elsewhere"), cluster.world.run_dir()).ok()
    });
    let resumed = cluster.world.done(&["resume", "run"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
}

#[test]
fn ctrl_c_is_the_wish_to_stop_and_no_standby_overrules_it() {
    let mut cluster = Cluster::new();
    let mut first = cluster.at_work();
    let mut standby = cluster.standby("standby.log", &[]);
    first.signal(Signal::SIGINT);
    assert_eq!(first.code(), Some(4), "{}", cluster.said("first.log"));
    assert_eq!(standby.code(), Some(4), "{}", cluster.said("standby.log"));
    let said = cluster.said("standby.log");
    assert!(said.contains("was asked to stop for now; `hpo resume` goes on with it"), "{said}");
    cluster.workers_leave();
    assert_eq!(cluster.epochs(), [1]);
    let resumed = cluster.world.done(&["resume", "run"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    cluster.world.audit();
}

#[test]
fn a_driver_whose_machine_is_taken_away_leaves_the_sweep_to_its_standby() {
    let mut cluster = Cluster::new();
    let mut first = cluster.at_work();
    let mut standby = cluster.standby("standby.log", &[]);
    first.signal(Signal::SIGTERM);
    assert_eq!(first.code(), Some(4), "{}", cluster.said("first.log"));
    assert!(cluster.said("first.log").contains("workers train on"), "{}", cluster.said("first.log"));
    assert_eq!(standby.code(), Some(0), "{}", cluster.said("standby.log"));
    cluster.workers_leave();
    cluster.nothing_was_lost();
    assert_eq!(cluster.epochs(), [1, 2]);
}

#[test]
fn local_workers_of_a_run_live_on_under_its_standby() {
    let cluster = Cluster::long();
    let mut first = cluster.world.start();
    cluster.world.wait_until("both workers", || cluster.world.events("worker_joined").len() == 2);
    cluster.wait_for_reports(4);
    let workers = agents(&cluster.world);
    assert_eq!(workers.len(), 2);
    let mut standby = cluster.standby("standby.log", &["--takeover-after", "6s"]);
    first.signal(Signal::SIGSTOP);
    cluster.hears("standby.log", "took over");
    let before = cluster.reports();
    cluster.wait_for_reports(before + 2);
    first.signal(Signal::SIGCONT);
    assert_eq!(first.code(), Some(3), "{}", cluster.world.said());
    assert_eq!(agents(&cluster.world), workers, "they are the successor's now, and left alone");
    assert_eq!(standby.code(), Some(0), "{}", cluster.said("standby.log"));
    cluster.nothing_was_lost();
    cluster.world.wait_until("the workers' leave", || agents(&cluster.world).is_empty());
}

#[test]
fn on_another_host_only_silence_tells_and_a_beat_is_enough_to_be_left_alone() {
    if !Command::new("unshare").args(["-u", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: another host name needs `unshare -u`, which is root's");
        return;
    }
    let mut cluster = Cluster::long();
    let mut first = cluster.at_work();
    let mut standby = {
        let here = cluster.world.hpo(&["driver", "run", "--standby", "--listen", "127.0.0.1:0", "--takeover-after", "6s"]);
        let mut there = Command::new("unshare");
        there.args(["-u", "sh", "-c", r#"echo elsewhere > /proc/sys/kernel/hostname && exec "$@""#, "sh"]);
        there.arg(here.get_program()).args(here.get_args()).current_dir(cluster.world.path(".")).env("NO_COLOR", "1");
        cluster.world.logged("standby.log", there)
    };
    cluster.hears("standby.log", "standing by");
    // Longer than its patience, under load.
    std::thread::sleep(Duration::from_secs(8));
    assert!(!cluster.said("standby.log").contains("taking over"), "{}", cluster.said("standby.log"));
    let beat = cluster.beat(1);
    first.signal(Signal::SIGKILL);
    first.code();
    cluster.takes_over_after_six_seconds("standby.log", beat);
    assert_eq!(standby.code(), Some(0), "{}", cluster.said("standby.log"));
    cluster.workers_leave();
    cluster.nothing_was_lost();
    assert_eq!(cluster.journals().len(), 2, "that it is dead is not proved there: {:?}", cluster.journals());
    let claim = std::fs::read_to_string(cluster.world.run_dir().join("driver-epoch-2")).unwrap();
    assert!(claim.contains(r#""host":"elsewhere""#), "{claim}");
}

#[test]
fn what_makes_no_sense_for_a_standby_is_refused_at_once() {
    let cluster = Cluster::new();
    for (words, why) in [
        (&["driver", "run", "--standby", "--seed", "3"][..], "cannot be used with"),
        (&["driver", "run", "--standby", "--takeover-after", "1s"], "6 s at least"),
        (&["driver", "run", "--takeover-after", "10s"], "--standby"),
    ] {
        let output = cluster.world.done(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{words:?}: {said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = cluster.world.done(&["driver", "run", "--standby", "--listen", &address]);
    assert_eq!(output.status.code(), Some(2), "an address that is taken is noticed before it is needed");
}
