//! The session as a whole: the driver's words, the connection, and how it all ends.
use std::collections::BTreeMap;

use hpo_core::job::Job;
use hpo_core::sweep::event::{Allocation, End, FailureKind, Held};
use hpo_core::{Attempt, Lease, Millis, TrialId};
use hpo_wire::{About, FromDriver, FromWorker, Hello, Welcome};
use rand::rngs::ChaCha8Rng;

use super::desk::Desk;
use super::link::Link;
use super::outbox::Outbox;
use super::run::{Ask, held};
use super::slot::Slot;
use super::{Config, Input, Output, SessionEnd};

/// The state of one worker.
#[derive(Debug)]
pub struct Session {
    config: Config,
    /// Only for the waits between tries.
    rng: ChaCha8Rng,
    link: Link,
    /// The sweep that this worker has joined, and its job.
    joined: Option<(String, Job)>,
    /// The latest driver that has welcomed this worker. What an earlier one says is out of date.
    epoch: u32,
    slots: Vec<Slot>,
    outbox: Outbox,
    /// The newest attempt of each trial that was ever leased to this worker.
    newest: BTreeMap<TrialId, Attempt>,
    /// What a batch system gave it, and when that was told.
    allocation: Option<(Allocation, Millis)>,
    /// Without a lease for so long it leaves.
    idle_limit_ms: Option<Millis>,
    /// Since when it has had none, although a driver is there.
    idle_since: Option<Millis>,
    leaving: Option<Leaving>,
    over: bool,
}

/// Why the worker leaves, and since when nothing runs any more.
#[derive(Debug)]
struct Leaving {
    end: SessionEnd,
    idle_since: Option<Millis>,
}

impl Session {
    /// A worker that nobody knows yet. `rng` decides how long it waits between tries to connect, and nothing else.
    #[must_use]
    pub fn new(config: Config, rng: ChaCha8Rng) -> Self {
        // More slots than u16 can number are never used: a driver refuses such a worker.
        let slots = (0..u16::MAX).take(config.slots.len()).map(Slot::new).collect();
        Self {
            config,
            rng,
            link: Link::new(),
            joined: None,
            epoch: 0,
            slots,
            outbox: Outbox::default(),
            newest: BTreeMap::new(),
            allocation: None,
            idle_limit_ms: None,
            idle_since: None,
            leaving: None,
            over: false,
        }
    }

    /// Leaves when no lease comes for so long, for an idle allocation costs as much as a busy one.
    #[must_use]
    pub fn idle_limit(mut self, limit_ms: Option<Millis>) -> Self {
        self.idle_limit_ms = limit_ms;
        self
    }

    /// The first thing to do.
    pub fn begin(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.link.lost(now);
        out.push(Output::Connect { after_ms: 0 });
    }

    /// What is to be done because of `input` at `now`: milliseconds of any clock that never goes back.
    pub fn step(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) {
        if self.over {
            return;
        }
        let (before, left) = (out.len(), self.leaving.is_some());
        match input {
            Input::Connected => self.greet(now, out),
            Input::Disconnected => {
                self.link.lost(now);
                self.dial_again(out);
            }
            Input::NoDriver => self.no_driver(now, out),
            Input::SweepEnded { why } => {
                self.link.lost(now);
                self.leave(SessionEnd::Finished { why, resumable: false }, Ask::Stop, now, out);
            }
            Input::Driver(said) => self.driver(now, said, out),
            Input::Trainer { slot, event } => {
                let mut broken = None;
                self.at(slot, now, out, |slot, desk| broken = slot.trainer(event, desk));
                self.broken(broken, now, out);
            }
            Input::Restored { held, outcome } => {
                let mut broken = None;
                self.attempt(held, now, out, |slot, desk| broken = slot.restored(outcome, desk));
                self.broken(broken, now, out);
            }
            Input::Adopted { held, outcome } => {
                let mut broken = None;
                self.attempt(held, now, out, |slot, desk| broken = slot.adopted(outcome, desk));
                self.broken(broken, now, out);
            }
            Input::Allocated(allocation) => self.allocation = Some((allocation, now)),
            Input::Tick => self.tick(now, out),
            Input::Woke if self.link.is_up() => out.push(Output::Send(FromWorker::Heartbeat)),
            Input::Woke => {}
            Input::Notice => self.leave(SessionEnd::Preempted, Ask::CallBack, now, out),
        }
        self.settle(now, out);
        if !left && !self.over && self.tells_that_it_leaves() {
            // Before the words that free its slots, or they would be leased again.
            out.insert(before, Output::Send(FromWorker::Leaving));
        }
        let full = self.outbox.len() >= self.config.words_max;
        for slot in &mut self.slots {
            slot.listen(full, now, out);
        }
        if out[before..].iter().any(|output| matches!(output, Output::Send(_))) {
            self.link.spoke(now);
        }
    }

    /// A worker that cannot begin or save anything is of no use to anyone. What still works may save what it can.
    fn broken(&mut self, why: Option<String>, now: Millis, out: &mut Vec<Output>) {
        if let Some(why) = why {
            self.leave(SessionEnd::Broken { why }, Ask::CallBack, now, out);
        }
    }

    /// What trials run; known once a driver has welcomed this worker.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        self.joined.as_ref().map(|(_, job)| job)
    }

    fn greet(&mut self, now: Millis, out: &mut Vec<Output>) {
        let mut holds: Vec<Held> = self.slots.iter().flat_map(Slot::holds).chain(self.outbox.attempts()).collect();
        holds.sort_unstable_by_key(|held| (held.trial, held.attempt));
        holds.dedup();
        let Config { worker, name, version, slots, .. } = self.config.clone();
        let sweep = self.joined.as_ref().map(|(sweep, _)| sweep.clone()).unwrap_or_default();
        let allocation = self.allocation_at(now);
        let leaving = self.leaves_for_good();
        self.link.greeted(now, leaving);
        let hello = Hello { protocol: hpo_wire::PROTOCOL, worker, name, slots, holds, sweep, version, allocation, leaving };
        out.push(Output::Send(FromWorker::Hello(hello)));
    }

    /// What the batch system gave it, as it stands at `now`.
    fn allocation_at(&self, now: Millis) -> Option<Allocation> {
        let (told, at) = self.allocation.as_ref()?;
        let passed = now.saturating_sub(*at);
        let started_ms_ago = told.started_ms_ago.saturating_add(passed);
        let ends_in_ms = told.ends_in_ms.map(|left| left.saturating_sub(passed));
        Some(Allocation { started_ms_ago, ends_in_ms, ..told.clone() })
    }

    /// Why it leaves, from when it does.
    #[must_use]
    pub fn leaves(&self) -> Option<&SessionEnd> {
        self.leaving.as_ref().map(|leaving| &leaving.end)
    }

    /// Whether it leaves, and would also if a driver came.
    fn leaves_for_good(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| !matches!(leaving.end, SessionEnd::Orphaned { .. }))
    }

    /// Not if the driver has said it, and not if nothing is left to say but goodbye.
    fn tells_that_it_leaves(&self) -> bool {
        let finished = self.leaving.as_ref().is_some_and(|leaving| matches!(leaving.end, SessionEnd::Finished { .. }));
        let at_work = self.outbox.len() > 0 || !self.slots.iter().all(Slot::is_idle);
        self.leaves_for_good() && !finished && at_work && self.link.is_up()
    }

    /// Without a driver, a worker that has nothing to tell one has nothing to wait for either: whoever starts the sweep
    /// again starts workers, too.
    fn no_driver(&mut self, now: Millis, out: &mut Vec<Output>) {
        let deserted = self.link.deserted(now);
        if deserted && self.joined.is_some() && self.outbox.len() == 0 && self.slots.iter().all(Slot::is_idle) {
            return self.leave(SessionEnd::Deserted, Ask::CallBack, now, out);
        }
        self.dial_again(out);
    }

    fn dial_again(&mut self, out: &mut Vec<Output>) {
        // A driver that has said `Finish` is not awaited again.
        if !matches!(&self.leaving, Some(Leaving { end: SessionEnd::Finished { .. }, .. })) {
            let after_ms = self.link.wait_ms(self.config.retry_cap_ms, &mut self.rng);
            out.push(Output::Connect { after_ms });
        }
    }

    fn driver(&mut self, now: Millis, said: FromDriver, out: &mut Vec<Output>) {
        self.link.heard(now);
        match said {
            FromDriver::Welcome(welcome) => self.welcomed(now, welcome, out),
            // On a connection that was given up.
            _ if !self.link.is_up() => {}
            FromDriver::Lease(lease) => self.lease(now, lease, out),
            FromDriver::Stop(attempt) => self.attempt(attempt, now, out, |slot, desk| slot.ask(attempt, Ask::Stop, desk)),
            FromDriver::CallBack(attempt) => self.attempt(attempt, now, out, |slot, desk| slot.ask(attempt, Ask::CallBack, desk)),
            FromDriver::Acknowledged(safe) => self.outbox.acknowledge(safe),
            FromDriver::Finish { why, resumable } => {
                let ask = if resumable { Ask::CallBack } else { Ask::Stop };
                self.leave(SessionEnd::Finished { why, resumable }, ask, now, out);
            }
            FromDriver::Heartbeat => {}
        }
    }

    fn welcomed(&mut self, now: Millis, welcome: Welcome, out: &mut Vec<Output>) {
        let Welcome { sweep, heartbeat_ms, lease_ms, job, epoch } = welcome;
        match &self.joined {
            Some((ours, _)) if *ours != sweep => {
                return self.exit(SessionEnd::OtherSweep { ours: ours.clone(), theirs: sweep }, out);
            }
            Some(_) => {}
            None => match serde_json::from_str(&job) {
                Ok(job) => self.joined = Some((sweep, job)),
                Err(why) => return self.exit(SessionEnd::BadJob { why: why.to_string() }, out),
            },
        }
        if epoch < self.epoch {
            // It has been fenced off and does not know it yet: nothing that it acknowledges is safe.
            self.link.lost(now);
            return self.dial_again(out);
        }
        self.epoch = epoch;
        self.link.welcomed(heartbeat_ms.into(), lease_ms.into());
        if matches!(&self.leaving, Some(Leaving { end: SessionEnd::Orphaned { .. }, .. })) {
            self.leaving = None;
        }
        if self.leaves_for_good() && !self.link.knows_of_leaving() {
            out.push(Output::Send(FromWorker::Leaving));
        }
        out.extend(self.outbox.again().into_iter().map(|word| Output::Send(FromWorker::Word(word))));
    }

    fn lease(&mut self, now: Millis, lease: Lease, out: &mut Vec<Output>) {
        let again = self.newest.get(&lease.trial).is_some_and(|newest| *newest >= lease.attempt);
        // Sent again after a reconnection.
        if self.joined.is_none() || (again && self.holds(&lease)) {
            return;
        }
        if !again {
            self.newest.insert(lease.trial, lease.attempt);
        }
        let index = lease.slot.index;
        if self.leaving.is_some() {
            // The goodbye gives it back. An answer would, too, but the slot would then be free for it to be sent here again.
            return;
        }
        let refused = if again {
            Some(End::Preempted { checkpoint: None })
        } else if usize::from(index) >= self.slots.len() {
            Some(End::Failed { kind: FailureKind::Protocol, message: format!("the worker has no slot {index}") })
        } else {
            None
        };
        let up = self.link.is_up();
        let Some((_, job)) = &self.joined else { return };
        let mut desk = Desk { now, job, scratch: &self.config.scratch, outbox: &mut self.outbox, up, out };
        // An attempt that was over, and known to be, never runs again. Who leases it has an old journal (the disk lied, or
        // somebody put it back), and would wait for its words for ever.
        if let Some(end) = refused {
            if again {
                desk.outbox.reopen(held(&lease));
            }
            return desk.say(held(&lease), now, About::Ended(end));
        }
        for slot in &mut self.slots {
            slot.supersede(lease.trial, &mut desk);
        }
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.lease(lease, &mut desk);
        }
    }

    /// Whether the driver will still hear of this attempt.
    fn holds(&self, lease: &Lease) -> bool {
        let is_it = |held: Held| (held.trial, held.attempt) == (lease.trial, lease.attempt);
        self.slots.iter().flat_map(Slot::holds).chain(self.outbox.attempts()).any(is_it)
    }

    fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        for slot in 0..self.slots.len() {
            // Slots are numbered below 65536.
            let mut stuck = None;
            self.at(slot as u16, now, out, |slot, desk| {
                slot.tick(desk);
                stuck = slot.stuck(desk.now, desk.job);
            });
            self.broken(stuck, now, out);
        }
        if self.link.greeting_timed_out(now) || self.link.is_silent(now) {
            self.link.lost(now);
            self.dial_again(out);
        }
        if self.link.heartbeat_due(now) {
            out.push(Output::Send(FromWorker::Heartbeat));
        }
        if self.allocation_at(now).is_some_and(|allocation| allocation.ends_in_ms == Some(0)) {
            self.leave(SessionEnd::OutOfTime, Ask::CallBack, now, out);
        }
        self.idle(now, out);
        let away_ms = self.link.lonely_ms(now);
        if away_ms >= self.config.orphan_ms {
            self.leave(SessionEnd::Orphaned { away_ms, words: 0 }, Ask::CallBack, now, out);
        }
    }

    /// Leaves when there was nothing to do for too long. Time without a driver does not count: it may have work.
    fn idle(&mut self, now: Millis, out: &mut Vec<Output>) {
        let is_idle = self.link.is_up() && self.slots.iter().all(Slot::is_idle);
        self.idle_since = is_idle.then(|| self.idle_since.unwrap_or(now));
        let idle_ms = self.idle_since.map_or(0, |since| now.saturating_sub(since));
        if self.idle_limit_ms.is_some_and(|limit| is_idle && idle_ms >= limit) {
            self.leave(SessionEnd::Idle { idle_ms }, Ask::CallBack, now, out);
        }
    }

    /// Asks everything to leave, once. The driver's own word outweighs other reasons: after it nobody is waited for.
    fn leave(&mut self, end: SessionEnd, ask: Ask, now: Millis, out: &mut Vec<Output>) {
        if self.leaving.is_some() && !matches!(end, SessionEnd::Finished { .. }) {
            return;
        }
        let idle_since = self.leaving.take().and_then(|leaving| leaving.idle_since);
        self.leaving = Some(Leaving { end, idle_since });
        for slot in 0..self.slots.len() {
            self.at(slot as u16, now, out, |slot, desk| slot.ask_all(ask, desk));
        }
    }

    /// Ends the session when nothing runs (or what does will never end) and the driver knows everything, or can no
    /// longer be told.
    fn settle(&mut self, now: Millis, out: &mut Vec<Output>) {
        let job = self.joined.as_ref().map(|(_, job)| job);
        let waited_for = |slot: &Slot| !slot.is_idle() && job.is_none_or(|job| slot.stuck(now, job).is_none());
        let Some(leaving) = &mut self.leaving else { return };
        if self.over || self.slots.iter().any(waited_for) {
            return;
        }
        let idle_since = *leaving.idle_since.get_or_insert(now);
        let told = self.outbox.len() == 0 || now.saturating_sub(idle_since) >= self.config.farewell_ms;
        let done = match leaving.end {
            SessionEnd::Orphaned { .. } => true,
            SessionEnd::Finished { .. } => told || !self.link.is_up(),
            _ => told,
        };
        if !done {
            return;
        }
        let mut end = leaving.end.clone();
        if let SessionEnd::Orphaned { words, .. } = &mut end {
            *words = self.outbox.len();
        }
        if self.link.is_up() {
            out.push(Output::Send(FromWorker::Goodbye { why: end.to_string() }));
        }
        self.exit(end, out);
    }

    fn exit(&mut self, end: SessionEnd, out: &mut Vec<Output>) {
        self.over = true;
        out.push(Output::Exit(end));
    }

    /// Lets the slot that runs or awaits this attempt do something; nobody does if the attempt is not here any more.
    fn attempt(&mut self, attempt: Held, now: Millis, out: &mut Vec<Output>, act: impl FnOnce(&mut Slot, &mut Desk)) {
        let here = self.slots.iter().position(|slot| slot.holds().any(|held| held == attempt));
        if let Some(slot) = here {
            self.at(slot as u16, now, out, act);
        }
    }

    /// Lets a slot do something. Before the first welcome there is nothing that a slot could do.
    fn at(&mut self, slot: u16, now: Millis, out: &mut Vec<Output>, act: impl FnOnce(&mut Slot, &mut Desk)) {
        let up = self.link.is_up();
        let (Some(slot), Some((_, job))) = (self.slots.get_mut(usize::from(slot)), &self.joined) else { return };
        act(slot, &mut Desk { now, job, scratch: &self.config.scratch, outbox: &mut self.outbox, up, out });
    }
}
