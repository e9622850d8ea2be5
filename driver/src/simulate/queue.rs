//! What is to come, in order.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hpo_core::{Event, Params, Stamp, TrialId};
use hpo_curves::Point;

/// One thing to come. A step of an attempt that was ended meanwhile is void: its turn is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coming {
    /// The attempt on a machine comes to its next word.
    Step { machine: u32, turn: u32 },
    /// A machine dies.
    Crash { machine: u32 },
    /// A worker starts on a machine.
    Start { machine: u32 },
    /// It can be given a lease.
    Join { machine: u32 },
    /// The driver takes the next word that is on its way.
    Word,
    /// The searcher has its next answer.
    Answer,
    /// A budget of time must be looked at.
    Tick,
}

/// Values that a searcher with a latency is still to give; `None` if it has no more.
pub(super) type Answer = (TrialId, Option<Params>);

/// A word on its way to the driver; a report with what its curve says there.
pub(super) type Word = (Event, Option<Point>);

/// A heap by moment, then by the order in which things were put in.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    at: Stamp,
    number: u64,
    what: Coming,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Queue {
    pub(super) fn push(&mut self, at: Stamp, what: Coming) {
        self.count += 1;
        self.heap.push(Reverse(Entry { at, number: self.count, what }));
    }

    pub(super) fn pop(&mut self) -> Option<(Stamp, Coming)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_moment_the_first_comes_first() {
        let mut queue = Queue::default();
        let crash = |machine| Coming::Crash { machine };
        for (at, machine) in [(5, 0), (3, 1), (5, 2), (3, 3), (4, 4)] {
            queue.push(Stamp(at), crash(machine));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(3, 1), (3, 3), (4, 4), (5, 0), (5, 2)].map(|(at, machine)| (Stamp(at), crash(machine))));
    }
}
