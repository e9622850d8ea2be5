//! A driver in a process of its own, as users start it, and what it costs.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hpo_driver::process::Process;
use hpo_driver::rendezvous::Rendezvous;
use hpo_driver::rundir::RunDir;
use nix::sys::signal::Signal;

/// A driver that does not come or go in this time is broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often is looked whether it came.
const LOOK: Duration = Duration::from_micros(500);
/// What `/proc/PID/stat` counts processor time in, a second; the same on every Linux that this runs on.
const TICKS: f64 = 100.0;

/// `hpo driver`, listening. Killed when dropped.
pub(super) struct Driven {
    child: Child,
    run: RunDir,
    log: PathBuf,
    /// When the process was started, and when it listened.
    pub(super) started: Instant,
    pub(super) listening: Instant,
}

impl Driven {
    /// Starts `hpo driver WHAT` for the run folder `run`, with these further words, and waits until it listens.
    pub(super) fn start(what: &Path, run: &RunDir, log: &Path, words: &[&str]) -> anyhow::Result<Self> {
        let hpo = std::env::current_exe().context("cannot find this program to start the driver")?;
        let mut command = Command::new(hpo);
        command.arg("driver").arg(what).args(["--listen", "127.0.0.1:0"]).args(words);
        if !what.is_dir() {
            command.arg("--run-dir").arg(run.path());
        }
        // What a killed driver left behind names an address at which nobody listens.
        let _ = fs::remove_file(run.rendezvous());
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?).spawn()?;
        let mut driven = Self { child, run: run.clone(), log: log.to_owned(), started, listening: started };
        while !run.rendezvous().exists() {
            if let Some(status) = driven.child.try_wait()? {
                bail!("the driver ended ({status}):\n{}", driven.said());
            }
            ensure!(started.elapsed() < PATIENCE, "the driver does not listen after {PATIENCE:?}");
            std::thread::sleep(LOOK);
        }
        driven.listening = Instant::now();
        let found = Rendezvous::read(run)?;
        ensure!(found.is_some_and(|found| found.pid == driven.child.id()), "another driver answers for this run folder");
        Ok(driven)
    }

    /// Processor seconds that it took so far.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("cannot see what the driver costs")?;
        // The name of the program, in parentheses, may hold anything. User and system time are fields 14 and 15.
        let (_, fields) = text.rsplit_once(')').context("/proc/PID/stat is not as expected")?;
        let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        ensure!(ticks.len() == 2, "/proc/PID/stat is not as expected");
        Ok(ticks.iter().sum::<f64>() / TICKS)
    }

    /// The most memory that it had so far, in MiB.
    pub(super) fn peak_mib(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("cannot see what the driver costs")?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("/proc/PID/status is not as expected")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024)
    }

    /// Lets it end in good order. How many events it wrote, in how many syncs.
    pub(super) fn finish(mut self) -> anyhow::Result<(u64, u64)> {
        Process::of(self.child.id().cast_signed()).signal(Signal::SIGINT);
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(asked.elapsed() < PATIENCE, "the driver does not end after {PATIENCE:?}:\n{}", self.said());
            std::thread::sleep(LOOK);
        }
        let said = self.said();
        let count = |name: &str| said.rsplit_once(name)?.1.split_whitespace().next()?.parse().ok();
        count(" events=").zip(count(" syncs=")).with_context(|| format!("the driver did not say what it wrote:\n{said}"))
    }

    /// The end of what it logged.
    fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // As a crash would. It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(self.run.rendezvous());
    }
}
