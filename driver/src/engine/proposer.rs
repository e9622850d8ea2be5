//! The searcher on a thread of its own, ahead of need: however long it thinks, the engine's loop goes on.
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use hpo_core::sweep::Observation;
use hpo_core::{Params, TrialId};
use hpo_searchers::{Searcher, SuggestFault};

use super::inbox::{Handle, Input};

/// Observations are handed over at the latest when so many wait.
const TOLD_MAX: usize = 256;

/// A suggestion is made ahead of need if one takes longer than this, in microseconds. Others are made in less time than it takes
/// to write them down, and know all there is to know.
const WORTH_US: f64 = 1_000.0;

/// One that was made ahead is used if no more than one in so many of the results that there are is newer.
const FRESH: usize = 20;

/// The weight of the newest cost in the mean.
const NEWEST: f64 = 0.2;

/// What the searcher is to do next.
#[derive(Debug)]
struct Task {
    /// Trials of the history that it takes up.
    begun: Vec<(TrialId, Params)>,
    /// What it learns then.
    seen: Vec<Observation>,
    /// Trials to propose values for, in order.
    trials: Vec<TrialId>,
    /// The trial that will be asked for next, to be thought about ahead of need.
    ahead: Option<TrialId>,
}

/// Values that are there before they are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// For which trial, if it comes.
    pub trial: TrialId,
    /// What is proposed.
    pub params: Params,
    /// Microseconds that it took.
    pub cost_us: u64,
    /// How many results it takes account of.
    pub known: usize,
}

impl Ready {
    /// Whether it may be used where there are so many results.
    fn is_fresh(&self, known: usize) -> bool {
        (known - self.known.min(known)) * FRESH <= known
    }
}

/// The way of the tasks to the searcher. It ends with the engine.
#[derive(Debug)]
pub struct Tasks(Receiver<Task>);

/// The engine's side of the searcher. One task of asking is out at a time, so sending never waits.
///
/// Where a suggestion takes its time ([`WORTH_US`]), the next one is made before a slot needs it, so that a slot waits for
/// the journal alone. One is kept and no more: a second would have to count the first as pending, and could not take account of
/// what is learned before its turn. It is made anew when too many results ([`FRESH`]) have come since; one that is not fresh when
/// it is asked for is not used, and the trial waits for a new one.
#[derive(Debug)]
pub(super) struct Proposer {
    tasks: SyncSender<Task>,
    due: VecDeque<TrialId>,
    begun: Vec<(TrialId, Params)>,
    told: Vec<Observation>,
    /// Answers that have not come.
    thinking: usize,
    /// The trial that will be asked for next.
    next: TrialId,
    /// Results so far.
    known: usize,
    /// What a suggestion takes, in microseconds.
    mean_us: f64,
    /// Made ahead of need.
    ready: Option<Ready>,
    /// Asked for when it was ready.
    used: Vec<Ready>,
    /// Something is being made ahead.
    making: bool,
}

impl Proposer {
    /// Nothing is asked for yet. `begun` are the trials that have values already.
    pub(super) fn new(begun: Vec<(TrialId, Params)>) -> (Self, Tasks) {
        // Room for two: a task of tellings alone has no answer to wait for.
        let (tasks, received) = sync_channel(2);
        let next = begun.iter().map(|(trial, _)| TrialId(trial.0 + 1)).max().unwrap_or_default();
        let proposer = Self {
            tasks,
            due: VecDeque::new(),
            begun,
            told: vec![],
            thinking: 0,
            next,
            known: 0,
            mean_us: 0.0,
            ready: None,
            used: vec![],
            making: false,
        };
        (proposer, Tasks(received))
    }

    /// Values for this trial are wanted.
    pub(super) fn ask(&mut self, trial: TrialId) {
        self.next = self.next.max(TrialId(trial.0 + 1));
        match self.ready.take() {
            Some(ready) if ready.trial == trial && ready.is_fresh(self.known) => {
                self.begun.push((trial, ready.params.clone()));
                self.used.push(ready);
            }
            _ => self.due.push_back(trial),
        }
    }

    /// Something came of a trial.
    pub(super) fn tell(&mut self, seen: Observation) {
        self.known += 1;
        self.told.push(seen);
    }

    /// An answer came, after so many microseconds of thinking.
    pub(super) fn answered(&mut self, cost_us: u64) {
        self.thinking = self.thinking.saturating_sub(1);
        self.costs(cost_us);
    }

    /// What was made ahead; `None` if the searcher has nothing more to propose.
    pub(super) fn made(&mut self, ready: Option<Ready>) {
        self.making = false;
        let Some(ready) = ready else {
            self.mean_us = 0.0;
            return;
        };
        self.costs(ready.cost_us);
        // Asked for meanwhile: then the searcher gives it as its answer.
        self.ready = Some(ready).filter(|ready| ready.trial == self.next);
    }

    fn costs(&mut self, cost_us: u64) {
        self.mean_us += NEWEST * (cost_us as f64 - self.mean_us);
    }

    /// Values that were ready for what was asked.
    pub(super) fn take_used(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.used)
    }

    /// Hands over what is due, if the searcher is free.
    pub(super) fn hand_over(&mut self) {
        let ahead = self.ahead();
        if self.thinking > 0 || (self.due.is_empty() && self.told.len() < TOLD_MAX && ahead.is_none()) {
            return;
        }
        let trials: Vec<TrialId> = self.due.drain(..).collect();
        let thinking = trials.len();
        let (begun, seen) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.told));
        match self.tasks.try_send(Task { begun, seen, trials, ahead }) {
            Ok(()) => {
                self.thinking = thinking;
                self.making |= ahead.is_some();
            }
            // Busy with tellings, or dead (which it says by itself): keep everything for the next time.
            Err(std::sync::mpsc::TrySendError::Full(task) | std::sync::mpsc::TrySendError::Disconnected(task)) => {
                self.begun = task.begun;
                self.told = task.seen;
                self.due = task.trials.into();
            }
        }
    }

    /// The trial to be thought about ahead of need, if it is worth it now.
    fn ahead(&self) -> Option<TrialId> {
        let lacks = self.ready.as_ref().is_none_or(|ready| !ready.is_fresh(self.known));
        (self.mean_us > WORTH_US && !self.making && lacks && self.due.is_empty()).then_some(self.next)
    }
}

/// The searcher's side: a searcher and what it is asked for.
pub struct Thinker {
    searcher: Box<dyn Searcher>,
    tasks: Tasks,
    /// Results that it has learned.
    known: usize,
    ahead: Option<TrialId>,
    /// The last that was made ahead, for the case that it is asked for on its way.
    made: Option<Ready>,
}

impl Thinker {
    /// A searcher that has been told nothing yet.
    #[must_use]
    pub fn new(searcher: Box<dyn Searcher>, tasks: Tasks) -> Self {
        Self { searcher, tasks, known: 0, ahead: None, made: None }
    }

    /// Learns what the next task has to tell. Answers the trials to propose values for, in order; none if no task waits.
    pub fn try_next(&mut self) -> Option<Vec<TrialId>> {
        let task = self.tasks.0.try_recv().ok()?;
        Some(self.learn(task))
    }

    /// The same, but waits for a task. None when there will never be another.
    fn next(&mut self) -> Option<Vec<TrialId>> {
        let task = self.tasks.0.recv().ok()?;
        Some(self.learn(task))
    }

    fn learn(&mut self, Task { begun, seen, trials, ahead }: Task) -> Vec<TrialId> {
        for (trial, params) in &begun {
            self.searcher.begin(*trial, params);
        }
        for observation in &seen {
            self.searcher.tell(observation);
        }
        self.known += seen.len();
        self.ahead = ahead;
        // What has begun was given out.
        let given = |ready: &Ready| begun.iter().any(|(trial, _)| *trial == ready.trial);
        self.made = self.made.take().filter(|ready| !given(ready) && ready.is_fresh(self.known));
        trials
    }

    /// Values for one of the trials.
    ///
    /// # Errors
    /// If there is nothing left to propose.
    pub fn suggest(&mut self, trial: TrialId) -> Result<Params, SuggestFault> {
        let answer = self.searcher.suggest(trial);
        if let Ok(params) = &answer {
            self.searcher.begin(trial, params);
        }
        answer
    }

    /// The same, and what it took in microseconds; what was made ahead took its time then.
    fn answer(&mut self, trial: TrialId) -> (Result<Params, SuggestFault>, u64) {
        if let Some(ready) = self.made.take_if(|ready| ready.trial == trial) {
            self.searcher.begin(trial, &ready.params);
            return (Ok(ready.params), ready.cost_us);
        }
        let start = Instant::now();
        let answer = self.suggest(trial);
        (answer, start.elapsed().as_micros() as u64)
    }

    /// What the task wants ahead of need: `Some(None)` if there is nothing left to propose. The trial has not begun by that.
    fn think_ahead(&mut self) -> Option<Option<Ready>> {
        let trial = self.ahead.take()?;
        let start = Instant::now();
        let params = self.searcher.suggest(trial).ok();
        let cost_us = start.elapsed().as_micros() as u64;
        self.made = params.map(|params| Ready { trial, params, cost_us, known: self.known });
        Some(self.made.clone())
    }
}

/// Starts the searcher's thread. It ends with the engine.
///
/// # Errors
/// If the system gives no thread.
pub(super) fn start(thinker: Thinker, inbox: Handle) -> std::io::Result<()> {
    std::thread::Builder::new().name("searcher".to_owned()).spawn(move || think(thinker, inbox)).map(drop)
}

fn think(mut thinker: Thinker, inbox: Handle) {
    let mut watch = Watch { inbox, died: true };
    while let Some(trials) = thinker.next() {
        for trial in trials {
            let (answer, cost_us) = thinker.answer(trial);
            if watch.inbox.send_blocking(Input::Suggested { trial, answer, cost_us }).is_err() {
                break;
            }
        }
        if let Some(ready) = thinker.think_ahead()
            && watch.inbox.send_blocking(Input::Ready(ready)).is_err()
        {
            break;
        }
    }
    watch.died = false;
}

/// Tells the engine when the thread ends by a panic.
struct Watch {
    inbox: Handle,
    died: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.died {
            // An engine that has ended needs no news.
            let _ = self.inbox.send_blocking(Input::SearcherDied);
        }
    }
}

#[cfg(test)]
mod tests;
