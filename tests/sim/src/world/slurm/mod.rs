//! A simulated Slurm: queue, nodes and controller, on which the production keeper, limiter and parser run unchanged.
mod calls;
mod controller;
mod keepers;
mod tasks;
mod troubles;

use std::collections::BTreeMap;

use hpo_core::Stamp;
use hpo_driver::launch::slurm::call::Said;
use hpo_driver::launch::slurm::keep::{Asked, Notes};
use hpo_driver::launch::slurm::scale::Place;

use super::World;
use crate::setup::Cluster;
use controller::Controller;
use keepers::Keeping;
pub(super) use troubles::Trouble;

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
        }
    }

    /// Tasks that wait or run, and that nobody has told to go.
    pub(super) fn left(&self) -> u32 {
        self.controller.left()
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
        }
    }

    pub(super) fn due(&mut self, at: Stamp, due: Due) {
        self.heap.push(at, super::Coming::Slurm(due));
    }
}
