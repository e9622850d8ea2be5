//! What comes from outside is let in only if anybody can make something of it: a worker has slots, as many as a machine may have,
//! and no more GPUs than there are in the world; a trial's values are a point of the space.
use hpo_core::space::{Domain, Parameter, Value};
use hpo_core::sweep::event::Slot;
use hpo_core::{Event, Params, Space, SweepSpec};
use hpo_driver::journal::Record;

use super::{Judge, Violation, refuse};

/// What may be proposed.
#[derive(Debug)]
pub(super) struct Sense {
    space: Space,
}

const NAME: &str = "sense";
/// Slots of one worker.
const SLOTS: usize = 1024;
/// Thousandths of a GPU that all workers may have together: 100,000 GPUs.
const MILLI_GPUS: u64 = 100_000_000;

impl Sense {
    /// In this sweep.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self { space: spec.space.clone() }
    }

    /// Each parameter has a value of its domain, and there is no other value. Of conditions this judge knows nothing.
    fn has(&self, params: &Params) -> bool {
        let parameters = self.space.parameters();
        let named = params.iter().all(|(name, _)| parameters.iter().any(|parameter| parameter.name == *name));
        named && parameters.iter().all(|Parameter { name, domain, .. }| params.get(name).is_some_and(|value| is_of(domain, value)))
    }
}

fn is_of(domain: &Domain, value: &Value) -> bool {
    match (domain, value) {
        (Domain::Float { low, high, .. }, Value::Float(value)) => (*low..=*high).contains(value),
        (Domain::Int { low, high, step, .. }, Value::Int(value)) => (*low..=*high).contains(value) && (value - low) % step == 0,
        (Domain::Choice { values, .. }, value) => values.contains(value),
        (Domain::Bool, value) => matches!(value, Value::Bool(_)),
        (Domain::Constant(only), value) => only == value,
        _ => false,
    }
}

impl Judge for Sense {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let line = record.seq;
        match &record.event {
            Event::WorkerJoined { worker, slots, .. } => {
                let count = slots.len();
                refuse(!(1..=SLOTS).contains(&count), NAME, || format!("line {line}: worker {worker} has {count} slots"))?;
                let gpus: u64 = slots.iter().map(|Slot { milli_gpus, .. }| u64::from(*milli_gpus)).sum();
                refuse(gpus > MILLI_GPUS, NAME, || format!("line {line}: worker {worker} has {gpus} thousandths of a GPU"))
            }
            Event::Suggested { trial, params, .. } => {
                refuse(!self.has(params), NAME, || format!("line {line}: of trial {trial} {params:?} is no point of the space"))
            }
            _ => Ok(()),
        }
    }
}
