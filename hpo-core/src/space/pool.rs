//! A finite space: a table of configurations, of which each row is one point.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Domain, Fold, NotInSpace, Parameter, Params, SpaceFaultKind, Value};

/// The name under which a point of a pool carries the number of its row, beside the columns.
pub const ROW: &str = "row";

/// Positive numbers that span more than this factor lie on a log scale.
const WIDE: f64 = 1e3;

/// Larger numbers are no counts: a column with one of them is one of reals.
const LARGEST_COUNT: f64 = (1_u64 << 39) as f64;

/// A table of configurations. A point is a row: the values of its columns, and its number as [`ROW`], so that rows with
/// equal values stay different points and each trial leads back to its line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub struct Pool {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    /// One a column: the range of its values.
    #[serde(skip)]
    domains: Vec<Domain>,
    /// Coordinates in [0, 1], row by row.
    #[serde(skip)]
    units: Vec<f64>,
}

#[derive(Deserialize)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl TryFrom<Table> for Pool {
    type Error = PoolFault;
    fn try_from(table: Table) -> Result<Self, PoolFault> {
        Self::new(table.columns, table.rows)
    }
}

/// Why a table is no pool. Rows count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PoolFault {
    /// No column was chosen.
    #[error("it has no columns")]
    NoColumns,
    /// No row.
    #[error("it has no rows")]
    NoRows,
    /// More columns than a space may have parameters.
    #[error("it has {found} columns; {} are the most", super::Space::MOST_PARAMETERS)]
    TooManyColumns {
        /// How many.
        found: usize,
    },
    /// A row more than [`Pool::MOST_ROWS`].
    #[error("it has more than {} rows, which is more than a journal should carry", Pool::MOST_ROWS)]
    TooManyRows,
    /// Values of more than [`Pool::MOST_BYTES`].
    #[error("its values take more than {} MiB, which is more than a journal should carry", Pool::MOST_BYTES >> 20)]
    TooLarge,
    /// A column of the name that belongs to the row's number.
    #[error("a column cannot be named `{ROW}`: that is the name of the row's number")]
    NamedRow,
    /// Two columns of one name.
    #[error("column `{column}` is there twice")]
    Twice {
        /// The name.
        column: String,
    },
    /// A row with fewer or more values than there are columns.
    #[error("row {row} has {found} values for {wanted} columns")]
    Ragged {
        /// Which row.
        row: usize,
        /// Its values.
        found: usize,
        /// The columns.
        wanted: usize,
    },
    /// A cell without a value.
    #[error("column `{column}` has no value in row {row}")]
    Empty {
        /// The column.
        column: String,
        /// The row.
        row: usize,
    },
    /// A cell that is no finite number, in a column of numbers.
    #[error("column `{column}` has `{text}` in row {row}, which is not a finite number")]
    NotFinite {
        /// The column.
        column: String,
        /// The row.
        row: usize,
        /// What stands there.
        text: String,
    },
    /// A column of numbers and of words.
    #[error("column `{column}` mixes numbers and words")]
    Mixed {
        /// The column.
        column: String,
    },
    /// A column whose values make no range.
    #[error("column `{column}`: {kind}")]
    Column {
        /// The column.
        column: String,
        /// What is wrong.
        kind: SpaceFaultKind,
    },
}

impl Pool {
    /// The journal's first line carries all rows, and is read whole.
    pub const MOST_ROWS: usize = 100_000;

    /// For the same reason, the most that all values together may take there.
    pub const MOST_BYTES: usize = 48 << 20;

    /// A pool of texts, as a CSV file has them: a column is whole numbers if all of its cells are, else real numbers if
    /// all are numbers, else words.
    ///
    /// # Errors
    /// As [`Pool::new`], and for an empty cell, or `nan` or `inf` among numbers: as words they would make words of the whole column.
    pub fn of_text(columns: Vec<String>, cells: &[Vec<String>]) -> Result<Self, PoolFault> {
        let mut rows: Vec<Vec<Value>> = cells.iter().map(|row| Vec::with_capacity(row.len())).collect();
        for (at, column) in columns.iter().enumerate() {
            let cell = |row: &Vec<String>| row.get(at).map_or("", |text| text.trim()).to_owned();
            let texts: Vec<String> = cells.iter().map(cell).collect();
            if let Some(row) = texts.iter().position(String::is_empty) {
                return Err(PoolFault::Empty { column: column.clone(), row });
            }
            if let Some(row) = not_finite(&texts) {
                return Err(PoolFault::NotFinite { column: column.clone(), row, text: texts[row].clone() });
            }
            for (row, value) in rows.iter_mut().zip(values(&texts)) {
                row.push(value);
            }
        }
        Self::new(columns, rows)
    }

    /// A pool of values, row by row. In each column all are words, or all are numbers.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Result<Self, PoolFault> {
        if columns.is_empty() {
            return Err(PoolFault::NoColumns);
        }
        if columns.len() > super::Space::MOST_PARAMETERS {
            return Err(PoolFault::TooManyColumns { found: columns.len() });
        }
        for (index, column) in columns.iter().enumerate() {
            if column == ROW {
                return Err(PoolFault::NamedRow);
            }
            if columns[..index].contains(column) {
                return Err(PoolFault::Twice { column: column.clone() });
            }
        }
        if rows.is_empty() {
            return Err(PoolFault::NoRows);
        }
        if rows.len() > Self::MOST_ROWS {
            return Err(PoolFault::TooManyRows);
        }
        if rows.iter().flatten().map(written).sum::<usize>() > Self::MOST_BYTES {
            return Err(PoolFault::TooLarge);
        }
        if let Some((row, values)) = rows.iter().enumerate().find(|(_, values)| values.len() != columns.len()) {
            return Err(PoolFault::Ragged { row, found: values.len(), wanted: columns.len() });
        }
        let mut domains = vec![];
        for (at, column) in columns.iter().enumerate() {
            let domain = domain(rows.iter().map(|row| &row[at])).ok_or_else(|| PoolFault::Mixed { column: column.clone() })?;
            domain.check().map_err(|kind| PoolFault::Column { column: column.clone(), kind })?;
            domains.push(domain);
        }
        let units = units(&rows, &domains);
        Ok(Self { columns, rows, domains, units })
    }

    /// How many points it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The point of a row: its columns and its number. `None` beyond the last.
    #[must_use]
    pub fn point(&self, row: usize) -> Option<Params> {
        let values = self.columns.iter().cloned().zip(self.rows.get(row)?.iter().cloned());
        Some(values.chain([(ROW.to_owned(), Value::Int(row as i64))]).collect())
    }

    /// The row of a point.
    ///
    /// # Errors
    /// If the values are not exactly those of a row with its number.
    pub fn row_of(&self, params: &Params) -> Result<usize, NotInSpace> {
        let number = params.get(ROW).ok_or_else(|| NotInSpace::Missing(ROW.to_owned()))?;
        let row = number.integer().and_then(|row| usize::try_from(row).ok()).filter(|&row| row < self.rows.len());
        let row = row.ok_or_else(|| NotInSpace::Outside { name: ROW.to_owned(), value: number.clone() })?;
        for (column, value) in self.columns.iter().zip(&self.rows[row]) {
            match params.get(column) {
                None => return Err(NotInSpace::Missing(column.clone())),
                Some(given) if !given.same(value) => return Err(NotInSpace::Outside { name: column.clone(), value: given.clone() }),
                Some(_) => {}
            }
        }
        let known = |name: &str| name == ROW || self.columns.iter().any(|column| column == name);
        match params.keys().find(|name| !known(name)) {
            Some(extra) => Err(NotInSpace::Extra(extra.clone())),
            None => Ok(row),
        }
    }

    /// The row nearest to a point of the unit cube, one coordinate a column; of equally near ones the first. Words that
    /// differ are as far from each other as the ends of a range. O(rows).
    ///
    /// # Panics
    /// If `unit` has another length than there are columns.
    #[must_use]
    pub fn nearest(&self, unit: &[f64]) -> usize {
        assert_eq!(unit.len(), self.columns.len(), "one coordinate a column");
        // A word has the coordinate of the middle of its share.
        let asked: Vec<f64> = unit.iter().zip(&self.domains).map(|(&unit, domain)| domain.to_unit(&domain.from_unit(unit))).collect();
        let rows = (0..self.rows.len()).map(|row| (row, self.gap(self.units_of(row), &asked)));
        rows.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(row, _)| row)
    }

    /// The `count` of some rows that are nearest to `row`, by the same distance, nearest first; of equally near ones those with the
    /// lower numbers. O(rows).
    ///
    /// # Panics
    /// If a row is beyond the last.
    #[must_use]
    pub fn neighbours(&self, row: usize, among: &[usize], count: usize) -> Vec<usize> {
        let here = self.units_of(row);
        let mut near: Vec<(f64, usize)> = vec![];
        for &other in among {
            let one = (self.gap(self.units_of(other), here), other);
            if near.len() < count || near.last().is_some_and(|last| one < *last) {
                near.insert(near.partition_point(|nearer| *nearer < one), one);
                near.truncate(count);
            }
        }
        near.into_iter().map(|(_, row)| row).collect()
    }

    fn units_of(&self, row: usize) -> &[f64] {
        &self.units[row * self.columns.len()..][..self.columns.len()]
    }

    /// The squared distance of two rows' coordinates.
    fn gap(&self, one: &[f64], other: &[f64]) -> f64 {
        let gap = |((&here, &there), domain): ((&f64, &f64), &Domain)| match domain {
            Domain::Choice { .. } => f64::from(here != there),
            _ => (here - there) * (here - there),
        };
        one.iter().zip(other).zip(&self.domains).map(gap).sum()
    }

    /// Its columns as parameters: the range of each one's values, on a log scale where positive numbers span more than
    /// three decades.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let columns = self.columns.iter().cloned().zip(self.domains.iter().cloned());
        columns.map(|(name, domain)| Parameter { name, domain, when: BTreeMap::new() }).collect()
    }
}

/// The coordinates of all rows, row by row.
fn units(rows: &[Vec<Value>], domains: &[Domain]) -> Vec<f64> {
    // A domain finds a word by going through all of them; here that would take the square of the rows.
    let words = |domain: &Domain| match domain {
        Domain::Choice { values, .. } => {
            let share = |index: usize| (index as f64 + 0.5) / values.len() as f64;
            values.iter().enumerate().map(|(index, value)| (value.to_string(), share(index))).collect()
        }
        _ => BTreeMap::new(),
    };
    let words: Vec<BTreeMap<String, f64>> = domains.iter().map(words).collect();
    let unit = |(value, (domain, words)): (&Value, (&Domain, &BTreeMap<String, f64>))| match domain {
        Domain::Choice { .. } => words.get(&value.to_string()).copied().unwrap_or_default(),
        _ => domain.to_unit(value),
    };
    rows.iter().flat_map(|row| row.iter().zip(domains.iter().zip(&words)).map(unit)).collect()
}

/// The most bytes that a value takes in JSON, with the comma after it: a letter may be written as `\u0000`.
fn written(value: &Value) -> usize {
    match value {
        Value::Text(text) => 6 * text.len() + 3,
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => 25,
    }
}

/// The first text that is no finite number, where all are numbers otherwise.
fn not_finite(texts: &[String]) -> Option<usize> {
    let numbers: Vec<f64> = texts.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?;
    numbers.iter().position(|number| !number.is_finite())
}

/// The values of one column's texts.
fn values(texts: &[String]) -> Vec<Value> {
    let numbers: Option<Vec<f64>> = texts.iter().map(|text| text.parse::<f64>().ok().filter(|number| number.is_finite())).collect();
    match numbers {
        Some(numbers) if numbers.iter().all(|number| number.fract() == 0.0 && number.abs() <= LARGEST_COUNT) => {
            numbers.into_iter().map(|number| Value::Int(number as i64)).collect()
        }
        Some(numbers) => numbers.into_iter().map(Value::Float).collect(),
        None => texts.iter().map(|text| Value::Text(text.clone())).collect(),
    }
}

/// The range of a column's values; `None` if it mixes numbers and words.
fn domain<'a>(column: impl Iterator<Item = &'a Value> + Clone) -> Option<Domain> {
    let first = column.clone().next()?;
    if column.clone().all(|value| value.same(first)) {
        return Some(Domain::Constant(first.clone()));
    }
    if column.clone().any(|value| value.number().is_some()) {
        let edge = |keep: fn(f64, f64) -> f64, from: f64| column.clone().try_fold(from, |edge, value| Some(keep(edge, value.number()?)));
        let (low, high) = (edge(f64::min, f64::INFINITY)?, edge(f64::max, f64::NEG_INFINITY)?);
        let fold = if low > 0.0 && high / low > WIDE { Fold::Log } else { Fold::Linear };
        let whole = column.clone().all(|value| matches!(value, Value::Int(_)));
        return Some(match whole {
            true => Domain::Int { low: low as i64, high: high as i64, fold, step: 1 },
            false => Domain::Float { low, high, fold, step: None },
        });
    }
    let mut known = BTreeMap::new();
    let mut values = vec![];
    for value in column {
        // Two words are the same if they read the same.
        if known.insert(value.to_string(), ()).is_none() {
            values.push(value.clone());
        }
    }
    Some(Domain::Choice { values, ordered: false })
}
