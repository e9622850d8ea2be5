//! What the searcher cost: time to think, and slots that waited for it.
use hpo_core::{Event, Millis, Stamp, Sweep};
use serde::Serialize;

/// Collected while a journal is lived through again.
#[derive(Clone, Debug, Default)]
pub struct Thinking {
    /// Microseconds of each proposal, in the order of events.
    costs_us: Vec<u64>,
    /// Slot time without a lease.
    free: Millis,
    /// That of slots for which values were asked and had not come.
    waited: Millis,
    /// Since when so many slots are without a lease, and wait.
    since: Stamp,
    slots: (usize, usize),
}

/// The figures. What was never measured is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suggestions {
    /// How many there were.
    pub count: usize,
    /// What they took in all, in seconds of one thread.
    pub seconds: f64,
    /// What half of them took at most, in microseconds.
    pub p50_us: Option<u64>,
    /// What 99 of a hundred took at most, in microseconds.
    pub p99_us: Option<u64>,
    /// Slot time in which values were asked for and had not come, in seconds: thinking, and the way there and back.
    pub slots_waited_seconds: f64,
    /// Its share of all slot time without a lease.
    pub share_of_idle: Option<f64>,
}

impl Thinking {
    /// Notes `event`, which `sweep` has just applied. O(1).
    pub(super) fn saw(&mut self, at: Stamp, event: &Event, sweep: &Sweep) {
        let passed = at.since(self.since);
        self.free += passed * self.slots.0 as Millis;
        self.waited += passed * self.slots.1 as Millis;
        (self.since, self.slots) = (at, sweep.free_slots());
        if let Event::Suggested { cost_us, .. } = event {
            self.costs_us.push(*cost_us);
        }
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> Suggestions {
        let mut sorted = self.costs_us.clone();
        sorted.sort_unstable();
        // The smallest that so many are not above.
        let percentile = |share: f64| sorted.get(((share * sorted.len() as f64).ceil() as usize).saturating_sub(1)).copied();
        Suggestions {
            count: sorted.len(),
            seconds: sorted.iter().map(|&cost| cost as f64).sum::<f64>() / 1e6,
            p50_us: percentile(0.5),
            p99_us: percentile(0.99),
            slots_waited_seconds: self.waited as f64 / 1e3,
            share_of_idle: (self.free > 0).then(|| self.waited as f64 / self.free as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_costs_that_were_paid() {
        let of = |costs: &[u64]| {
            let figures = Thinking { costs_us: costs.to_vec(), ..Thinking::default() }.figures();
            (figures.p50_us, figures.p99_us, figures.seconds)
        };
        assert_eq!(of(&[]), (None, None, 0.0));
        assert_eq!(of(&[7]), (Some(7), Some(7), 7e-6));
        assert_eq!(of(&[4, 1, 3, 2]), (Some(2), Some(4), 1e-5));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), (Some(50), Some(99), 0.00505));
    }
}
