//! How long nothing was said, for conversations in which thousands of messages come between two silences: a message costs a
//! look at the clock, and the timer is set anew once for all of them.
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Watches for a silence of a certain length. Its owner says when something was heard, and polls it when nothing is there.
#[derive(Debug)]
pub(super) struct Silence {
    length: Duration,
    since: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Silence {
    /// From now on.
    pub(super) fn of(length: Duration) -> Self {
        Self { length, since: Instant::now(), alarm: Box::pin(sleep(length)) }
    }

    /// Something is said now.
    pub(super) fn broken(&mut self) {
        self.since = Instant::now();
    }

    /// Ready when nothing was said for the whole length; then another silence begins.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            let over = self.since + self.length;
            if now >= over {
                self.since = now;
                self.alarm.as_mut().reset(now + self.length);
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(over);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    const LENGTH: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_silence_lasts_its_length_after_the_last_word() {
        let mut silence = Silence::of(LENGTH);
        for _ in 0..4 {
            // Whoever waits between the words is not told that it is silent.
            let since = silence.since;
            let heard = timeout(LENGTH / 2, poll_fn(|cx| silence.poll(cx))).await;
            let late = since.elapsed() >= LENGTH;
            assert!(heard.is_err() || late, "it was said to be silent too early");
            silence.broken();
        }
        for _ in 0..2 {
            let last = silence.since;
            poll_fn(|cx| silence.poll(cx)).await;
            assert!(last.elapsed() >= LENGTH, "{:?}", last.elapsed());
        }
    }
}
