//! How many array tasks there should be. A pure machine: what Slurm answered and what the sweep can use come in, commands go
//! out. It believes nothing at once: an answer may be old, garbled or lost, and a task that was not seen may still run.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::Millis;

pub use words::{News, Order, Place, Policy};

use super::limit::Limiter;
use super::queue::State;

/// A task that was accepted and is not seen in the queue for so long is believed not to be there.
const UNSEEN: Millis = 5 * 60_000;
/// After so many starts in a row that came to nothing, starting more is a waste of the allocation.
const FAILED_STARTS: u32 = 4;
/// After so many of them on one node, the node is set aside.
const NODE_STRIKES: u32 = 2;
/// After so many refusals in a row nodes that were set aside are asked for again: a site may say in its own words that too few are left.
const REFUSALS: u32 = 8;

/// The machine.
#[derive(Clone, Debug)]
pub struct Scaler {
    policy: Policy,
    limiter: Limiter,
    known: BTreeMap<Place, Known>,
    /// Whose worker has ever joined. Kept for good: an old answer makes a task seem to begin again.
    served: BTreeSet<Place>,
    /// Arrays that were ever heard of.
    arrays: BTreeSet<u32>,
    /// Accepted and not seen yet.
    unseen: Vec<Unseen>,
    next_look: Millis,
    /// There was a driver before this one: nothing is submitted before the queue was seen.
    blind: bool,
    looking: bool,
    submitting: Option<u32>,
    /// How many tasks of it may run at one time.
    asked: Option<u32>,
    /// The same of arrays that were accepted; of one that is not here it is not known.
    throttles: BTreeMap<u32, u32>,
    /// Tasks too many at the last look. They go when there are too many at the next one, too.
    surplus: u32,
    /// How many were too many at the last two.
    lasting: u32,
    failed_starts: u32,
    /// Submissions in a row that were refused.
    refusals: u32,
    strikes: BTreeMap<String, u32>,
    /// Nodes on which workers have begun and joined.
    good: BTreeSet<String>,
    gave_up: bool,
}

#[derive(Clone, Debug)]
struct Known {
    state: State,
    node: String,
    missed: u8,
    /// How often it ran and then waited again.
    put_back: u32,
}

/// Tasks that were accepted, perhaps.
#[derive(Clone, Debug)]
struct Unseen {
    /// Of which array; none: nobody said.
    array: Option<u32>,
    tasks: u32,
    since: Millis,
    /// Tasks that were known under this number before: of an array that the controller forgot when it died, and gave its number
    /// away.
    before: BTreeSet<Place>,
    /// This driver submitted it, and knows which of its workers came.
    own: bool,
}

impl Unseen {
    /// Whether a task that is shown is one of these.
    fn is(&self, place: Place, state: State) -> bool {
        self.array == Some(place.0) && (state.is_alive() || !self.before.contains(&place))
    }
}

impl Scaler {
    /// Nothing was submitted yet, as far as is known.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let limiter = Limiter::new(policy.array_max.min(policy.max_tasks));
        Self {
            policy,
            limiter,
            known: BTreeMap::new(),
            served: BTreeSet::new(),
            arrays: BTreeSet::new(),
            unseen: vec![],
            next_look: 0,
            blind: false,
            looking: false,
            submitting: None,
            asked: None,
            throttles: BTreeMap::new(),
            surplus: 0,
            lasting: 0,
            failed_starts: 0,
            refusals: 0,
            strikes: BTreeMap::new(),
            good: BTreeSet::new(),
            gave_up: false,
        }
    }

    /// What the driver before this one knew: arrays that Slurm accepted and tasks of a submission without an answer, each with
    /// its age, and the nodes that it had set aside. Nothing is submitted before the queue was seen.
    pub fn remember(&mut self, now: Millis, arrays: &[(u32, u32, Millis)], in_doubt: Option<(u32, Millis)>, bad_nodes: &[String]) {
        self.blind = true;
        for &(array, tasks, age) in arrays {
            self.arrays.insert(array);
            self.expect(Some(array), tasks, now, age);
        }
        if let Some((tasks, age)) = in_doubt {
            self.expect(None, tasks, now, age);
        }
        self.strikes.extend(bad_nodes.iter().map(|node| (node.clone(), u32::MAX)));
    }

    /// So many tasks were accepted, perhaps, some time ago. Of long ago they would be in the queue.
    fn expect(&mut self, array: Option<u32>, tasks: u32, now: Millis, age: Millis) {
        if age < UNSEEN {
            // The clock of a scaler begins at 0: what is older than it counts from there.
            self.unseen.push(Unseen { array, tasks, since: now.saturating_sub(age), before: BTreeSet::new(), own: false });
        }
    }

    /// Another number of tasks may wait or run from now on.
    pub fn allow(&mut self, max_tasks: u32) {
        self.policy.max_tasks = max_tasks;
        self.limiter.raise(self.policy.array_max.min(max_tasks));
    }

    /// Tasks that the sweep can make use of, of which each has so many slots.
    fn wanted(&self, slots: u32) -> u32 {
        slots.div_ceil(self.policy.slots_per_task.max(1)).min(self.policy.max_tasks)
    }

    /// Tasks that run although the sweep has nothing for them: seen at two looks in a row, and none that waits could go instead.
    #[must_use]
    pub fn idle(&self) -> u32 {
        let waiting = self.known.values().filter(|known| known.state == State::Pending).count() as u32;
        self.lasting.saturating_sub(waiting)
    }

    /// Tasks that wait or run, and those that may.
    #[must_use]
    pub fn tasks(&self) -> u32 {
        let known = self.known.values().filter(|known| known.state.is_alive()).count() as u32;
        // Of an array some tasks may be known before the queue has shown all.
        let of = |one: &Unseen| self.known.iter().filter(|(place, known)| one.is(**place, known.state)).count() as u32;
        let unseen: u32 = self.unseen.iter().map(|one| one.tasks.saturating_sub(of(one))).sum();
        known + unseen + self.submitting.unwrap_or(0)
    }

    /// Nodes on which nothing starts. Where nothing starts anywhere it is no node's fault, and a site may have but these: so as
    /// long as none is known to be good, one at the most is set aside.
    #[must_use]
    pub fn bad_nodes(&self) -> Vec<String> {
        let struck: BTreeSet<&String> =
            self.strikes.iter().filter(|(_, strikes)| **strikes >= NODE_STRIKES).map(|(node, _)| node).collect();
        let one_is_good = self.good.iter().any(|node| !struck.contains(node));
        struck.into_iter().take(if one_is_good { usize::MAX } else { 1 }).cloned().collect()
    }

    /// Whether nothing is submitted any more.
    #[must_use]
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Whether a submission was perhaps accepted, and nobody said so.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.unseen.iter().any(|one| one.array.is_none())
    }

    /// Whether the answer to a submission is awaited.
    #[must_use]
    pub fn is_submitting(&self) -> bool {
        self.submitting.is_some()
    }

    /// Tasks that were accepted and that the queue has not shown.
    #[must_use]
    pub fn unseen_places(&self) -> Vec<Place> {
        let arrays = self.unseen.iter().filter_map(|one| Some((one.array?, one.tasks)));
        arrays.flat_map(|(array, tasks)| (0..tasks).map(move |index| (array, index))).collect()
    }

    /// Nobody will say what became of a submission that is under way.
    pub fn break_off(&mut self, now: Millis) {
        if self.submitting.is_some() {
            self.hear(now, &News::NoAnswer);
        }
    }

    /// Takes note of `news`.
    pub fn hear(&mut self, now: Millis, news: &News) {
        match news {
            News::Queue(queue) => self.looked(now, queue),
            News::NoQueue => self.looking = false,
            News::Submitted { array, tasks } => {
                self.submitting = None;
                self.limiter.accepted();
                self.refusals = 0;
                self.arrays.insert(*array);
                self.throttles.extend(self.asked.take().map(|most| (*array, most)));
                let before = self.known.range((*array, 0)..=(*array, u32::MAX)).map(|(place, _)| *place).collect();
                self.unseen.push(Unseen { array: Some(*array), tasks: *tasks, since: now, before, own: true });
            }
            News::Throttled { array, most } => drop(self.throttles.insert(*array, *most)),
            News::Refused { for_nodes } => {
                let asked = self.submitting.take().unwrap_or(1);
                self.limiter.refused(now, asked);
                self.refusals += 1;
                if *for_nodes || self.refusals >= REFUSALS {
                    // Perhaps too few nodes were left to choose from.
                    self.strikes.clear();
                }
            }
            News::NoAnswer => {
                let asked = self.submitting.take().unwrap_or(1);
                self.limiter.refused(now, asked);
                self.expect(None, asked, now, 0);
            }
            News::Bad(node) => drop(self.strikes.insert(node.clone(), u32::MAX)),
            News::Joined(place) => {
                self.failed_starts = 0;
                self.served.insert(*place);
                let known = self.known.entry(*place).or_insert_with(|| Known::new(State::Running));
                known.state = State::Running;
                let node = known.node.clone();
                self.starts_workers(node);
            }
        }
    }

    /// What is to be done at `now`, when the sweep can use `slots` slots in all.
    pub fn step(&mut self, now: Millis, slots: u32, out: &mut Vec<Order>) {
        if !self.looking && now >= self.next_look {
            self.looking = true;
            self.next_look = now.saturating_add(self.policy.look_every);
            out.push(Order::Look);
        }
        if self.failed_starts >= FAILED_STARTS && !self.gave_up {
            self.gave_up = true;
            out.push(Order::GiveUp { failed: self.failed_starts, nodes: self.strikes.keys().cloned().collect() });
        }
        let (wanted, tasks) = (self.wanted(slots), self.tasks());
        if tasks < wanted && self.submitting.is_none() && !self.gave_up && self.policy.submits && !self.blind {
            // A lost answer may have been a yes. Until the queue has shown it or time has, nothing is added to it.
            let room = self.room(None);
            let allowed = if self.in_doubt() || room == Some(0) { 0 } else { self.limiter.allows(now, wanted - tasks) };
            if allowed > 0 {
                self.submitting = Some(allowed);
                self.asked = room;
                out.push(Order::Submit { tasks: allowed, exclude: self.bad_nodes(), most: room });
            }
        }
    }

    /// Tasks that wait and that the sweep cannot use, and how many may run: called after each look.
    pub fn trim(&mut self, slots: u32, out: &mut Vec<Order>) {
        let surplus = self.tasks().saturating_sub(self.wanted(slots));
        let twice = surplus.min(std::mem::replace(&mut self.surplus, surplus));
        self.lasting = twice;
        let waiting = self.known.iter().filter(|(_, known)| known.state == State::Pending);
        // The last first: they have waited the least.
        let tasks: Vec<Place> = waiting.map(|(&place, _)| place).rev().take(twice as usize).collect();
        if !tasks.is_empty() {
            out.push(Order::Cancel { tasks });
        }
        self.throttle(out);
    }
}

impl Known {
    fn new(state: State) -> Self {
        Self { state, node: String::new(), missed: 0, put_back: 0 }
    }
}

mod look;
mod throttle;
mod words;

#[cfg(test)]
mod tests;
