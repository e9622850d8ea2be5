//! Which workers of a sweep that goes on died on this machine while no driver looked: their trials need not wait until their
//! leases run out.
use std::fs;

use hpo_core::{WorkerId, layout};

use super::inbox::{Handle, Input};
use crate::process::Located;
use crate::rundir::RunDir;

/// Tells the engine of those of the workers whose process is proved to be dead. Of one without a file, or with one that is not
/// understood, nothing is known. Blocks.
pub(super) fn tell_of_the_dead(run: &RunDir, workers: &[WorkerId], engine: &Handle) {
    let scratch = run.checkpoints().join(layout::SCRATCH);
    for worker in workers {
        let text = fs::read(scratch.join(worker.to_string()).join(layout::PROCESS));
        let process: Option<Located> = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
        // An engine that has ended does not mind.
        if process.is_some_and(|process| process.is_dead()) && engine.send_blocking(Input::Dead { worker: *worker }).is_err() {
            return;
        }
    }
}
