//! Parameters of a checked space, as people and scripts read them.
use std::fmt::Write as _;

use hpo_core::Space;
use hpo_core::space::{Domain, Fold, Parameter};
use serde_json::{Value as Json, json};

use crate::report::words::{cell, one_line, value};

/// Longer lists of values are cut.
const VALUES_SHOWN: usize = 8;

/// What kind of values a domain has.
fn kind(domain: &Domain) -> &'static str {
    match domain {
        Domain::Float { .. } => "float",
        Domain::Int { .. } => "int",
        Domain::Choice { ordered: false, .. } => "choice",
        Domain::Choice { ordered: true, .. } => "ordered",
        Domain::Bool => "bool",
        Domain::Constant(_) => "constant",
    }
}

fn scale(fold: Fold) -> &'static str {
    match fold {
        Fold::Linear => "linear",
        Fold::Log => "log",
    }
}

/// The scale after a range; a linear one goes without saying.
fn on_log(fold: Fold) -> &'static str {
    match fold {
        Fold::Linear => "",
        Fold::Log => ", log",
    }
}

/// The values of a domain, in few words.
fn values(domain: &Domain) -> String {
    match domain {
        Domain::Float { low, high, fold, step } => {
            let step = step.map_or(String::new(), |step| format!(" by {step}"));
            format!("{low:?} to {high:?}{step}{}", on_log(*fold))
        }
        Domain::Int { low, high, fold, step } => {
            let step = if *step == 1 { String::new() } else { format!(" by {step}") };
            format!("{low} to {high}{step}{}", on_log(*fold))
        }
        Domain::Choice { values, .. } => {
            let shown: Vec<String> = values.iter().take(VALUES_SHOWN).map(value).collect();
            let more = values.len().saturating_sub(VALUES_SHOWN);
            if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
        }
        Domain::Bool => "false, true".to_owned(),
        Domain::Constant(constant) => value(constant),
    }
}

/// The condition of a parameter, in few words; nothing if it always exists.
fn condition(parameter: &Parameter) -> String {
    let one = |(parent, wanted): (&String, &Vec<hpo_core::Value>)| {
        let wanted: Vec<String> = wanted.iter().map(value).collect();
        format!("{} = {}", one_line(parent), wanted.join(" or "))
    };
    let all: Vec<String> = parameter.when.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!("when {}", all.join(" and ")) }
}

/// A table of the parameters of a space, a line each, every line indented by `indent`.
pub(super) fn table(space: &Space, indent: usize) -> String {
    let rows: Vec<[String; 4]> = space
        .parameters()
        .iter()
        .map(|parameter| {
            [cell(&parameter.name), kind(&parameter.domain).to_owned(), cell(&values(&parameter.domain)), condition(parameter)]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, values) = (width(0), width(2));
    let mut text = String::new();
    for [a, b, c, d] in &rows {
        let line = format!("{:indent$}{a:<name$}  {b:<8}  {c:<values$}  {d}", "");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The parameters for scripts, in the order of dimensions.
pub(super) fn to_json(space: &Space) -> Vec<Json> {
    let one = |parameter: &Parameter| {
        let mut json = match &parameter.domain {
            Domain::Float { low, high, fold, step } => json!({"low": low, "high": high, "scale": scale(*fold), "step": step}),
            Domain::Int { low, high, fold, step } => json!({"low": low, "high": high, "scale": scale(*fold), "step": step}),
            Domain::Choice { values, .. } => json!({"values": values}),
            Domain::Bool => json!({"values": [false, true]}),
            Domain::Constant(constant) => json!({"values": [constant]}),
        };
        json["name"] = parameter.name.as_str().into();
        json["kind"] = kind(&parameter.domain).into();
        json["when"] = json!(parameter.when);
        json
    };
    space.parameters().iter().map(one).collect()
}
