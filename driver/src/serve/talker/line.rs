//! One connection of one light worker.
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use hpo_core::WorkerId;
use hpo_core::sweep::event::Slot;
use hpo_wire::{FromDriver, FromWorker, Hello, PROTOCOL, Word, from_driver, pb};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use super::super::silence::Silence;
use super::{PATIENCE, TalkFault, Target};

/// Words that are on their way at one time.
const WINDOW: usize = 1024;

pub(super) struct Line {
    out: mpsc::Sender<pb::FromWorker>,
    ear: Ear,
}

struct Ear {
    worker: WorkerId,
    heard: Streaming<pb::FromDriver>,
    silence: Silence,
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
            leaving: false,
        };
        out.send(FromWorker::Hello(hello).into()).await.map_err(|_| TalkFault::Silent)?;
        let mut request = Request::new(ReceiverStream::new(said));
        target.sign(&mut request);
        let answer = timeout(PATIENCE, client.session(request)).await.map_err(|_| TalkFault::Silent)??;
        let ear = Ear { worker, heard: answer.into_inner(), silence: Silence::of(PATIENCE) };
        Ok(Self { out, ear })
    }

    /// The next message.
    pub(super) async fn hear(&mut self) -> Result<FromDriver, TalkFault> {
        self.ear.hear().await
    }

    /// Says a word, if there is room for it. Otherwise what is heard meanwhile, and the word is still to be said.
    pub(super) async fn say_or_hear(&mut self, word: &Word) -> Result<Option<FromDriver>, TalkFault> {
        tokio::select! {
            biased;
            room = self.out.reserve() => {
                room.map_err(|_| TalkFault::Silent)?.send(FromWorker::Word(word.clone()).into());
                Ok(None)
            }
            heard = self.ear.hear() => heard.map(Some),
        }
    }

    /// Leaves in good order: until the driver hangs up, so that it has heard it.
    pub(super) async fn goodbye(mut self) {
        // A driver that has ended meanwhile need not hear it.
        let _ = self.out.send(FromWorker::Goodbye { why: "done".to_owned() }.into()).await;
        while self.ear.hear().await.is_ok() {}
    }
}

impl Ear {
    async fn hear(&mut self) -> Result<FromDriver, TalkFault> {
        self.silence.broken();
        poll_fn(|cx| self.poll_hear(cx)).await
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<Result<FromDriver, TalkFault>> {
        match Pin::new(&mut self.heard).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => Poll::Ready(from_driver(message, self.worker).map_err(TalkFault::from)),
            Poll::Ready(Some(Err(status))) => Poll::Ready(Err(status.into())),
            Poll::Ready(None) => Poll::Ready(Err(TalkFault::Silent)),
            Poll::Pending => self.silence.poll(cx).map(|()| Err(TalkFault::Silent)),
        }
    }
}
