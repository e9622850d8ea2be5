//! The ONNX runtime of this process: ONNX Runtime where `ORT_DYLIB_PATH` names it, else tract, which is compiled in.
//!
//! `ort` knows one runtime a process, so the choice is made once, at the first use. A library that cannot be loaded is
//! told in the log and tract is used; whoever shows results says which runtime gave them.
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use serde::{Deserialize, Serialize};

/// Names the library of ONNX Runtime (1.24 or newer): a full path, or a name that the loader finds.
pub const LIBRARY: &str = "ORT_DYLIB_PATH";

/// What ran a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeId {
    /// `onnxruntime` or `tract`.
    pub name: String,
    /// As the runtime gives it.
    pub version: String,
}

impl fmt::Display for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// This process has no runtime, and will have none.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// It has no environment to offer.
    #[error("the ONNX runtime did not start; unset {LIBRARY} to use the one that is built in")]
    Start(#[source] ort::Error),
    /// Someone in this process set `ort` up before us.
    #[error("this process already uses another ONNX runtime")]
    Taken,
}

/// The model is not to the runtime's liking.
#[derive(Debug, thiserror::Error)]
#[error("{runtime} does not load the model")]
pub struct LoadFault {
    /// Which runtime.
    pub runtime: RuntimeId,
    /// Its reason.
    pub source: ort::Error,
}

/// The process's runtime.
pub struct Runtime {
    environment: Environment,
    id: RuntimeId,
}

impl Runtime {
    /// The one runtime of this process, started at the first call.
    ///
    /// # Errors
    /// Every call gives the same fault if the first could not start it.
    pub fn get() -> Result<&'static Self, &'static StartFault> {
        static RUNTIME: OnceLock<Result<Runtime, StartFault>> = OnceLock::new();
        let library = || std::env::var_os(LIBRARY).filter(|path| !path.is_empty()).map(PathBuf::from);
        RUNTIME.get_or_init(|| Self::start(library().as_deref())).as_ref()
    }

    /// Which runtime it is.
    #[must_use]
    pub fn id(&self) -> &RuntimeId {
        &self.id
    }

    /// Loads an encoded model.
    ///
    /// # Errors
    /// If the runtime refuses it.
    pub fn load(&self, model: &[u8]) -> Result<Session, LoadFault> {
        // `All`: ort-tract optimises nothing unless told. One thread: the same sums in the same order every time.
        let load = || -> ort::Result<Session> {
            Session::builder(&self.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(1)?
                .commit_from_memory(model)
        };
        load().map_err(|source| LoadFault { runtime: self.id.clone(), source })
    }

    // Never through ort's own reading of the environment: it panics where a library is missing.
    fn start(library: Option<&Path>) -> Result<Self, StartFault> {
        if let Some(path) = library {
            match ort::init_from(path) {
                Ok(builder) => return Self::with(builder, "onnxruntime"),
                Err(why) => tracing::warn!("{LIBRARY}: {why}; the built-in runtime is used instead"),
            }
        }
        if !ort::set_api(ort_tract::api()) {
            return Err(StartFault::Taken);
        }
        Self::with(ort::init(), "tract")
    }

    fn with(builder: ort::environment::EnvironmentBuilder, name: &str) -> Result<Self, StartFault> {
        let environment = builder.with_name("hpo").with_telemetry(false).build().map_err(StartFault::Start)?;
        Ok(Self { environment, id: RuntimeId { name: name.to_owned(), version: version(ort::info()) } })
    }
}

/// The version in a build information string: ONNX Runtime says `git-branch=rel-1.24.4`, ort-tract `version=0.5.0+0.23`
/// (its own and, after the plus, tract's).
fn version(info: &str) -> String {
    let value = |key| info.split([',', ' ']).find_map(|part| part.strip_prefix(key));
    value("git-branch=rel-").or_else(|| value("version=")).unwrap_or(info).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_build_strings() {
        assert_eq!(version("ORT Build Info: git-branch=rel-1.24.4, git-commit-id=26250ae, build type=Release"), "1.24.4");
        assert_eq!(version("ORT Build Info: backend=ort-tract, version=0.5.0+0.23"), "0.5.0+0.23");
        assert_eq!(version("something else"), "something else");
    }
}
