//! A connection, from its first byte: a stranger until it has shown the token and said hello, for which there is little time
//! and little room, and then a member, which the keep-alive of HTTP/2 and the engine watch over.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::transport::server::Connected;

/// How long a stranger may take for TLS, token and hello, all together.
pub(super) const STRANGER: Duration = Duration::from_secs(15);
/// Calls of one connection that may be refused before it is cut.
const REFUSALS: u32 = 8;

const UNKNOWN: u8 = 0;
const MEMBER: u8 = 1;
const CUT: u8 = 2;

/// What is known of the other end. Goes with the connection, and with each call on it.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) peer: SocketAddr,
    /// When it came.
    pub(super) since: Instant,
    state: AtomicU8,
    refusals: AtomicU32,
    reader: AtomicWaker,
}

impl Visitor {
    pub(super) fn new(peer: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            peer,
            since: Instant::now(),
            state: AtomicU8::new(UNKNOWN),
            refusals: AtomicU32::new(0),
            reader: AtomicWaker::new(),
        })
    }

    /// It has shown the token and said hello.
    pub(super) fn admit(&self) {
        // One that is cut stays cut.
        let _ = self.state.compare_exchange(UNKNOWN, MEMBER, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Ends the connection, whatever it is in the middle of.
    pub(super) fn cut(&self) {
        self.state.store(CUT, Ordering::Release);
        self.reader.wake();
    }

    /// A call was refused. Who goes on asking is cut.
    pub(super) fn refused(&self) {
        if self.refusals.fetch_add(1, Ordering::AcqRel) + 1 >= REFUSALS {
            self.cut();
        }
    }

    pub(super) fn is_stranger(&self) -> bool {
        self.state.load(Ordering::Acquire) == UNKNOWN
    }
}

/// The bytes of a visitor, which end when it is cut or its time as a stranger is over.
pub(super) struct Watched<S> {
    stream: S,
    visitor: Arc<Visitor>,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, visitor: Arc<Visitor>) -> Self {
        Self { stream, visitor, deadline: Box::pin(sleep_until(Instant::now() + STRANGER)) }
    }

    /// An error once the visitor is not wanted any more. Asked on each read and
    /// write, for a peer that does not read keeps the connection from reading as well.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.visitor.reader.register(cx.waker());
        match self.visitor.state.load(Ordering::Acquire) {
            MEMBER => Ok(()),
            UNKNOWN if self.deadline.as_mut().poll(cx).is_pending() => Ok(()),
            UNKNOWN => Err(io::Error::new(io::ErrorKind::TimedOut, format!("it showed no token within {STRANGER:?}"))),
            _ => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was cut")),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        match bytes {
            // One record of TLS, as nearly always: the system has less to do for it.
            [bytes] => Pin::new(&mut self.stream).poll_write(cx, bytes),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// TLS or not, from here on it is all the same.
trait Bytes: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

/// A connection that can be spoken HTTP/2 on.
pub(super) struct Guest {
    bytes: Pin<Box<dyn Bytes>>,
    visitor: Arc<Visitor>,
}

impl Guest {
    pub(super) fn new(bytes: impl AsyncRead + AsyncWrite + Send + 'static, visitor: Arc<Visitor>) -> Self {
        Self { bytes: Box::pin(bytes), visitor }
    }
}

impl Connected for Guest {
    type ConnectInfo = Arc<Visitor>;

    fn connect_info(&self) -> Arc<Visitor> {
        self.visitor.clone()
    }
}

impl AsyncRead for Guest {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.bytes.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.bytes.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.bytes.as_mut().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.as_mut().poll_shutdown(cx)
    }
}
