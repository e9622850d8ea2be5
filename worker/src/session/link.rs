//! The state of the connection: when to greet, when to say something, how long to wait before the next try.
use hpo_core::Millis;
use rand::Rng;
use rand::rngs::ChaCha8Rng;

/// First wait after a broken connection.
const FIRST_WAIT_MS: Millis = 100;
/// A driver that took the connection but has not answered the greeting for this long, or for a lease, is dropped.
const WELCOME_MS: Millis = 30_000;
/// A rendezvous that is missing for so long is not just being written anew.
const DESERTED_MS: Millis = 30_000;
/// Until the driver says otherwise.
const HEARTBEAT_MS: Millis = 1_000;

#[derive(Debug)]
pub(super) struct Link {
    state: State,
    /// Since when no driver has welcomed us; none while one does.
    lonely_since: Option<Millis>,
    /// Since when every try has found that no driver runs; none if the last did not.
    deserted_since: Option<Millis>,
    tries: u32,
    spoke: Millis,
    /// When the driver last said something.
    heard: Millis,
    heartbeat_ms: Millis,
    /// The driver gives this worker up after a silence of this length; none before the first welcome.
    lease_ms: Option<Millis>,
    /// The last greeting said that this worker leaves.
    knows_of_leaving: bool,
}

#[derive(Debug, PartialEq)]
enum State {
    Down,
    Greeting { since: Millis },
    Up,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            state: State::Down,
            lonely_since: None,
            deserted_since: None,
            tries: 0,
            spoke: 0,
            heard: 0,
            heartbeat_ms: HEARTBEAT_MS,
            lease_ms: None,
            knows_of_leaving: false,
        }
    }

    /// Whether the driver that welcomes us was told that we leave.
    pub(super) fn knows_of_leaving(&self) -> bool {
        self.knows_of_leaving
    }

    /// Whether words can be sent.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// A connection stands and the greeting was sent.
    pub(super) fn greeted(&mut self, now: Millis, leaving: bool) {
        self.knows_of_leaving = leaving;
        self.state = State::Greeting { since: now };
        self.deserted_since = None;
        self.spoke = now;
    }

    /// The driver answered the greeting.
    pub(super) fn welcomed(&mut self, heartbeat_ms: Millis, lease_ms: Millis) {
        self.state = State::Up;
        self.lonely_since = None;
        self.tries = 0;
        self.heartbeat_ms = heartbeat_ms.max(1);
        self.lease_ms = Some(lease_ms.max(1));
    }

    /// The driver said something, or this process slept and cannot know whether it did.
    pub(super) fn heard(&mut self, now: Millis) {
        self.heard = now;
    }

    /// Whether the driver has missed its heartbeats for so long that the connection is dead, although nothing says so: a
    /// cut link or a host that is gone. Early enough that a new connection stands before the lease runs out.
    pub(super) fn is_silent(&self, now: Millis) -> bool {
        let limit = self.lease_ms.map(|lease| (lease / 2).max(self.heartbeat_ms * 2));
        self.is_up() && limit.is_some_and(|limit| now.saturating_sub(self.heard) >= limit)
    }

    /// The connection is gone, or never came to be.
    pub(super) fn lost(&mut self, now: Millis) {
        self.state = State::Down;
        self.lonely_since.get_or_insert(now);
        self.deserted_since = None;
    }

    /// A try found that no driver runs. Whether it has been so for so long that none will.
    pub(super) fn deserted(&mut self, now: Millis) -> bool {
        let since = self.deserted_since.unwrap_or(now);
        self.lost(now);
        self.deserted_since = Some(since);
        now.saturating_sub(since) >= DESERTED_MS
    }

    /// Milliseconds until the next try: doubled each time up to `cap`, the upper half of it by chance, so that workers
    /// that lost the same driver do not all come back at once. A new driver waits for a lease: two tries fit into that.
    pub(super) fn wait_ms(&mut self, cap: Millis, rng: &mut ChaCha8Rng) -> Millis {
        let cap = self.lease_ms.map_or(cap, |lease| cap.min(lease / 3));
        let full = FIRST_WAIT_MS.checked_shl(self.tries).unwrap_or(cap).clamp(1, cap.max(1));
        self.tries = (self.tries + 1).min(32);
        full / 2 + rng.next_u64() % (full - full / 2 + 1)
    }

    /// Whether the driver has left the greeting unanswered for too long.
    pub(super) fn greeting_timed_out(&self, now: Millis) -> bool {
        let limit = self.lease_ms.map_or(WELCOME_MS, |lease| WELCOME_MS.min(lease));
        matches!(self.state, State::Greeting { since } if now.saturating_sub(since) >= limit)
    }

    /// Whether a heartbeat is due. At half the time the driver allows, so that a late tick is still in time.
    pub(super) fn heartbeat_due(&self, now: Millis) -> bool {
        self.is_up() && now.saturating_sub(self.spoke) >= self.heartbeat_ms / 2
    }

    /// Something was sent.
    pub(super) fn spoke(&mut self, now: Millis) {
        self.spoke = now;
    }

    /// For how long no driver has welcomed us.
    pub(super) fn lonely_ms(&self, now: Millis) -> Millis {
        self.lonely_since.map_or(0, |since| now.saturating_sub(since))
    }
}
