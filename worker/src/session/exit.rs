//! What the end of a trainer process means for its trial.
use hpo_core::sweep::event::{End, FailureKind};

/// How a process ended; it is proven dead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, if it ended by itself.
    pub code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// The kernel killed something of ours for want of memory since it began.
    pub oom: bool,
    /// The last lines of its standard error.
    pub tail: String,
}

const SIGKILL: i32 = 9;
/// Hang-up, interrupt, kill, terminate: sent by people, schedulers and reboots, not brought on by the program.
const FROM_OUTSIDE: [i32; 4] = [1, 2, SIGKILL, 15];
/// What CUDA, PyTorch, JAX and Python print when memory does not suffice.
const OUT_OF_MEMORY: [&str; 4] = ["out of memory", "OutOfMemoryError", "RESOURCE_EXHAUSTED", "MemoryError"];

impl Exit {
    /// The end of an attempt whose process nobody here told to go.
    #[must_use]
    pub fn unasked(&self) -> End {
        // A shell in between reports a signal as 128 + its number.
        let signal = self.signal.or(self.code.filter(|code| (129..160).contains(code)).map(|code| code - 128));
        match signal {
            Some(SIGKILL) if self.oom => {
                self.failed(FailureKind::OutOfMemory, "the kernel killed it because memory ran out (memory.events counts an oom_kill)")
            }
            Some(signal) if FROM_OUTSIDE.contains(&signal) => End::Lost,
            Some(signal) => self.failed(FailureKind::Crash, &format!("died of signal {signal}")),
            None if OUT_OF_MEMORY.iter().any(|sign| self.tail.contains(sign)) => self.failed(FailureKind::OutOfMemory, "memory ran out"),
            None => self.failed(FailureKind::Exit, &format!("ended with code {}", self.code.unwrap_or(-1))),
        }
    }

    /// A failure whose message ends with what the program said last.
    pub(super) fn failed(&self, kind: FailureKind, what: &str) -> End {
        let tail = self.tail.trim();
        let message = if tail.is_empty() { what.to_owned() } else { format!("{what}: {tail}") };
        End::Failed { kind, message }
    }
}
