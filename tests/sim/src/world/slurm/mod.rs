//! A simulated Slurm: queue, nodes and controller, on which the production keeper, limiter and parser run unchanged.
mod calls;
mod controller;
mod jobs;
mod keepers;
mod tasks;
mod troubles;

use std::collections::BTreeMap;

use hpo_core::{Millis, Stamp};
use hpo_driver::launch::slurm::call::Said;
use hpo_driver::launch::slurm::keep::{Asked, Notes};
use hpo_driver::launch::slurm::scale::Place;

use super::World;
use crate::setup::Cluster;
use controller::Controller;
use jobs::DriverJob;
use keepers::Keeping;
pub(super) use troubles::Trouble;

/// What was submitted so long ago has been in the queue that drivers are shown, however old it is.
const UNSEEN: Millis = 5 * 60_000;

/// Slurm, as far as this world has it.
pub(super) struct Slurm {
    cluster: Cluster,
    controller: Controller,
    /// Of drivers.
    keepers: BTreeMap<usize, Keeping>,
    /// `slurm.json` of the run folder.
    notes: Notes,
    /// `slurm-asked.json`: what people want.
    asked: Asked,
    /// The queue is shown as it was then, until then.
    frozen: Option<(Stamp, Stamp)>,
    /// When a look showed the queue last, and as it was when.
    shown: Stamp,
    /// Workers of tasks of which the controller knows nothing any more, by the node on which they run.
    ghosts: Vec<(usize, usize)>,
    /// In which task each worker began, and on which node.
    names: BTreeMap<usize, (Place, usize)>,
    /// The driver's own job, where it is one.
    job: Option<DriverJob>,
    job_runs: u64,
    /// Drivers of which the controller knows nothing any more, by the node on which they run.
    lone_drivers: Vec<(usize, usize)>,
    /// When a driver's sweep was over for the last time.
    ended: Option<Stamp>,
}

/// Something to come.
#[derive(Debug)]
pub(super) enum Due {
    /// A keeper goes on.
    Keep { driver: usize, turn: u64 },
    /// A request comes to the controller, whoever still waits for its answer.
    Request(calls::Request),
    /// The answer to a keeper's call.
    Answer { driver: usize, turn: u64, said: Option<Said> },
    /// A task that waits may begin.
    Begin { place: Place, run: u64 },
    /// Its script comes to its worker, or fails.
    Worker { place: Place, run: u64 },
    /// A task is told that its end is near.
    Notice { place: Place, run: u64 },
    /// A task is killed, and is over with that word or waits again.
    Kill { place: Place, run: u64, word: &'static str },
    /// A task whose process has ended is over.
    Over { place: Place, run: u64, word: &'static str },
    /// The controller takes a node for dead.
    Down { node: usize },
    /// It takes it for sound again.
    Up { node: usize },
    /// The controller is lost.
    Fall,
    /// The driver's job has waited.
    DriverBegins { run: u64 },
    /// It is told that its end is near.
    DriverNotice { run: u64 },
    /// It is killed.
    DriverKill { run: u64 },
    /// People look at their sweep.
    People,
}

impl Slurm {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            controller: Controller::new(&cluster.nodes),
            cluster,
            keepers: BTreeMap::new(),
            notes: Notes::default(),
            asked: Asked::default(),
            frozen: None,
            shown: Stamp(0),
            ghosts: vec![],
            names: BTreeMap::new(),
            job: None,
            job_runs: 0,
            lone_drivers: vec![],
            ended: None,
        }
    }

    /// Tasks that wait or run, and that nobody has told to go. What people have submitted beside a driver that was about to leave it
    /// need not have seen; such a task finds that the sweep is over.
    pub(super) fn left(&self) -> u32 {
        let seen = self.ended.filter(|_| self.cluster.driver_is_job).map(|ended| Stamp(ended.0.saturating_sub(UNSEEN)));
        self.controller.left(seen)
    }

    /// Whether some driver still sees to the end.
    pub(super) fn is_kept(&self) -> bool {
        !self.keepers.is_empty()
    }
}

impl World {
    pub(super) fn slurm_happens(&mut self, due: Due) {
        match due {
            Due::Keep { driver, turn } => self.keep(driver, turn),
            Due::Request(request) => self.request(request),
            Due::Answer { driver, turn, said } => self.answer(driver, turn, said.as_ref()),
            Due::Begin { place, run } => self.begin_task(place, run),
            Due::Worker { place, run } => self.begin_worker(place, run),
            Due::Notice { place, run } => self.notice_task(place, run),
            Due::Kill { place, run, word } => self.kill_task(place, run, word),
            Due::Over { place, run, word } => self.end_task(place, run, word),
            Due::Down { node } => self.node_down(node),
            Due::Up { node } => self.node_up(node),
            Due::Fall if self.healed.is_some() => {}
            Due::Fall => self.lose_controller(),
            Due::DriverBegins { run } => self.driver_begins(run),
            Due::DriverNotice { run } => self.driver_notice(run),
            Due::DriverKill { run } => self.driver_kill(run),
            Due::People => self.people_look(),
        }
    }

    pub(super) fn due(&mut self, at: Stamp, due: Due) {
        self.heap.push(at, super::Coming::Slurm(due));
    }
}
