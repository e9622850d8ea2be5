//! A real Slurm cluster for a test: its own daemons, nodes, ports and folder, gone when the test is over.
//!
//! Where Slurm is not installed, tests say so loudly and end. `HPO_REQUIRE_SLURM=1` installs it (root and apt-get are needed,
//! ten seconds), and makes its absence a failure.
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hpo_tests::root;

/// No wait in these tests is longer. A driver that ends while nobody knows what became of a submission waits five minutes for it.
pub const PATIENCE: Duration = Duration::from_secs(480);
/// Where the ports of the first cluster lie; each has as many.
const PORTS: u16 = 18_000;
const PORTS_EACH: u16 = 200;
/// The exit code by which the testbed says that there can be no cluster here.
const CANNOT: i32 = 77;

/// A cluster. It ends with the value; that of a failed test leaves its logs behind, named.
#[derive(Debug)]
pub struct Slurm {
    dir: PathBuf,
    port: u16,
    extra: String,
    accounts: bool,
}

impl Slurm {
    /// One with so many nodes and fake GPUs on each; `extra` are more lines for its `slurm.conf`. None where there can be none.
    ///
    /// # Panics
    /// If it does not start, or if there can be none and `HPO_REQUIRE_SLURM=1`.
    #[must_use]
    pub fn up(nodes: u16, gpus: u16, extra: &str) -> Option<Self> {
        Self::start(nodes, gpus, extra, false)
    }

    /// The same with an accounting database: `sacct`, and limits by user. That takes a MariaDB, so only where `HPO_REQUIRE_SLURM=1`
    /// allows to install one, or it is there.
    ///
    /// # Panics
    /// As [`Slurm::up`].
    #[must_use]
    pub fn with_accounts(nodes: u16, gpus: u16) -> Option<Self> {
        if !required() && !Path::new("/usr/sbin/slurmdbd").exists() {
            eprintln!("SKIPPED: no slurmdbd here; HPO_REQUIRE_SLURM=1 installs it where that is possible");
            return None;
        }
        Self::start(nodes, gpus, "", true)
    }

    fn start(nodes: u16, gpus: u16, extra: &str, accounts: bool) -> Option<Self> {
        if !installed() {
            return None;
        }
        for _ in 0..20 {
            let port = next_ports();
            let dir = std::env::temp_dir().join(format!("hpo-slurm-{}-{port}", std::process::id()));
            let slurm = Self { dir, port, extra: extra.to_owned(), accounts };
            let up = slurm.testbed(&["up", &nodes.to_string(), &gpus.to_string()]);
            let said = String::from_utf8_lossy(&up.stderr).into_owned();
            if up.status.success() {
                return Some(slurm);
            }
            assert!(said.contains("is taken"), "the cluster does not start: {said}");
        }
        panic!("no free ports for a cluster");
    }

    /// A command of the testbed, done.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn testbed(&self, words: &[&str]) -> Output {
        let mut command = Command::new(script());
        command.args(words).env("TESTBED_DIR", &self.dir).env("TESTBED_PORT", self.port.to_string());
        command.env("TESTBED_DBD", if self.accounts { "1" } else { "0" });
        command.env("TESTBED_EXTRA", &self.extra).stdin(Stdio::null()).output().expect("the testbed's script can be run")
    }

    /// The same, which must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub fn must(&self, words: &[&str]) {
        let done = self.testbed(words);
        assert!(done.status.success(), "testbed {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A command that talks to this cluster.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.dir.join("etc/slurm.conf")).env_remove("HPO_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// What a program of Slurm prints; it must succeed.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn ask(&self, program: &str, words: &[&str]) -> String {
        let done = self.command(program).args(words).output().expect("Slurm's programs can be run");
        assert!(done.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Makes the controller write down what runs, and waits until it has. By itself it may not for a minute, and what it does not
    /// remember when it comes back it kills (seen; Slurm 22.05.8).
    ///
    /// # Panics
    /// If it does not.
    pub fn remembers(&self) {
        let asked = SystemTime::now();
        let _ = self.ask("scontrol", &["reconfigure"]);
        within(PATIENCE, "the controller's state on its disk", || {
            let written = std::fs::metadata(self.dir.join("state/job_state")).and_then(|state| state.modified());
            written.is_ok_and(|at| at >= asked).then_some(())
        });
    }

    /// The daemons' logs and the list of ended jobs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Jobs that ended, as often as they did: a job that was put back is there for each time it ran.
    #[must_use]
    pub fn ended(&self) -> Vec<Ended> {
        let text = std::fs::read_to_string(self.logs().join("jobcomp.log")).unwrap_or_default();
        text.lines().map(Ended::read).collect()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = self.dir.with_extension("log");
            let _ = std::fs::rename(self.logs(), &kept);
            eprintln!("the cluster's logs: {}", kept.display());
        }
        let _ = self.testbed(&["down"]);
    }
}

/// A job that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    fields: BTreeMap<String, String>,
}

impl Ended {
    fn read(line: &str) -> Self {
        let fields = line.split(' ').filter_map(|word| word.split_once('='));
        Self { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// A field of Slurm's list.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// How long it ran, in whole seconds as Slurm counts them.
    ///
    /// # Panics
    /// If Slurm says what is no time.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let at = |name| {
            let (day, clock) = self.field(name).split_once('T').expect("Slurm writes times as DAYTHH:MM:SS");
            let parts: Vec<u64> = clock.split(':').map(|part| part.parse().expect("a number")).collect();
            (day.to_owned(), parts[0] * 3600 + parts[1] * 60 + parts[2])
        };
        let ((first, begun), (last, ended)) = (at("StartTime"), at("EndTime"));
        ended + if first == last { 0 } else { 86_400 } - begun
    }
}

/// Waits for something.
///
/// # Panics
/// If it does not come in time.
pub fn within<T>(patience: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begun.elapsed() < patience, "{what} did not come within {patience:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn script() -> PathBuf {
    root().join("tests/slurm/testbed")
}

/// Whether there can be clusters here.
fn installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let required = required();
        let there = ["/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged"].iter().all(|program| Path::new(program).exists());
        if !(required || there && is_root()) {
            eprintln!("SKIPPED: no Slurm for a test cluster, or not root; HPO_REQUIRE_SLURM=1 installs it where that is possible");
            return false;
        }
        let done = Command::new(script()).arg("install").stdin(Stdio::null()).output().expect("the testbed's script can be run");
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() || (done.status.code() == Some(CANNOT) && !required), "HPO_REQUIRE_SLURM=1, and: {why}");
        done.status.success()
    })
}

fn required() -> bool {
    std::env::var_os("HPO_REQUIRE_SLURM").is_some_and(|value| value == "1")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn next_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test programs at once begin at different places.
    let begin = (std::process::id() % 50) as u16;
    PORTS + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 50 * PORTS_EACH
}
