//! Hyperparameters: a name, what it means, which values it takes, and what it is when the sweep does not say.
use std::ops::RangeInclusive;

use hpo_core::space::ROW;
use hpo_core::{Params, Value};

/// A hyperparameter as people are told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hyperparameter {
    /// Its name in `[space]`.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The values it takes, in words.
    pub values: String,
    /// What it is when not given.
    pub default: String,
}

/// Why the parameters of a trial make no sense to its model. Another attempt would find the same.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParamFault {
    /// No such parameter.
    #[error("{model} has no parameter `{name}`{}; it has {known}", nearest.as_ref().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default())]
    Unknown {
        /// The network.
        model: &'static str,
        /// The name given.
        name: String,
        /// A known name close to it.
        nearest: Option<&'static str>,
        /// All known names.
        known: String,
    },
    /// Not a value of the parameter.
    #[error("`{name}` = {value} is not possible: it takes {values}")]
    Value {
        /// Which parameter.
        name: &'static str,
        /// What was given.
        value: Value,
        /// What it takes, in words.
        values: String,
    },
    /// It means nothing under another parameter's value.
    #[error("`{name}` means nothing with {parent} = {value}; make it conditional in [space]: when = {{ {parent} = {wanted} }}")]
    Idle {
        /// Which parameter.
        name: &'static str,
        /// The one that makes it meaningless.
        parent: &'static str,
        /// That one's value.
        value: &'static str,
        /// The values under which it means something, as TOML.
        wanted: &'static str,
    },
    /// The image is too small for so many halvings.
    #[error("`depth` = {depth} halves a {height}x{width} image below one pixel: at most {most} convolutions fit")]
    TooDeep {
        /// What was given.
        depth: usize,
        /// Pixels.
        height: usize,
        /// Pixels.
        width: usize,
        /// The largest depth.
        most: usize,
    },
}

impl ParamFault {
    /// The parameter that it is about.
    #[must_use]
    pub fn parameter(&self) -> &str {
        match self {
            Self::Unknown { name, .. } => name,
            Self::Value { name, .. } | Self::Idle { name, .. } => name,
            Self::TooDeep { .. } => "depth",
        }
    }
}

/// A real number.
pub(crate) struct Float {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) default: f64,
}

/// A whole number.
pub(crate) struct Int {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) default: i64,
}

/// Yes or no.
pub(crate) struct Truth {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) default: bool,
}

/// One of a few words; the first is the default.
pub(crate) struct Word {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) words: &'static [&'static str],
}

impl Float {
    pub(crate) fn read(&self, params: &Params) -> Result<f64, ParamFault> {
        let range = self.low..=self.high;
        read(self.name, params, self.default, |value| value.number().filter(|number| range.contains(number)), || self.values())
    }

    fn values(&self) -> String {
        format!("a number from {:?} to {:?}", self.low, self.high)
    }

    pub(crate) fn describe(&self) -> Hyperparameter {
        Hyperparameter { name: self.name, about: self.about, values: self.values(), default: format!("{:?}", self.default) }
    }
}

impl Int {
    fn range(&self) -> RangeInclusive<i64> {
        self.low..=self.high
    }

    /// As a size; no parameter here takes negative values.
    pub(crate) fn read(&self, params: &Params) -> Result<usize, ParamFault> {
        let get = |value: &Value| value.integer().filter(|number| self.range().contains(number));
        read(self.name, params, self.default, get, || self.values()).map(|number| number.unsigned_abs() as usize)
    }

    fn values(&self) -> String {
        format!("a whole number from {} to {}", self.low, self.high)
    }

    pub(crate) fn describe(&self) -> Hyperparameter {
        Hyperparameter { name: self.name, about: self.about, values: self.values(), default: self.default.to_string() }
    }
}

impl Truth {
    pub(crate) fn read(&self, params: &Params) -> Result<bool, ParamFault> {
        read(self.name, params, self.default, Value::truth, || "true or false".to_owned())
    }

    pub(crate) fn describe(&self) -> Hyperparameter {
        Hyperparameter { name: self.name, about: self.about, values: "true or false".to_owned(), default: self.default.to_string() }
    }
}

impl Word {
    pub(crate) fn read(&self, params: &Params) -> Result<&'static str, ParamFault> {
        let get = |value: &Value| value.text().and_then(|text| self.words.iter().find(|word| **word == text).copied());
        read(self.name, params, self.words[0], get, || self.values())
    }

    fn values(&self) -> String {
        format!("one of {}", self.words.join(", "))
    }

    pub(crate) fn describe(&self) -> Hyperparameter {
        Hyperparameter { name: self.name, about: self.about, values: self.values(), default: self.words[0].to_owned() }
    }
}

fn read<T>(
    name: &'static str,
    params: &Params,
    default: T,
    get: impl Fn(&Value) -> Option<T>,
    values: impl Fn() -> String,
) -> Result<T, ParamFault> {
    let Some(value) = params.get(name) else { return Ok(default) };
    get(value).ok_or_else(|| ParamFault::Value { name, value: value.clone(), values: values() })
}

/// Refuses names that are not among `known`. The number of a pool's row says where values came from, and is none.
pub(crate) fn check_names(model: &'static str, params: &Params, known: &[Hyperparameter]) -> Result<(), ParamFault> {
    let unknown = |name: &&String| *name != ROW && known.iter().all(|one| one.name != **name);
    let Some(name) = params.keys().find(unknown) else { return Ok(()) };
    let near = |one: &&Hyperparameter| strsim::damerau_levenshtein(one.name, name) <= 1 + name.len() / 4;
    let nearest = known.iter().filter(near).min_by_key(|one| strsim::damerau_levenshtein(one.name, name)).map(|one| one.name);
    let known = known.iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
    Err(ParamFault::Unknown { model, name: name.clone(), nearest, known })
}
