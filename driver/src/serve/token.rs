//! Whether a worker shows the token of the sweep, as the run folder has it now: replacing the file ends the old token.
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::rendezvous::read_token;
use crate::rundir::RunDir;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The token that counts now.
#[derive(Clone, Debug)]
pub(crate) struct Token(watch::Receiver<Secret>);

/// Not to be shown by `{:?}`.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Secret")
    }
}

impl Token {
    /// `token` until the file of the run holds another one. To be called within a runtime.
    pub(crate) fn of(run: RunDir, token: String) -> Self {
        let (change, seen) = watch::channel(Secret(token));
        tokio::spawn(follow(run, change));
        Self(seen)
    }

    /// The token that a worker of this sweep shows by that header. Only the token's length, which is no secret, can be learnt
    /// from the time that it takes.
    pub(super) fn shown_by(&self, header: Option<&[u8]>) -> Option<Shown> {
        // A copy begins with what its original has seen, which may be an older token.
        let mut seen = self.0.clone();
        let expected = hpo_wire::bearer(&seen.borrow_and_update().0);
        let shows = header.is_some_and(|shown| shown.ct_eq(expected.as_bytes()).into());
        shows.then_some(Shown(seen))
    }
}

/// The token that a connection was let in with.
#[derive(Debug)]
pub(super) struct Shown(watch::Receiver<Secret>);

impl Shown {
    /// Waits until another token counts. Never ends if none will.
    pub(super) async fn replaced(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Looks at the file until nobody asks for the token any more. A file that cannot be read changes nothing.
async fn follow(run: RunDir, change: watch::Sender<Secret>) {
    let mut complained = false;
    while !change.is_closed() {
        tokio::time::sleep(LOOK).await;
        let folder = run.clone();
        match tokio::task::spawn_blocking(move || read_token(&folder)).await {
            Ok(Ok(token)) => {
                complained = false;
                let is_new = |old: &mut Secret| {
                    let is_new = old.0 != token;
                    old.0 = token;
                    is_new
                };
                if change.send_if_modified(is_new) {
                    info!("the token was replaced: workers have to show the new one");
                }
            }
            Ok(Err(why)) if !complained => {
                complained = true;
                warn!("{why}; the token as it was still counts");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_whole_token_is_right() {
        let (_change, seen) = watch::channel(Secret("00ff".to_owned()));
        let token = Token(seen);
        assert!(token.shown_by(Some(b"Bearer 00ff")).is_some());
        for wrong in [&b""[..], b"Bearer ", b"Bearer 00f", b"Bearer 00fe", b"bearer 00ff", b"Bearer 00ff0"] {
            assert!(token.shown_by(Some(wrong)).is_none(), "{wrong:?}");
        }
        assert!(token.shown_by(None).is_none());
        assert!(!format!("{token:?}").contains("00ff"));
    }
}
