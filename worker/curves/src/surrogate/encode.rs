//! From parameters to the numbers that a YAHPO model takes.
use std::collections::BTreeMap;

use hpo_core::job::SurrogateJob;
use hpo_core::{Params, Resource, Value};

use crate::SurrogateFault;

/// The word for a categorical input that does not exist under the others.
const MISSING: &str = "#na#";

/// Knows the order of the inputs, and the number of each word.
pub(super) struct Encoder {
    /// Name and words of each categorical input.
    categorical: Vec<(String, BTreeMap<String, i32>)>,
    continuous: Vec<String>,
    fixed: BTreeMap<String, Value>,
    /// Place of the fidelity among the continuous inputs.
    fidelity: usize,
    step: f64,
}

/// A configuration as the model takes it, at fidelity 0. Bits instead of numbers, so that inputs can be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Input {
    pub(super) categorical: Vec<i32>,
    pub(super) continuous: Vec<u32>,
}

/// A batch: one row a unit of resource.
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) categorical: Vec<i32>,
    pub(super) continuous: Vec<f32>,
}

impl Encoder {
    pub(super) fn open(job: &SurrogateJob) -> Result<Self, SurrogateFault> {
        let mut words = match &job.encoding {
            Some(path) => read(path)?,
            None => BTreeMap::new(),
        };
        let mut words_of = |name: &String| match words.remove(name) {
            Some(words) => Ok((name.clone(), words)),
            None => Err(SurrogateFault::NoEncoding { input: name.clone() }),
        };
        let categorical = job.categorical.iter().map(&mut words_of).collect::<Result<_, _>>()?;
        let fidelity = job.continuous.iter().position(|name| *name == job.fidelity);
        let fidelity = fidelity.ok_or_else(|| SurrogateFault::NoFidelity { fidelity: job.fidelity.clone() })?;
        let (fixed, step) = (job.fixed.clone(), job.fidelity_step);
        let encoder = Self { categorical, continuous: job.continuous.clone(), fixed, fidelity, step };
        for (name, value) in &encoder.fixed {
            encoder.admit(name)?;
            let words = encoder.categorical.iter().find(|(input, _)| input == name);
            words.map_or_else(|| number(name, value).map(drop), |(_, words)| code(name, words, value).map(drop))?;
        }
        Ok(encoder)
    }

    /// An input that neither the trial nor `fixed` gives is 0, or the word for a missing one.
    pub(super) fn encode(&self, params: &Params) -> Result<Input, SurrogateFault> {
        for name in params.keys() {
            self.admit(name)?;
            if self.fixed.contains_key(name) {
                return Err(SurrogateFault::GivenTwice { name: name.clone() });
            }
        }
        let get = |name: &String| params.get(name).or_else(|| self.fixed.get(name));
        let categorical = self.categorical.iter().map(|(name, words)| match get(name) {
            Some(value) => code(name, words, value),
            None => words.get(MISSING).copied().ok_or_else(|| SurrogateFault::NeverMissing { input: name.clone() }),
        });
        let continuous = self.continuous.iter().map(|name| match get(name) {
            Some(value) => number(name, value),
            None => Ok(0.0),
        });
        Ok(Input {
            categorical: categorical.collect::<Result<_, _>>()?,
            continuous: continuous.map(|number| number.map(f32::to_bits)).collect::<Result<_, _>>()?,
        })
    }

    /// Whether a trial or `fixed` may give this input.
    fn admit(&self, name: &String) -> Result<(), SurrogateFault> {
        if *name == self.continuous[self.fidelity] {
            return Err(SurrogateFault::GivenTwice { name: name.clone() });
        }
        let known = self.continuous.contains(name) || self.categorical.iter().any(|(input, _)| input == name);
        if known { Ok(()) } else { Err(SurrogateFault::NoInput { name: name.clone() }) }
    }

    /// The input at each unit from 1 to `longest`.
    pub(super) fn rows(&self, input: &Input, longest: Resource) -> Rows {
        let count = longest.0 as usize;
        let mut continuous: Vec<f32> = input.continuous.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<_>>().repeat(count);
        for (row, unit) in continuous.chunks_exact_mut(self.continuous.len()).zip(1..=longest.0) {
            row[self.fidelity] = (f64::from(unit) * self.step) as f32;
        }
        Rows { count, categorical: input.categorical.repeat(count), continuous }
    }
}

fn number(input: &str, value: &Value) -> Result<f32, SurrogateFault> {
    value.number().map(|number| number as f32).ok_or_else(|| wrong(input, value, "a number"))
}

/// The number of a word. Truth values are spelt by whoever made the encoding.
fn code(input: &str, words: &BTreeMap<String, i32>, value: &Value) -> Result<i32, SurrogateFault> {
    let spellings = match value {
        Value::Bool(true) => ["true", "TRUE", "True", "1"].map(str::to_owned).to_vec(),
        Value::Bool(false) => ["false", "FALSE", "False", "0"].map(str::to_owned).to_vec(),
        _ => vec![value.to_string()],
    };
    spellings.iter().find_map(|word| words.get(word)).copied().ok_or_else(|| wrong(input, value, "a word of its encoding"))
}

fn wrong(input: &str, value: &Value, wanted: &'static str) -> SurrogateFault {
    SurrogateFault::Value { input: input.to_owned(), value: value.clone(), wanted }
}

fn read(path: &std::path::Path) -> Result<BTreeMap<String, BTreeMap<String, i32>>, SurrogateFault> {
    let text = std::fs::read(path).map_err(|source| SurrogateFault::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| SurrogateFault::Encoding { path: path.to_owned(), source })
}
