//! Files that are whole or absent.
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::private;

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// Reading.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Writing; whatever was there before is untouched.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads all of it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileFault> {
    std::fs::read(path).map_err(|source| FileFault::Read { path: path.to_owned(), source })
}

/// A file that lies beside its place, complete and on disk, and is not there yet. It vanishes when dropped.
pub(super) struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Writes the bytes beside `path` and syncs them. Makes the folder.
    pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<Self, FileFault> {
        let fault = |source| FileFault::Write { path: path.to_owned(), source };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = folder(path);
        private::folder(folder).map_err(fault)?;
        let mut file = tempfile::Builder::new().prefix(".").suffix(&format!(".{name}.tmp")).tempfile_in(folder).map_err(fault)?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(fault)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Reads back what is on disk.
    pub(super) fn read(&self) -> Result<Vec<u8>, FileFault> {
        read(self.file.path())
    }

    /// Puts it in its place, in one step that survives a power cut.
    pub(super) fn publish(self) -> Result<(), FileFault> {
        let Self { file, path } = self;
        let renamed = file.persist(&path).map_err(|fault| fault.error);
        renamed.and_then(|_| File::open(folder(&path))?.sync_all()).map_err(|source| FileFault::Write { path, source })
    }
}

/// Takes a file away; one that is not there is gone already.
pub(super) fn remove(path: &Path) -> Result<(), FileFault> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileFault::Write { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
