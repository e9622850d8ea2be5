//! The model in the runtime, for many threads.
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use hpo_core::job::SurrogateJob;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::encode::Rows;
use crate::SurrogateFault;
use crate::runtime::Runtime;

/// One session serves one thread at a time, so there are as many as were ever busy at once.
pub(super) struct Model {
    path: PathBuf,
    encoded: Vec<u8>,
    idle: Mutex<Vec<Session>>,
    categorical: usize,
    continuous: usize,
    outputs: usize,
}

impl Model {
    pub(super) fn open(job: &SurrogateJob) -> Result<Self, SurrogateFault> {
        let path = job.model.clone();
        let encoded = std::fs::read(&path).map_err(|source| SurrogateFault::Unreadable { path: path.clone(), source })?;
        let (categorical, continuous, outputs) = (job.categorical.len(), job.continuous.len(), job.outputs.len());
        let model = Self { path, encoded, idle: Mutex::default(), categorical, continuous, outputs };
        let session = model.load()?;
        model.check(&session)?;
        model.give_back(session);
        Ok(model)
    }

    /// One row of outputs a row of inputs.
    pub(super) fn run(&self, rows: &Rows) -> Result<Vec<f32>, SurrogateFault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut session = match idle {
            Some(session) => session,
            None => self.load()?,
        };
        let fault = |source| SurrogateFault::Run { path: self.path.clone(), rows: rows.count, source };
        let mut inputs: Vec<(String, SessionInputValue<'_>)> = vec![];
        for input in session.inputs() {
            let value = if element(input.dtype()) == Some(TensorElementType::Int32) {
                TensorRef::from_array_view(([rows.count, self.categorical], rows.categorical.as_slice())).map_err(fault)?.into()
            } else {
                TensorRef::from_array_view(([rows.count, self.continuous], rows.continuous.as_slice())).map_err(fault)?.into()
            };
            inputs.push((input.name().to_owned(), value));
        }
        let predicted = {
            let outputs = session.run(inputs).map_err(fault)?;
            let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(fault)?;
            if !shape.iter().copied().eq([rows.count as i64, self.outputs as i64]) {
                let wanted = vec![rows.count as i64, self.outputs as i64];
                return Err(SurrogateFault::Shape { path: self.path.clone(), wanted, found: shape.to_vec() });
            }
            values.to_vec()
        };
        self.give_back(session);
        Ok(predicted)
    }

    fn load(&self) -> Result<Session, SurrogateFault> {
        let runtime = Runtime::get()?;
        runtime.load(&self.encoded).map_err(|source| SurrogateFault::Load { path: self.path.clone(), source: Box::new(source) })
    }

    fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Whether the model takes what the job says: i32 words if there are any, f32 numbers, as many as are named.
    fn check(&self, session: &Session) -> Result<(), SurrogateFault> {
        use TensorElementType::{Float32, Int32};
        let port = |outlet: &ort::value::Outlet| Some((element(outlet.dtype())?, outlet.dtype().tensor_shape()?.to_vec()));
        let ports = |outlets: &[ort::value::Outlet]| outlets.iter().map(port).collect::<Option<Vec<_>>>().unwrap_or_default();
        let (mut inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        inputs.sort_by_key(|(element, _)| *element != Int32);
        let words = (self.categorical > 0).then_some((Int32, self.categorical));
        let wanted: Vec<_> = words.into_iter().chain([(Float32, self.continuous)]).collect();
        // Not every model says how wide it is: then the first run shows.
        let fits = |(element, shape): &(TensorElementType, Vec<i64>), (wanted, width): &(TensorElementType, usize)| {
            element == wanted && shape.len() == 2 && (shape[1] < 0 || shape[1] == *width as i64)
        };
        let all_fit = inputs.len() == wanted.len() && inputs.iter().zip(&wanted).all(|(port, wanted)| fits(port, wanted));
        if all_fit && outputs.first().is_some_and(|port| fits(port, &(Float32, self.outputs))) {
            return Ok(());
        }
        let (categorical, continuous, named) = (self.categorical, self.continuous, self.outputs);
        let say = |ports: &[(TensorElementType, Vec<i64>)]| {
            let each = ports.iter().map(|(element, shape)| format!("{element} {shape:?}"));
            each.collect::<Vec<_>>().join(", ")
        };
        let found = format!("{} -> {}", say(&inputs), say(&outputs));
        Err(SurrogateFault::Ports { path: self.path.clone(), categorical, continuous, outputs: named, found })
    }
}

fn element(port: &ValueType) -> Option<TensorElementType> {
    match port {
        ValueType::Tensor { ty, .. } => Some(*ty),
        _ => None,
    }
}
