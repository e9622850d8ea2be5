//! How long a word is under way before the driver has taken it.
use hpo_core::Stamp;

use super::Conditions;

/// In each second.
const NANOS: u128 = 1_000_000_000;
/// In each millisecond.
const NANOS_PER_MS: u128 = 1_000_000;

/// The way to the driver and its desk: each word takes the same time to come there, and is taken after all that came before it.
/// A queue with one server (M/D/1, if words come by chance).
#[derive(Debug)]
pub(super) struct Post {
    /// Of each word's way, and of the way back.
    latency: u128,
    /// That the driver takes for a word.
    service: u128,
    /// When it has taken all that is there. Finer than the clock: it takes many words in a millisecond.
    free: u128,
}

impl Post {
    pub(super) fn new(conditions: &Conditions) -> Self {
        let service = conditions.words_per_second.map_or(0, |rate| NANOS / u128::from(rate.max(1)));
        Self { latency: u128::from(conditions.latency) * NANOS_PER_MS, service, free: 0 }
    }

    /// Whether words take any time at all.
    pub(super) fn is_slow(&self) -> bool {
        self.latency + self.service > 0
    }

    /// When the driver has taken a word that is said now.
    pub(super) fn taken(&mut self, now: Stamp) -> Stamp {
        let comes = u128::from(now.0) * NANOS_PER_MS + self.latency;
        self.free = comes.max(self.free) + self.service;
        Stamp(u64::try_from(self.free.div_ceil(NANOS_PER_MS)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wait_for_those_before_them_and_never_overtake() {
        let mut post = Post::new(&Conditions { latency: 5, words_per_second: Some(400), ..Conditions::ideal(1) });
        assert!(post.is_slow());
        // 2.5 ms each: two that are said together are taken one after the other, and a rest of time lets the desk empty.
        assert_eq!([0, 0, 0, 100].map(|now| post.taken(Stamp(now))), [8, 10, 13, 108].map(Stamp));
    }

    #[test]
    fn without_a_word_about_it_nothing_takes_time() {
        let mut post = Post::new(&Conditions::ideal(1));
        assert!(!post.is_slow());
        assert_eq!(post.taken(Stamp(7)), Stamp(7));
    }
}
