//! A worker that does no work: it reports as fast as it is listened to. `hpo bench grpc` measures the driver with it.
use std::time::Duration;

use hpo_core::sweep::event::Slot;
use hpo_core::{Lease, Resource, Seq, WorkerId};
use hpo_wire::pb::fleet_client::FleetClient;
use hpo_wire::{
    About, ConvertFault, DialFault, FromDriver, FromWorker, Hello, PROTOCOL, TOKEN_HEADER, Trust, Word, bearer, dial, from_driver, pb,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

/// A driver that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// Words that are on their way at one time.
const WINDOW: usize = 1024;

/// The conversation broke off.
#[derive(Debug, thiserror::Error)]
pub enum TalkFault {
    /// The driver cannot be reached.
    #[error(transparent)]
    Dial(#[from] DialFault),
    /// It ended the conversation.
    #[error("the driver ended the conversation")]
    Status(#[from] Status),
    /// It made no sense.
    #[error("the driver said what is no message")]
    Nonsense(#[from] ConvertFault),
    /// The token has characters that no header can carry.
    #[error("the token is none")]
    Token,
    /// It hung up, or said nothing for a minute.
    #[error("the driver went silent before it had confirmed every word")]
    Silent,
}

/// Joins with one slot, and says everything about each lease at once, until the driver says that the sweep is over.
///
/// # Errors
/// If the driver breaks off before.
pub async fn talk(address: &str, trust: &Trust, token: &str, id: WorkerId, metric: &str) -> Result<(), TalkFault> {
    let mut client = FleetClient::new(dial(address, trust).await?);
    let (out, said) = mpsc::channel::<pb::FromWorker>(WINDOW);
    let slot = Slot { name: "bench".to_owned(), milli_gpus: 0 };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let hello = Hello {
        protocol: PROTOCOL,
        worker: id,
        name: format!("talker-{id}"),
        slots: vec![slot],
        holds: vec![],
        sweep: String::new(),
        version,
    };
    out.send(FromWorker::Hello(hello).into()).await.map_err(|_| TalkFault::Silent)?;
    let mut request = Request::new(ReceiverStream::new(said));
    let mut shown: MetadataValue<Ascii> = bearer(token).parse().map_err(|_| TalkFault::Token)?;
    shown.set_sensitive(true);
    request.metadata_mut().insert(TOKEN_HEADER, shown);
    let mut heard = client.session(request).await?.into_inner();
    loop {
        let message = tokio::time::timeout(PATIENCE, heard.message()).await.map_err(|_| TalkFault::Silent)??;
        match from_driver(message.ok_or(TalkFault::Silent)?, id)? {
            FromDriver::Lease(lease) => {
                tokio::spawn(say_all(out.clone(), lease, metric.to_owned()));
            }
            FromDriver::Finish { .. } => {
                // The driver is closing: whether it hears this does not matter.
                let _ = out.send(FromWorker::Goodbye { why: "done".to_owned() }.into()).await;
                return Ok(());
            }
            _ => {}
        }
    }
}

async fn say_all(out: mpsc::Sender<pb::FromWorker>, lease: Lease, metric: String) {
    let mut seq = Seq(0);
    let mut word = |about| {
        seq.0 += 1;
        FromWorker::Word(Word { trial: lease.trial, attempt: lease.attempt, seq, about }).into()
    };
    for resource in (lease.from.0 + 1..=lease.until.0).map(Resource) {
        let metrics = [(metric.clone(), 1.0 / f64::from(resource.0))].into_iter().collect();
        if out.send(word(About::Reported { resource, metrics })).await.is_err() {
            return;
        }
    }
    // Closed only if the driver has hung up, which the listening half notices.
    let _ = out.send(word(About::Reached { resource: lease.until, checkpoint: None })).await;
}
