//! What a look at the queue tells: which tasks there are, which starts came to nothing, and on which nodes workers start.
use std::collections::BTreeSet;

use hpo_core::Millis;

use super::{Known, Place, Scaler, UNSEEN, Unseen};
use crate::launch::slurm::queue::{Queue, State, Task};

/// A task that was seen is gone when so many looks in a row did not show it.
const LOOKS_MISSED: u8 = 2;
/// So often a task may be put back into the queue before its worker came: by preemption. A site that puts back whatever fails
/// does it for ever.
const PUT_BACK: u32 = 3;

impl Scaler {
    pub(super) fn looked(&mut self, now: Millis, queue: &Queue) {
        self.looking = false;
        let first_after_another = self.blind;
        // A part of the queue says nothing of the rest.
        self.blind &= queue.torn;
        let ours: Vec<(Place, &Task)> = queue
            .tasks
            .iter()
            .filter(|task| task.name == self.policy.name)
            .map(|task| ((task.array, task.index.unwrap_or(0)), task))
            .collect();
        let present: BTreeSet<Place> = ours.iter().map(|(place, _)| *place).collect();
        if first_after_another {
            // Whose workers came to the driver before this one is not known: what ends of it proves nothing.
            self.served.extend(&present);
        }
        let shown: Vec<(Place, State)> = ours.iter().map(|(place, task)| (*place, task.state)).collect();
        ours.into_iter().for_each(|(place, task)| self.saw(place, task));
        // What a torn answer does not show is not gone, and a number in it may be half of one.
        if queue.torn {
            return;
        }
        let arrays: BTreeSet<u32> = present.iter().map(|(array, _)| *array).collect();
        // One that nobody told us of is the answer to a submission that nobody answered.
        let orphan = arrays.iter().any(|array| !self.arrays.contains(array));
        let is_seen = |one: &Unseen| shown.iter().any(|(place, state)| one.is(*place, *state));
        // Where a later one is shown, those before it would be, too.
        let mut later = self.unseen.iter().filter(|one| is_seen(one)).count();
        let (served, failed_starts) = (&self.served, &mut self.failed_starts);
        self.unseen.retain(|one| {
            let seen = if one.array.is_none() { orphan } else { is_seen(one) };
            later -= usize::from(is_seen(one));
            // Slurm counts upwards. Of a number that was given out again its own submissions know, in their order.
            let overtaken = later > 0 || !one.own && arrays.last() > one.array.as_ref();
            let expected = now.saturating_sub(one.since) < UNSEEN && (one.array.is_none() || !overtaken);
            let came = |array: u32| served.range((array, 0)..=(array, u32::MAX)).next().is_some();
            if !seen && !expected && one.own && one.array.is_some_and(|array| !came(array)) {
                // It came and went between two looks, on a site that forgets at once.
                *failed_starts += 1;
            }
            !seen && expected
        });
        self.arrays.extend(arrays);
        for place in self.known.keys().filter(|place| !present.contains(place)).copied().collect::<Vec<_>>() {
            self.missed(place);
        }
    }

    fn saw(&mut self, place: Place, task: &Task) {
        let known = self.known.entry(place).or_insert_with(|| Known::new(State::Pending));
        let before = std::mem::replace(&mut known.state, task.state);
        known.missed = 0;
        if !task.node.is_empty() {
            known.node.clone_from(&task.node);
        }
        let ran = !known.node.is_empty();
        let is_over = task.state == State::Over && before != State::Over;
        let waits_again = task.state == State::Pending && before == State::Running;
        known.put_back += u32::from(ran && waits_again);
        if ran && (is_over || waits_again) {
            let blameless = task.taken && known.put_back <= PUT_BACK;
            self.ended(place, blameless);
        }
        if task.state == State::Running && self.served.contains(&place) {
            self.starts_workers(task.node.clone());
        }
    }

    /// An answer may be older than the one before it, so once is not enough.
    fn missed(&mut self, place: Place) {
        let Some(known) = self.known.get_mut(&place) else { return };
        known.missed = known.missed.saturating_add(1);
        if known.missed < LOOKS_MISSED {
            return;
        }
        if known.state == State::Running {
            self.ended(place, false);
        }
        self.known.remove(&place);
    }

    /// A task that ran runs no more; perhaps it will again. Did it come to anything, or was it not given the time?
    fn ended(&mut self, place: Place, blameless: bool) {
        let Some(known) = self.known.get_mut(&place) else { return };
        let node = std::mem::take(&mut known.node);
        if !blameless && !self.served.contains(&place) {
            self.failed_starts += 1;
            if !node.is_empty() {
                let strikes = self.strikes.entry(node).or_default();
                *strikes = strikes.saturating_add(1);
            }
        }
    }

    /// A worker has come from this node. That does not clear a node on which trials fail.
    pub(super) fn starts_workers(&mut self, node: String) {
        if node.is_empty() {
            return;
        }
        if self.strikes.get(&node).is_some_and(|strikes| *strikes < u32::MAX) {
            self.strikes.remove(&node);
        }
        self.good.insert(node);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{policy, queue, step, task};
    use super::super::{NODE_STRIKES, News, Order, Policy};
    use super::*;

    #[test]
    fn a_node_on_which_nothing_starts_is_set_aside_and_a_site_where_nothing_does_is_given_up() {
        let mut scaler = Scaler::new(policy(4));
        step(&mut scaler, 0, 4);
        scaler.hear(1, &News::Submitted { array: 7, tasks: 2 });
        scaler.hear(2, &News::Joined((7, 0)));
        for (index, node) in [(1, "bad"), (2, "bad")] {
            scaler.hear(3, &queue(&[task(7, 0, State::Running, "good"), task(7, index, State::Running, node)]));
            scaler.hear(4, &queue(&[task(7, 0, State::Running, "good"), task(7, index, State::Over, node)]));
        }
        assert_eq!(scaler.bad_nodes(), ["bad"]);
        let orders = step(&mut scaler, 5, 4);
        assert_eq!(orders, [Order::Submit { tasks: 1, exclude: vec!["bad".to_owned()], most: None }]);
        // One that came and went between two looks, and one that Slurm could not start.
        scaler.hear(6, &queue(&[task(7, 3, State::Over, "n3")]));
        scaler.hear(7, &queue(&[task(7, 4, State::Running, "n4")]));
        scaler.hear(8, &queue(&[Task { taken: false, ..task(7, 4, State::Pending, "") }]));
        let orders = step(&mut scaler, 9, 4);
        assert!(matches!(&orders[..], [Order::GiveUp { failed: 4, nodes }] if nodes.len() == 3), "{orders:?}");
        assert_eq!(step(&mut scaler, 10, 4), [], "said once, and nothing is submitted");
    }

    /// Found by seed 20261122447924 of the simulator, as a node that was set aside where no start had failed.
    #[test]
    fn a_task_that_is_preempted_before_its_worker_comes_is_no_failed_start() {
        let mut scaler = Scaler::new(policy(4));
        for index in 0..8 {
            scaler.hear(1, &queue(&[task(7, index, State::Running, "n1")]));
            scaler.hear(2, &queue(&[Task { taken: true, ..task(7, index, State::Over, "n1") }]));
        }
        for _ in 0..PUT_BACK {
            scaler.hear(3, &queue(&[task(7, 8, State::Running, "n1")]));
            scaler.hear(4, &queue(&[task(7, 8, State::Pending, "")]));
        }
        scaler.hear(5, &queue(&[task(7, 9, State::Running, "n2")]));
        scaler.hear(6, &News::Joined((7, 9)));
        assert_eq!((scaler.bad_nodes(), scaler.failed_starts), (vec![], 0));
        // Over and over again it is no preemption any more.
        for _ in 0..NODE_STRIKES {
            scaler.hear(7, &queue(&[task(7, 8, State::Running, "n1")]));
            scaler.hear(8, &queue(&[task(7, 8, State::Pending, "")]));
        }
        assert_eq!((scaler.bad_nodes(), scaler.failed_starts), (vec!["n1".to_owned()], 2));
    }

    #[test]
    fn a_worker_that_comes_before_its_task_is_seen_clears_its_node_when_it_is() {
        let mut scaler = Scaler::new(policy(4));
        scaler.hear(1, &queue(&[task(7, 0, State::Over, "n1"), task(7, 1, State::Running, "n2")]));
        scaler.hear(2, &News::Joined((7, 1)));
        scaler.hear(3, &News::Joined((7, 2)));
        scaler.hear(4, &queue(&[task(7, 2, State::Running, "n1")]));
        scaler.hear(5, &queue(&[task(7, 3, State::Over, "n1")]));
        assert_eq!(scaler.bad_nodes(), Vec::<String>::new(), "one start of three");
    }

    #[test]
    fn a_node_on_which_trials_fail_is_set_aside_although_workers_start_there() {
        let mut scaler = Scaler::new(policy(4));
        scaler.hear(1, &queue(&[task(7, 0, State::Running, "n7")]));
        scaler.hear(2, &News::Bad("n7".to_owned()));
        scaler.hear(3, &News::Joined((7, 0)));
        assert_eq!(scaler.bad_nodes(), ["n7"]);
    }

    #[test]
    fn not_every_node_is_to_blame_where_nothing_starts() {
        let mut scaler = Scaler::new(policy(4));
        for (index, node) in [(0, "a"), (1, "a"), (2, "b"), (3, "b")] {
            scaler.hear(1, &queue(&[task(7, index, State::Over, node)]));
        }
        assert_eq!(scaler.bad_nodes(), ["a"], "perhaps there are but these two");
        scaler.hear(2, &queue(&[task(7, 4, State::Running, "c")]));
        scaler.hear(3, &News::Joined((7, 4)));
        assert_eq!(scaler.bad_nodes(), ["a", "b"], "it works elsewhere");
        scaler.hear(4, &News::Bad("d".to_owned()));
        scaler.hear(4, &News::Refused { for_nodes: false });
        assert_eq!(scaler.bad_nodes(), ["a", "b", "d"], "some limit, which has nothing to do with nodes");
        scaler.hear(4, &News::Refused { for_nodes: true });
        assert_eq!(scaler.bad_nodes(), Vec::<String>::new(), "perhaps too few were left");
    }

    #[test]
    fn what_is_cancelled_before_it_ran_or_has_served_is_no_failed_start() {
        let mut scaler = Scaler::new(policy(4));
        for index in 0..20 {
            scaler.hear(1, &queue(&[task(7, index, State::Pending, "")]));
            scaler.hear(2, &queue(&[task(7, index, State::Over, "")]));
            scaler.hear(3, &queue(&[task(8, index, State::Running, "n1")]));
            scaler.hear(4, &News::Joined((8, index)));
            scaler.hear(5, &queue(&[task(8, index, State::Over, "n1")]));
        }
        assert_eq!(scaler.bad_nodes(), Vec::<String>::new());
        assert!(step(&mut scaler, 100_000, 4).iter().all(|order| !matches!(order, Order::GiveUp { .. })));
    }

    /// By another machine's clock nobody knows how old the notes are: six arrays that had ended took the place of what waits, and were six
    /// starts in vain. Found by seed 20261122517044 of the simulator, as a throttle that was lowered to 1.
    #[test]
    fn arrays_that_ended_under_the_driver_before_are_neither_expected_nor_failed_starts() {
        let mut scaler = Scaler::new(Policy { throttle: Some(4), ..policy(8) });
        let noted: Vec<(u32, u32, Millis)> = (1..=7).map(|array| (array, 2, 0)).collect();
        scaler.remember(0, &noted, None, &[]);
        let mut other = scaler.clone();
        assert_eq!(scaler.tasks(), 14);
        // All but the last have gone, which is the fourth and shows that those before it were looked for in vain.
        scaler.hear(1, &queue(&[task(4, 0, State::Running, "n1")]));
        assert_eq!((scaler.tasks(), scaler.unseen_places().len()), (7, 6), "later ones may still come");
        scaler.hear(UNSEEN, &queue(&[task(4, 0, State::Running, "n1")]));
        assert_eq!(scaler.tasks(), 1);
        assert!(step(&mut scaler, UNSEEN, 16).iter().all(|order| !matches!(order, Order::GiveUp { .. })));
        assert_eq!(scaler.failed_starts, 0);
        // One that people submitted meanwhile.
        other.hear(1, &queue(&[task(9, 0, State::Running, "n1")]));
        assert_eq!((other.tasks(), other.room(Some(9))), (1, Some(4)));
    }
}
