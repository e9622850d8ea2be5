//! Draws from the search space of a sweep: `hpo space`.
use std::fmt;

use hpo_core::{Params, Seed, Space, TrialId};
use hpo_searchers::{Random, Searcher};
use serde_json::{Value as Json, json};

use crate::report::words::{cell, value};

/// Wider tables are continued below.
const WIDTH: usize = 110;

/// The values that a random search gives its first trials.
#[derive(Clone, Debug)]
pub struct Draws<'a> {
    space: &'a Space,
    draws: Vec<Params>,
    wanted: u32,
}

impl<'a> Draws<'a> {
    /// So many draws, fewer only if the space has no more points.
    #[must_use]
    pub fn of(space: &'a Space, seed: Seed, wanted: u32) -> Self {
        let mut random = Random::new(space.clone(), seed);
        let mut draws = vec![];
        for trial in (0..wanted).map(TrialId) {
            let Ok(params) = random.suggest(trial) else { break };
            random.begin(trial, &params);
            draws.push(params);
        }
        Self { space, draws, wanted }
    }

    /// One object a draw, as `hpo space --json` prints them.
    pub fn to_json(&self) -> impl Iterator<Item = Json> + '_ {
        self.draws.iter().enumerate().map(|(trial, params)| json!({"trial": trial, "params": params}))
    }

    /// The columns of the table: the names, then the values of each draw, empty where a parameter does not exist.
    fn columns(&self) -> Vec<Vec<String>> {
        let names: Vec<&str> = self.space.names().collect();
        let first = std::iter::once("trial".to_owned()).chain(names.iter().map(|name| cell(name))).collect();
        let draw = |(trial, params): (usize, &Params)| {
            let values = names.iter().map(|name| params.get(*name).map(|of| cell(&value(of))).unwrap_or_default());
            std::iter::once(trial.to_string()).chain(values).collect()
        };
        std::iter::once(first).chain(self.draws.iter().enumerate().map(draw)).collect()
    }
}

/// A table with a line for each parameter and a column for each draw.
impl fmt::Display for Draws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        let width = |column: &Vec<String>| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = columns.iter().map(width).collect();
        let mut from = 1;
        while from < columns.len() {
            let mut used = widths[0];
            // One column at least, however wide.
            let fit = widths[from..].iter().take_while(|width| {
                used += *width + 2;
                used <= WIDTH
            });
            let until = from + fit.count().max(1);
            if from > 1 {
                writeln!(f)?;
            }
            for row in 0..columns[0].len() {
                let mut line = format!("{:<1$}", columns[0][row], widths[0]);
                for (column, width) in columns[from..until].iter().zip(&widths[from..until]) {
                    line.push_str(&format!("  {:>width$}", column[row]));
                }
                writeln!(f, "{}", line.trim_end())?;
            }
            from = until;
        }
        if self.draws.len() < self.wanted as usize {
            writeln!(f, "The space has no other points than these {}.", self.draws.len())?;
        }
        Ok(())
    }
}
