//! Files for readers that want a path.
use std::cell::OnceCell;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// In memory where the system has such a folder.
const FAST: &str = "/dev/shm";

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// A folder of this thread, the same at every call.
pub(crate) fn folder() -> PathBuf {
    FOLDER.with(|folder| {
        let new = || tempfile::tempdir_in(FAST).or_else(|_| tempfile::tempdir()).expect("a temporary folder");
        folder.get_or_init(new).path().to_owned()
    })
}

/// A file in that folder with this content.
pub(crate) fn file(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, content).unwrap_or_else(|fault| panic!("{}: {fault}", Path::new(name).display()));
    path
}

/// The same, for its owner alone.
pub(crate) fn private(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = file(name, content);
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our own file");
    path
}

/// The input's two files, parted by a line of three dashes.
pub(crate) fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    const BETWEEN: &[u8] = b"\n---\n";
    match data.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        Some(at) => (&data[..at], &data[at + BETWEEN.len()..]),
        None => (data, b""),
    }
}
