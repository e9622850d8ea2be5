//! The values one parameter may take, and its way to [0, 1] and back.
use serde::{Deserialize, Serialize};

use super::{SpaceFaultKind, Value};

/// Slack for edges and steps that decimal fractions cannot hit exactly, relative to the range.
const SLACK: f64 = 1e-9;

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
        match self {
            Self::Float { low, high, fold, step } => check_range(*low, *high, *fold, *step),
            Self::Int { low, high, fold, step } => {
                check_range(*low as f64, *high as f64, *fold, Some(*step as f64).filter(|step| *step != 1.0))
            }
            Self::Choice { values, .. } => {
                let twice = values.iter().enumerate().any(|(index, value)| values[..index].iter().any(|earlier| earlier.same(value)));
                if values.is_empty() || twice { Err(SpaceFaultKind::Choices) } else { Ok(()) }
            }
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
            Self::Int { low, high, step, .. } => Some((high.abs_diff(*low)) / step.unsigned_abs() + 1),
            Self::Choice { values, .. } => Some(values.len() as u64),
            Self::Bool => Some(2),
            Self::Constant(_) => Some(1),
        }
    }

    /// Whether `value` is one of its values.
    #[must_use]
    pub fn contains(&self, value: &Value) -> bool {
        match self {
            Self::Float { low, high, step, .. } => value.number().is_some_and(|number| {
                let slack = SLACK * (high - low).abs();
                let on_step = step.is_none_or(|step| ((number - low) / step - ((number - low) / step).round()).abs() < 1e-6);
                number.is_finite() && number >= low - slack && number <= high + slack && on_step
            }),
            Self::Int { low, high, step, .. } => {
                value.integer().is_some_and(|number| (*low..=*high).contains(&number) && (number - low) % step == 0)
            }
            Self::Choice { values, .. } => values.iter().any(|choice| choice.same(value)),
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Constant(constant) => constant.same(value),
        }
    }

    /// The value at `unit` in [0, 1]. Discrete values own equal shares of the interval (of its logarithm on a log scale).
    #[must_use]
    pub fn from_unit(&self, unit: f64) -> Value {
        let unit = if unit.is_nan() { 0.5 } else { unit.clamp(0.0, 1.0) };
        match self {
            Self::Float { low, high, step: Some(step), .. } => {
                let index = share(unit, steps(*low, *high, *step) + 1);
                Value::Float(stepped(*low, *high, *step, index))
            }
            Self::Float { low, high, fold: Fold::Linear, .. } => Value::Float((low + unit * (high - low)).clamp(*low, *high)),
            Self::Float { low, high, fold: Fold::Log, .. } => {
                Value::Float((low.ln() + unit * (high.ln() - low.ln())).exp().clamp(*low, *high))
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

    /// Where `value` lies in [0, 1]: the middle of its share if it is discrete. Values outside are clamped.
    #[must_use]
    pub fn to_unit(&self, value: &Value) -> f64 {
        let unit = match self {
            Self::Float { low, high, step: Some(step), .. } => {
                let index = ((value.number().unwrap_or(*low) - low) / step).round();
                (index + 0.5) / (steps(*low, *high, *step) + 1) as f64
            }
            Self::Float { low, high, .. } if low >= high => 0.5,
            Self::Float { low, high, fold: Fold::Linear, .. } => (value.number().unwrap_or(*low) - low) / (high - low),
            Self::Float { low, high, fold: Fold::Log, .. } => (value.number().unwrap_or(*low).ln() - low.ln()) / (high.ln() - low.ln()),
            Self::Int { low, high, fold: Fold::Linear, step } => {
                let index = (value.integer().unwrap_or(*low) - low) / step;
                (index as f64 + 0.5) / (high.abs_diff(*low) / step.unsigned_abs() + 1) as f64
            }
            Self::Int { low, high, fold: Fold::Log, .. } => {
                let (start, end) = log_edges(*low, *high);
                ((value.integer().unwrap_or(*low) as f64).ln() - start) / (end - start)
            }
            Self::Choice { values, .. } => {
                let index = values.iter().position(|choice| choice.same(value)).unwrap_or(0);
                (index as f64 + 0.5) / values.len() as f64
            }
            Self::Bool => {
                if value.truth() == Some(true) {
                    0.75
                } else {
                    0.25
                }
            }
            Self::Constant(_) => 0.5,
        };
        unit.clamp(0.0, 1.0)
    }
}

fn check_range(low: f64, high: f64, fold: Fold, step: Option<f64>) -> Result<(), SpaceFaultKind> {
    if !(low.is_finite() && high.is_finite()) {
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
    // 2^53 steps are more than a float can number.
    let whole = (count - count.round()).abs() < 1e-6 && count < 9e15;
    if step.is_finite() && step > 0.0 && whole && fold == Fold::Linear { Ok(()) } else { Err(SpaceFaultKind::Step { step, low, high }) }
}

/// Number of steps from `low` to `high`.
fn steps(low: f64, high: f64, step: f64) -> u64 {
    ((high - low) / step).round().max(0.0) as u64
}

/// Value number `index`, without the dust of binary fractions: 0.9 + 7 x 0.01 is 0.97.
fn stepped(low: f64, high: f64, step: f64, index: u64) -> f64 {
    let exact = low + index as f64 * step;
    let digits = 12 - (step.abs().log10().floor() as i32).clamp(-12, 12);
    let scale = 10_f64.powi(digits.clamp(0, 15));
    let clean = (exact * scale).round() / scale;
    let value = if clean.is_finite() && (clean - exact).abs() <= step * 1e-6 { clean } else { exact };
    value.clamp(low, high)
}

/// Which of `count` equal shares of [0, 1] holds `unit`.
fn share(unit: f64, count: u64) -> u64 {
    ((unit * count as f64) as u64).min(count - 1)
}

/// On a log scale integers own the interval from half below to half above.
fn log_edges(low: i64, high: i64) -> (f64, f64) {
    ((low as f64 - 0.5).ln(), (high as f64 + 0.5).ln())
}
