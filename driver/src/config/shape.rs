//! The types that values of a sweep file have: how each is read, and how it is described to editors.
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use hpo_core::{Millis, Value};
use serde_json::{Value as Json, json};
use toml::Spanned;
use toml::de::DeValue;

use super::message::Message;
use super::raw::{Reader, in_file_order};
use super::text::parse_duration;

/// A type of value.
pub(super) trait Shape: Sized + 'static {
    /// Reads a value, or notes what is wrong with it.
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self>;
    /// Its JSON Schema.
    fn schema() -> Json;
}

/// A fixed set of words, some of which a later version will understand.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// What these words are.
    const WHAT: &'static str;
    /// Each word and what it means; `None`: not built yet.
    const ALL: &'static [(&'static str, Option<Self>)];

    /// The words that this version understands.
    fn built() -> Vec<&'static str> {
        Self::ALL.iter().filter(|(_, meaning)| meaning.is_some()).map(|(word, _)| *word).collect()
    }

    /// The word for a meaning.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, meaning)| *meaning == Some(self)).map_or("", |(word, _)| word)
    }
}

impl<T: Words> Shape for T {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let word = String::read(value, reader)?;
        match T::ALL.iter().find(|(known, _)| *known == word) {
            Some((_, Some(meaning))) => Some(*meaning),
            Some((_, None)) => {
                let what = format!("{} `{word}`", T::WHAT);
                reader.fault(value.span(), Message::NotBuilt { what, available: T::built() })
            }
            None => reader.fault(value.span(), Message::UnknownWord { what: T::WHAT, word, known: T::built() }),
        }
    }
    fn schema() -> Json {
        json!({"enum": T::built()})
    }
}

/// Text; `${NAME}` is taken from the environment.
impl Shape for String {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) => reader.expand(text, value.span()),
            _ => reader.wrong_type(value, "text in quotes"),
        }
    }
    fn schema() -> Json {
        json!({"type": "string"})
    }
}

/// A path, relative to the file.
impl Shape for PathBuf {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) => reader.expand(text, value.span()).map(|path| reader.base.join(path)),
            _ => reader.wrong_type(value, "a path in quotes"),
        }
    }
    fn schema() -> Json {
        json!({"type": "string"})
    }
}

/// A length of time in milliseconds, longer than nothing.
pub(super) struct Length(pub(super) Millis);

impl Shape for Length {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::String(text) = value.get_ref() else {
            return reader.wrong_type(value, "a length of time in quotes, such as \"30s\" or \"10m\"");
        };
        let text = reader.expand(text, value.span())?;
        match parse_duration(&text) {
            Some(0) => reader.fault(value.span(), Message::OutOfRange { wanted: "more than no time".to_owned(), found: text }),
            Some(millis) => Some(Self(millis)),
            None => reader.fault(value.span(), Message::Duration { text }),
        }
    }
    fn schema() -> Json {
        json!({"type": "string", "examples": ["30s", "10m", "2h", "01:30:00"]})
    }
}

/// A length of time in milliseconds, perhaps none.
pub(super) struct Wait(pub(super) Millis);

impl Shape for Wait {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) if parse_duration(text) == Some(0) => Some(Self(0)),
            _ => Length::read(value, reader).map(|length| Self(length.0)),
        }
    }
    fn schema() -> Json {
        Length::schema()
    }
}

impl Shape for bool {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(truth) => Some(*truth),
            _ => reader.wrong_type(value, "true or false"),
        }
    }
    fn schema() -> Json {
        json!({"type": "boolean"})
    }
}

impl Shape for i64 {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(digits) = value.get_ref() else { return reader.wrong_type(value, "a whole number") };
        match Self::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Some(number),
            Err(_) => reader
                .fault(value.span(), Message::OutOfRange { wanted: "a number of at most 63 bits".to_owned(), found: digits.to_string() }),
        }
    }
    fn schema() -> Json {
        json!({"type": "integer"})
    }
}

/// Any finite number.
impl Shape for f64 {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = match value.get_ref() {
            DeValue::Integer(_) => i64::read(value, reader)? as Self,
            DeValue::Float(digits) => digits.as_str().parse().unwrap_or(Self::NAN),
            _ => return reader.wrong_type(value, "a number"),
        };
        if number.is_finite() { Some(number) } else { out_of_range(value, "a finite number", reader) }
    }
    fn schema() -> Json {
        json!({"type": "number"})
    }
}

fn out_of_range<T>(value: &Spanned<DeValue<'_>>, wanted: &'static str, reader: &mut Reader<'_>) -> Option<T> {
    let found = match value.get_ref() {
        DeValue::Integer(digits) => digits.to_string(),
        DeValue::Float(digits) => digits.to_string(),
        _ => String::new(),
    };
    reader.fault(value.span(), Message::OutOfRange { wanted: wanted.to_owned(), found })
}

/// A number within limits, on top of a shape without any.
macro_rules! limited {
    ($(#[$doc:meta])* $name:ident($inner:ty), $wanted:literal, $within:expr, $schema:tt) => {
        $(#[$doc])*
        pub(super) struct $name(pub(super) $inner);

        impl Shape for $name {
            fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
                let number = <$inner>::read(value, reader)?;
                let within: fn(&$inner) -> bool = $within;
                if within(&number) { Some(Self(number)) } else { out_of_range(value, $wanted, reader) }
            }
            fn schema() -> Json {
                json!($schema)
            }
        }
    };
}

limited!(
    /// More than nothing.
    Positive(f64), "a number above 0", |number| *number > 0.0, {"type": "number", "exclusiveMinimum": 0}
);
limited!(
    /// Nothing or more.
    Amount(f64), "a number that is not negative", |number| *number >= 0.0, {"type": "number", "minimum": 0}
);
limited!(
    /// A share of a whole.
    Share(f64), "a share from 0 to 1", |number| (0.0..=1.0).contains(number), {"type": "number", "minimum": 0, "maximum": 1}
);

limited!(
    /// A share of a whole that is more than nothing.
    SomeShare(f64), "a share above 0 and up to 1", |number| *number > 0.0 && *number <= 1.0,
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
);
limited!(
    /// A share of a whole that is neither nothing nor all of it.
    InnerShare(f64), "a share above 0 and below 1", |number| *number > 0.0 && *number < 1.0,
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
);
limited!(
    /// Standard deviation of the noise on pixels from 0 to 1.
    Noise(f64), "a number from 0 to 2", |number| (0.0..=2.0).contains(number), {"type": "number", "minimum": 0, "maximum": 2}
);

limited!(
    /// How many times more.
    Factor(f64), "a number of at least 1", |number| *number >= 1.0, {"type": "number", "minimum": 1}
);

/// Whole numbers that fit `LOW..=HIGH`.
pub(super) struct Within<const LOW: u32, const HIGH: u32>(pub(super) u32);

impl<const LOW: u32, const HIGH: u32> Shape for Within<LOW, HIGH> {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = i64::read(value, reader)?;
        match u32::try_from(number) {
            Ok(number) if (LOW..=HIGH).contains(&number) => Some(Self(number)),
            _ => reader.fault(
                value.span(),
                Message::OutOfRange { wanted: format!("a whole number from {LOW} to {HIGH}"), found: number.to_string() },
            ),
        }
    }
    fn schema() -> Json {
        json!({"type": "integer", "minimum": LOW, "maximum": HIGH})
    }
}

/// A whole number from 1.
impl Shape for NonZeroU32 {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let Within(number) = Within::<1, { u32::MAX }>::read(value, reader)?;
        Self::new(number)
    }
    fn schema() -> Json {
        Within::<1, { u32::MAX }>::schema()
    }
}

/// A whole number from 0, of up to 63 bits (more TOML does not hold).
impl Shape for u64 {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = i64::read(value, reader)?;
        Self::try_from(number).ok().or_else(|| out_of_range(value, "a whole number that is not negative", reader))
    }
    fn schema() -> Json {
        json!({"type": "integer", "minimum": 0})
    }
}

/// A parameter's value.
impl Shape for Value {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(truth) => Some(Self::Bool(*truth)),
            DeValue::Integer(_) => i64::read(value, reader).map(Self::Int),
            DeValue::Float(_) => f64::read(value, reader).map(Self::Float),
            DeValue::String(_) => String::read(value, reader).map(Self::Text),
            _ => reader.wrong_type(value, "a number, a text, or true or false"),
        }
    }
    fn schema() -> Json {
        json!({"type": ["boolean", "number", "string"]})
    }
}

/// A list; each bad element is noted.
impl<T: Shape> Shape for Vec<T> {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(elements) = value.get_ref() else { return reader.wrong_type(value, "a list in brackets") };
        let read: Self = elements.iter().filter_map(|element| T::read(element, reader)).collect();
        (read.len() == elements.len()).then_some(read)
    }
    fn schema() -> Json {
        json!({"type": "array", "items": T::schema()})
    }
}

/// A value that keeps its place in the file.
impl<T: Shape> Shape for Spanned<T> {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(value, reader).map(|read| Self::new(value.span(), read))
    }
    fn schema() -> Json {
        T::schema()
    }
}

/// The two edges of a range.
impl<T: Shape> Shape for [T; 2] {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Array(edges) if edges.len() == 2 => Vec::<T>::read(value, reader)?.try_into().ok(),
            _ => reader.wrong_type(value, "two edges, as in [low, high]"),
        }
    }
    fn schema() -> Json {
        json!({"type": "array", "items": T::schema(), "minItems": 2, "maxItems": 2})
    }
}

/// A table of words that the user chooses.
impl<T: Shape> Shape for BTreeMap<String, T> {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(entries) = value.get_ref() else { return reader.wrong_type(value, "a table in braces") };
        let read: Self =
            in_file_order(entries).into_iter().filter_map(|(key, _, value)| Some((key.to_owned(), T::read(value, reader)?))).collect();
        (read.len() == entries.len()).then_some(read)
    }
    fn schema() -> Json {
        json!({"type": "object", "additionalProperties": T::schema()})
    }
}

/// The values of a parent under which a parameter exists: one, or a list. Each keeps its place in the file.
pub(super) struct OneOf(pub(super) Vec<Spanned<Value>>);

impl Shape for OneOf {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Array(values) if values.is_empty() => reader.fault(value.span(), Message::EmptyCondition),
            DeValue::Array(_) => Vec::read(value, reader).map(Self),
            _ => Spanned::read(value, reader).map(|value| Self(vec![value])),
        }
    }
    fn schema() -> Json {
        let one = Value::schema();
        json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}
