//! One trial's whole training.
use std::sync::Arc;

use hpo_core::sweep::event::FailureKind;
use hpo_core::{Metrics, Resource};

use crate::chance::Chance;
use crate::synthetic::Formula;

/// One trial's whole training, by units of resource. Cheap to make and to copy: a formula, or a share of a recording.
#[derive(Clone, Debug)]
pub struct Curve(pub(crate) Inner);

#[derive(Clone, Debug)]
pub(crate) enum Inner {
    Recorded(Arc<Recording>, Chance),
    Formula(Formula),
}

/// Where a training stands after some units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The sweep's metric; always finite.
    pub metric: f64,
    /// The test metric, where there is one.
    pub test: Option<f64>,
    /// Seconds of training since it began.
    pub seconds: f64,
}

/// Why a training has no figures after so many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It fails in a unit before or at these.
    #[error("the training fails in unit {unit}")]
    Fails {
        /// In which, from 1.
        unit: Resource,
        /// How.
        kind: FailureKind,
    },
    /// It has not begun, or the recording is shorter.
    #[error("the curve has units 1 to {longest}")]
    Ends {
        /// Its last unit.
        longest: Resource,
    },
}

impl Curve {
    /// Where it stands after `resource` units.
    ///
    /// # Errors
    /// If it fails before that, or is not so long.
    pub fn at(&self, resource: Resource) -> Result<Point, Stop> {
        let (metric, test) = match &self.0 {
            Inner::Recorded(recording, chance) => {
                let row = recording.row(resource, chance)?;
                let Names { metric, test, .. } = &*recording.names;
                (row[*metric] + chance.noise(resource), test.map(|test| row[test]))
            }
            Inner::Formula(formula) => {
                let (metric, exact) = formula.at(resource)?;
                (metric, Some(exact))
            }
        };
        Ok(Point { metric, test, seconds: self.seconds(resource) })
    }

    /// The figures of a report, of a curve that was recorded.
    pub(crate) fn recorded(&self, resource: Resource) -> Result<Metrics, Stop> {
        match &self.0 {
            Inner::Recorded(recording, chance) => recording.metrics(resource, chance),
            // A formula's curve, which is not of the source that asks.
            Inner::Formula(_) => Err(Stop::Ends { longest: Resource(0) }),
        }
    }

    /// Seconds of training that `resource` units take, also those of a unit that fails. Each unit takes the same.
    #[must_use]
    pub fn seconds(&self, resource: Resource) -> f64 {
        let unit = match &self.0 {
            Inner::Recorded(recording, _) => recording.unit_seconds,
            Inner::Formula(formula) => formula.unit_seconds(),
        };
        unit * f64::from(resource.0)
    }

    /// The unit in which it fails, from 1, if it does.
    #[must_use]
    pub fn fails_in(&self) -> Option<Resource> {
        match &self.0 {
            Inner::Recorded(recording, chance) => recording.fails_in(chance),
            Inner::Formula(formula) => formula.fails_in(),
        }
    }
}

/// Figures of a training that was done, or predicted, by unit.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) names: Arc<Names>,
    /// One row a unit, from unit 1, one column a name.
    pub(crate) figures: Box<[f64]>,
    pub(crate) unit_seconds: f64,
    /// The first unit whose metric is not finite.
    pub(crate) fails_in: Option<Resource>,
}

/// What the columns of recordings are.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) columns: Vec<String>,
    /// The column of the sweep's metric.
    pub(crate) metric: usize,
    pub(crate) test: Option<usize>,
    /// What the sweep calls its metric.
    pub(crate) alias: String,
}

impl Recording {
    /// `figures` has one row of `names.columns` a unit.
    pub(crate) fn new(names: Arc<Names>, figures: Box<[f64]>, unit_seconds: f64) -> Self {
        let mut rows = figures.chunks_exact(names.columns.len());
        let fails_in = rows.position(|row| !row[names.metric].is_finite()).map(|row| Resource(row as u32 + 1));
        Self { names, figures, unit_seconds, fails_in }
    }

    /// By its figures or by chance, whichever comes first.
    fn fails_in(&self, chance: &Chance) -> Option<Resource> {
        self.fails_in.into_iter().chain(chance.fails_in()).min()
    }

    fn row(&self, resource: Resource, chance: &Chance) -> Result<&[f64], Stop> {
        if let Some(unit) = self.fails_in(chance).filter(|unit| *unit <= resource) {
            return Err(Stop::Fails { unit, kind: FailureKind::NotFinite });
        }
        let columns = self.names.columns.len();
        let row = (resource.0 as usize).checked_sub(1).and_then(|row| self.figures.chunks_exact(columns).nth(row));
        row.ok_or_else(|| Stop::Ends { longest: Resource((self.figures.len() / columns) as u32) })
    }

    /// The figures of a report.
    fn metrics(&self, resource: Resource, chance: &Chance) -> Result<Metrics, Stop> {
        let row = self.row(resource, chance)?;
        let named = self.names.columns.iter().cloned().zip(row.iter().copied());
        let metric = row[self.names.metric] + chance.noise(resource);
        Ok(named.chain([(self.names.alias.clone(), metric)]).collect())
    }
}
