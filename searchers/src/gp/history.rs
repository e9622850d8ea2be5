//! What was told, and which of it a model is made of.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Loss, Resource, Seed, TrialId};

use super::cube::{Point, Points};
use super::ladder::{Ladder, Relation};
use crate::{Observation, Outcome};

/// A model has so many observations at most: what it costs grows with their square and cube. See [`some`].
const MOST: usize = 1000;

/// If there are more, so many of them at most are of trials that are not among the newest.
const OLD: usize = 750;

/// So many pending trials are taken for observed at most, the newest: p of them on n observations cost p n^2 + p^3 / 3 steps at each
/// proposal. With more workers than that those that began long ago will be observed soon.
const MOST_PENDING: usize = 200;

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
    /// On which rungs it was.
    rungs: Vec<Resource>,
    has_failed: bool,
}

impl Past {
    fn is_pending(&self) -> bool {
        self.rungs.is_empty() && !self.has_failed
    }
}

/// All that was told, in that order.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    trials: BTreeMap<TrialId, Past>,
    /// Each trial on each rung, once.
    losses: Vec<(TrialId, Resource, Loss)>,
    /// Trials, as the first that was told of each came.
    told: Vec<TrialId>,
}

/// Observations for one model, in the order in which they came.
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
        let mut met = BTreeSet::new();
        (0..self.rows.len()).filter(|&at| met.insert(self.rows[at].0)).map(|at| self.points.point(at)).collect()
    }
}

impl History {
    pub(crate) fn knows(&self, trial: TrialId) -> bool {
        self.trials.contains_key(&trial)
    }

    pub(crate) fn begin(&mut self, trial: TrialId, point: Point) {
        self.trials.entry(trial).or_insert(Past { point, rungs: vec![], has_failed: false });
    }

    /// What came of a trial that has begun.
    pub(crate) fn tell(&mut self, seen: &Observation) {
        let Some(past) = self.trials.get_mut(&seen.trial) else { return };
        if past.is_pending() {
            self.told.push(seen.trial);
        }
        match seen.outcome {
            Outcome::Infeasible => past.has_failed = true,
            Outcome::Loss { resource, .. } if past.rungs.contains(&resource) => {}
            Outcome::Loss { resource, loss } => {
                past.rungs.push(resource);
                self.losses.push((seen.trial, resource, loss));
            }
        }
    }

    /// The points of all trials.
    pub(crate) fn points(&self) -> impl Iterator<Item = &Point> {
        self.trials.values().map(|past| &past.point)
    }

    /// Trials of which nothing was told, the newest [`MOST_PENDING`] of them, in their order.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Point> {
        let newest: Vec<&Point> =
            self.trials.values().rev().filter(|past| past.is_pending()).take(MOST_PENDING).map(|past| &past.point).collect();
        newest.into_iter().rev()
    }

    /// How many finite results there are on each rung. A trial that failed in the end has none: its region is to be avoided.
    fn counts(&self) -> BTreeMap<Resource, usize> {
        let mut counts = BTreeMap::new();
        for (_, _, rung, loss) in self.kept() {
            *counts.entry(rung).or_insert(0) += usize::from(loss.is_finite());
        }
        counts
    }

    /// The losses of trials that did not fail, with their points.
    fn kept(&self) -> impl Iterator<Item = (TrialId, &Point, Resource, Loss)> {
        let of = |&(trial, rung, loss): &(TrialId, Resource, Loss)| {
            let past = self.trials.get(&trial).filter(|past| !past.has_failed)?;
            Some((trial, &past.point, rung, loss))
        };
        self.losses.iter().filter_map(of)
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
        let place = |of: Resource| rungs.iter().position(|rung| *rung == of);
        let rows = self.kept().filter_map(|(trial, point, rung, loss)| Some(((trial, place(rung)?), point, loss)));
        Some(gather(Ladder::new(relation.unwrap_or_default(), &rungs), place(target)?, some(rows.collect(), seed)))
    }

    /// Whether each trial failed: 1 if it did, -1 if it was told of and did not. None if none has failed.
    pub(crate) fn failures(&self, seed: Seed) -> Option<Dataset> {
        self.trials.values().any(|past| past.has_failed).then_some(())?;
        let rows = self.told.iter().filter_map(|&trial| {
            let past = self.trials.get(&trial)?;
            Some(((trial, 0), &past.point, Loss::new(if past.has_failed { 1.0 } else { -1.0 })))
        });
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

/// All rows, or [`MOST`] of them at most: of the rows up to a last one the [`OLD`] that [`old`] picks, and all of those after it. That
/// last one moves on in steps, for a model only pays little for what is new while nothing before it changes.
fn some(rows: Vec<Told<'_>>, seed: Seed) -> Vec<Told<'_>> {
    const STEP: usize = MOST - OLD;
    if rows.len() <= MOST {
        return rows;
    }
    let (before, after) = rows.split_at((rows.len() - 1) / STEP * STEP);
    let mut picked = old(before, seed);
    picked.extend(after);
    picked
}

/// [`OLD`] rows at most, in their order: two thirds those of the best trials (by the highest rung they came to, then by their loss there),
/// where proposals will be; the others those of trials that a hash of their numbers picks.
fn old<'a>(rows: &[Told<'a>], seed: Seed) -> Vec<Told<'a>> {
    let mut trials = BTreeMap::<TrialId, Vec<usize>>::new();
    rows.iter().enumerate().for_each(|(at, ((trial, _), ..))| trials.entry(*trial).or_default().push(at));
    let mut best: Vec<(TrialId, Vec<usize>)> = trials.into_iter().collect();
    let mut others = best.clone();
    let top = |of: &[usize]| of.iter().map(|&at| (std::cmp::Reverse(rows[at].0.1), rows[at].2)).min();
    best.sort_by_key(|(id, of)| (top(of), *id));
    others.sort_by_key(|(id, _)| seed.derive("subset", id.0.into()).0);
    let mut picked = BTreeSet::new();
    for (all, most) in [(best, OLD / 3 * 2), (others, OLD)] {
        for (_, of) in all {
            if !picked.contains(&of[0]) && picked.len() + of.len() <= most {
                picked.extend(of);
            }
        }
    }
    picked.into_iter().map(|at| rows[at]).collect()
}

#[cfg(test)]
mod tests {
    use hpo_core::Params;

    use super::*;

    /// Trials that came to one rung, by their numbers; of every third it is told fifty trials later that it came to the next.
    fn history(count: u32) -> History {
        let mut history = History::default();
        let mut tell = |number: u32, resource: u32, prime: u32| {
            history.begin(TrialId(number), vec![f64::from(number)]);
            let loss = Loss::new(f64::from(number * 7919 % prime));
            history.tell(&Observation {
                trial: TrialId(number),
                params: Params::new(),
                outcome: Outcome::Loss { resource: Resource(resource), loss },
            });
        };
        for number in 0..count {
            tell(number, 1, 1009);
            if let Some(older) = number.checked_sub(50).filter(|older| older % 3 == 0) {
                tell(older, 3, 1013);
            }
        }
        history
    }

    #[test]
    fn of_many_pending_trials_the_newest_are_believed_and_of_few_all_in_their_order() {
        let believed = |pending: u32| {
            let mut history = history(30);
            (30..30 + pending).for_each(|number| history.begin(TrialId(number), vec![f64::from(number)]));
            history.pending().map(|point| point[0] as u32).collect::<Vec<u32>>()
        };
        assert_eq!(believed(MOST_PENDING as u32), (30..30 + MOST_PENDING as u32).collect::<Vec<u32>>());
        assert_eq!(believed(1_000), (1_030 - MOST_PENDING as u32..1_030).collect::<Vec<u32>>());
    }

    #[test]
    fn a_new_result_seldom_changes_what_a_model_knew_before_it() {
        let rows = |count| history(count).losses(8, Some(Relation::Chain), Seed(5)).unwrap().rows;
        let mut before = rows(2_000);
        let mut changed = 0;
        for count in 2_001..2_400 {
            let now = rows(count);
            assert!((OLD - 2..=MOST).contains(&now.len()), "{} rows of {count} trials", now.len());
            let newest = if (count - 51) % 3 == 0 { (TrialId(count - 51), 1) } else { (TrialId(count - 1), 0) };
            assert_eq!(now.last(), Some(&newest), "the newest is in it");
            changed += usize::from(!now.starts_with(&before));
            before = now;
        }
        assert!((1..5).contains(&changed), "{changed} times in 400 trials");
    }
}
