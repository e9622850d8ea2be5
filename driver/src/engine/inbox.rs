//! The one way into the engine: bounded, so that whoever talks too fast waits.
use std::time::Duration;

use hpo_core::{Params, TrialId, WorkerId};
use hpo_searchers::SuggestFault;
use hpo_wire::{Hello, Word};
use tokio::sync::mpsc;

use super::fleet::Link;

/// What can wait in the inbox.
const CAPACITY: usize = 4096;

/// Something that the engine should know.
#[derive(Debug)]
pub enum Input {
    /// A worker dialled.
    Joined {
        /// Who, and what it brings.
        hello: Hello,
        /// How to talk to it.
        link: Link,
    },
    /// A worker lives.
    Heard {
        /// Who.
        worker: WorkerId,
        /// Number of its link.
        session: u64,
    },
    /// A worker said something about an attempt.
    Said {
        /// Who.
        worker: WorkerId,
        /// Number of its link.
        session: u64,
        /// What.
        word: Word,
    },
    /// A worker said goodbye.
    Left {
        /// Who.
        worker: WorkerId,
        /// Number of its link.
        session: u64,
    },
    /// A connection broke. The worker may come back.
    Broke {
        /// Whose.
        worker: WorkerId,
        /// Number of its link.
        session: u64,
    },
    /// Proof that the process of a worker is dead.
    Dead {
        /// Who.
        worker: WorkerId,
    },
    /// The searcher's answer.
    Suggested {
        /// For which trial.
        trial: TrialId,
        /// What it proposes.
        answer: Result<Params, SuggestFault>,
        /// Microseconds that it took.
        cost_us: u64,
    },
    /// The searcher is gone: it panicked.
    SearcherDied,
    /// Stop for now. Said twice: at once.
    Drain,
    /// Leave the sweep to the next driver.
    Leave,
}

/// The engine has ended and takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct EngineGone;

/// Puts things into the inbox.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Input>);

impl Handle {
    /// Waits for room.
    ///
    /// # Errors
    /// If the engine has ended.
    pub(crate) async fn send(&self, input: Input) -> Result<(), EngineGone> {
        self.0.send(input).await.map_err(|_| EngineGone)
    }

    /// The same, from a thread that may block.
    pub(super) fn send_blocking(&self, input: Input) -> Result<(), EngineGone> {
        self.0.blocking_send(input).map_err(|_| EngineGone)
    }

    /// Asks the sweep to stop for now: running attempts write a checkpoint and leave. Asked twice, nothing is waited for.
    ///
    /// # Errors
    /// If the engine has ended.
    pub async fn drain(&self) -> Result<(), EngineGone> {
        self.send(Input::Drain).await
    }

    /// Asks the engine to end at once and leave the sweep as it is, for another driver: workers train on and look for it.
    ///
    /// # Errors
    /// If the engine has ended.
    pub async fn leave(&self) -> Result<(), EngineGone> {
        self.send(Input::Leave).await
    }
}

/// The engine's side.
#[derive(Debug)]
pub(crate) struct Inbox(mpsc::Receiver<Input>);

impl Inbox {
    /// An inbox and the way into it.
    pub(crate) fn new() -> (Handle, Self) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Handle(sender), Self(receiver))
    }

    /// What is there, at most `max` things; waits up to `patience` for the first. Empty if nothing came.
    pub(crate) async fn next_batch(&mut self, max: usize, patience: Duration, batch: &mut Vec<Input>) {
        // That nothing came in time is an answer, too.
        let _ = tokio::time::timeout(patience, self.0.recv_many(batch, max)).await;
    }
}
