//! Recorded trainings from a CSV, one a row.
//!
//! A trial names its recording by [`ROW`], which the sweep's pool gives to each of its points, so that trainings of one
//! configuration stay apart. The other parameters must be what the file says in that row: a pool of another file is
//! noticed. The columns of the curve are those named `curve` and a whole number; the least of the numbers is unit 1. With
//! `cost`, the seconds of the whole training, each unit takes an equal part of it; without, a second.
//!
//! A metric that is `nan` or `inf` is a training that diverged there: the trial fails in that unit, and what follows in the
//! row may be empty.
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hpo_core::job::TabularJob;
use hpo_core::space::ROW;
use hpo_core::{Metrics, Params, Resource, Seed, Value};

use crate::chance::Chance;
use crate::curve::{Inner, Names, Recording};
use crate::{Curve, CurveFault, Curves, Stop, TableFault};

/// The recordings of one file.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    /// Names of the columns that are no curve and no cost, in order, with their places in `settings`.
    columns: Vec<(String, usize)>,
    rows: Vec<Row>,
    longest: Resource,
}

#[derive(Debug)]
struct Row {
    line: u64,
    settings: Vec<Value>,
    recording: Arc<Recording>,
}

impl Table {
    /// Reads the whole file; `metric` is what the sweep calls the figure of the curve.
    ///
    /// # Errors
    /// If the file is not such a table; the fault names line and column.
    pub fn open(job: &TabularJob, metric: &str) -> Result<Self, CurveFault> {
        Self::read(job, metric).map_err(|fault| CurveFault::Table { path: job.csv.clone(), fault })
    }

    fn read(job: &TabularJob, metric: &str) -> Result<Self, TableFault> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(&job.csv)?;
        let header = Header::read(reader.headers()?, job)?;
        let names = Arc::new(Names { columns: vec![metric.to_owned()], metric: 0, test: None, alias: metric.to_owned() });
        let mut rows = vec![];
        for record in reader.records() {
            rows.push(header.row(&record?, &names)?);
        }
        if rows.is_empty() {
            return Err(TableFault::Empty);
        }
        let mut columns: Vec<(String, usize)> =
            header.settings.iter().enumerate().map(|(place, &column)| (header.names[column].clone(), place)).collect();
        columns.sort();
        Ok(Self { path: job.csv.clone(), columns, rows, longest: Resource(header.curve.len() as u32) })
    }

    fn find(&self, params: &Params) -> Result<&Row, TableFault> {
        let index = params.get(ROW).ok_or(TableFault::NoRow)?;
        let known = index.integer().and_then(|index| usize::try_from(index).ok()).and_then(|index| self.rows.get(index));
        let row = known.ok_or_else(|| TableFault::NoSuchRow { row: index.clone(), rows: self.rows.len() })?;
        for (name, value) in params.iter().filter(|(name, _)| *name != ROW) {
            let column = self.columns.binary_search_by(|(column, _)| column.cmp(name));
            let (_, place) = column.map(|at| &self.columns[at]).map_err(|_| TableFault::NoSuchColumn { column: name.clone() })?;
            let recorded = &row.settings[*place];
            if !recorded.same(value) {
                let (column, recorded, given) = (name.clone(), recorded.clone(), value.clone());
                return Err(TableFault::Differs { line: row.line, column, recorded, given });
            }
        }
        Ok(row)
    }

    /// The file that was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Curves for Table {
    fn curve(&self, params: &Params, _: Seed) -> Result<Curve, CurveFault> {
        match self.find(params) {
            Ok(row) => Ok(Curve(Inner::Recorded(Arc::clone(&row.recording), Chance::NONE))),
            Err(fault) => Err(CurveFault::Table { path: self.path.clone(), fault }),
        }
    }

    fn metrics(&self, curve: &Curve, resource: Resource) -> Result<Metrics, Stop> {
        curve.recorded(resource)
    }

    fn longest(&self) -> Option<Resource> {
        Some(self.longest)
    }
}

/// Where things stand in a row.
struct Header {
    names: Vec<String>,
    curve: Vec<usize>,
    cost: Option<usize>,
    settings: Vec<usize>,
}

impl Header {
    fn read(header: &csv::StringRecord, job: &TabularJob) -> Result<Self, TableFault> {
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(TableFault::Twice { column: twice.clone() });
        }
        let unit =
            |name: &String| name.strip_prefix(&job.curve).filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok();
        let mut curve: Vec<(u32, usize)> = names.iter().enumerate().filter_map(|(at, name)| Some((unit(name)?, at))).collect();
        curve.sort_unstable();
        if curve.is_empty() {
            return Err(TableFault::NoCurve { prefix: job.curve.clone() });
        }
        if let Some(gap) = curve.windows(2).find(|pair| pair[1].0 != pair[0].0 + 1) {
            return Err(TableFault::Gap { before: names[gap[0].1].clone(), after: names[gap[1].1].clone() });
        }
        let curve: Vec<usize> = curve.into_iter().map(|(_, at)| at).collect();
        let cost = match &job.cost {
            Some(cost) => {
                Some(names.iter().position(|name| name == cost).ok_or_else(|| TableFault::NoSuchColumn { column: cost.clone() })?)
            }
            None => None,
        };
        let figures: BTreeSet<usize> = curve.iter().copied().chain(cost).collect();
        let settings = (0..names.len()).filter(|at| !figures.contains(at)).collect();
        Ok(Self { names, curve, cost, settings })
    }

    fn row(&self, record: &csv::StringRecord, names: &Arc<Names>) -> Result<Row, TableFault> {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let mut figures: Vec<f64> = Vec::with_capacity(self.curve.len());
        for &at in &self.curve {
            let diverged = figures.last().is_some_and(|figure| !figure.is_finite());
            figures.push(match cell(at) {
                "" if diverged => f64::NAN,
                "" => return Err(TableFault::Short { line, column: self.names[at].clone(), units: figures.len() }),
                text => text.parse().map_err(|_| self.no_number(line, at, text))?,
            });
        }
        let seconds = match self.cost {
            Some(at) => {
                let seconds = cell(at).parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
                seconds.ok_or_else(|| self.no_number(line, at, cell(at)))?
            }
            None => figures.len() as f64,
        };
        let unit_seconds = seconds / figures.len() as f64;
        let settings = self.settings.iter().map(|&at| value(cell(at))).collect();
        Ok(Row { line, settings, recording: Arc::new(Recording::new(Arc::clone(names), figures.into(), unit_seconds)) })
    }

    fn no_number(&self, line: u64, column: usize, text: &str) -> TableFault {
        let wanted = if self.cost == Some(column) { "a number of seconds" } else { "a number" };
        TableFault::NoNumber { line, column: self.names[column].clone(), text: text.to_owned(), wanted }
    }
}

/// As a pool gives it: a number if it is one, else a word.
fn value(text: &str) -> Value {
    text.parse().ok().filter(|number: &f64| number.is_finite()).map_or_else(|| text.into(), Value::Float)
}
