//! When a job of Slurm is told to end, SIGTERM goes to all of its processes at once, to trainers too. A trainer that dies of it
//! has not failed, and how it ended is not judged before this process has had a moment to hear of the signal itself.
use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::session::TrainerEvent;
use crate::trainer::protocol::FromTrainer;

/// How long a signal to all processes of a job may take to all of them.
const MOMENT: Duration = Duration::from_secs(1);

/// Events that wait to be looked at.
const WAITING_MAX: usize = 256;

/// What trainers did, to be looked at in order, and perhaps a moment later.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Whether others may send signals to our trainers.
    shared: bool,
    waiting: VecDeque<(Instant, u16, TrainerEvent)>,
}

impl Doubt {
    /// `shared`: in a job of a batch system.
    pub(super) fn new(shared: bool) -> Self {
        Self { shared, waiting: VecDeque::new() }
    }

    /// Takes note of an event.
    pub(super) fn hear(&mut self, slot: u16, event: TrainerEvent) {
        let patience = if self.shared && is_doubtful(&event) { MOMENT } else { Duration::ZERO };
        // Events of one trainer keep their order.
        let after = self.waiting.iter().rev().find(|(_, other, _)| *other == slot).map(|(at, ..)| *at);
        let at = (Instant::now() + patience).max(after.unwrap_or_else(Instant::now));
        let place = self.waiting.partition_point(|(other, ..)| *other <= at);
        self.waiting.insert(place, (at, slot, event));
    }

    /// Whether more events can wait: a trainer that talks too much waits itself.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    /// The next event whose time has come.
    pub(super) async fn next(&mut self) -> (u16, TrainerEvent) {
        if let Some((at, ..)) = self.waiting.front() {
            sleep_until(*at).await;
        }
        match self.waiting.pop_front() {
            Some((_, slot, event)) => (slot, event),
            None => pending().await,
        }
    }

    /// The signal has come: all is clear, now and from now on.
    pub(super) fn resolve(&mut self) {
        self.shared = false;
        let now = Instant::now();
        self.waiting.iter_mut().for_each(|(at, ..)| *at = now);
    }
}

/// Whether it may be the answer to a signal of which this process has not heard yet.
fn is_doubtful(event: &TrainerEvent) -> bool {
    match event {
        TrainerEvent::Exited(exit) => exit.code != Some(0),
        TrainerEvent::Said(said) => matches!(said, FromTrainer::Left { .. } | FromTrainer::Failed { .. }),
        TrainerEvent::Garbled(_) | TrainerEvent::NotSpawned(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Exit;

    fn died(code: i32) -> TrainerEvent {
        TrainerEvent::Exited(Exit { code: Some(code), ..Exit::default() })
    }

    fn left() -> TrainerEvent {
        TrainerEvent::Said(FromTrainer::Left { resource: 0, checkpoint: None, wrote_ms: 0 })
    }

    #[tokio::test]
    async fn an_unexpected_end_waits_a_moment_and_keeps_the_order_of_its_trainer() {
        let begun = Instant::now();
        let mut doubt = Doubt::new(true);
        doubt.hear(0, left());
        doubt.hear(0, died(0));
        doubt.hear(1, TrainerEvent::Said(FromTrainer::Ready));
        assert_eq!(doubt.next().await, (1, TrainerEvent::Said(FromTrainer::Ready)), "others need not wait");
        assert_eq!(doubt.next().await, (0, left()));
        assert_eq!(doubt.next().await, (0, died(0)));
        assert!(begun.elapsed() >= MOMENT);
    }

    #[tokio::test]
    async fn the_signal_ends_all_doubt() {
        let waits = |doubt: &Doubt| doubt.waiting.iter().any(|(at, ..)| *at > Instant::now());
        let mut doubt = Doubt::new(true);
        doubt.hear(0, died(1));
        doubt.resolve();
        assert!(!waits(&doubt));
        assert_eq!(doubt.next().await, (0, died(1)));
        doubt.hear(0, died(2));
        assert!(!waits(&doubt));
        assert_eq!(doubt.next().await, (0, died(2)));
        let mut alone = Doubt::new(false);
        alone.hear(0, died(1));
        assert!(!waits(&alone));
        assert_eq!(alone.next().await, (0, died(1)));
    }
}
