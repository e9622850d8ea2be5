//! A sweep on the cluster: its driver on the login node, which is this host, and its workers in jobs. What they wrote is read
//! with nothing but a JSON parser: these tests must not trust the code that they judge.
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use hpo_slurm::{PATIENCE, Slurm, within};
use hpo_tests::{Scratch, hpo};
use serde_json::Value;

/// The driver gives workers up after so long without a word; Slurm notices a dead node after 26 seconds here, minutes elsewhere.
pub(crate) const LEASE: Duration = Duration::from_secs(8);

/// Trainings in closed form that each take `units` times a second.
pub(crate) fn synthetic(trials: u32, units: u32) -> String {
    format!(
        r#"
[sweep]
name = "cluster"
seed = 5
metric = "loss"
max_trials = {trials}

[space]
optimizer = {{ choice = ["sgd", "adam"] }}
lr = {{ log_uniform = [1e-5, 1.0] }}
momentum = {{ uniform = [0.0, 0.99], when = {{ optimizer = "sgd" }} }}
layers = {{ int = [1, 12] }}
norm = {{ bool = true }}

[scheduler]
kind = "fifo"
max_resource = {units}

[trial]
kind = "synthetic"
function = "mixed"
seconds = 1.0
pace = 1.0

[workers]
lease = "{lease}s"
"#,
        lease = LEASE.as_secs()
    )
}

/// A folder with a sweep in it, and what runs for it.
pub(crate) struct Sweep<'a> {
    pub(crate) slurm: &'a Slurm,
    folder: Scratch,
    /// Whose it is.
    user: Option<&'static str>,
    program: PathBuf,
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(slurm: &'a Slurm, file: &str) -> Self {
        let folder = Scratch::new();
        std::fs::write(folder.path().join("sweep.toml"), file).unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        Self { slurm, folder, user: None, program: hpo() }
    }

    /// The same as a user who is not root.
    pub(crate) fn of(slurm: &'a Slurm, file: &str, user: &'static str) -> Self {
        let mut sweep = Self { user: Some(user), ..Self::new(slurm, file) };
        // The folder in which it was built may be closed to others.
        sweep.program = sweep.path("hpo");
        std::fs::copy(hpo(), &sweep.program).unwrap();
        let owned = Command::new("chown").args(["-R", user]).arg(sweep.path("")).status().unwrap();
        assert!(owned.success());
        // `/tmp/hpo-test-x` is this user's alone.
        std::fs::set_permissions(sweep.path(""), std::fs::Permissions::from_mode(0o700)).unwrap();
        sweep
    }

    /// The program under test, where its user may run it.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command in this folder, as its user.
    pub(crate) fn command(&self, program: impl AsRef<Path>, words: &[&str]) -> Command {
        let mut command = match self.user {
            Some(user) => {
                let mut command = self.slurm.command("runuser");
                command.args(["-u", user, "--"]).arg(program.as_ref());
                command
            }
            None => self.slurm.command(program.as_ref()),
        };
        command.args(words).current_dir(self.folder.path());
        command
    }

    /// Starts one of our own commands in the background; what it says goes to a log.
    pub(crate) fn start(&self, log: &str, words: &[&str]) -> Running {
        let file = std::fs::File::options().create(true).append(true).open(self.path(log)).unwrap();
        let child = self.command(&self.program, words).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Running { child, log: self.path(log) }
    }

    /// The driver of a new sweep, on the login node.
    pub(crate) fn driver(&self) -> Running {
        let mut driver = self.start("driver.log", &["driver", "sweep.toml", "--run-dir", "run"]);
        within(PATIENCE, "rendezvous.json", || {
            assert_eq!(driver.child.try_wait().unwrap(), None, "{}", driver.said());
            self.path("run/rendezvous.json").exists().then_some(())
        });
        driver
    }

    /// Submits a job of these options whose script does this; its number.
    pub(crate) fn submit(&self, options: &[&str], script: &str) -> String {
        let file = self.path("job.sh");
        let folder = self.folder.path().display();
        std::fs::write(&file, format!("#!/bin/bash\n#SBATCH --chdir={folder} --output={folder}/out/%A_%a-%j.txt\n{script}\n")).unwrap();
        let done = self.command("sbatch", &[&["--parsable", "--open-mode=append"], options, &["job.sh"]].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        assert!(done.status.success(), "sbatch {options:?}: {}", String::from_utf8_lossy(&done.stderr));
        said
    }

    /// Submits workers as people write them by hand.
    pub(crate) fn workers(&self, options: &[&str], switches: &str) -> String {
        self.submit(options, &format!("exec {} worker --run-dir run {switches}", self.program.display()))
    }

    /// What jobs printed.
    pub(crate) fn printed(&self) -> String {
        let files = std::fs::read_dir(self.path("out")).unwrap().flatten();
        files.map(|file| format!("-- {}\n{}", file.path().display(), std::fs::read_to_string(file.path()).unwrap_or_default())).collect()
    }

    /// The journal's lines after the header; a torn last line is left out.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("run/journal.jsonl")).unwrap_or_default();
        text.lines().skip(1).map_while(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.journal().into_iter().filter(|record| record["event"] == kind).collect()
    }

    /// Names of the tasks whose workers have joined, once for each worker.
    pub(crate) fn joined(&self) -> Vec<String> {
        let mut workers: BTreeMap<String, String> = BTreeMap::new();
        for record in self.events("worker_joined") {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            workers.insert(text(&record["worker"]), text(&record["allocation"]["job"]));
        }
        workers.into_values().collect()
    }

    pub(crate) fn wait_for(&self, what: &str, ready: impl Fn(&Self) -> bool) {
        within(PATIENCE, &format!("{what} (see {})", self.folder.path().display()), || ready(self).then_some(()));
    }

    /// So many reports more than there are.
    pub(crate) fn wait_for_reports(&self, more: usize) {
        let before = self.events("reported").len();
        self.wait_for("reports", |sweep| sweep.events("reported").len() >= before + more);
    }

    /// A command's one JSON line.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let output = self.command(&self.program, words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(text.trim())
            .unwrap_or_else(|why| panic!("{words:?}: {why}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What must hold of every sweep that ended, however it was treated: all trials were trained to their end, each word counts
    /// once, nothing was held against a trial, and the books are balanced. Gives back the report.
    pub(crate) fn audit(&self, trials: u64) -> Value {
        let verified = self.json(&["verify", "run", "--json"]);
        assert_eq!(verified["ok"], true, "{verified}");
        let report = self.json(&["report", "run", "--json"]);
        assert_eq!(report["trials"]["finished"], trials, "{report}\n{}", self.printed());
        assert_eq!(report["attempts"]["failed"], 0, "what a cluster does is no trial's failure: {report}");
        let (mut last, mut reported) = (BTreeMap::new(), BTreeMap::new());
        for record in self.journal() {
            let (Some(trial), Some(attempt), Some(word)) = (record["trial"].as_u64(), record["attempt"].as_u64(), record["word"].as_u64())
            else {
                continue;
            };
            assert!(last.insert(trial, (attempt, word)).is_none_or(|before| before < (attempt, word)), "a word counts once: {record}");
            if record["event"] == "reported" {
                let loss = reported.entry((trial, record["resource"].as_u64())).or_insert_with(|| record["loss"].clone());
                assert_eq!(*loss, record["loss"], "an interrupted training goes on as it would have: {record}");
            }
        }
        let hours = report["hours"].as_object().unwrap();
        let sum: f64 = hours.iter().filter(|(name, _)| *name != "reserved").map(|(_, hours)| hours.as_f64().unwrap()).sum();
        assert!((sum - hours["reserved"].as_f64().unwrap()).abs() * 3600.0 < 1e-3, "the categories sum to the reservation: {report}");
        report
    }

    /// Waits until none of our jobs is in the queue.
    pub(crate) fn queue_is_empty(&self) {
        within(PATIENCE, "an empty queue", || self.slurm.ask("squeue", &["--noheader"]).trim().is_empty().then_some(()));
    }
}

/// A process in the background; killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit code, when it ends by itself.
    pub(crate) fn code(&mut self) -> Option<i32> {
        within(PATIENCE, &format!("the end of {}", self.log.display()), || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
