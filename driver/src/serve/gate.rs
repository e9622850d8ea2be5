//! Where connections come in: TLS, and room for strangers that no flood of them can take from a worker.
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, AlertDescription};
use tracing::warn;

use super::Security;
use super::notices::Notices;
use super::visitor::{Guest, Visitor, Watched};

/// Strangers at one time. One more, and the one that has waited longest is cut: a worker is a stranger for milliseconds.
const STRANGERS_MAX: usize = 256;
/// But not before it has had this time: when a driver is back, all its workers dial at once, and they are strangers for as long as
/// two cores need to agree on keys with all of them. Those who come meanwhile wait in the system's queue.
const FAIR: Duration = Duration::from_millis(500);
/// How often is looked whether there is room.
const LOOK: Duration = Duration::from_millis(10);
/// Guests that wait to be served; those behind them wait as strangers.
const WAITING: usize = 16;
/// How long to wait when the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(200);

/// Accepts connections until nobody takes them any more.
pub(super) struct Gate {
    pub(super) listener: TcpListener,
    pub(super) security: Security,
    pub(super) notices: Arc<Notices>,
}

impl Gate {
    /// Opens the gate; it closes when what is returned is dropped.
    pub(super) fn open(self) -> mpsc::Receiver<io::Result<Guest>> {
        let (enter, guests) = mpsc::channel(WAITING);
        tokio::spawn(self.accept(enter));
        guests
    }

    async fn accept(self, enter: mpsc::Sender<io::Result<Guest>>) {
        let mut strangers = Strangers::default();
        loop {
            while !strangers.have_room(Instant::now()) {
                tokio::time::sleep(LOOK).await;
            }
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = enter.closed() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let visitor = Visitor::new(peer);
                    if strangers.enter(&visitor) {
                        self.notices.refused(peer, "it is one of too many that show no token; the one that waited longest is cut");
                    }
                    tokio::spawn(welcome(stream, visitor, self.security.clone(), self.notices.clone(), enter.clone()));
                }
                Err(why) => {
                    // Mostly too many open files: asked again at once, the system would say the same.
                    warn!("cannot accept a connection: {why}");
                    tokio::time::sleep(NO_ROOM).await;
                }
            }
        }
    }
}

/// Those who have not shown a token yet, by age.
#[derive(Debug, Default)]
struct Strangers(VecDeque<Weak<Visitor>>);

impl Strangers {
    /// Whether one more can come in, perhaps for one that has had its time.
    fn have_room(&mut self, now: Instant) -> bool {
        self.0.retain(|other| other.upgrade().is_some_and(|other| other.is_stranger()));
        let oldest = self.0.front().and_then(Weak::upgrade);
        self.0.len() < STRANGERS_MAX || oldest.is_none_or(|oldest| now.saturating_duration_since(oldest.since) >= FAIR)
    }

    /// Lets one in. True if another was cut for it.
    fn enter(&mut self, visitor: &Arc<Visitor>) -> bool {
        let oldest = if self.0.len() >= STRANGERS_MAX { self.0.pop_front() } else { None };
        self.0.push_back(Arc::downgrade(visitor));
        oldest.and_then(|oldest| oldest.upgrade()).inspect(|oldest| oldest.cut()).is_some()
    }
}

/// Agrees on keys with a visitor and passes it on.
async fn welcome(
    stream: TcpStream,
    visitor: Arc<Visitor>,
    security: Security,
    notices: Arc<Notices>,
    enter: mpsc::Sender<io::Result<Guest>>,
) {
    // Without it words would only be slower.
    let _ = stream.set_nodelay(true);
    let watched = Watched::new(stream, visitor.clone());
    let guest = match security {
        Security::Tls(config) => match TlsAcceptor::from(config).accept(watched).await {
            Ok(secured) => Guest::new(secured, visitor),
            Err(why) => return notices.refused(visitor.peer, &disagreement(&why)),
        },
        Security::PlaintextOnLoopback if is_loopback(visitor.peer) => Guest::new(watched, visitor),
        Security::PlaintextOnLoopback => return notices.refused(visitor.peer, "plaintext is for this machine alone"),
    };
    // Nobody takes guests any more: the driver is ending.
    let _ = enter.send(Ok(guest)).await;
}

fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

/// What went wrong before the two had a common key.
fn disagreement(why: &io::Error) -> String {
    match why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS".to_owned(),
        Some(rustls::Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError)) => {
            "it does not believe this run's authority: a worker of another run?".to_owned()
        }
        Some(other) => format!("TLS failed: {other}"),
        None if why.kind() == io::ErrorKind::UnexpectedEof => "it hung up before TLS was agreed on".to_owned(),
        None => format!("TLS failed: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stranger_that_waited_longest_makes_room_and_members_do_not() {
        let visitor = || Visitor::new(([127, 0, 0, 1], 1).into());
        let mut strangers = Strangers::default();
        let before = Instant::now();
        let first: Vec<_> = (0..STRANGERS_MAX).map(|_| visitor()).collect();
        assert!(first.iter().all(|one| !strangers.enter(one)));
        assert!(!strangers.have_room(before), "those who have just come get their time");
        first[0].admit();
        assert!(strangers.have_room(before));
        let second = [visitor(), visitor()];
        assert!(!strangers.enter(&second[0]), "a member has left its place");
        assert!(strangers.enter(&second[1]));
        assert!(!first[1].is_stranger(), "it was cut");
        assert!(first[2..].iter().all(|one| one.is_stranger()));
        assert!(!strangers.have_room(before));
        assert!(strangers.have_room(Instant::now() + FAIR), "and no more");
        drop(first);
        assert!(strangers.have_room(before));
        assert!(!strangers.enter(&visitor()), "who has gone takes no place");
    }
}
