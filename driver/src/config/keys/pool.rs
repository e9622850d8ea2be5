//! `[space] pool`: all of the space.
use super::*;
pub(crate) static CSV: Key<PathBuf> = Key::required("csv", "a CSV file with a head line, of which each row is a point");
pub(crate) static PARAMS: Key<Vec<Spanned<String>>> = Key::required("params", "the columns that are parameters")
    .within(|| json!({"minItems": 1, "maxItems": hpo_core::Space::MOST_PARAMETERS, "uniqueItems": true}));
pub(crate) static TABLE: Table = Table { path: "space.pool", keys: &[&CSV, &PARAMS], kinds: None };
