//! What is wrong with a sweep file, and where.
use std::fmt;
use std::io::IsTerminal;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, normalize_untrusted_str};
use serde_json::json;
use toml::de::DeTable;

use super::Checked;
use super::message::Message;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it begins: line and column (in characters), both from 1. None if the fault is the file itself.
    pub at: Option<(usize, usize)>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The same place in bytes of the text; within it, and on character boundaries.
    span: Range<usize>,
}

/// Everything that is wrong with a sweep file, in the order of its lines; never empty.
///
/// `Display` renders it without colours.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Faults {
    file: PathBuf,
    text: String,
    faults: Vec<Fault>,
    /// How many more there are than those.
    more: usize,
}

impl Faults {
    /// More faults than this are counted, and not told: nobody reads them, and each is shown with its place in the file.
    pub(super) const MOST: usize = 100;

    pub(super) fn new(file: PathBuf, text: String, mut found: Vec<(Range<usize>, Message)>) -> Self {
        found.sort_by_key(|(span, _)| (span.start, span.end));
        let more = found.len().saturating_sub(Self::MOST);
        let faults = found.into_iter().take(Self::MOST).map(|(span, message)| Fault::new(&text, span, &message)).collect();
        Self { file, text, faults, more }
    }

    /// The file as a whole cannot be used.
    pub(super) fn of_file(file: PathBuf, message: &Message) -> Self {
        let fault = Fault { at: None, message: message.to_string(), help: message.help(), span: 0..0 };
        Self { file, text: String::new(), faults: vec![fault], more: 0 }
    }

    /// What was found wrong with the whole of `[trial]`: the fault and its causes.
    #[must_use]
    pub(super) fn of_trial(checked: &Checked, fault: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(fault), |fault| fault.source());
        let message = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let text = checked.text.clone();
        let (file, _) = DeTable::parse_recoverable(&text);
        let span = file.get_ref().iter().find(|(key, _)| key.get_ref() == "trial").map_or(0..0, |(key, _)| key.span());
        Self { file: checked.source.clone(), faults: vec![Fault::at(&text, span, message, None)], text: text.clone(), more: 0 }
    }

    /// What was found wrong with one key.
    pub(super) fn of_key(checked: &Checked, section: &str, key: &str, message: String, help: String) -> Self {
        let text = checked.text.clone();
        let (file, _) = DeTable::parse_recoverable(&text);
        let section = file.get_ref().get(section).and_then(|section| section.get_ref().as_table());
        let span = section.and_then(|section| section.iter().find(|(name, _)| name.get_ref() == key)).map_or(0..0, |(name, _)| name.span());
        Self { file: checked.source.clone(), faults: vec![Fault::at(&text, span, message, Some(help))], text: text.clone(), more: 0 }
    }

    /// What someone else found wrong with parameters of `[space]`: (name, what is wrong), each at the line of the
    /// parameter, or of the pool that has it as a column.
    #[must_use]
    pub fn of_parameters(checked: &Checked, found: &[(String, String)]) -> Self {
        let text = checked.text.clone();
        let (file, _) = DeTable::parse_recoverable(&text);
        let space = file.get_ref().get("space").and_then(|space| space.get_ref().as_table());
        let key = |name: &str| space.and_then(|space| space.iter().find(|(key, _)| key.get_ref() == name));
        let span = |name: &str| key(name).or_else(|| key(super::pool::KEY)).map_or(0..0, |(key, _)| key.span());
        let mut faults: Vec<Fault> = found.iter().map(|(name, message)| Fault::at(&text, span(name), message.clone(), None)).collect();
        faults.sort_by_key(|fault| fault.span.start);
        Self { file: checked.source.clone(), text: text.clone(), faults, more: 0 }
    }

    /// These and others of the same file.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.faults.extend(others.faults);
        self.faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
        self.more += others.more;
        self
    }

    /// The faults in the order of their lines.
    #[must_use]
    pub fn all(&self) -> &[Fault] {
        &self.faults
    }

    /// As `hpo check --json` prints it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|fault| {
                let (line, column) = fault.at.unzip();
                json!({"line": line, "column": column, "message": fault.message, "help": fault.help})
            })
            .collect();
        json!({"ok": false, "faults": faults})
    }

    /// As a person reads it: each fault under the line it is about, and how many there are.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for fault in &self.faults {
            out.push_str(&self.render_one(fault, Level::ERROR, &renderer));
            out.push_str("\n\n");
        }
        let count = self.faults.len() + self.more;
        if self.more > 0 {
            out.push_str(&format!("and {} more\n\n", self.more));
        }
        out.push_str(&format!("{count} fault{} in {}; nothing was started", if count == 1 { "" } else { "s" }, self.file.display()));
        out
    }

    /// [`Faults::render`] with colours if standard error is a terminal and `NO_COLOR` is not set.
    #[must_use]
    pub fn render_for_stderr(&self) -> String {
        self.render(in_colour())
    }

    /// For standard error as well, where they stop nothing.
    #[must_use]
    pub fn render_as_warnings(&self) -> String {
        let renderer = if in_colour() { Renderer::styled() } else { Renderer::plain() };
        let each: Vec<String> = self.faults.iter().map(|fault| self.render_one(fault, Level::WARNING, &renderer)).collect();
        each.join("\n\n")
    }

    fn render_one(&self, fault: &Fault, level: Level<'_>, renderer: &Renderer) -> String {
        let mut group = annotate_snippets::Group::with_title(level.primary_title(fault.message.as_str()));
        if fault.at.is_some() {
            let annotation = AnnotationKind::Primary.span(fault.span.clone());
            group = group.element(Snippet::source(self.text.as_str()).path(self.file.to_string_lossy()).annotation(annotation));
        }
        if let Some(help) = &fault.help {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Fault {
    fn new(text: &str, span: Range<usize>, message: &Message) -> Self {
        Self::at(text, span, message.to_string(), message.help())
    }

    fn at(text: &str, span: Range<usize>, message: String, help: Option<String>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Self { at: Some((line, column)), message, help, span: start..end }
    }
}
/// If standard error is a terminal and `NO_COLOR` is not set.
fn in_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
