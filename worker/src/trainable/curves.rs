//! Trains nothing: gives the figures of a curve, unit by unit, at the pace that the sweep asks for.
//!
//! The state of a trial is how many units are behind it: a curve is a function of parameters and seed. The file holds
//! these three as JSON, so that the state of another trial is refused.
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hpo_core::job::{CurvesJob, TEST};
use hpo_core::sweep::event::FailureKind;
use hpo_core::{Goal, Params, Resource, Seed};
use hpo_curves::{Curve, CurveFault, Curves, Point, Stop};
use serde::{Deserialize, Serialize};

use super::Epoch;

/// Between two looks for orders.
const NAP: Duration = Duration::from_millis(5);

/// The curves of a job.
pub struct Bench {
    curves: Box<dyn Curves>,
    pace: f64,
}

/// One trial on its curve.
pub struct Trial {
    state: State,
    curve: Curve,
}

/// A trial's state, as its file holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    params: Params,
    seed: Seed,
    resource: Resource,
}

/// Why a trial does not begin or go on.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CurvesFault {
    /// There is no such curve.
    #[error(transparent)]
    Source(#[from] CurveFault),
    /// A figure is none.
    #[error("the training has diverged in unit {unit}: its metric is not a finite number")]
    Diverged { unit: Resource },
    /// The recorded training failed there, too.
    #[error("the training fails in unit {unit}")]
    Fails { unit: Resource, kind: FailureKind },
    /// The curve is not so long.
    #[error("there are no figures after unit {longest}; set `max_resource` to that")]
    Ended { longest: Resource },
    /// The disk refuses the state.
    #[error("cannot write the state {}: is the disk full or read-only?", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The disk does not give it back.
    #[error("cannot read the state {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is something else.
    #[error("{} is not the state of a trial on a curve", path.display())]
    NotState { path: PathBuf, source: serde_json::Error },
    /// It is that of another configuration, seed or resource.
    #[error("the state {} belongs to another trial", path.display())]
    Foreign { path: PathBuf },
}

impl Bench {
    /// The curves that a job asks for.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub fn open(job: &CurvesJob, metric: &str, goal: Goal) -> Result<Self, CurvesFault> {
        Ok(Self { curves: hpo_curves::open(job, metric, goal)?, pace: job.pace })
    }

    /// A trial with nothing behind it.
    ///
    /// # Errors
    /// If there is no such curve.
    pub fn begin(&self, params: &Params, seed: Seed) -> Result<Trial, CurvesFault> {
        let state = State { params: params.clone(), seed, resource: Resource(0) };
        Ok(Trial { curve: self.curves.curve(params, seed)?, state })
    }

    /// A trial that goes on from a state.
    ///
    /// # Errors
    /// If the state cannot be read, or is that of another trial.
    pub fn resume(&self, params: &Params, seed: Seed, from: Resource, path: &Path) -> Result<Trial, CurvesFault> {
        let path = path.to_owned();
        let bytes = std::fs::read(&path).map_err(|source| CurvesFault::Read { path: path.clone(), source })?;
        let state: State = serde_json::from_slice(&bytes).map_err(|source| CurvesFault::NotState { path: path.clone(), source })?;
        let mut trial = self.begin(params, seed)?;
        trial.state.resource = from;
        if trial.state == state { Ok(trial) } else { Err(CurvesFault::Foreign { path }) }
    }

    /// One unit more, which takes its seconds times the pace. A unit that fails takes them, too.
    ///
    /// # Errors
    /// If the training fails or has no more units.
    pub fn unit(&self, trial: &mut Trial, interrupted: &mut dyn FnMut() -> bool) -> Result<Epoch, CurvesFault> {
        let unit = Resource(trial.state.resource.0 + 1);
        // A pace that no clock can count waits for orders only.
        let length = Duration::try_from_secs_f64(trial.curve.seconds(Resource(1)) * self.pace).unwrap_or(Duration::MAX);
        let began = Instant::now();
        loop {
            if interrupted() {
                return Ok(Epoch::Interrupted);
            }
            match length.checked_sub(began.elapsed()) {
                Some(left) if !left.is_zero() => std::thread::sleep(left.min(NAP)),
                _ => break,
            }
        }
        let mut metrics = self.curves.metrics(&trial.curve, unit).map_err(|stop| match stop {
            Stop::Fails { unit, kind: FailureKind::NotFinite } => CurvesFault::Diverged { unit },
            Stop::Fails { unit, kind } => CurvesFault::Fails { unit, kind },
            Stop::Ends { longest } => CurvesFault::Ended { longest },
        })?;
        if let Ok(Point { test: Some(test), .. }) = trial.curve.at(unit) {
            metrics.0.entry(TEST.to_owned()).or_insert(test);
        }
        trial.state.resource = unit;
        Ok(Epoch::Done(metrics))
    }
}

impl Trial {
    /// Units behind it.
    pub fn done(&self) -> Resource {
        self.state.resource
    }

    /// Writes the state under a temporary name, flushes it to the disk, and renames it to `path`.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, path: &Path) -> Result<(), CurvesFault> {
        let write = || -> io::Result<()> {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut file = tempfile::Builder::new().prefix(".state-").tempfile_in(folder)?;
            file.write_all(&serde_json::to_vec(&self.state)?)?;
            file.as_file().sync_all()?;
            file.persist(path).map(drop).map_err(|fault| fault.error)
        };
        write().map_err(|source| CurvesFault::Write { path: path.to_owned(), source })
    }
}

impl CurvesFault {
    /// What kind of failure it is; `None` if it is the disk's fault and not the trial's.
    pub fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::Source(_) | Self::Ended { .. } => Some(FailureKind::Setup),
            Self::Diverged { .. } => Some(FailureKind::NotFinite),
            Self::Fails { kind, .. } => Some(*kind),
            Self::NotState { .. } | Self::Foreign { .. } => Some(FailureKind::Checkpoint),
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(FailureKind::Checkpoint),
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}
