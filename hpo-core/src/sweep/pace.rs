//! How long a slot must still be there to be worth a lease.
use super::Sweep;
use super::trial::Unsaved;
use crate::{Millis, TrialId};

/// What attempts have taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

impl Sweep {
    /// An attempt was called back; `saved` says whether it left a state. A program that saves its state only at the end of a lease
    /// leaves none: the next attempt at this lease must have the time for all of it, by what the last one reported that did, and in
    /// any case more than this one had. Why the trial is given up, if it was so more than `lost_max` times in attempts that had
    /// their slots for at least half as long as any worker stays.
    pub(super) fn in_vain(&mut self, id: TrialId, saved: bool) -> Option<String> {
        let (now, patience) = (self.now, self.spec.patience.lost_max);
        let trial = self.trials.get_mut(id)?;
        if saved {
            trial.unsaved = Unsaved::default();
            return None;
        }
        // By the sweep itself, whatever time was left.
        if trial.run.called_back {
            return None;
        }
        let longest = self.fleet.longest_stay();
        let run = &trial.run;
        let took = run.over.unwrap_or(now).since(run.began);
        let all = run.last.map_or(trial.unsaved.need, |(resource, _, at)| {
            let (done, whole) = (u64::from(resource.0 - run.from.0), u64::from(run.until.0 - run.from.0));
            at.since(run.began).saturating_mul(whole) / done.max(1)
        });
        trial.unsaved.need = all.max(took + took / 4);
        trial.unsaved.whole += u32::from(took >= longest / 2);
        (trial.unsaved.whole > patience).then(|| {
            format!(
                "it saves nothing before the end of its lease, which takes about {} s, and workers stay for {} s at most: \
                 save a state when told to leave, or give workers more time",
                trial.unsaved.need.div_ceil(1000),
                longest.div_ceil(1000)
            )
        })
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
