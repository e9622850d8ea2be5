//! The one way into the engine: bounded, so that whoever talks too fast waits; and each connection has a share of its own
//! there, so that one that talks too fast does not make the others wait.
use std::sync::Arc;
use std::time::Duration;

use hpo_core::{Params, TrialId, WorkerId};
use hpo_searchers::SuggestFault;
use hpo_wire::{Hello, Word};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::fleet::Link;
use super::proposer::Ready;

/// What can wait in the inbox.
const CAPACITY: usize = 4096;
/// How much of that one connection can take.
const SHARE: usize = 256;

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
    /// A worker leaves as soon as what it holds is safe.
    Leaving {
        /// Who.
        worker: WorkerId,
        /// Number of its link.
        session: u64,
    },
    /// A worker said goodbye.
    Left {
        /// Who.
        worker: WorkerId,
        /// Number of its link.
        session: u64,
        /// In its words.
        why: String,
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
    /// What the searcher has made ahead of need; `None` if it has nothing more to propose.
    Ready(Option<Ready>),
    /// The searcher is gone: it panicked.
    SearcherDied,
    /// Stop for now. Said twice: at once.
    Drain,
    /// Send so many workers home that have nothing to train and come from a batch system.
    Spare {
        /// How many at most.
        workers: u32,
        /// The task that this driver runs in, whose workers stay.
        own: Option<String>,
    },
    /// Leave the sweep to the next driver.
    Leave,
}

/// The engine has ended and takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct EngineGone;

/// Something in the inbox, and the place that it takes of a connection's share.
type Waiting = (Input, Option<OwnedSemaphorePermit>);

/// Puts things into the inbox.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Waiting>);

impl Handle {
    /// Waits for room.
    ///
    /// # Errors
    /// If the engine has ended.
    pub(crate) async fn send(&self, input: Input) -> Result<(), EngineGone> {
        self.0.send((input, None)).await.map_err(|_| EngineGone)
    }

    /// A way in for one connection.
    pub(crate) fn credit(&self) -> Credit {
        Credit { inbox: self.0.clone(), share: Arc::new(Semaphore::new(SHARE)) }
    }

    /// The same, from a thread that may block.
    pub(super) fn send_blocking(&self, input: Input) -> Result<(), EngineGone> {
        self.0.blocking_send((input, None)).map_err(|_| EngineGone)
    }

    /// Asks the sweep to stop for now: running attempts write a checkpoint and leave. Asked twice, nothing is waited for.
    ///
    /// # Errors
    /// If the engine has ended.
    pub async fn drain(&self) -> Result<(), EngineGone> {
        self.send(Input::Drain).await
    }

    /// Lets up to so many workers go that have nothing to train, but none of the task `own`.
    ///
    /// # Errors
    /// If the engine has ended.
    pub async fn spare(&self, workers: u32, own: Option<String>) -> Result<(), EngineGone> {
        self.send(Input::Spare { workers, own }).await
    }

    /// Asks the engine to end at once and leave the sweep as it is, for another driver: workers train on and look for it.
    ///
    /// # Errors
    /// If the engine has ended.
    pub async fn leave(&self) -> Result<(), EngineGone> {
        self.send(Input::Leave).await
    }
}

/// A connection's way into the inbox.
#[derive(Debug)]
pub(crate) struct Credit {
    inbox: mpsc::Sender<Waiting>,
    share: Arc<Semaphore>,
}

impl Credit {
    /// Waits for room in this connection's share, then in the inbox.
    ///
    /// # Errors
    /// If the engine has ended.
    pub(crate) async fn send(&self, input: Input) -> Result<(), EngineGone> {
        let place = self.share.clone().acquire_owned().await.map_err(|_| EngineGone)?;
        self.inbox.send((input, Some(place))).await.map_err(|_| EngineGone)
    }
}

/// The engine's side.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: mpsc::Receiver<Waiting>,
    taken: Vec<Waiting>,
}

impl Inbox {
    /// An inbox and the way into it.
    pub(crate) fn new() -> (Handle, Self) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Handle(sender), Self { waiting: receiver, taken: vec![] })
    }

    /// How many things are there.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What is there, at most `max` things; waits up to `patience` for the first. Empty if nothing came.
    pub(crate) async fn next_batch(&mut self, max: usize, patience: Duration, batch: &mut Vec<Input>) {
        // That nothing came in time is an answer, too.
        let _ = tokio::time::timeout(patience, self.waiting.recv_many(&mut self.taken, max)).await;
        batch.extend(self.taken.drain(..).map(|(input, _place)| input));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_floods_fills_its_own_share_alone() {
        let (handle, mut inbox) = Inbox::new();
        let (flood, other) = (handle.credit(), handle.credit());
        let heard = |number| Input::Heard { worker: WorkerId(number), session: 0 };
        let flooding = tokio::spawn(async move { while flood.send(heard(1)).await.is_ok() {} });
        while inbox.waiting.len() < SHARE {
            tokio::task::yield_now().await;
        }
        other.send(heard(2)).await.unwrap();
        let mut batch = vec![];
        inbox.next_batch(SHARE + 1, Duration::from_secs(20), &mut batch).await;
        assert_eq!(batch.len(), SHARE + 1);
        assert!(matches!(batch[SHARE], Input::Heard { worker: WorkerId(2), .. }), "behind one share, not behind the flood");
        batch.clear();
        inbox.next_batch(1, Duration::from_secs(20), &mut batch).await;
        assert_eq!(batch.len(), 1, "what was taken makes room again");
        drop(inbox);
        flooding.await.unwrap();
    }
}
