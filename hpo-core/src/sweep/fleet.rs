//! Workers and slots: who is there, what is free, which trainer still has which trial in memory.
use std::collections::{BTreeMap, BTreeSet};

use crate::{Millis, Resource, SlotId, Stamp, TrialId, WorkerId};

/// All workers that the sweep believes in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fleet {
    workers: BTreeMap<WorkerId, Worker>,
    free: BTreeSet<SlotId>,
    /// Without a lease, but their worker has not been heard of by this driver: perhaps it is dead.
    parked: BTreeSet<SlotId>,
    /// Without a lease, and their worker leaves too soon for another.
    spent: BTreeSet<SlotId>,
    /// When workers leave, of those that will.
    ends: BTreeSet<(Stamp, WorkerId)>,
    busy: BTreeMap<SlotId, TrialId>,
    /// Where a trainer still has the state of a trial at a resource.
    memory: BTreeMap<TrialId, (SlotId, Resource)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Worker {
    name: String,
    /// By this driver.
    heard: bool,
    /// When it leaves, if its allocation ends.
    ends: Option<Stamp>,
    /// How long it stays, from when that was first known.
    stay: Option<Millis>,
    /// Per slot: the trial that its trainer still has in memory.
    slots: Vec<Option<TrialId>>,
}

impl Fleet {
    pub(super) fn knows(&self, worker: WorkerId) -> bool {
        self.workers.contains_key(&worker)
    }

    pub(super) fn workers(&self) -> Vec<WorkerId> {
        self.workers.keys().copied().collect()
    }

    pub(super) fn name(&self, worker: WorkerId) -> Option<&str> {
        self.workers.get(&worker).map(|worker| worker.name.as_str())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (WorkerId, &str)> {
        self.workers.iter().map(|(&id, worker)| (id, worker.name.as_str()))
    }

    pub(super) fn slot_ids(&self, worker: WorkerId) -> Vec<SlotId> {
        let count = self.workers.get(&worker).map_or(0, |worker| worker.slots.len());
        // `admit` bounds the number of slots at 1024.
        (0..count).map(|index| SlotId { worker, index: index as u16 }).collect()
    }

    pub(super) fn has(&self, slot: SlotId) -> bool {
        self.workers.get(&slot.worker).is_some_and(|worker| usize::from(slot.index) < worker.slots.len())
    }

    pub(super) fn join(&mut self, worker: WorkerId, name: &str, slots: usize) {
        self.workers.insert(worker, Worker { name: name.to_owned(), heard: true, ends: None, stay: None, slots: vec![None; slots] });
        self.free.extend(self.slot_ids(worker));
    }

    /// The worker leaves at `ends`, as far as is known `now`.
    pub(super) fn will_end(&mut self, worker: WorkerId, now: Stamp, ends: Option<Stamp>) {
        if let Some(known) = self.workers.get_mut(&worker) {
            known.stay = known.stay.or(ends.map(|ends| ends.since(now)));
            self.set_end(worker, ends);
        }
    }

    /// The worker leaves now, as soon as what it holds is safe.
    pub(super) fn leaves(&mut self, worker: WorkerId, now: Stamp) {
        self.set_end(worker, Some(now));
    }

    fn set_end(&mut self, worker: WorkerId, ends: Option<Stamp>) {
        let Some(known) = self.workers.get_mut(&worker) else { return };
        let before = std::mem::replace(&mut known.ends, ends);
        if before == ends {
            return;
        }
        before.map(|before| self.ends.remove(&(before, worker)));
        self.ends.extend(ends.map(|ends| (ends, worker)));
        for slot in self.slot_ids(worker) {
            if self.spent.remove(&slot) {
                self.free.insert(slot);
            }
        }
    }

    /// When the worker leaves; never is later than any moment.
    pub(super) fn end_of(&self, worker: WorkerId) -> Stamp {
        self.workers.get(&worker).and_then(|worker| worker.ends).unwrap_or(Stamp(u64::MAX))
    }

    /// Sets the free slots aside whose worker leaves within `need`: what they began could not be kept. For the first half of
    /// its stay each is given something all the same: after one slow start nobody would ever stay long enough.
    pub(super) fn retire(&mut self, now: Stamp, need: Millis) {
        if self.free.is_empty() || self.ends.first().is_none_or(|(ends, _)| *ends > now.plus(need)) {
            return;
        }
        let leaves = |worker: &WorkerId| {
            let known = self.workers.get(worker).and_then(|worker| Some((worker.ends?, worker.stay.unwrap_or(Millis::MAX))));
            known.is_some_and(|(ends, stay)| ends <= now.plus(need.min(stay / 2)))
        };
        // Tasks of one array leave together, and this is asked after each event: of those that leave and those that are free the fewer
        // are looked at.
        let slots: Vec<SlotId> = if self.free.len() <= self.ends.len() {
            self.free.iter().copied().filter(|slot| leaves(&slot.worker)).collect()
        } else {
            let soon = self.ends.iter().take_while(|(ends, _)| *ends <= now.plus(need)).map(|(_, worker)| worker);
            soon.filter(|worker| leaves(worker)).flat_map(|worker| self.slot_ids(*worker)).collect()
        };
        for slot in slots {
            if self.free.remove(&slot) {
                self.spent.insert(slot);
            }
        }
    }

    /// Nearly as long as any worker stays of those that are there, from when that was first known. Seven eighths, for they do not all
    /// come equally soon after their tasks began.
    fn whole_stay(&self) -> Millis {
        let longest = self.longest_stay();
        longest - longest / 8
    }

    /// How long the worker stays that stays longest of those that are there.
    pub(super) fn longest_stay(&self) -> Millis {
        self.workers.values().map(|worker| worker.stay.unwrap_or(Millis::MAX)).max().unwrap_or(Millis::MAX)
    }

    /// The longest `need` that a free slot holds; none if none is free.
    pub(super) fn room(&self, now: Stamp) -> Option<Millis> {
        let left = self.free.iter().map(|slot| self.end_of(slot.worker).since(now)).max()?;
        Some(if left >= self.whole_stay() { Millis::MAX } else { left })
    }

    /// Whether the slot's worker stays for `need`.
    fn holds(&self, slot: SlotId, need: Millis, now: Stamp) -> bool {
        need == 0 || self.end_of(slot.worker).since(now) >= need
    }

    /// Slots whose worker leaves too soon for another lease.
    pub(super) fn spent(&self) -> usize {
        self.spent.len()
    }

    /// A new driver: nobody has been heard of yet, so nobody is given anything.
    pub(super) fn park(&mut self) {
        self.parked.append(&mut self.free);
        self.parked.append(&mut self.spent);
        self.workers.values_mut().for_each(|worker| worker.heard = false);
    }

    /// The worker has been heard of.
    pub(super) fn unpark(&mut self, worker: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.heard = true;
        }
        for slot in self.slot_ids(worker) {
            if self.parked.remove(&slot) {
                self.free.insert(slot);
            }
        }
    }

    /// Slots whose worker this driver has not heard of.
    pub(super) fn unheard(&self) -> &BTreeSet<SlotId> {
        &self.parked
    }

    /// Removes a worker none of whose slots is busy.
    pub(super) fn leave(&mut self, worker: WorkerId) {
        for slot in self.slot_ids(worker) {
            assert!(!self.busy.contains_key(&slot), "leases end before their worker goes");
            self.forget_memory(slot);
            self.free.remove(&slot);
            self.parked.remove(&slot);
            self.spent.remove(&slot);
        }
        let ends = self.workers.remove(&worker).and_then(|worker| worker.ends);
        ends.map(|ends| self.ends.remove(&(ends, worker)));
    }

    /// The slot for `trial`, which goes on at `resource` and needs it for so long, or for about as long as any worker stays, and
    /// whether its trainer still has the trial in memory.
    pub(super) fn choose(&self, trial: TrialId, resource: Resource, need: Millis, now: Stamp) -> Option<(SlotId, bool)> {
        let need = if need == 0 { 0 } else { need.min(self.whole_stay()) };
        if let Some(&(slot, at)) = self.memory.get(&trial)
            && at == resource
            && self.free.contains(&slot)
            && self.holds(slot, need, now)
        {
            return Some((slot, true));
        }
        self.free.iter().find(|slot| self.holds(**slot, need, now)).map(|&slot| (slot, false))
    }

    pub(super) fn total(&self) -> usize {
        self.free.len() + self.parked.len() + self.spent.len() + self.busy.len()
    }

    pub(super) fn free(&self) -> &BTreeSet<SlotId> {
        &self.free
    }

    pub(super) fn live(&self) -> usize {
        self.busy.len()
    }

    pub(super) fn busy(&self) -> impl Iterator<Item = (SlotId, TrialId)> + '_ {
        self.busy.iter().map(|(&slot, &trial)| (slot, trial))
    }

    /// The leases of one worker.
    pub(super) fn busy_of(&self, worker: WorkerId) -> Vec<(SlotId, TrialId)> {
        let all = SlotId { worker, index: 0 }..=SlotId { worker, index: u16::MAX };
        self.busy.range(all).map(|(&slot, &trial)| (slot, trial)).collect()
    }

    pub(super) fn occupy(&mut self, slot: SlotId, trial: TrialId) {
        let was_free = self.free.remove(&slot);
        assert!(was_free, "slot {slot} is leased twice");
        self.forget_memory(slot);
        // It goes on here: what another trainer still has of it is old from now on.
        if let Some(&(elsewhere, _)) = self.memory.get(&trial) {
            self.forget_memory(elsewhere);
        }
        self.busy.insert(slot, trial);
    }

    /// The lease on `slot` ended; `kept` is the resource at which its trainer still has the trial in memory.
    pub(super) fn vacate(&mut self, slot: SlotId, kept: Option<Resource>) {
        let trial = self.busy.remove(&slot);
        // A word about its attempt is no sign of the worker itself, which has not said yet what it holds.
        let heard = self.workers.get(&slot.worker).is_some_and(|worker| worker.heard);
        (if heard { &mut self.free } else { &mut self.parked }).insert(slot);
        if let (Some(trial), Some(resource)) = (trial, kept) {
            self.memory.insert(trial, (slot, resource));
            if let Some(held) = self.held(slot) {
                *held = Some(trial);
            }
        }
    }

    fn forget_memory(&mut self, slot: SlotId) {
        if let Some(trial) = self.held(slot).and_then(Option::take) {
            self.memory.remove(&trial);
        }
    }

    fn held(&mut self, slot: SlotId) -> Option<&mut Option<TrialId>> {
        self.workers.get_mut(&slot.worker)?.slots.get_mut(usize::from(slot.index))
    }

    pub(super) fn check(&self) {
        let all: usize = self.workers.values().map(|worker| worker.slots.len()).sum();
        assert_eq!(self.total(), all, "a slot is free, parked, spent or busy, never two of them");
        assert!(self.free.iter().chain(&self.parked).chain(&self.spent).all(|slot| self.has(*slot) && !self.busy.contains_key(slot)));
        let trials: BTreeSet<_> = self.busy.values().collect();
        assert_eq!(trials.len(), self.busy.len(), "a trial runs once");
        assert!(self.free.iter().all(|slot| self.workers[&slot.worker].heard), "a slot is not free before its worker was heard");
    }
}
