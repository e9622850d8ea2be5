//! The median stopping rule: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.1, as
//! Ray Tune has it (`MedianStoppingRule`): the others need not be complete, only as far.
//!
//! Every trial is leased to R at once. At each report at a resource t of at least r it is stopped if its best loss so far is
//! worse than the median, over all others that have come to t, of the average of their losses from r to t.
use std::collections::BTreeMap;
use std::ops::Bound::Excluded;

use super::quantile::Quantile;
use super::{Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::by_trial::ByTrial;
use crate::{Loss, Params, Resource, TrialId};

/// The averages at each resource where anybody reported. A report costs O(log trials) at each such resource since the trial's
/// last report; the first report at a resource costs O(trials that have passed it). Nobody ever pauses.
#[derive(Clone, Debug)]
pub struct Median {
    /// Says from where trials are judged (the bottom) and where they end; judged is at every report in between.
    ladder: Ladder,
    min_trials: usize,
    curves: ByTrial<Curve>,
    /// Averages up to a resource of all that have come to it.
    boards: BTreeMap<Resource, Quantile>,
}

/// What one trial reported.
#[derive(Clone, Debug, Default)]
struct Curve {
    reports: Vec<(Resource, Loss)>,
    best: Option<Loss>,
    average: Average,
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    sum: f64,
    count: u32,
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
    fn last(&self) -> Resource {
        self.reports.last().map_or(Resource(0), |&(resource, _)| resource)
    }

    fn add(&mut self, resource: Resource, loss: Loss, from: Resource) {
        self.reports.push((resource, loss));
        self.best = Some(self.best.map_or(loss, |best| best.min(loss)));
        if resource >= from {
            self.average.add(loss);
        }
    }

    /// The average of the losses between two resources, both included.
    fn average(&self, from: Resource, to: Resource) -> Option<Loss> {
        let mut average = Average::default();
        let reports = self.reports.iter().take_while(|(resource, _)| *resource <= to).filter(|(resource, _)| *resource >= from);
        reports.for_each(|&(_, loss)| average.add(loss));
        average.get()
    }

    /// The newest report from `from` to before `to`, and the best loss until then.
    fn best_in(&self, from: Resource, to: Option<Resource>) -> Option<(Resource, Loss)> {
        let until = self.reports.partition_point(|&(resource, _)| to.is_none_or(|to| resource < to));
        let (at, _) = self.reports[..until].last().filter(|(at, _)| *at >= from)?;
        Some((*at, self.reports[..until].iter().map(|&(_, loss)| loss).min()?))
    }
}

impl Median {
    /// No trials yet. Nobody is judged before `min_trials` others have come as far.
    #[must_use]
    pub fn new(ladder: &Ladder, min_trials: u32) -> Self {
        Self { ladder: ladder.clone(), min_trials: min_trials as usize, curves: ByTrial::default(), boards: BTreeMap::new() }
    }

    /// The most of `trials` trials that can come to each rung: all, if each is better than those before it.
    #[must_use]
    pub fn worst_arrivals(ladder: &Ladder, trials: u32) -> Vec<u64> {
        vec![trials.into(); ladder.rungs().len()]
    }

    fn from(&self) -> Resource {
        self.ladder.resource(0)
    }

    /// The averages up to `at` of all others that have come to it.
    fn others(&self, at: Resource, trial: TrialId) -> impl Iterator<Item = Place> {
        let beyond = self.curves.iter().filter(move |(other, curve)| *other != trial && curve.last() >= at);
        beyond.filter_map(move |(other, curve)| Some((curve.average(self.from(), at)?, other)))
    }

    fn board(&self, at: Resource, trial: TrialId) -> Quantile {
        let mut board = Quantile::new(2);
        self.others(at, trial).for_each(|(average, _)| board.insert(average));
        board
    }

    /// By which report `trial` was last judged between `rung` and the next, and what it had to show then.
    fn judged(&self, rung: Rung, trial: TrialId) -> Option<(Resource, Loss)> {
        let rungs = self.ladder.rungs();
        self.curves.get(trial)?.best_in(*rungs.get(rung)?, rungs.get(rung + 1).copied())
    }
}

/// The median, if it is one of enough trials.
fn cutoff(board: &Quantile, min_trials: usize) -> Option<Loss> {
    board.get().filter(|_| board.len() >= min_trials)
}

impl Scheduler for Median {
    fn enter(&mut self, _trial: TrialId, _params: &Params) -> Rung {
        self.ladder.top()
    }

    fn reported(&mut self, trial: TrialId, resource: Resource, loss: Loss) -> Verdict {
        let from = self.from();
        let curve = self.curves.entry(trial);
        assert!(curve.last() < resource, "trial {trial} reports each resource once");
        if let Some(average) = curve.average.get() {
            // It has come past these with what it had.
            let passed = self.boards.range_mut((Excluded(curve.last()), Excluded(resource)));
            passed.for_each(|(_, board)| board.insert(average));
        }
        if resource >= from && !self.boards.contains_key(&resource) {
            self.boards.insert(resource, self.board(resource, trial));
        }
        let curve = self.curves.entry(trial);
        curve.add(resource, loss, from);
        let (Some(best), Some(average)) = (curve.best, curve.average.get()) else { return Verdict::Continue };
        let Some(board) = self.boards.get_mut(&resource) else { return Verdict::Continue };
        let worse = cutoff(board, self.min_trials).is_some_and(|cutoff| best > cutoff);
        board.insert(average);
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

    /// At its newest report between this rung and the next: its best loss among the averages of the others.
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let (at, best) = self.judged(rung, trial)?;
        let board = self.board(at, trial);
        let rank = self.others(at, trial).filter(|&other| other < (best, trial)).count();
        Some(Standing { bracket: 0, rank, population: board.len() + 1, quota: None, cutoff: cutoff(&board, self.min_trials) })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        let Some((at, best)) = self.judged(rung, trial) else { return vec![] };
        let mut places: Vec<Place> = self.others(at, trial).chain([(best, trial)]).collect();
        places.sort_unstable();
        places
    }

    fn check(&self) {
        for (&at, board) in &self.boards {
            board.check();
            let came = self.curves.iter().filter(|(_, curve)| curve.last() >= at && curve.average(self.from(), at).is_some());
            assert_eq!(board.len(), came.count(), "all that have come to {at} are counted there");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ray's `on_trial_result`, read naively.
    struct Textbook {
        grace: u32,
        min_trials: usize,
        results: BTreeMap<u32, Vec<(u32, Loss)>>,
    }

    impl Textbook {
        fn stops(&mut self, trial: u32, time: u32, loss: Loss) -> bool {
            self.results.entry(trial).or_default().push((time, loss));
            if time < self.grace {
                return false;
            }
            let beyond = self.results.iter().filter(|(other, results)| **other != trial && results.last().unwrap().0 >= time);
            let mut means: Vec<Loss> = beyond.filter_map(|(_, results)| self.running_mean(results, time)).collect();
            if means.len() < self.min_trials {
                return false;
            }
            means.sort();
            let best = self.results[&trial].iter().map(|result| result.1).min().unwrap();
            let (low, high) = (means[(means.len() - 1) / 2], means[means.len() / 2]);
            best > if low == high { low } else { Loss::new(low.get() + (high.get() - low.get()) / 2.0) }
        }

        fn running_mean(&self, results: &[(u32, Loss)], time: u32) -> Option<Loss> {
            let scoped: Vec<f64> = results.iter().filter(|(at, _)| (self.grace..=time).contains(at)).map(|(_, loss)| loss.get()).collect();
            (!scoped.is_empty()).then(|| Loss::new(scoped.iter().sum::<f64>() / scoped.len() as f64))
        }
    }

    fn rule(min: u32, max: u32, min_trials: u32) -> Median {
        Median::new(&Ladder::new(Resource(min), Resource(max), 2).unwrap(), min_trials)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Losses with ties and without a value, reports in any order that skip resources.
        #[test]
        fn agrees_with_the_textbook(
            (grace, more, min_trials) in (1_u32..4, 0_u32..20, 1_u32..5),
            losses in prop::collection::vec(0_u8..30, 1..80),
            picks in prop::collection::vec((0_u32..20, 1_u32..4), 1..300),
        ) {
            let mut ours = rule(grace, grace + more, min_trials);
            let mut book = Textbook { grace, min_trials: min_trials as usize, results: BTreeMap::new() };
            let mut trained = BTreeMap::new();
            for (trial, step) in picks {
                let at = trained.entry(trial).or_insert(0);
                if *at >= grace + more {
                    continue;
                }
                *at = (*at + step).min(grace + more);
                let value = losses[(trial * 7 + *at * 31) as usize % losses.len()];
                let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].get(usize::from(value)).copied();
                let loss = Loss::new(odd.unwrap_or(value.into()));
                let verdict = ours.reported(TrialId(trial), Resource(*at), loss);
                prop_assert_eq!(verdict == Verdict::Stop, book.stops(trial, *at, loss), "trial {} at {}", trial, *at);
                if verdict == Verdict::Stop {
                    *at = u32::MAX;
                }
            }
            ours.check();
        }
    }

    #[test]
    fn the_best_so_far_is_held_against_running_averages() {
        let mut rule = rule(2, 8, 3);
        let mut at = |trial, resource, loss| rule.reported(TrialId(trial), Resource(resource), Loss::new(loss));
        for trial in 0..3 {
            for resource in 1..=4 {
                assert_eq!(at(trial, resource, f64::from(trial + resource)), Verdict::Continue, "too few others");
            }
        }
        // At 2 they average 2, 3, 4; at 4 they average 3, 4, 5 over 2, 3, 4.
        assert_eq!(at(3, 1, 9.0), Verdict::Continue, "before min_resource");
        assert_eq!(at(3, 2, 3.0), Verdict::Continue, "no worse than the median");
        assert_eq!(at(3, 4, 99.0), Verdict::Continue, "its best counts");
        assert_eq!(at(4, 3, 4.0), Verdict::Stop, "at 3 they average 2.5, 3.5, 4.5, and the fourth came past with 3");
        let standing = rule.standing(0, TrialId(4)).unwrap();
        assert_eq!((standing.rank, standing.population, standing.cutoff), (3, 5, Some(Loss::new(3.25))));
        assert_eq!(rule.reported(TrialId(5), Resource(3), Loss::new(0.0)), Verdict::Continue);
        assert_eq!(rule.standing(0, TrialId(4)).unwrap().population, 6, "who comes later to the same place counts from then on");
        let rivals: Vec<(f64, u32)> = rule.rivals(0, TrialId(4)).iter().map(|place| (place.0.get(), place.1.0)).collect();
        assert_eq!(rivals, [(0.0, 5), (2.5, 0), (3.0, 3), (3.5, 1), (4.0, 4), (4.5, 2)]);
        assert_eq!((rule.standing(1, TrialId(4)), rule.rivals(1, TrialId(4))), (None, vec![]));
    }
}
