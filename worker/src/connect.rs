//! The worker's end of the connection. With hpo-wire's other end in the driver, the only place that names tonic.
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use hpo_core::{WorkerId, shell};
use hpo_wire::limits::ANSWER_MAX;
use hpo_wire::pb::fleet_client::FleetClient;
use hpo_wire::{ConvertFault, DialFault, FromDriver, FromWorker, TOKEN_HEADER, Trust, bearer, dial, from_driver, pb};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use later::later;

/// The version of `rendezvous.json` that this program reads.
const RENDEZVOUS_FORMAT: u32 = 1;
/// How long the driver may take to answer the greeting.
const SESSION_WAIT: Duration = Duration::from_secs(30);
/// Messages on their way in either direction.
const IN_FLIGHT: usize = 256;

/// Where the driver is and what it wants to see.
#[derive(Clone, Debug)]
pub struct Target {
    /// `rendezvous.json`, which the driver writes anew each time it starts.
    pub rendezvous: PathBuf,
    /// `ca.pem`: who shows a certificate of this authority is the driver.
    pub authority: PathBuf,
    /// The sweep's secret.
    pub token_file: PathBuf,
    /// Who dials.
    pub worker: WorkerId,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFault {
    /// No driver runs, or it has not come so far.
    #[error("no driver listens: there is no `{}`", path.display())]
    NoDriver {
        /// The rendezvous file.
        path: PathBuf,
    },
    /// The sweep is over, as its last driver has left word.
    #[error("the sweep has ended: {why}")]
    Ended {
        /// In its words.
        why: String,
    },
    /// A file of the run folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("`{}` is not a rendezvous file of this version of hpo: {why}", path.display())]
    Rendezvous {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The run's authority cannot be believed.
    #[error("`{}` is not the certificate of a run's authority: {why}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Others could put their own authority in its place.
    #[error("`{}` can be written by others (mode {mode:03o}): run `chmod 600 {}`", path.display(), shell::path(path))]
    AuthorityNotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Others could read the secret.
    #[error("the token file `{}` can be read by others (mode {mode:03o}): run `chmod 600 {}`", path.display(), shell::path(path))]
    TokenNotPrivate {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Whoever started this worker may still bring it.
    #[error("there is no token file `{}`", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// No secret at all.
    #[error("the token file `{}` does not hold a token", path.display())]
    TokenEmpty {
        /// Which.
        path: PathBuf,
    },
    /// No address leads to the driver.
    #[error(transparent)]
    Dial(#[from] DialFault),
    /// The token is not that of the sweep.
    #[error("the driver refuses the token of `{}`: {why}", path.display())]
    WrongToken {
        /// The token file.
        path: PathBuf,
        /// In the driver's words.
        why: String,
    },
    /// The driver wants nothing of this worker.
    #[error("the driver refuses this worker: {why}")]
    Refused {
        /// In its words.
        why: String,
    },
    /// It does not take plaintext.
    #[error("the driver at {address} hangs up on plaintext: it wants TLS, and `rendezvous.json` does not say so")]
    WantsTls {
        /// Where.
        address: String,
        /// How it hung up.
        #[source]
        source: Box<Status>,
    },
    /// The connection broke.
    #[error("the connection to the driver broke")]
    Broken(#[source] Box<Status>),
    /// A later driver has taken over from the one that was talked to.
    #[error("another driver (epoch {epoch}) has taken over")]
    Superseded {
        /// Its epoch.
        epoch: u32,
    },
    /// The driver ended it.
    #[error("the driver has closed the connection")]
    Closed,
    /// It does not answer.
    #[error("the driver at {address} does not answer the greeting")]
    NoAnswer {
        /// Where.
        address: String,
    },
    /// It says what makes no sense.
    #[error("the driver's words make no sense: use the same version of hpo on both sides")]
    Senseless(#[source] ConvertFault),
}

/// What is to be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Dial again after a while.
    Retry,
    /// Give up, unless this worker has been welcomed before: then another program may have got the driver's port.
    RetryIfWelcomed,
    /// Give up.
    GiveUp,
}

impl ConnectFault {
    /// What is to be done.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::WantsTls { .. } => Remedy::RetryIfWelcomed,
            Self::TokenNotPrivate { .. } | Self::TokenEmpty { .. } | Self::WrongToken { .. } => Remedy::RetryIfWelcomed,
            Self::Rendezvous { .. } | Self::Authority { .. } | Self::AuthorityNotPrivate { .. } => Remedy::RetryIfWelcomed,
            Self::Dial(fault) if fault.is_somebody_else() => Remedy::RetryIfWelcomed,
            Self::Refused { .. } | Self::Senseless(_) => Remedy::GiveUp,
            _ => Remedy::Retry,
        }
    }
}

/// What a connection does.
#[derive(Debug)]
pub enum LinkEvent {
    /// It stands: words for the driver go here, the greeting first.
    Up(mpsc::Sender<FromWorker>),
    /// The driver said something.
    Said(FromDriver),
    /// It is gone, or never came to be. The last event.
    Down(ConnectFault),
}

/// One try to talk to the driver, from dialling to the end. It ends when this is dropped.
#[derive(Debug)]
pub struct Link {
    events: mpsc::Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

impl Link {
    /// Dials after `wait`.
    #[must_use]
    pub fn dial(target: Target, wait: Duration) -> Self {
        let (tell, events) = mpsc::channel(IN_FLIGHT);
        let task = tokio::spawn(async move {
            sleep(wait).await;
            let fault = match converse(&target, &tell).await {
                Ok(()) => ConnectFault::Closed,
                Err(fault) => fault,
            };
            // Nobody listens if the link was dropped.
            let _ = tell.send(LinkEvent::Down(fault)).await;
        });
        Self { events, task }
    }

    /// The next event; none after [`LinkEvent::Down`].
    pub async fn next(&mut self) -> Option<LinkEvent> {
        self.events.recv().await
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Talks to the driver until it ends the conversation.
async fn converse(target: &Target, tell: &mpsc::Sender<LinkEvent>) -> Result<(), ConnectFault> {
    // Before the token: who has none is to hear of the sweep's end, too.
    let rendezvous = rendezvous(&target.rendezvous)?;
    let token = token(&target.token_file)?;
    let trust = if rendezvous.tls { authority(&target.authority)? } else { Trust::plaintext_on_loopback() };
    let (channel, address) = open(&rendezvous.addresses, &trust).await?;
    let (words, outgoing) = mpsc::channel(IN_FLIGHT);
    // The driver waits for the greeting before it answers the call, so it must be on its way by then.
    if tell.send(LinkEvent::Up(words)).await.is_err() {
        return Ok(());
    }
    let mut request = Request::new(ReceiverStream::new(outgoing).map(pb::FromWorker::from));
    request.metadata_mut().insert(TOKEN_HEADER, token);
    let mut client = FleetClient::new(channel).max_decoding_message_size(ANSWER_MAX);
    let answer = timeout(SESSION_WAIT, client.session(request)).await;
    let answer = answer.map_err(|_| ConnectFault::NoAnswer { address: address.clone() })?;
    let mut heard = match answer.map_err(|status| refusal(status, &target.token_file)) {
        Ok(answer) => answer.into_inner(),
        // A driver that speaks HTTP/2 says why.
        Err(ConnectFault::Broken(source)) if !rendezvous.tls => return Err(ConnectFault::WantsTls { address, source }),
        Err(fault) => return Err(fault),
    };
    let mut later = pin!(later(&target.rendezvous, rendezvous.epoch));
    loop {
        let message = tokio::select! {
            message = heard.message() => message.map_err(|status| refusal(status, &target.token_file))?,
            epoch = &mut later => return Err(ConnectFault::Superseded { epoch }),
        };
        let Some(message) = message else { return Ok(()) };
        let said = from_driver(message, target.worker).map_err(ConnectFault::Senseless)?;
        if tell.send(LinkEvent::Said(said)).await.is_err() {
            return Ok(());
        }
    }
}

fn refusal(status: Status, token_file: &Path) -> ConnectFault {
    let why = || status.message().to_owned();
    match status.code() {
        Code::Unauthenticated => ConnectFault::WrongToken { path: token_file.to_owned(), why: why() },
        Code::FailedPrecondition | Code::InvalidArgument | Code::OutOfRange => ConnectFault::Refused { why: why() },
        _ => ConnectFault::Broken(Box::new(status)),
    }
}

/// The first address at which the driver answers. If there is none: somebody else who answers says more than silence.
async fn open(addresses: &[String], trust: &Trust) -> Result<(Channel, String), ConnectFault> {
    let mut telling = None;
    for address in addresses {
        match dial(address, trust).await {
            Ok(channel) => return Ok((channel, address.clone())),
            Err(fault) if fault.is_somebody_else() || !telling.as_ref().is_some_and(DialFault::is_somebody_else) => telling = Some(fault),
            Err(_) => {}
        }
    }
    Err(telling.unwrap_or(DialFault::Address { address: String::new() }).into())
}

/// What of `rendezvous.json` a worker reads.
#[derive(Deserialize)]
struct Rendezvous {
    format: u32,
    /// Which driver wrote it; each has a higher one than those before.
    #[serde(default)]
    epoch: u32,
    addresses: Vec<String>,
    tls: bool,
}

/// Read anew for each try: a driver that was started again listens elsewhere.
fn rendezvous(path: &Path) -> Result<Rendezvous, ConnectFault> {
    let bytes = fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => match ended(&path.with_file_name("ended.json")) {
            Some(why) => ConnectFault::Ended { why },
            None => ConnectFault::NoDriver { path: path.to_owned() },
        },
        _ => ConnectFault::Read { path: path.to_owned(), source },
    })?;
    let wrong = |why: String| ConnectFault::Rendezvous { path: path.to_owned(), why };
    let found: Rendezvous = serde_json::from_slice(&bytes).map_err(|why| wrong(why.to_string()))?;
    if found.format != RENDEZVOUS_FORMAT {
        return Err(wrong(format!("it has format {}, not {RENDEZVOUS_FORMAT}", found.format)));
    }
    if found.addresses.is_empty() {
        return Err(wrong("it names no address".to_owned()));
    }
    Ok(found)
}

/// What the last driver of a sweep leaves behind; it is there in one piece or not at all.
fn ended(path: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct EndedFile {
        why: String,
    }
    let bytes = fs::read(path).ok()?;
    serde_json::from_slice(&bytes).ok().map(|EndedFile { why }| why)
}

/// Whom to believe, if nobody else can say so. Read anew for each try, as the token is.
fn authority(path: &Path) -> Result<Trust, ConnectFault> {
    let read = |source| ConnectFault::Read { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(read)?.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(ConnectFault::AuthorityNotPrivate { path: path.to_owned(), mode });
    }
    let pem = fs::read(path).map_err(read)?;
    Trust::authority(&pem).map_err(|wrong| ConnectFault::Authority { path: path.to_owned(), why: wrong.to_string() })
}

/// The secret, if nobody else can read it, as the driver wants to see it.
fn token(path: &Path) -> Result<MetadataValue<Ascii>, ConnectFault> {
    let read = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ConnectFault::NoToken { path: path.to_owned() },
        _ => ConnectFault::Read { path: path.to_owned(), source },
    };
    let mode = fs::metadata(path).map_err(read)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ConnectFault::TokenNotPrivate { path: path.to_owned(), mode });
    }
    let text = fs::read_to_string(path).map_err(read)?;
    let empty = || ConnectFault::TokenEmpty { path: path.to_owned() };
    if text.trim().is_empty() {
        return Err(empty());
    }
    let mut value: MetadataValue<Ascii> = bearer(&text).parse().map_err(|_| empty())?;
    value.set_sensitive(true);
    Ok(value)
}

mod later;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
