//! A process kept up to date with a sequence of observations, at the price of what has changed.
//!
//! Whatever the way to a sequence, the same bits come out: parameters are fitted anew from their priors whenever the observations that
//! they are fitted to change, and rows of the factor are computed in whole panels, of which the last may be incomplete.
//!
//! Rows are in the order in which results came, which a driver that takes over knows from the journal: so what is new is a row at
//! the end, whatever it is of, a trial that was promoted or was slow as well.
use std::collections::BTreeSet;

use hpo_core::{Loss, Seed, TrialId};

use super::cube::{Cube, Points};
use super::fit::{Data, fit};
use super::history::{Dataset, Row};
use super::ladder::Ladder;
use super::process::Process;
use super::warp::{Warp, warp};

/// Rows that are computed at once.
const PANEL: usize = 32;

/// Parameters are fitted to so many observations at most.
const FITTED: usize = 256;

/// Parameters are fitted to what there is this many times more of from one fit to the next: see [`chosen`].
const GROWTH: f64 = 1.2;

/// What was worked out.
#[derive(Clone, Debug)]
pub(crate) struct Mind {
    /// What the parameters were fitted to.
    fitted: Vec<(Row, Loss)>,
    rows: Vec<Row>,
    ladder: Ladder,
    process: Process,
}

impl Mind {
    /// What is known from `data`, of which `before` may know a part. `how` says how the losses are warped, if they are.
    pub(crate) fn of(before: Option<Self>, cube: &Cube, data: &Dataset, how: Option<Warp>, seed: Seed) -> Self {
        let chosen = chosen(&data.rows, seed);
        let fitted: Vec<(Row, Loss)> = chosen.iter().map(|&at| (data.rows[at], data.losses[at])).collect();
        let values = |losses: &[Loss]| match how {
            Some(how) => warp(how, losses).unwrap_or_else(|| vec![0.0; losses.len()]),
            None => losses.iter().map(|loss| loss.get()).collect(),
        };
        let mut mind = match before.filter(|mind| mind.fitted == fitted && mind.ladder == data.ladder) {
            Some(mind) => mind,
            None => {
                let losses: Vec<_> = chosen.iter().map(|&at| data.losses[at]).collect();
                let points = data.points.select(&chosen);
                let theta = fit(&Data { axes: cube.axes(), ladder: &data.ladder, points, losses: values(&losses) });
                let process = Process::new(cube.axes(), &data.ladder, &theta);
                Self { fitted, rows: vec![], ladder: data.ladder.clone(), process }
            }
        };
        let same = mind.rows.iter().zip(&data.rows).take_while(|(old, new)| old == new).count();
        let whole = same / PANEL * PANEL;
        mind.process.truncate(whole);
        for start in (whole..data.rows.len()).step_by(PANEL) {
            let panel: Vec<usize> = (start..data.rows.len().min(start + PANEL)).collect();
            mind.process.extend(&data.points.select(&panel));
        }
        mind.rows.clone_from(&data.rows);
        mind.process.observe(&values(&data.losses));
        mind
    }

    /// The same, with some points taken for observed.
    pub(crate) fn believe(&mut self, points: &Points) {
        self.process.truncate(self.rows.len());
        self.process.believe(points);
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

/// Which rows parameters are fitted to. Of a few those of the first trials, up to a number that grows in steps: what is learned of one of
/// these changes much, and a fit costs little. Of more than [`FITTED`] the first rows, up to such a number, whatever comes later; of these
/// as many as a hash of their trials' numbers picks.
fn chosen(rows: &[Row], seed: Seed) -> Vec<usize> {
    if rows.len() <= FITTED {
        let trials: BTreeSet<TrialId> = rows.iter().map(|(trial, _)| *trial).collect();
        let end = trials.iter().nth(step(trials.len()));
        return (0..rows.len()).filter(|&at| end.is_none_or(|end| rows[at].0 < *end)).collect();
    }
    let mut all: Vec<usize> = (0..step(rows.len()).max(FITTED)).collect();
    all.sort_by_key(|&at| (seed.derive("fit", rows[at].0.0.into()).0, at));
    all.truncate(FITTED);
    all.sort_unstable();
    all
}

/// The highest step up to `count`; steps grow by [`GROWTH`].
fn step(count: usize) -> usize {
    let mut step = 10.0;
    while step * GROWTH <= count as f64 {
        step *= GROWTH;
    }
    step as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every second trial is promoted, and told of again a hundred trials later.
    #[test]
    fn beyond_so_many_results_a_late_one_is_no_reason_to_fit_anew() {
        let rows: Vec<Row> = (0..700_u32)
            .flat_map(|number| {
                let late = number.checked_sub(100).filter(|older| older % 2 == 0);
                std::iter::once((TrialId(number), 0)).chain(late.map(|older| (TrialId(older), 1)))
            })
            .collect();
        let fitted = |count| chosen(&rows[..count], Seed(3)).into_iter().map(|at| rows[at]).collect::<Vec<Row>>();
        let times = |counts: std::ops::Range<usize>| counts.filter(|&count| fitted(count) != fitted(count + 1)).count();
        assert_eq!(fitted(900).len(), FITTED);
        assert!((3..10).contains(&times(300..900)), "{} times in 600 results", times(300..900));
        assert!(times(150..250) > 20, "of a few results each late one of a trial that was fitted to counts: {}", times(150..250));
    }
}
