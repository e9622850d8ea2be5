//! The one source of everything that could as well have gone otherwise.
use hpo_core::Seed;
use rand::Rng;
use rand::rngs::ChaCha8Rng;

/// Says which of several things happens. A seed does ([`Dice`]); so does whoever goes through all paths one after the other.
/// Where there is only one possibility it is not asked.
pub trait Chance {
    /// One of `n` possibilities, from 0; `n` is at least 2. `what` names the question.
    fn pick(&mut self, what: &'static str, n: usize) -> usize;

    /// Whether a misfortune happens that does so `per_mille` times in a thousand: more than 0, less than 1000.
    fn strikes(&mut self, what: &'static str, per_mille: u32) -> bool;
}

impl dyn Chance + '_ {
    /// One of `n` possibilities; 0 if there is but one.
    pub fn one_of(&mut self, what: &'static str, n: usize) -> usize {
        if n < 2 { 0 } else { self.pick(what, n) }
    }

    /// A number between two, both possible.
    pub fn between(&mut self, what: &'static str, (low, high): (u64, u64)) -> u64 {
        low + self.one_of(what, usize::try_from(high.saturating_sub(low)).unwrap_or(usize::MAX - 1) + 1) as u64
    }

    /// Whether a misfortune happens.
    pub fn hits(&mut self, what: &'static str, per_mille: u32) -> bool {
        match per_mille {
            0 => false,
            1..1000 => self.strikes(what, per_mille),
            _ => true,
        }
    }
}

/// Chance from a seed.
#[derive(Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of one purpose.
    #[must_use]
    pub fn of(seed: Seed, purpose: &str) -> Self {
        Self(seed.derive(purpose, 0).rng())
    }
}

impl Chance for Dice {
    fn pick(&mut self, _: &'static str, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    fn strikes(&mut self, _: &'static str, per_mille: u32) -> bool {
        self.0.next_u64() % 1000 < u64::from(per_mille)
    }
}
