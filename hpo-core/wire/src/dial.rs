//! Dialling a driver: by TLS, against the authority of its run, or in plaintext within this machine.
//!
//! A driver has many addresses, and other ones after each start, so its certificate names none of them. It bears
//! [`SERVER_NAME`], the same for every run, and what tells the runs apart is the authority: made with the run, its key never
//! leaves the run folder, and it signs nothing but the certificates of this run's drivers. So whoever shows a certificate
//! of that authority is the driver, at whatever address.
use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, version};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

/// The name in the certificates of drivers. `.internal` is nobody's on the internet.
pub const SERVER_NAME: &str = "driver.hpo.internal";
/// What both ends speak within TLS.
pub const ALPN: &[u8] = b"h2";

/// How long one address may take to answer.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long the two may take to agree on keys.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// An idle connection is asked whether it lives after this time, and given up after as much again.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What may be on its way to a worker that does not read.
const WINDOW: u32 = 128 * 1024;

/// Whom to take for the driver.
#[derive(Clone)]
pub struct Trust(Kind);

#[derive(Clone)]
enum Kind {
    Authority(TlsConnector),
    Loopback,
}

impl fmt::Debug for Trust {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self.0 {
            Kind::Authority(_) => "Trust::authority",
            Kind::Loopback => "Trust::plaintext_on_loopback",
        })
    }
}

/// The authority of a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of the run's authority cannot be used: {0}")]
pub struct TrustFault(String);

impl Trust {
    /// Whoever shows a certificate of this authority: `ca.pem` of the run folder.
    ///
    /// # Errors
    /// If that is no certificate.
    pub fn authority(pem: &[u8]) -> Result<Self, TrustFault> {
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|wrong| TrustFault(wrong.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|wrong| TrustFault(wrong.to_string()))?;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(ring).with_protocol_versions(&[&version::TLS13]);
        let builder = builder.map_err(|wrong| TrustFault(wrong.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(Kind::Authority(TlsConnector::from(Arc::new(config)))))
    }

    /// Whoever listens on this machine's loopback interface, without TLS.
    #[must_use]
    pub fn plaintext_on_loopback() -> Self {
        Self(Kind::Loopback)
    }
}

/// Why an address does not lead to the driver.
#[derive(Debug, thiserror::Error)]
pub enum DialFault {
    /// An address that is none.
    #[error("`{address}` is not an address")]
    Address {
        /// What was given.
        address: String,
    },
    /// Nobody answers, or hangs up.
    #[error("cannot reach the driver at {address}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else's port.
    #[error("what answers at {address} does not speak TLS: it is not the driver of this run")]
    NotTls {
        /// Where.
        address: String,
        /// What came instead.
        source: io::Error,
    },
    /// The driver of another run, or an impostor.
    #[error(
        "what answers at {address} has no certificate of this run's authority (ca.pem): it is the driver of another run, or an impostor"
    )]
    Stranger {
        /// Where.
        address: String,
        /// What is wrong with its certificate.
        source: io::Error,
    },
    /// Plaintext would cross a network.
    #[error("the driver offers plaintext at {address}, which is not on this machine; start it without --insecure-plaintext-on-loopback")]
    NotLoopback {
        /// Where.
        address: String,
    },
}

impl DialFault {
    /// Whether somebody answered who is not this run's driver.
    #[must_use]
    pub fn is_somebody_else(&self) -> bool {
        matches!(self, Self::NotTls { .. } | Self::Stranger { .. } | Self::NotLoopback { .. })
    }
}

/// Connects to a driver at `address` (`host:port`). The channel is for this one connection: when it breaks, dial again.
///
/// # Errors
/// If no driver of the run answers there.
pub async fn dial(address: &str, trust: &Trust) -> Result<Channel, DialFault> {
    let unreachable = |source| DialFault::Unreachable { address: address.to_owned(), source };
    let connected = in_time(CONNECT_WAIT, TcpStream::connect(address)).await;
    let stream = connected.map_err(|source| match source.kind() {
        io::ErrorKind::InvalidInput => DialFault::Address { address: address.to_owned() },
        _ => unreachable(source),
    })?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let opened = match &trust.0 {
        Kind::Authority(connector) => {
            let name = ServerName::try_from(SERVER_NAME).map_err(|wrong| unreachable(io::Error::other(wrong)))?;
            let agreed = in_time(HANDSHAKE_WAIT, connector.connect(name, stream)).await;
            channel(agreed.map_err(|source| disagreement(address, source))?).await
        }
        Kind::Loopback if stream.peer_addr().is_ok_and(is_loopback) => channel(stream).await,
        Kind::Loopback => return Err(DialFault::NotLoopback { address: address.to_owned() }),
    };
    opened.map_err(|fault| unreachable(io::Error::other(fault)))
}

/// Whether what goes there stays on this machine.
fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

async fn in_time<T>(wait: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(wait, work).await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {wait:?}"))))
}

fn disagreement(address: &str, source: io::Error) -> DialFault {
    let address = address.to_owned();
    match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => DialFault::NotTls { address, source },
        Some(rustls::Error::InvalidCertificate(_)) => DialFault::Stranger { address, source },
        _ => DialFault::Unreachable { address, source },
    }
}

async fn channel<S>(stream: S) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The name stands in the requests and is not looked up: the connection is there already.
    let endpoint = Endpoint::from_shared(format!("http://{SERVER_NAME}"))?;
    let endpoint = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE).keep_alive_while_idle(true);
    let endpoint = endpoint.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    endpoint.connect_with_connector(Once(Some(stream))).await
}

/// Hands out a stream that is open already, once.
struct Once<S>(Option<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Service<Uri> for Once<S> {
    type Response = TokioIo<S>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<S>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
