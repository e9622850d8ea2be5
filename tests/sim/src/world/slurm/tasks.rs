//! The lives of tasks: they wait, begin on a node, become a worker, are told to go, end, and perhaps wait again.
use hpo_core::sweep::event::Allocation;
use hpo_core::{Millis, Stamp};
use hpo_driver::launch::slurm::scale::Place;
use hpo_worker::session::Input;

use super::super::{Coming, World};
use super::Due;
use super::controller::{Life, Task};
use crate::check::Fact;
use crate::setup::Cluster;

/// The shortest waits in a queue.
const WAIT: (Millis, Millis) = (100, 30_000);
/// From the task's begin to its worker's.
const STARTUP: (Millis, Millis) = (200, 15_000);
/// From Slurm's first word to its last.
const KILL_WAIT: Millis = 30_000;
/// A task that was put back waits at least so long.
const REQUEUE: (Millis, Millis) = (5_000, 120_000);

impl World {
    fn slurm_task(&self, place: Place, run: u64) -> Option<&Task> {
        self.slurm.as_ref()?.controller.tasks.get(&place).filter(|task| task.run == run)
    }

    fn change(&mut self, place: Place, life: Life, node: Option<usize>) -> u64 {
        let now = self.now;
        self.note(format_args!("task {place:?}: {life:?} on {node:?}"));
        let Some(slurm) = &mut self.slurm else { return 0 };
        slurm.controller.change(now, place, life, node);
        slurm.controller.tasks.get(&place).map_or(0, |task| task.run)
    }

    /// Its turn comes some time.
    pub(super) fn wait_in_queue(&mut self, place: Place) {
        let wait = self.setup.faults.slurm.wait_ms;
        let long = self.healed.is_none() && wait > 0 && self.chance.one_of("a long wait", 2) == 0;
        let at = self.after("wait in the queue", if long { (WAIT.1, wait) } else { WAIT });
        let Some(run) = self.slurm.as_ref().and_then(|slurm| Some(slurm.controller.tasks.get(&place)?.run)) else { return };
        self.due(at, Due::Begin { place, run });
    }

    pub(super) fn begin_task(&mut self, place: Place, run: u64) {
        if self.slurm_task(place, run).is_none_or(|task| !matches!(task.life, Life::Pending(_))) {
            return;
        }
        let Some(slurm) = &self.slurm else { return };
        let away = slurm.controller.away_until;
        if self.now < away {
            return self.due(away.plus(1), Due::Begin { place, run });
        }
        let nodes = slurm.controller.room_for(place);
        if nodes.is_empty() {
            let at = self.after("until there is room", (5_000, 20_000));
            return self.due(at, Due::Begin { place, run });
        }
        if slurm.controller.is_full(place.0) {
            self.tell_what_runs(true);
            let at = self.after("until its array's turn comes", (5_000, 20_000));
            return self.due(at, Due::Begin { place, run });
        }
        let node = nodes[self.chance.one_of("node", nodes.len())];
        let run = self.change(place, Life::Running, Some(node));
        self.tell_what_runs(false);
        let at = self.after("start of a task", STARTUP);
        self.due(at, Due::Worker { place, run });
        let Some(cluster) = self.slurm.as_ref().map(|slurm| slurm.cluster.clone()) else { return };
        if cluster.limit > 0 {
            // Limits are looked at every half a minute, and signals come up to that much early.
            let early = self.chance.between("early signal", (0, 30_000));
            self.due(self.now.plus(cluster.limit.saturating_sub(cluster.notice + early)), Due::Notice { place, run });
            self.due(self.now.plus(cluster.limit + KILL_WAIT), Due::Kill { place, run, word: "TIMEOUT" });
        }
    }

    /// `held`: some task had a node, and its array runs as many as it may.
    fn tell_what_runs(&mut self, held: bool) {
        let Some(controller) = self.slurm.as_ref().map(|slurm| &slurm.controller) else { return };
        let (tasks, allowed) = (controller.running(None), controller.allowed());
        self.fact(&Fact::Running { tasks, allowed, held });
    }

    pub(super) fn begin_worker(&mut self, place: Place, run: u64) {
        let Some(task) = self.slurm_task(place, run) else { return };
        let (since, node, restarts) = (task.since, task.node, task.restarts);
        let Some((slurm, node)) = self.slurm.as_ref().zip(node) else { return };
        let (bad, name) = (slurm.controller.nodes[node].bad, slurm.controller.nodes[node].name.clone());
        if !slurm.controller.nodes[node].up {
            // Lost before its worker began.
            return;
        }
        if bad {
            self.fact(&Fact::StartFailed { node: name });
            self.end_task(place, run, "FAILED");
            return;
        }
        let Cluster { slots, limit, leave_before, .. } = slurm.cluster;
        let leaves = (leave_before > 0).then(|| since.plus(limit - leave_before));
        let allocation = Allocation {
            job: format!("{}_{}", place.0, place.1),
            node: name,
            started_ms_ago: self.now.since(since),
            ends_in_ms: leaves.map(|leaves| leaves.since(self.now)),
        };
        let worker = self.bear(place.1 as usize, slots, Some((allocation, since)));
        if let Some(task) = self.slurm.as_mut().and_then(|slurm| slurm.controller.tasks.get_mut(&place)) {
            task.worker = Some(worker);
        }
        let Some(slurm) = &mut self.slurm else { return };
        slurm.names.insert(worker, (place, node));
        let lives = |(other, (of, _)): &(&usize, &(Place, usize))| *of == place && self.workers[**other].alive;
        let copies = slurm.names.iter().filter(lives).count() as u32;
        self.fact(&Fact::ElementBegan { task: place, restarts, copies });
    }

    /// Slurm's signal comes to whatever runs there.
    pub(super) fn notice_task(&mut self, place: Place, run: u64) {
        let Some(task) = self.slurm_task(place, run) else { return };
        match task.worker {
            Some(worker) => {
                let until = self.workers[worker].frozen_until;
                self.heap.push(self.now.max(until), Coming::Done { worker, input: Box::new(Input::Notice) });
            }
            // A shell without a trap dies of it.
            None if task.life == Life::Running => self.end_task(place, run, "FAILED"),
            None => {}
        }
    }

    /// The end, whatever runs there. A task that has to make room or whose node is lost waits again, or is over.
    pub(super) fn kill_task(&mut self, place: Place, run: u64, word: &'static str) {
        let Some(task) = self.slurm_task(place, run) else { return };
        let worker = task.worker;
        if let Some(worker) = worker {
            self.forsake(place);
            self.bury(worker, word);
        }
        let doomed = self.slurm_task(place, run).is_some_and(|task| task.doomed);
        let again = word == "PREEMPTED" && !doomed && self.chance.one_of("put back into the queue", 4) > 0;
        if again { self.put_back(place) } else { self.end_task(place, run, word) }
    }

    /// It waits again, as the same task.
    pub(super) fn put_back(&mut self, place: Place) {
        self.forsake(place);
        self.change(place, Life::Pending("BeginTime"), None);
        if let Some(task) = self.slurm.as_mut().and_then(|slurm| slurm.controller.tasks.get_mut(&place)) {
            task.restarts += 1;
        }
        let at = self.after("requeue", REQUEUE);
        let Some(run) = self.slurm.as_ref().and_then(|slurm| Some(slurm.controller.tasks.get(&place)?.run)) else { return };
        self.due(at, Due::Begin { place, run });
    }

    pub(super) fn end_task(&mut self, place: Place, run: u64, word: &'static str) {
        if self.slurm_task(place, run).is_some_and(Task::is_alive) {
            self.forsake(place);
            self.change(place, Life::Over(word), None);
        }
    }

    /// The controller connects it with its process no more.
    pub(super) fn forsake(&mut self, place: Place) -> Option<usize> {
        self.slurm.as_mut()?.controller.tasks.get_mut(&place)?.worker.take()
    }

    /// A worker process has ended by itself or died: so has its task, as soon as the controller hears of it.
    pub(in crate::world) fn task_ends_with(&mut self, worker: usize, word: &'static str) {
        if let Some(slurm) = &mut self.slurm {
            slurm.ghosts.retain(|(ghost, _)| *ghost != worker);
        }
        let Some(place) = self.task_of(worker) else { return };
        let node = self.slurm.as_ref().and_then(|slurm| slurm.controller.tasks.get(&place)?.node);
        self.forsake(place);
        let run = self.change(place, Life::Completing, node);
        let away = self.slurm.as_ref().map_or(Stamp(0), |slurm| slurm.controller.away_until);
        let at = self.after("end of a task", (10, 5_000)).max(away);
        self.due(at, Due::Over { place, run, word });
    }
}
