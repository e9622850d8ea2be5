//! The sweep's memory: every event, in order, on disk before anything is done about it. `FORMAT.md` beside this file
//! gives the format field by field.
//!
//! One driver writes, fenced by its epoch ([`Fence`]); anyone may read at any time, also while the driver writes.
mod claim;
mod fault;
mod fence;
mod line;
mod parse;
mod place;
mod reader;
mod record;
mod replay;
mod watch;
mod writer;

pub use claim::{Claim, Successor, last, living};
pub use fault::{Damage, JournalFault};
pub(crate) use fence::BEAT;
pub use fence::Fence;
pub use place::Place;
pub use reader::{Entry, Reader, Torn};
pub use record::{Header, Record, decisions};
pub use replay::{Replay, Replayed, Step, Verified, VerifyFault, replay, verify};
pub use watch::{Gone, Sight, Standing, Watch};
pub use writer::{Disk, Journal, Medium, Writer, first_line};

/// Version of the format that is written. Journals of every released version replay.
pub const FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
