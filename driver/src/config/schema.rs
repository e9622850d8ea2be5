//! JSON Schema of the sweep file, for editors: made from the same words as the checks ([`super::keys`]).
use hpo_core::Space;
use hpo_wire::limits::NAME_MAX;
use serde_json::{Map, Value as Json, json};

use super::key::{Entry, Kind, Need, Table};
use super::keys::{FILE, parameter, pool};

/// The schema (draft 7, which editors for TOML understand).
#[must_use]
pub fn schema() -> Json {
    let mut schema = table(&FILE);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "hpo sweep file".into();
    schema
}

/// A table: one object, or one for each kind.
pub(super) fn table(table: &'static Table) -> Json {
    match &table.kinds {
        None => object(table.keys, None),
        Some(choice) => {
            let built = choice.kinds.iter().filter_map(|kind| Some((kind, kind.keys?)));
            let kinds: Vec<Json> = built.map(|(kind, keys)| object(&[table.keys, keys].concat(), Some(kind))).collect();
            json!({"type": "object", "oneOf": kinds})
        }
    }
}

fn object(keys: &[&'static dyn Entry], kind: Option<&Kind>) -> Json {
    let built = || keys.iter().filter(|entry| entry.need() != Need::Later);
    let mut properties: Map<String, Json> = built().map(|entry| (entry.name().to_owned(), described(*entry))).collect();
    let mut required: Vec<&str> = built().filter(|entry| entry.need() == Need::Required).map(|entry| entry.name()).collect();
    if let Some(kind) = kind {
        properties.insert("kind".to_owned(), json!({"const": kind.word, "description": kind.doc}));
        required.insert(0, "kind");
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn described(entry: &dyn Entry) -> Json {
    let mut schema = entry.schema();
    schema["description"] = entry.doc().into();
    if let Some(default) = entry.default().and_then(as_json) {
        schema["default"] = default;
    }
    schema
}

/// A value as TOML writes it, as JSON.
fn as_json(toml: &str) -> Option<Json> {
    let table: toml::Table = toml::from_str(&format!("value = {toml}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

/// `[space]`: any names, each with one of the domains; the name `pool` may also be a pool.
pub(super) fn space() -> Json {
    let domains: Vec<Json> = parameter::DOMAINS
        .iter()
        .map(|(domain, goes_with)| {
            let keys: Vec<&dyn Entry> = [*domain, &parameter::WHEN].into_iter().chain(goes_with.iter().copied()).collect();
            let mut schema = object(&keys, None);
            schema["required"] = json!([domain.name()]);
            schema["description"] = domain.doc().into();
            schema
        })
        .collect();
    let pool_or_domain: Vec<Json> = domains.iter().cloned().chain([table(&pool::TABLE)]).collect();
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": Space::MOST_PARAMETERS,
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$", "maxLength": NAME_MAX},
        "properties": {"pool": {"type": "object", "oneOf": pool_or_domain}},
        "additionalProperties": {"type": "object", "oneOf": domains},
    })
}
