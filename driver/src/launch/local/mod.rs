//! Workers on this machine: one process each, watched, replaced when it dies, found again after a crash of the driver.
mod roster;
mod supervise;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hpo_core::Millis;
use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::engine::Handle;
use crate::process::Process;
use crate::rendezvous::RendezvousFault;
use crate::rundir::RunDir;
use roster::{Entry, Roster};
use supervise::{Stage, Supervisor};

/// How often a process that is not our child is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Which workers to start, and how.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The program: `hpo` itself.
    pub program: PathBuf,
    /// Arguments before those that this launcher adds (`--run-dir DIR --token-file FILE --slots 1 --name local-I --id HEX`).
    pub arguments: Vec<String>,
    /// The processes, each with one slot.
    pub places: Vec<Place>,
    /// How long they may take to leave by themselves at the end.
    pub leave: Duration,
    /// How long they may take once they are sent SIGTERM; then they are killed.
    pub grace: Duration,
}

/// What is special to one of the workers: the GPU that it may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// More arguments.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
}

impl LocalOptions {
    /// Workers of this very program, whose trainers may take `grace_ms` to write their states when they are called back.
    ///
    /// # Errors
    /// If the system does not tell where the program is.
    pub fn of_this_program(places: Vec<Place>, grace_ms: Millis) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let leave = Duration::from_secs(20).max(Duration::from_millis(grace_ms.saturating_add(15_000)));
        Ok(Self { program, arguments: vec!["worker".to_owned()], places, leave, grace: Duration::from_secs(5) })
    }
}

/// Local workers cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFault {
    /// A program that does not start.
    #[error("cannot start worker {name} by `{}`", program.display())]
    Start {
        /// Its name.
        name: String,
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ends as soon as it is started, each time.
    #[error("worker {name} ended {times} times shortly after its start; the last lines of `{}` are:\n{tail}", log.display())]
    Crashing {
        /// Its name.
        name: String,
        /// How often.
        times: u32,
        /// What it wrote.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// The disk is full, or the folder cannot be written.
    #[error(
        "worker {name} cannot work in this run folder; put that right, then go on with `hpo resume`. The last lines of `{}` are:\n{tail}",
        log.display()
    )]
    RunFolder {
        /// Its name.
        name: String,
        /// What it wrote.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// The list of workers cannot be read or written.
    #[error(transparent)]
    Roster(#[from] RendezvousFault),
    /// The watching itself failed.
    #[error("a local worker is no longer watched: its task was cancelled or panicked")]
    Unwatched,
}

/// A way to send the local workers home before their driver ends.
#[derive(Clone, Debug)]
pub struct Away {
    stage: watch::Sender<Stage>,
    roster: Arc<Roster>,
    patience: Duration,
}

impl Away {
    /// Lets them save what they train and leave. Returns when they have, or after the time that they may take.
    pub async fn send(&self) {
        self.stage.send_replace(Stage::Leaving);
        self.roster.living().iter().for_each(|process| process.signal(Signal::SIGTERM));
        let gone = async {
            while !self.roster.living().is_empty() {
                tokio::time::sleep(POLL).await;
            }
        };
        // Who does not leave in time is ended with the driver.
        let _ = tokio::time::timeout(self.patience, gone).await;
    }
}

/// The local workers of a driver.
#[derive(Debug)]
pub struct Local {
    stage: watch::Sender<Stage>,
    tasks: JoinSet<Result<(), LaunchFault>>,
    roster: Arc<Roster>,
    options: LocalOptions,
}

impl Local {
    /// Starts the workers of a run. Those of an earlier driver that still live are taken over instead; if there are more
    /// of them than wanted, the surplus is sent home. Those of another host cannot be looked at from here: they are left
    /// alone, and whether they live is seen by their words. Once `closing` is true, a worker that ends is not replaced.
    ///
    /// # Errors
    /// If the list of workers in the run folder cannot be read or written.
    pub async fn start(run: &RunDir, options: LocalOptions, engine: Handle, closing: watch::Receiver<bool>) -> Result<Self, LaunchFault> {
        let (roster, left) = Roster::open(run)?;
        let roster = Arc::new(roster);
        let (here, elsewhere): (Vec<_>, Vec<_>) = left.into_iter().partition(Entry::is_here);
        let (living, dead): (Vec<_>, Vec<_>) = here.into_iter().partition(|entry| entry.process.is_alive());
        for entry in dead {
            // A proof of death: its trials need not wait until its lease runs out.
            let _ = engine.send(crate::engine::Input::Dead { worker: entry.id }).await;
        }
        let mut adopted: Vec<Option<_>> = vec![None; options.places.len()];
        let folder = std::fs::canonicalize(run.path()).ok();
        for entry in living {
            if entry.folder.is_some() && entry.folder != folder {
                // It looks for its driver where the run folder was, and is replaced once it has gone.
                info!("local worker {} is ended: the run folder was moved", entry.index);
                entry.process.signal(Signal::SIGTERM);
            }
            match adopted.get_mut(entry.index) {
                Some(place @ None) => *place = Some(entry),
                _ => entry.process.signal(Signal::SIGTERM),
            }
        }
        roster.replace(adopted.iter().flatten().cloned().chain(elsewhere).collect())?;
        let (stage, seen) = watch::channel(Stage::Working);
        let mut tasks = JoinSet::new();
        for (index, adopted) in adopted.into_iter().enumerate() {
            let supervisor = Supervisor {
                index,
                run: run.clone(),
                options: options.clone(),
                engine: engine.clone(),
                roster: roster.clone(),
                stage: seen.clone(),
                closing: closing.clone(),
            };
            tasks.spawn(supervisor.run(adopted));
        }
        Ok(Self { stage, tasks, roster, options })
    }

    /// A way to send them home.
    #[must_use]
    pub fn away(&self) -> Away {
        Away { stage: self.stage.clone(), roster: self.roster.clone(), patience: self.options.leave }
    }

    /// Waits for a fault. Never ends while all is well.
    pub async fn fault(&mut self) -> LaunchFault {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(fault))) => return fault,
                Some(Err(_)) => return LaunchFault::Unwatched,
                None => std::future::pending().await,
            }
        }
    }

    /// Ends the workers: they leave by themselves if `patient`, else they are asked to by SIGTERM; who does not is killed
    /// with all its processes. Returns when all are gone.
    pub async fn finish(mut self, patient: bool) {
        // Without receivers all are gone already.
        let _ = self.stage.send(Stage::Leaving);
        if !(patient && self.gone_within(self.options.leave).await) {
            self.roster.living().iter().for_each(|process| process.signal(Signal::SIGTERM));
            if !self.gone_within(self.options.grace).await {
                self.roster.living().iter().for_each(Process::kill_group);
                self.gone_within(self.options.grace).await;
            }
        }
    }

    /// Stops watching and leaves the workers alone: they are another driver's now.
    pub fn abandon(mut self) {
        self.tasks.abort_all();
    }

    async fn gone_within(&mut self, patience: Duration) -> bool {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(patience, all).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
