//! ASHA in the form of its paper, by promotion: Li et al., "A System for Massively Parallel Hyperparameter Tuning",
//! arXiv:1810.05934, Algorithm 2 (`get_job`).
//!
//! A free slot promotes the best trial that is not yet promoted among the top floor(n / eta) of the highest rung that
//! has one, where n is how many stand on that rung now; if there is none, a new trial starts at the bottom.
use std::collections::{BTreeMap, BTreeSet};

use super::{Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::{Loss, Params, TrialId};

/// Who stands on which rung, and who went on from it. Every call costs O(rungs x log trials).
#[derive(Clone, Debug)]
pub struct AshaPromote {
    eta: usize,
    max_trials: Option<usize>,
    /// One for each rung below the top; on the top nobody is compared.
    floors: Vec<Floor>,
    hopeless: Vec<TrialId>,
}

/// One rung.
#[derive(Clone, Debug, Default)]
struct Floor {
    /// The best floor(n / eta).
    top: BTreeSet<Place>,
    /// All others.
    rest: BTreeSet<Place>,
    /// Those of `top` that have not been promoted.
    ready: BTreeSet<Place>,
    /// The best that could still be among the top if every trial to come is worse; anyone else is out for ever.
    hopeful: BTreeSet<Place>,
    /// How many of `hopeful` have not been promoted.
    hopes: usize,
    promoted: BTreeSet<TrialId>,
    places: BTreeMap<TrialId, Loss>,
}

impl AshaPromote {
    /// Empty rungs.
    #[must_use]
    pub fn new(ladder: &Ladder, max_trials: Option<u32>) -> Self {
        let max_trials = max_trials.map(|trials| trials as usize);
        Self { eta: ladder.eta() as usize, max_trials, floors: vec![Floor::default(); ladder.top()], hopeless: vec![] }
    }

    /// The most of `trials` trials that can ever come to each rung. The bound is reached, so there is no smaller one.
    ///
    /// ASHA promotes more than one in eta, since a trial is promoted when it is among the best floor(m / eta) of the m that
    /// stand on its rung *at that moment*. But never one of the eta - 1 worst that ever stand there: the j-th worst has at
    /// most j - 1 worse ones below it, hence rank m - j + 1 or more, and for j < eta that is more than m / eta once m is at
    /// least eta (while m < eta nobody is promoted). So of n arrivals at most n - (eta - 1) go on. All of these do if each
    /// trial is better than all before it, on every rung.
    #[must_use]
    pub fn worst_arrivals(ladder: &Ladder, trials: u32) -> Vec<u64> {
        (0..ladder.rungs().len()).map(|rung| u64::from(trials).saturating_sub(rung as u64 * u64::from(ladder.eta() - 1))).collect()
    }

    /// Moves those that can never be among the top any more to `hopeless`.
    ///
    /// A rank only ever grows, so whoever is not among the best floor(N / eta), N being the most that can ever stand on
    /// this rung, is out for ever. At the bottom N is `max_trials`. One rung up it is those promoted so far, those here
    /// that may still be, and those that may still come here; no event makes this sum grow.
    fn give_up_hope(&mut self) {
        let Some(mut most) = self.max_trials else { return };
        for floor in &mut self.floors {
            let quota = most / self.eta;
            while floor.hopeful.len() > quota {
                let Some((_, trial)) = floor.hopeful.pop_last() else { break };
                if !floor.promoted.contains(&trial) {
                    floor.hopes -= 1;
                    self.hopeless.push(trial);
                }
            }
            let to_come = most - floor.places.len();
            most = floor.promoted.len() + floor.hopes + to_come;
        }
    }
}

impl Floor {
    fn add(&mut self, place: Place, eta: usize, hopes: bool) {
        let earlier = self.places.insert(place.1, place.0);
        assert!(earlier.is_none(), "trial {} reached a rung twice", place.1);
        if hopes {
            self.hopeful.insert(place);
            self.hopes += 1;
        }
        self.rest.insert(place);
        let quota = self.places.len() / eta;
        // The newcomer may belong into the top, and the top may have grown by one.
        let belongs = self.top.last().is_some_and(|worst| place < *worst);
        if belongs || self.top.len() < quota {
            self.rise();
        }
        if self.top.len() > quota {
            self.sink();
        }
    }

    /// The best of the rest joins the top.
    fn rise(&mut self) {
        if let Some(best) = self.rest.pop_first() {
            self.top.insert(best);
            if !self.promoted.contains(&best.1) {
                self.ready.insert(best);
            }
        }
    }

    /// The worst of the top joins the rest.
    fn sink(&mut self) {
        if let Some(worst) = self.top.pop_last() {
            self.ready.remove(&worst);
            self.rest.insert(worst);
        }
    }

    fn check(&self, eta: usize) {
        assert_eq!(self.top.len(), self.places.len() / eta, "the top is floor(n / eta)");
        assert_eq!(self.top.len() + self.rest.len(), self.places.len());
        if let (Some(worst), Some(best)) = (self.top.last(), self.rest.first()) {
            assert!(worst < best, "the top is better than the rest");
        }
        let unpromoted = |place: &&Place| !self.promoted.contains(&place.1);
        assert!(self.top.iter().filter(unpromoted).eq(self.ready.iter()), "ready is the top without the promoted");
    }
}

impl Scheduler for AshaPromote {
    fn enter(&mut self, _trial: TrialId, _params: &Params) -> Rung {
        0
    }

    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict {
        self.floors[rung].add((loss, trial), self.eta, self.max_trials.is_some());
        self.give_up_hope();
        Verdict::Pause
    }

    fn promote(&mut self) -> Option<Promotion> {
        let rung = self.floors.iter().rposition(|floor| !floor.ready.is_empty())?;
        let floor = &mut self.floors[rung];
        let place = floor.ready.pop_first()?;
        let trial = place.1;
        floor.promoted.insert(trial);
        if floor.hopeful.contains(&place) {
            floor.hopes -= 1;
        }
        Some(Promotion { trial, to: rung + 1 })
    }

    fn gave_up(&mut self, _trial: TrialId) {
        // What it reported stays in the comparison; it was promoted from every rung where it stands, so none waits for it.
    }

    fn hopeless(&mut self) -> Vec<TrialId> {
        std::mem::take(&mut self.hopeless)
    }

    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let floor = self.floors.get(rung)?;
        let place = (*floor.places.get(&trial)?, trial);
        Some(Standing {
            bracket: 0,
            rank: floor.top.range(..place).count() + floor.rest.range(..place).count(),
            population: floor.places.len(),
            quota: Some(floor.top.len()),
            cutoff: floor.top.last().map(|&(loss, _)| loss),
        })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        let floor = self.floors.get(rung).filter(|floor| floor.places.contains_key(&trial));
        floor.map(|floor| floor.top.iter().chain(&floor.rest).copied().collect()).unwrap_or_default()
    }

    fn check(&self) {
        for (rung, floor) in self.floors.iter().enumerate() {
            floor.check(self.eta);
            if let Some(above) = self.floors.get(rung + 1) {
                assert!(above.places.keys().all(|trial| floor.promoted.contains(trial)), "whoever stands above was promoted from below");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Resource;

    fn asha(max_trials: Option<u32>) -> AshaPromote {
        AshaPromote::new(&Ladder::new(Resource(1), Resource(27), 3).unwrap(), max_trials)
    }

    /// Algorithm 2 as the paper writes it, with sorting at every step.
    #[derive(Default)]
    struct Textbook {
        rungs: Vec<Vec<Place>>,
        promoted: Vec<BTreeSet<TrialId>>,
    }

    impl Textbook {
        fn new(rungs: usize) -> Self {
            Self { rungs: vec![vec![]; rungs], promoted: vec![BTreeSet::new(); rungs] }
        }
        fn promote(&mut self, eta: usize) -> Option<Promotion> {
            for rung in (0..self.rungs.len()).rev() {
                self.rungs[rung].sort();
                let top = &self.rungs[rung][..self.rungs[rung].len() / eta];
                if let Some((_, trial)) = top.iter().find(|place| !self.promoted[rung].contains(&place.1)) {
                    self.promoted[rung].insert(*trial);
                    return Some(Promotion { trial: *trial, to: rung + 1 });
                }
            }
            None
        }
    }

    proptest! {
        /// Random losses, random interleaving of arrivals and free slots: decision for decision the textbook's.
        #[test]
        fn agrees_with_the_textbook(losses in proptest::collection::vec(0_u8..40, 1..120), picks in proptest::collection::vec(0_u8..255, 600)) {
            let mut ours = asha(Some(u32::try_from(losses.len()).unwrap()));
            let mut book = Textbook::new(3);
            let mut running: Vec<(TrialId, Rung)> = vec![];
            let mut forgotten = BTreeSet::new();
            let mut next = 0;
            for pick in picks {
                if pick % 2 == 0 && !running.is_empty() {
                    let (trial, rung) = running.swap_remove(pick as usize / 2 % running.len());
                    // The loss at a rung depends on trial and rung; ties are frequent, some are not finite.
                    let value = losses[trial.0 as usize].wrapping_mul(rung as u8 + 1) % 16;
                    let loss = Loss::new(if value == 15 { f64::NAN } else { f64::from(value) });
                    if rung < 3 {
                        prop_assert_eq!(ours.reached(rung, trial, loss), Verdict::Pause);
                        book.rungs[rung].push((loss, trial));
                        forgotten.extend(ours.hopeless());
                    }
                } else {
                    let promotion = ours.promote();
                    prop_assert_eq!(promotion, book.promote(3));
                    match promotion {
                        Some(Promotion { trial, to }) => {
                            prop_assert!(!forgotten.contains(&trial), "a trial without hope was promoted");
                            running.push((trial, to));
                        }
                        None if next < losses.len() => {
                            running.push((TrialId(next as u32), 0));
                            next += 1;
                        }
                        None => {}
                    }
                }
                ours.check();
            }
        }
    }

    #[test]
    fn the_worst_two_thirds_lose_hope_when_all_are_in() {
        let mut asha = asha(Some(9));
        let mut lost = vec![];
        for trial in 0..9 {
            asha.reached(0, TrialId(trial), Loss::new(f64::from(trial)));
            lost.extend(asha.hopeless().into_iter().map(|trial| trial.0));
        }
        assert_eq!(lost, [3, 4, 5, 6, 7, 8]);
        let cutoff = Some(Loss::new(2.0));
        assert_eq!(asha.standing(0, TrialId(4)), Some(Standing { bracket: 0, rank: 4, population: 9, quota: Some(3), cutoff }));
        assert_eq!(asha.rivals(0, TrialId(4)).iter().map(|(_, trial)| trial.0).collect::<Vec<_>>(), Vec::from_iter(0..9));
        assert_eq!((asha.standing(1, TrialId(4)), asha.rivals(1, TrialId(4))), (None, vec![]));
        let promoted: Vec<u32> = std::iter::from_fn(|| asha.promote()).map(|promotion| promotion.trial.0).collect();
        assert_eq!(promoted, [0, 1, 2]);
    }
}
