//! Of all arrays together no more tasks run than `throttle` of `[slurm]` says. Slurm bounds each array for itself, so the newest one
//! gets what the others leave, and more of it as they end. The others are not touched: whatever waits in them came back from a
//! preemption or a dead node, and counts as if it ran.
use super::{Order, Scaler};
use crate::launch::slurm::queue::State;

impl Scaler {
    /// How many tasks may run beside those of all arrays but `but`; None: any number.
    pub(super) fn room(&self, but: Option<u32>) -> Option<u32> {
        let most = self.policy.throttle?;
        let others = self.arrays.iter().filter(|array| Some(**array) != but);
        // What ran when its array's throttle was lowered runs on.
        let takes = |array: u32| self.alive_of(array).min(self.throttles.get(&array).copied().unwrap_or(most)).max(self.running_of(array));
        let taken: u32 = others.map(|&array| takes(array)).sum();
        Some(most.saturating_sub(taken))
    }

    /// How many tasks of an array may run at one time, where that is known.
    pub(in crate::launch::slurm) fn throttle_of(&self, array: u32) -> Option<u32> {
        self.throttles.get(&array).copied()
    }

    /// Lets an array of which some tasks wait run as many as there is room for, if that is another number than now or nobody knows
    /// that it is not: the newest such one.
    pub(super) fn throttle(&mut self, out: &mut Vec<Order>) {
        if self.in_doubt() || self.is_submitting() {
            // Nobody knows all arrays.
            return;
        }
        let waits = |array: u32| self.known.range((array, 0)..=(array, u32::MAX)).any(|(_, known)| known.state == State::Pending);
        let waiting = self.arrays.iter().rev().copied().filter(|array| waits(*array));
        let mut other = waiting.filter_map(|array| {
            // To Slurm, 0 is no limit at all.
            let most = self.room(Some(array))?.max(1);
            (self.throttles.get(&array) != Some(&most)).then_some((array, most))
        });
        if let Some((array, most)) = other.next() {
            // Until somebody says that it was done, nobody knows whether it was.
            self.throttles.remove(&array);
            out.push(Order::Throttle { array, most });
        }
    }

    fn running_of(&self, array: u32) -> u32 {
        self.known.range((array, 0)..=(array, u32::MAX)).filter(|(_, known)| known.state == State::Running).count() as u32
    }

    /// Tasks of an array that wait or run, or that may.
    fn alive_of(&self, array: u32) -> u32 {
        let known = self.known.range((array, 0)..=(array, u32::MAX)).filter(|(_, known)| known.state.is_alive()).count() as u32;
        let unseen = self.unseen.iter().filter(|one| one.array == Some(array)).map(|one| one.tasks).max();
        known.max(unseen.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::Millis;

    use super::super::tests::{policy, queue, step, task};
    use super::super::{News, Policy};
    use super::*;
    use crate::launch::slurm::queue::Task;

    /// Slurm bounds each array for itself: two of three arrays of two would be six.
    #[test]
    fn of_all_arrays_together_no_more_tasks_run_than_the_throttle_says_and_what_ends_makes_room() {
        let mut scaler = Scaler::new(Policy { throttle: Some(2), ..policy(4) });
        let submit = |tasks, most| Order::Submit { tasks, exclude: vec![], most: Some(most) };
        let trimmed = |scaler: &mut Scaler, now: Millis, tasks: &[Task]| {
            let mut out = vec![];
            for look in 0..2 {
                scaler.hear(now + look, &queue(tasks));
                out.clear();
                scaler.trim(8, &mut out);
            }
            out
        };
        let (runs, waits) =
            (|array, index| task(array, index, State::Running, "n1"), |array, index| task(array, index, State::Pending, ""));
        assert_eq!(step(&mut scaler, 0, 8), [Order::Look, submit(4, 2)]);
        scaler.hear(1, &News::Submitted { array: 7, tasks: 4 });
        (0..4).for_each(|index| scaler.hear(2, &News::Joined((7, index))));
        assert_eq!(trimmed(&mut scaler, 10, &[runs(7, 0), runs(7, 1), waits(7, 2), waits(7, 3)]), []);
        assert_eq!(trimmed(&mut scaler, 20, &[runs(7, 2), runs(7, 3)]), []);
        assert_eq!(step(&mut scaler, 30, 8), [], "two more are wanted, and there is no room");
        assert_eq!(trimmed(&mut scaler, 40, &[runs(7, 3)]), []);
        assert_eq!(step(&mut scaler, 50, 8), [submit(3, 1)]);
        scaler.hear(51, &News::Submitted { array: 8, tasks: 3 });
        assert_eq!(trimmed(&mut scaler, 60, &[runs(7, 3), runs(8, 0), waits(8, 1), waits(8, 2)]), []);
        let last = [runs(8, 0), waits(8, 1), waits(8, 2)];
        assert_eq!(trimmed(&mut scaler, 70, &last), [Order::Throttle { array: 8, most: 2 }]);
        assert_eq!(trimmed(&mut scaler, 80, &last), [Order::Throttle { array: 8, most: 2 }], "again, for nobody has said that it was done");
        scaler.hear(90, &News::Throttled { array: 8, most: 2 });
        assert_eq!(trimmed(&mut scaler, 100, &last), []);
    }
}
