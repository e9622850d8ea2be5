//! What was told, and which of it a model is made of.
use std::collections::BTreeMap;

use hpo_core::{Loss, Resource, Seed, TrialId};

use super::cube::{Point, Points};
use super::ladder::{Ladder, Relation};
use crate::{Observation, Outcome};

/// A model has so many observations at most: what it costs grows with their square and cube. See [`some`].
const MOST: usize = 1000;

/// It has about so many rungs at most.
const MOST_RUNGS: usize = 6;

/// So many results make a rung one that proposals can be for, if other rungs say what is usual.
const ENOUGH: usize = 3;

/// One observation of a model: a trial on a rung, counted from the lowest of the model.
pub(crate) type Row = (TrialId, usize);

/// A trial that has begun.
#[derive(Clone, Debug)]
struct Past {
    point: Point,
    losses: BTreeMap<Resource, Loss>,
    has_failed: bool,
}

/// All that was told, whatever the order.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    trials: BTreeMap<TrialId, Past>,
}

/// Observations for one model, in the order of trials and rungs.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    pub(crate) ladder: Ladder,
    /// The rung that proposals are for.
    pub(crate) target: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) points: Points,
    pub(crate) losses: Vec<Loss>,
}

impl Dataset {
    /// Each trial's point once.
    pub(crate) fn distinct(&self) -> Vec<Point> {
        let is_first = |at: &usize| *at == 0 || self.rows[*at].0 != self.rows[at - 1].0;
        (0..self.rows.len()).filter(is_first).map(|at| self.points.point(at)).collect()
    }
}

impl History {
    pub(crate) fn knows(&self, trial: TrialId) -> bool {
        self.trials.contains_key(&trial)
    }

    pub(crate) fn begin(&mut self, trial: TrialId, point: Point) {
        self.trials.entry(trial).or_insert(Past { point, losses: BTreeMap::new(), has_failed: false });
    }

    /// What came of a trial that has begun.
    pub(crate) fn tell(&mut self, seen: &Observation) {
        let Some(past) = self.trials.get_mut(&seen.trial) else { return };
        match seen.outcome {
            Outcome::Infeasible => past.has_failed = true,
            Outcome::Loss { resource, loss } => {
                past.losses.entry(resource).or_insert(loss);
            }
        }
    }

    /// The points of all trials.
    pub(crate) fn points(&self) -> impl Iterator<Item = &Point> {
        self.trials.values().map(|past| &past.point)
    }

    /// Trials of which nothing was told.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Point> {
        let is_pending = |past: &Past| past.losses.is_empty() && !past.has_failed;
        self.trials.values().filter(move |past| is_pending(past)).map(|past| &past.point)
    }

    /// How many finite results there are on each rung. A trial that failed in the end has none: its region is to be avoided.
    fn counts(&self) -> BTreeMap<Resource, usize> {
        let mut counts = BTreeMap::new();
        for past in self.trials.values().filter(|past| !past.has_failed) {
            for (&rung, loss) in &past.losses {
                *counts.entry(rung).or_insert(0) += usize::from(loss.is_finite());
            }
        }
        counts
    }

    /// The losses on the highest rung with `startup` finite ones; or, if rungs are related, those on all rungs, for proposals for the
    /// highest with [`ENOUGH`]. None while no rung has `startup`.
    pub(crate) fn losses(&self, startup: usize, relation: Option<Relation>, seed: Seed) -> Option<Dataset> {
        let counts = self.counts();
        let highest = |least: usize| counts.iter().rev().find(|(_, count)| **count >= least.max(1)).map(|(&rung, _)| rung);
        let ready = highest(startup)?;
        let target = relation.and(highest(ENOUGH.min(startup))).unwrap_or(ready);
        let rungs = match relation {
            None => vec![ready],
            Some(_) => spread(counts.iter().filter(|(_, count)| **count > 0).map(|(&rung, _)| rung).collect(), target),
        };
        let mut rows = vec![];
        for (&trial, past) in self.trials.iter().filter(|(_, past)| !past.has_failed) {
            let on = |(rung, resource)| past.losses.get(resource).map(|&loss| ((trial, rung), &past.point, loss));
            rows.extend(rungs.iter().enumerate().filter_map(on));
        }
        let target = rungs.iter().position(|rung| *rung == target)?;
        Some(gather(Ladder::new(relation.unwrap_or_default(), &rungs), target, some(rows, seed)))
    }

    /// Whether each trial failed: 1 if it did, -1 if it was told of and did not. None if none has failed.
    pub(crate) fn failures(&self, seed: Seed) -> Option<Dataset> {
        self.trials.values().any(|past| past.has_failed).then_some(())?;
        let told = self.trials.iter().filter(|(_, past)| past.has_failed || !past.losses.is_empty());
        let rows = told.map(|(&trial, past)| ((trial, 0), &past.point, Loss::new(if past.has_failed { 1.0 } else { -1.0 })));
        Some(gather(Ladder::new(Relation::Apart, &[Resource(1)]), 0, some(rows.collect(), seed)))
    }
}

/// A row, where its trial lies, and its loss.
type Told<'a> = (Row, &'a Point, Loss);

fn gather(ladder: Ladder, target: usize, rows: Vec<Told<'_>>) -> Dataset {
    let mut points = Points::new(rows.first().map_or(0, |(_, point, _)| point.len()));
    rows.iter().for_each(|((_, rung), point, _)| points.push(point, *rung));
    let losses = rows.iter().map(|(.., loss)| *loss).collect();
    Dataset { ladder, target, rows: rows.into_iter().map(|(row, ..)| row).collect(), points, losses }
}

/// The last of some rungs, `target`, and others evenly between, if there are too many.
fn spread(rungs: Vec<Resource>, target: Resource) -> Vec<Resource> {
    let count = rungs.len();
    let step = count.div_ceil(MOST_RUNGS).max(1);
    let is_in = |at: usize, rung: Resource| rung == target || (count - 1 - at).is_multiple_of(step);
    rungs.into_iter().enumerate().filter(|&(at, rung)| is_in(at, rung)).map(|(_, rung)| rung).collect()
}

/// All rows, or [`MOST`]: the half of them those of the best trials (by the highest rung they came to, then by their loss there), where
/// proposals will be; the other half those of others as a hash of their numbers picks them, so that a new trial seldom moves
/// another out.
fn some(rows: Vec<Told<'_>>, seed: Seed) -> Vec<Told<'_>> {
    if rows.len() <= MOST {
        return rows;
    }
    let trials: Vec<&[Told<'_>]> = rows.chunk_by(|((one, _), ..), ((other, _), ..)| one == other).collect();
    let mut best = trials.clone();
    let top = |trial: &&[Told<'_>]| trial.last().map(|&((id, rung), _, loss)| (std::cmp::Reverse(rung), loss, id));
    best.sort_by_key(top);
    let mut others = trials;
    others.sort_by_key(|trial| trial.first().map(|&((id, _), ..)| seed.derive("subset", id.0.into()).0));
    let mut picked = BTreeMap::new();
    let mut count = 0;
    for (all, most) in [(best, MOST / 2), (others, MOST)] {
        for trial in all {
            let Some(&((id, _), ..)) = trial.first() else { continue };
            if count + trial.len() <= most && picked.insert(id, trial).is_none() {
                count += trial.len();
            }
        }
    }
    picked.into_values().flatten().copied().collect()
}
