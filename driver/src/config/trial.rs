//! `[trial]`: from the file to a job.
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use hpo_core::job::{BurnJob, CommandJob, Data, Split, Trainable};
use hpo_core::sweep::spec::Patience;
use hpo_core::{Resource, Space};
use regex::Regex;
use toml::Spanned;

use super::curves;
use super::keys::{data, split, trial};
use super::message::Message;
use super::raw::{Reader, Section};
use super::space::is_name;

/// What hpo fills into a command beside the values of parameters, which therefore cannot have these names.
pub(super) const FILLED_IN: [&str; 7] = ["trial", "attempt", "seed", "from", "until", "checkpoint_in", "checkpoint_out"];

/// What `[trial]` says.
pub(super) struct Trial {
    pub(super) trainable: Trainable,
    pub(super) patience: Patience,
    pub(super) stall: hpo_core::Millis,
    pub(super) grace: hpo_core::Millis,
}

/// Reads `[trial]`. `space` and `metric` are None if they have faults of their own, which are not to be repeated here.
pub(super) fn read(
    section: &Section<'_>,
    space: Option<&Space>,
    max_resource: Option<Resource>,
    metric: Option<&str>,
    reader: &mut Reader<'_>,
) -> Option<Trial> {
    let retries = section.plain(&trial::RETRIES, reader);
    let lost_max = section.plain(&trial::LOST_MAX, reader);
    let stall = section.plain(&trial::STALL, reader);
    let grace = section.plain(&trial::GRACE, reader);
    let trainable = if section.is_kind("burn") {
        read_burn(section, max_resource, reader).map(Trainable::Burn)
    } else if curves::is_one(section) {
        curves::read(section, max_resource, metric, reader).map(Trainable::Curves)
    } else {
        read_command(section, space, reader).map(Trainable::Command)
    };
    let patience = Patience { retries: retries?.0, lost_max: lost_max?.0 };
    Some(Trial { trainable: trainable?, patience, stall: stall?.0, grace: grace?.0 })
}

fn read_burn(section: &Section<'_>, max_resource: Option<Resource>, reader: &mut Reader<'_>) -> Option<BurnJob> {
    let model = section.plain(&trial::MODEL, reader);
    let device = section.plain(&trial::DEVICE, reader);
    let data_section = section.table(&trial::DATA, reader)?;
    let split = read_split(&data_section, reader);
    let data =
        if data_section.is_kind("idx") { read_idx(&data_section, reader) } else { read_glyphs(&data_section, split.as_ref(), reader) };
    Some(BurnJob { model: model?, device: device?, data: data?, split: split?.0, max_resource: max_resource? })
}

fn read_idx(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Data> {
    let images = section.get(&data::IMAGES, reader).and_then(|path| file(path, reader));
    let labels = section.get(&data::LABELS, reader).and_then(|path| file(path, reader));
    Some(Data::Idx { images: images?, labels: labels? })
}

pub(super) fn file(path: Spanned<PathBuf>, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let (span, path) = (path.span(), path.into_inner());
    if path.is_file() { Some(path) } else { reader.fault(span, Message::NoSuchPath { what: "file", path }) }
}

fn read_glyphs(section: &Section<'_>, split: Option<&(Split, Range<usize>)>, reader: &mut Reader<'_>) -> Option<Data> {
    let count = section.plain(&data::COUNT, reader);
    let classes = section.plain(&data::CLASSES, reader);
    let size = section.plain(&data::SIZE, reader);
    let noise = section.plain(&data::NOISE, reader);
    let count = count?.0;
    if let Some((split, span)) = split {
        for (share, part) in [("train", split.train), ("validation", split.validation), ("test", split.test)] {
            // A test part may be left out; a part that is asked for has an image.
            if part > 0.0 && part * f64::from(count) < 1.0 {
                reader.faults.push((span.clone(), Message::EmptyShare { count, share }));
            }
        }
    }
    Some(Data::Glyphs { count, classes: classes?.0, size: size?.0, noise: noise?.0 })
}

/// The shares, and where they stand.
fn read_split(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<(Split, Range<usize>)> {
    if !section.has(data::SPLIT.name) {
        return Some((Split { train: 0.8, validation: 0.1, test: 0.1 }, section.span.clone()));
    }
    let shares = section.table(&data::SPLIT, reader)?;
    let train = shares.plain(&split::TRAIN, reader);
    let validation = shares.plain(&split::VALIDATION, reader);
    let test = shares.plain(&split::TEST, reader);
    let split = Split { train: train?.0, validation: validation?.0, test: test?.0 };
    let sum = split.train + split.validation + split.test;
    // Decimal fractions do not sum to 1 exactly.
    if sum > 1.0 + 1e-9 {
        return reader.fault(shares.span, Message::SplitSum { sum: (sum * 1e9).round() / 1e9 });
    }
    Some((split, shares.span))
}

fn read_command(section: &Section<'_>, space: Option<&Space>, reader: &mut Reader<'_>) -> Option<CommandJob> {
    let command = section.get(&trial::COMMAND, reader).and_then(|command| check_command(command, space, reader));
    let directory = section.get(&trial::DIRECTORY, reader);
    let env = section.get(&trial::ENV, reader).and_then(|env| check_env(env, reader));
    let metric_pattern = section.get(&trial::METRIC_PATTERN, reader).and_then(|pattern| check_pattern(pattern, reader));
    let directory = directory?;
    if !directory.get_ref().is_dir() {
        return reader.fault(directory.span(), Message::NoSuchPath { what: "folder", path: directory.into_inner() });
    }
    Some(CommandJob { command: command?, directory: directory.into_inner(), env: env?, metric_pattern })
}

fn check_command(command: Spanned<Vec<Spanned<String>>>, space: Option<&Space>, reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let (span, words) = (command.span(), command.into_inner());
    if words.first().is_none_or(|program| program.get_ref().is_empty()) {
        return reader.fault(span, Message::EmptyCommand);
    }
    if let Some(word) = words.iter().find(|word| word.get_ref().contains('\0')) {
        return reader.fault(word.span(), Message::NulInWord);
    }
    let command: Vec<String> = words.into_iter().map(Spanned::into_inner).collect();
    let known: Option<Vec<String>> = space.map(|space| space.names().chain(FILLED_IN).map(str::to_owned).collect());
    let unknown: Vec<&str> = match &known {
        Some(known) => {
            command.iter().flat_map(|argument| placeholders(argument)).filter(|name| !known.iter().any(|word| word == name)).collect()
        }
        None => vec![],
    };
    if unknown.is_empty() {
        return Some(command);
    }
    let known = known.unwrap_or_default();
    for name in unknown {
        reader.faults.push((span.clone(), Message::UnknownPlaceholder { name: name.to_owned(), known: known.clone() }));
    }
    None
}

/// What the system does not take would end every trial before it begins.
fn check_env(env: Spanned<BTreeMap<String, String>>, reader: &mut Reader<'_>) -> Option<BTreeMap<String, String>> {
    let is_bad = |name: &String, value: &String| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
    match env.get_ref().iter().find(|(name, value)| is_bad(name, value)) {
        Some((name, _)) => reader.fault(env.span(), Message::NoVariable { name: name.clone() }),
        None => Some(env.into_inner()),
    }
}

/// The names in `{name}`. `{{name}}` stands for `{name}` itself, and every other brace for itself, so that a line of awk
/// or JSON can be written as it is.
pub(super) fn placeholders(argument: &str) -> Vec<&str> {
    let mut names = vec![];
    let mut rest = argument;
    while let Some((_, after)) = rest.split_once('{') {
        let escaped = after.strip_prefix('{').and_then(|inner| inner.split_once("}}")).filter(|(name, _)| is_name(name));
        let open = after.split_once('}').filter(|(name, _)| is_name(name));
        rest = match (escaped, open) {
            (Some((_, after)), _) => after,
            (None, Some((name, after))) => {
                names.push(name);
                after
            }
            (None, None) => after,
        };
    }
    names
}

fn check_pattern(pattern: Spanned<String>, reader: &mut Reader<'_>) -> Option<String> {
    match Regex::new(pattern.get_ref()) {
        // One group is the whole match.
        Ok(regex) if regex.captures_len() == 2 => Some(pattern.into_inner()),
        Ok(regex) => reader.fault(pattern.span(), Message::PatternGroups { groups: regex.captures_len() - 1 }),
        Err(error) => {
            // The first lines show the pattern, which stands above; the last says what is wrong.
            let what = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            reader.fault(pattern.span(), Message::Pattern { what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_names_between_braces() {
        assert_eq!(placeholders("--lr={lr} {{x}} {width}"), ["lr", "width"]);
        assert!(placeholders(r#"plain { print $1 } {"loss":{"a":0.1}} {} {1}"#).is_empty());
    }
}
