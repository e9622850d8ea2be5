//! The values one parameter may take, and its way to [0, 1] and back.
use serde::{Deserialize, Serialize};

use super::{SpaceFaultKind, Value};

/// A step that decimal fractions cannot hit exactly may be missed by so much of itself.
const SLACK: f64 = 1e-6;

/// Most whole numbers in a range, and the largest on a log scale: up to here each has a coordinate in [0, 1] that leads
/// back to it and to no neighbour.
const MOST_VALUES: u64 = 1 << 40;

/// Whole numbers are exact as floats up to here.
const LARGEST: u64 = 1 << 53;

/// Edges of a stepped range are at most so many steps from zero: beyond, rounding comes near to the slack.
const MOST_STEPS: f64 = 1e9;

/// How a scale is folded onto [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fold {
    /// Equal lengths have equal probability.
    Linear,
    /// Equal ratios have equal probability.
    Log,
}

/// The values of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Real numbers from `low` to `high`, both included; with a step, only `low + k step` (linear scale only).
    Float {
        /// Lower edge.
        low: f64,
        /// Upper edge.
        high: f64,
        /// The scale.
        fold: Fold,
        /// Distance between values.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<f64>,
    },
    /// Whole numbers from `low` to `high`, both included, every `step`-th of them.
    Int {
        /// Lower edge.
        low: i64,
        /// Upper edge.
        high: i64,
        /// The scale.
        fold: Fold,
        /// Distance between values; 1 on a log scale.
        step: i64,
    },
    /// One of some values.
    Choice {
        /// The values.
        values: Vec<Value>,
        /// Whether neighbours in the list are alike.
        ordered: bool,
    },
    /// `false` or `true`.
    Bool,
    /// Always this.
    Constant(Value),
}

impl Domain {
    /// Whether the domain makes sense.
    pub(super) fn check(&self) -> Result<(), SpaceFaultKind> {
        let finite = |value: &Value| value.number().is_none_or(f64::is_finite);
        match self {
            Self::Float { low, high, fold, step } => check_float(*low, *high, *fold, *step),
            Self::Int { low, high, fold, step } => check_int(*low, *high, *fold, *step),
            Self::Choice { values, .. } => match values.iter().all(finite) {
                true if values.is_empty() || has_twins(values) => Err(SpaceFaultKind::Choices),
                true => Ok(()),
                false => Err(SpaceFaultKind::NotFinite),
            },
            Self::Constant(value) if !finite(value) => Err(SpaceFaultKind::NotFinite),
            Self::Bool | Self::Constant(_) => Ok(()),
        }
    }

    /// Whether it is a dimension of the search.
    #[must_use]
    pub fn varies(&self) -> bool {
        !matches!(self, Self::Constant(_))
    }

    /// How many values it has; `None` for a continuum.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Float { low, high, step: Some(step), .. } => Some(steps(*low, *high, *step) + 1),
            Self::Float { low, high, .. } => (low >= high).then_some(1),
            Self::Int { low, high, step, .. } => Some(high.abs_diff(*low) / step.unsigned_abs() + 1),
            Self::Choice { values, .. } => Some(values.len() as u64),
            Self::Bool => Some(2),
            Self::Constant(_) => Some(1),
        }
    }

    /// Value number `index` from 0, smallest first or in the order of the list; `None` from [`Domain::size`] on, and for
    /// a continuum.
    #[must_use]
    pub fn nth(&self, index: u64) -> Option<Value> {
        if index >= self.size()? {
            return None;
        }
        Some(match self {
            Self::Float { low, high, step: Some(step), .. } => Value::Float(stepped(*low, *high, *step, index)),
            Self::Float { low, .. } => Value::Float(*low),
            Self::Int { low, step, .. } => Value::Int(low + index as i64 * step),
            Self::Choice { values, .. } => values[index as usize].clone(),
            Self::Bool => Value::Bool(index == 1),
            Self::Constant(constant) => constant.clone(),
        })
    }

    /// The number of `value`, of which [`Domain::nth`] makes it again; `None` if it is not one of the values, and for a
    /// continuum.
    #[must_use]
    pub fn index_of(&self, value: &Value) -> Option<u64> {
        match self {
            Self::Float { low, high, step: Some(step), .. } => {
                let number = value.number().filter(|number| number.is_finite())?;
                // A negative index becomes 0, from which the number is then too far.
                let index = (((number - low) / step).round() as u64).min(steps(*low, *high, *step));
                ((number - stepped(*low, *high, *step, index)).abs() <= SLACK * step).then_some(index)
            }
            Self::Float { low, high, .. } => (low >= high && value.number() == Some(*low)).then_some(0),
            Self::Int { low, high, step, .. } => {
                let number = value.integer().filter(|number| (*low..=*high).contains(number))?;
                ((number - low) % step == 0).then_some(((number - low) / step) as u64)
            }
            Self::Choice { values, .. } => values.iter().position(|choice| choice.same(value)).map(|index| index as u64),
            Self::Bool => value.truth().map(u64::from),
            Self::Constant(constant) => constant.same(value).then_some(0),
        }
    }

    /// Whether `value` is one of its values.
    #[must_use]
    pub fn contains(&self, value: &Value) -> bool {
        match self {
            Self::Float { low, high, step: None, .. } => value.number().is_some_and(|number| (*low..=*high).contains(&number)),
            _ => self.index_of(value).is_some(),
        }
    }

    /// The value at `unit` in [0, 1]. Discrete values own equal shares of the interval; whole numbers on a log scale own
    /// the shares of its logarithm.
    #[must_use]
    pub fn from_unit(&self, unit: f64) -> Value {
        let unit = if unit.is_nan() { 0.5 } else { unit.clamp(0.0, 1.0) };
        match self {
            Self::Float { low, high, fold: Fold::Linear, step: None } => Value::Float(plain(low + unit * (high - low)).clamp(*low, *high)),
            Self::Float { low, high, fold: Fold::Log, step: None } => {
                Value::Float(plain((low.ln() + unit * (high.ln() - low.ln())).exp()).clamp(*low, *high))
            }
            Self::Float { low, high, step: Some(step), .. } => {
                let index = share(unit, steps(*low, *high, *step) + 1);
                Value::Float(stepped(*low, *high, *step, index))
            }
            Self::Int { low, high, fold: Fold::Linear, step } => {
                let count = high.abs_diff(*low) / step.unsigned_abs() + 1;
                Value::Int(low + share(unit, count) as i64 * step)
            }
            Self::Int { low, high, fold: Fold::Log, .. } => {
                let (start, end) = log_edges(*low, *high);
                let value = (start + unit * (end - start)).exp().round() as i64;
                Value::Int(value.clamp(*low, *high))
            }
            Self::Choice { values, .. } => values[share(unit, values.len() as u64) as usize].clone(),
            Self::Bool => Value::Bool(unit >= 0.5),
            Self::Constant(constant) => constant.clone(),
        }
    }

    /// Where `value` lies in [0, 1]: the middle of its share if it is discrete, so that [`Domain::from_unit`] leads back
    /// to it exactly, as it does to a real number but for rounding: 1e-12 of the larger edge, or on a log scale of its
    /// logarithm. Values outside are clamped.
    #[must_use]
    pub fn to_unit(&self, value: &Value) -> f64 {
        let unit = match self {
            Self::Float { low, high, step: None, .. } if low >= high => 0.5,
            Self::Float { low, high, fold: Fold::Linear, step: None } => (value.number().unwrap_or(*low) - low) / (high - low),
            Self::Float { low, high, fold: Fold::Log, step: None } => {
                (value.number().unwrap_or(*low).ln() - low.ln()) / (high.ln() - low.ln())
            }
            Self::Float { low, high, step: Some(step), .. } => {
                let index = ((value.number().unwrap_or(*low) - low) / step).round();
                (index + 0.5) / (steps(*low, *high, *step) + 1) as f64
            }
            Self::Int { low, high, fold: Fold::Linear, step } => {
                let index = (value.integer().unwrap_or(*low).clamp(*low, *high) - low) / step;
                (index as f64 + 0.5) / (high.abs_diff(*low) / step.unsigned_abs() + 1) as f64
            }
            Self::Int { low, high, fold: Fold::Log, .. } => {
                let (start, end) = log_edges(*low, *high);
                ((value.integer().unwrap_or(*low) as f64).ln() - start) / (end - start)
            }
            Self::Choice { .. } | Self::Bool | Self::Constant(_) => {
                let (index, size) = (self.index_of(value).unwrap_or(0), self.size().unwrap_or(1));
                (index as f64 + 0.5) / size as f64
            }
        };
        unit.clamp(0.0, 1.0)
    }
}

/// Whether two of the values are the same. Only values that come next to each other when sorted are compared: a pool's
/// column may have 100,000 words.
fn has_twins(values: &[Value]) -> bool {
    let order = |a: &Value, b: &Value| match (a.number(), b.number()) {
        // +0 and -0 are the same.
        (Some(a), Some(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
        (None, None) => a.text().cmp(&b.text()).then(a.truth().cmp(&b.truth())),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    let mut sorted: Vec<&Value> = values.iter().collect();
    sorted.sort_unstable_by(|a, b| order(a, b));
    // Whole numbers beyond 2^53 may be alike as floats, and yet differ.
    let mut alike = sorted.chunk_by(|a, b| order(a, b).is_eq());
    alike.any(|alike| alike.iter().enumerate().any(|(index, value)| alike[..index].iter().any(|earlier| earlier.same(value))))
}

fn check_float(low: f64, high: f64, fold: Fold, step: Option<f64>) -> Result<(), SpaceFaultKind> {
    if !(low.is_finite() && high.is_finite() && (high - low).is_finite()) {
        return Err(SpaceFaultKind::NotFinite);
    }
    if low > high {
        return Err(SpaceFaultKind::Reversed { low, high });
    }
    if fold == Fold::Log && low <= 0.0 {
        return Err(SpaceFaultKind::LogFromZero { low });
    }
    let Some(step) = step else { return Ok(()) };
    let count = (high - low) / step;
    if !(step.is_finite() && step > 0.0 && (count - count.round()).abs() < SLACK && fold == Fold::Linear) {
        return Err(SpaceFaultKind::Step { step, low, high });
    }
    if low.abs().max(high.abs()) / step <= MOST_STEPS { Ok(()) } else { Err(SpaceFaultKind::TooMany) }
}

fn check_int(low: i64, high: i64, fold: Fold, step: i64) -> Result<(), SpaceFaultKind> {
    let (low_float, high_float) = (low as f64, high as f64);
    if low > high {
        return Err(SpaceFaultKind::Reversed { low: low_float, high: high_float });
    }
    if low.unsigned_abs().max(high.unsigned_abs()) > LARGEST {
        return Err(SpaceFaultKind::TooMany);
    }
    if fold == Fold::Log && low <= 0 {
        return Err(SpaceFaultKind::LogFromZero { low: low_float });
    }
    if step <= 0 || (high - low) % step != 0 || fold == Fold::Log && step != 1 {
        return Err(SpaceFaultKind::Step { step: step as f64, low: low_float, high: high_float });
    }
    let most = if fold == Fold::Log { high.unsigned_abs() } else { high.abs_diff(low) / step.unsigned_abs() };
    if most < MOST_VALUES { Ok(()) } else { Err(SpaceFaultKind::TooMany) }
}

/// Number of steps from `low` to `high`.
fn steps(low: f64, high: f64, step: f64) -> u64 {
    ((high - low) / step).round().max(0.0) as u64
}

/// Value number `index`: the edges as they are, and between them no dust of binary fractions: 0.9 + 7 x 0.01 is 0.97.
fn stepped(low: f64, high: f64, step: f64, index: u64) -> f64 {
    if index == 0 {
        return low;
    }
    if index == steps(low, high, step) {
        return high;
    }
    let exact = low + index as f64 * step;
    let digits = 12 - (step.abs().log10().floor() as i32).clamp(-12, 12);
    let scale = 10_f64.powi(digits.clamp(0, 15));
    let clean = (exact * scale).round() / scale;
    let value = if clean.is_finite() && (clean - exact).abs() <= step * SLACK { clean } else { exact };
    value.clamp(low, high)
}

/// The number that a person would write, where `value` is one but for the dust of its computation: 0.010000000000000014 is 0.01.
/// Of values by chance it changes one in ten million.
fn plain(value: f64) -> f64 {
    const DIGITS: f64 = 6.0;
    /// Relative; a logarithm and its inverse lose no more.
    const DUST: f64 = 1e-13;
    /// The largest power of ten that is a float exactly, so that one division rounds as reading the digits would.
    const LARGEST: f64 = 22.0;
    let places = DIGITS - 1.0 - value.abs().log10().floor();
    if !(-LARGEST..=LARGEST).contains(&places) {
        return value;
    }
    let power = 10_f64.powi(places.abs() as i32);
    let near = if places >= 0.0 { (value * power).round() / power } else { (value / power).round() * power };
    if (near - value).abs() <= DUST * value.abs() { near } else { value }
}

/// Which of `count` equal shares of [0, 1] holds `unit`.
fn share(unit: f64, count: u64) -> u64 {
    ((unit * count as f64) as u64).min(count - 1)
}

/// On a log scale integers own the interval from half below to half above.
fn log_edges(low: i64, high: i64) -> (f64, f64) {
    ((low as f64 - 0.5).ln(), (high as f64 + 0.5).ln())
}
