//! ASHA in the form of its paper, by promotion: Li et al., "A System for Massively Parallel Hyperparameter Tuning",
//! arXiv:1810.05934, Algorithm 2 (`get_job`).
//!
//! A free slot promotes the best trial that is not yet promoted among the top floor(n / eta) of the highest rung that
//! has one, where n is how many stand on that rung now; if there is none, a new trial starts at the bottom.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::quantile::Split;
use super::{Ladder, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::by_trial::ByTrial;
use crate::{Loss, Params, TrialId};

/// Who stands on which rung, and who went on from it. Every call costs O(rungs + log trials), but those for people.
#[derive(Clone, Debug, PartialEq)]
pub struct AshaPromote {
    eta: usize,
    /// No more than so many will ever enter.
    max_trials: Option<usize>,
    entered: usize,
    /// Where trials enter: the rung of the first floor.
    entry: Rung,
    /// One for each rung from there that is below the top; on the top nobody is compared.
    floors: Vec<Floor>,
    /// By trial: twice the floor that it goes to, and one more when it stands there.
    steps: ByTrial<u8>,
    hopeless: Vec<TrialId>,
}

/// One rung. Heaps suffice: a rank only ever grows, so nobody comes back to where he was.
#[derive(Clone, Debug, Default)]
struct Floor {
    /// Everyone here; the best floor(n / eta) are split off.
    all: Split<Place>,
    /// Those that have not been promoted, best first.
    unpromoted: BinaryHeap<Reverse<Place>>,
    promoted: usize,
    /// The best that could still be among the top if every trial to come is worse, worst first; anyone else is out for ever.
    hopeful: BinaryHeap<Place>,
    /// How many of `hopeful` have not been promoted.
    hopes: usize,
    /// The most that can ever be among the top.
    quota: usize,
}

impl PartialEq for Floor {
    /// Heaps are compared as they lie: what follows from them is the same only then.
    fn eq(&self, other: &Self) -> bool {
        let Self { all, unpromoted, promoted, hopeful, hopes, quota } = self;
        (all, promoted, hopes, quota) == (&other.all, &other.promoted, &other.hopes, &other.quota)
            && unpromoted.as_slice() == other.unpromoted.as_slice()
            && hopeful.as_slice() == other.hopeful.as_slice()
    }
}

impl AshaPromote {
    /// Empty rungs, of which trials enter the lowest.
    #[must_use]
    pub fn new(ladder: &Ladder, max_trials: Option<u32>) -> Self {
        Self::entering_at(0, ladder, max_trials)
    }

    /// Empty rungs, of which trials enter `entry`: their first lease leads there.
    #[must_use]
    pub fn entering_at(entry: Rung, ladder: &Ladder, max_trials: Option<u32>) -> Self {
        let floors = vec![Floor { quota: usize::MAX, ..Floor::default() }; ladder.top().saturating_sub(entry)];
        let max_trials = max_trials.map(|trials| trials as usize);
        Self { eta: ladder.eta() as usize, max_trials, entered: 0, entry, floors, steps: ByTrial::default(), hopeless: vec![] }
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
        Self::worst_arrivals_from(0, ladder, trials)
    }

    /// The same for trials that enter at `entry`, on their way past the rungs below.
    pub(super) fn worst_arrivals_from(entry: Rung, ladder: &Ladder, trials: u32) -> Vec<u64> {
        let lost = |rung: Rung| rung.saturating_sub(entry) as u64 * u64::from(ladder.eta() - 1);
        (0..ladder.rungs().len()).map(|rung| u64::from(trials).saturating_sub(lost(rung))).collect()
    }

    /// The rung on which someone waits who deserves to go on, below `ceiling`, and who: of the highest rung the best.
    pub(super) fn candidate(&self, ceiling: Rung) -> Option<(Rung, Place)> {
        let floors = self.floors.iter().take(ceiling.saturating_sub(self.entry)).enumerate().rev();
        floors.filter_map(|(floor, of)| Some((self.entry + floor, of.ready()?))).next()
    }

    /// As [`Scheduler::promote`], but to no rung above `ceiling`.
    pub(super) fn promote_up_to(&mut self, ceiling: Rung) -> Option<Promotion> {
        let (rung, _) = self.candidate(ceiling)?;
        let floor = &mut self.floors[rung - self.entry];
        let Reverse((_, trial)) = floor.unpromoted.pop()?;
        floor.promoted += 1;
        if self.max_trials.is_some() {
            // Who is among the best of those here is among the best of those that can ever be here.
            floor.hopes -= 1;
        }
        self.steps[trial] += 1;
        Some(Promotion { trial, to: rung + 1 })
    }

    /// Moves those that can never be among the top any more to `hopeless`.
    ///
    /// A rank only ever grows, so whoever is not among the best floor(N / eta), N being the most that can ever stand on
    /// this rung, is out for ever. At the bottom N is `max_trials`. One rung up it is those promoted so far, those here
    /// that may still be, and those that may still come here; no event makes this sum grow.
    fn give_up_hope(&mut self) {
        let Some(mut most) = self.max_trials else { return };
        for (floor, of) in self.floors.iter_mut().enumerate() {
            of.quota = most / self.eta;
            while of.hopeful.len() > of.quota {
                let Some((_, trial)) = of.hopeful.pop() else { break };
                if !has_left(self.steps[trial], floor) {
                    of.hopes -= 1;
                    self.hopeless.push(trial);
                }
            }
            let to_come = most - of.all.len();
            most = of.promoted + of.hopes + to_come;
        }
    }
}

/// Whether a trial that has come so far was promoted from `floor`.
fn has_left(step: u8, floor: usize) -> bool {
    usize::from(step) > 2 * floor + 1
}

impl Floor {
    fn add(&mut self, place: Place, eta: usize) {
        let top = (self.all.len() + 1) / eta;
        self.all.insert(place, top);
        self.unpromoted.push(Reverse(place));
    }

    /// Whether a newcomer may be among the top some day. Most may not, and cost nothing further.
    fn hope(&mut self, place: Place) -> bool {
        let hope = self.hopeful.len() < self.quota || self.hopeful.peek().is_some_and(|worst| place < *worst);
        if hope {
            self.hopeful.push(place);
            self.hopes += 1;
        }
        hope
    }

    /// The best that has not been promoted, if it is among the top.
    fn ready(&self) -> Option<Place> {
        let Reverse(best) = *self.unpromoted.peek()?;
        (best <= *self.all.last()?).then_some(best)
    }

    fn check(&self, eta: usize) {
        self.all.check();
        assert_eq!(self.all.k(), self.all.len() / eta, "the top is floor(n / eta)");
        assert_eq!(self.promoted + self.unpromoted.len(), self.all.len(), "promoted or not");
    }
}

impl Scheduler for AshaPromote {
    fn enter(&mut self, trial: TrialId, _params: &Params) -> Rung {
        *self.steps.entry(trial) = 0;
        self.entered += 1;
        self.entry
    }

    fn no_more(&mut self) {
        if self.max_trials.is_some_and(|most| most > self.entered) {
            self.max_trials = Some(self.entered);
            self.give_up_hope();
        }
    }

    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict {
        let floor = rung - self.entry;
        let step = self.steps.entry(trial);
        assert_eq!(usize::from(*step), 2 * floor, "trial {trial} comes to each rung once");
        *step += 1;
        let place = (loss, trial);
        self.floors[floor].add(place, self.eta);
        if self.max_trials.is_some() {
            if !self.floors[floor].hope(place) {
                self.hopeless.push(trial);
            }
            self.give_up_hope();
        }
        Verdict::Pause
    }

    fn promote(&mut self) -> Option<Promotion> {
        self.promote_up_to(Rung::MAX)
    }

    fn gave_up(&mut self, _trial: TrialId) {
        // What it reported stays in the comparison; it was promoted from every rung where it stands, so none waits for it.
    }

    fn hopeless(&mut self) -> Vec<TrialId> {
        std::mem::take(&mut self.hopeless)
    }

    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let floor = self.floors.get(rung.checked_sub(self.entry)?)?;
        let place = floor.all.iter().find(|place| place.1 == trial)?;
        Some(Standing {
            bracket: 0,
            rank: floor.all.iter().filter(|other| *other < place).count(),
            population: floor.all.len(),
            quota: Some(floor.all.k()),
            cutoff: floor.all.last().map(|&(loss, _)| loss),
        })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        let floor = rung.checked_sub(self.entry).and_then(|floor| self.floors.get(floor));
        let mut places: Vec<Place> = floor.into_iter().flat_map(|floor| floor.all.iter().copied()).collect();
        if places.iter().all(|place| place.1 != trial) {
            return vec![];
        }
        places.sort_unstable();
        places
    }

    fn check(&self) {
        for (floor, of) in self.floors.iter().enumerate() {
            of.check(self.eta);
            let step = |trial: TrialId| self.steps[trial];
            assert!(of.unpromoted.iter().all(|Reverse((_, trial))| usize::from(step(*trial)) == 2 * floor + 1));
            assert_eq!(of.all.iter().filter(|(_, trial)| has_left(step(*trial), floor)).count(), of.promoted);
            let hopes = of.hopeful.iter().filter(|(_, trial)| !has_left(step(*trial), floor));
            assert_eq!(hopes.count(), of.hopes, "hopes are counted");
            if let Some(above) = self.floors.get(floor + 1) {
                assert!(above.all.len() <= of.promoted, "whoever stands above was promoted from below");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
