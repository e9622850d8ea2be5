//! PASHA: Bohdal et al., "PASHA: Efficient HPO and NAS with Progressive Resource Allocation", arXiv:2207.06940, Algorithm 1,
//! with the soft ranking and the estimate of its epsilon of section 4 (as Syne Tune's `pasha.py` has them).
//!
//! An ASHA whose ladder grows. At first only its two lowest rungs, 0 and K = 1, are open. When a trial comes to rung K, all
//! that stand there are ranked by their losses there and by those that they had on rung K - 1. The ranking is stable if,
//! position by position, the losses on K - 1 of the two trials that have that position differ by no more than epsilon. If it
//! is not, rung K + 1 opens, and those that wait on K may go on. A sweep whose ranking is stable never trains to R.
use super::noise::{Noise, distance};
use super::{AshaPromote, Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::by_trial::ByTrial;
use crate::{Loss, Params, Resource, TrialId};

/// An ASHA, how far it may go, and why. A call costs what it costs ASHA; one that brings a trial to the highest open rung also
/// moves a part of two sorted lists and walks over what lies between its places there (over all when epsilon has shrunk).
/// Epsilon is estimated anew, which is a walk over all pairs of the cohort, if one of that has reported since.
#[derive(Clone, Debug, PartialEq)]
pub struct Pasha {
    asha: AshaPromote,
    ladder: Ladder,
    /// K: the highest rung that is open.
    ceiling: Rung,
    /// Each trial's loss on the rung where it was last compared.
    newest: ByTrial<Option<Loss>>,
    ranking: Ranking,
    epsilon: Epsilon,
}

/// What differences between losses mean nothing.
#[derive(Clone, Debug, PartialEq)]
enum Epsilon {
    Fixed(f64),
    Estimated(Noise),
}

impl Pasha {
    /// Empty rungs. Without `epsilon` it is estimated.
    #[must_use]
    pub fn new(ladder: &Ladder, epsilon: Option<f64>, max_trials: Option<u32>) -> Self {
        Self {
            asha: AshaPromote::new(ladder, max_trials),
            ladder: ladder.clone(),
            ceiling: ladder.top().min(1),
            newest: ByTrial::default(),
            ranking: Ranking::default(),
            epsilon: epsilon.map_or_else(|| Epsilon::Estimated(Noise::default()), Epsilon::Fixed),
        }
    }

    /// The most of `trials` trials that can come to each rung: those of an ASHA whose rungs are all open.
    #[must_use]
    pub fn worst_arrivals(ladder: &Ladder, trials: u32) -> Vec<u64> {
        AshaPromote::worst_arrivals(ladder, trials)
    }

    fn grow(&mut self) {
        self.ceiling += 1;
        self.ranking = Ranking::default();
        if let Epsilon::Estimated(noise) = &mut self.epsilon {
            noise.start_over();
        }
    }
}

impl Scheduler for Pasha {
    fn enter(&mut self, trial: TrialId, params: &Params) -> Rung {
        self.asha.enter(trial, params)
    }

    fn no_more(&mut self) {
        self.asha.no_more();
    }

    fn reported(&mut self, trial: TrialId, resource: Resource, loss: Loss) -> Verdict {
        if let Epsilon::Estimated(noise) = &mut self.epsilon {
            let below = self.ceiling.checked_sub(1).map_or(Resource(0), |below| self.ladder.resource(below));
            noise.add(trial, resource, loss, below);
        }
        Verdict::Continue
    }

    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict {
        let before = self.newest.entry(trial).replace(loss);
        if let Some(before) = before.filter(|_| rung == self.ceiling) {
            let epsilon = match &mut self.epsilon {
                Epsilon::Fixed(epsilon) => *epsilon,
                Epsilon::Estimated(noise) => noise.epsilon(self.ladder.resource(rung - 1)),
            };
            if !self.ranking.add(trial, loss, before, epsilon) {
                self.grow();
            }
        }
        self.asha.reached(rung, trial, loss)
    }

    fn promote(&mut self) -> Option<Promotion> {
        self.asha.promote_up_to(self.ceiling)
    }

    fn gave_up(&mut self, trial: TrialId) {
        self.asha.gave_up(trial);
    }

    /// Those of ASHA: a rung that is closed now may still open.
    fn hopeless(&mut self) -> Vec<TrialId> {
        self.asha.hopeless()
    }

    /// From the highest open rung nobody goes on as things stand.
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let standing = self.asha.standing(rung, trial)?;
        Some(if rung < self.ceiling { standing } else { Standing { quota: Some(0), cutoff: None, ..standing } })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        self.asha.rivals(rung, trial)
    }

    fn check(&self) {
        self.asha.check();
        self.ranking.check();
        assert!(self.ceiling <= self.ladder.top());
    }
}

/// All that stand on the highest open rung, in two orders.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ranking {
    /// Ordered by the loss there, with the loss on the rung below.
    above: Vec<(Place, Loss)>,
    /// Ordered by the loss on the rung below.
    below: Vec<Place>,
    /// For this epsilon, and any larger one, it was stable.
    stable_for: f64,
}

impl Ranking {
    /// Adds a trial with its losses above and below, and says whether the ranking is stable.
    fn add(&mut self, trial: TrialId, above: Loss, below: Loss, epsilon: f64) -> bool {
        let high = self.above.partition_point(|&(place, _)| place < (above, trial));
        let low = self.below.partition_point(|&place| place < (below, trial));
        self.above.insert(high, ((above, trial), below));
        self.below.insert(low, (below, trial));
        // Before and after both positions, the same trials face each other as before.
        let moved = if epsilon < self.stable_for { 0..self.above.len() } else { high.min(low)..high.max(low) + 1 };
        self.stable_for = epsilon;
        let mut pairs = self.above[moved.clone()].iter().zip(&self.below[moved]);
        pairs.all(|(&(_, here), &(there, _))| distance(here, there) <= epsilon)
    }

    fn check(&self) {
        assert!(self.above.is_sorted() && self.below.is_sorted() && self.above.len() == self.below.len());
        let far = |(&(_, here), &(there, _)): (&(Place, Loss), &Place)| distance(here, there) > self.stable_for;
        assert!(!self.above.iter().zip(&self.below).any(far), "an unstable ranking opens a rung");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn ladder(min: u32, max: u32, eta: u32) -> Ladder {
        Ladder::new(Resource(min), Resource(max), eta).unwrap()
    }

    /// Syne Tune's `PASHARungSystem`, read naively: everything anew at every step.
    struct Textbook {
        levels: Vec<u32>,
        eta: usize,
        ceiling: usize,
        rungs: Vec<BTreeMap<u32, f64>>,
        promoted: Vec<BTreeSet<u32>>,
        curves: BTreeMap<u32, BTreeMap<u32, f64>>,
        epsilon: f64,
        estimates: bool,
    }

    impl Textbook {
        fn promote(&mut self) -> Option<(u32, Rung)> {
            (0..self.ceiling).rev().find_map(|rung| {
                let mut ranked: Vec<(f64, u32)> = self.rungs[rung].iter().map(|(&trial, &loss)| (loss, trial)).collect();
                ranked.sort_by(|one, other| one.partial_cmp(other).unwrap());
                let top = &ranked[..ranked.len() / self.eta];
                let trial = top.iter().find(|(_, trial)| !self.promoted[rung].contains(trial))?.1;
                self.promoted[rung].insert(trial);
                Some((trial, rung + 1))
            })
        }

        fn reached(&mut self, rung: Rung, trial: u32, loss: f64) {
            self.rungs[rung].insert(trial, loss);
            if rung != self.ceiling {
                return;
            }
            if self.estimates {
                self.update_epsilon();
            }
            let ranked = |losses: &BTreeMap<u32, f64>| {
                let mut ranked: Vec<u32> = self.rungs[rung].keys().copied().collect();
                ranked.sort_by(|one, other| (losses[one], one).partial_cmp(&(losses[other], other)).unwrap());
                ranked
            };
            let before = &self.rungs[rung - 1];
            let pairs = ranked(&self.rungs[rung]).into_iter().zip(ranked(before));
            if pairs.into_iter().any(|(here, there)| (before[&here] - before[&there]).abs() > self.epsilon) {
                self.ceiling += 1;
            }
        }

        fn update_epsilon(&mut self) {
            let mut distances = vec![];
            let trials: Vec<&BTreeMap<u32, f64>> = self.curves.values().collect();
            for (index, one) in trials.iter().enumerate() {
                for other in &trials[..index] {
                    let shared: Vec<(u32, f64)> = one.iter().filter_map(|(at, a)| Some((*at, a - other.get(at)?))).collect();
                    let orders: Vec<bool> = shared.iter().filter(|(_, by)| *by != 0.0).map(|(_, by)| *by > 0.0).collect();
                    let Some(&(at, by)) = shared.last() else { continue };
                    if at > self.levels[self.ceiling - 1] && orders.windows(2).filter(|pair| pair[0] != pair[1]).count() >= 2 {
                        distances.push(by.abs());
                    }
                }
            }
            distances.sort_by(f64::total_cmp);
            if let Some(last) = distances.len().checked_sub(1) {
                let (low, rest) = (9 * last / 10, 9 * last % 10);
                let high = distances[(low + 1).min(last)];
                self.epsilon = distances[low] + (high - distances[low]) * rest as f64 / 10.0;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Noise that is small against what divides trials: now the ranking is stable and now it is not.
        #[test]
        fn agrees_with_the_textbook(
            (max, eta, epsilon) in (1_u32..40, 2_u32..4, prop::option::of(0_u8..12)),
            losses in prop::collection::vec(0_u8..100, 1..40),
            noise in prop::collection::vec(0_u8..12, 1..60),
            picks in prop::collection::vec(0_u8..255, 500),
        ) {
            let ladder = ladder(1, max, eta);
            let top = ladder.top();
            let mut ours = Pasha::new(&ladder, epsilon.map(f64::from), Some(losses.len() as u32));
            let mut book = Textbook {
                levels: ladder.rungs().iter().map(|rung| rung.0).collect(),
                eta: eta as usize,
                ceiling: top.min(1),
                rungs: vec![BTreeMap::new(); top],
                promoted: vec![BTreeSet::new(); top],
                curves: BTreeMap::new(),
                epsilon: epsilon.map_or(0.0, f64::from),
                estimates: epsilon.is_none(),
            };
            let noise = |trial: u32, at: u32| noise[(trial * 7 + at * 31) as usize % noise.len()];
            let loss = |trial: u32, at: u32| f64::from(losses[trial as usize]) + f64::from(noise(trial, at));
            let mut running: Vec<(u32, u32, Rung)> = vec![];
            let mut next = 0;
            for pick in picks {
                if pick % 2 == 0 && !running.is_empty() {
                    let index = pick as usize / 2 % running.len();
                    let (trial, trained, rung) = &mut running[index];
                    *trained += 1;
                    let value = loss(*trial, *trained);
                    prop_assert_eq!(ours.reported(TrialId(*trial), Resource(*trained), Loss::new(value)), Verdict::Continue);
                    book.curves.entry(*trial).or_default().insert(*trained, value);
                    if *trained == ladder.resource(*rung).0 {
                        if *rung < top {
                            prop_assert_eq!(ours.reached(*rung, TrialId(*trial), Loss::new(value)), Verdict::Pause);
                            book.reached(*rung, *trial, value);
                        }
                        running.swap_remove(index);
                    }
                } else {
                    let promotion = ours.promote();
                    prop_assert_eq!(promotion.map(|promotion| (promotion.trial.0, promotion.to)), book.promote());
                    if let Some(Promotion { trial, to }) = promotion {
                        running.push((trial.0, ladder.resource(to - 1).0, to));
                    } else if next < losses.len() as u32 {
                        running.push((next, 0, ours.enter(TrialId(next), &Params::new())));
                        next += 1;
                    }
                }
                prop_assert_eq!(ours.ceiling, book.ceiling);
                ours.check();
            }
        }
    }

    /// Trials one after another, each with a loss that it has everywhere but for what `noise` adds at a resource.
    fn climb(epsilon: Option<f64>, noise: impl Fn(u32, u32) -> f64) -> Pasha {
        let ladder = ladder(1, 27, 3);
        let mut rule = Pasha::new(&ladder, epsilon, Some(27));
        let mut fresh = 0..27;
        loop {
            let (trial, rung) = match rule.promote() {
                Some(Promotion { trial, to }) => (trial, to),
                None => match fresh.next() {
                    Some(trial) => (TrialId(trial), rule.enter(TrialId(trial), &Params::new())),
                    None => return rule,
                },
            };
            let from = rung.checked_sub(1).map_or(0, |below| ladder.resource(below).0);
            for at in from + 1..=ladder.resource(rung).0 {
                let loss = Loss::new(f64::from(trial.0) + noise(trial.0, at));
                rule.reported(trial, Resource(at), loss);
                if Resource(at) == ladder.resource(rung) && rung < ladder.top() {
                    rule.reached(rung, trial, loss);
                }
            }
            rule.check();
        }
    }

    #[test]
    fn a_smaller_epsilon_looks_at_all_places_again() {
        let mut ranking = Ranking::default();
        let mut add = |trial, above, below, epsilon| ranking.add(TrialId(trial), Loss::new(above), Loss::new(below), epsilon);
        assert!(add(0, 1.0, 6.0, 10.0) && add(1, 2.0, 1.0, 10.0), "they have changed places, 5 apart");
        assert!(add(2, 50.0, 50.0, 5.0));
        assert!(!add(3, 60.0, 60.0, 4.0));
    }

    #[test]
    fn a_stable_ranking_opens_no_rung_and_an_unstable_one_all() {
        // In the middle the worst are the best.
        let swapped = |trial: u32, at: u32| if (3..9).contains(&at) { -2.0 * f64::from(trial) } else { 0.0 };
        assert_eq!(climb(None, |_, _| 0.0).ceiling, 1);
        assert_eq!(climb(Some(0.0), swapped).ceiling, 3);
        assert_eq!(climb(Some(1000.0), swapped).ceiling, 1, "nothing is worth a rung");
        let standing = climb(None, |_, _| 0.0).standing(1, TrialId(0)).unwrap();
        assert_eq!((standing.rank, standing.quota, standing.cutoff), (0, Some(0), None));
    }
}
