//! What the engine makes of each thing that comes in.
use std::sync::Arc;

use hpo_core::sweep::State;
use hpo_core::sweep::event::{End, FailureKind, Held};
use hpo_core::{Event, Metrics, Params, Rejection, Resource, Stamp, TrialId, WorkerId};
use hpo_searchers::SuggestFault;
use hpo_wire::{About, Acknowledged, FromDriver, Hello, Word};
use tracing::{info, warn};

use super::fault::EngineFault;
use super::fleet::{Link, Outgoing};
use super::heart::{Heart, finish};
use super::inbox::Input;
use super::proposer::Ready;
use super::run::Phase;
use crate::report::words::one_line;

impl Heart {
    /// What is to be made of an input. It is acted upon after the next commit.
    ///
    /// # Errors
    /// If the searcher is broken.
    pub fn take(&mut self, now: Stamp, input: Input) -> Result<(), EngineFault> {
        match input {
            Input::Joined { hello, link } => self.joined(now, hello, link),
            Input::Heard { worker, session } if self.fleet.is_current(worker, session) => self.detector.heard(worker, now),
            Input::Said { worker, session, word } if self.fleet.is_current(worker, session) => {
                self.detector.heard(worker, now);
                self.said(now, worker, word);
            }
            Input::Leaving { worker, session } if self.fleet.is_current(worker, session) => {
                self.detector.heard(worker, now);
                // Unknown only if it was lost a moment ago.
                let _ = self.offer(now, Event::WorkerLeaving { worker });
            }
            Input::Left { worker, session, why } if self.fleet.is_current(worker, session) => self.left(now, worker, &why),
            Input::Broke { worker, session } if self.fleet.is_current(worker, session) => {
                self.fleet.remove(worker);
                self.phase.gone(worker);
            }
            // Of a connection that was replaced: what it said unacknowledged is said again on the new one.
            Input::Heard { .. } | Input::Said { .. } | Input::Leaving { .. } | Input::Left { .. } | Input::Broke { .. } => {}
            Input::Dead { worker } => self.lose(now, worker),
            Input::Suggested { trial, answer, cost_us } => {
                self.proposer.answered(cost_us);
                self.suggested(now, trial, answer, cost_us)?;
            }
            Input::Ready(ready) => self.proposer.made(ready),
            Input::SearcherDied => return Err(EngineFault::SearcherDied),
            Input::Drain => self.drain(now),
            Input::Spare { workers, own } => self.spare(now, workers, own.as_ref()),
            // At the end there is nothing to leave to anyone.
            Input::Leave if matches!(self.phase, Phase::Closing { .. }) => {}
            // What was not written will be said again to whoever comes.
            Input::Leave => return Err(EngineFault::Left),
        }
        Ok(())
    }

    fn joined(&mut self, now: Stamp, hello: Hello, link: Link) {
        let Hello { worker, name, slots, holds, allocation, leaving, .. } = hello;
        if let Some(allocation) = &allocation {
            Arc::make_mut(&mut self.tasks).insert(worker, allocation.job.clone());
            self.nodes.joined(worker, allocation);
        }
        info!("worker {} joined with {} slots, holding {} attempts", one_line(&name), slots.len(), holds.len());
        if let Phase::Closing { ended, .. } = self.phase {
            self.fleet.join(worker, link);
            self.fleet.say(worker, finish(ended));
            return;
        }
        match self.offer(now, Event::WorkerJoined { worker, name, slots, holds, allocation, leaving }) {
            Ok(()) => {
                self.detector.heard(worker, now);
                self.fleet.join(worker, link);
            }
            // The sweep has ended a moment ago: with the commit all that are connected are told to leave.
            Err(Rejection::Over) => self.fleet.join(worker, link),
            // A full channel is a connection that ends anyway.
            Err(why) => drop(link.out.try_send(Outgoing::Refuse { why: why.to_string() })),
        }
    }

    fn left(&mut self, now: Stamp, worker: WorkerId, why: &str) {
        let name = self.name(worker);
        // Unknown only if it was lost a moment ago.
        let _ = self.offer(now, Event::WorkerLeft { worker });
        self.detector.forget(worker);
        self.fleet.remove(worker);
        self.phase.gone(worker);
        let why = one_line(why);
        match self.phase {
            Phase::Open if self.sweep.workers().is_empty() => warn!("worker {name} has left, and none is there any more: {why}"),
            Phase::Open => info!("worker {name} has left: {why}"),
            Phase::Draining { .. } | Phase::Closing { .. } => {}
        }
    }

    /// A word about an attempt. It is acknowledged after the commit, whether it was applied or refused for good: either
    /// way the worker need not say it again.
    fn said(&mut self, now: Stamp, worker: WorkerId, word: Word) {
        let Word { trial, attempt, seq, .. } = word;
        let slot = self.sweep.trial(trial).and_then(|trial| match trial.state {
            State::Leased { slot } if trial.attempt == attempt => Some(slot),
            _ => None,
        });
        if slot.is_some_and(|slot| slot.worker != worker) {
            // Nobody speaks for another's lease.
            warn!("worker {worker} speaks of trial {trial} attempt {attempt}, which is not its own");
            *self.counters.refused.entry(Rejection::StaleAttempt).or_default() += 1;
            return self.answers.acknowledge(worker, Acknowledged { trial, attempt, seq });
        }
        let slot = slot.map(|slot| slot.index);
        let bad_node = slot.and_then(|_| self.nodes.said(worker, &word.about));
        if let Err(message) = self.judge(now, word)
            && let Some(slot) = slot
        {
            // Nothing sensible can follow, and nobody must wait for it: the attempt ends here.
            warn!("trial {trial} attempt {attempt}: {message}");
            self.counters.nonsense += 1;
            let how = End::Failed { kind: FailureKind::Protocol, message };
            let _ = self.offer(now, Event::Ended { trial, attempt, seq, after_ms: None, how });
            self.answers.say(worker, FromDriver::Stop(Held { trial, attempt, slot }));
        }
        self.answers.acknowledge(worker, Acknowledged { trial, attempt, seq });
        if let Some(node) = bad_node {
            warn!("trials fail on node {node} whatever they are, and train elsewhere: its workers go, and no others are started there");
            self.nodes.workers(&node).into_iter().for_each(|worker| self.dismiss(now, worker, "trials fail on this machine"));
            Arc::make_mut(&mut self.bad_nodes).insert(node);
        }
    }

    /// Offers the word to the sweep. Err if it makes no sense even for a live attempt.
    fn judge(&mut self, now: Stamp, word: Word) -> Result<(), String> {
        let spec = self.sweep.spec();
        let resource = match &word.about {
            About::Reported { resource, metrics } if metrics.get(&spec.metric).is_none() => {
                return Err(format!("the report at {resource} lacks the metric `{}`; it has {}", spec.metric, names(metrics)));
            }
            About::Reported { resource, .. } | About::Reached { resource, .. } => *resource,
            About::Started { .. } | About::Ended(_) => Resource::default(),
        };
        // The one place where the user's direction is turned.
        let event = word.into_event(|metrics| spec.goal.loss(metrics.get(&spec.metric).unwrap_or(f64::NAN)));
        match self.offer(now, event) {
            Err(why @ Rejection::OutsideLease) => Err(format!("resource {resource} was reported or reached, but {why}")),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn suggested(&mut self, now: Stamp, trial: TrialId, answer: Result<Params, SuggestFault>, cost_us: u64) -> Result<(), EngineFault> {
        let event = match answer {
            Ok(params) => Event::Suggested { trial, params, cost_us },
            Err(SuggestFault::Exhausted) => Event::Exhausted { trial },
        };
        match self.offer(now, event) {
            Err(Rejection::NotInSpace) => Err(EngineFault::OutsideSpace { trial }),
            // Not asked for any more: the sweep ended meanwhile.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Takes values that were ready when they were asked for, as if the searcher had just answered. Says whether there were any:
    /// then there is something to write, and nothing to wait for.
    ///
    /// # Errors
    /// If the searcher is broken.
    pub(super) fn take_ready(&mut self, now: Stamp) -> Result<bool, EngineFault> {
        let used = self.proposer.take_used();
        let any = !used.is_empty();
        for Ready { trial, params, cost_us, .. } in used {
            self.suggested(now, trial, Ok(params), cost_us)?;
        }
        Ok(any)
    }

    /// The name of a worker for people: that of its host and process, or its id once the sweep does not know it any more.
    fn name(&self, worker: WorkerId) -> String {
        self.sweep.name_of(worker).map_or_else(|| worker.to_string(), one_line)
    }

    /// The worker is believed dead. If it is not, it will dial again.
    pub(super) fn lose(&mut self, now: Stamp, worker: WorkerId) {
        let name = self.name(worker);
        if self.offer(now, Event::WorkerLost { worker }).is_ok() {
            warn!("worker {name} is lost");
        }
        self.detector.forget(worker);
        self.fleet.remove(worker);
        self.phase.gone(worker);
    }

    /// Sends workers home whose allocations cost more than the sweep can make of them.
    fn spare(&mut self, now: Stamp, workers: u32, own: Option<&String>) {
        let stays = |worker: &WorkerId| own.is_some() && self.tasks.get(worker) == own;
        let mut resting = self.sweep.resting_tasks();
        resting.retain(|worker| !stays(worker));
        for worker in resting.into_iter().take(workers as usize) {
            self.dismiss(now, worker, "the sweep has nothing for it any more");
        }
    }

    /// A worker has left the sweep before it is told to. What it still held goes on elsewhere, at no trial's cost.
    fn dismiss(&mut self, now: Stamp, worker: WorkerId, why: &str) {
        let name = self.name(worker);
        if self.offer(now, Event::WorkerLeft { worker }).is_ok() {
            info!("worker {name} goes: {why}");
            self.detector.forget(worker);
            self.answers.say(worker, FromDriver::Finish { why: why.to_owned(), resumable: false });
        }
    }

    fn drain(&mut self, now: Stamp) {
        match &mut self.phase {
            Phase::Open => {
                // Turned away while a budget ends the sweep: then its last attempts are leaving already.
                let _ = self.offer(now, Event::DrainAsked);
                self.phase = Phase::Draining { until: now.plus(self.options.drain_ms) };
            }
            Phase::Draining { until } | Phase::Closing { until, .. } => *until = now,
        }
    }
}

fn names(metrics: &Metrics) -> String {
    let names: Vec<&str> = metrics.0.keys().map(String::as_str).collect();
    if names.is_empty() { "no figures".to_owned() } else { names.join(", ") }
}
