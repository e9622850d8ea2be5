//! One number for the whole state.
use std::fmt::{self, Write};

use super::Sweep;

impl Sweep {
    /// Equal for equal histories, on every machine. O(trials).
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        // Every field takes part, those of the scheduler too; floats are written so that they can be read back exactly.
        let written = write!(hash, "{self:?}");
        debug_assert!(written.is_ok(), "hashing cannot fail");
        hash.0
    }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
