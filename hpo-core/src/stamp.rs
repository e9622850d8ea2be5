//! Time as an input.
use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the sweep was created. Never decreases along a journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub u64);

/// A length of time in milliseconds.
pub type Millis = u64;

impl Stamp {
    /// Five years. Here a sweep's time stands still, so that the ledger's sums fit (its `MOST_WEIGHT` says how).
    pub const LATEST: Self = Self(5 * 365 * 24 * 3_600_000);

    /// Milliseconds from `earlier` to `self`; 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        self.0.saturating_sub(earlier.0)
    }

    /// This stamp `millis` later.
    #[must_use]
    pub fn plus(self, millis: Millis) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0 as f64 / 1e3)
    }
}
