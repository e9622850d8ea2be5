//! How often the controller is bothered, and what a refusal teaches. Pure: time comes in.
use hpo_core::Millis;

/// A submission that was refused is tried again after this time at first.
const FIRST_PAUSE: Millis = 60_000;
/// And after this time at the most.
const LONGEST_PAUSE: Millis = 30 * 60_000;

/// When and how many tasks may be submitted. A site's limits (`QOSMaxSubmitJobPerUserLimit`, `MaxArraySize`, a full
/// controller) are not known before they are met: each refusal halves what is asked for and doubles the pause.
#[derive(Clone, Debug)]
pub struct Limiter {
    /// Most tasks of one submission.
    most: u32,
    /// What refusals have taught: the next one may ask for no more. None until one was refused.
    taught: Option<u32>,
    pause: Millis,
    not_before: Millis,
}

impl Limiter {
    /// One submission may ask for `most` tasks: what the site states, such as `MaxArraySize`.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most: most.max(1), taught: None, pause: FIRST_PAUSE, not_before: 0 }
    }

    /// How many of `wanted` tasks may be submitted now; 0 for none.
    #[must_use]
    pub fn allows(&self, now: Millis, wanted: u32) -> u32 {
        if now < self.not_before { 0 } else { wanted.min(self.most).min(self.taught.unwrap_or(self.most)) }
    }

    /// One submission may ask for more or for less than before; what refusals have taught holds on.
    pub fn raise(&mut self, most: u32) {
        self.most = most.max(1);
    }

    /// A submission was accepted: the next may ask for twice as much again.
    pub fn accepted(&mut self) {
        self.taught = self.taught.map(|taught| taught.saturating_mul(2));
        self.pause = FIRST_PAUSE;
        self.not_before = 0;
    }

    /// One of `asked` tasks was refused, or the controller did not answer.
    pub fn refused(&mut self, now: Millis, asked: u32) {
        self.taught = Some((asked / 2).max(1));
        // Below one task only time can help.
        self.not_before = now.saturating_add(if asked > 1 { FIRST_PAUSE / 12 } else { self.pause });
        if asked <= 1 {
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_halve_the_size_then_double_the_pause_and_success_restores_both() {
        let mut limiter = Limiter::new(1000);
        assert_eq!(limiter.allows(0, 32), 32);
        assert_eq!(limiter.allows(0, 5000), 1000);
        let mut now = 0;
        for (asked, next) in [(32, 16), (16, 8), (8, 4), (4, 2), (2, 1)] {
            limiter.refused(now, asked);
            assert_eq!(limiter.allows(now, 32), 0, "not at once");
            now = limiter.not_before;
            assert_eq!(limiter.allows(now, 32), next);
        }
        assert!(now < FIRST_PAUSE, "a limit of one is found within a minute: {now}");
        let mut pauses = vec![];
        for _ in 0..7 {
            limiter.refused(now, 1);
            pauses.push(limiter.not_before - now);
            now = limiter.not_before;
        }
        assert_eq!(pauses, [60_000, 120_000, 240_000, 480_000, 960_000, LONGEST_PAUSE, LONGEST_PAUSE]);
        limiter.accepted();
        assert_eq!(limiter.allows(now, 32), 2);
        limiter.refused(now, 1);
        assert_eq!(limiter.not_before - now, FIRST_PAUSE, "the pause begins anew");
    }

    #[test]
    fn whoever_allows_fewer_and_then_more_does_not_unlearn_a_refusal() {
        let mut limiter = Limiter::new(8);
        limiter.refused(0, 1);
        limiter.raise(1);
        limiter.raise(16);
        let later = limiter.not_before;
        assert_eq!(limiter.allows(later, 16), 1, "one was refused");
        limiter.accepted();
        assert_eq!(limiter.allows(later, 16), 2);
        let mut unhurt = Limiter::new(1);
        unhurt.raise(16);
        assert_eq!(unhurt.allows(0, 16), 16);
    }
}
