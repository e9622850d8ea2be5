//! `[space] pool`: from a CSV file to a finite space.
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use hpo_core::space::{Pool, PoolFault, ROW, Space};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::pool as keys;
use super::message::Message;
use super::raw::{Reader, Section};
use super::space::is_name;

/// The key under which a pool stands. A parameter may have this name, too.
pub(super) const KEY: &str = "pool";

/// Whether this entry of `[space]` is a pool: it names a file or columns, which no parameter does.
pub(super) fn is_pool(name: &str, value: &DeValue<'_>) -> bool {
    name == KEY && value.as_table().is_some_and(|table| table.contains_key(keys::CSV.name) || table.contains_key(keys::PARAMS.name))
}

/// Reads the pool, the only entry of `[space]`.
pub(super) fn read(span: Range<usize>, values: &DeTable<'_>, reader: &mut Reader<'_>) -> Option<Space> {
    let section = Section::open(values, span.clone(), keys::TABLE.title(), &keys::TABLE, reader)?;
    let csv = section.get(&keys::CSV, reader);
    let columns = section.get(&keys::PARAMS, reader);
    let (csv, columns) = (csv?, columns?);
    let faults_before = reader.faults.len();
    for column in columns.get_ref().iter().filter(|column| !is_name(column.get_ref())) {
        reader.faults.push((column.span(), Message::ParameterName { name: column.get_ref().clone() }));
    }
    if let Some(row) = columns.get_ref().iter().find(|column| column.get_ref() == ROW) {
        return reader.fault(row.span(), Message::Pool(PoolFault::NamedRow));
    }
    if columns.get_ref().len() > Space::MOST_PARAMETERS {
        return reader.fault(columns.span(), Message::Pool(PoolFault::TooManyColumns { found: columns.get_ref().len() }));
    }
    if reader.faults.len() > faults_before {
        return None;
    }
    if !csv.get_ref().is_file() {
        return reader.fault(csv.span(), Message::NoSuchPath { what: "file", path: csv.into_inner() });
    }
    let table = table(csv.get_ref(), columns.get_ref()).map_err(|fault| match fault {
        Unfit::Table(what) => reader.faults.push((csv.span(), Message::NoTable { path: csv.get_ref().clone(), what })),
        Unfit::Columns(unknown) => {
            for (span, column, known) in unknown {
                reader.faults.push((span, Message::NoColumn { column, path: csv.get_ref().clone(), known }));
            }
        }
    });
    let (names, table) = (columns.get_ref().iter().map(|column| column.get_ref().clone()).collect(), table.ok()?);
    let cells: Vec<Vec<String>> = table.iter().map(|(_, cells)| cells.clone()).collect();
    match Pool::of_text(names, &cells) {
        Ok(pool) => Some(pool.into()),
        Err(PoolFault::Empty { column, row }) => {
            let line = table[row].0;
            reader.fault(csv.span(), Message::EmptyCell { column, path: csv.get_ref().clone(), line })
        }
        Err(PoolFault::NotFinite { column, row, text }) => {
            let line = table[row].0;
            reader.fault(csv.span(), Message::CellNotFinite { column, path: csv.get_ref().clone(), line, text })
        }
        Err(fault @ (PoolFault::NoRows | PoolFault::TooManyRows | PoolFault::TooLarge)) => reader.fault(csv.span(), Message::Pool(fault)),
        Err(fault) => reader.fault(columns.span(), Message::Pool(fault)),
    }
}

/// So many columns that the file does not have are told.
const MOST_UNKNOWN: usize = 10;

/// Why no rows come out of a file.
enum Unfit {
    /// It is no table, or cannot be read.
    Table(String),
    /// Columns that it does not have: where they are asked for, their names, and those that there are.
    Columns(Vec<(Range<usize>, String, Vec<String>)>),
}

/// Each data row's line in the file, and its cells in the wanted columns. Reads one row more than a pool may have.
fn table(path: &Path, wanted: &[Spanned<String>]) -> Result<Vec<(u64, Vec<String>)>, Unfit> {
    let unreadable = |error: csv::Error| Unfit::Table(error.to_string());
    let file = File::open(path).map_err(|error| unreadable(error.into()))?;
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(BufReader::new(file));
    let known: Vec<String> = csv.headers().map_err(unreadable)?.iter().map(str::to_owned).collect();
    let place = |column: &String| known.iter().position(|name| name == column);
    // Each fault carries all names that there are.
    let unknown: Vec<_> = wanted.iter().filter(|column| place(column.get_ref()).is_none()).take(MOST_UNKNOWN).collect();
    if !unknown.is_empty() {
        return Err(Unfit::Columns(unknown.iter().map(|column| (column.span(), column.get_ref().clone(), known.clone())).collect()));
    }
    let places: Vec<usize> = wanted.iter().filter_map(|column| place(column.get_ref())).collect();
    let row = |record: csv::StringRecord| {
        let cells = places.iter().map(|&place| record.get(place).unwrap_or_default().to_owned()).collect();
        (record.position().map_or(0, csv::Position::line), cells)
    };
    csv.records().take(Pool::MOST_ROWS + 1).map(|record| record.map(row).map_err(unreadable)).collect()
}
