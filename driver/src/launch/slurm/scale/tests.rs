//! By hand, and against a Slurm that answers late, wrongly or not at all.
use hpo_core::Seed;
use rand::Rng;

use super::super::queue::{Queue, State, Task};
use super::*;

const LOOK_EVERY: Millis = 30_000;

pub(super) fn policy(max_tasks: u32) -> Policy {
    Policy {
        name: "hpo-1f".to_owned(),
        max_tasks,
        throttle: None,
        slots_per_task: 2,
        array_max: 1001,
        look_every: LOOK_EVERY,
        submits: true,
    }
}

pub(super) fn task(array: u32, index: u32, state: State, node: &str) -> Task {
    Task {
        array,
        index: Some(index),
        job: array + index,
        state,
        reason: String::new(),
        taken: state == State::Pending,
        left: None,
        node: node.to_owned(),
        name: "hpo-1f".to_owned(),
    }
}

pub(super) fn queue(tasks: &[Task]) -> News {
    News::Queue(Queue { tasks: tasks.to_vec(), strange: 0, torn: false })
}

pub(super) fn step(scaler: &mut Scaler, now: Millis, slots: u32) -> Vec<Order> {
    let mut out = vec![];
    scaler.step(now, slots, &mut out);
    out
}

fn submit(tasks: u32) -> Order {
    Order::Submit { tasks, exclude: vec![], most: None }
}

#[test]
fn as_many_tasks_as_the_sweep_can_use_are_submitted_once() {
    let mut scaler = Scaler::new(policy(8));
    assert_eq!(step(&mut scaler, 0, 9), [Order::Look, submit(5)]);
    assert_eq!(step(&mut scaler, 10, 9), [], "one at a time");
    scaler.hear(20, &News::Submitted { array: 7, tasks: 5 });
    scaler.hear(30, &queue(&[]));
    assert_eq!(step(&mut scaler, 40, 9), [], "accepted, and only not shown yet");
    assert_eq!(step(&mut scaler, 40, 100), [submit(3)], "more, up to the most there may be");
    scaler.hear(50, &News::Submitted { array: 8, tasks: 3 });
    assert_eq!(step(&mut scaler, LOOK_EVERY, 100), [Order::Look]);
    let mut all: Vec<Task> = (0..5).map(|index| task(7, index, State::Pending, "")).collect();
    scaler.hear(LOOK_EVERY, &queue(&all));
    all.extend((0..3).map(|index| task(8, index, State::Running, "n1")));
    scaler.hear(LOOK_EVERY, &queue(&all));
    assert_eq!((scaler.tasks(), step(&mut scaler, LOOK_EVERY + 1, 100)), (8, vec![]));
}

#[test]
fn tasks_that_wait_and_are_not_wanted_at_two_looks_are_cancelled_and_those_that_run_never() {
    let mut scaler = Scaler::new(policy(8));
    step(&mut scaler, 0, 8);
    scaler.hear(1, &News::Submitted { array: 7, tasks: 4 });
    let states = [State::Running, State::Running, State::Pending, State::Pending];
    let tasks: Vec<Task> = (0..).zip(states).map(|(index, state)| task(7, index, state, "")).collect();
    let mut out = vec![];
    scaler.hear(2, &queue(&tasks));
    scaler.trim(2, &mut out);
    assert_eq!(out, [], "perhaps they are wanted again in a moment");
    scaler.hear(3, &queue(&tasks));
    scaler.trim(2, &mut out);
    assert_eq!(out, [Order::Cancel { tasks: vec![(7, 3), (7, 2)] }], "three too many, of which two wait");
}

#[test]
fn a_lost_answer_stops_submission_until_the_queue_shows_what_became_of_it() {
    let mut scaler = Scaler::new(policy(8));
    step(&mut scaler, 0, 8);
    scaler.hear(9_000, &News::NoQueue);
    scaler.hear(9_000, &News::NoAnswer);
    assert_eq!(scaler.tasks(), 4, "it may have been a yes");
    assert_eq!(step(&mut scaler, 40_000, 16), [Order::Look]);
    scaler.hear(40_100, &queue(&[]));
    assert_eq!(step(&mut scaler, 70_000, 16), [Order::Look], "that it is not shown yet proves nothing");
    let orphans: Vec<Task> = (0..4).map(|index| task(9, index, State::Pending, "")).collect();
    scaler.hear(70_100, &queue(&orphans));
    assert_eq!(scaler.tasks(), 4, "they are ours by their name");
    assert_eq!(step(&mut scaler, 80_000, 16), [submit(2)], "carefully");

    let mut scaler = Scaler::new(policy(8));
    step(&mut scaler, 0, 8);
    scaler.hear(9_000, &News::NoQueue);
    scaler.hear(9_000, &News::NoAnswer);
    let later = 9_000 + UNSEEN;
    step(&mut scaler, later, 8);
    scaler.hear(later, &queue(&[]));
    assert_eq!(step(&mut scaler, later, 8), [submit(2)], "it was a no");
}

#[test]
fn arrays_that_come_and_go_unseen_are_failed_starts_unless_their_workers_came() {
    let mut scaler = Scaler::new(policy(2));
    let mut now = 0;
    for (round, array) in (1..=5).enumerate() {
        let orders = step(&mut scaler, now, 4);
        assert!(orders.contains(&submit(2)), "{round}: {orders:?}");
        scaler.hear(now, &News::Submitted { array, tasks: 2 });
        if array == 1 {
            scaler.hear(now, &News::Joined((array, 1)));
        }
        now += UNSEEN;
        scaler.hear(now, &queue(&[]));
        scaler.hear(now, &queue(&[]));
    }
    assert!(step(&mut scaler, now, 4).iter().any(|order| matches!(order, Order::GiveUp { failed: 4, .. })));
}

#[test]
fn what_a_torn_answer_does_not_show_is_not_gone() {
    let mut scaler = Scaler::new(policy(8));
    scaler.hear(1, &queue(&[task(7, 0, State::Running, "n"), task(7, 1, State::Running, "n")]));
    for now in 2..10 {
        scaler.hear(now, &News::Queue(Queue { tasks: vec![task(7, 0, State::Running, "n")], strange: 1, torn: true }));
    }
    assert_eq!(scaler.tasks(), 2);

    // Of an array that was just accepted, and of those of a driver before.
    scaler.remember(10, &[(8, 3, 0)], None, &[]);
    scaler.hear(
        11,
        &News::Queue(Queue { tasks: vec![task(7, 0, State::Running, "n"), task(8, 0, State::Pending, "")], strange: 1, torn: true }),
    );
    assert_eq!((scaler.tasks(), step(&mut scaler, 12, 16)), (5, vec![Order::Look]), "nothing is submitted before all was seen");
}

#[test]
fn after_a_driver_that_died_nothing_is_submitted_before_the_queue_was_seen_and_nothing_twice() {
    let mut scaler = Scaler::new(policy(8));
    // One array of the last minutes, one of long ago, and a submission in whose middle the driver died.
    scaler.remember(0, &[(3, 8, 2 * UNSEEN), (7, 2, 1000)], Some((2, 500)), &["bad".to_owned()]);
    assert_eq!(scaler.tasks(), 4, "what is old would be in the queue");
    assert_eq!(step(&mut scaler, 0, 16), [Order::Look]);
    let alive: Vec<Task> = (0..2).map(|index| task(7, index, State::Running, "n1")).collect();
    scaler.hear(1, &queue(&alive));
    assert_eq!(step(&mut scaler, 2, 16), [], "the one in doubt may still show");
    let later = UNSEEN + 1;
    assert_eq!(step(&mut scaler, later, 16), [Order::Look]);
    scaler.hear(later, &queue(&alive));
    assert_eq!(step(&mut scaler, later, 16), [Order::Submit { tasks: 6, exclude: vec!["bad".to_owned()], most: None }]);
}

#[test]
fn what_ran_for_a_driver_before_is_no_failed_start_when_it_has_ended() {
    let mut scaler = Scaler::new(policy(8));
    scaler.remember(0, &[], None, &[]);
    step(&mut scaler, 0, 4);
    let mut tasks: Vec<Task> = (0..6).map(|index| task(7, index, State::Over, "n1")).collect();
    tasks.push(task(7, 6, State::Running, "n1"));
    scaler.hear(1, &queue(&tasks));
    tasks[6].state = State::Over;
    scaler.hear(2, &queue(&tasks));
    assert_eq!((scaler.bad_nodes(), step(&mut scaler, 3, 4)), (vec![], vec![submit(2)]));
}

#[test]
fn a_driver_that_may_not_submit_only_cancels_what_waits_in_vain() {
    let mut scaler = Scaler::new(Policy { submits: false, ..policy(8) });
    assert_eq!(step(&mut scaler, 0, 16), [Order::Look]);
    let tasks = [task(7, 0, State::Running, "n1"), task(7, 1, State::Pending, "")];
    let mut out = vec![];
    for now in [1, 2] {
        scaler.hear(now, &queue(&tasks));
        scaler.trim(2, &mut out);
    }
    assert_eq!(out, [Order::Cancel { tasks: vec![(7, 1)] }]);
}

#[test]
fn tasks_that_run_are_idle_once_those_that_wait_do_not_suffice_to_be_cancelled() {
    let mut scaler = Scaler::new(policy(8));
    let tasks = [task(7, 0, State::Running, "n1"), task(7, 1, State::Running, "n2"), task(7, 2, State::Pending, "")];
    let mut out = vec![];
    for (now, idle) in [(1, 0), (2, 1)] {
        scaler.hear(now, &queue(&tasks));
        scaler.trim(2, &mut out);
        assert_eq!(scaler.idle(), idle, "two too many, at the second look, of which one waits");
    }
    scaler.allow(1);
    assert_eq!(step(&mut scaler, 3, 100), [Order::Look], "three are more than one");
}

/// A controller with everything that was seen to go wrong with one.
struct Slurm {
    rng: rand::rngs::ChaCha8Rng,
    /// Truly alive.
    tasks: BTreeMap<Place, State>,
    arrays: u32,
    /// What the queue looked like before.
    past: Vec<Queue>,
    /// How many tasks of an array may run, where that is limited.
    throttles: BTreeMap<u32, u32>,
    healed: bool,
}

impl Slurm {
    fn dice(&mut self, sides: u64) -> u64 {
        self.rng.next_u64() % sides
    }

    fn submit(&mut self, tasks: u32, most: Option<u32>) -> News {
        let outcome = if self.healed { 9 } else { self.dice(10) };
        if outcome < 2 {
            return News::Refused { for_nodes: false };
        }
        if outcome > 2 {
            self.arrays += 1;
            self.throttles.extend(most.map(|most| (self.arrays, most)));
            self.tasks.extend((0..tasks).map(|index| ((self.arrays, index), State::Pending)));
        }
        // Two that were accepted and one that was not never say so.
        if outcome < 5 { News::NoAnswer } else { News::Submitted { array: self.arrays, tasks } }
    }

    fn running(&self) -> usize {
        self.tasks.values().filter(|state| **state == State::Running).count()
    }

    fn may_run(&self, array: u32) -> bool {
        let running = self.tasks.range((array, 0)..=(array, u32::MAX)).filter(|(_, state)| **state == State::Running).count();
        self.throttles.get(&array).is_none_or(|most| running < *most as usize)
    }

    fn live(&mut self) {
        for place in self.tasks.keys().copied().collect::<Vec<_>>() {
            match (self.tasks[&place], self.dice(12)) {
                (State::Pending, 0..3) if !self.may_run(place.0) => {}
                (State::Pending, 0..3) => drop(self.tasks.insert(place, State::Running)),
                (State::Running, 0) => drop(self.tasks.insert(place, State::Pending)),
                (State::Running, 1) => drop(self.tasks.remove(&place)),
                _ => {}
            }
        }
    }

    /// The queue as it is or as it was at the look before.
    fn look(&mut self) -> News {
        let tasks = self
            .tasks
            .iter()
            .map(|(&(array, index), &state)| task(array, index, state, if state == State::Running { "n" } else { "" }))
            .collect();
        self.past.push(Queue { tasks, strange: 0, torn: false });
        match self.dice(8) + if self.healed { 8 } else { 0 } {
            0 => News::NoQueue,
            1 | 2 => News::Queue(self.past[self.past.len().saturating_sub(2)].clone()),
            _ => News::Queue(self.past[self.past.len() - 1].clone()),
        }
    }
}

/// A controller that died seconds after a submission gives its number away again (seen), and an old answer shows what is left of the
/// first.
#[test]
fn an_array_whose_number_was_given_out_again_is_not_seen_where_only_the_first_of_that_number_is() {
    let mut scaler = Scaler::new(policy(4));
    assert_eq!(step(&mut scaler, 0, 8).len(), 2);
    scaler.hear(1, &News::Submitted { array: 1, tasks: 4 });
    let failed = [task(1, 3, State::Over, "n1")];
    for look in 0..3 {
        scaler.hear(30_000 * (look + 1), &queue(&failed));
    }
    assert_eq!(step(&mut scaler, 90_001, 8).len(), 2, "the controller has forgotten the others");
    scaler.hear(90_002, &News::Submitted { array: 1, tasks: 2 });
    assert_eq!(scaler.tasks(), 2);
    scaler.hear(120_000, &queue(&failed));
    assert_eq!(scaler.tasks(), 2, "an old answer");
    scaler.hear(150_000, &queue(&[task(1, 0, State::Running, "n1"), task(1, 1, State::Pending, ""), failed[0].clone()]));
    assert_eq!((scaler.tasks(), scaler.unseen_places()), (2, vec![]));
}

#[test]
fn under_any_answers_there_are_never_more_tasks_than_allowed_and_in_the_end_as_many_as_wanted() {
    for (seed, throttle) in (0..300).map(|seed| (seed, (seed % 3 == 0).then_some(2))) {
        let (tasks, throttles) = (BTreeMap::new(), BTreeMap::new());
        let mut slurm = Slurm { rng: Seed(seed).rng(), tasks, throttles, arrays: 0, past: vec![], healed: false };
        let mut scaler = Scaler::new(Policy { throttle, ..policy(6) });
        let mut most = 0;
        // Refusals have taught it to ask for little, and with a throttle there is seldom room for more.
        for round in 0..1_000_u64 {
            let now = round * 10_000;
            slurm.healed = round >= 400;
            let slots = if slurm.healed { 12 } else { (slurm.dice(8) * 2) as u32 };
            let mut orders = step(&mut scaler, now, slots);
            while let Some(order) = orders.pop() {
                match order {
                    Order::Submit { tasks, most, .. } => {
                        let news = slurm.submit(tasks, most);
                        scaler.hear(now, &news);
                    }
                    Order::Look => {
                        let news = slurm.look();
                        scaler.hear(now, &news);
                        scaler.trim(slots, &mut orders);
                    }
                    // Half of the time the controller does not answer, whether it has done it or not.
                    Order::Throttle { array, most } => {
                        let outcome = slurm.dice(4);
                        if outcome > 0 {
                            slurm.throttles.insert(array, most);
                        }
                        if outcome > 1 {
                            scaler.hear(now, &News::Throttled { array, most });
                        }
                    }
                    Order::Cancel { tasks } => slurm.tasks.retain(|place, _| !tasks.contains(place)),
                    Order::GiveUp { .. } => unreachable!("every task joins"),
                }
            }
            assert!(slurm.tasks.len() <= 6, "seed {seed}, round {round}: {} tasks", slurm.tasks.len());
            most = if slurm.healed { most.max(slurm.tasks.len()) } else { 0 };
            slurm.live();
            let running = slurm.running();
            assert!(throttle.is_none_or(|most: u32| running <= most as usize), "seed {seed}, round {round}: {running} run");
            for (place, state) in slurm.tasks.clone() {
                if state == State::Running {
                    scaler.hear(now, &News::Joined(place));
                }
            }
        }
        assert_eq!(most, 6, "seed {seed}: it never came to as many as it might have");
    }
}
