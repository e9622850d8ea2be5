//! How `throttle` is shared out where several arrays are submitted at one time: Slurm bounds each for itself. Pure.
use std::collections::BTreeMap;

use super::keep::Submitted;
use super::queue::{Queue, State};

/// One array of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its tasks.
    pub tasks: u32,
    /// How many of them may run at one time; none: all.
    pub most: Option<u32>,
}

/// The next array, where `left` tasks are wanted, the site takes `size` in one array, and `room` more may run at one time (none:
/// any number). Each array that is still to come is left one. `None` if no more are to be submitted: to Slurm, a throttle of 0
/// is no limit.
#[must_use]
pub fn next(left: u32, size: u32, room: Option<u32>) -> Option<Part> {
    let size = size.max(1);
    let tasks = left.min(size);
    if tasks == 0 || room == Some(0) {
        return None;
    }
    let later = (left - tasks).div_ceil(size);
    let most = room.map(|room| tasks.min(room - later.min(room - 1)));
    Some(Part { tasks, most })
}

/// How many more may run at one time beside the arrays in the queue, of those called `name`. Of one whose own throttle is not
/// noted, all that may run do; and what ran when its array's throttle was lowered runs on.
#[must_use]
pub fn room(throttle: Option<u32>, queue: &Queue, name: &str, noted: &[Submitted]) -> Option<u32> {
    let throttle = throttle?;
    let mut alive: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    for task in queue.tasks.iter().filter(|task| task.name == name && task.state.is_alive()) {
        let (tasks, running) = alive.entry(task.array).or_default();
        *tasks += 1;
        *running += u32::from(task.state == State::Running);
    }
    let most = |array: u32| noted.iter().rev().find(|one| one.array == array).and_then(|one| one.most).unwrap_or(throttle);
    let taken: u32 = alive.into_iter().map(|(array, (tasks, running))| tasks.min(most(array)).max(running)).sum();
    Some(throttle.saturating_sub(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(mut left: u32, size: u32, mut room: Option<u32>) -> Vec<(u32, Option<u32>)> {
        let mut parts = vec![];
        while let Some(part) = next(left, size, room) {
            left -= part.tasks;
            room = room.map(|room| room - part.most.expect("one of so many"));
            parts.push((part.tasks, part.most));
        }
        parts
    }

    #[test]
    fn all_arrays_of_a_submission_together_get_the_throttle_and_none_gets_nothing() {
        assert_eq!(parts(8, 1001, None), [(8, None)]);
        assert_eq!(parts(8, 1001, Some(4)), [(8, Some(4))]);
        assert_eq!(parts(8, 3, Some(4)), [(3, Some(2)), (3, Some(1)), (2, Some(1))]);
        assert_eq!(parts(8, 3, Some(8)), [(3, Some(3)), (3, Some(3)), (2, Some(2))]);
        // A third array could only run where one of the others does not.
        assert_eq!(parts(8, 3, Some(2)), [(3, Some(1)), (3, Some(1))]);
        assert_eq!(parts(8, 3, Some(0)), []);
    }

    #[test]
    fn what_is_in_the_queue_has_its_share_already() {
        let line = |array: u32, index: u32, state: &str| format!("{array}_{index}|{array}|{state}|None|1:00|n1|hpo-1f\n");
        let text = [line(7, 0, "RUNNING"), line(7, 1, "PENDING"), line(7, 2, "COMPLETED"), line(9, 0, "RUNNING"), line(9, 1, "PENDING")];
        let queue = Queue::read(&text.concat());
        let noted = [Submitted { array: 7, tasks: 3, unix_ms: 0, most: Some(1) }];
        assert_eq!(room(Some(4), &queue, "hpo-1f", &noted), Some(1), "one of array 7, and two of array 9, of which nobody knows");
        assert_eq!(room(Some(1), &queue, "hpo-1f", &noted), Some(0));
        assert_eq!(room(Some(4), &queue, "another", &noted), Some(4));
        assert_eq!(room(None, &queue, "hpo-1f", &noted), None);
    }
}
