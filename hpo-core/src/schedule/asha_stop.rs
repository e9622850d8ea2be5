//! ASHA in the form of Ray Tune (`AsyncHyperBandScheduler`), by stopping: Li et al., "A System for Massively Parallel
//! Hyperparameter Tuning", arXiv:1810.05934, with Ray's cutoff in the place of promotions.
//!
//! Every trial is leased to R at once. With its first report at or after a rung r eta^k below R it is stopped there if its
//! loss is worse than the 1 / eta quantile (linear interpolation) of the losses recorded on that rung before. Its own is
//! recorded either way. The first one on a rung passes. Of several rungs that one report passes, only the highest counts;
//! Ray records the lower ones, too, with whatever the trial reports next, which compares losses at unlike resources.
use super::quantile::Quantile;
use super::{Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::by_trial::ByTrial;
use crate::{Loss, Params, Resource, TrialId};

/// What was recorded on each rung. A decision costs O(log trials). Nobody ever pauses.
#[derive(Clone, Debug, PartialEq)]
pub struct AshaStop {
    ladder: Ladder,
    /// One for each rung below the top.
    floors: Vec<Floor>,
    /// By trial: how many rungs it has passed.
    passed: ByTrial<u8>,
}

/// One rung.
#[derive(Clone, Debug, PartialEq)]
struct Floor {
    cutoff: Quantile,
    /// In the order in which they came; for people.
    records: Vec<Place>,
}

impl AshaStop {
    /// Empty rungs.
    #[must_use]
    pub fn new(ladder: &Ladder) -> Self {
        let floor = Floor { cutoff: Quantile::new(ladder.eta()), records: vec![] };
        Self { ladder: ladder.clone(), floors: vec![floor; ladder.top()], passed: ByTrial::default() }
    }

    /// The most of `trials` trials that can come to each rung: all, if none is worse than those before it.
    #[must_use]
    pub fn worst_arrivals(ladder: &Ladder, trials: u32) -> Vec<u64> {
        vec![trials.into(); ladder.rungs().len()]
    }

    /// What `trial` is judged by among `rivals`: the 1 / `eta` quantile of all others. None if there are none.
    pub(crate) fn cutoff_among(rivals: &[Place], trial: TrialId, eta: u32) -> Option<Loss> {
        let mut others = Quantile::new(eta);
        rivals.iter().filter(|other| other.1 != trial).for_each(|&(loss, _)| others.insert(loss));
        others.get()
    }

    /// The rung that `trial` passes by a report at `resource`, if it is one that was not passed before, and below the top.
    fn pass(&mut self, trial: TrialId, resource: Resource) -> Option<Rung> {
        let passed = self.passed.entry(trial);
        let rung = self.ladder.rung_at(resource).filter(|&rung| rung >= usize::from(*passed))?;
        // A ladder of u32 has no more than 33 rungs.
        *passed = rung as u8 + 1;
        (rung < self.ladder.top()).then_some(rung)
    }
}

impl Scheduler for AshaStop {
    fn enter(&mut self, _trial: TrialId, _params: &Params) -> Rung {
        self.ladder.top()
    }

    fn reported(&mut self, trial: TrialId, resource: Resource, loss: Loss) -> Verdict {
        let Some(rung) = self.pass(trial, resource) else { return Verdict::Continue };
        let Floor { cutoff, records } = &mut self.floors[rung];
        let worse = cutoff.get().is_some_and(|cutoff| loss > cutoff);
        cutoff.insert(loss);
        records.push((loss, trial));
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

    /// The cutoff is that of all others here: the one by which the newest was judged.
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let Floor { records, .. } = self.floors.get(rung)?;
        let place = records.iter().find(|place| place.1 == trial)?;
        let cutoff = Self::cutoff_among(records, trial, self.ladder.eta());
        let rank = records.iter().filter(|other| *other < place).count();
        Some(Standing { bracket: 0, rank, population: records.len(), quota: None, cutoff })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        let mut places = self.floors.get(rung).map(|floor| floor.records.clone()).unwrap_or_default();
        if places.iter().all(|place| place.1 != trial) {
            return vec![];
        }
        places.sort_unstable();
        places
    }

    fn check(&self) {
        for (rung, Floor { cutoff, records }) in self.floors.iter().enumerate() {
            cutoff.check();
            assert_eq!(cutoff.len(), records.len());
            assert!(records.iter().all(|(_, trial)| usize::from(self.passed[*trial]) > rung));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The paper's search on MLPF: max_t 200, grace_period 10, reduction_factor 4.
    fn mlpf() -> Ladder {
        Ladder::new(Resource(10), Resource(200), 4).unwrap()
    }

    /// Whether `loss` is above numpy.percentile(before, 100 / eta), method "linear", by sorting and in whole numbers; what is
    /// not a number ranks last.
    fn worse(loss: Option<i64>, before: &[Option<i64>], eta: i64) -> bool {
        let mut sorted = before.to_vec();
        sorted.sort_by_key(|loss| (loss.is_none(), *loss));
        let last = sorted.len() as i64 - 1;
        let at = |index: i64| sorted[index.min(last) as usize];
        match (loss, at(last / eta), at(last / eta + 1)) {
            (_, None, _) => false,
            (_, Some(_), None) if last % eta > 0 => false,
            (None, ..) => true,
            (Some(loss), Some(low), high) => eta * (loss - low) > (high.unwrap_or(low) - low) * (last % eta),
        }
    }

    /// Ray's `_Bracket.on_result`, read naively.
    struct Textbook {
        eta: i64,
        max: u32,
        /// From high to low: resource, and who recorded what.
        rungs: Vec<(u32, BTreeMap<u32, Option<i64>>)>,
    }

    impl Textbook {
        fn new(min: u32, max: u32, eta: u32) -> Self {
            let levels = std::iter::successors(Some(min), |level| Some(level * eta)).take_while(|&level| level < max);
            let mut rungs: Vec<_> = levels.map(|level| (level, BTreeMap::new())).collect();
            rungs.reverse();
            Self { eta: eta.into(), max, rungs }
        }

        fn stops(&mut self, trial: u32, resource: u32, loss: Option<i64>) -> bool {
            if resource >= self.max {
                return false;
            }
            for (level, recorded) in &mut self.rungs {
                if resource < *level {
                    continue;
                }
                if recorded.contains_key(&trial) {
                    return false;
                }
                let before: Vec<Option<i64>> = recorded.values().copied().collect();
                recorded.insert(trial, loss);
                return !before.is_empty() && worse(loss, &before, self.eta);
            }
            false
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Random ladders, losses with ties and without a value, reports in any order that skip resources.
        #[test]
        fn agrees_with_the_textbook(
            (min, more, eta) in (1_u32..4, 0_u32..40, 2_u32..6),
            losses in prop::collection::vec(0_u8..30, 1..80),
            picks in prop::collection::vec((0_u32..40, 1_u32..6), 1..300),
        ) {
            let mut ours = AshaStop::new(&Ladder::new(Resource(min), Resource(min + more), eta).unwrap());
            let mut book = Textbook::new(min, min + more, eta);
            let mut trained = BTreeMap::new();
            for (trial, step) in picks {
                let at = trained.entry(trial).or_insert(0);
                if *at == min + more || *at == u32::MAX {
                    continue;
                }
                *at = (*at + step).min(min + more);
                let value = losses[(trial * 7 + *at * 31) as usize % losses.len()];
                let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].get(usize::from(value)).copied();
                let verdict = ours.reported(TrialId(trial), Resource(*at), Loss::new(odd.unwrap_or(value.into())));
                let stops = book.stops(trial, *at, odd.is_none().then_some(value.into()));
                prop_assert_eq!(verdict == Verdict::Stop, stops, "trial {} at {}", trial, *at);
                ours.check();
                if verdict == Verdict::Stop {
                    *at = u32::MAX;
                }
            }
        }
    }

    #[test]
    fn a_quarter_passes_and_what_was_stopped_counts() {
        let mut rule = AshaStop::new(&mlpf());
        assert_eq!(rule.ladder.rungs(), [10, 40, 160, 200].map(Resource));
        let mut at = |trial, resource, loss| rule.reported(TrialId(trial), Resource(resource), Loss::new(loss));
        assert_eq!(at(0, 9, 99.0), Verdict::Continue, "below the first rung nobody is compared");
        assert_eq!(at(0, 10, 4.0), Verdict::Continue, "the first passes");
        assert_eq!(at(0, 11, 99.0), Verdict::Continue, "between rungs nobody is compared");
        assert_eq!(at(1, 10, 5.0), Verdict::Stop);
        assert_eq!(at(2, 10, 4.25), Verdict::Continue, "4.25 is the first quarter of 4 and 5");
        assert_eq!(at(3, 10, 4.2), Verdict::Stop, "4.125 is that of 4, 4.25 and 5");
        assert_eq!(at(4, 12, f64::NAN), Verdict::Stop);
        assert_eq!(at(0, 170, f64::NAN), Verdict::Continue, "the first on its rung, whatever its loss");
        assert_eq!(at(2, 160, f64::NAN), Verdict::Continue, "no worse than that");
        assert_eq!(at(2, 200, 9.0), Verdict::Continue, "on the top nobody is compared");
        let standing = rule.standing(0, TrialId(3)).unwrap();
        assert_eq!((standing.rank, standing.population, standing.cutoff), (1, 5, Some(Loss::new(4.1875))));
        assert_eq!(rule.rivals(0, TrialId(3)).iter().map(|place| place.1.0).collect::<Vec<_>>(), [0, 3, 2, 1, 4]);
        assert_eq!(rule.standing(1, TrialId(0)), None, "it came past the second rung with a report on the third");
    }
}
