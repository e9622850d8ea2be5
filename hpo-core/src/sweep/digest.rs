//! Whether two sweeps are in one state: by a number for all of it, or field by field.
use std::fmt::{self, Write};

use super::Sweep;

impl Sweep {
    /// Equal for equal histories, on every machine. O(trials).
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hash = Hash(0xcbf2_9ce4_8422_2325);
        // Every field takes part, those of the scheduler too; floats are written so that they can be read back exactly.
        let written = write!(hash, "{self:?}");
        debug_assert!(written.is_ok(), "hashing cannot fail");
        hash.0
    }
}

impl PartialEq for Sweep {
    /// Field by field, those of the scheduler too: a small part of what two digests cost. Losses that are not finite are all one
    /// [`crate::Loss`]; [`Sweep::digest`] tells them apart.
    fn eq(&self, other: &Self) -> bool {
        let Self { spec, scheduler, trials, told, asked, next_trial, exhausted, interrupted, fresh, fleet, .. } = self;
        let Self { ledger, leaders, tally, phase, pace, driver_epoch, booked, now, .. } = self;
        (now, phase, driver_epoch, next_trial, exhausted)
            == (&other.now, &other.phase, &other.driver_epoch, &other.next_trial, &other.exhausted)
            && (trials, told, asked, interrupted) == (&other.trials, &other.told, &other.asked, &other.interrupted)
            && (fresh, fleet) == (&other.fresh, &other.fleet)
            && (ledger, leaders, tally, pace, booked) == (&other.ledger, &other.leaders, &other.tally, &other.pace, &other.booked)
            && **scheduler == *other.scheduler
            && *spec == other.spec
    }
}

/// FNV-1a with eight bytes at a step, the high half of which is folded into the low one: a digest is a pass over the whole state.
struct Hash(u64);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let mixed = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3);
            self.0 = mixed ^ (mixed >> 32);
        }
        Ok(())
    }
}
