//! One connection of one worker.
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use hpo_wire::{FromDriver, FromWorker, Hello, PROTOCOL, pb};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tracing::{debug, warn};

use super::visitor::Visitor;
use super::{Door, GOODBYE};
use crate::engine::{Input, Link, Outgoing};

/// How long a worker may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// What can wait to be sent. A worker gets a lease and two acknowledgements a slot at one time; more means that it does not read.
const OUTBOX: usize = 4096;

/// What a worker hears.
pub(super) type Outbound = Pin<Box<dyn Stream<Item = Result<pb::FromDriver, Status>> + Send>>;

/// The hearing side.
pub(super) struct Session {
    door: Arc<Door>,
    number: u64,
    words: Streaming<pb::FromWorker>,
    visitor: Arc<Visitor>,
    /// To say why a faulty worker is not listened to. Weak: the engine alone decides how long the connection lasts.
    out: mpsc::WeakSender<Outgoing>,
    /// The speaking side has ended.
    hung_up: oneshot::Receiver<()>,
    _room: OwnedSemaphorePermit,
}

impl Session {
    /// Waits for the hello, tells the engine, and answers with what the worker will hear.
    pub(super) async fn open(
        door: Arc<Door>,
        number: u64,
        mut words: Streaming<pb::FromWorker>,
        visitor: Arc<Visitor>,
        room: OwnedSemaphorePermit,
    ) -> Result<Outbound, Status> {
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
        let weak = out.downgrade();
        let joined = Input::Joined { hello, link: Link { session: number, out } };
        door.engine.send(joined).await.map_err(|_| Status::unavailable("the driver is ending"))?;
        let (hang_up, hung_up) = oneshot::channel();
        let quiet = Duration::from_millis(door.heartbeat_ms.max(1));
        tokio::spawn(Self { door, number, words, visitor, out: weak, hung_up, _room: room }.listen(worker));
        Ok(speak(outbox, quiet, hang_up))
    }

    async fn listen(mut self, worker: hpo_core::WorkerId) {
        let session = self.number;
        let mut token = self.door.token.clone();
        let credit = self.door.engine.credit();
        loop {
            let heard = tokio::select! {
                // It dials again and shows the new one, if it has it.
                () = token.replaced() => break,
                // The engine has dropped the link: a newer connection, or a worker that is believed dead.
                _ = &mut self.hung_up => break,
                heard = hear(&mut self.words) => heard,
            };
            let input = match heard {
                Ok(Some(FromWorker::Heartbeat)) => Input::Heard { worker, session },
                Ok(Some(FromWorker::Word(word))) => Input::Said { worker, session, word },
                Ok(Some(FromWorker::Goodbye { why })) => {
                    debug!("worker {worker} leaves: {why}");
                    Input::Left { worker, session }
                }
                Ok(Some(FromWorker::Hello(_))) => {
                    self.refuse("a second hello");
                    break;
                }
                Ok(None) => break,
                // No message, one that breaks a limit, or one that is too large.
                Err(fault) if matches!(fault.code(), Code::InvalidArgument | Code::OutOfRange) => {
                    self.refuse(fault.message());
                    break;
                }
                Err(broken) => {
                    debug!("worker {worker}: {broken}");
                    break;
                }
            };
            if credit.send(input).await.is_err() {
                return;
            }
        }
        let Self { door, visitor, .. } = self;
        // An engine that has ended need not know.
        let _ = door.engine.send(Input::Broke { worker, session }).await;
        // The last words are on their way by then; who stays connected without a conversation is cut.
        tokio::time::sleep(GOODBYE).await;
        visitor.cut();
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

/// What the engine says, with a heartbeat whenever it says nothing for `quiet`. Ends when the engine drops the link;
/// `hang_up` is dropped with the stream.
fn speak(outbox: mpsc::Receiver<Outgoing>, quiet: Duration, hang_up: oneshot::Sender<()>) -> Outbound {
    let steps = unfold((Some(outbox), hang_up), move |(outbox, hang_up)| async move {
        let mut outbox = outbox?;
        Some(match timeout(quiet, outbox.recv()).await {
            Ok(Some(Outgoing::Say(message))) => (Ok(message.into()), (Some(outbox), hang_up)),
            Ok(Some(Outgoing::Refuse { why })) => (Err(Status::failed_precondition(why)), (None, hang_up)),
            Ok(None) => return None,
            Err(_) => (Ok(FromDriver::Heartbeat.into()), (Some(outbox), hang_up)),
        })
    });
    Box::pin(steps)
}
