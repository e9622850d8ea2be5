//! A guest of Slurm that is welcome again: never more tasks than allowed, none left behind, the controller is left in peace, a
//! refusal is understood, not every node is blamed, and what an allocation cost stands in the books.
use std::collections::BTreeMap;

use hpo_core::{Event, Sweep, WorkerId};
use hpo_driver::journal::Record;

use super::{Fact, Judge, Last, Premises, Stamp, Violation, refuse};
use crate::setup::Cluster;

/// What each driver has asked for.
#[derive(Debug)]
pub(super) struct Jobs {
    cluster: Cluster,
    /// Whether what is sent soon arrives, and clocks go right.
    heard: bool,
    drivers: BTreeMap<u32, Driver>,
    /// Of the task of each worker.
    tasks: BTreeMap<WorkerId, Task>,
    /// Since when the time of each worker is in the books, while it is there.
    booked: BTreeMap<WorkerId, Stamp>,
    /// Workers that have just joined: the line, who, how long ago its task began by its word, and in what time it leaves.
    joining: Vec<(u64, WorkerId, u64, Option<u64>)>,
    /// How many tasks people allowed, and until when; the last is what they allow now.
    allowed: Vec<(u32, Stamp)>,
    /// The true time of the last thing that happened.
    now: Stamp,
    /// A driver has died: what it wrote may be durable late.
    died: bool,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    began: Stamp,
    /// Once it has.
    ended: Option<Stamp>,
    /// When its worker leaves by itself.
    leaves: Option<Stamp>,
}

#[derive(Debug, Default)]
struct Driver {
    looked: Option<Stamp>,
    /// Looks at the end of its sweep that came soon after another.
    soon: u32,
    /// The last request: how many tasks.
    asked: u32,
    /// Refusals of the last requests in a row: how many were for one task alone, when, and for how many.
    single: u32,
    refused: Option<(Stamp, u32)>,
}

const NAME: &str = "jobs";
/// At the end a driver looks this often soon one after the other.
const LAST_LOOKS: u32 = 8;
/// A pause after a refusal of one task: this long at first, twice as long each time, up to the longest.
const PAUSE: u64 = 60_000;
const LONGEST: u64 = 30 * PAUSE;
/// From a decision to the submission that it leads to: a look at the queue and the submission itself may each take a minute and a
/// half.
const ON_ITS_WAY: u64 = 4 * 60_000;
const FOR_EVER: Stamp = Stamp(u64::MAX);
/// What is measured on both sides of a quiet network differs by no more, in milliseconds.
const CLOSE: u64 = 5_000;

impl Jobs {
    /// Nothing was asked for; `None` where there is no Slurm.
    #[must_use]
    pub(super) fn new(premises: &Premises) -> Option<Self> {
        let cluster = premises.slurm.clone()?;
        let (drivers, tasks, booked) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let allowed = vec![(cluster.max_workers, FOR_EVER)];
        let joining = vec![];
        Some(Self { cluster, heard: premises.heard, drivers, tasks, booked, joining, allowed, now: Stamp(0), died: false })
    }

    fn looks(&mut self, at: Stamp, epoch: u32, ending: bool) -> Result<(), Violation> {
        let driver = self.drivers.entry(epoch).or_default();
        let since = driver.looked.replace(at).map(|before| at.since(before));
        let soon = since.is_some_and(|since| since < self.cluster.poll);
        driver.soon += u32::from(soon && ending);
        refuse(soon && (!ending || driver.soon > LAST_LOOKS), NAME, || {
            format!("driver {epoch} asks for the queue again after {since:?} ms, at {at}")
        })
    }

    fn asks(&mut self, at: Stamp, epoch: u32, tasks: u32, exclude: &[String]) -> Result<(), Violation> {
        let driver = self.drivers.entry(epoch).or_default();
        driver.asked = tasks;
        refuse(tasks == 0 || tasks > self.cluster.array_max, NAME, || format!("driver {epoch} asks for an array of {tasks}"))?;
        let nodes = self.cluster.nodes.len();
        refuse(exclude.len() >= nodes, NAME, || format!("driver {epoch} blames all {nodes} nodes"))?;
        let Some((when, before)) = driver.refused else { return Ok(()) };
        let (single, waited) = (driver.single, at.since(when));
        refuse(tasks > (before / 2).max(1), NAME, || format!("driver {epoch} asks for {tasks} tasks, and was refused {before}"))?;
        let pause = if before > 1 { PAUSE / 12 } else { LONGEST.min(PAUSE << single.saturating_sub(1).min(10)) };
        refuse(waited < pause, NAME, || format!("driver {epoch} asks again {waited} ms after {single} refusals of one task"))
    }

    fn answered(&mut self, at: Stamp, epoch: u32, accepted: Option<bool>) {
        let driver = self.drivers.entry(epoch).or_default();
        if accepted == Some(true) {
            (driver.single, driver.refused) = (0, None);
        } else {
            driver.single += u32::from(driver.asked == 1);
            driver.refused = Some((at, driver.asked));
        }
    }

    fn allow(&mut self, at: Stamp, tasks: u32) {
        self.allowed.last_mut().into_iter().for_each(|(_, until)| *until = at);
        self.allowed.push((tasks, FOR_EVER));
    }

    /// How many tasks may have been asked for by what is in the queue now. Whoever stands still may have decided long ago.
    fn most(&self, at: Stamp) -> u32 {
        let known = self.allowed.iter().filter(|(_, until)| !self.heard || until.plus(ON_ITS_WAY) >= at);
        known.map(|(tasks, _)| *tasks).max().unwrap_or(0)
    }

    /// Whether lengths of time in the journal are to be believed: what one driver wrote was durable soon.
    fn is_exact(&self) -> bool {
        self.heard && !self.died
    }

    /// A worker's time is booked from the beginning of its task. The journal's clock is not the true time, so that only lengths of
    /// time are compared.
    fn joins(&mut self, record: &Record) -> Result<(), Violation> {
        let Event::WorkerJoined { worker, allocation: Some(allocation), .. } = &record.event else { return Ok(()) };
        if !self.tasks.contains_key(worker) {
            return refuse(true, NAME, || format!("line {}: worker {worker} is in a task, and nobody began it", record.seq));
        }
        let said = allocation.started_ms_ago;
        self.joining.push((record.seq, *worker, said, allocation.ends_in_ms));
        self.booked.entry(*worker).or_insert(Stamp(record.at.0.saturating_sub(said)));
        Ok(())
    }

    fn have_joined(&mut self, at: Stamp) -> Result<(), Violation> {
        let exact = self.is_exact();
        let tasks = &self.tasks;
        self.joining.drain(..).try_for_each(|(line, worker, said, ends)| {
            let Some(task) = tasks.get(&worker) else { return Ok(()) };
            let age = at.since(task.began);
            let wrong = said > age || exact && said + CLOSE < age;
            refuse(wrong, NAME, || format!("line {line}: the task of {worker} began {age} ms ago, not {said}"))?;
            // What was measured earlier was more.
            let left = task.leaves.map(|leaves| leaves.since(at));
            let wrong = ends.is_some() != left.is_some() || ends < left || exact && ends > left.map(|left| left + CLOSE);
            refuse(wrong, NAME, || format!("line {line}: {worker} leaves in {left:?} ms, not {ends:?}"))
        })
    }

    /// And to its end, or until it was missed.
    fn leaves(&mut self, record: &Record) -> Result<(), Violation> {
        let (Event::WorkerLeft { worker } | Event::WorkerLost { worker }) = &record.event else { return Ok(()) };
        let Some((since, task)) = self.booked.remove(worker).zip(self.tasks.get(worker).copied()) else { return Ok(()) };
        if !self.is_exact() {
            return Ok(());
        }
        let (booked, lasted) = (record.at.since(since), task.ended.unwrap_or(self.now).since(task.began));
        refuse(booked + CLOSE < lasted, NAME, || {
            format!("line {}: {booked} ms of {worker} are in the books, and its task took {lasted}", record.seq)
        })
    }
}

impl Judge for Jobs {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        self.joins(record)?;
        self.leaves(record)
    }

    fn fact(&mut self, at: Stamp, fact: &Fact) -> Result<(), Violation> {
        self.now = at;
        self.have_joined(at)?;
        match fact {
            Fact::DriverDied { .. } => self.died = true,
            Fact::TaskBegan { worker, at, leaves } => {
                self.tasks.insert(*worker, Task { began: *at, ended: None, leaves: *leaves });
            }
            Fact::WorkerDied { worker } => {
                self.tasks.entry(*worker).and_modify(|task| task.ended = Some(at));
            }
            Fact::Allowed { tasks } => self.allow(at, *tasks),
            Fact::Looked { epoch, ending } => return self.looks(at, *epoch, *ending),
            Fact::Asked { epoch, tasks, exclude } => return self.asks(at, *epoch, *tasks, exclude),
            Fact::Answered { epoch, accepted } => self.answered(at, *epoch, *accepted),
            Fact::Queued { tasks } => {
                let most = self.most(at);
                return refuse(*tasks > most, NAME, || format!("{tasks} tasks wait or run, and {most} may"));
            }
            _ => {}
        }
        Ok(())
    }

    fn settled(&mut self, at: Stamp, _records: u64, _sweep: &Sweep) -> Result<(), Violation> {
        self.now = at;
        self.have_joined(at)
    }

    fn end(&mut self, last: &Last) -> Result<(), Violation> {
        refuse(last.tasks > 0, NAME, || format!("{} tasks still wait or run", last.tasks))
    }
}
