//! Keeps the workers of a driver: a task beside the engine, never in its loop, for Slurm's programs may take a minute to answer.
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hpo_core::Millis;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::Jobs;
use super::call::{PATIENCE, call};
use super::keep::{Asked, InDoubt, Notes, Submitted};
use super::queue::{Queue, State};
use super::scale::{News, Order, Place, Policy, Scaler};
use super::site::array_max;
use super::submit::{SubmitFault, sbatch, scancel, squeue};
use crate::engine::{Handle, Progress};
use crate::rendezvous::RendezvousFault;
use crate::rundir::{PRIVATE_FILE, make_private_folder};

/// How often the sweep and the wishes of people are looked at; Slurm is asked far less often.
const TURN: Duration = Duration::from_millis(500);
/// Arrays of which so much time has passed are in the queue, or were never.
const NOTED: Millis = 10 * 60_000;
/// At the end: looks at what is left, and the time between two.
const LAST_LOOKS: u32 = 8;
const LAST_WAIT: Duration = Duration::from_secs(2);
/// Workers may take so many of these looks to leave by themselves.
const LEAVE_LOOKS: u32 = 5;

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
    /// They are the next driver's.
    Leaving,
}

impl Slurm {
    /// Begins to keep as many workers as the sweep can use. Those of a driver before are found by their name.
    ///
    /// # Errors
    /// If the notes of that driver cannot be read.
    pub fn start(options: SlurmOptions, engine: Handle, progress: watch::Receiver<Progress>) -> Result<Self, RendezvousFault> {
        let notes = Notes::read(&options.jobs.run)?;
        let (stop, mut seen) = watch::channel(Stage::Working);
        let task = tokio::spawn(async move {
            let mut keeper = Keeper::new(options, notes, engine, progress).await;
            tokio::select! {
                () = keeper.keep() => {}
                _ = seen.wait_for(|stage| *stage != Stage::Working) => {}
            }
            if *seen.borrow() == Stage::Ending {
                keeper.end().await;
            }
        });
        Ok(Self { stop, task })
    }

    /// Cancels what waits; what runs leaves by itself, or is told to. Returns when nothing is left, or with a warning after some
    /// time.
    pub async fn finish(self) {
        self.stop.send_replace(Stage::Ending);
        // A panic there was told by itself, and must not hide how the sweep ended.
        let _ = self.task.await;
    }

    /// Leaves the workers alone: they are another driver's now.
    pub async fn abandon(self) {
        self.stop.send_replace(Stage::Leaving);
        let _ = self.task.await;
    }
}

struct Keeper {
    jobs: Jobs,
    own: Option<Place>,
    scaler: Scaler,
    notes: Notes,
    asked: Asked,
    engine: Handle,
    progress: watch::Receiver<Progress>,
    begun: Instant,
    /// How many of the tasks that joined were told to the scaler.
    joined: usize,
    /// The last complaint, which is not repeated in the log.
    complaint: String,
}

impl Keeper {
    async fn new(options: SlurmOptions, notes: Notes, engine: Handle, progress: watch::Receiver<Progress>) -> Self {
        let SlurmOptions { jobs, own } = options;
        let config = call("scontrol", &["show".to_owned(), "config".to_owned()], PATIENCE).await;
        let array_max = array_max(&config.map(|said| said.out).unwrap_or_default());
        let setup = &jobs.setup;
        let mut scaler = Scaler::new(Policy {
            name: jobs.names.workers.clone(),
            max_tasks: setup.max_workers,
            slots_per_task: setup.slots,
            array_max,
            look_every: setup.poll,
            submits: setup.driver_submits(),
        });
        if notes != Notes::default() || !setup.driver_submits() {
            let age = |then: u64| unix_ms().saturating_sub(then);
            let arrays: Vec<_> = notes.arrays.iter().map(|one| (one.array, one.tasks, age(one.unix_ms))).collect();
            scaler.remember(0, &arrays, notes.in_doubt.map(|one| (one.tasks, age(one.unix_ms))), &notes.bad_nodes);
        }
        // It tries again.
        let notes = Notes { gave_up: None, ..notes };
        let (begun, asked) = (Instant::now(), Asked::default());
        Self { jobs, own, scaler, notes, asked, engine, progress, begun, joined: 0, complaint: String::new() }
    }

    fn now(&self) -> Millis {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn keep(&mut self) {
        loop {
            self.obey().await;
            let slots = self.look_at_the_sweep();
            let mut orders = vec![];
            self.scaler.step(self.now(), slots, &mut orders);
            for order in orders {
                self.perform(order, slots).await;
            }
            tokio::time::sleep(TURN).await;
        }
    }

    /// What people want.
    async fn obey(&mut self) {
        let asked = match Asked::read(&self.jobs.run) {
            Ok(asked) => asked,
            Err(why) => return self.complain(&format!("what was asked by `hpo slurm` cannot be read: {why}")),
        };
        if asked == self.asked {
            return;
        }
        if asked.max_workers != self.asked.max_workers {
            let most = asked.max_workers.unwrap_or(self.jobs.setup.max_workers);
            info!("at most {most} workers from now on");
            self.scaler.allow(most);
        }
        if asked.drain && !self.asked.drain {
            info!("asked to stop for now");
            // An engine that has ended need not be asked.
            let _ = self.engine.drain().await;
        }
        self.asked = asked;
    }

    /// How many slots it can use. Tells the scaler which tasks have workers that joined.
    fn look_at_the_sweep(&mut self) -> u32 {
        let progress = self.progress.borrow_and_update();
        let (appetite, tasks) = (progress.appetite, progress.tasks.clone());
        drop(progress);
        if tasks.len() > self.joined {
            self.joined = tasks.len();
            let now = self.now();
            tasks.values().filter_map(|task| place(task)).for_each(|place| self.scaler.hear(now, &News::Joined(place)));
        }
        appetite
    }

    async fn perform(&mut self, order: Order, slots: u32) {
        match order {
            Order::Look => self.look(slots).await,
            Order::Submit { tasks, exclude } => self.submit(tasks, exclude).await,
            Order::Cancel { tasks } => self.cancel(tasks).await,
            Order::GiveUp { failed, nodes } => self.give_up(failed, &nodes).await,
        }
    }

    async fn look(&mut self, slots: u32) {
        let seen = squeue(&[&self.jobs.names.workers]).await;
        let now = self.now();
        match seen {
            Ok(queue) => {
                self.complaint.clear();
                self.scaler.hear(now, &News::Queue(queue));
                let mut orders = vec![];
                self.scaler.trim(slots, &mut orders);
                for order in orders {
                    if let Order::Cancel { tasks } = order {
                        self.cancel(tasks).await;
                    }
                }
                let idle = self.scaler.idle();
                if idle > 0 {
                    let _ = self.engine.spare(idle, self.own.map(|(array, index)| format!("{array}_{index}"))).await;
                }
            }
            Err(why) => {
                self.complain(&format!("the queue was not seen, and the sweep goes on without: {why}"));
                self.scaler.hear(now, &News::NoQueue);
            }
        }
    }

    async fn submit(&mut self, tasks: u32, exclude: Vec<String>) {
        let text = self.jobs.workers(tasks, &exclude, None);
        self.notes.bad_nodes = exclude;
        // On the disk before it is done: a driver that dies now leaves a question, and not a secret.
        self.notes.in_doubt = Some(InDoubt { tasks, unix_ms: unix_ms() });
        self.note();
        let answer = match self.jobs.write("workers", &text) {
            Ok(script) => sbatch(&script).await,
            Err(why) => Err(SubmitFault::Refused { why: why.to_string() }),
        };
        let now = self.now();
        match answer {
            Ok(array) => {
                info!("submitted {tasks} workers as array {array}");
                self.notes.in_doubt = None;
                self.notes.arrays.retain(|one| unix_ms().saturating_sub(one.unix_ms) < NOTED);
                self.notes.arrays.push(Submitted { array, tasks, unix_ms: unix_ms() });
                self.scaler.hear(now, &News::Submitted { array, tasks });
            }
            Err(SubmitFault::Refused { why }) => {
                self.complain(&format!("{tasks} workers were refused, and fewer or later ones are tried: {why}"));
                self.notes.in_doubt = None;
                self.scaler.hear(now, &News::Refused);
            }
            Err(lost @ SubmitFault::NoAnswer { .. }) => {
                self.complain(&format!("{lost}: it is looked for in the queue before another is made"));
                self.scaler.hear(now, &News::NoAnswer);
            }
        }
        self.note();
    }

    async fn cancel(&mut self, tasks: Vec<Place>) {
        let tasks: Vec<Place> = tasks.into_iter().filter(|place| Some(*place) != self.own).collect();
        if tasks.is_empty() {
            return;
        }
        info!("cancelling {} workers that wait and that the sweep cannot use", tasks.len());
        if let Err(why) = scancel(&tasks).await {
            self.complain(&format!("cannot cancel what waits in vain: {why}"));
        }
    }

    async fn give_up(&mut self, failed: u32, nodes: &[String]) {
        let (nodes, logs) = (nodes.join(", "), self.jobs.run.logs());
        let why = format!(
            "{failed} workers in a row ended before they had joined the sweep (on {nodes}); no more are submitted. See `slurm-*.out` in `{}`; \
             `hpo slurm doctor` finds common causes",
            logs.display()
        );
        error!("{why}");
        self.notes.gave_up = Some(why);
        self.note();
        if self.progress.borrow().connected == 0 {
            // Nobody will come: a driver that waits for them would wait for ever.
            let _ = self.engine.drain().await;
        }
    }

    fn note(&mut self) {
        if let Err(why) = self.notes.write(&self.jobs.run) {
            self.complain(&format!("what was submitted cannot be noted: {why}"));
        }
    }

    fn complain(&mut self, complaint: &str) {
        if self.complaint != complaint {
            warn!("{complaint}");
            complaint.clone_into(&mut self.complaint);
        }
    }

    /// Cancels what waits, lets what runs leave by itself for a while, and cancels the rest. Not the task of this driver.
    async fn end(&mut self) {
        let mut none = 0;
        for look in 0..LAST_LOOKS {
            match squeue(&[&self.jobs.names.workers]).await {
                Ok(queue) => {
                    let left = self.left(&queue, look >= LEAVE_LOOKS);
                    // A submission of the last moments may show only at the second look.
                    none = if self.left(&queue, true).is_empty() { none + 1 } else { 0 };
                    if none > usize::from(self.notes.in_doubt.is_some()) {
                        return;
                    }
                    if !left.is_empty()
                        && let Err(why) = scancel(&left).await
                    {
                        self.complain(&format!("cannot cancel {} workers: {why}", left.len()));
                    }
                }
                Err(why) => self.complain(&format!("the queue was not seen: {why}")),
            }
            tokio::time::sleep(LAST_WAIT).await;
        }
        warn!("workers may be left; see `hpo slurm status {}`, and end them by `hpo slurm cancel`", self.jobs.run.path().display());
    }

    /// What is to go: what waits, and with `all` also what runs.
    fn left(&self, queue: &Queue, all: bool) -> Vec<Place> {
        let ours = queue.tasks.iter().filter(|task| task.name == self.jobs.names.workers);
        let goes = ours.filter(|task| if all { task.state.is_alive() } else { task.state == State::Pending });
        goes.filter_map(|task| Some((task.array, task.index?))).filter(|place| Some(*place) != self.own).collect()
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
