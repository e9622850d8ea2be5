//! The median stopping rule: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.1, as
//! Ray Tune has it (`MedianStoppingRule`): the others need not be complete, only as far.
//!
//! Every trial is leased to R at once. Trials are compared at marks from r to R: at every resource if these are 256 or fewer,
//! else at 256 resources that lie evenly, r and R among them. A report counts at the highest mark that it is the first of its
//! trial to pass, and the trial is stopped there if its best loss so far is worse than the median, over all others that have
//! passed the mark, of the average of their losses since r. A mark that is passed together with a higher one has the average
//! from before that report. A report that passes no mark only adds to the best and the average.
//!
//! So who reports at every mark, or skips some, is judged exactly as Ray does; and who reports at any other step, as a
//! program that reports every half minute does, is compared with all others nevertheless.
use super::quantile::Quantile;
use super::{Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::by_trial::ByTrial;
use crate::{Loss, Params, Resource, TrialId};

/// Marks are no more than one more than this many steps apart from r to R.
const MOST_STEPS: u32 = 255;

/// The averages at each mark. A report costs O(log trials) for each mark that it passes, and a trial passes at most 256 of them
/// in all; nothing is kept of the reports themselves. Nobody ever pauses.
#[derive(Clone, Debug, PartialEq)]
pub struct Median {
    /// Says from where trials are judged (the bottom) and where they end.
    ladder: Ladder,
    min_trials: usize,
    curves: ByTrial<Curve>,
    /// In order; from r to R.
    boards: Vec<Board>,
}

/// One mark.
#[derive(Clone, Debug, PartialEq)]
struct Board {
    at: Resource,
    /// Of all that have passed it with a loss since r.
    averages: Quantile,
}

/// What one trial reported.
#[derive(Clone, Debug, Default, PartialEq)]
struct Curve {
    last: Resource,
    best: Option<Loss>,
    average: Average,
    /// Its reports that passed a mark, in order.
    passes: Vec<Pass>,
}

/// A report that passed a mark.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pass {
    /// The highest mark that it passed, by number.
    mark: usize,
    at: Resource,
    /// The best loss, with this report.
    best: Loss,
    /// The average without this report: at the lower marks that it passed; None if it was the first.
    before: Option<Loss>,
    /// The average with this report: at its mark.
    average: Loss,
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    sum: f64,
    count: u32,
}

impl PartialEq for Average {
    /// By bits: a sum that is no number is equal to itself.
    fn eq(&self, other: &Self) -> bool {
        (self.sum.to_bits(), self.count) == (other.sum.to_bits(), other.count)
    }
}

impl Average {
    fn add(&mut self, loss: Loss) {
        self.sum += loss.get();
        self.count += 1;
    }

    /// None of nothing; not finite if one of them was not.
    fn get(self) -> Option<Loss> {
        (self.count > 0).then(|| Loss::new(self.sum / f64::from(self.count)))
    }
}

impl Curve {
    /// How many marks it has passed.
    fn passed(&self) -> usize {
        self.passes.last().map_or(0, |pass| pass.mark + 1)
    }

    /// What it came past a mark with; None if it has not, or with nothing.
    fn average_at(&self, mark: usize) -> Option<Loss> {
        let pass = self.passes.get(self.passes.partition_point(|pass| pass.mark < mark))?;
        if pass.mark == mark { Some(pass.average) } else { pass.before }
    }
}

impl Median {
    /// No trials yet. Nobody is judged before `min_trials` others have come as far.
    #[must_use]
    pub fn new(ladder: &Ladder, min_trials: u32) -> Self {
        let boards = marks(ladder).map(|at| Board { at, averages: Quantile::new(2) }).collect();
        Self { ladder: ladder.clone(), min_trials: min_trials as usize, curves: ByTrial::default(), boards }
    }

    /// The most of `trials` trials that can come to each rung: all, if each is better than those before it.
    #[must_use]
    pub fn worst_arrivals(ladder: &Ladder, trials: u32) -> Vec<u64> {
        vec![trials.into(); ladder.rungs().len()]
    }

    /// The averages at a mark of all others that have passed it.
    fn others(&self, mark: usize, trial: TrialId) -> impl Iterator<Item = Place> {
        let others = self.curves.iter().filter(move |(other, _)| *other != trial);
        others.filter_map(move |(other, curve)| Some((curve.average_at(mark)?, other)))
    }

    /// By which report `trial` was last judged between `rung` and the next.
    fn judged(&self, rung: Rung, trial: TrialId) -> Option<&Pass> {
        let rungs = self.ladder.rungs();
        let (from, to) = (*rungs.get(rung)?, rungs.get(rung + 1));
        let passes = &self.curves.get(trial)?.passes;
        let until = passes.partition_point(|pass| to.is_none_or(|&to| pass.at < to));
        passes[..until].last().filter(|pass| pass.at >= from)
    }
}

/// Where trials are compared, in order.
fn marks(ladder: &Ladder) -> impl Iterator<Item = Resource> {
    let (from, to) = (ladder.resource(0).0, ladder.resource(ladder.top()).0);
    let steps = (to - from).min(MOST_STEPS);
    let mark = move |step: u32| u64::from(to - from) * u64::from(step) / u64::from(steps.max(1));
    (0..=steps).map(move |step| Resource(from + mark(step) as u32))
}

/// The median, if it is one of enough trials.
fn cutoff(averages: &Quantile, min_trials: usize) -> Option<Loss> {
    averages.get().filter(|_| averages.len() >= min_trials)
}

impl Scheduler for Median {
    fn enter(&mut self, _trial: TrialId, _params: &Params) -> Rung {
        self.ladder.top()
    }

    fn reported(&mut self, trial: TrialId, resource: Resource, loss: Loss) -> Verdict {
        let curve = self.curves.entry(trial);
        assert!(curve.last < resource, "trial {trial} reports each resource once");
        curve.last = resource;
        let best = curve.best.map_or(loss, |best| best.min(loss));
        curve.best = Some(best);
        if resource < self.ladder.resource(0) {
            return Verdict::Continue;
        }
        let before = curve.average.get();
        curve.average.add(loss);
        let (first, until) = (curve.passed(), self.boards.partition_point(|board| board.at <= resource));
        let (Some(average), Some((board, lower))) = (curve.average.get(), self.boards[first..until].split_last_mut()) else {
            return Verdict::Continue;
        };
        curve.passes.push(Pass { mark: until - 1, at: resource, best, before, average });
        if let Some(before) = before {
            lower.iter_mut().for_each(|board| board.averages.insert(before));
        }
        let worse = cutoff(&board.averages, self.min_trials).is_some_and(|cutoff| best > cutoff);
        board.averages.insert(average);
        if worse { Verdict::Stop } else { Verdict::Continue }
    }

    fn reached(&mut self, _rung: Rung, trial: TrialId, _loss: Loss) -> Verdict {
        unreachable!("trial {trial}: the first lease leads to the top")
    }

    fn promote(&mut self) -> Option<Promotion> {
        None
    }

    fn gave_up(&mut self, _trial: TrialId) {
        // What it reported stays in the comparison, and nothing waits for it.
    }

    fn hopeless(&mut self) -> Vec<TrialId> {
        vec![]
    }

    /// Where it was last judged between this rung and the next: its best loss then among the averages of the others.
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let &Pass { mark, best, .. } = self.judged(rung, trial)?;
        let mut averages = Quantile::new(2);
        self.others(mark, trial).for_each(|(average, _)| averages.insert(average));
        let rank = self.others(mark, trial).filter(|&other| other < (best, trial)).count();
        Some(Standing { bracket: 0, rank, population: averages.len() + 1, quota: None, cutoff: cutoff(&averages, self.min_trials) })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        let Some(&Pass { mark, best, .. }) = self.judged(rung, trial) else { return vec![] };
        let mut places: Vec<Place> = self.others(mark, trial).chain([(best, trial)]).collect();
        places.sort_unstable();
        places
    }

    fn check(&self) {
        for (mark, Board { at, averages }) in self.boards.iter().enumerate() {
            averages.check();
            let came = self.curves.iter().filter(|(_, curve)| curve.average_at(mark).is_some());
            assert_eq!(averages.len(), came.count(), "all that have come past {at} are counted there");
        }
        assert!(self.curves.iter().all(|(_, curve)| curve.passes.is_sorted_by(|a, b| a.mark < b.mark && a.at < b.at)));
    }
}

#[cfg(test)]
mod tests;
