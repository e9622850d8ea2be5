//! Where the slot time went. Every millisecond that a slot was reserved is attributed exactly once.
//!
//! The unit is the milli-slot-millisecond: one slot that counts as a whole GPU (or a CPU slot) for a millisecond is
//! 1000 of them, a quarter of a GPU 250. Whole numbers, so that the categories sum to the reservation exactly.
mod lease;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::by_trial::ByTrial;
use crate::{SlotId, Stamp, TrialId};
use lease::Stint;
pub(crate) use lease::{Booked, Split};

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
    /// Training that a loss, a failure, or a preemption without a checkpoint undid; training that was done a second time although
    /// nothing had undone the first; and the silence of a trainer that hung. Of a unit that was trained several times all passes but
    /// one are here.
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

/// The books of one sweep. Every entry costs O(log slots), and O(1) for each time that its worker was lost and came
/// back with the lease.
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

#[derive(Clone, Debug, PartialEq)]
struct Account {
    joined: Stamp,
    weight: u64,
    /// Since when it does what it does.
    since: Stamp,
    busy: Option<Lease>,
    /// Nobody knows whether it is still there since then.
    frozen: Option<Stamp>,
}

#[derive(Clone, Debug, PartialEq)]
struct Lease {
    trial: TrialId,
    /// Before its worker was thought lost.
    earlier: Vec<Stint>,
}

impl Account {
    /// The moment until which it counts.
    fn until(&self, at: Stamp) -> Stamp {
        self.frozen.map_or(at, |frozen| frozen.min(at))
    }

    /// What it does since `since`.
    fn stint(&self, at: Stamp) -> Stint {
        Stint { since: self.since, until: self.until(at).max(self.since), weight: self.weight }
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

    /// The slot leaves: until when it is in the books.
    pub(crate) fn leave(&mut self, slot: SlotId, at: Stamp) -> Option<Stamp> {
        let account = self.open.remove(&slot)?;
        assert!(account.busy.is_none(), "a lease ends before its slot leaves");
        self.rest(account.stint(at).amount());
        let until = account.until(at);
        let reserved = account.weight * until.since(account.joined);
        self.closed += reserved;
        self.weight -= account.weight;
        if account.frozen.is_some() {
            self.frozen -= reserved;
        } else {
            self.open_weight -= account.weight;
            self.open_joined -= u128::from(account.weight) * u128::from(account.joined.0);
        }
        Some(until)
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
        self.occupy(slot, Lease { trial, earlier: vec![] }, at);
    }

    /// The worker of a lease that was booked is back, and the lease goes on, as if it had never ended: it leaves the books, and its
    /// time since `at` belongs to it, too.
    pub(crate) fn resume(&mut self, slot: SlotId, booked: Booked, at: Stamp) {
        let Booked { trial, stints, startup, restore, checkpoint, redone, kept } = booked;
        self.fixed.startup -= startup;
        self.fixed.restore -= restore;
        self.fixed.checkpoint -= checkpoint;
        self.fixed.redone -= redone;
        let work = self.trained.entry(trial);
        work.kept -= kept;
        *(if work.promoted { &mut self.promoted_total } else { &mut self.others_total }) -= kept;
        self.occupy(slot, Lease { trial, earlier: stints }, at);
    }

    fn occupy(&mut self, slot: SlotId, lease: Lease, at: Stamp) {
        let Some(account) = self.open.get_mut(&slot) else { return };
        let rested = account.stint(at);
        (account.since, account.busy) = (at, Some(lease));
        self.rest(rested.amount());
    }

    /// What the lease is booked as.
    pub(crate) fn end(&mut self, slot: SlotId, at: Stamp, split: Split) -> Option<Booked> {
        let account = self.open.get_mut(&slot)?;
        let Lease { trial, earlier: mut stints } = account.busy.take()?;
        // Not before the last entry: what a worker measured may reach back behind it.
        let last = account.stint(at);
        account.since = last.until;
        // It was over before its worker was thought lost: from then on the slot had none.
        let mut rested = 0;
        for stint in &mut stints {
            let whole = stint.amount();
            stint.until = stint.until.min(at).max(stint.since);
            rested += whole - stint.amount();
        }
        stints.push(last);
        let booked = Booked::new(trial, stints, split);
        self.fixed.startup += booked.startup;
        self.fixed.restore += booked.restore;
        self.fixed.checkpoint += booked.checkpoint;
        self.fixed.redone += booked.redone;
        let work = self.trained.entry(trial);
        work.kept += booked.kept;
        *(if work.promoted { &mut self.promoted_total } else { &mut self.others_total }) += booked.kept;
        self.rest(rested);
        Some(booked)
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
        let mut rested = 0;
        for account in self.open.values_mut().filter(|account| account.busy.is_none()) {
            let stint = account.stint(at);
            rested += stint.amount();
            account.since = stint.until;
        }
        self.rest(rested);
        self.draining = on;
    }

    /// So much was spent without a lease.
    fn rest(&mut self, amount: u64) {
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
            let earlier = account.busy.iter().flat_map(|lease| &lease.earlier);
            let amount = earlier.map(|stint| stint.amount()).sum::<u64>() + account.stint(at).amount();
            *match account.busy.as_ref().map(|lease| lease.trial) {
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
