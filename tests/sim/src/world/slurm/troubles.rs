//! What goes wrong in a Slurm by itself.
use hpo_core::{Millis, Stamp};
use hpo_driver::launch::slurm::scale::Place;

use super::super::World;
use super::Due;
use super::controller::Life;
use crate::check::Fact;
use crate::setup::Faults;

/// A controller that was away answers for so long at least.
const BETWEEN: Millis = 5 * 60_000;

/// What was submitted so long ago a controller that comes back still knows.
const FORGETS: Millis = 10_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Trouble {
    /// A task makes room for another user's.
    Preempt,
    /// A node dies.
    Node,
    /// Slurm's program on a node dies.
    Slurmd,
    /// The controller is away.
    Controller,
    /// The queue is shown as it was.
    Frozen,
    /// People ask for another number of workers.
    People,
}

impl Trouble {
    pub(in crate::world) const ALL: [Self; 6] = [Self::Preempt, Self::Node, Self::Slurmd, Self::Controller, Self::Frozen, Self::People];

    pub(in crate::world) fn every(self, faults: &Faults) -> Millis {
        let faults = &faults.slurm;
        match self {
            Self::Preempt => faults.preempt_every,
            Self::Node => faults.node_every,
            Self::Slurmd => faults.slurmd_every,
            Self::Controller => faults.controller_every,
            Self::Frozen => faults.frozen_every,
            Self::People => faults.people_every,
        }
    }
}

impl World {
    pub(in crate::world) fn strike_slurm(&mut self, which: Trouble) {
        if self.slurm.is_none() {
            return;
        }
        match which {
            Trouble::Preempt => self.preempt(),
            Trouble::Node => self.lose_node(true),
            Trouble::Slurmd => self.lose_node(false),
            Trouble::Controller => self.lose_controller(),
            Trouble::People if self.wants_one_to_go() => self.cancel_one(),
            Trouble::People => self.scale(),
            Trouble::Frozen => {
                let (now, until) = (self.now, self.after("frozen queue", (30_000, 3 * 60_000)));
                if let Some(slurm) = &mut self.slurm {
                    slurm.frozen = Some((now, until));
                }
            }
        }
    }

    fn wants_one_to_go(&mut self) -> bool {
        let is_job = self.slurm.as_ref().is_some_and(|slurm| slurm.cluster.driver_is_job);
        is_job && self.chance.one_of("people want a worker to go", 2) == 0
    }

    /// By `scancel` of a task that runs.
    fn cancel_one(&mut self) {
        let running = self.running_tasks();
        if running.is_empty() {
            return;
        }
        let (place, _) = running[self.chance.one_of("task that people cancel", running.len())];
        self.note(format_args!("people cancel {place:?}"));
        self.cancel_task(place);
    }

    /// By `hpo slurm scale`: fewer workers, or more than the sweep file allows.
    fn scale(&mut self) {
        let most = self.slurm.as_ref().map_or(1, |slurm| 2 * slurm.cluster.max_workers);
        let tasks = 1 + self.chance.one_of("workers that people want", most as usize) as u32;
        if let Some(slurm) = &mut self.slurm {
            slurm.asked.max_workers = Some(tasks);
        }
        self.fact(&Fact::Allowed { tasks });
        self.people_submit();
    }

    fn running_tasks(&self) -> Vec<(Place, u64)> {
        let tasks = self.slurm.iter().flat_map(|slurm| &slurm.controller.tasks);
        tasks.filter(|(_, task)| task.life == Life::Running).map(|(place, task)| (*place, task.run)).collect()
    }

    fn preempt(&mut self) {
        let driver_is_job = self.slurm.as_ref().is_some_and(|slurm| slurm.cluster.driver_is_job);
        if driver_is_job && self.chance.one_of("the driver is preempted", 4) == 0 {
            let notice = self.chance.hits("grace", self.setup.faults.slurm.grace_pm);
            return self.preempt_driver(notice);
        }
        let running = self.running_tasks();
        if running.is_empty() {
            return;
        }
        let (place, run) = running[self.chance.one_of("task that is preempted", running.len())];
        let notice = self.chance.hits("grace", self.setup.faults.slurm.grace_pm);
        let wait = if notice { self.chance.between("grace time", (5_000, 120_000)) } else { 0 };
        if notice {
            self.due(self.now, Due::Notice { place, run });
        }
        self.due(self.now.plus(wait), Due::Kill { place, run, word: "PREEMPTED" });
    }

    /// With all that runs there, or its processes live on and only the controller does not know.
    fn lose_node(&mut self, dies: bool) {
        let Some(slurm) = &self.slurm else { return };
        let nodes: Vec<usize> = (0..slurm.controller.nodes.len()).filter(|&node| slurm.controller.nodes[node].up).collect();
        if nodes.is_empty() {
            return;
        }
        let node = nodes[self.chance.one_of("node that is lost", nodes.len())];
        let Some(slurm) = &mut self.slurm else { return };
        let there = slurm.controller.tasks.values_mut().filter(|task| task.node == Some(node));
        let workers: Vec<usize> = there.filter_map(|task| task.worker.take()).collect();
        if !dies {
            slurm.ghosts.extend(workers.iter().map(|worker| (*worker, node)));
        } else {
            for worker in workers {
                if let Some(conn) = self.workers[worker].conn.take() {
                    self.go_silent(conn, true, true);
                }
                self.bury(worker, "its node dies");
            }
        }
        self.driver_loses_node(node, dies);
        // Nothing new begins there; the controller finds out.
        if let Some(slurm) = &mut self.slurm {
            slurm.controller.nodes[node].up = false;
        }
        let at = self.after("node is taken for dead", (20_000, 300_000));
        self.due(at, Due::Down { node });
    }

    pub(super) fn node_down(&mut self, node: usize) {
        let Some(slurm) = &self.slurm else { return };
        let away = slurm.controller.away_until;
        if self.now < away {
            return self.due(away.plus(1), Due::Down { node });
        }
        let there = slurm.controller.tasks.iter().filter(|(_, task)| task.is_alive() && task.node == Some(node));
        for (place, run) in there.map(|(place, task)| (*place, task.run)).collect::<Vec<_>>() {
            let doomed = self.slurm.as_ref().is_some_and(|slurm| slurm.controller.tasks.get(&place).is_some_and(|task| task.doomed));
            if !doomed && self.chance.one_of("put back into the queue", 4) > 0 {
                self.put_back(place);
            } else {
                self.end_task(place, run, "NODE_FAIL");
            }
        }
        self.driver_node_down(node);
        let at = self.after("node comes back", (30_000, 15 * 60_000));
        self.due(at, Due::Up { node });
    }

    /// It was started anew: what still ran there is gone.
    pub(super) fn node_up(&mut self, node: usize) {
        let Some(slurm) = &mut self.slurm else { return };
        slurm.controller.nodes[node].up = true;
        let gone: Vec<usize> = slurm.ghosts.iter().filter(|(_, at)| *at == node).map(|(worker, _)| *worker).collect();
        slurm.ghosts.retain(|(_, at)| *at != node);
        for worker in gone {
            self.bury(worker, "its node is started anew");
        }
        self.driver_node_up(node);
    }

    /// Something was submitted, and is not safe for the next seconds.
    pub(super) fn may_fall(&mut self) {
        if self.healed.is_none() && self.chance.hits("falls after a submission", self.setup.faults.slurm.falls_pm) {
            let at = self.after("fall of the controller", (FORGETS - 1_000, FORGETS));
            self.due(at, Due::Fall);
        }
    }

    pub(super) fn lose_controller(&mut self) {
        let until = self.after("controller is away", (10_000, 8 * 60_000));
        let forgets = self.chance.hits("amnesia", self.setup.faults.slurm.amnesia_pm);
        let since = Stamp(self.now.0.saturating_sub(FORGETS));
        let now = self.now;
        let Some(slurm) = &mut self.slurm else { return };
        if now < slurm.controller.away_until.plus(BETWEEN) && slurm.controller.away_until > Stamp(0) {
            return;
        }
        slurm.controller.away_until = slurm.controller.away_until.max(until);
        if !forgets {
            return;
        }
        let young = slurm.controller.tasks.iter().filter(|(_, task)| task.born >= since);
        let ghosts: Vec<_> = young.filter_map(|(_, task)| Some((task.worker?, task.node?))).collect();
        slurm.ghosts.extend(ghosts);
        let forgotten = slurm.controller.forget(now, since);
        self.note(format_args!("the controller forgets {forgotten:?}"));
    }

    /// From now on all goes well, and what waits begins soon.
    pub(in crate::world) fn heal_slurm(&mut self) {
        let now = self.now;
        let Some(slurm) = &mut self.slurm else { return };
        slurm.controller.away_until = slurm.controller.away_until.min(now);
        slurm.frozen = None;
        slurm.controller.nodes.iter_mut().for_each(|node| node.bad = false);
        let waiting = slurm.controller.tasks.iter().filter(|(_, task)| matches!(task.life, Life::Pending(_)));
        for (place, run) in waiting.map(|(place, task)| (*place, task.run)).collect::<Vec<_>>() {
            let at = self.after("wait in the queue", (1_000, 60_000));
            self.due(at, Due::Begin { place, run });
        }
    }

    /// A node on which nothing starts, where the seed has one.
    pub(in crate::world) fn spoil_node(&mut self) {
        if !self.setup.faults.slurm.bad_node {
            return;
        }
        let nodes = self.slurm.as_ref().map_or(0, |slurm| slurm.controller.nodes.len());
        let node = self.chance.one_of("bad node", nodes);
        if let Some(node) = self.slurm.as_mut().and_then(|slurm| slurm.controller.nodes.get_mut(node)) {
            node.bad = true;
        }
    }
}
