//! A process kept up to date with a sequence of observations, at the price of what has changed.
//!
//! Whatever the way to a sequence, the same bits come out: parameters are fitted anew from their priors whenever the observations that
//! they are fitted to change, and rows of the factor are computed in whole panels, of which the last may be incomplete.
//!
//! Rows are in the order in which results came, which a driver that takes over knows from the journal: so what is new is a row at
//! the end, whatever it is of, a trial that was promoted or was slow as well.
use hpo_core::{Loss, Seed};

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

/// Parameters are fitted anew when there is one observation more for so many that they were fitted to: after each of the first 40.
const GROWTH: usize = 20;

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

/// Which rows parameters are fitted to: the first of them, up to a number that grows in steps; of too many those that a hash of their
/// trials' numbers picks.
fn chosen(rows: &[Row], seed: Seed) -> Vec<usize> {
    let (mut next, mut count) = (1, 0);
    while next <= rows.len() {
        count = next;
        next += (next / GROWTH).max(1);
    }
    let mut all: Vec<usize> = (0..count).collect();
    if all.len() > FITTED {
        all.sort_by_key(|&at| (seed.derive("fit", rows[at].0.0.into()).0, at));
        all.truncate(FITTED);
        all.sort_unstable();
    }
    all
}
