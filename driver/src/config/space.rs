//! `[space]`: from the file to a checked search space.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hpo_core::Value;
use hpo_core::space::{Domain, Fold, Parameter, Space, SpaceFault, SpaceFaultKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::key::{Entry, Key};
use super::keys::{SPACE, parameter};
use super::message::Message;
use super::pool;
use super::raw::{Reader, Section, in_file_order};
use super::shape::{OneOf, Shape};

/// Where the parts of one parameter stand, for faults that are found when all of them are known.
struct Places {
    domain: Range<usize>,
    step: Range<usize>,
    when: Range<usize>,
    /// Each parent's name, and each of its values.
    parents: BTreeMap<String, (Range<usize>, Vec<Spanned<Value>>)>,
}

/// Reads `[space]`.
pub(super) fn read(file: &Section<'_>, reader: &mut Reader<'_>) -> Option<Space> {
    let (span, entries) = file.entries(SPACE.name(), reader)?;
    let pool = in_file_order(entries).into_iter().find(|(name, _, value)| pool::is_pool(name, value.get_ref()));
    if let Some((_, span, value)) = pool {
        let values = value.get_ref().as_table()?;
        let others = in_file_order(entries).into_iter().map(|(name, ..)| name.to_owned()).filter(|name| name != pool::KEY);
        let others: Vec<String> = others.collect();
        let space = pool::read(span.clone(), values, reader);
        return if others.is_empty() { space } else { reader.fault(span, Message::PoolBeside { others }) };
    }
    let faults_before = reader.faults.len();
    let mut parameters = vec![];
    let mut places = BTreeMap::new();
    for (name, name_span, value) in in_file_order(entries) {
        if let Some((parameter, place)) = read_parameter(name, name_span, value, reader) {
            parameters.push(parameter);
            places.insert(name, place);
        }
    }
    let all_read = reader.faults.len() == faults_before;
    if all_read && !parameters.iter().any(|parameter| parameter.domain.varies()) {
        return reader.fault(span, Message::NothingVaries);
    }
    let domains: BTreeMap<String, Domain> = parameters.iter().map(|parameter| (parameter.name.clone(), parameter.domain.clone())).collect();
    match Space::new(parameters) {
        Ok(space) => all_read.then_some(space),
        Err(faults) => {
            note(faults, entries, &domains, &places, reader);
            None
        }
    }
}

fn read_parameter(name: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<(Parameter, Places)> {
    if !is_name(name) {
        return reader.fault(span, Message::ParameterName { name: name.to_owned() });
    }
    let DeValue::Table(values) = value.get_ref() else {
        return reader.wrong_type(value, "a table such as { uniform = [0, 1] }, or { value = 1 } for a constant");
    };
    if values.contains_key("csv") {
        return reader.fault(span, Message::PoolName { name: name.to_owned() });
    }
    let section = Section::open(values, span.clone(), format!("parameter `{name}`"), &parameter::TABLE, reader)?;
    let when = read_when(&section, reader);
    let mut given = parameter::DOMAINS.iter().filter(|(domain, _)| section.has(domain.name()));
    let Some((domain, goes_with)) = given.next() else {
        return reader.fault(span, Message::NoDomain { parameter: name.to_owned() });
    };
    if let Some((second, _)) = given.next() {
        let message = Message::TwoDomains { parameter: name.to_owned(), first: domain.name(), second: second.name() };
        return reader.fault(span, message);
    }
    let step = if section.has(parameter::STEP.name) { Some(section.get(&parameter::STEP, reader)?) } else { None };
    let step_span = step.as_ref().map_or(span.clone(), Spanned::span);
    if step.is_some() && !goes_with.iter().any(|entry| entry.name() == parameter::STEP.name) {
        let goes_with = parameter::DOMAINS.iter().filter(|(_, keys)| !keys.is_empty()).map(|(entry, _)| entry.name()).collect();
        return reader.fault(step_span, Message::KeyOfOtherDomain { key: parameter::STEP.name, domain: domain.name(), goes_with });
    }
    let (domain, domain_span) = read_domain(&section, step, reader)?;
    let (when_span, parents) = when?;
    let when = parents
        .iter()
        .map(|(parent, (_, values))| (parent.clone(), values.iter().map(|value| value.get_ref().clone()).collect()))
        .collect();
    Some((Parameter { name: name.to_owned(), domain, when }, Places { domain: domain_span, step: step_span, when: when_span, parents }))
}

/// Letters, digits, `_` and `-`, from a letter: such a name can stand in a command, a table head and an environment.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The one domain that the section gives, and where.
fn read_domain(section: &Section<'_>, step: Option<Spanned<f64>>, reader: &mut Reader<'_>) -> Option<(Domain, Range<usize>)> {
    fn of<T: Shape>(
        section: &Section<'_>,
        key: &Key<T>,
        reader: &mut Reader<'_>,
        make: impl FnOnce(T) -> Domain,
    ) -> Option<(Domain, Range<usize>)> {
        let value = section.get(key, reader)?;
        let span = value.span();
        Some((make(value.into_inner()), span))
    }
    use parameter::{BOOL, CHOICE, INT, LOG_INT, LOG_UNIFORM, ORDERED, UNIFORM, VALUE};
    let float_step = step.as_ref().map(|step| *step.get_ref());
    if section.has(UNIFORM.name) {
        of(section, &UNIFORM, reader, |[low, high]| Domain::Float { low, high, fold: Fold::Linear, step: float_step })
    } else if section.has(LOG_UNIFORM.name) {
        of(section, &LOG_UNIFORM, reader, |[low, high]| Domain::Float { low, high, fold: Fold::Log, step: None })
    } else if section.has(INT.name) {
        let step = step.map_or(Some(1), |step| whole_step(&step, reader))?;
        of(section, &INT, reader, |[low, high]| Domain::Int { low, high, fold: Fold::Linear, step })
    } else if section.has(LOG_INT.name) {
        of(section, &LOG_INT, reader, |[low, high]| Domain::Int { low, high, fold: Fold::Log, step: 1 })
    } else if section.has(CHOICE.name) {
        of(section, &CHOICE, reader, |values| Domain::Choice { values, ordered: false })
    } else if section.has(ORDERED.name) {
        of(section, &ORDERED, reader, |values| Domain::Choice { values, ordered: true })
    } else if section.has(BOOL.name) {
        let truth = section.get(&BOOL, reader)?;
        if *truth.get_ref() { Some((Domain::Bool, truth.span())) } else { reader.fault(truth.span(), Message::BoolFalse) }
    } else {
        of(section, &VALUE, reader, Domain::Constant)
    }
}

fn whole_step(step: &Spanned<f64>, reader: &mut Reader<'_>) -> Option<i64> {
    let number = *step.get_ref();
    if number >= 1.0 && number.fract() == 0.0 && number < 9e15 {
        Some(number as i64)
    } else {
        reader.fault(step.span(), Message::IntStep { step: number })
    }
}

type When = (Range<usize>, BTreeMap<String, (Range<usize>, Vec<Spanned<Value>>)>);

/// The conditions of a parameter; None if there is a fault in them.
fn read_when(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<When> {
    if !section.has(parameter::WHEN.name) {
        return Some((section.span.clone(), BTreeMap::new()));
    }
    let (span, entries) = section.entries(parameter::WHEN.name, reader)?;
    if entries.is_empty() {
        return reader.fault(span, Message::EmptyCondition);
    }
    let mut parents = BTreeMap::new();
    for (parent, at, value) in in_file_order(entries) {
        if let Some(OneOf(values)) = OneOf::read(value, reader) {
            parents.insert(parent.to_owned(), (at, values));
        }
    }
    (parents.len() == entries.len()).then_some((span, parents))
}

/// Points each fault of the space at its line. Faults that only follow from others are left out.
fn note(
    faults: Vec<SpaceFault>,
    declared: &DeTable<'_>,
    domains: &BTreeMap<String, Domain>,
    places: &BTreeMap<&str, Places>,
    reader: &mut Reader<'_>,
) {
    use SpaceFaultKind as Kind;
    let own = |kind: &Kind| {
        use Kind::{Circular, ContinuousParent, Contradiction, NoParent, NoSuchValue};
        !matches!(kind, NoParent { .. } | NoSuchValue { .. } | ContinuousParent { .. } | Contradiction { .. } | Circular)
    };
    let unsound: BTreeSet<String> = faults.iter().filter(|fault| own(&fault.kind)).map(|fault| fault.parameter.clone()).collect();
    // Each of them carries what would be known instead.
    for SpaceFault { parameter, kind } in faults.into_iter().take(Faults::MOST) {
        let Some(place) = places.get(parameter.as_str()) else { continue };
        let parent_at = |parent: &String| place.parents.get(parent).map_or(place.when.clone(), |(at, _)| at.clone());
        let (span, known) = match &kind {
            Kind::NoParent { parent } if declared.contains_key(parent.as_str()) => continue,
            Kind::NoParent { parent } => {
                (parent_at(parent), declared.keys().map(|name| name.get_ref().to_string()).filter(|name| *name != parameter).collect())
            }
            Kind::NoSuchValue { parent, .. } if unsound.contains(parent) || !domains.contains_key(parent) => continue,
            Kind::NoSuchValue { parent, value } => {
                let values = place.parents.get(parent).map_or(&[][..], |(_, values)| values);
                let at = values.iter().find(|given| given.get_ref() == value).map_or_else(|| parent_at(parent), Spanned::span);
                (at, domains.get(parent).map(values_of).unwrap_or_default())
            }
            Kind::ContinuousParent { parent } => (parent_at(parent), vec![]),
            Kind::Circular | Kind::Contradiction { .. } => (place.when.clone(), vec![]),
            Kind::Step { .. } => (place.step.clone(), vec![]),
            _ => (place.domain.clone(), vec![]),
        };
        reader.faults.push((span, Message::Space { parameter, kind, known }));
    }
}

/// The values of a domain that has few, for people.
fn values_of(domain: &Domain) -> Vec<String> {
    match domain {
        Domain::Choice { values, .. } => values.iter().map(ToString::to_string).collect(),
        Domain::Bool => vec!["true".to_owned(), "false".to_owned()],
        Domain::Constant(value) => vec![value.to_string()],
        Domain::Float { low, high, .. } => vec![format!("{low:?} to {high:?}")],
        Domain::Int { low, high, .. } => vec![format!("{low} to {high}")],
    }
}
