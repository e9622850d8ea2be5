//! Trainer processes: how they are started, what they say, and how their death is proven. `PROTOCOL.md` beside `src`
//! tells people how to write one.
mod call;
pub mod child;
mod deaf;
pub mod exec;
mod guard;
pub mod lines;
mod log;
mod memory;
pub mod parent;
pub mod protocol;
pub mod template;

pub use call::{Call, CallFault, TrainerProgram};
pub use lines::PatternFault;
