//! A process that never outlives its agent: `kill -9` of the agent must leave nothing that trains on for nobody.
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use hpo_core::sweep::event::FailureKind;
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getppid;

use super::guard::{self, GUARDED};
use super::protocol::{FromTrainer, PREFIX};

/// Tells a trainer the process id of its parent: the agent, or the guard between them.
pub(super) const AGENT_PID: &str = "HPO_AGENT_PID";

/// Why a trainer process cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ExecFault {
    /// The agent died before its death could be noticed.
    #[error("the agent that started this trainer is gone")]
    Orphaned,
    /// The system does not offer it.
    #[error("cannot ask to die with the agent")]
    DeathSignal(#[source] nix::Error),
    /// The system does not offer what a guard needs.
    #[error("cannot guard what the program starts")]
    Guard(#[source] nix::Error),
    /// The guard cannot start the process that becomes the program.
    #[error("cannot start a process for the program")]
    Spawn(#[source] io::Error),
    /// No such program, or it may not be run.
    #[error("cannot run `{program}`")]
    Exec {
        /// Which.
        program: String,
        /// What the system says.
        source: io::Error,
    },
}

/// From now on the kernel kills this process when its agent dies. For the first lines of a trainer process.
///
/// # Errors
/// If the agent is dead already, or the kernel refuses.
pub fn die_with_parent() -> Result<(), ExecFault> {
    signal_with_parent(Signal::SIGKILL)
}

/// From now on the kernel sends `signal` to this process when its parent dies.
pub(super) fn signal_with_parent(signal: Signal) -> Result<(), ExecFault> {
    set_pdeathsig(signal).map_err(ExecFault::DeathSignal)?;
    // It may have died before the kernel knew of our wish; then somebody else is our parent now.
    let parent = std::env::var(AGENT_PID).ok().and_then(|text| text.parse::<i32>().ok());
    if parent.is_some_and(|parent| parent != getppid().as_raw()) {
        return Err(ExecFault::Orphaned);
    }
    Ok(())
}

/// Runs a user's program, which with all that it starts dies with the agent: this process guards it, and a child of this
/// process becomes the program. Returns only if that fails; the agent is told why. To be called on the only thread.
///
/// # Errors
/// If the agent is gone or the program cannot be run.
pub fn run(program: &OsStr, args: &[OsString]) -> Result<Infallible, ExecFault> {
    let fault = match std::env::var_os(GUARDED) {
        None => guard::run(),
        Some(_) => become_program(program, args),
    };
    let said = match &fault {
        Err(ExecFault::Exec { program, source }) => why_not(program, source),
        Err(fault @ ExecFault::Spawn(source)) => FromTrainer::Unsaved { message: format!("{fault}: {source}") },
        _ => return fault,
    };
    if let Ok(line) = serde_json::to_string(&said) {
        // If nobody listens, the exit code says it too.
        let _ = writeln!(io::stdout(), "{PREFIX}{line}");
    }
    fault
}

fn become_program(program: &OsStr, args: &[OsString]) -> Result<Infallible, ExecFault> {
    die_with_parent()?;
    // A guard blocks its signals, and its children inherit that.
    SigSet::empty().thread_set_mask().map_err(ExecFault::Guard)?;
    let source = Command::new(program).args(args).env_remove(AGENT_PID).env_remove(GUARDED).exec();
    Err(ExecFault::Exec { program: program.to_string_lossy().into_owned(), source })
}

/// A program that does not exist or is none fails everywhere; anything else is this machine's want of the moment.
fn why_not(program: &str, source: &io::Error) -> FromTrainer {
    use io::ErrorKind::{ArgumentListTooLong, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    let message = format!("cannot run `{program}`: {source}");
    let of_program = [NotFound, PermissionDenied, NotADirectory, IsADirectory, ArgumentListTooLong, InvalidInput].contains(&source.kind());
    if of_program || source.raw_os_error() == Some(Errno::ENOEXEC as i32) {
        FromTrainer::Failed { kind: FailureKind::Setup, message }
    } else {
        FromTrainer::Unsaved { message }
    }
}

#[cfg(test)]
pub(super) mod tests;
