//! What someone outside wishes: Ctrl-C, and the SIGTERM of a batch system.
use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A wish of someone outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Ctrl-C.
    Interrupt,
    /// The SIGTERM of a batch system.
    Terminate,
}

/// Hears signals from its making on: what comes while nobody asks waits for whoever asks next.
pub(super) struct Signals {
    /// None if the system does not let this process listen.
    streams: Option<(Signal, Signal)>,
    /// Came while something was under way that is not broken off for one.
    kept: Option<Heard>,
}

impl Signals {
    /// Listens from now on. Within a runtime.
    pub(super) fn listen() -> Self {
        let streams = signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok());
        if streams.is_none() {
            tracing::warn!("signals cannot be heard: Ctrl-C will kill the driver, and `hpo resume` goes on from its journal");
        }
        Self { streams, kept: None }
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
