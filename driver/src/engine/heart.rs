//! The engine without its waits: a machine that is given time and inputs, and asks, writes and acts. The loop around it
//! ([`super::cycle`]) brings it the real ones; the simulator (`tests/sim`) brings it others.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hpo_core::{Action, Event, Rejection, Stamp, Sweep, SweepView, WorkerId};
use hpo_wire::FromDriver;
use tracing::warn;

use super::answers::Answers;
use super::detector::Detector;
use super::fault::EngineFault;
use super::fleet::Fleet;
use super::kept::{Kept, Store};
use super::nodes::Nodes;
use super::proposer::{Proposer, Tasks};
use super::run::{Counters, Ended, Options, Outcome, Phase, Progress};
use crate::journal::{Journal, Record, decisions};

/// What an engine's heart is made of.
pub struct Parts {
    /// The sweep as its journal leads to it.
    pub sweep: Sweep,
    /// Where events are written.
    pub journal: Box<dyn Journal>,
    /// How many are written already.
    pub records: u64,
    /// Which checkpoints nobody needs any more, by the same journal.
    pub kept: Kept,
    /// Where checkpoints lie.
    pub store: Box<dyn Store>,
    /// Time limits.
    pub options: Options,
    /// Called just before workers are told to leave.
    pub closing: Box<dyn FnMut() + Send>,
}

/// Takes what happens, asks the sweep, writes it down, and only then acts. It waits for nothing but its disk: the order is
/// `begin`, then again and again `write`, `sync`, `perform`, `take`, `look_at_the_time`. After a fault it must be dropped.
pub struct Heart {
    pub(super) sweep: Sweep,
    journal: Box<dyn Journal>,
    records_before: u64,
    pub(super) fleet: Fleet,
    pub(super) detector: Detector,
    pub(super) proposer: Proposer,
    store: Box<dyn Store>,
    pub(super) options: Options,
    pub(super) phase: Phase,
    pub(super) counters: Counters,
    /// The tasks of a batch system that workers who came to this driver run in.
    pub(super) tasks: Arc<BTreeMap<WorkerId, String>>,
    pub(super) nodes: Nodes,
    /// Machines of a batch system that are not to be used any more.
    pub(super) bad_nodes: Arc<BTreeSet<String>>,
    closing: Box<dyn FnMut() + Send>,
    /// Of the batch at hand: what is to be written, then said, then done.
    records: Vec<Record>,
    pub(super) answers: Answers,
    actions: Vec<Action>,
}

impl Heart {
    /// An engine that has not begun, and what its searcher is asked for: it is to be handed to a [`super::proposer::Thinker`].
    #[must_use]
    pub fn new(parts: Parts, now: Stamp) -> (Self, Tasks) {
        let Parts { sweep, journal, records, mut kept, store, options, closing } = parts;
        let begun = sweep.trials().map(|trial| (trial.id, trial.params.clone())).collect();
        let (mut proposer, tasks) = Proposer::new(begun);
        sweep.observations().for_each(|seen| proposer.tell(seen));
        for id in kept.leftovers(store.as_ref()) {
            // Tried once a driver; a file too many is no fault of the sweep.
            let _ = store.remove(&id);
        }
        let mut detector = Detector::new(options.lease_ms, now);
        // Whoever the last driver knew gets the full time to come back.
        sweep.workers().into_iter().for_each(|worker| detector.heard(worker, now));
        let heart = Self {
            sweep,
            journal,
            records_before: records,
            fleet: Fleet::default(),
            detector,
            proposer,
            store,
            options,
            phase: Phase::Open,
            counters: Counters::default(),
            tasks: Arc::default(),
            nodes: Nodes::default(),
            bad_nodes: Arc::default(),
            closing,
            records: vec![],
            answers: Answers::default(),
            actions: vec![],
        };
        (heart, tasks)
    }

    /// A new driver asks again for what the world owes, and says that it is there.
    pub fn begin(&mut self, now: Stamp) {
        self.actions = self.sweep.owed();
        let epoch = self.journal.epoch();
        // The epoch was claimed above the journal's last one, so it is never turned away.
        let _ = self.offer(now, Event::DriverStarted { epoch });
    }

    /// Lets the sweep decide on an event, if it admits it. What it decides is done after the next commit.
    pub(super) fn offer(&mut self, now: Stamp, event: Event) -> Result<(), Rejection> {
        self.sweep.admit(&event).inspect_err(|why| *self.counters.refused.entry(*why).or_default() += 1)?;
        let before = self.actions.len();
        self.sweep.apply(now, &event, &mut self.actions);
        self.counters.events += 1;
        let seq = self.records_before + self.counters.events;
        self.records.push(Record { seq, at: now, event, acts: decisions(&self.actions[before..]) });
        Ok(())
    }

    /// How many records it has written, and its sweep: equal to that of a replay of these records.
    #[must_use]
    pub fn standing(&self) -> (u64, &Sweep) {
        (self.records_before + self.counters.events, &self.sweep)
    }

    /// Whether something was decided that is not written.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.records.is_empty()
    }

    /// Appends what was decided to the journal.
    ///
    /// # Errors
    /// If another driver has taken over or the disk refuses.
    pub fn write(&mut self) -> Result<(), EngineFault> {
        if !self.records.is_empty() {
            self.journal.append(&self.records)?;
        }
        Ok(())
    }

    /// Makes the batch durable. A failed sync is final: the system may have dropped what was written.
    ///
    /// # Errors
    /// If another driver has taken over or the disk refuses.
    pub fn sync(&mut self) -> Result<(), EngineFault> {
        if !self.records.is_empty() {
            self.journal.sync()?;
            self.counters.syncs += 1;
            self.records.clear();
        }
        Ok(())
    }

    /// Does what was decided.
    pub fn perform(&mut self, now: Stamp) {
        for (worker, answer) in self.answers.take() {
            self.fleet.say(worker, answer);
        }
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Suggest { trial } => self.proposer.ask(trial),
                Action::Tell(seen) => self.proposer.tell(seen),
                Action::Lease(lease) => self.fleet.say(lease.slot.worker, FromDriver::Lease(lease)),
                Action::Stop { worker, held } => self.fleet.say(worker, FromDriver::Stop(held)),
                Action::CallBack { worker, held } => self.fleet.say(worker, FromDriver::CallBack(held)),
                Action::Forget { trial, checkpoint } => {
                    if Kept::can_go(trial, &checkpoint, &self.sweep) {
                        self.remove(&checkpoint.id);
                    }
                }
                Action::Finish { why } => self.close(now, Ended::Finished(why)),
            }
        }
        self.proposer.hand_over();
        if let Phase::Draining { until } = self.phase
            && (self.sweep.drained() || now >= until)
        {
            self.close(now, Ended::Suspended);
        }
    }

    /// Deletes a checkpoint. A file too many is no fault of the sweep.
    fn remove(&mut self, id: &str) {
        if let Err(why) = self.store.remove(id) {
            self.counters.kept_by_fault += 1;
            warn!("cannot delete checkpoint {id}: {why}");
        }
    }

    /// After the end of a sweep: what stale attempts have left in the store.
    fn clear_out(&mut self) {
        match Kept::orphans(&self.sweep, self.store.as_ref()) {
            Ok(orphans) => orphans.iter().for_each(|id| self.remove(id)),
            Err(why) => warn!("cannot look for checkpoints that nobody needs: {why}"),
        }
    }

    /// Tells every worker to leave.
    fn close(&mut self, now: Stamp, ended: Ended) {
        let awaited: BTreeSet<WorkerId> = self.sweep.workers().into_iter().collect();
        self.phase = Phase::Closing { ended, awaited, until: now.plus(self.options.closing_ms) };
        // Whoever watches the workers knows it before they can leave.
        (self.closing)();
        self.fleet.say_to_all(&finish(ended));
    }

    /// What happens because time goes by: silent workers are lost, budgets run out.
    pub fn look_at_the_time(&mut self, now: Stamp) {
        for worker in self.detector.silent(now) {
            self.lose(now, worker);
        }
        if self.sweep.next_tick().is_some_and(|tick| now >= tick) {
            // Turned away only if the sweep has just ended.
            let _ = self.offer(now, Event::Ticked);
        }
    }

    /// When something is to be done by itself, if nothing comes in before.
    #[must_use]
    pub fn next_moment(&self) -> Stamp {
        let moments = [self.sweep.next_tick(), self.phase.until()];
        moments.into_iter().flatten().fold(self.detector.next(), Stamp::min)
    }

    /// The outcome, once all is done and nobody is waited for any more.
    #[must_use]
    pub fn outcome(&mut self, now: Stamp) -> Option<Outcome> {
        let ended = self.phase.is_over(now)?;
        if matches!(ended, Ended::Finished(_)) {
            self.clear_out();
        }
        Some(Outcome { ended, view: self.view(now), counters: self.counters() })
    }

    /// How it goes.
    #[must_use]
    pub fn progress(&self, now: Stamp) -> Progress {
        Progress {
            view: self.view(now),
            counters: self.counters(),
            connected: self.fleet.connected(),
            appetite: self.sweep.appetite(),
            tasks: self.tasks.clone(),
            bad_nodes: self.bad_nodes.clone(),
        }
    }

    /// The sweep, as it was decided; perhaps ahead of the journal.
    #[must_use]
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    fn view(&self, now: Stamp) -> SweepView {
        self.sweep.view_at(now)
    }

    fn counters(&self) -> Counters {
        Counters { slow: self.fleet.slow(), ..self.counters.clone() }
    }
}

/// The last word to a worker.
pub(super) fn finish(ended: Ended) -> FromDriver {
    match ended {
        Ended::Finished(why) => FromDriver::Finish { why: why.to_string(), resumable: false },
        Ended::Suspended => FromDriver::Finish { why: "the sweep is suspended".to_owned(), resumable: true },
    }
}
