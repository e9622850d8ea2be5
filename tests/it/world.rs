//! Starting, watching and killing real sweeps, and reading what they wrote with nothing but a JSON parser: these tests
//! must not trust the code that they judge.
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// No wait in these tests is longer. What hangs, hangs for ever: that a machine is slow, or asleep for seconds, is no fault.
pub(crate) const PATIENCE: Duration = Duration::from_secs(480);

/// A sweep of real training that takes some ten seconds on two cores, the better part of which its trainers need to start.
pub(crate) const SWEEP: &str = r#"
[sweep]
name = "it"
seed = 3
metric = "val_loss"
max_trials = 9

[space]
lr = { log_uniform = [1e-3, 3e-2] }
width = { int = [32, 64], step = 16 }
dropout = { value = 0.1 }
optimizer = { choice = ["adam", "sgd"] }
momentum = { uniform = [0.5, 0.9], when = { optimizer = "sgd" } }

[searcher]
kind = "random"

[scheduler]
kind = "asha-promote"
min_resource = 2
max_resource = 18
eta = 3

[trial]
kind = "burn"
model = "mlp"
device = "cpu"
# a trainer that has just been started hears nothing yet
grace = "1m"
[trial.data]
kind = "glyphs"
count = 6000
size = 16
classes = 8
split = { train = 0.8, validation = 0.1, test = 0.1 }

[workers]
local = 2
"#;

/// The same with twice as many trials: it can be hit in the middle by who is late for that.
pub(crate) fn long_sweep() -> String {
    SWEEP.replace("max_trials = 9", "max_trials = 18")
}

/// A folder for one test, with a sweep file in it.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(sweep: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sweep.toml"), sweep).unwrap();
        Self { folder }
    }

    /// Leaves the folder there for whoever wants to know what went wrong.
    pub(crate) fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    /// A command of ours in this world.
    pub(crate) fn hpo(&self, words: &[&str]) -> Command {
        self.hpo_behind(&[], words)
    }

    /// The same, started by another command whose words come before.
    pub(crate) fn hpo_behind(&self, before: &[String], words: &[&str]) -> Command {
        let all: Vec<OsString> = before.iter().map(OsString::from).chain([binary().into()]).collect();
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).args(words).current_dir(self.folder.path()).env_remove("HPO_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn done(&self, words: &[&str]) -> Output {
        let child = self.hpo(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        // A watchdog: no command of these tests may hang.
        let (done, watch) = std::sync::mpsc::channel::<()>();
        let dog = std::thread::spawn(move || {
            if watch.recv_timeout(PATIENCE).is_err() {
                hit(pid, Signal::SIGKILL);
            }
        });
        let output = child.wait_with_output().unwrap();
        let _ = done.send(());
        dog.join().unwrap();
        output
    }

    /// Starts `hpo run sweep.toml --run-dir run` in the background.
    pub(crate) fn start(&self) -> Running {
        self.background(&["run", "sweep.toml", "--run-dir", "run"])
    }

    pub(crate) fn background(&self, words: &[&str]) -> Running {
        self.background_behind(&[], words)
    }

    pub(crate) fn background_behind(&self, before: &[String], words: &[&str]) -> Running {
        self.logged("said.log", self.hpo_behind(before, words))
    }

    /// Starts a command in the background; what it says goes to a log of that name.
    pub(crate) fn logged(&self, name: &str, mut command: Command) -> Running {
        let log = std::fs::File::options().create(true).append(true).open(self.path(name)).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Running { child }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.path("said.log")).unwrap_or_default()
    }

    /// The journal's lines after the header; a torn last line is left out.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.run_dir().join("journal.jsonl")).unwrap_or_default();
        text.lines().skip(1).map_while(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many states the store holds of which these records know nothing: workers have put them there and could tell nobody.
    pub(crate) fn unheard_states(&self, records: &[Value]) -> usize {
        let heard: BTreeSet<&str> = records.iter().filter_map(|record| record["checkpoint"]["id"].as_str()).collect();
        let folder = self.run_dir().join("checkpoints");
        let mut stored = files(&folder);
        stored.retain(|path| !path.starts_with(folder.join("tmp")));
        stored.iter().filter(|path| !path.file_name().unwrap().to_str().is_some_and(|id| heard.contains(id))).count()
    }

    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.journal().into_iter().filter(|record| record["event"] == kind).collect()
    }

    /// Waits until `ready` holds for the journal.
    pub(crate) fn wait_for(&self, what: &str, ready: impl Fn(&[Value]) -> bool) {
        self.wait_until(what, || ready(&self.journal()));
    }

    /// Waits until `ready` holds.
    pub(crate) fn wait_until(&self, what: &str, ready: impl Fn() -> bool) {
        self.find(what, || ready().then_some(()));
    }

    /// Waits until there is something. What is found is given back: a second look may find another world.
    pub(crate) fn find<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come in time; hpo said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// A command's one JSON line.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let output = self.done(words);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(text.trim())
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What must hold of every sweep that ended, however it was treated.
    pub(crate) fn audit(&self) -> Value {
        let verified = self.json(&["verify", "run", "--json"]);
        assert_eq!(verified["ok"], true, "{verified}");
        let records = self.journal();
        each_word_once(&records);
        each_unit_of_training_is_reproduced(&records);
        let finishes = records.iter().filter(|record| acts(record).any(|act| act.starts_with("finish"))).count();
        assert_eq!(finishes, 1, "a sweep ends once");
        let report = self.json(&["report", "run", "--json"]);
        let hours = report["hours"].as_object().unwrap();
        let sum: f64 = hours.iter().filter(|(name, _)| *name != "reserved").map(|(_, hours)| hours.as_f64().unwrap()).sum();
        let reserved = hours["reserved"].as_f64().unwrap();
        // To the millisecond.
        assert!((sum - reserved).abs() * 3600.0 < 1e-3, "the categories sum to the reservation: {report}");
        report
    }
}

pub(crate) fn acts(record: &Value) -> impl Iterator<Item = &str> {
    record["acts"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Files anywhere below, as far as they stay.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

/// (trial, attempt) of a record about an attempt.
pub(crate) fn about(record: &Value) -> Option<(u64, u64)> {
    Some((record["trial"].as_u64()?, record["attempt"].as_u64()?))
}

fn each_word_once(records: &[Value]) {
    let mut last: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for (trial, attempt, seq) in records.iter().filter_map(|record| {
        Some((record["trial"].as_u64()?, record["attempt"].as_u64()?, record["event"].as_str().and(word_seq(record))?))
    }) {
        let before = last.insert((trial, attempt), seq).unwrap_or(0);
        assert!(seq > before, "trial {trial}, attempt {attempt}: word {seq} after {before}");
        let newest = last.keys().filter(|(other, _)| *other == trial).map(|(_, attempt)| *attempt).max();
        assert_eq!(newest, Some(attempt), "trial {trial}: a word of an old attempt was applied");
    }
}

/// The word's own number; the record's number is `seq` too, so the format names it apart.
fn word_seq(record: &Value) -> Option<u64> {
    record["word"].as_u64()
}

/// On the CPU, training is bit-equal however often it was interrupted: two attempts that report the same trial at the
/// same resource report the same loss.
fn each_unit_of_training_is_reproduced(records: &[Value]) {
    let mut losses: BTreeMap<(u64, u64), Value> = BTreeMap::new();
    for record in records.iter().filter(|record| record["event"] == "reported") {
        let at = (record["trial"].as_u64().unwrap(), record["resource"].as_u64().unwrap());
        let first = losses.entry(at).or_insert_with(|| record["loss"].clone());
        assert_eq!(*first, record["loss"], "trial {} trained differently at {}", at.0, at.1);
    }
}

/// A process in the background; killed when dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        hit(self.child.id(), signal);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it did not end in time");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn hit(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal);
}

/// Living processes whose command line holds every one of `words` as an argument or part of one: (pid, parent).
pub(crate) fn processes(words: &[&str]) -> Vec<(u32, u32)> {
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned();
        if words.iter().all(|word| command.contains(word)) && !field("State:").starts_with('Z') {
            found.push((pid, field("PPid:").parse().unwrap_or(0)));
        }
    }
    found
}

/// Living processes that work in this world, or name it on their command line.
pub(crate) fn inhabitants(world: &World) -> Vec<u32> {
    let folder = world.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    let here = |pid: u32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(&folder))
            || std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.to_string_lossy().contains(&folder))
    };
    processes(&[]).into_iter().map(|(pid, _)| pid).filter(|&pid| here(pid)).collect()
}

/// The agents of a world, by the run folder in their command line; a test's folder is unlike any other.
pub(crate) fn agents(world: &World) -> Vec<u32> {
    let here = inhabitants(world);
    let mut found = processes(&["worker", "--run-dir"]);
    found.retain(|(pid, _)| here.contains(pid));
    // A trainer that is about to start is a copy of its agent for a moment.
    let all: Vec<u32> = found.iter().map(|(pid, _)| *pid).collect();
    found.into_iter().filter(|(_, parent)| !all.contains(parent)).map(|(pid, _)| pid).collect()
}

/// The trainer children of an agent.
pub(crate) fn trainers(agent: u32) -> Vec<u32> {
    processes(&["trainer"]).into_iter().filter(|&(_, parent)| parent == agent).map(|(pid, _)| pid).collect()
}

/// Where cargo put the program that `cargo test --workspace` has built.
pub(crate) fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let folder: &Path = here.parent().and_then(Path::parent).unwrap();
    let binary = folder.join("hpo");
    assert!(binary.exists(), "{} is missing: run `cargo test --workspace`, which builds it", binary.display());
    binary
}
