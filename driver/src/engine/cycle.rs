//! The loop.
use std::collections::BTreeSet;
use std::time::Duration;

use hpo_core::{Action, Event, Rejection, Stamp, Sweep, WorkerId};
use hpo_searchers::Searcher;
use hpo_wire::FromDriver;
use tokio::sync::watch;
use tracing::warn;

use super::answers::Answers;
use super::clock::Clock;
use super::detector::Detector;
use super::fault::EngineFault;
use super::fleet::Fleet;
use super::inbox::{Handle, Inbox};
use super::kept::{Kept, Store};
use super::proposer::Proposer;
use super::run::{Counters, Ended, Options, Outcome, Phase, Progress};
use crate::journal::{Record, Writer, decisions};

/// Most inputs that one sync makes durable.
const BATCH_MAX: usize = 1024;
/// Shortest time between two publications of the progress, in milliseconds.
const PUBLISH_MS: u64 = 100;

/// What an engine is made of.
pub(super) struct Parts {
    /// The sweep as its journal leads to it.
    pub(super) sweep: Sweep,
    /// Where events are written.
    pub(super) journal: Writer,
    /// How many are written already.
    pub(super) records: u64,
    /// The time.
    pub(super) clock: Clock,
    /// The way in, for the searcher's answers.
    pub(super) handle: Handle,
    /// What comes in.
    pub(super) inbox: Inbox,
    /// Proposes values; it has been told nothing yet.
    pub(super) searcher: Box<dyn Searcher>,
    /// Which checkpoints somebody needs, by the same journal.
    pub(super) kept: Kept,
    /// Where checkpoints lie.
    pub(super) store: Box<dyn Store>,
    /// Time limits.
    pub(super) options: Options,
    /// Becomes true just before workers are told to leave.
    pub(super) closing: watch::Sender<bool>,
}

/// The engine. It blocks while the journal syncs, so it wants a thread of its own: then connections are served on.
pub(super) struct Engine {
    pub(super) sweep: Sweep,
    journal: Writer,
    records_before: u64,
    clock: Clock,
    inbox: Inbox,
    pub(super) fleet: Fleet,
    pub(super) detector: Detector,
    pub(super) proposer: Proposer,
    kept: Kept,
    store: Box<dyn Store>,
    pub(super) options: Options,
    pub(super) phase: Phase,
    pub(super) counters: Counters,
    closing: watch::Sender<bool>,
    progress: watch::Sender<Progress>,
    published: Stamp,
    /// Of the batch at hand: what is to be written, then said, then done.
    records: Vec<Record>,
    pub(super) answers: Answers,
    actions: Vec<Action>,
}

impl Engine {
    /// An engine that has not begun, and where its progress can be seen.
    ///
    /// # Errors
    /// If the searcher's thread cannot be started.
    pub(super) fn new(parts: Parts) -> Result<(Self, watch::Receiver<Progress>), EngineFault> {
        let Parts { sweep, journal, records, clock, handle, inbox, searcher, mut kept, store, options, closing } = parts;
        let begun = sweep.trials().map(|trial| (trial.id, trial.params.clone())).collect();
        let mut proposer = Proposer::start(searcher, begun, handle).map_err(EngineFault::NoThread)?;
        sweep.observations().for_each(|seen| proposer.tell(seen));
        let counters = Counters::default();
        let (progress, seen) = watch::channel(Progress { view: sweep.view(), counters: counters.clone(), connected: 0 });
        for id in kept.leftovers(store.as_ref()) {
            // Tried once a driver; a file too many is no fault of the sweep.
            let _ = store.remove(&id);
        }
        let now = clock.now();
        let mut detector = Detector::new(options.lease_ms, now);
        // Whoever the last driver knew gets the full time to come back.
        sweep.workers().into_iter().for_each(|worker| detector.heard(worker, now));
        let engine = Self {
            sweep,
            journal,
            records_before: records,
            clock,
            inbox,
            fleet: Fleet::default(),
            detector,
            proposer,
            kept,
            store,
            options,
            phase: Phase::Open,
            counters,
            closing,
            progress,
            published: Stamp(0),
            records: vec![],
            answers: Answers::default(),
            actions: vec![],
        };
        Ok((engine, seen))
    }

    /// Runs until the sweep ends or is suspended.
    ///
    /// # Errors
    /// If the journal cannot be written or the searcher is broken. What was not written was not acted upon.
    pub(super) async fn run(mut self) -> Result<Outcome, EngineFault> {
        self.begin();
        let mut batch = vec![];
        loop {
            self.commit()?;
            let now = self.clock.now();
            self.perform(now);
            self.publish(now);
            if let Some(ended) = self.phase.is_over(now) {
                if matches!(ended, Ended::Finished(_)) {
                    self.clear_out();
                }
                return Ok(Outcome { ended, view: self.sweep.view_at(now), counters: self.counters() });
            }
            self.inbox.next_batch(BATCH_MAX, self.patience(now), &mut batch).await;
            let now = self.clock.now();
            for input in batch.drain(..) {
                self.take(now, input)?;
            }
            self.look_at_the_time(now);
        }
    }

    /// A new driver asks again for what the world owes, and says that it is there.
    fn begin(&mut self) {
        self.actions = self.sweep.owed();
        let epoch = self.journal.fence().epoch();
        // The epoch was claimed above the journal's last one, so it is never turned away.
        let _ = self.offer(self.clock.now(), Event::DriverStarted { epoch });
    }

    /// Lets the sweep decide on an event, if it admits it. What it decides is done after the next commit.
    pub(super) fn offer(&mut self, now: Stamp, event: Event) -> Result<(), Rejection> {
        self.sweep.admit(&event).inspect_err(|why| *self.counters.refused.entry(*why).or_default() += 1)?;
        let before = self.actions.len();
        self.sweep.apply(now, &event, &mut self.actions);
        self.kept.saw(&event);
        self.counters.events += 1;
        let seq = self.records_before + self.counters.events;
        self.records.push(Record { seq, at: now, event, acts: decisions(&self.actions[before..]) });
        Ok(())
    }

    /// Makes the batch durable. A failed sync is final: the system may have dropped what was written.
    fn commit(&mut self) -> Result<(), EngineFault> {
        if !self.records.is_empty() {
            self.journal.append(&self.records)?;
            self.journal.sync()?;
            self.counters.syncs += 1;
            self.records.clear();
        }
        Ok(())
    }

    /// Does what was decided.
    fn perform(&mut self, now: Stamp) {
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
                    if self.kept.forget(trial, &checkpoint, &self.sweep) {
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
        self.closing.send_replace(true);
        self.fleet.say_to_all(&finish(ended));
    }

    /// What happens because time goes by: silent workers are lost, budgets run out.
    fn look_at_the_time(&mut self, now: Stamp) {
        for worker in self.detector.silent(now) {
            self.lose(now, worker);
        }
        if self.sweep.next_tick().is_some_and(|tick| now >= tick) {
            // Turned away only if the sweep has just ended.
            let _ = self.offer(now, Event::Ticked);
        }
    }

    /// How long nothing needs to be done by itself.
    fn patience(&self, now: Stamp) -> Duration {
        let second = now.plus(1000);
        let unpublished = self.published.plus(PUBLISH_MS).max(now.plus(1));
        let moments = [Some(self.detector.next()), self.sweep.next_tick(), self.phase.until(), Some(unpublished)];
        let next = moments.into_iter().flatten().fold(second, Stamp::min);
        Duration::from_millis(next.since(now).max(1))
    }

    fn publish(&mut self, now: Stamp) {
        if now.since(self.published) < PUBLISH_MS && self.phase.is_over(now).is_none() {
            return;
        }
        self.published = now;
        let progress = Progress { view: self.sweep.view_at(now), counters: self.counters(), connected: self.fleet.connected() };
        // Nobody need look.
        let _ = self.progress.send(progress);
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
