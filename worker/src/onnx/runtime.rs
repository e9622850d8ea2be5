//! Runs ONNX models through `ort`: by the ONNX Runtime that `ORT_DYLIB_PATH` names, else by tract, which is compiled in.
//!
//! `ort` knows one runtime a process, so the choice is made once, at the first use. A library that cannot be loaded is
//! told in the log and tract is used: the card of every model says which runtime looked at it.
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session as OrtSession;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{TensorRef, ValueType};
use serde::{Deserialize, Serialize};

use super::logits::Logits;

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

/// The runtime did not do what it was asked. None of these goes away by asking again.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeFault {
    /// It has no environment to offer.
    #[error("the ONNX runtime did not start; unset {LIBRARY} to use the one that is built in")]
    Start(#[source] ort::Error),
    /// Someone in this process set `ort` up before us.
    #[error("this process already uses another ONNX runtime")]
    Taken,
    /// The model is not to its liking.
    #[error("{runtime} does not load the model")]
    Load {
        /// Which runtime.
        runtime: RuntimeId,
        /// Its reason.
        source: ort::Error,
    },
    /// The model loaded, and failed on an input.
    #[error("{runtime} does not run the model on a batch of {batch}")]
    Run {
        /// Which runtime.
        runtime: RuntimeId,
        /// Rows that were given.
        batch: usize,
        /// Its reason.
        source: ort::Error,
    },
    /// The model does not take one f32 tensor and give one.
    #[error("the model must have exactly one f32 tensor as input and one as output; it has {inputs} inputs and {outputs} outputs")]
    Ports {
        /// How many it takes.
        inputs: usize,
        /// How many it gives.
        outputs: usize,
    },
    /// The input is not a whole number of rows.
    #[error("{values} values are no whole number of rows of {row}")]
    Rows {
        /// f32 values given.
        values: usize,
        /// f32 values a row.
        row: usize,
    },
    /// What came out is not a row of logits for each row that went in.
    #[error("{runtime} gave a tensor of shape {shape:?} for {batch} rows")]
    Shape {
        /// Which runtime.
        runtime: RuntimeId,
        /// What came out.
        shape: Vec<i64>,
        /// Rows that went in.
        batch: usize,
    },
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
    pub fn get() -> Result<&'static Self, &'static RuntimeFault> {
        static RUNTIME: OnceLock<Result<Runtime, RuntimeFault>> = OnceLock::new();
        let library = || std::env::var_os(LIBRARY).filter(|path| !path.is_empty()).map(PathBuf::from);
        RUNTIME.get_or_init(|| Self::start(library().as_deref())).as_ref()
    }

    /// Which runtime it is.
    #[must_use]
    pub fn id(&self) -> &RuntimeId {
        &self.id
    }

    // Never through ort's own reading of the environment: it panics where a library is missing.
    fn start(library: Option<&Path>) -> Result<Self, RuntimeFault> {
        if let Some(path) = library {
            match ort::init_from(path) {
                Ok(builder) => return Self::with(builder, "onnxruntime"),
                Err(why) => tracing::warn!("{LIBRARY}: {why}; the built-in runtime checks models instead"),
            }
        }
        if !ort::set_api(ort_tract::api()) {
            return Err(RuntimeFault::Taken);
        }
        Self::with(ort::init(), "tract")
    }

    fn with(builder: ort::environment::EnvironmentBuilder, name: &str) -> Result<Self, RuntimeFault> {
        let environment = builder.with_name("hpo").with_telemetry(false).build().map_err(RuntimeFault::Start)?;
        Ok(Self { environment, id: RuntimeId { name: name.to_owned(), version: version(ort::info()) } })
    }
}

/// The version in a build information string: ONNX Runtime says `git-branch=rel-1.24.4`, ort-tract `version=0.5.0+0.23`
/// (its own and, after the plus, tract's).
fn version(info: &str) -> String {
    let value = |key| info.split([',', ' ']).find_map(|part| part.strip_prefix(key));
    value("git-branch=rel-").or_else(|| value("version=")).unwrap_or(info).to_owned()
}

/// A loaded model: one f32 tensor in, one out, the first axis of both the batch.
pub struct Session {
    inner: OrtSession,
    runtime: &'static RuntimeId,
    row: Vec<usize>,
}

impl Session {
    /// Loads an encoded model that [`super::check`] has passed: a runtime may abort the process on a malformed one.
    ///
    /// # Errors
    /// If there is no runtime, or it refuses the model.
    pub fn open(model: &[u8]) -> Result<Self, SessionFault> {
        let runtime = Runtime::get()?;
        // `All`: ort-tract optimises nothing unless told. One thread: the same sums in the same order every time.
        let load = || -> ort::Result<OrtSession> {
            OrtSession::builder(&runtime.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(1)?
                .commit_from_memory(model)
        };
        let inner = load().map_err(|source| RuntimeFault::Load { runtime: runtime.id.clone(), source })?;
        let ports = || RuntimeFault::Ports { inputs: inner.inputs().len(), outputs: inner.outputs().len() };
        let ([input], [_]) = (inner.inputs(), inner.outputs()) else { return Err(ports().into()) };
        let ValueType::Tensor { ty: ort::value::TensorElementType::Float32, shape, .. } = input.dtype() else { return Err(ports().into()) };
        let row = shape.iter().skip(1).map(|&axis| usize::try_from(axis)).collect::<Result<_, _>>().map_err(|_| ports())?;
        Ok(Self { inner, runtime: &runtime.id, row })
    }

    /// What runs it.
    #[must_use]
    pub fn runtime(&self) -> &RuntimeId {
        self.runtime
    }

    /// Name and shape of the input as the runtime sees them; -1 is an axis of any size.
    #[must_use]
    pub fn input(&self) -> (&str, Vec<i64>) {
        port(&self.inner.inputs()[0])
    }

    /// Name and shape of the output as the runtime sees them.
    #[must_use]
    pub fn output(&self) -> (&str, Vec<i64>) {
        port(&self.inner.outputs()[0])
    }

    /// Runs all rows as one batch.
    ///
    /// # Errors
    /// If `rows` is not a whole number of rows, or the runtime fails, or its answer is not one row of logits a row.
    pub fn run(&mut self, rows: &[f32]) -> Result<Logits, RuntimeFault> {
        let width: usize = self.row.iter().product();
        if width == 0 || !rows.len().is_multiple_of(width) {
            return Err(RuntimeFault::Rows { values: rows.len(), row: width });
        }
        let batch = rows.len() / width;
        let shape: Vec<usize> = std::iter::once(batch).chain(self.row.iter().copied()).collect();
        let fault = |source| RuntimeFault::Run { runtime: self.runtime.clone(), batch, source };
        let input = TensorRef::from_array_view((shape, rows)).map_err(fault)?;
        let outputs = self.inner.run(ort::inputs![input]).map_err(fault)?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(fault)?;
        match **shape {
            [rows, classes] if usize::try_from(rows) == Ok(batch) && classes > 0 => Ok(Logits::new(values.to_vec(), classes as usize)),
            _ => Err(RuntimeFault::Shape { runtime: self.runtime.clone(), shape: shape.to_vec(), batch }),
        }
    }
}

fn port(outlet: &ort::value::Outlet) -> (&str, Vec<i64>) {
    (outlet.name(), outlet.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default())
}

/// A session that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionFault {
    /// There is no runtime in this process.
    #[error(transparent)]
    Runtime(#[from] &'static RuntimeFault),
    /// The runtime refuses this model.
    #[error(transparent)]
    Model(#[from] RuntimeFault),
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
