//! Sweeps side by side, over seeds.
use std::fmt;

use hpo_core::Goal;

use super::outcome::seconds;
use super::{Interval, Outcome, Split};
use crate::report::words::cell;

/// Two tables, of one row a sweep each: what came of it, and where the slot time went. Medians over seeds, each with its 95 %
/// bootstrap interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    found: Sheet,
    time: Sheet,
}

#[derive(Clone, Debug, PartialEq)]
struct Sheet {
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    /// In the order of the columns; None: there is no such figure.
    cells: Vec<Option<Interval>>,
}

const COLUMNS: [&str; 8] = ["best", "test", "resource", "as good as the first", "virtual s", "busy", "trials", "failed"];

impl Table {
    /// The table of sweeps with their outcomes, one a seed. "As good as the first" is the resource after which the best
    /// metric so far was that of the first sweep's median or better; `never` where that is so for half of the seeds.
    #[must_use]
    pub fn of<'a>(sweeps: impl IntoIterator<Item = (&'a str, Goal, &'a [Outcome])>) -> Self {
        let mut mark = None;
        let mut found = Sheet { title: "sweep", columns: COLUMNS.to_vec(), rows: vec![] };
        let parts = Split::default().parts().map(|(name, _)| name);
        let mut time = Sheet { title: "slot time, %", columns: parts.to_vec(), rows: vec![] };
        for (name, goal, outcomes) in sweeps {
            let all = |figure: &dyn Fn(&Outcome) -> Option<f64>| {
                let values: Option<Vec<f64>> = outcomes.iter().map(figure).collect();
                values.as_deref().and_then(Interval::of)
            };
            let best = all(&|outcome| outcome.best.as_ref().map(|best| best.metric));
            let mark = *mark.get_or_insert_with(|| best.map(|best| best.median));
            let cells = vec![
                best,
                all(&|outcome| outcome.test),
                all(&|outcome| Some(outcome.resource as f64)),
                mark.and_then(|mark| all(&|outcome| Some(outcome.reaches(mark, goal)))),
                all(&|outcome| Some(seconds(outcome.ended.0))),
                all(&|outcome| Some(outcome.busy_share())),
                all(&|outcome| Some(f64::from(outcome.trials))),
                all(&|outcome| Some(f64::from(outcome.failed))),
            ];
            found.rows.push(Row { name: name.to_owned(), cells });
            let percent = |part: usize| all(&|outcome| Some(100.0 * outcome.split.share(outcome.split.parts()[part].1)));
            time.rows.push(Row { name: name.to_owned(), cells: (0..parts.len()).map(percent).collect() });
        }
        Self { found, time }
    }
}

impl Sheet {
    /// Columns that say something: figures that some row has, what goes wrong or is lost where that is so, and comparisons where
    /// there is something to compare.
    fn shown(&self) -> Vec<usize> {
        let says = |&column: &usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.cells[column]);
            match self.columns[column] {
                "failed" | "start-up" | "dispatch" | "checkpoint" | "redone" => cells.any(|cell| cell.high > 0.0),
                "as good as the first" => self.rows.len() > 1,
                _ => cells.next().is_some(),
            }
        };
        (0..self.columns.len()).filter(says).collect()
    }
}

impl Outcome {
    /// The resource after which the best metric so far is as good as `mark`; infinity if it never is.
    pub(super) fn reaches(&self, mark: f64, goal: Goal) -> f64 {
        let reached = self.improvements.iter().find(|better| goal.loss(better.metric) <= goal.loss(mark));
        reached.map_or(f64::INFINITY, |better| better.resource as f64)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.found, self.time)
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown();
        let header = std::iter::once(self.title.to_owned()).chain(shown.iter().map(|&column| self.columns[column].to_owned()));
        let row = |row: &Row| {
            let cells = shown.iter().map(|&column| row.cells[column].map_or("-".to_owned(), |interval| write_interval(&interval)));
            std::iter::once(cell(&row.name)).chain(cells).collect::<Vec<_>>()
        };
        let lines: Vec<Vec<String>> = std::iter::once(header.collect()).chain(self.rows.iter().map(row)).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..=shown.len()).map(width).collect();
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// `0.262 [0.24, 0.28]`, or the value alone if the interval is that.
fn write_interval(cell: &Interval) -> String {
    let Interval { median, low, high } = *cell;
    let (median, low, high) = (write(median), write(low), write(high));
    if low == median && high == median { median } else { format!("{median} [{low}, {high}]") }
}

/// A number to about five digits.
fn write(value: f64) -> String {
    if value == f64::INFINITY {
        return "never".to_owned();
    }
    let before = if value == 0.0 { 1 } else { value.abs().log10().floor() as i32 + 1 };
    let decimals = (5 - before).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    short.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_five_digits() {
        let all = [0.0, 442.538_91, 0.000_123_456, 1_234_567.8, 2600.0, -1.5, f64::INFINITY, 99.6583];
        assert_eq!(all.map(write), ["0", "442.54", "0.00012346", "1234568", "2600", "-1.5", "never", "99.658"]);
    }
}
