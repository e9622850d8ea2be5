//! From a sweep file to what is played.
use std::sync::Arc;

use hpo_core::job::{CurvesJob, Trainable};
use hpo_core::{Goal, SweepSpec};
use hpo_curves::Curves;
use hpo_searchers::SearcherSpec;

use super::{Conditions, Fault};
use crate::config::{Checked, plan::most_trials};

/// One sweep to be played with any seed.
#[derive(Clone)]
pub struct Setup {
    /// The sweep. Another seed may be played than its own.
    pub spec: SweepSpec,
    /// Who proposes.
    pub searcher: SearcherSpec,
    /// What trainings look like. Sweeps that differ in their scheduler alone share them.
    pub curves: Arc<dyn Curves>,
    /// The world.
    pub conditions: Conditions,
    /// Units of resource after which it is over, if it has not ended before.
    pub until: Option<u64>,
}

/// Makes the sweeps of several files ready. Equal curves are opened once.
///
/// # Errors
/// The place of the first file that cannot be simulated, and why.
pub fn open(files: &[Checked], workers: Option<u32>, until: Option<u64>) -> Result<Vec<Setup>, (usize, Fault)> {
    let mut opened: Vec<(&CurvesJob, &str, Goal, Arc<dyn Curves>)> = vec![];
    let mut setups = vec![];
    for (place, file) in files.iter().enumerate() {
        let job = simulated(&file.job.trainable).map_err(|fault| (place, fault))?;
        if until.is_none() && may_be_endless(file) {
            return Err((place, Fault::NoEnd));
        }
        let (metric, goal) = (file.job.metric.as_str(), file.job.goal);
        let known = opened.iter().find(|(other, named, turned, _)| *other == job && *named == metric && *turned == goal);
        let curves = match known {
            Some((.., curves)) => Arc::clone(curves),
            None => {
                let curves: Arc<dyn Curves> = hpo_curves::open(job, metric, goal).map_err(|fault| (place, fault.into()))?.into();
                opened.push((job, metric, goal, Arc::clone(&curves)));
                curves
            }
        };
        let ladder = file.spec.scheduler.ladder();
        let max_resource = ladder.resource(ladder.top());
        if let Some(longest) = curves.longest().filter(|longest| *longest < max_resource) {
            return Err((place, Fault::Short { longest, max_resource }));
        }
        let conditions = Conditions { workers: workers.unwrap_or(file.simulate.workers), ..file.simulate };
        setups.push(Setup { spec: file.spec.clone(), searcher: file.searcher.clone(), curves, conditions, until });
    }
    Ok(setups)
}

/// Whether it depends on the curves alone that the sweep ends.
fn may_be_endless(file: &Checked) -> bool {
    let spec = &file.spec;
    spec.budget.wall.is_none() && spec.budget.reserved.is_none() && most_trials(file).is_none()
}

fn simulated(trainable: &Trainable) -> Result<&CurvesJob, Fault> {
    match trainable {
        Trainable::Curves(job) => Ok(job),
        Trainable::Burn(_) => Err(Fault::NotSimulated { kind: "burn" }),
        Trainable::Command(_) => Err(Fault::NotSimulated { kind: "command" }),
    }
}
