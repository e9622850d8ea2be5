//! The sweep file: from text to a checked [`Checked`], or to every fault in it at once.
//!
//! Two passes. The first ([`raw`]) holds each table against the words it may have ([`keys`]) and each value against its
//! type ([`shape`]). The second ([`checked`], [`space`], [`trial`]) asks what the values mean together. Both only add to
//! one list of faults, so a file shows all its faults in one go; a part that cannot be read is left out of what follows.
//!
//! Text values may name the environment: `${NAME}`. The data folder `HPO_DATA_DIR` alone has a default: the nearest
//! `shared/data` beside or above the sweep file, else beside or above the current folder.
mod checked;
pub mod curves;
mod dashes;
mod dimension;
pub mod draws;
mod fault;
pub mod init;
mod key;
mod keys;
mod limits;
mod message;
mod only_prints;
pub mod plan;
mod pool;
pub mod program;
mod raw;
mod scheduler;
pub mod schema;
mod searcher;
mod set;
mod shape;
mod simulate;
mod slurm;
mod space;
mod syntax;
mod text;
mod trial;
pub mod warm;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

pub use checked::{Checked, Report, Workers};
pub use fault::{Fault, Faults};
use message::Message;
use raw::{Reader, Section};
use set::Additions;
use toml::de::DeTable;

/// The environment variable that names the folder of the data sets.
pub const DATA_DIR: &str = "HPO_DATA_DIR";

/// A sweep file is written by hand; what is larger than this (in bytes) is something else.
const MAX_SIZE: u64 = 1 << 20;

/// What a command line changes about a sweep file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `PATH=VALUE`: a dotted path into the file, and what stands there instead, in the words of TOML; what is no TOML is
    /// text.
    pub set: Vec<String>,
    /// Something else ends the sweep: the file need not say what does.
    pub ends: bool,
}

/// Reads and checks a sweep file, with the environment of this process.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Checked, Faults> {
    load_with(path, &Overrides::default())
}

/// [`load`], with what a command line changes. The checked text has the changes as lines at its end.
///
/// # Errors
/// Everything that is wrong with the file and the changes.
pub fn load_with(path: &Path, overrides: &Overrides) -> Result<Checked, Faults> {
    let text = read(path).map_err(|source| Faults::of_file(path.to_owned(), &Message::Unreadable { path: path.to_owned(), source }))?;
    check_with(&text, path, overrides, &|name| std::env::var(name).ok())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let size = File::open(path)?.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if size as u64 > MAX_SIZE { Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")) } else { Ok(text) }
}

/// Checks the text of a sweep file that stands at `source` (its folder is where relative paths start), with the
/// environment `env`. Looks at the files that the text names, and at nothing else.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check_text(text: &str, source: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked, Faults> {
    check_with(text, source, &Overrides::default(), env)
}

/// [`check_text`], with what a command line changes.
///
/// # Errors
/// Everything that is wrong with the text and the changes.
pub fn check_with(text: &str, source: &Path, overrides: &Overrides, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked, Faults> {
    let additions = Additions::new(text, &overrides.set);
    let (checked, faults) = examine(&additions, source, overrides.ends, env);
    match checked {
        Some(checked) if faults.is_empty() => Ok(checked),
        _ => {
            debug_assert!(!faults.is_empty(), "a file that is refused has a fault");
            Err(Faults::new(source.to_owned(), additions.text, faults))
        }
    }
}

fn examine(
    additions: &Additions,
    source: &Path,
    ends: bool,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Checked>, Vec<(Range<usize>, Message)>) {
    let absolute = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
    let mut reader = Reader::new(absolute.parent().unwrap_or(&absolute).to_owned(), env);
    reader.ends = ends;
    let (mut file, errors) = DeTable::parse_recoverable(additions.file());
    additions.put_into(file.get_mut(), &mut reader.faults);
    let section = Section::open(file.get_ref(), 0..0, keys::FILE.title(), &keys::FILE, &mut reader);
    let checked = section.and_then(|file| checked::read(&file, &additions.text, source, &mut reader));
    if errors.is_empty() {
        return (checked, reader.faults);
    }
    let complaint = |error: &toml::de::Error| error.message().lines().next().unwrap_or_default().to_owned();
    let complaints = errors.iter().map(|error| (error.span().unwrap_or(0..0), complaint(error))).collect();
    (None, syntax::faults(&additions.text, complaints, reader.faults))
}

#[cfg(test)]
mod tests;
