//! The controller of a simulated Slurm: queue, nodes, numbers. What it says is text, as the real one's is.
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use hpo_core::{Millis, Stamp};
use hpo_driver::launch::slurm::scale::Place;

/// By which the queue shows the workers.
pub(in crate::world) const NAME: &str = "hpo-sim-01234567";
/// Tasks that are over stay in the queue for so long.
const SHOWN: Millis = 300_000;
/// A queue that is shown late is no older than this.
const PAST: Millis = 300_000;

/// A node.
#[derive(Clone, Debug)]
pub(in crate::world) struct Node {
    pub(in crate::world) name: String,
    /// Tasks that fit on it.
    pub(in crate::world) room: u32,
    /// The controller gives it tasks.
    pub(in crate::world) up: bool,
    /// Nothing starts on it.
    pub(in crate::world) bad: bool,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Life {
    Pending(&'static str),
    Running,
    Completing,
    Over(&'static str),
}

/// One task of an array.
#[derive(Clone, Debug)]
pub(in crate::world) struct Task {
    pub(in crate::world) life: Life,
    pub(in crate::world) job: u32,
    pub(in crate::world) node: Option<usize>,
    /// Its worker process, once there is one.
    pub(in crate::world) worker: Option<usize>,
    /// Since when it stands there.
    pub(in crate::world) since: Stamp,
    /// When it was submitted.
    pub(in crate::world) born: Stamp,
    /// Counts its starts and ends: what is to come for an earlier one is void.
    pub(in crate::world) run: u64,
    pub(in crate::world) exclude: Vec<String>,
    /// It was cancelled, and is on its way out.
    pub(in crate::world) doomed: bool,
    /// How often it was put back into the queue.
    pub(in crate::world) restarts: u32,
}

impl Task {
    pub(in crate::world) fn is_alive(&self) -> bool {
        !matches!(self.life, Life::Over(_))
    }
}

/// The controller's memory.
#[derive(Clone, Debug)]
pub(in crate::world) struct Controller {
    pub(in crate::world) nodes: Vec<Node>,
    pub(in crate::world) tasks: BTreeMap<Place, Task>,
    pub(in crate::world) away_until: Stamp,
    /// How many tasks of an array may run at one time; of one that is not here all may.
    pub(in crate::world) throttles: BTreeMap<u32, u32>,
    next_job: u32,
    /// How the queue looked, and since when.
    past: VecDeque<(Stamp, String)>,
}

impl Controller {
    pub(in crate::world) fn new(nodes: &[u32]) -> Self {
        let node = |(index, room): (usize, &u32)| Node { name: format!("n{}", index + 1), room: *room, up: true, bad: false };
        Self {
            nodes: nodes.iter().enumerate().map(node).collect(),
            tasks: BTreeMap::new(),
            away_until: Stamp(0),
            throttles: BTreeMap::new(),
            next_job: 1,
            past: [(Stamp(0), String::new())].into(),
        }
    }

    pub(in crate::world) fn alive(&self) -> u32 {
        self.tasks.values().filter(|task| task.is_alive()).count() as u32
    }

    /// Those that wait or run, and that nobody has told to go; of those that were submitted before `until`, if it is given.
    pub(in crate::world) fn left(&self, until: Option<Stamp>) -> u32 {
        let old = |task: &Task| until.is_none_or(|until| task.born < until);
        let stays = |task: &&Task| matches!(task.life, Life::Pending(_) | Life::Running) && !task.doomed && old(task);
        self.tasks.values().filter(stays).count() as u32
    }

    /// An array is in the queue; its number.
    pub(in crate::world) fn submit(&mut self, now: Stamp, tasks: u32, exclude: &[String], most: Option<u32>) -> u32 {
        let array = self.next_job;
        self.throttle(array, most);
        for index in 0..tasks {
            let (life, job) = (Life::Pending("Priority"), self.next_job);
            self.next_job += 1;
            let (exclude, doomed) = (exclude.to_vec(), false);
            let task = Task { life, job, node: None, worker: None, since: now, born: now, run: 0, exclude, doomed, restarts: 0 };
            self.tasks.insert((array, index), task);
        }
        self.show(now);
        array
    }

    /// So many tasks of an array may run at one time; 0 is no limit.
    pub(in crate::world) fn throttle(&mut self, array: u32, most: Option<u32>) {
        match most.filter(|most| *most > 0) {
            Some(most) => drop(self.throttles.insert(array, most)),
            None => drop(self.throttles.remove(&array)),
        }
    }

    /// Tasks that have a node, of all arrays or of one.
    pub(in crate::world) fn running(&self, of: Option<u32>) -> u32 {
        let runs = |(place, task): &(&Place, &Task)| of.is_none_or(|array| array == place.0) && matches!(task.life, Life::Running);
        self.tasks.iter().filter(runs).count() as u32
    }

    /// Tasks that run or may, as far as the arrays' throttles go.
    pub(in crate::world) fn allowed(&self) -> u32 {
        let mut alive: BTreeMap<u32, u32> = BTreeMap::new();
        self.tasks.iter().filter(|(_, task)| task.is_alive()).for_each(|(place, _)| *alive.entry(place.0).or_default() += 1);
        alive.iter().map(|(array, tasks)| self.throttles.get(array).map_or(*tasks, |most| *tasks.min(most))).sum()
    }

    /// Whether as many tasks of this array run as may.
    pub(in crate::world) fn is_full(&self, array: u32) -> bool {
        self.throttles.get(&array).is_some_and(|most| self.running(Some(array)) >= *most)
    }

    /// A task stands elsewhere from now on.
    pub(in crate::world) fn change(&mut self, now: Stamp, place: Place, life: Life, node: Option<usize>) {
        let Some(task) = self.tasks.get_mut(&place) else { return };
        (task.life, task.since) = (life, now);
        task.run += 1;
        if life != Life::Completing && !matches!(life, Life::Over(_)) {
            task.node = node;
        }
        self.show(now);
    }

    /// A node with room for a task, by chance one of them.
    pub(in crate::world) fn room_for(&self, place: Place) -> Vec<usize> {
        let used = |node: usize| {
            let there = self.tasks.values().filter(|task| task.node == Some(node) && matches!(task.life, Life::Running | Life::Completing));
            there.count() as u32
        };
        let exclude = self.tasks.get(&place).map(|task| task.exclude.as_slice()).unwrap_or_default();
        let fits = |&node: &usize| {
            let it = &self.nodes[node];
            it.up && used(node) < it.room && !exclude.contains(&it.name)
        };
        (0..self.nodes.len()).filter(fits).collect()
    }

    /// What was submitted since then is forgotten, and its numbers are given out again. Workers of tasks that ran.
    pub(in crate::world) fn forget(&mut self, now: Stamp, since: Stamp) -> Vec<Place> {
        let young = self.tasks.iter().filter(|(_, task)| task.born >= since && task.is_alive());
        let young: Vec<Place> = young.map(|(place, _)| *place).collect();
        if let Some(least) = young.iter().map(|(array, _)| *array).min() {
            self.next_job = least;
        }
        young.iter().for_each(|place| drop(self.tasks.remove(place)));
        self.show(now);
        young
    }

    /// The queue as it looked so long ago, in the words of `squeue`.
    pub(in crate::world) fn queue(&mut self, now: Stamp, age: Millis) -> String {
        self.show(now);
        let then = Stamp(now.0.saturating_sub(age));
        let seen = self.past.iter().rev().find(|(since, _)| *since <= then).or_else(|| self.past.front());
        seen.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    fn show(&mut self, now: Stamp) {
        self.tasks.retain(|_, task| task.is_alive() || now.since(task.since) < SHOWN);
        let mut text = String::new();
        for ((array, index), task) in &self.tasks {
            let (state, reason) = match task.life {
                Life::Pending(reason) => ("PENDING", reason),
                Life::Running => ("RUNNING", "None"),
                Life::Completing => ("COMPLETING", "None"),
                Life::Over(word) => (word, "None"),
            };
            let node = task.node.map_or("", |node| self.nodes[node].name.as_str());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{array}_{index}|{}|{state}|{reason}|1:00:00|{node}|{NAME}", task.job);
        }
        if self.past.back().is_none_or(|(_, last)| *last != text) {
            self.past.push_back((now, text));
        }
        while self.past.get(1).is_some_and(|(since, _)| now.since(*since) > PAST) {
            self.past.pop_front();
        }
    }
}
