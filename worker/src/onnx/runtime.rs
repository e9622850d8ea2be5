//! Runs exported networks in the process's ONNX runtime ([`hpo_curves::runtime`]); the card of every model says which one
//! looked at it.
use hpo_curves::runtime::{LoadFault, Runtime, StartFault};
use ort::session::Session as OrtSession;
use ort::value::{TensorRef, ValueType};

pub use hpo_curves::runtime::{LIBRARY, RuntimeId};

use super::logits::Logits;

/// The runtime did not do what it was asked. None of these goes away by asking again.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeFault {
    /// The model is not to its liking.
    #[error(transparent)]
    Load(#[from] LoadFault),
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
        let inner = runtime.load(model).map_err(RuntimeFault::Load)?;
        let ports = || RuntimeFault::Ports { inputs: inner.inputs().len(), outputs: inner.outputs().len() };
        let ([input], [_]) = (inner.inputs(), inner.outputs()) else { return Err(ports().into()) };
        let ValueType::Tensor { ty: ort::value::TensorElementType::Float32, shape, .. } = input.dtype() else { return Err(ports().into()) };
        let row = shape.iter().skip(1).map(|&axis| usize::try_from(axis)).collect::<Result<_, _>>().map_err(|_| ports())?;
        Ok(Self { inner, runtime: runtime.id(), row })
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
    Runtime(#[from] &'static StartFault),
    /// The runtime refuses this model.
    #[error(transparent)]
    Model(#[from] RuntimeFault),
}
