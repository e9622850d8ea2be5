//! The first pass over a sweep file: every table against the keys it may have, every value against its type. What it
//! means is the second pass's affair ([`super::checked`]).
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::DATA_DIR;
use super::key::{Entry, Key, Kind, Kinds, Need, SubTable, Table};
use super::message::Message;
use super::shape::Shape;
use super::text::{ExpandFault, expand, list};

/// What both passes need: the world that values refer to, and the list of what is wrong.
pub(super) struct Reader<'a> {
    /// The environment.
    env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that relative paths start at.
    pub(super) base: PathBuf,
    /// Something else than the file's budgets ends the sweep.
    pub(super) ends: bool,
    /// What was found so far.
    pub(super) faults: Vec<(Range<usize>, Message)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(base: PathBuf, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { env, base, ends: false, faults: vec![] }
    }

    /// Notes a fault; the value in question is then missing, hence the `None`.
    pub(super) fn fault<T>(&mut self, span: Range<usize>, message: Message) -> Option<T> {
        self.faults.push((span, message));
        None
    }

    /// A text with the environment put in.
    pub(super) fn expand(&mut self, text: &str, span: Range<usize>) -> Option<String> {
        let base = &self.base;
        let env = |name: &str| (self.env)(name).or_else(|| if name == DATA_DIR { usual_data_dir(base) } else { None });
        match expand(text, &env) {
            Ok(text) => Some(text),
            Err(ExpandFault::Unset(name)) => self.fault(span, Message::EnvUnset { name }),
            Err(ExpandFault::Syntax) => self.fault(span, Message::EnvSyntax),
        }
    }

    /// Faults unless `value` is of `wanted` type.
    pub(super) fn wrong_type<T>(&mut self, value: &Spanned<DeValue<'_>>, wanted: &'static str) -> Option<T> {
        let found = describe(value.get_ref());
        self.fault(value.span(), Message::WrongType { wanted, found })
    }
}

/// Where the data sets lie if `HPO_DATA_DIR` does not say it: the nearest folder `shared/data` beside or above the sweep
/// file, else beside or above the current folder.
fn usual_data_dir(base: &Path) -> Option<String> {
    let here = std::env::current_dir().unwrap_or_default();
    let found = base.ancestors().chain(here.ancestors()).map(|folder| folder.join("shared/data")).find(|folder| folder.is_dir())?;
    found.into_os_string().into_string().ok()
}

/// A value as messages name it.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > 40 => "a long text".to_owned(),
        DeValue::String(text) => format!("the text {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => format!("the date or time {time} (without quotes)"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// One table of the file, with the words that it may hold.
pub(super) struct Section<'t> {
    values: &'t DeTable<'t>,
    /// As messages call it: `[trial.data]`.
    title: String,
    /// Where messages about the table as a whole point.
    pub(super) span: Range<usize>,
    /// Its kind, where its table has kinds.
    kind: Option<&'static str>,
}

impl<'t> Section<'t> {
    /// Opens a table: chooses its kind, and notes every key that is unknown, misplaced, not built yet or missing.
    ///
    /// None if its kind is missing, unknown or not built: then its keys are held against those of all kinds.
    pub(super) fn open(
        values: &'t DeTable<'t>,
        span: Range<usize>,
        title: String,
        table: &'static Table,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let section = Self { values, title, span, kind: None };
        let Some(choice) = &table.kinds else {
            section.check_keys(table, table.keys, reader);
            return Some(section);
        };
        let Some(kind) = section.choose_kind(choice, reader) else {
            section.check_without_kind(table, choice, reader);
            return None;
        };
        let keys = [table.keys, kind.keys.unwrap_or_default()].concat();
        let section = Self { kind: Some(kind.word), ..section };
        section.check_keys(table, &keys, reader);
        Some(section)
    }

    fn choose_kind(&self, choice: &'static Kinds, reader: &mut Reader<'_>) -> Option<&'static Kind> {
        let Kinds { what, kinds } = choice;
        let built: Vec<&str> = kinds.iter().filter(|kind| kind.keys.is_some()).map(|kind| kind.word).collect();
        let Some(value) = self.values.get("kind") else {
            return reader.fault(
                self.span.clone(),
                Message::Missing { table: self.title.clone(), what: "`kind`".to_owned(), doc: format!("one of {}", list(&built)) },
            );
        };
        let word = String::read(value, reader)?;
        let Some(kind) = kinds.iter().find(|kind| kind.word == word) else {
            return reader.fault(value.span(), Message::UnknownWord { what, word, known: built });
        };
        if kind.keys.is_none() {
            return reader.fault(value.span(), Message::NotBuilt { what: format!("{what} `{word}`"), available: built });
        }
        Some(kind)
    }

    /// What is wrong whichever kind was meant. A value is looked at if all kinds that have its key mean the same by it.
    fn check_without_kind(&self, table: &'static Table, choice: &'static Kinds, reader: &mut Reader<'_>) {
        let of_kinds = choice.kinds.iter().flat_map(|kind| kind.keys.unwrap_or_default());
        let mut known: Vec<&'static dyn Entry> = vec![];
        for entry in table.keys.iter().chain(of_kinds) {
            if !known.iter().any(|other| std::ptr::addr_eq(*other, *entry)) {
                known.push(*entry);
            }
        }
        self.check_names(table, &known, reader);
        self.look_at(&known, reader);
    }

    /// Notes what is wrong with values that nobody will read.
    pub(super) fn look(&self, table: &'static Table, reader: &mut Reader<'_>) {
        let kinds = table.kinds.iter().flat_map(|choice| choice.kinds);
        let of_kind = kinds.filter(|kind| self.is_kind(kind.word)).flat_map(|kind| kind.keys.unwrap_or_default());
        self.look_at(&table.keys.iter().chain(of_kind).copied().collect::<Vec<_>>(), reader);
    }

    fn look_at(&self, known: &[&'static dyn Entry], reader: &mut Reader<'_>) {
        for (key, value) in self.values {
            let mut meant = known.iter().filter(|entry| entry.name() == key.get_ref());
            if let (Some(entry), None) = (meant.next(), meant.next()) {
                entry.look(value, reader);
            }
        }
    }

    fn check_keys(&self, table: &'static Table, known: &[&'static dyn Entry], reader: &mut Reader<'_>) {
        self.check_names(table, known, reader);
        for entry in known.iter().filter(|entry| entry.need() == Need::Required && !self.values.contains_key(entry.name())) {
            let name = entry.name();
            let what = if table.path.is_empty() { format!("[{name}]") } else { format!("`{name}`") };
            let message = Message::Missing { table: self.title.clone(), what, doc: entry.doc().to_owned() };
            reader.faults.push((self.span.clone(), message));
        }
    }

    fn check_names(&self, table: &'static Table, known: &[&'static dyn Entry], reader: &mut Reader<'_>) {
        for (key, _) in self.values {
            let name: &str = key.get_ref();
            if name == "kind" && table.kinds.is_some() {
                continue;
            }
            match known.iter().find(|entry| entry.name() == name).map(|entry| entry.need()) {
                Some(Need::Later) => {
                    let what = if table.path.is_empty() { format!("[{name}]") } else { format!("`{name}` in {}", self.title) };
                    reader.faults.push((key.span(), Message::NotBuilt { what, available: vec![] }));
                }
                Some(_) => {}
                None => reader.faults.push((key.span(), self.unknown(table, name, known))),
            }
        }
    }

    fn unknown(&self, table: &'static Table, name: &str, known: &[&'static dyn Entry]) -> Message {
        let kinds = table.kinds.iter().flat_map(|choice| choice.kinds);
        let owners = kinds.filter(|kind| kind.keys.is_some_and(|keys| keys.iter().any(|entry| entry.name() == name)));
        let its_kinds: Vec<&str> = owners.map(|kind| kind.word).collect();
        if let Some(kind) = self.kind.filter(|_| !its_kinds.is_empty()) {
            return Message::KeyOfOtherKind { table: self.title.clone(), key: name.to_owned(), its_kinds, kind };
        }
        let mut names: Vec<&str> = vec![];
        for entry in known.iter().filter(|entry| entry.need() != Need::Later) {
            if !names.contains(&entry.name()) {
                names.push(entry.name());
            }
        }
        let known = names;
        Message::UnknownKey { table: self.title.clone(), key: name.to_owned(), known }
    }

    /// The value of a key, or its default; None if it is absent, or of another type (which is noted).
    pub(super) fn get<T: Shape>(&self, key: &Key<T>, reader: &mut Reader<'_>) -> Option<Spanned<T>> {
        match self.values.get(key.name) {
            Some(value) => T::read(value, reader).map(|read| Spanned::new(value.span(), read)),
            None => {
                let default = DeValue::parse(key.default?).ok()?;
                T::read(&default, reader).map(|read| Spanned::new(self.span.clone(), read))
            }
        }
    }

    /// The value of a key or its default, without its place.
    pub(super) fn plain<T: Shape>(&self, key: &Key<T>, reader: &mut Reader<'_>) -> Option<T> {
        self.get(key, reader).map(Spanned::into_inner)
    }

    /// Whether it is of this kind.
    pub(super) fn is_kind(&self, word: &str) -> bool {
        self.kind == Some(word)
    }

    /// Whether the file gives this key.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A table within this one.
    pub(super) fn table(&self, key: &SubTable, reader: &mut Reader<'_>) -> Option<Section<'t>> {
        let (span, values) = self.entries(key.name, reader)?;
        Section::open(values, span, key.table.title(), key.table, reader)
    }

    /// A table within this one; where the file has none, one without keys, so that all have their defaults.
    pub(super) fn table_or_empty(&self, key: &SubTable, reader: &mut Reader<'_>) -> Option<Section<'t>> {
        static NOTHING: LazyLock<DeTable<'static>> = LazyLock::new(DeTable::new);
        if self.has(key.name) {
            self.table(key, reader)
        } else {
            Section::open(&NOTHING, self.span.clone(), key.table.title(), key.table, reader)
        }
    }

    /// A table within this one whose keys the user chooses, with the place of its name.
    pub(super) fn entries(&self, name: &str, reader: &mut Reader<'_>) -> Option<(Range<usize>, &'t DeTable<'t>)> {
        let (key, value) = self.values.get_key_value(name)?;
        match value.get_ref() {
            DeValue::Table(values) => Some((key.span(), values)),
            _ => reader.wrong_type(value, "a table"),
        }
    }
}

/// The entries of a table in the order of the file.
pub(super) fn in_file_order<'t>(values: &'t DeTable<'t>) -> Vec<(&'t str, Range<usize>, &'t Spanned<DeValue<'t>>)> {
    let mut entries: Vec<_> = values.iter().map(|(key, value)| (&**key.get_ref(), key.span(), value)).collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}
