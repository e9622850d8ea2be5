//! The searcher on a thread of its own: however long it thinks, the engine's loop goes on.
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use hpo_core::sweep::Observation;
use hpo_core::{Params, TrialId};
use hpo_searchers::{Searcher, SuggestFault};

use super::inbox::{Handle, Input};

/// Observations are handed over at the latest when so many wait.
const TOLD_MAX: usize = 256;

/// What the searcher is to do next.
#[derive(Debug)]
struct Task {
    /// Trials of the history that it takes up.
    begun: Vec<(TrialId, Params)>,
    /// What it learns then.
    seen: Vec<Observation>,
    /// Trials to propose values for, in order.
    trials: Vec<TrialId>,
}

/// The way of the tasks to the searcher. It ends with the engine.
#[derive(Debug)]
pub struct Tasks(Receiver<Task>);

/// The engine's side of the searcher. One task is out at a time, so sending never waits.
#[derive(Debug)]
pub(super) struct Proposer {
    tasks: SyncSender<Task>,
    due: VecDeque<TrialId>,
    begun: Vec<(TrialId, Params)>,
    told: Vec<Observation>,
    /// Answers that have not come.
    thinking: usize,
}

impl Proposer {
    /// Nothing is asked for yet. `begun` are the trials that have values already.
    pub(super) fn new(begun: Vec<(TrialId, Params)>) -> (Self, Tasks) {
        // Room for two: a task of tellings alone has no answer to wait for.
        let (tasks, received) = sync_channel(2);
        (Self { tasks, due: VecDeque::new(), begun, told: vec![], thinking: 0 }, Tasks(received))
    }

    /// Values for this trial are wanted.
    pub(super) fn ask(&mut self, trial: TrialId) {
        self.due.push_back(trial);
    }

    /// Something came of a trial.
    pub(super) fn tell(&mut self, seen: Observation) {
        self.told.push(seen);
    }

    /// An answer came.
    pub(super) fn answered(&mut self) {
        self.thinking = self.thinking.saturating_sub(1);
    }

    /// Hands over what is due, if the searcher is free.
    pub(super) fn hand_over(&mut self) {
        if self.thinking > 0 || (self.due.is_empty() && self.told.len() < TOLD_MAX) {
            return;
        }
        let trials: Vec<TrialId> = self.due.drain(..).collect();
        let thinking = trials.len();
        let (begun, seen) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.told));
        match self.tasks.try_send(Task { begun, seen, trials }) {
            Ok(()) => self.thinking = thinking,
            // Busy with tellings, or dead (which it says by itself): keep everything for the next time.
            Err(std::sync::mpsc::TrySendError::Full(task) | std::sync::mpsc::TrySendError::Disconnected(task)) => {
                self.begun = task.begun;
                self.told = task.seen;
                self.due = task.trials.into();
            }
        }
    }
}

/// The searcher's side: a searcher and what it is asked for.
pub struct Thinker {
    searcher: Box<dyn Searcher>,
    tasks: Tasks,
}

impl Thinker {
    /// A searcher that has been told nothing yet.
    #[must_use]
    pub fn new(searcher: Box<dyn Searcher>, tasks: Tasks) -> Self {
        Self { searcher, tasks }
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

    fn learn(&mut self, Task { begun, seen, trials }: Task) -> Vec<TrialId> {
        for (trial, params) in &begun {
            self.searcher.begin(*trial, params);
        }
        for observation in &seen {
            self.searcher.tell(observation);
        }
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
            let start = Instant::now();
            let answer = thinker.suggest(trial);
            let cost_us = start.elapsed().as_micros() as u64;
            if watch.inbox.send_blocking(Input::Suggested { trial, answer, cost_us }).is_err() {
                break;
            }
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
