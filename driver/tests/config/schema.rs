//! The published schema: it accepts what passes, and refuses what can be seen without other files and other keys.
use hpo_driver::config::schema;
use regex::Regex;
use serde_json::Value as Json;

use super::*;

/// A validator for the words of JSON Schema that ours uses, and a refusal of all others.
fn valid(schema: &Json, value: &Json) -> bool {
    let number = |bound: &Json, holds: fn(f64, f64) -> bool| value.as_f64().is_none_or(|number| holds(number, bound.as_f64().unwrap()));
    let length = value.as_array().map(Vec::len);
    let fits = |pattern: &Json, text: &str| Regex::new(pattern.as_str().unwrap()).unwrap().is_match(text);
    schema.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "title" | "description" | "default" | "examples" => true,
        "type" => {
            rule.as_array().map_or_else(|| vec![rule], |types| types.iter().collect()).iter().any(|kind| is(kind.as_str().unwrap(), value))
        }
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "oneOf" => rule.as_array().unwrap().iter().filter(|schema| valid(schema, value)).count() == 1,
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| valid(schema, value)),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(rule, item))),
        "contains" => value.as_array().is_none_or(|items| items.iter().any(|item| valid(rule, item))),
        "minItems" => length.is_none_or(|length| length as u64 >= rule.as_u64().unwrap()),
        "maxItems" => length.is_none_or(|length| length as u64 <= rule.as_u64().unwrap()),
        "uniqueItems" => value.as_array().is_none_or(|items| (1..items.len()).all(|at| !items[..at].contains(&items[at]))),
        "pattern" => value.as_str().is_none_or(|text| fits(rule, text)),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
        "propertyNames" => value.as_object().is_none_or(|object| object.keys().all(|name| valid(rule, &Json::String(name.clone())))),
        "maxProperties" => value.as_object().is_none_or(|object| object.len() as u64 <= rule.as_u64().unwrap()),
        "minProperties" => value.as_object().is_none_or(|object| object.len() as u64 >= rule.as_u64().unwrap()),
        "minimum" => number(rule, |number, bound| number >= bound),
        "maximum" => number(rule, |number, bound| number <= bound),
        "exclusiveMinimum" => number(rule, |number, bound| number > bound),
        "exclusiveMaximum" => number(rule, |number, bound| number < bound),
        "required" => {
            value.as_object().is_none_or(|object| rule.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap())))
        }
        "properties" => {
            value.as_object().is_none_or(|object| object.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| valid(schema, value))))
        }
        "additionalProperties" => {
            let known = |key: &String| schema.get("properties").is_some_and(|properties| properties.get(key).is_some());
            let rest = value.as_object().into_iter().flatten().filter(|(key, _)| !known(key));
            rest.into_iter().all(|(_, value)| if rule == false { false } else { valid(rule, value) })
        }
        _ => panic!("the schema uses `{word}`, which this test does not know"),
    })
}

fn is(kind: &str, value: &Json) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => panic!("type `{kind}`"),
    }
}

/// None if it is not TOML, or holds what JSON cannot (an infinite number).
fn as_json(text: &str) -> Option<Json> {
    serde_json::to_value(toml::from_str::<toml::Table>(text).ok()?).ok()
}

#[test]
fn the_schema_accepts_what_passes_and_refuses_what_it_can() {
    let schema = schema::schema();
    let starter = [config::init::STARTER.to_owned()];
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let good = files(&root("tests/config/good")).into_iter().chain(shipped()).map(read).chain(starter);
    for text in good {
        assert!(valid(&schema, &as_json(&text).unwrap()), "{text}");
    }
    let refused = [
        "unknown_",
        "key_of_other_kind",
        "key_of_other_scheduler",
        "not_built_",
        "missing_",
        "wrong_type_",
        "out_of_range_count",
        "out_of_range_negative",
        "out_of_range_swift",
        "no_domain",
        "two_domains",
        "key_of_other_domain",
        "pool_name",
        "split_nothing",
        "ladder_eta",
        "ladder_no_resource",
        "bool_false",
        "brackets_no_weight",
        "ensemble_empty",
        "empty_c",
        "limit_name",
        "limit_parameters",
        "metric_empty",
        "nul_in_command",
        "parameter_name",
        "pool_no_columns",
        "slurm_words",
        "slurm_options",
        "space_choices",
        "space_log_from_zero",
        "sweep_name",
    ];
    // What needs more than the shape of the file to be seen: names of metrics, placeholders, columns.
    let too_deep = ["unknown_metric", "unknown_placeholder", "pool_named_row"];
    let mut seen = 0;
    for path in files(&root("tests/config/bad")) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if refused.iter().any(|start| name.starts_with(start)) && !too_deep.contains(&name.as_str()) {
            let json = as_json(&read(path)).unwrap();
            assert!(!valid(&schema, &json), "{name} should not be valid");
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
}
