//! A parameter of `[space]`: one key says which values it takes, and some go with it.
use toml::Spanned;
use toml::de::DeValue;

use super::super::raw::Reader;
use super::*;

pub(crate) static UNIFORM: Key<[f64; 2]> = Key::optional("uniform", "real numbers from low to high");
pub(crate) static LOG_UNIFORM: Key<[f64; 2]> = Key::optional("log_uniform", "real numbers from low to high, every ratio as likely")
    .within(|| json!({"items": {"type": "number", "exclusiveMinimum": 0}}));
pub(crate) static INT: Key<[i64; 2]> = Key::optional("int", "whole numbers from low to high, both included");
pub(crate) static LOG_INT: Key<[i64; 2]> = Key::optional("log_int", "whole numbers from low to high, every ratio as likely")
    .within(|| json!({"items": {"type": "integer", "minimum": 1}}));
pub(crate) static CHOICE: Key<Vec<Value>> = Key::optional("choice", "one of these values").within(list);
pub(crate) static ORDERED: Key<Vec<Value>> = Key::optional("ordered", "one of these values, of which neighbours are alike").within(list);
pub(crate) static BOOL: Key<bool> = Key::optional("bool", "`true`: true or false").within(|| json!({"const": true}));
pub(crate) static VALUE: Key<Value> = Key::optional("value", "a constant");
pub(crate) static STEP: Key<f64> = Key::optional("step", "distance between values").within(|| json!({"exclusiveMinimum": 0}));
pub(crate) static WHEN: Key<BTreeMap<String, OneOf>> =
    Key::optional("when", "it exists only where these parameters have (one of) these values").within(|| json!({"minProperties": 1}));

/// How a list of values must be.
fn list() -> Json {
    json!({"minItems": 1, "maxItems": hpo_core::Space::MOST_VALUES, "uniqueItems": true})
}

/// Each key that says which values there are, and the keys that go with it (`when` goes with all).
pub(crate) static DOMAINS: [(&dyn Entry, &[&dyn Entry]); 8] = [
    (&UNIFORM, &[&STEP]),
    (&LOG_UNIFORM, &[]),
    (&INT, &[&STEP]),
    (&LOG_INT, &[]),
    (&CHOICE, &[]),
    (&ORDERED, &[]),
    (&BOOL, &[]),
    (&VALUE, &[]),
];
/// What any parameter may say; messages call it by the parameter's name.
pub(crate) static TABLE: Table =
    Table { path: "space", keys: &[&UNIFORM, &LOG_UNIFORM, &INT, &LOG_INT, &CHOICE, &ORDERED, &BOOL, &VALUE, &STEP, &WHEN], kinds: None };

/// `[space]`: its keys are the names of parameters, or it is a pool.
pub(crate) struct Space;

impl Entry for Space {
    fn name(&self) -> &'static str {
        "space"
    }
    fn doc(&self) -> &'static str {
        "the parameters to search, in the order of dimensions"
    }
    fn need(&self) -> Need {
        Need::Required
    }
    fn schema(&self) -> Json {
        schema::space()
    }
    /// The space has no kind, so that it is read in any case.
    fn look(&self, _: &Spanned<DeValue<'_>>, _: &mut Reader<'_>) {}
}
