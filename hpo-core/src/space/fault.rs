//! What can be wrong with a space, and with values that are to be a point of it.
use super::Value;

/// What is wrong with a space, and with which parameter.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("parameter `{parameter}`: {kind}")]
pub struct SpaceFault {
    /// Whose fault.
    pub parameter: String,
    /// What it is.
    pub kind: SpaceFaultKind,
}

/// The ways in which a parameter can be wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpaceFaultKind {
    /// Two parameters of one name.
    #[error("it is declared twice")]
    Twice,
    /// `low > high`.
    #[error("low is {low}, above high, which is {high}")]
    Reversed {
        /// The lower edge given.
        low: f64,
        /// The upper edge given.
        high: f64,
    },
    /// A number is NaN or infinite, or the edges are further apart than a float can say.
    #[error("its values, and the distance between its edges, must be finite")]
    NotFinite,
    /// A log scale needs positive values.
    #[error("a log scale starts above zero, but low is {low}")]
    LogFromZero {
        /// The lower edge given.
        low: f64,
    },
    /// Step not positive, or no whole number of steps between the edges.
    #[error("step {step} does not lead from {low} to {high} in a whole number of steps")]
    Step {
        /// The step given.
        step: f64,
        /// Lower edge.
        low: f64,
        /// Upper edge.
        high: f64,
    },
    /// More values than coordinates in [0, 1] keep apart.
    #[error("it has too many values to tell them apart")]
    TooMany,
    /// A choice among, or a condition on, more values than [`Space::MOST_VALUES`](super::Space::MOST_VALUES).
    #[error("it lists {found} values; {} are the most", super::Space::MOST_VALUES)]
    LongList {
        /// How many.
        found: usize,
    },
    /// More parameters than [`Space::MOST_PARAMETERS`](super::Space::MOST_PARAMETERS).
    #[error("it is one of {found} parameters; {} are the most", super::Space::MOST_PARAMETERS)]
    TooManyParameters {
        /// How many.
        found: usize,
    },
    /// A choice among nothing, or with a value given twice.
    #[error("its choices must be at least one, each once")]
    Choices,
    /// The condition names no parameter of the space.
    #[error("its condition is on `{parent}`, which is not a parameter of this space")]
    NoParent {
        /// The name given.
        parent: String,
    },
    /// The parent can never have that value.
    #[error("its condition asks for `{parent}` = {value}, a value that `{parent}` never takes")]
    NoSuchValue {
        /// The parent.
        parent: String,
        /// The impossible value.
        value: Value,
    },
    /// The parent is a continuum, of which no single value is ever drawn.
    #[error("its condition is on `{parent}`, which takes any real number and so never exactly the one asked for")]
    ContinuousParent {
        /// The parent.
        parent: String,
    },
    /// Conditions of the parameter and its parents that exclude each other.
    #[error("its condition can never hold: with the conditions of its parents, no value of `{ancestor}` is left")]
    Contradiction {
        /// The parameter that would need two values at once.
        ancestor: String,
    },
    /// Conditions that lead back to the parameter itself.
    #[error("its condition leads back to itself")]
    Circular,
}

/// Why a set of values is not a point of the space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotInSpace {
    /// A parameter that is active has no value.
    #[error("`{0}` has no value")]
    Missing(String),
    /// A value for a parameter that is not active under the others, or not in the space.
    #[error("`{0}` does not exist here")]
    Extra(String),
    /// A value outside the parameter's domain.
    #[error("`{name}` = {value} is not one of its values")]
    Outside {
        /// The parameter.
        name: String,
        /// The value given.
        value: Value,
    },
}
