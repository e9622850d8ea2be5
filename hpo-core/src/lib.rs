//! The meaning of a sweep: what a trial is, when it goes on, and what it cost.
//!
//! Pure: no I/O, no clock, no threads, no chance. Time is a [`Stamp`] on each event, randomness arrives as a
//! [`Event::Suggested`], so equal histories give equal decisions on any machine.
mod by_trial;
mod id;
pub mod job;
pub mod layout;
pub mod ledger;
mod loss;
pub mod schedule;
mod seed;
pub mod shell;
pub mod space;
mod stamp;
pub mod sweep;

pub use id::{Attempt, ParseIdError, Resource, Seq, SlotId, TrialId, WorkerId};
pub use loss::{Goal, Loss, Metrics};
pub use seed::Seed;
pub use space::{Params, Space, Value};
pub use stamp::{Millis, Stamp};
pub use sweep::{Action, Event, Lease, Rejection, Sweep, SweepSpec, SweepView};
