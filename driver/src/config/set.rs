//! `--set PATH=VALUE`: what a command line changes about a sweep file.
//!
//! Each becomes a line of TOML behind the text of the file, so that what is wrong with it is shown as what is wrong with
//! the file, at that line.
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::message::Message;

/// Lines behind the text of a sweep file.
pub(super) struct Additions {
    /// The text of the file and the lines.
    pub(super) text: String,
    /// Where the file ends in it.
    end: usize,
    lines: Vec<Line>,
}

/// One line, behind as many spaces as there is text before it: what is parsed in it knows its place in the whole.
struct Line {
    padded: String,
    /// The names in the path.
    depth: usize,
    span: Range<usize>,
    given: String,
}

impl Additions {
    /// `given` are the words of the command line.
    pub(super) fn new(file: &str, given: &[String]) -> Self {
        let mut text = file.to_owned();
        let lines = given.iter().map(|given| Line::append(&mut text, given)).collect();
        Self { text, end: file.len(), lines }
    }

    /// The text of the file.
    pub(super) fn file(&self) -> &str {
        &self.text[..self.end]
    }

    /// Puts the values into the tables of the file: in the place of what is there, or beside it.
    pub(super) fn put_into<'t>(&'t self, file: &mut DeTable<'t>, faults: &mut Vec<(Range<usize>, Message)>) {
        for line in &self.lines {
            let (parsed, errors) = DeTable::parse_recoverable(&line.padded);
            if line.depth == 0 || !errors.is_empty() {
                faults.push((line.span.clone(), Message::Set { given: line.given.clone() }));
            } else {
                merge(file, parsed.into_inner(), line.depth);
            }
        }
    }
}

impl Line {
    fn append(text: &mut String, given: &str) -> Self {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let (path, value) = given.split_once('=').unwrap_or((given, ""));
        let (path, value) = (path.trim(), value.trim());
        let depth = depth(path);
        // A word need not be quoted twice, for the shell and for TOML.
        let is_toml = !value.is_empty() && !value.contains('\n') && DeValue::parse(value).is_ok();
        let value = if is_toml { value.to_owned() } else { toml::Value::String(value.to_owned()).to_string() };
        let words = format!("{path} = {value}");
        let start = text.len();
        let padded = format!("{}{words}", " ".repeat(start));
        text.push_str(&format!("{words} # --set\n"));
        Self { padded, depth, span: start..start + words.len(), given: given.to_owned() }
    }
}

/// How many names a dotted path has; 0 if it is none.
fn depth(path: &str) -> usize {
    let text = format!("{path} = 0");
    let (parsed, errors) = DeTable::parse_recoverable(&text);
    let mut depth = 0;
    let mut table = parsed.get_ref();
    while let (true, Some((_, value))) = (errors.is_empty() && table.len() == 1, table.iter().next()) {
        depth += 1;
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return depth,
        }
    }
    0
}

/// Puts in the one value that stands `depth` names deep.
fn merge<'t>(table: &mut DeTable<'t>, addition: DeTable<'t>, depth: usize) {
    for (key, value) in addition {
        let below = table.get_mut(&**key.get_ref()).map(Spanned::get_mut);
        match (below, value.get_ref()) {
            (Some(DeValue::Table(below)), DeValue::Table(_)) if depth > 1 => {
                if let DeValue::Table(inner) = value.into_inner() {
                    merge(below, inner, depth - 1);
                }
            }
            // A name that is there keeps its place among its neighbours.
            _ => drop(table.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Checked, Faults, Overrides, check_with};

    const FILE: &str = r#"
[sweep]
name = "set"
metric = "loss"

[space]
lr = { log_uniform = [1e-4, 1e-1] }
depth = { int = [1, 4] }

[scheduler]
kind = "asha-promote"
max_resource = 27
eta = 3

[trial]
kind = "command"
command = ["true"]
directory = ".""#;

    fn check(set: &[&str], ends: bool) -> Result<Checked, Faults> {
        let set = set.iter().map(|&given| given.to_owned()).collect();
        check_with(FILE, Path::new("sweep.toml"), &Overrides { set, ends }, &|_| None)
    }

    #[test]
    fn values_take_the_place_of_those_in_the_file() {
        let checked = check(&["sweep.max_trials=5", "scheduler.eta = 4", "sweep.name=other", "space.lr={ uniform = [0.0, 1.0] }"], false);
        let checked = checked.unwrap();
        assert_eq!((checked.spec.budget.max_trials, checked.spec.name.as_str()), (Some(5), "other"));
        let plain = check(&["sweep.max_trials=5"], false).unwrap();
        assert_eq!(checked.spec.scheduler.ladder().rungs().len(), 4, "1, 4, 16, 27");
        assert_ne!(checked.spec.space, plain.spec.space);
        let names = |checked: &Checked| checked.spec.space.parameters().iter().map(|parameter| parameter.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&checked), names(&plain), "dimensions keep their order");
        // A table in braces is a whole: nothing of the one in the file stays.
        let fifo = check(&["sweep.max_trials=5", "scheduler={ kind = 'fifo', max_resource = 9 }"], false).unwrap();
        assert_eq!(fifo.spec.scheduler.name(), "fifo");
    }

    #[test]
    fn a_sweep_needs_no_end_where_something_else_ends_it() {
        assert!(check(&[], false).unwrap_err().to_string().contains("nothing ends this sweep"));
        assert_eq!(check(&[], true).unwrap().spec.budget.max_trials, None);
    }

    #[test]
    fn faults_point_at_the_line_that_was_put_in() {
        let faults = check(&["sweep.max_trial=5", "scheduler.eta=one", "scheduler eta=4", "=3", "eta"], true).unwrap_err();
        let lines = FILE.lines().count();
        let said: Vec<_> = faults.all().iter().map(|fault| (fault.at.unwrap().0 - lines, fault.message.as_str())).collect();
        let expected = [
            (1, "[sweep] has no key `max_trial`"),
            (2, "expected a whole number, found the text \"one\""),
            (3, "`--set scheduler eta=4` cannot be put into a sweep file"),
            (4, "`--set =3` cannot be put into a sweep file"),
            (5, "a sweep file has no key `eta`"),
        ];
        assert_eq!(said, expected, "{faults}");
        assert!(faults.to_string().contains("scheduler.eta = \"one\" # --set"), "{faults}");
    }
}
