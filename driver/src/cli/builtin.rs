//! What only the built-in models know of a sweep file.
use std::collections::BTreeMap;

use hpo_core::TrialId;
use hpo_core::job::{Device, Job, Trainable};
use hpo_core::space::ROW;
use hpo_driver::config::{Checked, Faults};
use hpo_searchers::{Random, Searcher};
use hpo_worker::trainable::burn::{Backend, DeviceFault, recipe};

/// Points of the space that are tried on the model before a sweep starts.
const DRAWS: u32 = 100;
/// An image, [channels, height, width], on which no depth is too much: real sizes are known when the data is read.
const ROOMY: [usize; 3] = [1, 4096, 4096];

/// Hyperparameters that the model does not know would fail every trial: they are found before anything starts.
pub(super) fn check_job(checked: &Checked) -> Result<(), Faults> {
    let Trainable::Burn(burn) = &checked.job.trainable else { return Ok(()) };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let space = &checked.spec.space;
    if space.pool().is_none() && space.names().any(|name| name == ROW) {
        found.insert(ROW.to_owned(), format!("`{ROW}` is the number of a row in a pool, and means nothing to a model"));
    }
    let draws = Random::new(space.clone(), checked.spec.seed);
    let corners = [0.0, 1.0].map(|edge| space.from_unit(&vec![edge; space.parameters().len()]));
    let inside = (0..DRAWS).filter_map(|trial| draws.suggest(TrialId(trial)).ok());
    for mut params in corners.into_iter().chain(inside) {
        // Without the parameter that is wrong, the next fault shows.
        while let Err(fault) = recipe::read(burn.model, &params, ROOMY, 2, burn.max_resource) {
            let name = fault.parameter().to_owned();
            if params.remove(&name).is_none() {
                break;
            }
            found.entry(name).or_insert_with(|| fault.to_string());
        }
    }
    if found.is_empty() { Ok(()) } else { Err(Faults::of_parameters(checked, &found.into_iter().collect::<Vec<_>>())) }
}

/// A device that this program or machine does not have would fail every trial.
pub(super) fn check_device(job: &Job) -> Result<(), DeviceFault> {
    match &job.trainable {
        Trainable::Burn(burn) if burn.device != Device::Auto => Backend::choose(burn.device).map(drop),
        _ => Ok(()),
    }
}
