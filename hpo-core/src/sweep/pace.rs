//! How long a slot must still be there to be worth a lease.
use crate::Millis;

/// What attempts have taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// From the lease to the first report, summed over all attempts that reported.
    begun_ms: Millis,
    begun: u64,
    /// The longest lease that was trained to its end.
    longest_ms: Millis,
    /// Some lease ended without a checkpoint.
    stateless: bool,
}

impl Pace {
    /// The first report of an attempt came so long after its lease.
    pub(super) fn began(&mut self, took: Millis) {
        self.begun_ms = self.begun_ms.saturating_add(took);
        self.begun += 1;
    }

    /// A lease was trained to its end.
    pub(super) fn reached(&mut self, took: Millis, with_state: bool) {
        self.longest_ms = self.longest_ms.max(took);
        self.stateless |= !with_state;
    }

    /// With less time than this a lease would most likely be in vain: its state can be saved after the first unit of resource
    /// at the earliest, or, by a trainable that keeps none, not before the end. Twice what it takes in the mean leaves room for
    /// slow machines. 0 as long as nothing is known.
    pub(super) fn need(&self) -> Millis {
        let first = self.begun_ms.checked_div(self.begun).unwrap_or(0).saturating_mul(2);
        if self.stateless { first.max(self.longest_ms) } else { first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_needs_time_for_a_state_that_can_be_saved() {
        let mut pace = Pace::default();
        assert_eq!(pace.need(), 0, "nothing is known");
        pace.began(1000);
        pace.began(2000);
        pace.reached(9000, true);
        assert_eq!(pace.need(), 3000, "twice the mean");
        pace.reached(6000, false);
        assert_eq!(pace.need(), 9000, "without states the whole lease");
    }
}
