//! Where the slot time went. Every millisecond that a slot was reserved is attributed exactly once.
//!
//! The unit is the milli-slot-millisecond: one slot that counts as a whole GPU (or a CPU slot) for a millisecond is
//! 1000 of them, a quarter of a GPU 250. Whole numbers, so that the categories sum to the reservation exactly.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::by_trial::ByTrial;
use crate::{Millis, SlotId, Stamp, TrialId};

/// What was bought, by use. All in milli-slot-milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// Everything: from a slot's joining to its leaving.
    pub reserved: u64,
    /// Training of the best trial.
    pub winner: u64,
    /// Training of other trials that were promoted or finished: their reports informed a decision.
    pub explored: u64,
    /// Training of trials that were stopped, failed, or never promoted.
    pub stopped: u64,
    /// Training that had to be done again, after a loss, a failure, or a preemption without a checkpoint; and the silence of a
    /// trainer that hung.
    pub redone: u64,
    /// Reading checkpoints.
    pub restore: u64,
    /// Writing checkpoints.
    pub checkpoint: u64,
    /// From the lease to the first step: starting the trainer, loading data, building the model.
    pub startup: u64,
    /// No lease.
    pub idle: u64,
    /// No lease any more, because the sweep was ending or draining.
    pub drain: u64,
}

impl Uses {
    /// Hours of one whole slot.
    #[must_use]
    pub fn hours(amount: u64) -> f64 {
        amount as f64 / (1000.0 * 3_600_000.0)
    }

    /// The categories with their names, in the order of the reports; they sum to `reserved`.
    #[must_use]
    pub fn categories(&self) -> [(&'static str, u64); 9] {
        [
            ("winner", self.winner),
            ("explored", self.explored),
            ("stopped", self.stopped),
            ("redone", self.redone),
            ("restore", self.restore),
            ("checkpoint", self.checkpoint),
            ("startup", self.startup),
            ("idle", self.idle),
            ("drain", self.drain),
        ]
    }
}

/// What of a lease's time was not training, and how much of the training is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) startup: Millis,
    pub(crate) restore: Millis,
    pub(crate) checkpoint: Millis,
    /// Training since this moment has to be done again, or was none.
    pub(crate) lost_since: Option<Stamp>,
    /// Training until this moment had been done before.
    pub(crate) repeated_until: Option<Stamp>,
}

/// The books of one sweep. Every entry costs O(log slots).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    open: BTreeMap<SlotId, Account>,
    /// Sum over open slots, frozen or not.
    weight: u64,
    /// Sum over open slots that are not frozen of weight, and of weight x joined.
    open_weight: u64,
    open_joined: u128,
    /// Reserved by frozen slots.
    frozen: u64,
    /// Reserved by slots that have left.
    closed: u64,
    /// Everything that does not depend on who wins.
    fixed: Uses,
    /// Training by trial.
    trained: ByTrial<Work>,
    promoted_total: u64,
    others_total: u64,
    draining: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Account {
    joined: Stamp,
    weight: u64,
    /// Since when it does what it does.
    since: Stamp,
    busy: Option<TrialId>,
    /// Nobody knows whether it is still there since then.
    frozen: Option<Stamp>,
}

impl Account {
    /// The moment until which it counts.
    fn until(&self, at: Stamp) -> Stamp {
        self.frozen.map_or(at, |frozen| frozen.min(at))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Work {
    kept: u64,
    promoted: bool,
}

/// What all slots together may count for at any time, in thousandths of a GPU: 100,000 GPUs. Until [`Stamp::LATEST`] they
/// are reserved for 1.6e19 milli-slot-milliseconds, which 64 bits still hold.
const MOST_WEIGHT: u64 = 100_000_000;

/// What a slot counts for, in thousandths of a GPU.
fn weight(milli_gpus: u32) -> u64 {
    if milli_gpus == 0 { 1000 } else { u64::from(milli_gpus) }
}

impl Ledger {
    /// Whether there is room for these slots.
    pub(crate) fn has_room(&self, milli_gpus: impl Iterator<Item = u32>) -> bool {
        // In 64 bits: `admit` bounds the number of slots.
        self.weight + milli_gpus.map(weight).sum::<u64>() <= MOST_WEIGHT
    }

    /// A slot joins; `milli_gpus` of 0 is a CPU slot and counts as one whole slot.
    pub(crate) fn join(&mut self, slot: SlotId, milli_gpus: u32, at: Stamp) {
        let weight = weight(milli_gpus);
        let earlier = self.open.insert(slot, Account { joined: at, weight, since: at, busy: None, frozen: None });
        assert!(earlier.is_none(), "slot {slot} joined twice");
        self.weight += weight;
        self.open_weight += weight;
        self.open_joined += u128::from(weight) * u128::from(at.0);
    }

    pub(crate) fn leave(&mut self, slot: SlotId, at: Stamp) {
        let Some(account) = self.open.remove(&slot) else { return };
        assert!(account.busy.is_none(), "a lease ends before its slot leaves");
        self.rest(account, at);
        let reserved = account.weight * account.until(at).since(account.joined);
        self.closed += reserved;
        self.weight -= account.weight;
        if account.frozen.is_some() {
            self.frozen -= reserved;
        } else {
            self.open_weight -= account.weight;
            self.open_joined -= u128::from(account.weight) * u128::from(account.joined.0);
        }
    }

    /// The driver was away after `at`, and nobody knows which slots lived on: none counts any further until it is heard
    /// of again ([`Ledger::thaw`]). One that never is has left at `at`.
    pub(crate) fn freeze(&mut self, at: Stamp) {
        for account in self.open.values_mut().filter(|account| account.frozen.is_none()) {
            account.frozen = Some(at);
            self.frozen += account.weight * at.since(account.joined);
        }
        self.open_weight = 0;
        self.open_joined = 0;
    }

    /// The slot was there all the time.
    pub(crate) fn thaw(&mut self, slot: SlotId) {
        let Some(account) = self.open.get_mut(&slot) else { return };
        if let Some(frozen) = account.frozen.take() {
            self.frozen -= account.weight * frozen.since(account.joined);
            self.open_weight += account.weight;
            self.open_joined += u128::from(account.weight) * u128::from(account.joined.0);
        }
    }

    pub(crate) fn begin(&mut self, slot: SlotId, trial: TrialId, at: Stamp) {
        let Some(mut account) = self.open.get(&slot).copied() else { return };
        self.rest(account, at);
        account.since = at;
        account.busy = Some(trial);
        self.open.insert(slot, account);
    }

    pub(crate) fn end(&mut self, slot: SlotId, at: Stamp, split: Split) {
        let Some(mut account) = self.open.get(&slot).copied() else { return };
        let Some(trial) = account.busy.take() else { return };
        // Not before the last entry: what a worker measured may reach back behind it.
        let at = account.until(at).max(account.since);
        let parts = Parts::of(account.since, at, split);
        let weight = account.weight;
        self.fixed.startup += weight * parts.startup;
        self.fixed.restore += weight * parts.restore;
        self.fixed.checkpoint += weight * parts.checkpoint;
        self.fixed.redone += weight * parts.redone;
        let work = self.trained.entry(trial);
        work.kept += weight * parts.kept;
        *(if work.promoted { &mut self.promoted_total } else { &mut self.others_total }) += weight * parts.kept;
        account.since = at;
        self.open.insert(slot, account);
    }

    /// From now on the work of `trial` counts as explored.
    pub(crate) fn informed(&mut self, trial: TrialId) {
        let work = self.trained.entry(trial);
        if !work.promoted {
            work.promoted = true;
            self.promoted_total += work.kept;
            self.others_total -= work.kept;
        }
    }

    /// From now on a slot without a lease is draining, or (`false`) idle again.
    pub(crate) fn drain(&mut self, on: bool, at: Stamp) {
        if self.draining == on {
            return;
        }
        let resting: Vec<SlotId> = self.open.iter().filter(|(_, account)| account.busy.is_none()).map(|(&slot, _)| slot).collect();
        for slot in resting {
            if let Some(mut account) = self.open.get(&slot).copied() {
                self.rest(account, at);
                account.since = account.until(at);
                self.open.insert(slot, account);
            }
        }
        self.draining = on;
    }

    fn rest(&mut self, account: Account, at: Stamp) {
        let amount = account.weight * account.until(at).since(account.since);
        *(if self.draining { &mut self.fixed.drain } else { &mut self.fixed.idle }) += amount;
    }

    /// Everything reserved until `at`, in milli-slot-milliseconds. O(1).
    #[must_use]
    pub fn reserved(&self, at: Stamp) -> u64 {
        let at = at.min(Stamp::LATEST);
        let open = u128::from(self.open_weight) * u128::from(at.0) - self.open_joined;
        self.closed + self.frozen + u64::try_from(open).unwrap_or(u64::MAX)
    }

    /// When the reservation will reach `limit` if no slot comes or goes; `None` if no slot is there.
    #[must_use]
    pub(crate) fn reaches(&self, limit: u64, now: Stamp) -> Option<Stamp> {
        let left = limit.saturating_sub(self.reserved(now));
        (self.open_weight > 0).then(|| now.plus(left.div_ceil(self.open_weight)))
    }

    /// The uses until `at` if `winner` is the best trial. Leases in course count as training that is kept. O(slots).
    #[must_use]
    pub fn uses(&self, at: Stamp, winner: Option<TrialId>) -> Uses {
        let at = at.min(Stamp::LATEST);
        let mut uses = Uses { reserved: self.reserved(at), explored: self.promoted_total, stopped: self.others_total, ..self.fixed };
        let work = |trial: TrialId| self.trained.get(trial).copied().unwrap_or_default();
        if let Some(winner) = winner {
            let work = work(winner);
            *(if work.promoted { &mut uses.explored } else { &mut uses.stopped }) -= work.kept;
            uses.winner += work.kept;
        }
        for account in self.open.values() {
            let amount = account.weight * account.until(at).since(account.since);
            *match account.busy {
                Some(trial) if Some(trial) == winner => &mut uses.winner,
                Some(trial) if work(trial).promoted => &mut uses.explored,
                Some(_) => &mut uses.stopped,
                None if self.draining => &mut uses.drain,
                None => &mut uses.idle,
            } += amount;
        }
        uses
    }

    /// Training time of one trial that was kept, in milli-slot-milliseconds.
    #[must_use]
    pub fn trained(&self, trial: TrialId) -> u64 {
        self.trained.get(trial).map_or(0, |work| work.kept)
    }

    pub(crate) fn check(&self, at: Stamp, winner: Option<TrialId>) {
        let uses = self.uses(at, winner);
        let sum: u64 = uses.categories().iter().map(|(_, amount)| amount).sum();
        assert_eq!(sum, uses.reserved, "the categories sum to the reservation: {uses:?}");
    }
}

/// A lease's span in its parts; they sum to the span.
struct Parts {
    startup: Millis,
    restore: Millis,
    checkpoint: Millis,
    redone: Millis,
    kept: Millis,
}

impl Parts {
    /// What the worker measured is believed only as far as the driver's own span reaches.
    fn of(begin: Stamp, end: Stamp, split: Split) -> Self {
        let mut left = end.since(begin);
        let mut take = |wanted: Millis| {
            let part = wanted.min(left);
            left -= part;
            part
        };
        let startup = take(split.startup);
        let restore = take(split.restore);
        let checkpoint = take(split.checkpoint);
        let repeated = split.repeated_until.map_or(0, |until| until.since(begin).saturating_sub(startup + restore));
        let lost = split.lost_since.map_or(0, |since| end.since(since).saturating_sub(checkpoint));
        let redone = take(repeated.saturating_add(lost));
        Self { startup, restore, checkpoint, redone, kept: left }
    }
}
