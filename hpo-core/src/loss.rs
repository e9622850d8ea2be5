//! What a report is judged by.
use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Named figures of one report, as the trainer gave them. Not finite values are kept as such.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(#[serde(with = "figures")] pub BTreeMap<String, f64>);

impl Metrics {
    /// The figure of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

impl FromIterator<(String, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (String, f64)>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// Whether the metric is to be small or large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Smaller is better.
    #[default]
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Goal {
    /// Turns a metric into a loss. The only place where the direction matters, with [`Goal::metric`].
    #[must_use]
    pub fn loss(self, metric: f64) -> Loss {
        Loss::new(match self {
            Self::Minimize => metric,
            Self::Maximize => -metric,
        })
    }

    /// Turns a loss back into the user's metric.
    #[must_use]
    pub fn metric(self, loss: Loss) -> f64 {
        match self {
            Self::Minimize => loss.get(),
            Self::Maximize => -loss.get(),
        }
    }
}

/// A value to be made small. Totally ordered: NaN and the infinities are all equally bad and rank after every finite
/// value (minus infinity too: a loss that has diverged is not a good one).
#[derive(Clone, Copy, Debug)]
pub struct Loss(f64);

impl Loss {
    /// Wraps any value; one that is not finite ranks last.
    #[must_use]
    pub fn new(value: f64) -> Self {
        // +0 and -0 are one value, so that equal losses are tied.
        Self(if value == 0.0 { 0.0 } else { value })
    }

    /// The value, perhaps not finite.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether it can be compared by value.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

impl PartialEq for Loss {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Loss {}
impl PartialOrd for Loss {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Loss {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_finite(), other.is_finite()) {
            (true, true) => self.0.total_cmp(&other.0),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => Ordering::Equal,
        }
    }
}

impl Serialize for Loss {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Figure::from(self.0).serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(Figure::deserialize(deserializer)?.into()))
    }
}

/// A number as JSON can hold it: JSON has no NaN and no infinity, so these are words.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Figure {
    Finite(f64),
    Odd(Odd),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Odd {
    #[serde(rename = "nan")]
    Nan,
    #[serde(rename = "inf")]
    Infinite,
    #[serde(rename = "-inf")]
    MinusInfinite,
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Self::Finite(value)
        } else if value.is_nan() {
            Self::Odd(Odd::Nan)
        } else if value > 0.0 {
            Self::Odd(Odd::Infinite)
        } else {
            Self::Odd(Odd::MinusInfinite)
        }
    }
}

impl From<Figure> for f64 {
    fn from(figure: Figure) -> Self {
        match figure {
            Figure::Finite(value) => value,
            Figure::Odd(Odd::Nan) => Self::NAN,
            Figure::Odd(Odd::Infinite) => Self::INFINITY,
            Figure::Odd(Odd::MinusInfinite) => Self::NEG_INFINITY,
        }
    }
}

mod figures {
    use super::{BTreeMap, Deserialize, Figure};

    pub(super) fn serialize<S: serde::Serializer>(map: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, &value)| (name, Figure::from(value))))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let map = BTreeMap::<String, Figure>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(name, figure)| (name, figure.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_finite_ranks_last_and_survives_json() {
        let mut losses = [f64::NAN, 2.0, f64::NEG_INFINITY, 1.0, f64::INFINITY].map(Loss::new);
        losses.sort();
        assert_eq!([losses[0].get(), losses[1].get()], [1.0, 2.0]);
        assert!(losses[2..].iter().all(|loss| !loss.is_finite()));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.25] {
            let text = serde_json::to_string(&Loss::new(value)).unwrap();
            let back: Loss = serde_json::from_str(&text).unwrap();
            assert_eq!(back.get().to_bits(), value.to_bits(), "{text}");
        }
        let metrics: Metrics = [("a".to_owned(), f64::NAN), ("b".to_owned(), 1.5)].into_iter().collect();
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(text, r#"{"a":"nan","b":1.5}"#);
        let back: Metrics = serde_json::from_str(&text).unwrap();
        assert!(back.get("a").unwrap().is_nan());
    }

    #[test]
    fn the_goal_is_turned_once() {
        assert!(Goal::Maximize.loss(0.9) < Goal::Maximize.loss(0.8));
        assert_eq!(Goal::Maximize.metric(Goal::Maximize.loss(0.9)), 0.9);
        assert!(Goal::Maximize.loss(f64::NAN) > Goal::Maximize.loss(0.0));
    }
}
