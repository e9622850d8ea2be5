//! One connection of one light worker.
use hpo_core::WorkerId;
use hpo_core::sweep::event::Slot;
use hpo_wire::{FromDriver, FromWorker, Hello, PROTOCOL, Word, from_driver, pb};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use super::{PATIENCE, TalkFault, Target};

/// Words that are on their way at one time.
const WINDOW: usize = 1024;

pub(super) struct Line {
    worker: WorkerId,
    out: mpsc::Sender<pb::FromWorker>,
    heard: Streaming<pb::FromDriver>,
}

impl Line {
    /// Dials and says hello, with one slot and nothing in it.
    pub(super) async fn open(target: &Target, worker: WorkerId) -> Result<Self, TalkFault> {
        let mut client = target.dial().await?;
        let (out, said) = mpsc::channel(WINDOW);
        let hello = Hello {
            protocol: PROTOCOL,
            worker,
            name: format!("talker-{:x}", worker.0),
            slots: vec![Slot { name: "bench".to_owned(), milli_gpus: 0 }],
            holds: vec![],
            sweep: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            allocation: None,
        };
        out.send(FromWorker::Hello(hello).into()).await.map_err(|_| TalkFault::Silent)?;
        let mut request = Request::new(ReceiverStream::new(said));
        target.sign(&mut request);
        let answer = timeout(PATIENCE, client.session(request)).await.map_err(|_| TalkFault::Silent)??;
        Ok(Self { worker, out, heard: answer.into_inner() })
    }

    /// The next message.
    pub(super) async fn hear(&mut self) -> Result<FromDriver, TalkFault> {
        let message = timeout(PATIENCE, self.heard.message()).await.map_err(|_| TalkFault::Silent)??;
        Ok(from_driver(message.ok_or(TalkFault::Silent)?, self.worker)?)
    }

    /// Says a word, if there is room for it. Otherwise what is heard meanwhile, and the word is still to be said.
    pub(super) async fn say_or_hear(&mut self, word: &Word) -> Result<Option<FromDriver>, TalkFault> {
        let (out, message) = tokio::select! {
            biased;
            room = self.out.reserve() => (Some(room.map_err(|_| TalkFault::Silent)?), None),
            heard = timeout(PATIENCE, self.heard.message()) => (None, Some(heard.map_err(|_| TalkFault::Silent)??)),
        };
        if let Some(room) = out {
            room.send(FromWorker::Word(word.clone()).into());
        }
        match message {
            None => Ok(None),
            Some(message) => Ok(Some(from_driver(message.ok_or(TalkFault::Silent)?, self.worker)?)),
        }
    }

    /// Leaves in good order: until the driver hangs up, so that it has heard it.
    pub(super) async fn goodbye(self) {
        let Self { out, mut heard, .. } = self;
        // A driver that has ended meanwhile need not hear it.
        let _ = out.send(FromWorker::Goodbye { why: "done".to_owned() }.into()).await;
        while let Ok(Ok(Some(_))) = timeout(PATIENCE, heard.message()).await {}
    }
}
