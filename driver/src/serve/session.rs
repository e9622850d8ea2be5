//! One connection of one worker.
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use hpo_core::WorkerId;
use hpo_wire::{FromDriver, FromWorker, Hello, PROTOCOL, pb};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tracing::{debug, warn};

use super::silence::Silence;
use super::token::Shown;
use super::visitor::Visitor;
use super::{Door, GOODBYE};
use crate::engine::{Credit, Input, Link, Outgoing};

/// How long a worker may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long a worker is listened to after the speaking side has ended: what it said is there already.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What can wait to be sent. A worker gets a lease and two acknowledgements a slot at one time; more means that it does not read.
const OUTBOX: usize = 4096;

/// What a worker was let in with.
pub(super) struct Pass {
    pub(super) shown: Shown,
    /// One of so many connections. Given back with this.
    pub(super) room: OwnedSemaphorePermit,
}

/// The answer to a worker that may come in: waits for its hello, tells the engine, and gives what the worker will hear.
pub(super) async fn open(
    door: Arc<Door>,
    number: u64,
    mut words: Streaming<pb::FromWorker>,
    visitor: Arc<Visitor>,
    pass: Pass,
) -> Result<Speech, Status> {
    let hello = timeout(HELLO, hear(&mut words)).await.map_err(|_| Status::deadline_exceeded("no hello came"))??;
    let Some(FromWorker::Hello(hello)) = hello else {
        return Err(Status::invalid_argument("the first message must be a hello"));
    };
    door.check(&hello)?;
    visitor.admit();
    let worker = hello.worker;
    let (out, outbox) = mpsc::channel(OUTBOX);
    // Before the engine knows the link, so that nothing comes before the welcome.
    let welcome = out.try_send(Outgoing::Say(FromDriver::Welcome(door.welcome())));
    debug_assert!(welcome.is_ok(), "the channel is empty");
    let ears = Ears { worker, session: number, words, credit: door.engine.credit(), visitor, out: out.downgrade() };
    let joined = Input::Joined { hello, link: Link { session: number, out } };
    door.engine.send(joined).await.map_err(|_| Status::unavailable("the driver is ending"))?;
    let (hang_up, hung_up) = oneshot::channel();
    let quiet = Silence::of(Duration::from_millis(door.heartbeat_ms.max(1)));
    tokio::spawn(attend(door, ears, hung_up, pass));
    Ok(Speech { outbox: Some(outbox), quiet, _hang_up: hang_up })
}

/// Lets a worker be heard until there is a reason to end that. What ends it for all workers at once is waited for by a task
/// that words do not wake: they come by the thousand.
async fn attend(door: Arc<Door>, ears: Ears, hung_up: oneshot::Receiver<()>, pass: Pass) {
    let Ears { worker, session, .. } = ears;
    let visitor = ears.visitor.clone();
    let Pass { mut shown, room: _room } = pass;
    let mut listening = tokio::spawn(ears.listen());
    let ears = tokio::select! {
        ears = &mut listening => ears.ok(),
        // It dials again and shows the new one, if it has it.
        () = shown.replaced() => None,
        // The worker has hung up, and what it said before, perhaps its goodbye, is still to be heard. Or the engine has dropped
        // the link, for a newer connection or because it believes the worker dead, and takes no notice of its words any more.
        _ = hung_up => timeout(LAST_WORDS, &mut listening).await.ok().and_then(Result::ok),
    };
    listening.abort();
    // An engine that has ended need not know.
    let _ = door.engine.send(Input::Broke { worker, session }).await;
    // The last words are on their way by then; who stays connected without a conversation is cut.
    tokio::time::sleep(GOODBYE).await;
    visitor.cut();
    drop(ears);
}

/// The hearing side.
struct Ears {
    worker: WorkerId,
    session: u64,
    words: Streaming<pb::FromWorker>,
    credit: Credit,
    visitor: Arc<Visitor>,
    /// To say why a faulty worker is not listened to. Weak: the engine alone decides how long the connection lasts.
    out: mpsc::WeakSender<Outgoing>,
}

impl Ears {
    /// Passes on what the worker says, to the end of it or to the first thing that makes no sense.
    async fn listen(mut self) -> Self {
        let Self { worker, session, .. } = self;
        loop {
            let input = match hear(&mut self.words).await {
                Ok(Some(FromWorker::Heartbeat)) => Input::Heard { worker, session },
                Ok(Some(FromWorker::Leaving)) => Input::Leaving { worker, session },
                Ok(Some(FromWorker::Word(word))) => Input::Said { worker, session, word },
                Ok(Some(FromWorker::Goodbye { why })) => Input::Left { worker, session, why },
                Ok(Some(FromWorker::Hello(_))) => {
                    self.refuse("a second hello");
                    return self;
                }
                Ok(None) => return self,
                // No message, one that breaks a limit, or one that is too large.
                Err(fault) if matches!(fault.code(), Code::InvalidArgument | Code::OutOfRange) => {
                    self.refuse(fault.message());
                    return self;
                }
                Err(broken) => {
                    debug!("worker {worker}: {broken}");
                    return self;
                }
            };
            if self.credit.send(input).await.is_err() {
                return self;
            }
        }
    }

    /// Tells a worker that dialling again would not help.
    fn refuse(&self, why: &str) {
        warn!("{} is no longer listened to: {why}", self.visitor.peer);
        if let Some(out) = self.out.upgrade() {
            // A full channel is a connection that ends anyway.
            let _ = out.try_send(Outgoing::Refuse { why: why.to_owned() });
        }
    }
}

impl Door {
    /// Whether this worker belongs here.
    fn check(&self, hello: &Hello) -> Result<(), Status> {
        let Hello { protocol, sweep, version, .. } = hello;
        if *protocol != PROTOCOL {
            return Err(Status::failed_precondition(format!(
                "the worker (hpo {version}) speaks protocol {protocol}, this driver (hpo {}) speaks {PROTOCOL}; use one version for both",
                env!("CARGO_PKG_VERSION")
            )));
        }
        if !sweep.is_empty() && *sweep != self.sweep {
            return Err(Status::failed_precondition(format!("this driver runs sweep {}, not {sweep}", self.sweep)));
        }
        Ok(())
    }
}

async fn hear(words: &mut Streaming<pb::FromWorker>) -> Result<Option<FromWorker>, Status> {
    match words.message().await? {
        None => Ok(None),
        Some(message) => FromWorker::try_from(message).map(Some).map_err(|fault| Status::invalid_argument(fault.to_string())),
    }
}

/// What a worker hears: what the engine says, and a heartbeat whenever it says nothing for a while. Ends when the engine drops
/// the link.
pub(super) struct Speech {
    /// None after the last word.
    outbox: Option<mpsc::Receiver<Outgoing>>,
    quiet: Silence,
    /// Dropped with the stream, which the hearing side notices.
    _hang_up: oneshot::Sender<()>,
}

impl Stream for Speech {
    type Item = Result<pb::FromDriver, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(outbox) = &mut self.outbox else { return Poll::Ready(None) };
        match outbox.poll_recv(cx) {
            Poll::Ready(Some(Outgoing::Say(message))) => {
                self.quiet.broken();
                Poll::Ready(Some(Ok(message.into())))
            }
            Poll::Ready(Some(Outgoing::Refuse { why })) => {
                self.outbox = None;
                Poll::Ready(Some(Err(Status::failed_precondition(why))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.quiet.poll(cx).map(|()| Some(Ok(FromDriver::Heartbeat.into()))),
        }
    }
}
