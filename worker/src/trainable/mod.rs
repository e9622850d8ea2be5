//! What a trainer process trains itself: built-in networks, and trainings that are looked up or computed. A program of the
//! user's is another process ([`crate::trainer::exec`]).
#[cfg(feature = "burn")]
pub mod burn;
pub mod curves;

#[cfg(feature = "burn")]
use std::io;
use std::path::Path;

use hpo_core::job::{Job, Trainable};
use hpo_core::sweep::event::FailureKind;
use hpo_core::{Metrics, Params, Resource, Seed};

#[cfg(feature = "burn")]
use self::burn::{self as networks, state::StateFault};
#[cfg(feature = "burn")]
use crate::models::ParamFault;

/// What came of one unit of resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Epoch {
    /// Its report.
    Done(Metrics),
    /// It was broken off and has changed nothing.
    Interrupted,
}

/// What all trials of a job share.
pub(crate) enum Bench {
    #[cfg(feature = "burn")]
    Burn(Box<networks::Bench>),
    Curves(curves::Bench),
}

/// One configuration in training.
pub(crate) enum Trial {
    #[cfg(feature = "burn")]
    Burn(Box<networks::Trial>),
    Curves(curves::Trial),
}

/// Why a trial does not begin or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialFault {
    #[cfg(feature = "burn")]
    #[error(transparent)]
    Bench(#[from] networks::BenchFault),
    #[cfg(feature = "burn")]
    #[error(transparent)]
    Params(#[from] ParamFault),
    #[cfg(feature = "burn")]
    #[error(transparent)]
    State(#[from] StateFault),
    #[cfg(feature = "burn")]
    #[error(transparent)]
    NotFinite(#[from] networks::NotFinite),
    #[error(transparent)]
    Curves(#[from] curves::CurvesFault),
    #[cfg(not(feature = "burn"))]
    #[error("this hpo was built without the feature `burn`, and so without models")]
    NoModels,
}

impl Bench {
    pub(crate) fn open(job: &Job) -> Result<Self, TrialFault> {
        match &job.trainable {
            Trainable::Curves(curves) => Ok(Self::Curves(curves::Bench::open(curves, &job.metric, job.goal)?)),
            #[cfg(not(feature = "burn"))]
            Trainable::Burn(_) | Trainable::Command(_) => Err(TrialFault::NoModels),
            #[cfg(feature = "burn")]
            Trainable::Burn(_) | Trainable::Command(_) => Ok(Self::Burn(Box::new(networks::Bench::open(job)?))),
        }
    }

    /// A trial at its start.
    pub(crate) fn begin(&self, params: &Params, seed: Seed) -> Result<Trial, TrialFault> {
        Ok(match self {
            #[cfg(feature = "burn")]
            Self::Burn(bench) => Trial::Burn(Box::new(networks::Trial::begin(bench, params, seed)?)),
            Self::Curves(bench) => Trial::Curves(bench.begin(params, seed)?),
        })
    }

    /// A trial that goes on from a state file written after `from` units.
    pub(crate) fn resume(&self, params: &Params, seed: Seed, from: Resource, path: &Path) -> Result<Trial, TrialFault> {
        #[cfg(feature = "burn")]
        let restore = |fault| match fault {
            networks::ResumeFault::Params(fault) => TrialFault::Params(fault),
            networks::ResumeFault::State(fault) => TrialFault::State(fault),
        };
        Ok(match self {
            #[cfg(feature = "burn")]
            Self::Burn(bench) => Trial::Burn(Box::new(networks::Trial::resume(bench, params, seed, from, path).map_err(restore)?)),
            Self::Curves(bench) => Trial::Curves(bench.resume(params, seed, from, path)?),
        })
    }

    /// Trains `trial`, which is of this bench, for one unit more. `interrupted` is asked every few milliseconds.
    pub(crate) fn epoch(&self, trial: &mut Trial, interrupted: &mut dyn FnMut() -> bool) -> Result<Epoch, TrialFault> {
        match (self, trial) {
            #[cfg(feature = "burn")]
            (Self::Burn(bench), Trial::Burn(trial)) => Ok(trial.epoch(bench, interrupted)?),
            (Self::Curves(bench), Trial::Curves(trial)) => Ok(bench.unit(trial, interrupted)?),
            #[cfg(feature = "burn")]
            (Self::Burn(_), Trial::Curves(_)) | (Self::Curves(_), Trial::Burn(_)) => unreachable!("a trainer has one bench"),
        }
    }
}

impl Trial {
    /// Whole units behind it.
    pub(crate) fn epochs(&self) -> Resource {
        match self {
            #[cfg(feature = "burn")]
            Self::Burn(trial) => trial.epochs(),
            Self::Curves(trial) => trial.done(),
        }
    }

    /// Writes the state after the last whole unit.
    pub(crate) fn save(&self, path: &Path) -> Result<(), TrialFault> {
        match self {
            #[cfg(feature = "burn")]
            Self::Burn(trial) => Ok(trial.save(path)?),
            Self::Curves(trial) => Ok(trial.save(path)?),
        }
    }
}

impl TrialFault {
    /// What kind of failure it is; `None` if it is the disk's fault and not the trial's.
    pub(crate) fn kind(&self) -> Option<FailureKind> {
        match self {
            #[cfg(feature = "burn")]
            Self::NotFinite(_) => Some(FailureKind::NotFinite),
            #[cfg(feature = "burn")]
            // No earlier state would be of another version.
            Self::Bench(_) | Self::Params(_) | Self::State(StateFault::Version { .. }) => Some(FailureKind::Setup),
            #[cfg(feature = "burn")]
            // The file is whole, and the disk does not give it.
            Self::State(StateFault::Read { source, .. }) if source.kind() != io::ErrorKind::NotFound => None,
            #[cfg(feature = "burn")]
            Self::State(_) => Some(FailureKind::Checkpoint),
            Self::Curves(fault) => fault.kind(),
            #[cfg(not(feature = "burn"))]
            Self::NoModels => Some(FailureKind::Setup),
        }
    }
}
