//! What a key of a sweep file is, and a table of keys.
use std::marker::PhantomData;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::DeValue;

use super::raw::{Reader, Section};
use super::schema;
use super::shape::Shape;

/// Whether a file must give a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
    /// A word that a later version will understand: refused, not unknown.
    Later,
}

/// A key with one value of type `T`.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    doc: &'static str,
    need: Need,
    /// As a file would write it.
    pub(super) default: Option<&'static str>,
    /// More of its schema than its type has.
    bounds: Option<fn() -> Json>,
    shape: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    pub(super) const fn required(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, need: Need::Required, default: None, bounds: None, shape: PhantomData }
    }
    pub(super) const fn optional(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, need: Need::Optional, default: None, bounds: None, shape: PhantomData }
    }
    pub(super) const fn with_default(name: &'static str, doc: &'static str, default: &'static str) -> Self {
        Self { name, doc, need: Need::Optional, default: Some(default), bounds: None, shape: PhantomData }
    }
    /// What the second pass refuses, in words that help more than those of a type would: editors are to know it, too.
    pub(super) const fn within(self, bounds: fn() -> Json) -> Self {
        Self { bounds: Some(bounds), ..self }
    }
}

/// A key whose value is a table of known words.
pub(super) struct SubTable {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) need: Need,
    pub(super) table: &'static Table,
}

/// A key of later versions.
pub(super) struct Later(pub(super) &'static str);

/// A key, whatever its value.
pub(super) trait Entry: Sync {
    fn name(&self) -> &'static str;
    fn doc(&self) -> &'static str;
    fn need(&self) -> Need;
    /// As a file would write it.
    fn default(&self) -> Option<&'static str> {
        None
    }
    /// JSON Schema of the value.
    fn schema(&self) -> Json;
    /// Notes what is wrong with a value that nobody will read.
    fn look(&self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>);
}

impl<T: Shape> Entry for Key<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn need(&self) -> Need {
        self.need
    }
    fn default(&self) -> Option<&'static str> {
        self.default
    }
    fn schema(&self) -> Json {
        let mut schema = T::schema();
        if let (Some(all), Some(Json::Object(more))) = (schema.as_object_mut(), self.bounds.map(|bounds| bounds())) {
            all.extend(more);
        }
        schema
    }
    fn look(&self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        T::read(value, reader);
    }
}

impl Entry for SubTable {
    fn name(&self) -> &'static str {
        self.name
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn need(&self) -> Need {
        self.need
    }
    fn schema(&self) -> Json {
        schema::table(self.table)
    }
    fn look(&self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        match value.get_ref() {
            DeValue::Table(values) => {
                if let Some(section) = Section::open(values, value.span(), self.table.title(), self.table, reader) {
                    section.look(self.table, reader);
                }
            }
            _ => drop(reader.wrong_type::<()>(value, "a table")),
        }
    }
}

impl Entry for Later {
    fn name(&self) -> &'static str {
        self.0
    }
    fn doc(&self) -> &'static str {
        ""
    }
    fn need(&self) -> Need {
        Need::Later
    }
    fn schema(&self) -> Json {
        Json::Bool(false)
    }
    fn look(&self, _: &Spanned<DeValue<'_>>, _: &mut Reader<'_>) {}
}

/// The keys that a table may have.
pub(super) struct Table {
    /// Dotted, empty for the file itself.
    pub(super) path: &'static str,
    pub(super) keys: &'static [&'static dyn Entry],
    /// Where a key `kind` decides about further keys.
    pub(super) kinds: Option<Kinds>,
}

/// What kinds a table comes in.
pub(super) struct Kinds {
    /// What they are kinds of.
    pub(super) what: &'static str,
    pub(super) kinds: &'static [Kind],
}

/// One kind, and the keys that only it has; `None`: not built yet.
pub(super) struct Kind {
    pub(super) word: &'static str,
    pub(super) doc: &'static str,
    pub(super) keys: Option<&'static [&'static dyn Entry]>,
}

pub(super) const fn kind(word: &'static str, doc: &'static str, keys: &'static [&'static dyn Entry]) -> Kind {
    Kind { word, doc, keys: Some(keys) }
}
pub(super) const fn later(word: &'static str) -> Kind {
    Kind { word, doc: "", keys: None }
}

impl Table {
    /// As messages call it.
    pub(super) fn title(&self) -> String {
        if self.path.is_empty() { "a sweep file".to_owned() } else { format!("[{}]", self.path) }
    }
}
