//! What a report is judged by.
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Figure(self.0).serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(Figure::deserialize(deserializer)?.0))
    }
}

/// A number as JSON can hold it: JSON has no NaN and no infinity, so these are words.
struct Figure(f64);

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("nan"),
            f64::INFINITY => serializer.serialize_str("inf"),
            _ => serializer.serialize_str("-inf"),
        }
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadFigure)
    }
}

/// By hand, because a journal of a million events has many millions of them, and `untagged` copies each before it looks.
struct ReadFigure;

impl Visitor<'_> for ReadFigure {
    type Value = Figure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"nan\", \"inf\" or \"-inf\"")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Figure, E> {
        Ok(Figure(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Figure, E> {
        Ok(Figure(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Figure, E> {
        Ok(Figure(value as f64))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Figure, E> {
        match word {
            "nan" => Ok(Figure(f64::NAN)),
            "inf" => Ok(Figure(f64::INFINITY)),
            "-inf" => Ok(Figure(f64::NEG_INFINITY)),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }
}

mod figures {
    use super::{BTreeMap, Deserializer, Figure, MapAccess, Serializer, Visitor, fmt};

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, &value)| (name, Figure(value))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        deserializer.deserialize_map(ReadFigures)
    }

    struct ReadFigures;

    impl<'de> Visitor<'de> for ReadFigures {
        type Value = BTreeMap<String, f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("figures by name")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut figures = BTreeMap::new();
            while let Some((name, Figure(value))) = map.next_entry()? {
                figures.insert(name, value);
            }
            Ok(figures)
        }
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
        // A whole number is a figure, too; another word is none, and the message says what is.
        let whole: Metrics = serde_json::from_str(r#"{"a":3,"b":-2,"c":18446744073709551615}"#).unwrap();
        assert_eq!(whole.0.values().copied().collect::<Vec<f64>>(), [3.0, -2.0, 18_446_744_073_709_551_615.0]);
        for wrong in [r#"{"a":"NaN"}"#, r#"{"a":true}"#, r#"{"a":null}"#, r#"{"a":[1.0]}"#] {
            let fault = serde_json::from_str::<Metrics>(wrong).unwrap_err().to_string();
            assert!(fault.contains(r#"expected a number, "nan", "inf" or "-inf""#), "{fault}");
        }
    }

    #[test]
    fn the_goal_is_turned_once() {
        assert!(Goal::Maximize.loss(0.9) < Goal::Maximize.loss(0.8));
        assert_eq!(Goal::Maximize.metric(Goal::Maximize.loss(0.9)), 0.9);
        assert!(Goal::Maximize.loss(f64::NAN) > Goal::Maximize.loss(0.0));
    }
}
