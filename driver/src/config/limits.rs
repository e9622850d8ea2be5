//! What cannot go to workers: too many parameters, names and texts that are too long, and texts that no program can be given.
use hpo_core::Value;
use hpo_core::space::{Domain, Space};
use hpo_wire::limits::{NAME_MAX, PARAMS_MAX, VALUE_MAX};

use super::message::Message;

/// The first of these faults, if there is one.
pub(super) fn fault_of(space: &Space) -> Option<Message> {
    let count = space.names().count();
    if count > PARAMS_MAX {
        return Some(Message::TooManyParameters { count, most: PARAMS_MAX });
    }
    space.parameters().iter().find_map(|parameter| {
        long_name(&parameter.name).or_else(|| texts(&parameter.domain).find_map(|text| fault_of_text(&parameter.name, text)))
    })
}

/// Of a parameter or a metric.
pub(super) fn long_name(name: &str) -> Option<Message> {
    let begin = || name.chars().take(30).collect();
    (name.len() > NAME_MAX).then(|| Message::LongName { begin: begin(), bytes: name.len(), most: NAME_MAX })
}

fn fault_of_text(name: &str, text: &str) -> Option<Message> {
    let name = || name.to_owned();
    if text.len() > VALUE_MAX {
        return Some(Message::LongText { name: name(), bytes: text.len(), most: VALUE_MAX });
    }
    text.contains('\0').then(|| Message::NulInText { name: name() })
}

fn texts(domain: &Domain) -> impl Iterator<Item = &str> {
    let values = match domain {
        Domain::Choice { values, .. } => values.as_slice(),
        Domain::Constant(value) => std::slice::from_ref(value),
        Domain::Float { .. } | Domain::Int { .. } | Domain::Bool => &[],
    };
    values.iter().filter_map(|value| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    })
}
