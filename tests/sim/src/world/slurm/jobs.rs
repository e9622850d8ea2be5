//! A driver that is a job of its own: it waits, begins on a node, leaves when its time is up, and is put back into the queue; its
//! node dies, or only Slurm's program there, and a second one begins beside the first. It may not submit: people submit workers,
//! which put themselves back into the queue when they have to leave.
use hpo_core::Millis;
use hpo_driver::engine::parts::Input;
use hpo_driver::launch::slurm::keep::Submitted;
use hpo_driver::launch::slurm::queue::Queue;
use hpo_driver::launch::slurm::scale::Place;
use hpo_driver::launch::slurm::share;
use hpo_worker::allocation::may_come_back;
use hpo_worker::session::SessionEnd;

use super::super::World;
use super::super::drivers::Driver;
use super::Due;
use super::controller::{Life, NAME};
use crate::check::Fact;

/// The waits of a driver's job in the queue.
const WAIT: (Millis, Millis) = (100, 60_000);
/// One that was put back waits at least so long.
const REQUEUE: (Millis, Millis) = (5_000, 120_000);
/// How often one that stands by looks whether it is its turn.
const STANDS_BY: (Millis, Millis) = (5_000, 15_000);
/// A driver that has given no sign for so long is gone.
const SILENCE: Millis = 30_000;
/// So long before its limit a driver leaves, and signals come up to half a minute early.
const NOTICE: Millis = 60_000;
const EARLY: (Millis, Millis) = (0, 30_000);
/// From Slurm's first word to its last.
const KILL_WAIT: Millis = 30_000;
/// How often people look at their sweep.
const PEOPLE: (Millis, Millis) = (5 * 60_000, 15 * 60_000);

/// The driver's job, while Slurm has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DriverJob {
    /// Counts its runs: what is to come for an earlier one is void.
    run: u64,
    restarts: u32,
    /// Where it runs; none while it waits.
    node: Option<usize>,
    /// Its process, once it is its turn.
    driver: Option<usize>,
    /// It puts itself back when it has left.
    comes_back: bool,
}

impl World {
    fn job(&mut self, run: u64) -> Option<&mut DriverJob> {
        self.slurm.as_mut()?.job.as_mut().filter(|job| job.run == run)
    }

    /// Whether the driver is a job of Slurm, which then has one if no driver lives.
    pub(in crate::world) fn has_driver_job(&mut self) -> bool {
        let now = self.now;
        let Some(slurm) = self.slurm.as_mut().filter(|slurm| slurm.cluster.driver_is_job) else { return false };
        if slurm.job.is_some() {
            return true;
        }
        if now < slurm.controller.away_until {
            let at = slurm.controller.away_until.plus(1);
            self.heap.push(at, super::super::Coming::Start);
            return true;
        }
        slurm.job_runs += 1;
        let run = slurm.job_runs;
        slurm.job = Some(DriverJob { run, restarts: 0, node: None, driver: None, comes_back: false });
        self.note(format_args!("people submit the driver"));
        let at = self.after("wait of the driver", WAIT);
        self.due(at, Due::DriverBegins { run });
        true
    }

    /// It has a node, and is the driver as soon as no other lives.
    pub(super) fn driver_begins(&mut self, run: u64) {
        let Some(job) = self.job(run).copied() else { return };
        if self.end.is_some() {
            self.forget_job();
            return;
        }
        let Some(node) = job.node.or_else(|| self.node_for_the_driver()) else {
            let at = self.after("until the driver has a node", STANDS_BY);
            return self.due(at, Due::DriverBegins { run });
        };
        if job.node.is_none() {
            let drivers = self.drivers.iter().filter(|driver| driver.lives()).count() as u32;
            self.fact(&Fact::DriverJobBegan { restarts: job.restarts, drivers });
        }
        if let Some(job) = self.job(run) {
            job.node = Some(node);
        }
        let silent_since = self.now.plus(SILENCE);
        let is_heard = |driver: &Driver| driver.lives() && driver.asleep_until < silent_since;
        let stands_by = self.drivers.iter().any(is_heard) || self.slurm.as_ref().is_some_and(super::Slurm::is_kept);
        if stands_by {
            let at = self.after("stands by", STANDS_BY);
            return self.due(at, Due::DriverBegins { run });
        }
        self.start();
        let driver = self.drivers.len() - 1;
        if let Some(job) = self.job(run) {
            job.driver = Some(driver);
        }
        let limit = self.slurm.as_ref().map_or(0, |slurm| slurm.cluster.driver_limit);
        if limit > 0 {
            let early = self.chance.between("early signal", EARLY);
            self.due(self.now.plus(limit - NOTICE - early), Due::DriverNotice { run });
            self.due(self.now.plus(limit + KILL_WAIT), Due::DriverKill { run });
        }
    }

    fn node_for_the_driver(&mut self) -> Option<usize> {
        let controller = &self.slurm.as_ref()?.controller;
        let up: Vec<usize> = (0..controller.nodes.len()).filter(|&node| controller.nodes[node].up).collect();
        if up.is_empty() || self.now < controller.away_until {
            return None;
        }
        Some(up[self.chance.one_of("the driver's node", up.len())])
    }

    /// Its time is nearly up: it leaves, and puts itself back into the queue.
    pub(super) fn driver_notice(&mut self, run: u64) {
        let Some(job) = self.job(run) else { return };
        job.comes_back = true;
        let Some(driver) = job.driver else { return };
        if self.drivers[driver].runs() {
            self.bring(driver, Input::Leave);
        } else {
            self.kill_driver(driver, "its time is up before it listens");
        }
    }

    /// It is killed: its time is over.
    pub(super) fn driver_kill(&mut self, run: u64) {
        let Some(job) = self.job(run) else { return };
        job.comes_back = false;
        if let Some(driver) = job.driver {
            self.kill_driver(driver, "its time is over");
        }
    }

    /// A driver process has ended: so has its job.
    pub(in crate::world) fn job_ends_with(&mut self, driver: usize) {
        let Some(slurm) = &mut self.slurm else { return };
        slurm.lone_drivers.retain(|(lone, _)| *lone != driver);
        let Some(job) = slurm.job.filter(|job| job.driver == Some(driver)) else { return };
        if job.comes_back && self.end.is_none() && self.now >= slurm.controller.away_until {
            self.put_driver_back();
        } else {
            self.forget_job();
        }
    }

    fn forget_job(&mut self) {
        if let Some(slurm) = &mut self.slurm {
            slurm.job = None;
        }
    }

    fn put_driver_back(&mut self) {
        let Some(slurm) = &mut self.slurm else { return };
        slurm.job_runs += 1;
        let run = slurm.job_runs;
        let Some(job) = &mut slurm.job else { return };
        *job = DriverJob { run, restarts: job.restarts + 1, node: None, driver: None, comes_back: false };
        self.note(format_args!("the driver's job is in the queue again"));
        let at = self.after("requeue of the driver", REQUEUE);
        self.due(at, Due::DriverBegins { run });
    }

    /// It has to make room: with notice it leaves, without it is killed. Slurm puts it back into the queue.
    pub(super) fn preempt_driver(&mut self, notice: bool) {
        let Some(job) = self.slurm.as_mut().and_then(|slurm| slurm.job.as_mut()) else { return };
        let Some(driver) = job.driver else { return };
        job.comes_back = true;
        let run = job.run;
        if notice { self.driver_notice(run) } else { self.kill_driver(driver, "preempted") }
    }

    /// A node is lost. Its driver dies with it, or lives on and Slurm knows nothing of it.
    pub(super) fn driver_loses_node(&mut self, node: usize, dies: bool) {
        let Some(slurm) = &mut self.slurm else { return };
        let Some(job) = slurm.job.as_mut().filter(|job| job.node == Some(node)) else { return };
        let Some(driver) = job.driver.take() else { return };
        if dies {
            self.kill_driver(driver, "its node dies");
        } else {
            slurm.lone_drivers.push((driver, node));
        }
    }

    /// The controller takes the node for dead, and puts the job back.
    pub(super) fn driver_node_down(&mut self, node: usize) {
        if self.slurm.as_ref().is_some_and(|slurm| slurm.job.is_some_and(|job| job.node == Some(node))) {
            self.put_driver_back();
        }
    }

    /// The node was started anew: a driver that still ran there is gone.
    pub(super) fn driver_node_up(&mut self, node: usize) {
        let lone = self.slurm.iter().flat_map(|slurm| &slurm.lone_drivers).filter(|(_, at)| *at == node);
        for driver in lone.map(|(driver, _)| *driver).collect::<Vec<_>>() {
            self.kill_driver(driver, "its node is started anew");
        }
    }

    /// Now and then people see to it that there are workers.
    pub(super) fn people_look(&mut self) {
        if self.end.is_some() {
            return;
        }
        self.people_submit();
        let at = self.after("people look", PEOPLE);
        self.due(at, Due::People);
    }

    /// By `hpo slurm submit` and `scale`: the workers that are missing, in arrays that share the throttle.
    pub(super) fn people_submit(&mut self) {
        let now = self.now;
        let Some(slurm) = self.slurm.as_mut().filter(|slurm| slurm.cluster.driver_is_job) else { return };
        if now < slurm.controller.away_until {
            return;
        }
        let wanted = slurm.asked.max_workers.unwrap_or(slurm.cluster.max_workers);
        let queue = Queue::read(&slurm.controller.queue(now, 0));
        let (mut left, mut size) = (wanted.saturating_sub(slurm.controller.alive()), slurm.cluster.array_max);
        let mut room = share::room(slurm.cluster.throttle, &queue, NAME, &slurm.notes.arrays);
        let mut places = vec![];
        while let Some(part) = share::next(left, size, room) {
            let most = slurm.cluster.submit_max;
            if most > 0 && slurm.controller.alive() + part.tasks > most {
                if part.tasks == 1 {
                    break;
                }
                size = part.tasks / 2;
                continue;
            }
            let array = slurm.controller.submit(now, part.tasks, &[], part.most);
            slurm.notes.arrays.push(Submitted { array, tasks: part.tasks, unix_ms: 0, most: part.most });
            places.extend((0..part.tasks).map(|index| (array, index)));
            left -= part.tasks;
            room = room.zip(part.most).map(|(room, most)| room - most);
        }
        if places.is_empty() {
            return;
        }
        let tasks = slurm.controller.alive();
        self.note(format_args!("people submit {places:?}"));
        self.fact(&Fact::Queued { tasks });
        places.into_iter().for_each(|place| self.wait_in_queue(place));
        self.may_fall();
    }

    /// The task that a worker which has to leave puts back into the queue: its own, if the production worker would.
    pub(in crate::world) fn puts_itself_back(&mut self, worker: usize, end: &SessionEnd) -> Option<Place> {
        let slurm = self.slurm.as_ref().filter(|slurm| slurm.cluster.driver_is_job)?;
        if !matches!(end, SessionEnd::Preempted | SessionEnd::OutOfTime) || self.now < slurm.controller.away_until {
            return None;
        }
        let (place, node) = *slurm.names.get(&worker)?;
        let name = |node: usize| slurm.controller.nodes[node].name.as_str();
        let task = slurm.controller.tasks.get(&place)?;
        let state = match task.life {
            Life::Running if !task.doomed => "RUNNING",
            Life::Running | Life::Completing => "COMPLETING",
            Life::Pending(_) => "PENDING",
            Life::Over(word) => word,
        };
        let said = format!("{state} {} 5:00 N/A", task.node.map_or("", name));
        if !may_come_back(&said, name(node)) {
            return None;
        }
        let own = matches!(task.life, Life::Running) && !task.doomed && task.node == Some(node);
        self.fact(&Fact::PutBack { task: place, own });
        Some(place)
    }

    /// `scontrol requeue` of a task: whatever runs in it ends.
    pub(in crate::world) fn put_back_by_name(&mut self, place: Place) {
        if let Some(other) = self.forsake(place) {
            self.bury(other, "its task was put back into the queue");
        }
        self.put_back(place);
    }
}
