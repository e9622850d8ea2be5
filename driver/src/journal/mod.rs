//! The sweep's memory: every event, in order, on disk before anything is done about it. `FORMAT.md` beside this file
//! gives the format field by field.
//!
//! One driver writes, fenced by its epoch ([`Fence`]); anyone may read at any time, also while the driver writes.
mod fault;
mod fence;
mod line;
mod reader;
mod record;
mod replay;
mod writer;

pub use fault::{Damage, JournalFault};
pub(crate) use fence::BEAT;
pub use fence::{Claim, Fence, living};
pub use reader::{Entry, Reader, Torn};
pub use record::{Header, Record, decisions};
pub use replay::{Replay, Replayed, Step, Verified, VerifyFault, replay, verify};
pub use writer::{Disk, Journal, Medium, Writer, first_line};

/// Version of the format that is written. Journals of every released version replay.
pub const FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
