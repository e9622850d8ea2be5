//! The word that this machine will be taken away.
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Listens, from now on, for SIGTERM, for SIGUSR1 and SIGUSR2 (as Slurm's `--signal` can send before the end of a job), and for
/// Ctrl-C. The future ends with the first of them; those after it, as many as there are, change nothing.
///
/// # Errors
/// If the system does not let this process listen.
pub fn notice() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut other = signal(SignalKind::user_defined1())?;
    let mut user = signal(SignalKind::user_defined2())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let which = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = other.recv() => "SIGUSR1",
            _ = user.recv() => "SIGUSR2",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{which}: trainers save their states and leave");
    })
}
