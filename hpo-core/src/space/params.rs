//! The values of one trial.
use std::collections::BTreeMap;
use std::collections::btree_map::{IntoIter, Iter};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Value;

/// The values of one trial's active parameters, by name. Copies share the values: the trial itself, its leases, what the
/// searcher is told; a copy that is changed becomes its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(Arc<BTreeMap<String, Value>>);

impl Params {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Deref for Params {
    type Target = BTreeMap<String, Value>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Params {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl From<BTreeMap<String, Value>> for Params {
    fn from(values: BTreeMap<String, Value>) -> Self {
        Self(Arc::new(values))
    }
}

impl<const N: usize> From<[(String, Value); N]> for Params {
    fn from(values: [(String, Value); N]) -> Self {
        BTreeMap::from(values).into()
    }
}

impl FromIterator<(String, Value)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        BTreeMap::from_iter(values).into()
    }
}

impl IntoIterator for Params {
    type Item = (String, Value);
    type IntoIter = IntoIter<String, Value>;
    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

impl<'a> IntoIterator for &'a Params {
    type Item = (&'a String, &'a Value);
    type IntoIter = Iter<'a, String, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_its_values_until_it_is_changed() {
        let one = Params::from([("lr".to_owned(), Value::Float(0.1))]);
        let mut other = one.clone();
        assert!(Arc::ptr_eq(&one.0, &other.0));
        other.insert("width".to_owned(), Value::Int(8));
        assert_eq!((one.len(), other.len()), (1, 2));
        let text = serde_json::to_string(&other).unwrap();
        assert_eq!(text, r#"{"lr":0.1,"width":8}"#);
        assert_eq!(serde_json::from_str::<Params>(&text).unwrap(), other);
    }
}
