//! Which process is which, on this host: a number alone is not enough, because numbers are given out again.
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process of this host, by number and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Clock ticks from the start of the host to that of the process (`/proc/PID/stat`, field 22); 0 where the system
    /// does not tell.
    pub started: u64,
}

impl Process {
    /// This one.
    #[must_use]
    pub fn me() -> Self {
        Self::of(Pid::this().as_raw())
    }

    /// The one that has this number now.
    #[must_use]
    pub fn of(pid: i32) -> Self {
        Self { pid, started: stat(pid).map_or(0, |stat| stat.started) }
    }

    /// Whether it runs. A dead process that nobody has reaped yet does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match stat(self.pid) {
            Some(stat) => stat.started == self.started && !matches!(stat.state, 'Z' | 'X'),
            None if has_proc() => false,
            // A process of another user is alive, too.
            None => self.pid > 0 && matches!(kill(Pid::from_raw(self.pid), None), Ok(()) | Err(Errno::EPERM)),
        }
    }

    /// Sends a signal to it, if it is still that process.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may have ended in between, which is what was wanted.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Kills it and all of its process group, if it is still that process and leads the group.
    pub fn kill_group(&self) {
        if self.is_alive() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// A process, and where its number means something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// As [`machine`] says.
    pub machine: String,
}

impl Located {
    /// This process.
    #[must_use]
    pub fn me() -> Self {
        Self { process: Process::me(), machine: machine() }
    }

    /// Whether it is proved that it runs no more. Of other machines nothing is known.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        !self.machine.is_empty() && self.machine == machine() && !self.process.is_alive()
    }
}

/// Name of this host.
#[must_use]
pub fn host() -> String {
    nix::unistd::gethostname().map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Lets this process open as many files as the system allows it at most: a connection is an open file, and a shell gives us
/// as few as 1,024. Only where nothing is started that would inherit it: old programs trust that few are open.
pub fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(why) = raised {
        tracing::warn!("the limit of open files stays as it is: {why}");
    }
}

/// What process numbers mean something in: this start of this machine and, in a container, its own numbering. Two machines
/// can have one name. Empty where the system does not tell.
#[must_use]
pub fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let numbering = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), numbering.display()).trim().to_owned()
}

struct Stat {
    state: char,
    started: u64,
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, in which anything may stand.
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some(Stat { state, started: fields.nth(18)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let me = Process::me();
        assert!(me.is_alive());
        assert!(!Process { started: me.started + 1, ..me }.is_alive());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let known = Process::of(child.id() as i32);
        assert!(known.is_alive());
        known.signal(Signal::SIGKILL);
        for _ in 0..3000 {
            if !known.is_alive() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!known.is_alive(), "a dead process counts as dead before it is reaped");
        child.wait().unwrap();
        assert!(!known.is_alive());
    }
}
