//! Between the generated messages and the plain types. Everything that comes from outside is checked here, so that no
//! later code meets an id that is none, a slot that cannot be numbered, or a file name that leads out of its folder.
mod driver;
mod worker;

use hpo_core::sweep::event::{Checkpoint, FailureKind, Held};
use hpo_core::{Attempt, Resource, TrialId, Value, layout};

use crate::limits::VALUE_MAX;
use crate::pb;

pub use driver::from_driver;

/// What is wrong with a message from the other side. A retry does not help: the program there is faulty or no friend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertFault {
    /// A `oneof` or a message field is not set, or is of a kind that this version does not know.
    #[error("the message lacks `{field}`, or has one of a kind that this version does not know")]
    Missing {
        /// Name of the field in `hpo.proto`.
        field: &'static str,
    },
    /// Not 32 hexadecimal digits.
    #[error("`{text}` is not a worker id of 32 hexadecimal digits")]
    WorkerId {
        /// What came.
        text: String,
    },
    /// Not as `hpo_core::layout::id` makes them.
    #[error("`{text}` is not a checkpoint id: 64 lower-case hexadecimal digits, `-` and the number of an attempt")]
    CheckpointId {
        /// What came.
        text: String,
    },
    /// Slots are numbered below 65536.
    #[error("slot {slot} is out of range")]
    Slot {
        /// What came.
        slot: u32,
    },
    /// A number without a name in `FailureKind`.
    #[error("failure kind {number} is not known")]
    FailureKind {
        /// What came.
        number: i32,
    },
    /// A text that is longer than it may be.
    #[error("{what} has {bytes} bytes; {most} are the most")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// More of something than there may be.
    #[error("the message has {count} {what}; {most} are the most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many came.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// A parameter that is NaN or infinite.
    #[error("parameter `{name}` is not a finite number")]
    NotFinite {
        /// Whose value.
        name: String,
    },
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, ConvertFault> {
    value.ok_or(ConvertFault::Missing { field })
}

/// A text, if it is no longer than it may be.
fn short(what: &'static str, text: String, most: usize) -> Result<String, ConvertFault> {
    fits(what, &text, most).map(|()| text)
}

fn fits(what: &'static str, text: &str, most: usize) -> Result<(), ConvertFault> {
    if text.len() <= most { Ok(()) } else { Err(ConvertFault::TooLong { what, bytes: text.len(), most }) }
}

fn few(what: &'static str, count: usize, most: usize) -> Result<(), ConvertFault> {
    if count <= most { Ok(()) } else { Err(ConvertFault::TooMany { what, count, most }) }
}

impl From<Held> for pb::Held {
    fn from(held: Held) -> Self {
        Self { trial: held.trial.0, attempt: held.attempt.0, slot: held.slot.into() }
    }
}

impl TryFrom<pb::Held> for Held {
    type Error = ConvertFault;
    fn try_from(held: pb::Held) -> Result<Self, ConvertFault> {
        Ok(Self { trial: TrialId(held.trial), attempt: Attempt(held.attempt), slot: slot(held.slot)? })
    }
}

fn slot(number: u32) -> Result<u16, ConvertFault> {
    u16::try_from(number).map_err(|_| ConvertFault::Slot { slot: number })
}

impl From<Checkpoint> for pb::Checkpoint {
    fn from(checkpoint: Checkpoint) -> Self {
        let Checkpoint { id, resource, bytes, wrote_ms } = checkpoint;
        Self { id, resource: resource.0, bytes, wrote_ms }
    }
}

impl TryFrom<pb::Checkpoint> for Checkpoint {
    type Error = ConvertFault;
    fn try_from(checkpoint: pb::Checkpoint) -> Result<Self, ConvertFault> {
        let pb::Checkpoint { id, resource, bytes, wrote_ms } = checkpoint;
        // The id becomes a file name.
        if layout::hash(&id).is_none() {
            return Err(ConvertFault::CheckpointId { text: id.chars().take(80).collect() });
        }
        Ok(Self { id, resource: Resource(resource), bytes, wrote_ms })
    }
}

fn state(checkpoint: Option<pb::Checkpoint>) -> Result<Option<Checkpoint>, ConvertFault> {
    checkpoint.map(Checkpoint::try_from).transpose()
}

impl From<FailureKind> for pb::FailureKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::NotFinite => Self::NotFinite,
            FailureKind::OutOfMemory => Self::OutOfMemory,
            FailureKind::Exit => Self::Exit,
            FailureKind::Crash => Self::Crash,
            FailureKind::Hang => Self::Hang,
            FailureKind::Setup => Self::Setup,
            FailureKind::Checkpoint => Self::Checkpoint,
            FailureKind::Protocol => Self::Protocol,
        }
    }
}

fn failure_kind(number: i32) -> Result<FailureKind, ConvertFault> {
    match pb::FailureKind::try_from(number) {
        Ok(pb::FailureKind::NotFinite) => Ok(FailureKind::NotFinite),
        Ok(pb::FailureKind::OutOfMemory) => Ok(FailureKind::OutOfMemory),
        Ok(pb::FailureKind::Exit) => Ok(FailureKind::Exit),
        Ok(pb::FailureKind::Crash) => Ok(FailureKind::Crash),
        Ok(pb::FailureKind::Hang) => Ok(FailureKind::Hang),
        Ok(pb::FailureKind::Setup) => Ok(FailureKind::Setup),
        Ok(pb::FailureKind::Checkpoint) => Ok(FailureKind::Checkpoint),
        Ok(pb::FailureKind::Protocol) => Ok(FailureKind::Protocol),
        Ok(pb::FailureKind::Unspecified) | Err(_) => Err(ConvertFault::FailureKind { number }),
    }
}

impl From<Value> for pb::Value {
    fn from(value: Value) -> Self {
        let kind = match value {
            Value::Bool(truth) => pb::value::Kind::Truth(truth),
            Value::Int(integer) => pb::value::Kind::Integer(integer),
            Value::Float(number) => pb::value::Kind::Number(number),
            Value::Text(text) => pb::value::Kind::Text(text),
        };
        Self { kind: Some(kind) }
    }
}

fn value(name: &str, value: pb::Value) -> Result<Value, ConvertFault> {
    Ok(match required("Value.kind", value.kind)? {
        pb::value::Kind::Truth(truth) => Value::Bool(truth),
        pb::value::Kind::Integer(integer) => Value::Int(integer),
        pb::value::Kind::Number(number) if number.is_finite() => Value::Float(number),
        pb::value::Kind::Number(_) => return Err(ConvertFault::NotFinite { name: name.to_owned() }),
        pb::value::Kind::Text(text) => Value::Text(short("the value of a parameter", text, VALUE_MAX)?),
    })
}

#[cfg(test)]
mod tests;
