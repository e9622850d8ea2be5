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
        let taken: u32 = others.map(|&array| self.alive_of(array).min(self.throttles.get(&array).copied().unwrap_or(most))).sum();
        Some(most.saturating_sub(taken))
    }

    /// Lets the newest array run as many tasks as there is room for, if some of them wait and it may run another number now.
    pub(super) fn throttle(&mut self, out: &mut Vec<Order>) {
        if self.in_doubt() || self.is_submitting() {
            // Nobody knows all arrays.
            return;
        }
        let waits = |array: u32| self.known.range((array, 0)..=(array, u32::MAX)).any(|(_, known)| known.state == State::Pending);
        let newest = self.arrays.last().copied().filter(|array| self.policy.submits && waits(*array));
        let Some((array, room)) = newest.and_then(|array| Some((array, self.room(Some(array))?))) else { return };
        // To Slurm, 0 is no limit at all.
        let most = room.max(1);
        if self.throttles.get(&array) != Some(&most) {
            // Until somebody says that it was done, nobody knows whether it was.
            self.throttles.remove(&array);
            out.push(Order::Throttle { array, most });
        }
    }

    /// Tasks of an array that wait or run, or that may.
    fn alive_of(&self, array: u32) -> u32 {
        let known = self.known.range((array, 0)..=(array, u32::MAX)).filter(|(_, known)| known.state.is_alive()).count() as u32;
        let unseen = self.unseen.iter().filter(|(of, ..)| *of == Some(array)).map(|(_, tasks, _)| *tasks).max();
        known.max(unseen.unwrap_or(0))
    }
}
