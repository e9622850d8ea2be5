//! A driver, all of it: run folder, engine, door, local workers.
use std::net::SocketAddr;
use std::sync::Arc;

use hpo_core::SweepSpec;
use hpo_core::job::Job;
use hpo_searchers::SearcherSpec;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::cycle::Engine;
use super::dead::tell_of_the_dead;
use super::fault::{DriveFault, EngineFault};
use super::heart::Parts;
use super::inbox::{Handle, Inbox};
use super::kept::Folder;
use super::prepare::{Prepared, prepare};
use super::pulse::Pulse;
use super::run::{Ended, Options, Outcome, Progress};
use crate::config::Checked;
use crate::config::warm::Past;
use crate::journal::Fence;
use crate::launch::slurm::{Slurm, SlurmOptions};
use crate::launch::{Away, LaunchFault, Local, LocalOptions};
use crate::process::host;
use crate::rendezvous::{FORMAT, Rendezvous, addresses, write_ended};
use crate::rundir::RunDir;
use crate::serve::token::Token;
use crate::serve::{Door, Security, ServeFault, serve};

/// What a sweep file says, checked.
#[derive(Clone, Debug)]
pub struct SweepFile {
    /// What decides.
    pub spec: SweepSpec,
    /// What workers do.
    pub job: Job,
    /// Who proposes.
    pub searcher: SearcherSpec,
    /// What was taken from earlier runs: frozen beside the text.
    pub past: Option<Past>,
    /// The text that is frozen in the run folder.
    pub text: String,
}

impl From<&Checked> for SweepFile {
    fn from(checked: &Checked) -> Self {
        Self {
            spec: checked.spec.clone(),
            job: checked.job.clone(),
            searcher: checked.searcher.clone(),
            past: checked.past.clone(),
            text: checked.frozen(),
        }
    }
}

/// How a driver begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// A new sweep in a new run folder.
    Create,
    /// The sweep of a run folder goes on, if nobody drives it.
    Resume,
    /// A standby goes on with it, for the driver of epoch `last` (0: there was none) is gone.
    TakeOver {
        /// The epoch of that driver. If there has been another since, nothing happens.
        last: u32,
    },
}

/// What to drive, and how.
#[derive(Clone, Debug)]
pub struct DriveOptions {
    /// The run folder.
    pub run: RunDir,
    /// New, or going on.
    pub begin: Begin,
    /// The sweep file; the frozen one, when a sweep goes on.
    pub file: SweepFile,
    /// Where to listen for workers; port 0 takes any.
    pub listen: SocketAddr,
    /// Speak without TLS, on the loopback interface alone.
    pub plaintext: bool,
    /// Workers to start on this machine.
    pub local: Option<LocalOptions>,
    /// Workers to keep as tasks of Slurm.
    pub slurm: Option<SlurmOptions>,
    /// Time limits.
    pub limits: Options,
}

/// A driver at work.
#[derive(Debug)]
pub struct Drive {
    run: RunDir,
    engine: Handle,
    ended: oneshot::Receiver<Result<Outcome, EngineFault>>,
    progress: watch::Receiver<Progress>,
    server: JoinHandle<Result<(), ServeFault>>,
    shutdown: oneshot::Sender<()>,
    rendezvous: Rendezvous,
    local: Option<Local>,
    slurm: Option<Slurm>,
    pulse: Pulse,
    /// Kept to the very end: until then the local workers are this driver's.
    fence: Arc<Fence>,
}

impl Drive {
    /// Makes or claims the run folder, listens, and starts engine and local workers.
    ///
    /// # Errors
    /// If any of that fails; then nothing is left running.
    pub async fn start(options: DriveOptions) -> Result<Self, DriveFault> {
        if options.plaintext && !options.listen.ip().is_loopback() {
            return Err(DriveFault::PlaintextAbroad { address: options.listen });
        }
        let listen = |source| DriveFault::Listen { address: options.listen, source };
        let listener = std::net::TcpListener::bind(options.listen).map_err(listen)?;
        Self::start_on(listener, options).await
    }

    /// The same, where an address is listened on already.
    ///
    /// # Errors
    /// If any of the rest fails; then nothing is left running.
    pub async fn start_on(listener: std::net::TcpListener, options: DriveOptions) -> Result<Self, DriveFault> {
        let listen = |source| DriveFault::Listen { address: options.listen, source };
        listener.set_nonblocking(true).map_err(listen)?;
        let listener = TcpListener::from_std(listener).map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let (options, prepared) =
            off_the_runtime(move || (prepare(&options), options)).await.map(|(prepared, options)| (options, prepared))?;
        let Prepared { header, sweep, journal, records, kept, clock, token, authority, place, pulse } = prepared?;
        let known = sweep.workers();
        let searcher = hpo_searchers::build(&options.file.searcher, &header.spec.space, header.spec.seed)?;
        let rendezvous = Rendezvous {
            format: FORMAT,
            sweep: header.sweep.clone(),
            epoch: journal.fence().epoch(),
            addresses: addresses(bound),
            tls: !options.plaintext,
            pid: std::process::id(),
            host: host(),
        };
        let job = Job { seed: header.spec.seed, ..options.file.job };
        let fence = journal.fence().clone();
        let (closing, seen_closing) = watch::channel(false);
        let (engine, inbox) = Inbox::new();
        let store = Box::new(Folder(options.run.checkpoints()));
        let closing = Box::new(move || {
            closing.send_replace(true);
        });
        let parts = Parts { sweep, journal: Box::new(journal), records, kept, store, options: options.limits, closing };
        let (heart, progress) = Engine::new(parts, clock, inbox, engine.clone(), searcher)?;
        let door = Door {
            engine: engine.clone(),
            security: if options.plaintext { Security::PlaintextOnLoopback } else { Security::Tls(authority.server_config()?) },
            token: Token::of(options.run.clone(), token),
            sweep: header.sweep,
            epoch: rendezvous.epoch,
            job: serde_json::to_string(&job).map_err(|wrong| DriveFault::Io {
                path: options.run.sweep_toml(),
                doing: "pass on the job of",
                source: wrong.into(),
            })?,
            heartbeat_ms: options.limits.heartbeat_ms,
            lease_ms: options.limits.lease_ms,
        };
        pulse.vouch(progress.clone(), place);
        pulse.post(&options.run, &rendezvous)?;
        let ended = on_a_thread(heart)?;
        // Nobody waits for it: the folder may be on a slow disk.
        tokio::task::spawn_blocking({
            let (run, engine) = (options.run.clone(), engine.clone());
            move || tell_of_the_dead(&run, &known, &engine)
        });
        let (shutdown, asked) = oneshot::channel::<()>();
        // A dropped sender ends the server as well.
        let server = tokio::spawn(serve(listener, door, async { drop(asked.await) }));
        let mut drive =
            Self { run: options.run, engine, ended, progress, server, shutdown, rendezvous, local: None, slurm: None, pulse, fence };
        if let Some(local) = options.local {
            match Local::start(&drive.run, local, drive.engine.clone(), seen_closing).await {
                Ok(local) => drive.local = Some(local),
                Err(fault) => return Err(drive.give_up(fault.into()).await),
            }
        }
        if let Some(slurm) = options.slurm {
            match Slurm::start(slurm, drive.engine.clone(), drive.progress.clone(), Arc::downgrade(&drive.fence)) {
                Ok(slurm) => drive.slurm = Some(slurm),
                Err(fault) => return Err(drive.give_up(fault.into()).await),
            }
        }
        Ok(drive)
    }

    /// The sweep as it goes.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// A way to ask for a stop.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.engine.clone()
    }

    /// A way to send those home before it ends.
    #[must_use]
    pub fn local_workers(&self) -> Option<Away> {
        self.local.as_ref().map(Local::away)
    }

    /// Whether workers come from elsewhere, too, and go on when it leaves.
    #[must_use]
    pub fn has_other_workers(&self) -> bool {
        self.local.is_none() || self.slurm.is_some()
    }

    /// Whether it keeps workers as tasks of Slurm.
    #[must_use]
    pub fn has_slurm(&self) -> bool {
        self.slurm.is_some()
    }

    /// Which driver of the sweep this is, from 1.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.rendezvous.epoch
    }

    /// Where workers dial.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.rendezvous.addresses
    }

    /// Waits until the sweep has ended or is suspended, and all that was started is gone.
    ///
    /// # Errors
    /// Why it could not be driven to its end. `hpo resume` can go on once that is put right.
    pub async fn wait(self) -> Result<Outcome, DriveFault> {
        let (outcome, rest) = self.outcome().await?;
        rest.close().await;
        Ok(outcome)
    }

    /// Waits until the sweep has ended or is suspended. All that was started goes in [`Rest::close`], which may take minutes where
    /// jobs of Slurm are among it.
    ///
    /// # Errors
    /// Why it could not be driven to its end; then nothing is left. `hpo resume` can go on once that is put right.
    pub async fn outcome(mut self) -> Result<(Outcome, Rest), DriveFault> {
        let result = tokio::select! {
            ended = &mut self.ended => outcome(ended),
            // The engine would find out with its next record, and has nothing to say before that.
            fault = self.pulse.fenced() => Err(fault.into()),
            fault = launch_fault(&mut self.local) => return Err(self.give_up(fault.into()).await),
            served = &mut self.server => return Err(self.give_up(server_fault(served)).await),
        };
        match result {
            Ok(outcome) => Ok((outcome.clone(), Rest { drive: self, outcome })),
            Err(fault) => Err(self.clean_up_after(fault).await),
        }
    }

    /// Suspends the sweep because of a fault outside the engine.
    async fn give_up(mut self, fault: DriveFault) -> DriveFault {
        // An engine that has ended need not be asked.
        let _ = self.engine.drain().await;
        let cause = match (&mut self.ended).await {
            // What else failed failed of that.
            Ok(Err(EngineFault::Journal(gone))) if gone.is_removed() => gone.into(),
            _ => fault,
        };
        self.clean_up_after(cause).await
    }

    async fn clean_up_after(self, fault: DriveFault) -> DriveFault {
        let result = Err(fault);
        self.clean_up(&result).await;
        result.err().unwrap_or(DriveFault::EnginePanicked)
    }

    async fn clean_up(self, result: &Result<Outcome, DriveFault>) {
        let fenced = result.as_ref().is_err_and(DriveFault::is_fenced);
        let removed = result.as_ref().is_err_and(DriveFault::is_removed);
        let left = matches!(result, Err(DriveFault::Engine(EngineFault::Left)));
        match self.local {
            Some(local) if fenced => local.abandon(),
            Some(local) => local.finish(result.is_ok()).await,
            None => {}
        }
        if let Ok(Outcome { ended: Ended::Finished(reason), .. }) = result {
            let (run, why) = (self.run.clone(), reason.to_string());
            // Without it late workers wait for a driver until they give up.
            if let Ok(Err(fault)) = off_the_runtime(move || write_ended(&run, &why)).await {
                tracing::warn!(fault = &fault as &dyn std::error::Error, "late workers are not told that the sweep has ended");
            }
        }
        if !fenced && !left {
            // Workers need not wait for another driver.
            let pulse = self.pulse;
            let _ = off_the_runtime(move || pulse.withdraw()).await;
        }
        match self.slurm {
            Some(slurm) if fenced || left => slurm.abandon().await,
            Some(slurm) => slurm.finish(!removed).await,
            None => {}
        }
        if matches!(result, Ok(Outcome { ended: Ended::Finished(_), .. })) {
            let store = Folder(self.run.checkpoints());
            let _ = off_the_runtime(move || store.clear_scratch()).await;
        }
        let _ = self.shutdown.send(());
        if !self.server.is_finished() {
            // It limits its own time.
            let _ = self.server.await;
        }
        if !fenced {
            // Said here and not by the last owner, which may be a beat that waits for its disk.
            let _ = off_the_runtime(move || self.fence.end()).await;
        }
    }
}

/// What a driver leaves behind when its sweep has ended or is suspended.
#[derive(Debug)]
#[must_use = "workers, jobs and the claim on the run folder outlive the engine until they are closed"]
pub struct Rest {
    drive: Drive,
    outcome: Outcome,
}

impl Rest {
    /// Ends it. Nothing of it is left, or people were told.
    pub async fn close(self) {
        self.drive.clean_up(&Ok(self.outcome)).await;
    }
}

/// The engine blocks while the disk syncs. On a thread of its own that stalls no connection and no heartbeat.
fn on_a_thread(engine: Engine) -> Result<oneshot::Receiver<Result<Outcome, EngineFault>>, DriveFault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(EngineFault::NoThread)?;
    let (tell, ended) = oneshot::channel();
    let body = move || {
        // Nobody listens only if the whole driver was dropped.
        let _ = tell.send(runtime.block_on(engine.run()));
    };
    std::thread::Builder::new().name("engine".to_owned()).spawn(body).map_err(EngineFault::NoThread)?;
    Ok(ended)
}

pub(super) async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DriveFault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| DriveFault::EnginePanicked)
}

fn outcome(ended: Result<Result<Outcome, EngineFault>, oneshot::error::RecvError>) -> Result<Outcome, DriveFault> {
    ended.map_err(|_| DriveFault::EnginePanicked)?.map_err(DriveFault::Engine)
}

async fn launch_fault(local: &mut Option<Local>) -> LaunchFault {
    match local {
        Some(local) => local.fault().await,
        None => std::future::pending().await,
    }
}

fn server_fault(served: Result<Result<(), ServeFault>, tokio::task::JoinError>) -> DriveFault {
    match served {
        Ok(Err(fault)) => fault.into(),
        Ok(Ok(())) | Err(_) => DriveFault::DoorClosed,
    }
}
