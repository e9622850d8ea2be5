//! Keeps the workers of a driver, without its waits: a machine that is told what the sweep can use, what people ask for and what
//! Slurm answered, and says what is to be done. The loop around it ([`super::Slurm`]) does it; the simulator (`tests/sim`) does it
//! in a world of its own.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use hpo_core::{Millis, WorkerId};
use tracing::{error, info};

use super::keep::{Asked, InDoubt, Notes, Submitted};
use super::place;
use super::queue::{Queue, State};
use super::scale::{News, Order, Place, Policy, Scaler};

/// Arrays of which so much time has passed are in the queue, or were never.
const NOTED: Millis = 10 * 60_000;
/// At the end: so many looks come soon after each other, and with this time in between.
const LAST_LOOKS: u32 = 8;
const LAST_WAIT: Millis = 2_000;
/// Workers may take so many of these looks to leave by themselves.
const LEAVE_LOOKS: u32 = 5;
/// A controller that does not answer is waited for so long at the end: what waits in its queue would begin in vain.
const LAST_PATIENCE: Millis = 30 * 60_000;

/// What a keeper needs to know.
#[derive(Clone, Debug)]
pub struct KeeperOptions {
    /// What may be used.
    pub policy: Policy,
    /// The task in which this driver itself runs, if it is one of the workers' array: it is never cancelled.
    pub own: Option<Place>,
    /// Where the tasks' output lies, for people.
    pub logs: PathBuf,
    /// Whose clock it reads.
    pub machine: String,
}

/// What the sweep can use now, and who works for it.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Slots ([`hpo_core::Sweep::appetite`]).
    pub slots: u32,
    /// Workers that are connected.
    pub connected: usize,
    /// The tasks of the workers that ever came to this driver, as Slurm names them.
    pub tasks: &'a BTreeMap<WorkerId, String>,
    /// Nodes on which trials fail, whatever they are; it only grows.
    pub bad_nodes: &'a BTreeSet<String>,
}

/// Something is to be done. They are done in order, each after what the answer to the one before brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Put [`Keeper::notes`] on the disk.
    Note,
    /// Ask for the queue; the answer is [`News::Queue`] or [`News::NoQueue`].
    Look,
    /// Submit an array; the answer is [`News::Submitted`], [`News::Refused`] or [`News::NoAnswer`].
    Submit {
        /// Of so many tasks.
        tasks: u32,
        /// On none of these nodes.
        exclude: Vec<String>,
        /// Of which so many may run at one time; none: all.
        most: Option<u32>,
    },
    /// Let so many tasks of an array run at one time; the answer is [`News::Throttled`], or none.
    Throttle {
        /// Which array.
        array: u32,
        /// How many.
        most: u32,
    },
    /// Cancel tasks that wait.
    Cancel(Vec<Place>),
    /// Let up to so many workers go that have nothing to train, but none of the task `own`.
    Spare {
        /// How many.
        workers: u32,
        /// Of this driver.
        own: Option<String>,
    },
    /// Suspend the sweep.
    Drain,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Keeper {
    options: KeeperOptions,
    scaler: Scaler,
    notes: Notes,
    asked: Asked,
    /// Workers that the scaler was told of.
    joined: BTreeSet<WorkerId>,
    /// Arrays in the last answer.
    present: BTreeSet<u32>,
    /// How many bad nodes it was told of.
    bad: usize,
    /// The sweep was suspended because nobody would ever come.
    deserted: bool,
}

impl Keeper {
    /// A keeper that goes on from the notes of the one before it, at `unix_ms` of the wall clock.
    #[must_use]
    pub fn new(options: KeeperOptions, notes: Notes, unix_ms: u64) -> Self {
        let mut scaler = Scaler::new(options.policy.clone());
        // By another machine's clock, which may be ahead, an array of a minute ago is one of long ago that has gone.
        let is_this = notes.machine == options.machine;
        let age = |then: u64| if is_this { unix_ms.saturating_sub(then) } else { 0 };
        let arrays: Vec<_> = notes.arrays.iter().map(|one| (one.array, one.tasks, age(one.unix_ms))).collect();
        // Empty notes do not say that nothing was submitted: an answer may have been lost. And the age of a submission in doubt by
        // another machine's clock proves nothing.
        scaler.remember(0, &arrays, notes.in_doubt.map(|one| (one.tasks, 0)), &notes.bad_nodes);
        for (array, most) in notes.arrays.iter().filter_map(|one| Some((one.array, one.most?))) {
            scaler.hear(0, &News::Throttled { array, most });
        }
        // It tries again.
        let notes = Notes { gave_up: None, machine: options.machine.clone(), ..notes };
        Self { options, scaler, notes, asked: Asked::default(), joined: BTreeSet::new(), present: BTreeSet::new(), bad: 0, deserted: false }
    }

    /// What the next keeper must know.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Does as people want.
    pub fn obey(&mut self, asked: Asked, out: &mut VecDeque<Deed>) {
        if asked.max_workers != self.asked.max_workers {
            let most = asked.max_workers.unwrap_or(self.options.policy.max_tasks);
            info!("at most {most} workers from now on");
            self.scaler.allow(most);
        }
        if asked.drain && !self.asked.drain {
            info!("asked to stop for now");
            out.push_back(Deed::Drain);
        }
        self.asked = asked;
    }

    /// Time passes: what is to be done at `now`, counted from the keeper's beginning.
    pub fn step(&mut self, now: Millis, unix_ms: u64, demand: Demand<'_>, out: &mut VecDeque<Deed>) {
        for (worker, task) in demand.tasks {
            if self.joined.insert(*worker)
                && let Some(place) = place(task)
            {
                self.scaler.hear(now, &News::Joined(place));
            }
        }
        if demand.bad_nodes.len() > self.bad {
            self.bad = demand.bad_nodes.len();
            demand.bad_nodes.iter().for_each(|node| self.scaler.hear(now, &News::Bad(node.clone())));
            self.notes.bad_nodes = self.scaler.bad_nodes();
            out.push_back(Deed::Note);
        }
        let mut orders = vec![];
        self.scaler.step(now, demand.slots, &mut orders);
        for order in orders {
            self.order(order, unix_ms, out);
        }
        if self.scaler.gave_up() && demand.connected == 0 && self.scaler.tasks() == 0 && !self.deserted {
            // Nobody will come: a driver that waits for them would wait for ever.
            self.deserted = true;
            out.push_back(Deed::Drain);
        }
    }

    /// The answer to a look or a submission.
    pub fn hear(&mut self, now: Millis, unix_ms: u64, news: &News, demand: Demand<'_>, out: &mut VecDeque<Deed>) {
        self.scaler.hear(now, news);
        match news {
            News::Queue(queue) => {
                self.take_note_of(queue, unix_ms, out);
                let mut orders = vec![];
                self.scaler.trim(demand.slots, &mut orders);
                for order in orders {
                    self.order(order, unix_ms, out);
                }
                let workers = self.scaler.idle();
                if workers > 0 {
                    let own = self.options.own.map(|(array, index)| format!("{array}_{index}"));
                    out.push_back(Deed::Spare { workers, own });
                }
            }
            News::Submitted { array, tasks } => {
                info!("submitted {tasks} workers as array {array}");
                self.notes.in_doubt = None;
                self.notes.arrays.retain(|one| unix_ms.saturating_sub(one.unix_ms) < NOTED || self.present.contains(&one.array));
                self.notes.arrays.push(Submitted { array: *array, tasks: *tasks, unix_ms, most: self.scaler.throttle_of(*array) });
                out.push_back(Deed::Note);
            }
            News::Throttled { array, most } => {
                self.note_throttle(*array, Some(*most));
                out.push_back(Deed::Note);
            }
            News::Refused { .. } => {
                self.notes.in_doubt = None;
                out.push_back(Deed::Note);
            }
            // That it is in doubt stands in the notes already.
            News::NoAnswer | News::NoQueue | News::Joined(_) | News::Bad(_) => {}
        }
    }

    fn note_throttle(&mut self, array: u32, most: Option<u32>) {
        self.notes.arrays.iter_mut().filter(|one| one.array == array).for_each(|one| one.most = most);
    }

    /// Arrays that nobody told of. The next driver must not take them for the answer to a later question.
    fn take_note_of(&mut self, queue: &Queue, unix_ms: u64, out: &mut VecDeque<Deed>) {
        let mut found: BTreeMap<u32, u32> = BTreeMap::new();
        let ours = queue.tasks.iter().filter(|task| task.name == self.options.policy.name && task.index.is_some());
        ours.for_each(|task| *found.entry(task.array).or_default() += 1);
        self.present = found.keys().copied().collect();
        found.retain(|array, _| self.notes.arrays.iter().all(|one| one.array != *array));
        // A look that comes back while a submission is out says nothing about that.
        let answered = self.notes.in_doubt.is_some() && !self.scaler.in_doubt() && !self.scaler.is_submitting();
        if answered {
            self.notes.in_doubt = None;
        }
        if answered || !found.is_empty() {
            self.notes.arrays.extend(found.into_iter().map(|(array, tasks)| Submitted { array, tasks, unix_ms, most: None }));
            out.push_back(Deed::Note);
        }
    }

    fn order(&mut self, order: Order, unix_ms: u64, out: &mut VecDeque<Deed>) {
        match order {
            Order::Look => out.push_back(Deed::Look),
            Order::Throttle { array, most } => {
                // A driver that dies now must not leave a number behind that holds no longer.
                self.note_throttle(array, None);
                out.extend([Deed::Note, Deed::Throttle { array, most }]);
            }
            Order::Submit { tasks, exclude, most } => {
                self.notes.bad_nodes.clone_from(&exclude);
                // On the disk before it is done: a driver that dies now leaves a question, and not a secret.
                self.notes.in_doubt = Some(InDoubt { tasks, unix_ms });
                out.extend([Deed::Note, Deed::Submit { tasks, exclude, most }]);
            }
            Order::Cancel { mut tasks } => {
                tasks.retain(|place| Some(*place) != self.options.own);
                if !tasks.is_empty() {
                    info!("cancelling {} workers that wait and that the sweep cannot use", tasks.len());
                    out.push_back(Deed::Cancel(tasks));
                }
            }
            Order::GiveUp { failed, nodes } => self.give_up(failed, &nodes, out),
        }
    }

    fn give_up(&mut self, failed: u32, nodes: &[String], out: &mut VecDeque<Deed>) {
        let why = format!(
            "{failed} workers in a row ended before they had joined the sweep (on {}); no more are submitted. See `slurm-*.out` in `{}`; \
             `hpo slurm doctor` finds common causes",
            nodes.join(", "),
            self.options.logs.display()
        );
        error!("{why}");
        self.notes.gave_up = Some(why);
        out.push_back(Deed::Note);
    }

    /// The sweep has ended or is suspended: from now on nobody is to be left.
    #[must_use]
    pub fn end(mut self, now: Millis) -> Ending {
        // A call that was broken off may have done its work.
        self.scaler.break_off(now);
        Ending { keeper: self, begun: now, looks: 0, empty: 0, sent: vec![], told: BTreeSet::new() }
    }
}

/// The end of a keeper: cancels what waits, lets what runs leave by itself for a while, and cancels the rest. Not the task of this
/// driver.
#[derive(Clone, Debug)]
pub struct Ending {
    keeper: Keeper,
    begun: Millis,
    /// That showed something.
    looks: u32,
    /// Looks in a row that showed nothing of ours.
    empty: u32,
    /// What was last to be cancelled.
    sent: Vec<Place>,
    /// Tasks of which the controller knows that they are to go.
    told: BTreeSet<Place>,
}

/// What comes after a look at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing is left.
    Over,
    /// People are to be told that tasks may be left.
    Left,
    /// These are to be cancelled, if any, and after a while comes another look.
    Again {
        /// Which.
        cancel: Vec<Place>,
        /// The wait, in milliseconds.
        after: Millis,
    },
}

impl Ending {
    /// A look at the queue; `None` if there was no answer.
    pub fn looked(&mut self, now: Millis, queue: Option<&Queue>) -> Next {
        let passed = now.saturating_sub(self.begun);
        let slow = self.keeper.options.policy.look_every.max(LAST_WAIT);
        let Some(queue) = queue else {
            let patient = passed < LAST_PATIENCE;
            return if patient { Next::Again { cancel: vec![], after: slow } } else { Next::Left };
        };
        self.keeper.scaler.hear(now, &News::Queue(queue.clone()));
        self.looks += 1;
        let mut unseen = self.keeper.scaler.unseen_places();
        unseen.retain(|place| Some(*place) != self.keeper.options.own);
        let mut cancel = self.left(queue, self.looks > LEAVE_LOOKS);
        // Those need not be waited for: they have their names.
        cancel.extend(&unseen);
        let left = self.left(queue, true);
        // What was accepted and cancelled before anybody saw it has come and gone.
        unseen.retain(|place| !self.told.contains(place));
        let is_empty = left.is_empty() && unseen.is_empty() && !queue.torn;
        self.empty = if is_empty { self.empty + 1 } else { 0 };
        let in_doubt = self.keeper.scaler.in_doubt();
        if self.empty > 1 && !in_doubt {
            return Next::Over;
        }
        let soon = self.looks < LAST_LOOKS;
        // What the controller knows to be cancelled is its own affair, however long a node takes to obey.
        let is_told = !queue.torn && !in_doubt && unseen.is_empty() && left.iter().all(|place| self.told.contains(place));
        if !soon && (is_told && !left.is_empty() || passed >= LAST_PATIENCE) {
            return Next::Left;
        }
        self.sent.clone_from(&cancel);
        Next::Again { cancel, after: if soon { LAST_WAIT } else { slow } }
    }

    /// The controller has taken note of what was to be cancelled.
    pub fn cancelled(&mut self) {
        self.told.extend(self.sent.drain(..));
    }

    /// What is to go: what waits, and with `all` also what runs.
    fn left(&self, queue: &Queue, all: bool) -> Vec<Place> {
        let KeeperOptions { policy, own, .. } = &self.keeper.options;
        let ours = queue.tasks.iter().filter(|task| task.name == policy.name);
        let goes = ours.filter(|task| if all { task.state.is_alive() } else { task.state == State::Pending });
        goes.filter_map(|task| Some((task.array, task.index?))).filter(|place| Some(*place) != *own).collect()
    }
}

#[cfg(test)]
mod tests;
