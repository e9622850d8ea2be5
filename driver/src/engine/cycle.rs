//! The loop.
use std::time::{Duration, Instant};

use hpo_core::Stamp;
use hpo_searchers::Searcher;
use tokio::sync::watch;

use super::clock::Clock;
use super::fault::EngineFault;
use super::heart::{Heart, Parts};
use super::inbox::{Handle, Inbox};
use super::proposer::{Thinker, start};
use super::run::{Outcome, Progress};

/// Most inputs that one sync makes durable.
const BATCH_MAX: usize = 1024;
/// An engine that took more inputs than this at one time is busy: it lets more of them gather before it takes any again. A round
/// costs the same for one input as for many: waking up the engine and all who wait for it, two looks at the fence, a sync. On a
/// fast disk it would be done for a handful of inputs each time, and that costs more than the inputs do.
const FEW: usize = 16;
/// So many inputs are enough for a round.
const ENOUGH: usize = 96;
/// And so long after the beginning of the round before, whatever is there is taken.
const PACE: Duration = Duration::from_millis(3);
/// How often a busy engine looks how many there are.
const GLANCE: Duration = Duration::from_micros(500);
/// Shortest time between two publications of the progress, in milliseconds.
const PUBLISH_MS: u64 = 100;
/// Longest sleep, in milliseconds.
const SLEEP_MS: u64 = 1000;

/// The engine. It blocks while the journal syncs, so it wants a thread of its own: then connections are served on.
pub(super) struct Engine {
    heart: Heart,
    clock: Clock,
    inbox: Inbox,
    progress: watch::Sender<Progress>,
    published: Stamp,
}

impl Engine {
    /// An engine that has not begun, and where its progress can be seen. The searcher, which has been told nothing yet,
    /// gets a thread of its own and answers by `handle`.
    ///
    /// # Errors
    /// If the searcher's thread cannot be started.
    pub(super) fn new(
        parts: Parts,
        clock: Clock,
        inbox: Inbox,
        handle: Handle,
        searcher: Box<dyn Searcher>,
    ) -> Result<(Self, watch::Receiver<Progress>), EngineFault> {
        let now = clock.now();
        let (heart, tasks) = Heart::new(parts, now);
        start(Thinker::new(searcher, tasks), handle).map_err(EngineFault::NoThread)?;
        let (progress, seen) = watch::channel(heart.progress(now));
        Ok((Self { heart, clock, inbox, progress, published: Stamp(0) }, seen))
    }

    /// Runs until the sweep ends or is suspended.
    ///
    /// # Errors
    /// If the journal cannot be written or the searcher is broken. What was not written was not acted upon.
    pub(super) async fn run(mut self) -> Result<Outcome, EngineFault> {
        self.heart.begin(self.clock.now());
        let mut batch = vec![];
        let mut taken = 0;
        loop {
            let round = Instant::now();
            self.heart.write()?;
            self.heart.sync()?;
            let now = self.clock.now();
            self.heart.perform(now);
            let outcome = self.heart.outcome(now);
            self.publish(now, outcome.is_some());
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            if self.heart.take_ready(now)? {
                continue;
            }
            while gathers(taken, self.inbox.waiting(), round.elapsed()) {
                std::thread::sleep(GLANCE);
            }
            self.inbox.next_batch(BATCH_MAX, self.patience(now), &mut batch).await;
            taken = batch.len();
            let now = self.clock.now();
            for input in batch.drain(..) {
                self.heart.take(now, input)?;
            }
            self.heart.look_at_the_time(now);
        }
    }

    /// How long nothing needs to be done by itself.
    fn patience(&self, now: Stamp) -> Duration {
        let unpublished = self.published.plus(PUBLISH_MS).max(now.plus(1));
        let next = self.heart.next_moment().min(now.plus(SLEEP_MS)).min(unpublished);
        Duration::from_millis(next.since(now).max(1))
    }

    fn publish(&mut self, now: Stamp, last: bool) {
        if now.since(self.published) < PUBLISH_MS && !last {
            return;
        }
        self.published = now;
        // Nobody need look.
        let _ = self.progress.send(self.heart.progress(now));
    }
}

/// Whether an engine waits for more, after a round that began so long ago with so many inputs.
fn gathers(taken: usize, waiting: usize, round: Duration) -> bool {
    taken > FEW && waiting < ENOUGH && round < PACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_engine_on_a_fast_disk_waits_for_more_and_not_for_long() {
        let fast = Duration::from_micros(300);
        assert!(gathers(FEW + 1, 0, fast) && gathers(FEW + 1, ENOUGH - 1, fast));
        assert!(!gathers(FEW, 0, fast), "a few workers are answered at once");
        assert!(!gathers(FEW + 1, ENOUGH, fast), "enough is there");
        assert!(!gathers(BATCH_MAX, 0, PACE), "the disk took its time, in which others could speak");
    }
}
