//! Which workers have been silent for too long. Pure: time comes in.
use std::collections::BTreeMap;

use hpo_core::{Millis, Stamp, WorkerId};

/// The last word of each worker.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    ttl: Millis,
    heard: BTreeMap<WorkerId, Stamp>,
    looked: Stamp,
}

impl Detector {
    /// A worker that says nothing for `ttl` is lost.
    pub(super) fn new(ttl: Millis, now: Stamp) -> Self {
        Self { ttl, heard: BTreeMap::new(), looked: now }
    }

    /// The worker lives.
    pub(super) fn heard(&mut self, worker: WorkerId, now: Stamp) {
        self.heard.insert(worker, now);
    }

    /// It is no longer waited for.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        self.heard.remove(&worker);
    }

    /// Workers whose time is over. They are reported until they are forgotten.
    pub(super) fn silent(&mut self, now: Stamp) -> Vec<WorkerId> {
        // Who slept for long (a stopped process, a stalled disk) has not listened and can accuse nobody.
        if now.since(self.looked) > self.ttl / 2 {
            self.heard.values_mut().for_each(|heard| *heard = now);
        }
        self.looked = now;
        self.heard.iter().filter(|(_, heard)| now.since(**heard) >= self.ttl).map(|(&worker, _)| worker).collect()
    }

    /// When to look again at the latest.
    pub(super) fn next(&self) -> Stamp {
        let regular = self.looked.plus(self.ttl / 4);
        self.heard.values().map(|heard| heard.plus(self.ttl)).min().map_or(regular, |expiry| expiry.min(regular))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: WorkerId = WorkerId(1);
    const B: WorkerId = WorkerId(2);

    #[test]
    fn silence_of_the_whole_time_is_found_and_no_less() {
        let mut detector = Detector::new(100, Stamp(0));
        detector.heard(A, Stamp(0));
        detector.heard(B, Stamp(30));
        for at in [25, 50, 75, 99] {
            assert!(detector.silent(Stamp(at)).is_empty(), "{at}");
        }
        assert_eq!(detector.next(), Stamp(100));
        assert_eq!(detector.silent(Stamp(100)), [A]);
        detector.forget(A);
        assert_eq!(detector.silent(Stamp(129)), []);
        assert_eq!(detector.silent(Stamp(130)), [B]);
        detector.heard(B, Stamp(131));
        assert_eq!(detector.silent(Stamp(140)), []);
    }

    #[test]
    fn a_driver_that_slept_accuses_nobody() {
        let mut detector = Detector::new(100, Stamp(0));
        detector.heard(A, Stamp(0));
        assert!(detector.silent(Stamp(1000)).is_empty());
        assert!(detector.silent(Stamp(1050)).is_empty());
        assert_eq!(detector.silent(Stamp(1100)), [A], "its time starts anew, once");
    }

    #[test]
    fn it_looks_often_enough_not_to_take_its_own_pace_for_sleep() {
        let detector = Detector::new(100, Stamp(40));
        assert!(detector.next().since(Stamp(40)) <= 50);
    }
}
