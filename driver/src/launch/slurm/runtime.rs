//! Keeps the workers of a driver: a task beside the engine, never in its loop, for Slurm's programs may take a minute to answer.
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Weak;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hpo_core::Millis;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::Jobs;
use super::call::{PATIENCE, call};
use super::keep::{Asked, Notes};
use super::keeper::{Deed, Demand, Keeper, KeeperOptions, Next};
use super::scale::{News, Place, Policy};
use super::site::array_max;
use super::submit::{SubmitFault, sbatch, scancel, squeue, throttle};
use crate::engine::{Handle, Progress};
use crate::journal::Fence;
use crate::process::machine;
use crate::rendezvous::RendezvousFault;
use crate::rundir::{PRIVATE_FILE, make_private_folder};

/// How often the sweep and the wishes of people are looked at; Slurm is asked far less often.
const TURN: Duration = Duration::from_millis(500);
/// How long a driver without a run folder goes on ending workers: the cluster may have gone with the folder.
const HURRY: Duration = Duration::from_secs(20);

/// What is to be kept going.
#[derive(Clone, Debug)]
pub struct SlurmOptions {
    /// The scripts.
    pub jobs: Jobs,
    /// The task in which this driver itself runs, if it is one of the workers' array: it is never cancelled.
    pub own: Option<Place>,
}

/// The workers of a driver.
#[derive(Debug)]
pub struct Slurm {
    stop: watch::Sender<Stage>,
    task: JoinHandle<()>,
}

/// What is expected of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Working,
    /// None may be left.
    Ending,
    /// None should be left, but nobody waits for long.
    Hurrying,
    /// They are the next driver's.
    Leaving,
}

impl Slurm {
    /// Begins to keep as many workers as the sweep can use. Those of a driver before are found by their name.
    ///
    /// # Errors
    /// If the notes of that driver cannot be read.
    pub fn start(
        options: SlurmOptions,
        engine: Handle,
        progress: watch::Receiver<Progress>,
        fence: Weak<Fence>,
    ) -> Result<Self, RendezvousFault> {
        let notes = Notes::read(&options.jobs.run)?;
        let (stop, mut seen) = watch::channel(Stage::Working);
        let task = tokio::spawn(async move {
            let mut runtime = Runtime::new(options, notes, engine, progress, fence).await;
            runtime.keep(&mut seen).await;
            let stage = *seen.borrow();
            match stage {
                Stage::Ending => runtime.end().await,
                Stage::Hurrying => {
                    let name = runtime.jobs.names.workers.clone();
                    if tokio::time::timeout(HURRY, runtime.end()).await.is_err() {
                        warn!("workers may be left; `squeue --name {name}` shows them");
                    }
                }
                Stage::Working | Stage::Leaving => {}
            }
        });
        Ok(Self { stop, task })
    }

    /// Cancels what waits; what runs leaves by itself, or is told to. Returns when nothing is left, or with a warning after some
    /// time: half an hour if it is `patient`, else seconds.
    pub async fn finish(self, patient: bool) {
        self.stop.send_replace(if patient { Stage::Ending } else { Stage::Hurrying });
        // A panic there was told by itself, and must not hide how the sweep ended.
        let _ = self.task.await;
    }

    /// Leaves the workers alone: they are another driver's now.
    pub async fn abandon(self) {
        self.stop.send_replace(Stage::Leaving);
        let _ = self.task.await;
    }
}

struct Runtime {
    jobs: Jobs,
    keeper: Keeper,
    engine: Handle,
    progress: watch::Receiver<Progress>,
    fence: Weak<Fence>,
    begun: Instant,
    /// The last complaint, which is not repeated in the log.
    complaint: String,
}

impl Runtime {
    async fn new(options: SlurmOptions, notes: Notes, engine: Handle, progress: watch::Receiver<Progress>, fence: Weak<Fence>) -> Self {
        let SlurmOptions { jobs, own } = options;
        let config = call("scontrol", &["show".to_owned(), "config".to_owned()], PATIENCE).await;
        let array_max = array_max(&config.map(|said| said.out).unwrap_or_default());
        let setup = &jobs.setup;
        let policy = Policy {
            name: jobs.names.workers.clone(),
            max_tasks: setup.max_workers,
            throttle: setup.settings.throttle,
            slots_per_task: setup.slots,
            array_max,
            look_every: setup.poll,
            submits: setup.driver_submits(),
        };
        let keeper = Keeper::new(KeeperOptions { policy, own, logs: jobs.run.logs(), machine: machine() }, notes, unix_ms());
        Self { jobs, keeper, engine, progress, fence, begun: Instant::now(), complaint: String::new() }
    }

    fn now(&self) -> Millis {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Keeps them until something else is expected.
    async fn keep(&mut self, stage: &mut watch::Receiver<Stage>) {
        loop {
            let mut deeds = VecDeque::new();
            match Asked::read(&self.jobs.run) {
                Ok(asked) => self.keeper.obey(asked, &mut deeds),
                Err(why) => self.complain(&format!("what was asked by `hpo slurm` cannot be read: {why}")),
            }
            let now = self.now();
            self.with_demand(|keeper, demand| keeper.step(now, unix_ms(), demand, &mut deeds));
            while let Some(deed) = deeds.pop_front() {
                if *stage.borrow() != Stage::Working {
                    return;
                }
                // A submission that is broken off leaves a doubt, over which whoever ends the workers has to wait for minutes.
                let breaks = |stage: &Stage| match deed {
                    Deed::Submit { .. } => matches!(stage, Stage::Leaving | Stage::Hurrying),
                    _ => *stage != Stage::Working,
                };
                let news = tokio::select! {
                    news = self.perform(deed.clone()) => news,
                    _ = stage.wait_for(breaks) => return,
                };
                if let Some(news) = news {
                    let now = self.now();
                    self.with_demand(|keeper, demand| keeper.hear(now, unix_ms(), &news, demand, &mut deeds));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TURN) => {}
                _ = stage.wait_for(|stage| *stage != Stage::Working) => return,
            }
        }
    }

    fn with_demand(&mut self, then: impl FnOnce(&mut Keeper, Demand<'_>)) {
        let progress = self.progress.borrow_and_update();
        let (slots, connected) = (progress.appetite, progress.connected);
        let (tasks, bad_nodes) = (progress.tasks.clone(), progress.bad_nodes.clone());
        drop(progress);
        then(&mut self.keeper, Demand { slots, connected, tasks: &tasks, bad_nodes: &bad_nodes });
    }

    /// Does it; what Slurm answered.
    async fn perform(&mut self, deed: Deed) -> Option<News> {
        match deed {
            Deed::Note => self.note(),
            Deed::Look => return Some(self.look().await),
            // Another driver has taken over, and counts for itself; that this one is over it hears in a moment.
            Deed::Submit { .. } if self.is_fenced() => {}
            Deed::Submit { tasks, exclude, most } => return Some(self.submit(tasks, &exclude, most).await),
            Deed::Throttle { array, most } => match throttle(array, most).await {
                Ok(()) => return Some(News::Throttled { array, most }),
                Err(why) => self.complain(&format!("cannot let {most} tasks of array {array} run: {why}")),
            },
            Deed::Cancel(tasks) => {
                if let Err(why) = scancel(&tasks).await {
                    self.complain(&format!("cannot cancel what waits in vain: {why}"));
                }
            }
            // An engine that has ended need not be asked.
            Deed::Spare { workers, own } => drop(self.engine.spare(workers, own).await),
            Deed::Drain => drop(self.engine.drain().await),
        }
        None
    }

    fn is_fenced(&self) -> bool {
        self.fence.upgrade().is_none_or(|fence| fence.check().is_err_and(|fault| fault.is_fenced() || fault.is_removed()))
    }

    async fn look(&mut self) -> News {
        match squeue(&[&self.jobs.names.workers]).await {
            Ok(queue) => {
                self.complaint.clear();
                News::Queue(queue)
            }
            Err(why) => {
                self.complain(&format!("the queue was not seen, and the sweep goes on without: {why}"));
                News::NoQueue
            }
        }
    }

    async fn submit(&mut self, tasks: u32, exclude: &[String], most: Option<u32>) -> News {
        let text = self.jobs.more_workers(tasks, exclude, most);
        let answer = match self.jobs.write("workers", &text) {
            Ok(script) => sbatch(&script).await,
            Err(why) => Err(SubmitFault::Refused { why: why.to_string() }),
        };
        match answer {
            Ok(array) => News::Submitted { array, tasks },
            Err(refused @ SubmitFault::Refused { .. }) => {
                self.complain(&format!("fewer than {tasks} workers, or later ones, are tried next: {refused}"));
                News::Refused { for_nodes: refused.is_for_nodes() }
            }
            Err(lost @ SubmitFault::NoAnswer { .. }) => {
                self.complain(&format!("{lost}: it is looked for in the queue before another is made"));
                News::NoAnswer
            }
        }
    }

    fn note(&mut self) {
        if let Err(why) = self.keeper.notes().write(&self.jobs.run) {
            self.complain(&format!("what was submitted cannot be noted: {why}"));
        }
    }

    fn complain(&mut self, complaint: &str) {
        if self.complaint != complaint {
            warn!("{complaint}");
            complaint.clone_into(&mut self.complaint);
        }
    }

    /// Leaves nobody behind.
    async fn end(mut self) {
        let mut ending = self.keeper.clone().end(self.now());
        loop {
            let queue = match squeue(&[&self.jobs.names.workers]).await {
                Ok(queue) => Some(queue),
                Err(why) => {
                    self.complain(&format!("the queue was not seen: {why}"));
                    None
                }
            };
            match ending.looked(self.now(), queue.as_ref()) {
                Next::Over => return,
                Next::Left => break,
                Next::Again { cancel, after } => {
                    match scancel(&cancel).await {
                        Ok(()) => ending.cancelled(),
                        Err(why) => self.complain(&format!("cannot cancel {} workers: {why}", cancel.len())),
                    }
                    tokio::time::sleep(Duration::from_millis(after)).await;
                }
            }
        }
        warn!("workers may be left; see `hpo slurm status {}`, and end them by `hpo slurm cancel`", self.jobs.run.word());
    }
}

impl Jobs {
    /// Keeps a script in the run folder, from where it is submitted.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, what: &str, text: &str) -> std::io::Result<std::path::PathBuf> {
        let folder = self.run.path().join("slurm");
        make_private_folder(&folder)?;
        let path = folder.join(format!("{what}.sbatch"));
        let _ = fs::remove_file(&path);
        File::options().write(true).create_new(true).mode(PRIVATE_FILE).open(&path)?.write_all(text.as_bytes())?;
        Ok(path)
    }
}

/// `14_3`; none for a job without an array, which is no worker that was submitted here.
#[must_use]
pub fn place(task: &str) -> Option<Place> {
    let (array, index) = task.split_once('_')?;
    Some((array.parse().ok()?, index.parse().ok()?))
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
