//! What stands between an agent and a user's program. The kernel kills one process when its parent dies, not those that the
//! process has started; so the parent of a program is this guard, which outlives its agent by the moment that it takes to
//! kill them all, whatever process group or session they have gone to. When the program ends, the guard kills what it has
//! left behind, and ends as the program did.
use std::convert::Infallible;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::{set_child_subreaper, set_dumpable};
use nix::sys::signal::{SigSet, Signal, kill, killpg, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpgrp, getpid, getppid};

use super::exec::{AGENT_PID, ExecFault, signal_with_parent};

/// Tells a guard to kill everything. A signal that nobody else sends: users' programs may send any other to their group.
pub(super) const END_ALL: Signal = Signal::SIGSTKFLT;

/// Tells the program's process that its parent is a guard.
pub(super) const GUARDED: &str = "HPO_GUARDED";

/// How long the killed may take to be dead; a process that hangs in the kernel takes longer, and is left to it.
const DEATH_WAIT: Duration = Duration::from_secs(5);
/// Between looks at who is still there.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Starts this program again with the same arguments, as a child that becomes the user's program, and guards it. Never
/// returns unless that fails. The process must have no other thread, for signals would come to that.
///
/// # Errors
/// If the child cannot be started, or the kernel refuses what a guard needs.
pub(super) fn run() -> Result<Infallible, ExecFault> {
    // All that can be named. What comes before this ends the guard, which has no child yet.
    let signals: SigSet = Signal::iterator().collect();
    signals.thread_block().map_err(ExecFault::Guard)?;
    let agent = getppid();
    set_child_subreaper(true).map_err(ExecFault::Guard)?;
    signal_with_parent(Signal::SIGTERM)?;
    let program = spawn().map_err(ExecFault::Spawn)?;
    loop {
        if let Some(end) = reap(program) {
            end_descendants();
            end_as(end);
        }
        if getppid() != agent {
            end_all();
        }
        // SIGTERM to the group is the program's to answer.
        if signals.wait() == Ok(END_ALL) {
            end_all();
        }
    }
}

fn spawn() -> io::Result<Pid> {
    let mut args = std::env::args_os();
    // The file that this process was started from may have been replaced since.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(args.next().unwrap_or_default()).args(args);
    let child = command.env(AGENT_PID, getpid().to_string()).env(GUARDED, "1").spawn()?;
    // Who reads from or writes to the program is to see its end of the pipes closed when it closes it.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)
}

/// Takes notice of all that have died; how the program did, if it is among them.
fn reap(program: Pid) -> Option<WaitStatus> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(status) if status.pid() == Some(program) => return Some(status),
            Ok(_) => {}
        }
    }
}

/// Kills the children until there are none. Orphans of the killed become children, for a guard is a subreaper.
fn end_descendants() {
    let begun = Instant::now();
    while begun.elapsed() < DEATH_WAIT {
        for child in children() {
            // It may be dead by now, but nobody else has its id before it was waited for.
            let _ = kill(child, Signal::SIGKILL);
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Not every kernel lists a process's children, but each process names its parent.
fn children() -> Vec<Pid> {
    let me = getpid().to_string();
    let is_mine = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A name in brackets, which may hold anything, then state and parent.
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&me)
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_mine).map(Pid::from_raw).collect()
}

/// Ends everything, and this process with it.
fn end_all() -> ! {
    end_descendants();
    let _ = killpg(getpgrp(), Signal::SIGKILL);
    end_as(WaitStatus::Signaled(getpid(), Signal::SIGKILL, false))
}

/// Ends so that who waits sees what the guard has seen.
fn end_as(status: WaitStatus) -> ! {
    if let WaitStatus::Signaled(_, signal, _) = status {
        // The program has dumped its core, if anybody wants one.
        let _ = set_dumpable(false);
        let _ = SigSet::from(signal).thread_unblock();
        // Rust's own handlers, of SIGSEGV and SIGBUS, step aside at the first.
        for _ in 0..2 {
            let _ = raise(signal);
        }
    }
    let code = match status {
        WaitStatus::Exited(_, code) => code,
        // As shells say it: the signal did not end us.
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 1,
    };
    std::process::exit(code)
}
