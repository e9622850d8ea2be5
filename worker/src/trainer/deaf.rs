//! A built-in trainer hears of everything from its agent. Signals that a batch system sends to all processes of a job are for
//! the agent: it calls its trainers back, and they save what they have instead of dying of it.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

/// The hearing of a process that is not ready yet: until then a signal ends it, for there is nothing to save and nobody who
/// would call it back.
#[derive(Debug)]
pub(super) struct Hearing(Arc<AtomicBool>);

impl Hearing {
    /// Takes SIGTERM, SIGUSR1 and SIGUSR2 away from all threads that are started later, and from this one. For the first lines
    /// of a process.
    pub(super) fn take() -> nix::Result<Self> {
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2].into_iter().collect();
        signals.thread_block()?;
        let deaf = Arc::new(AtomicBool::new(false));
        let seen = deaf.clone();
        std::thread::spawn(move || {
            loop {
                if let Ok(signal) = signals.wait()
                    && !seen.load(Ordering::Acquire)
                {
                    // As shells say it.
                    std::process::exit(128 + signal as i32);
                }
            }
        });
        Ok(Self(deaf))
    }

    /// From now on the agent can say everything in words.
    pub(super) fn ends(&self) {
        self.0.store(true, Ordering::Release);
    }
}
