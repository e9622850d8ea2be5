//! What someone outside wishes: Ctrl-C, the SIGTERM of a batch system, and a terminal that is closed.
use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A wish of someone outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Ctrl-C.
    Interrupt,
    /// The SIGTERM of a batch system, or the SIGHUP of a terminal that is closed.
    Terminate,
}

/// The number of SIGHUP among the bits of `/proc/self/status`, from 0.
const HANGUP_BIT: u32 = 0;

/// Hears signals from its making on: what comes while nobody asks waits for whoever asks next.
pub(super) struct Signals {
    /// None if the system does not let this process listen.
    streams: Option<(Signal, Signal)>,
    /// None where a closed terminal means nothing.
    hangup: Option<Signal>,
    /// Came while something was under way that is not broken off for one.
    kept: Option<Heard>,
}

impl Signals {
    /// Listens from now on. Within a runtime. What was started under `nohup` goes on when its terminal is closed.
    pub(super) fn listen() -> Self {
        let hangup = if ignores_hangups() { None } else { signal(SignalKind::hangup()).ok() };
        Self { hangup, ..Self::listen_past_terminals() }
    }

    /// The same for a program that has no terminal.
    pub(super) fn listen_past_terminals() -> Self {
        let streams = signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok());
        if streams.is_none() {
            tracing::warn!("signals cannot be heard: Ctrl-C will kill the driver, and `hpo resume` goes on from its journal");
        }
        Self { streams, hangup: None, kept: None }
    }

    /// The next signal; waits for ever if signals cannot be heard.
    pub(super) async fn next(&mut self) -> Heard {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        let Some((interrupt, terminate)) = &mut self.streams else { return std::future::pending().await };
        tokio::select! {
            Some(()) = interrupt.recv() => Heard::Interrupt,
            Some(()) = terminate.recv() => Heard::Terminate,
            () = heard(&mut self.hangup) => Heard::Terminate,
            else => std::future::pending().await,
        }
    }

    /// Waits for `work`, which one signal does not break off: `heard` is told of it, and it is the [`Signals::next`] one then.
    /// None at a second signal: whoever asks again does not want to wait.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>, heard: impl FnOnce()) -> Option<T> {
        let mut work = pin!(work);
        let first = tokio::select! {
            done = &mut work => return Some(done),
            first = self.next() => first,
        };
        heard();
        tokio::select! {
            done = work => {
                self.kept = Some(first);
                Some(done)
            }
            _ = self.next() => None,
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    let Some(signal) = signal else { return std::future::pending().await };
    if signal.recv().await.is_none() {
        std::future::pending().await
    }
}

/// Whether whoever started this program had it ignore hang-ups.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> HANGUP_BIT & 1 == 1)
}
