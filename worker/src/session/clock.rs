//! The time that a session is told.
use hpo_core::Millis;

/// No wait between two looks at the clock is longer, in milliseconds, in a process that runs: the agent ticks ten times a second.
const GAP_MAX: Millis = 2_000;

/// A clock that stands still while the process does: it was stopped, its machine slept, or a file system kept it waiting.
/// What others said in that time is still to be heard, so none of it counts as their silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    looked: Millis,
    stood: Millis,
    woke: bool,
}

impl Clock {
    /// The session's time, `elapsed` milliseconds after the process began by a clock that never goes back.
    pub fn at(&mut self, elapsed: Millis) -> Millis {
        let gap = elapsed.saturating_sub(self.looked);
        self.looked = elapsed;
        self.stood += gap.saturating_sub(GAP_MAX);
        self.woke |= gap > GAP_MAX;
        elapsed.saturating_sub(self.stood)
    }

    /// Whether it has stood since this was asked last: then the session is to be told [`super::Input::Woke`].
    pub fn woke(&mut self) -> bool {
        std::mem::take(&mut self.woke)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_nobody_listened_does_not_count() {
        let mut clock = Clock::default();
        assert_eq!((1..=50).map(|tick| clock.at(tick * 100)).last(), Some(5_000));
        assert_eq!(clock.at(7_000), 7_000, "busy");
        assert!(!clock.woke());
        assert_eq!(clock.at(607_000), 9_000, "stopped for ten minutes");
        assert!(clock.woke() && !clock.woke());
        assert_eq!(clock.at(607_100), 9_100);
    }
}
