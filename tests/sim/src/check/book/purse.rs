//! What was reserved: from a slot's joining to its leaving.
use std::collections::BTreeMap;

use hpo_core::sweep::event::Allocation;
use hpo_core::{Event, Stamp, WorkerId};
use hpo_driver::journal::Record;

/// Every slot that ever joined, and for how long it counts.
#[derive(Clone, Debug, Default)]
pub struct Purse {
    /// By worker: what is open.
    open: BTreeMap<WorkerId, Stay>,
    /// Until when workers that were ever there are paid for.
    paid: BTreeMap<WorkerId, Stamp>,
    /// Of workers that are gone, in thousandths of a slot times milliseconds.
    closed: u128,
}

#[derive(Clone, Copy, Debug)]
struct Stay {
    since: Stamp,
    /// Thousandths of a slot, over all its slots.
    weight: u128,
    /// When the driver that last heard of it was itself heard of last; none while a driver hears of it.
    silent: Option<Stamp>,
}

impl Stay {
    fn cost(&self, at: Stamp) -> u128 {
        self.weight * u128::from(self.silent.unwrap_or(at).since(self.since))
    }
}

impl Purse {
    /// A record, and the stamp of the one before.
    pub fn record(&mut self, before: Stamp, record: &Record) {
        match &record.event {
            // Who does not come back has left when the old driver was last heard of.
            Event::DriverStarted { .. } => self.open.values_mut().for_each(|stay| stay.silent = stay.silent.or(Some(before))),
            Event::WorkerJoined { worker, slots, allocation, .. } => {
                let since = self.since(*worker, record.at, allocation.as_ref());
                let weights = slots.iter().map(|slot| if slot.milli_gpus == 0 { 1000 } else { u128::from(slot.milli_gpus) });
                let new = Stay { since, weight: weights.sum(), silent: None };
                self.open.entry(*worker).or_insert(new).silent = None;
            }
            Event::WorkerLeft { worker } | Event::WorkerLost { worker } => {
                if let Some(stay) = self.open.remove(worker) {
                    self.closed += stay.cost(record.at);
                    // Nobody heard of it for a while: should it have lived on, that is still to be paid.
                    self.paid.insert(*worker, stay.silent.unwrap_or(record.at));
                }
            }
            _ => {}
        }
    }

    /// From when on a worker counts that comes now: a task of a batch system costs from its beginning, but no time twice.
    #[must_use]
    pub fn since(&self, worker: WorkerId, now: Stamp, allocation: Option<&Allocation>) -> Stamp {
        let Some(allocation) = allocation else { return now };
        let begun = Stamp(now.0.saturating_sub(allocation.started_ms_ago));
        self.paid.get(&worker).map_or(begun, |paid| begun.max(*paid))
    }

    /// The first moment from `now` on at which so much is reserved; none if nobody is there who counts.
    #[must_use]
    pub fn first_at(&self, now: Stamp, most: u128) -> Option<Stamp> {
        if self.open.values().all(|stay| stay.silent.is_some()) {
            return None;
        }
        // It is not used up at the one, and is at the other.
        let (mut before, mut after) = (now, now.plus(1));
        while self.reserved(after) < most {
            (before, after) = (after, now.plus(2 * after.since(now)));
        }
        while after.since(before) > 1 {
            let middle = before.plus(after.since(before) / 2);
            *(if self.reserved(middle) < most { &mut before } else { &mut after }) = middle;
        }
        Some(after)
    }

    /// All of it until `at`, in thousandths of a slot times milliseconds.
    #[must_use]
    pub fn reserved(&self, at: Stamp) -> u128 {
        self.closed + self.open.values().map(|stay| stay.cost(at)).sum::<u128>()
    }
}
