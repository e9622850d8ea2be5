//! What the log says of those who are turned away: a few lines, then a count, so that a flood of them does not fill a disk.
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// Lines in one period.
const LINES: u32 = 10;
/// Length of a period.
const PERIOD: Duration = Duration::from_secs(10);

/// Says who is turned away, and why.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<Tally>);

impl Notices {
    pub(super) fn refused(&self, peer: std::net::SocketAddr, why: &str) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match tally.count(Instant::now()) {
            None => {}
            Some(0) => warn!("{peer} was turned away: {why}"),
            Some(more) => warn!("{peer} was turned away: {why} (and {more} others since the last line)"),
        }
    }
}

/// Pure: time comes in.
#[derive(Debug, Default)]
struct Tally {
    begun: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Tally {
    /// Whether to say this one, and how many were not said before it.
    fn count(&mut self, now: Instant) -> Option<u64> {
        if self.begun.is_none_or(|begun| now.duration_since(begun) >= PERIOD) {
            (self.begun, self.said) = (Some(now), 0);
        }
        if self.said == LINES {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_count() {
        let mut tally = Tally::default();
        let begun = Instant::now();
        let said = (0..1000).filter_map(|_| tally.count(begun)).collect::<Vec<_>>();
        assert_eq!(said, [0; LINES as usize]);
        assert_eq!(tally.count(begun + PERIOD / 2), None);
        assert_eq!(tally.count(begun + PERIOD), Some(991));
        assert_eq!(tally.count(begun + PERIOD), Some(0));
    }
}
