//! `hpo init`: a commented sweep file to start from.
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The starter file: runs as it stands, on any machine.
pub const STARTER: &str = include_str!("starter.toml");

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum InitFault {
    /// Something is there.
    #[error("`{}` exists and is left as it is: name another file, or remove it first", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// It could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes the starter file to `path`, which must not exist.
///
/// # Errors
/// If it exists or cannot be written; a file that was begun is removed.
pub fn write(path: &Path) -> Result<(), InitFault> {
    let fault = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => InitFault::Exists { path: path.to_owned() },
        _ => InitFault::Write { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(fault)?;
    file.write_all(STARTER.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a starter file would be worse than none, and the next try would be refused.
        let _ = std::fs::remove_file(path);
        fault(error)
    })
}
