//! The driver's door: one gRPC stream a worker. Checks who comes, turns messages into what the engine takes, and sends
//! what the engine says. All that lasts is in the engine; a connection can break at any time and nothing is lost.
pub(crate) mod authority;
mod gate;
mod joins;
mod notices;
mod session;
mod silence;
pub mod talker;
pub(crate) mod token;
mod visitor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hpo_core::Millis;
use hpo_wire::limits::{ANSWER_MAX, MESSAGE_MAX};
use hpo_wire::pb::fleet_server::{Fleet, FleetServer};
use hpo_wire::{TOKEN_HEADER, Welcome, pb};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::rustls::ServerConfig;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub use authority::AuthorityFault;

use crate::engine::Handle;
use gate::Gate;
use joins::Joins;
use notices::Notices;
use session::{Pass, Speech};
use token::Token;
use visitor::Visitor;

/// Workers that can be connected at one time.
const SESSIONS_MAX: usize = 8192;
/// How often an idle connection is asked whether its other end lives.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// What a connection may send before it is read. Messages larger than this come in pieces.
const WINDOW: u32 = 256 * 1024;
/// Bytes of a request's headers; those of a worker take some 300.
const HEADERS_MAX: u32 = 8 * 1024;
/// How long connections may take to end at the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// The server cannot run.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC server failed")]
pub struct ServeFault(#[from] tonic::transport::Error);

/// What protects the connections.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    /// TLS with a certificate of the run's authority.
    Tls(Arc<ServerConfig>),
    /// Nothing, for connections that do not leave this machine.
    PlaintextOnLoopback,
}

/// What the door needs to know.
pub(crate) struct Door {
    /// The engine.
    pub(crate) engine: Handle,
    /// What protects the connections.
    pub(crate) security: Security,
    /// What a worker must show.
    pub(crate) token: Token,
    /// Id of the sweep.
    pub(crate) sweep: String,
    /// Which driver of the sweep this is.
    pub(crate) epoch: u32,
    /// The `[trial]` part of the sweep as JSON.
    pub(crate) job: String,
    /// How often each side says something at least.
    pub(crate) heartbeat_ms: Millis,
    /// Silence of this length loses a worker's leases.
    pub(crate) lease_ms: Millis,
}

impl Door {
    fn welcome(&self) -> Welcome {
        let short = |ms: Millis| u32::try_from(ms).unwrap_or(u32::MAX);
        let (heartbeat_ms, lease_ms) = (short(self.heartbeat_ms), short(self.lease_ms));
        Welcome { sweep: self.sweep.clone(), heartbeat_ms, lease_ms, job: self.job.clone(), epoch: self.epoch }
    }
}

struct Reception {
    door: Arc<Door>,
    room: Arc<Semaphore>,
    notices: Arc<Notices>,
    joins: Joins,
    sessions: AtomicU64,
}

/// Serves workers that dial `listener` until `shutdown`, then ends what is left of the connections.
///
/// # Errors
/// If the server cannot run.
pub(crate) async fn serve(listener: TcpListener, door: Door, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeFault> {
    let room = Arc::new(Semaphore::new(SESSIONS_MAX));
    let notices = Arc::new(Notices::default());
    let guests = Gate { listener, security: door.security.clone(), notices: notices.clone() }.open();
    let reception = Reception { door: Arc::new(door), room, notices, joins: Joins::new(), sessions: AtomicU64::new(1) };
    let service = FleetServer::new(reception).max_decoding_message_size(MESSAGE_MAX).max_encoding_message_size(ANSWER_MAX);
    let (hurry, hurried) = tokio::sync::oneshot::channel();
    let asked = async move {
        shutdown.await;
        // Nobody waits any longer if the server has ended by itself.
        let _ = hurry.send(());
    };
    let serving = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        // One conversation a connection.
        .max_concurrent_streams(1)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_max_header_list_size(HEADERS_MAX)
        .add_service(service)
        .serve_with_incoming_shutdown(ReceiverStream::new(guests), asked);
    let impatience = async {
        match hurried.await {
            Ok(()) => tokio::time::sleep(GOODBYE).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = serving => Ok(served?),
        () = impatience => Ok(()),
    }
}

impl Reception {
    async fn admit(&self, request: Request<Streaming<pb::FromWorker>>, visitor: &Arc<Visitor>) -> Result<Speech, Status> {
        let header = request.metadata().get(TOKEN_HEADER).map(|value| value.as_bytes());
        let Some(shown) = self.door.token.shown_by(header) else {
            return Err(Status::unauthenticated(
                "it is not the token of this sweep, or not any more; give the worker the run folder's `token` file",
            ));
        };
        let room = self.room.clone().try_acquire_owned();
        let room = room.map_err(|_| Status::resource_exhausted(format!("{SESSIONS_MAX} workers are connected; no more can be")))?;
        if !self.joins.one() {
            let why = format!("too many workers come and go; {} a second are the most", joins::A_SECOND);
            return Err(Status::resource_exhausted(why));
        }
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        session::open(self.door.clone(), number, request.into_inner(), visitor.clone(), Pass { shown, room }).await
    }
}

#[tonic::async_trait]
impl Fleet for Reception {
    type SessionStream = Speech;

    async fn session(&self, request: Request<Streaming<pb::FromWorker>>) -> Result<Response<Speech>, Status> {
        let visitor = request.extensions().get::<Arc<Visitor>>().cloned();
        let visitor = visitor.ok_or_else(|| Status::internal("a connection that did not come in by the gate"))?;
        let admitted = self.admit(request, &visitor).await;
        if let Err(refused) = &admitted {
            self.notices.refused(visitor.peer, refused.message());
            visitor.refused();
        }
        admitted.map(Response::new)
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod siege;
#[cfg(test)]
mod tests;
