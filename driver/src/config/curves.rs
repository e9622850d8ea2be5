//! `[trial]` of the kinds that need no GPU: from the file to a job, and whether the sweep's space fits it.
#[cfg(test)]
mod tests;

use hpo_core::job::{CurveSource, CurvesJob, Function, SurrogateJob, SyntheticJob, TabularJob, Trainable};
use hpo_core::{Params, Resource, Seed, Space};
use hpo_curves::CurveFault;

use super::keys::{surrogate, synthetic, tabular, trial};
use super::raw::{Reader, Section};
use super::shape::Words;
use super::trial::file;
use super::{Checked, Faults};

/// Points of one dimension, or rows of a pool, that are tried before a sweep starts.
const TRIED: usize = 20;

impl Words for Function {
    const WHAT: &'static str = "function";
    const ALL: &'static [(&'static str, Option<Self>)] = &[
        ("branin", Some(Self::Branin)),
        ("hartmann6", Some(Self::Hartmann6)),
        ("rosenbrock", Some(Self::Rosenbrock)),
        ("mixed", Some(Self::Mixed)),
    ];
}

/// Whether a `[trial]` of this kind is read here.
pub(super) fn is_one(section: &Section<'_>) -> bool {
    ["tabular", "surrogate", "synthetic"].iter().any(|kind| section.is_kind(kind))
}

/// Reads `[trial]`; `metric` is the sweep's.
pub(super) fn read(
    section: &Section<'_>,
    max_resource: Option<Resource>,
    metric: Option<&str>,
    reader: &mut Reader<'_>,
) -> Option<CurvesJob> {
    let pace = section.plain(&trial::PACE, reader);
    let source = if section.is_kind("tabular") {
        read_tabular(section, reader).map(CurveSource::Tabular)
    } else if section.is_kind("surrogate") {
        read_surrogate(section, metric, reader).map(CurveSource::Surrogate)
    } else {
        read_synthetic(section, reader).map(CurveSource::Synthetic)
    };
    Some(CurvesJob { source: source?, max_resource: max_resource?, pace: pace?.0 })
}

fn read_tabular(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<TabularJob> {
    let csv = section.get(&tabular::CSV, reader).and_then(|path| file(path, reader));
    let curve = section.plain(&tabular::CURVE, reader);
    let cost = section.plain(&tabular::COST, reader);
    Some(TabularJob { csv: csv?, curve: curve?, cost })
}

fn read_surrogate(section: &Section<'_>, metric: Option<&str>, reader: &mut Reader<'_>) -> Option<SurrogateJob> {
    let model = section.get(&surrogate::MODEL, reader).and_then(|path| file(path, reader));
    let encoding = section.get(&surrogate::ENCODING, reader).map(|path| file(path, reader));
    let categorical = section.plain(&surrogate::CATEGORICAL, reader);
    let continuous = section.plain(&surrogate::CONTINUOUS, reader);
    let fixed = section.plain(&surrogate::FIXED, reader);
    let fidelity = section.plain(&surrogate::FIDELITY, reader);
    let fidelity_step = section.plain(&surrogate::FIDELITY_STEP, reader);
    let outputs = section.plain(&surrogate::OUTPUTS, reader);
    let its_metric = section.plain(&surrogate::METRIC, reader);
    let test = section.plain(&surrogate::TEST, reader);
    let cost = section.plain(&surrogate::COST, reader);
    let noise = section.plain(&surrogate::NOISE, reader);
    let failure_rate = section.plain(&surrogate::FAILURE_RATE, reader);
    Some(SurrogateJob {
        model: model?,
        // One that is given and not there is a fault, one that is not given is none.
        encoding: encoding.map_or(Some(None), |found| found.map(Some))?,
        categorical: categorical?,
        continuous: continuous?,
        fixed: fixed?,
        fidelity: fidelity?,
        fidelity_step: fidelity_step?.0,
        outputs: outputs?,
        metric: its_metric.or_else(|| metric.map(str::to_owned))?,
        test,
        cost,
        noise: noise?.0,
        failure_rate: failure_rate?.0,
    })
}

fn read_synthetic(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<SyntheticJob> {
    let function = section.plain(&synthetic::FUNCTION, reader);
    let noise = section.plain(&synthetic::NOISE, reader);
    let failure_rate = section.plain(&synthetic::FAILURE_RATE, reader);
    let crossing = section.plain(&synthetic::CROSSING, reader);
    let rate = section.plain(&synthetic::RATE, reader);
    let seconds = section.plain(&synthetic::SECONDS, reader);
    let cost_spread = section.plain(&synthetic::COST_SPREAD, reader);
    Some(SyntheticJob {
        function: function?,
        noise: noise?.0,
        failure_rate: failure_rate?.0,
        crossing: crossing?.0,
        rate: rate?.0,
        seconds: seconds?.0,
        cost_spread: cost_spread?.0,
    })
}

/// Why trainings of a sweep would have no curve.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    Source(#[from] CurveFault),
    #[error("max_resource is {asked}, and the curves have {longest} units; lower it, for no training can go on after its end")]
    Short { asked: Resource, longest: Resource },
}

/// Opens the curves of a sweep that has some, and asks for those of a few points of its space, so that what does not fit
/// is found before anything starts. In a build without surrogates those are not looked at.
///
/// # Errors
/// What is wrong, at `[trial]`.
pub fn probe(checked: &Checked) -> Result<(), Faults> {
    let Trainable::Curves(job) = &checked.job.trainable else { return Ok(()) };
    match try_out(job, checked) {
        Ok(()) | Err(Unfit::Source(CurveFault::NoSurrogate)) => Ok(()),
        Err(fault) => Err(Faults::of_trial(checked, &fault)),
    }
}

fn try_out(job: &CurvesJob, checked: &Checked) -> Result<(), Unfit> {
    let curves = hpo_curves::open(job, &checked.job.metric, checked.job.goal)?;
    if let Some(longest) = curves.longest().filter(|longest| *longest < job.max_resource) {
        return Err(Unfit::Short { asked: job.max_resource, longest });
    }
    for params in points(&checked.spec.space) {
        curves.curve(&params, Seed(0))?;
    }
    Ok(())
}

/// Rows all over a pool; else the middle of the space, and from there a way along each dimension.
fn points(space: &Space) -> Vec<Params> {
    if let Some(pool) = space.pool() {
        let step = pool.rows().div_ceil(TRIED).max(1);
        return (0..pool.rows()).step_by(step).filter_map(|row| pool.point(row)).collect();
    }
    let middle = vec![0.5; space.parameters().len()];
    let along = |dimension: usize| {
        let middle = &middle;
        (0..TRIED).map(move |at| {
            let mut unit = middle.clone();
            unit[dimension] = at as f64 / (TRIED - 1) as f64;
            space.from_unit(&unit)
        })
    };
    (0..middle.len()).flat_map(along).collect()
}
