//! The driver's door: one gRPC stream a worker. Checks who comes, turns messages into what the engine takes, and sends
//! what the engine says. All that lasts is in the engine; a connection can break at any time and nothing is lost.
mod session;
pub mod talker;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hpo_core::Millis;
use hpo_wire::pb::fleet_server::{Fleet, FleetServer};
use hpo_wire::{MESSAGE_MAX, TOKEN_HEADER, Welcome, pb};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Handle;
use session::{Outbound, Session};

/// Workers that can be connected at one time.
const SESSIONS_MAX: usize = 8192;
/// How often an idle connection is asked whether its other end lives.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long connections may take to end at the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// The server cannot run.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC server failed")]
pub struct ServeFault(#[from] tonic::transport::Error);

/// What the door needs to know.
pub(crate) struct Door {
    /// The engine.
    pub(crate) engine: Handle,
    /// What a worker must show.
    pub(crate) token: String,
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
    sessions: AtomicU64,
}

/// Serves workers that dial `listener` until `shutdown`, then ends what is left of the connections.
///
/// # Errors
/// If the server cannot run.
pub(crate) async fn serve(listener: TcpListener, door: Door, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeFault> {
    let room = Arc::new(Semaphore::new(SESSIONS_MAX));
    let reception = Reception { door: Arc::new(door), room, sessions: AtomicU64::new(1) };
    let service = FleetServer::new(reception).max_decoding_message_size(MESSAGE_MAX).max_encoding_message_size(MESSAGE_MAX * 4);
    let (hurry, hurried) = tokio::sync::oneshot::channel();
    let asked = async move {
        shutdown.await;
        // Nobody waits any longer if the server has ended by itself.
        let _ = hurry.send(());
    };
    let serving = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .tcp_keepalive(Some(KEEPALIVE * 3))
        .max_concurrent_streams(4)
        .add_service(service)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), asked);
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

#[tonic::async_trait]
impl Fleet for Reception {
    type SessionStream = Outbound;

    async fn session(&self, request: Request<Streaming<pb::FromWorker>>) -> Result<Response<Outbound>, Status> {
        let shown = request.metadata().get(TOKEN_HEADER).map(|value| value.as_bytes());
        if !shown.is_some_and(|shown| token::same(shown, hpo_wire::bearer(&self.door.token).as_bytes())) {
            return Err(Status::unauthenticated("the token is not that of this sweep; give the worker the run folder's `token` file"));
        }
        let permit = self.room.clone().try_acquire_owned().map_err(|_| Status::resource_exhausted("too many workers are connected"))?;
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        Session::open(self.door.clone(), number, request.into_inner(), permit).await.map(Response::new)
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
