//! What the integration tests share: the program under test, scratch folders, and real data.
use std::path::{Path, PathBuf};

/// The folder that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The `hpo` that cargo built along with the running test.
///
/// # Panics
/// If it was not built: cargo builds it when the tests of `hpo-driver` are among those asked for.
#[must_use]
pub fn hpo() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // target/PROFILE/deps/TEST -> target/PROFILE/hpo
    let folder = test.parent().and_then(Path::parent).expect("cargo puts tests two folders deep");
    let binary = folder.join(format!("hpo{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.exists(), "{} is missing: run `cargo test --workspace`, which builds it", binary.display());
    binary
}

/// A folder for one test. It goes when the test passes and stays, named, when it fails.
#[derive(Debug)]
pub struct Scratch(Option<tempfile::TempDir>);

impl Scratch {
    /// A new, empty one.
    ///
    /// # Panics
    /// If the system's folder for temporary files cannot be written.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(tempfile::Builder::new().prefix("hpo-test-").tempdir().expect("a temporary folder can be made")))
    }

    /// Where it is.
    ///
    /// # Panics
    /// Never: the folder is there until the value goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("taken only by drop").path()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take().filter(|_| std::thread::panicking()) {
            eprintln!("the folder of the failed test: {}", folder.keep().display());
        }
    }
}

/// A file of real data: under `HPO_DATA_DIR`, else under `../shared/data` beside the workspace. Without it a test says
/// so loudly and ends, unless `HPO_REQUIRE_DATA=1`.
///
/// # Panics
/// If it is not there and `HPO_REQUIRE_DATA=1`.
#[must_use]
pub fn data(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HPO_DATA_DIR").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("HPO_REQUIRE_DATA").is_some_and(|value| value == "1");
    assert!(!required, "{} is missing, and HPO_REQUIRE_DATA=1", path.display());
    eprintln!("SKIPPED: {} is missing; set HPO_DATA_DIR to the folder with the real data", path.display());
    None
}
