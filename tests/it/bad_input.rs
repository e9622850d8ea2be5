//! Whatever is wrong: a clear sentence that says what to do, an exit code that says what kind, and nothing lost.
use nix::sys::signal::Signal;

use crate::failover;
use crate::world::{SWEEP, World};

/// Runs `words`, expects that exit code, and that each of `phrases` is said.
fn refused(world: &World, words: &[&str], code: i32, phrases: &[&str]) {
    let output = world.done(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    for phrase in phrases {
        assert!(said.contains(phrase), "{words:?} should say {phrase:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_sweep_file_with_faults_starts_nothing() {
    let world = World::new(&SWEEP.replace("eta = 3", "eta = 1").replace("kind = \"random\"", "kind = \"rnadom\""));
    refused(&world, &["run", "sweep.toml", "--run-dir", "run"], 2, &["eta", "rnadom", "random", "sweep.toml:"]);
    assert!(!world.run_dir().exists());
    refused(&world, &["run", "nowhere.toml"], 2, &["nowhere.toml", "hpo init"]);
    std::fs::create_dir(world.path("folder.toml")).unwrap();
    refused(&world, &["run", "folder.toml"], 2, &["give a sweep file"]);
    std::fs::write(world.path("latin.toml"), b"[sweep]\nname = \"caf\xe9\"\n").unwrap();
    refused(&world, &["check", "latin.toml"], 2, &["UTF-8", "iconv"]);
}

#[test]
fn a_program_that_is_not_here_starts_nothing_and_is_only_mentioned_by_check() {
    let (head, _) = SWEEP.split_once("[trial]").unwrap();
    let world = World::new(&format!("{head}[trial]\nkind = 'command'\ncommand = ['no-such-trainer', '{{lr}}']\n[workers]\nlocal = 1\n"));
    let phrases = ["there is no program `no-such-trainer` on this machine", "sweep.toml:", "PATH"];
    refused(&world, &["run", "sweep.toml", "--run-dir", "run"], 2, &phrases);
    assert!(!world.run_dir().exists());
    refused(&world, &["check", "sweep.toml"], 0, &[&phrases[..], &["warning: ", "workers on other machines may have it"]].concat());
    assert_eq!(world.json(&["check", "sweep.toml", "--json"])["warnings"][0], phrases[0]);
}

/// A word that is no level would name a module, and silence all others.
#[test]
fn a_log_level_that_is_none_is_said_in_one_line_and_the_work_goes_on() {
    let world = World::new(SWEEP);
    let said = |level: &str| {
        let output = world.hpo(&["check", "sweep.toml"]).env("HPO_LOG", level).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let loud = said("loud");
    assert!(loud.lines().count() == 1 && loud.starts_with("warning: HPO_LOG is ignored: `loud` is no level; write error, warn,"), "{loud}");
    assert_eq!((said("info"), said("")), (String::new(), String::new()));
}

/// Folders may be called as people like: what they are told to type is typed as it stands.
#[test]
fn paths_in_commands_to_type_are_words_of_a_shell() {
    let world = World::new(SWEEP);
    let run = "my run's -- $(x)";
    std::fs::create_dir(world.path(run)).unwrap();
    std::fs::write(world.path(run).join("journal.jsonl"), "").unwrap();
    refused(&world, &["run", "sweep.toml", "--run-dir", run], 3, &[r"go on with it by `hpo resume 'my run'\''s -- $(x)'`"]);
    refused(&world, &["init", "a b.toml"], 0, &["next: `hpo check 'a b.toml'`, then `hpo run 'a b.toml'`"]);
}

#[test]
fn what_is_printed_to_a_full_disk_is_a_failure() {
    let world = World::new(SWEEP);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = world.hpo(&["schema"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"), "{output:?}");
}

#[test]
fn what_is_not_a_run_folder_is_said_to_be_none() {
    let world = World::new(SWEEP);
    std::fs::create_dir(world.path("empty")).unwrap();
    for (folder, why) in [("nowhere", "there is no such folder"), ("sweep.toml", "it is a file"), ("empty", "it has no journal.jsonl")] {
        let phrase = format!("`{folder}` is not a run folder: {why}");
        for command in ["resume", "status", "report", "verify", "export"] {
            refused(&world, &[command, folder], 3, &[&phrase]);
        }
        for command in ["status", "drain", "cancel"] {
            refused(&world, &["slurm", command, folder], 3, &[&phrase]);
        }
        refused(&world, &["slurm", "scale", folder, "2"], 3, &[&phrase]);
        refused(&world, &["why", folder, "0"], 3, &[&phrase]);
        refused(&world, &["worker", "--run-dir", folder], 3, &[&phrase]);
    }
}

#[test]
fn what_would_be_ignored_or_compared_without_sense_is_refused() {
    let none = World::new(&format!("{SWEEP}\n[workers]\nlocal = 0\n").replace("[workers]\nlocal = 2\n", ""));
    refused(&none, &["run", "sweep.toml", "--run-dir", "run"], 2, &["no worker is to be started here", "hpo driver", "--workers"]);
    assert!(!none.run_dir().exists());
    refused(&none, &["worker", "--run-dir", "run", "--slots", "0"], 2, &["0 is not in 1..=1024"]);
    std::fs::create_dir(none.run_dir()).unwrap();
    refused(&none, &["driver", "run", "--run-dir", "other"], 2, &["--run-dir is for new sweeps: `run` is a run folder already"]);
    let of = |metric: &str, goal: &str| {
        format!(
            "[sweep]\nname = 'a'\nmetric = '{metric}'\ngoal = '{goal}'\nmax_trials = 4\n[space]\nx = {{ uniform = [-5.0, 10.0] }}\ny = {{ uniform = [0.0, 15.0] }}\n\
             [scheduler]\nkind = 'fifo'\nmax_resource = 1\n[trial]\nkind = 'synthetic'\nfunction = 'branin'\n"
        )
    };
    let world = World::new(&of("loss", "minimize"));
    std::fs::write(world.path("other.toml"), of("loss", "maximize")).unwrap();
    let phrases = ["`other.toml` measures `loss`, of which larger is better; the first file `loss`, of which smaller is better"];
    refused(&world, &["simulate", "sweep.toml", "other.toml", "--seeds", "0..2"], 2, &phrases);
    refused(&world, &["simulate", "sweep.toml", "other.toml", "--seeds", "0..2", "--json"], 0, &[]);
}

#[test]
fn a_report_is_told_even_where_its_files_cannot_be_written() {
    let world = World::new(SWEEP);
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let report = world.run_dir().join("report");
    std::fs::remove_dir_all(&report).unwrap();
    std::fs::write(&report, "in the way").unwrap();
    refused(&world, &["report", "run"], 3, &["it: finished", "report"]);
}

#[test]
fn a_driver_that_is_asked_for_workers_says_who_starts_them() {
    let world = World::new(SWEEP);
    refused(&world, &["driver", "sweep.toml", "--workers", "2"], 2, &["hpo run FILE --workers 2", "hpo worker --run-dir"]);
    assert!(!world.path("runs").exists());
}

#[test]
fn what_is_made_or_shown_is_also_told_as_json() {
    let world = World::new(SWEEP);
    assert_eq!(world.json(&["init", "new.toml", "--json"]), serde_json::json!({"file": "new.toml"}));
    let schema = world.done(&["schema", "--json"]);
    assert_eq!(String::from_utf8_lossy(&schema.stdout).lines().count(), 1, "one object a line");
    assert_eq!(world.json(&["schema", "--json"])["title"], "hpo sweep file");
}

#[test]
fn hyperparameters_that_the_model_does_not_know_fail_the_trials_with_a_reason() {
    let sweep = SWEEP.replace("width = {", "wdith = {").replace("max_trials = 9", "max_trials = 2");
    let world = World::new(&sweep.replace("kind = \"random\"", "kind = \"random\"\nwarm_start = [\"nowhere\"]"));
    refused(&world, &["run", "sweep.toml", "--run-dir", "run"], 2, &["wdith", "width", "nowhere` is not a run folder", "2 faults"]);
}

#[test]
fn a_device_that_is_not_there_is_said_before_anything_starts() {
    let world = World::new(&SWEEP.replace("device = \"cpu\"", "device = \"cuda\""));
    if std::path::Path::new("/proc/driver/nvidia").exists() {
        eprintln!("SKIPPED a_device_that_is_not_there_is_said_before_anything_starts: this machine has one");
        return;
    }
    refused(&world, &["run", "sweep.toml", "--run-dir", "run"], 2, &["cuda"]);
    assert!(!world.run_dir().exists());
}

#[test]
fn a_worker_with_a_wrong_token_is_turned_away() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(failover::SWEEP);
    let mut driver = world.start();
    world.wait_for("a report", |records| records.iter().any(|record| record["event"] == "reported"));
    let token = world.path("wrong-token");
    std::fs::write(&token, "0".repeat(64)).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let words = ["worker", "--run-dir", "run", "--slots", "1", "--token-file", token.to_str().unwrap()];
    refused(&world, &words, 2, &["chmod 600"]);
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    refused(&world, &words, 2, &["token"]);
    assert_eq!(driver.code(), Some(0), "{}", world.said());
    assert_eq!(world.audit()["attempts"]["lost"], 0);
}

#[test]
fn a_flipped_bit_in_the_journal_is_refused_and_its_line_named() {
    let world = World::new(failover::SWEEP);
    let mut driver = world.start();
    world.wait_for("some records", |records| records.len() > 20);
    driver.signal(Signal::SIGINT);
    assert_eq!(driver.code(), Some(4), "{}", world.said());
    let path = world.run_dir().join("journal.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    let line_9 = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(8).unwrap().0 - 30;
    bytes[line_9] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    refused(&world, &["resume", "run"], 3, &["line 9"]);
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "a damaged journal is left as it is");
}

/// A real small file system, which needs root and mount.
#[test]
fn a_full_disk_stops_the_sweep_and_nothing_is_lost() {
    let world = World::new(SWEEP);
    let disk = world.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&disk)
            .status()
            .is_ok_and(|status| status.success())
    };
    if !mount("size=250k") {
        eprintln!("SKIPPED a_full_disk_stops_the_sweep_and_nothing_is_lost: mounting a small file system needs root");
        return;
    }
    let _unmount = Unmount(disk.clone());
    let run_dir = disk.join("run");
    let run = world.done(&["run", "sweep.toml", "--run-dir", run_dir.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(matches!(run.status.code(), Some(3 | 4)), "{:?} {said}", run.status);
    assert!(said.to_lowercase().contains("no space"), "{said}");
    assert!(mount("remount,size=64m"));
    let resumed = world.done(&["resume", run_dir.to_str().unwrap()]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    let verified = world.json(&["verify", run_dir.to_str().unwrap(), "--json"]);
    assert_eq!(verified["ok"], true, "{verified}");
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
