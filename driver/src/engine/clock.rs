//! What time it is for the sweep.
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hpo_core::{Millis, Stamp};

/// Milliseconds since the sweep was created, never less than a stamp that is in the journal.
///
/// The wall clock is read once, at the start of a driver; from there a monotonic clock counts. So a clock that is set
/// back or forward while a sweep runs moves no budget and loses no lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    base: Stamp,
    since: Instant,
}

impl Clock {
    /// The clock of a sweep that was created at `created_unix_ms` and whose last record has the stamp `last`.
    pub(super) fn of(created_unix_ms: u64, last: Stamp) -> Self {
        Self { base: base(unix_ms(), created_unix_ms, last), since: Instant::now() }
    }

    /// Now.
    pub(super) fn now(&self) -> Stamp {
        self.base.plus(self.since.elapsed().as_millis() as Millis)
    }
}

/// Where a driver's time begins whose wall clock shows `unix_ms`, in a sweep that was created at `created_unix_ms` and whose
/// last record has the stamp `last`.
#[must_use]
pub fn base(unix_ms: u64, created_unix_ms: u64, last: Stamp) -> Stamp {
    Stamp(unix_ms.saturating_sub(created_unix_ms)).max(last)
}

/// Milliseconds since 1970-01-01 UTC; 0 on a clock that is before.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_starts_at_creation_and_never_before_the_journal() {
        let hour = 3_600_000;
        let now = Clock::of(unix_ms() - hour, Stamp(5)).now();
        assert!(now.since(Stamp(hour)) < 60_000, "{now}");
        // The wall clock was set back after the journal was written.
        let clock = Clock::of(unix_ms() + hour, Stamp(77));
        assert!(clock.now() >= Stamp(77));
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(clock.now() > Stamp(77));
    }
}
