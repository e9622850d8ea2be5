//! A worker that lives and can be heard is not declared lost.
use std::collections::BTreeSet;

use hpo_core::{Event, WorkerId};
use hpo_driver::journal::Record;

use super::{Fact, Judge, Premises, Stamp, Violation, refuse};

/// Who is dead, or on the way out.
#[derive(Debug)]
pub(super) struct Silence {
    /// Whether whoever lives can be heard in time. Where workers are told to go by Slurm, or by a driver that has nobody left, one
    /// that is on its way out is silent; who else must not be lost, the world itself sees.
    heard: bool,
    gone: BTreeSet<WorkerId>,
}

const NAME: &str = "silence";

impl Silence {
    /// Everyone lives.
    #[must_use]
    pub(super) fn new(premises: &Premises) -> Self {
        Self { heard: premises.heard && premises.slurm.is_none(), gone: BTreeSet::new() }
    }
}

impl Judge for Silence {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let Event::WorkerLost { worker } = record.event else { return Ok(()) };
        let alive = self.heard && !self.gone.contains(&worker);
        refuse(alive, NAME, || format!("line {}: worker {worker} is declared lost, and it lives and speaks", record.seq))
    }

    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        if let Fact::WorkerDied { worker } | Fact::WorkerDismissed { worker } = fact {
            self.gone.insert(*worker);
        }
        Ok(())
    }
}
