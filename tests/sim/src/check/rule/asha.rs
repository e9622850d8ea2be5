//! Li et al., arXiv:1810.05934, Algorithm 2, in one bracket or several, and Bohdal et al., arXiv:2207.06940, Algorithm 1, which
//! opens its rungs one by one.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Loss, TrialId};

use super::Rule;

/// Everyone that ever stood on a rung, and everyone that left it upwards.
#[derive(Debug)]
pub(super) struct Asha {
    rungs: Vec<u32>,
    eta: usize,
    /// Of so many trials in a row each bracket gets so many; the bracket is also the rung that its trials enter.
    weights: Vec<i64>,
    dealt: Vec<i64>,
    bracket: BTreeMap<TrialId, usize>,
    /// (bracket, rung) to who came there and with what.
    came: BTreeMap<(usize, usize), Vec<(Loss, TrialId)>>,
    left: BTreeSet<(usize, TrialId)>,
    /// By bracket: no more than so many trials will ever enter.
    most: Option<Vec<usize>>,
    growth: Option<Growth>,
}

/// How PASHA grows.
#[derive(Debug)]
struct Growth {
    /// The highest rung that is open.
    ceiling: usize,
    epsilon: f64,
    /// Whether epsilon is estimated from the curves.
    estimated: bool,
    curves: BTreeMap<TrialId, Vec<(u32, Loss)>>,
}

impl Asha {
    /// Brackets with these weights.
    pub(super) fn new(weights: Vec<i64>, rungs: Vec<u32>, eta: usize) -> Self {
        let dealt = vec![0; weights.len()];
        Self {
            rungs,
            eta,
            weights,
            dealt,
            bracket: BTreeMap::new(),
            came: BTreeMap::new(),
            left: BTreeSet::new(),
            most: None,
            growth: None,
        }
    }

    /// One bracket whose rungs open one by one.
    pub(super) fn growing(epsilon: Option<f64>, rungs: Vec<u32>, eta: usize) -> Self {
        let ceiling = 1.min(rungs.len() - 1);
        let growth = Growth { ceiling, epsilon: epsilon.unwrap_or_default(), estimated: epsilon.is_none(), curves: BTreeMap::new() };
        Self { growth: Some(growth), ..Self::new(vec![1], rungs, eta) }
    }

    /// So many trials will enter: what each bracket gets of them is found by dealing them.
    pub(super) fn at_most(mut self, most: Option<u32>) -> Self {
        let Some(most) = most else { return self };
        for _ in 0..most {
            self.deal();
        }
        let dealt = std::mem::replace(&mut self.dealt, vec![0; self.weights.len()]);
        self.most = Some(dealt.into_iter().map(|trials| usize::try_from(trials).unwrap_or_default()).collect());
        self
    }

    /// The most of a bracket that can ever stand on a rung, and those there who may go on if all to come are worse: the
    /// best floor(n / eta) of that many. On the rung above come those who went there, those who may still go, and those of
    /// the ones to come.
    fn hopes(&self, bracket: usize, rung: usize) -> Option<(usize, Vec<TrialId>)> {
        // Trials enter a bracket at the rung of its number.
        let most = if rung == bracket {
            self.most.as_ref()?[bracket]
        } else {
            let below = rung - 1;
            let (most, hopeful) = self.hopes(bracket, below)?;
            let here = self.came.get(&(bracket, below)).map_or(0, Vec::len);
            let ours = |trial: &TrialId| self.bracket.get(trial) == Some(&bracket);
            let left = self.left.iter().filter(|(from, trial)| *from == below && ours(trial)).count();
            let waiting = hopeful.iter().filter(|trial| !self.left.contains(&(below, **trial))).count();
            left + waiting + (most - here)
        };
        let mut places = self.came.get(&(bracket, rung)).cloned().unwrap_or_default();
        places.sort();
        Some((most, places.into_iter().take(most / self.eta).map(|(_, trial)| trial).collect()))
    }

    /// The bracket that is furthest behind its share, the lowest of several.
    fn deal(&mut self) -> usize {
        let (sum, so_far) = (self.weights.iter().sum::<i64>(), self.dealt.iter().sum::<i64>() % self.weights.iter().sum::<i64>());
        let round: i64 = self.dealt.iter().sum::<i64>() / sum;
        let behind = |bracket: usize| {
            let (weight, got) = (self.weights[bracket], self.dealt[bracket] - round * self.weights[bracket]);
            (got < weight).then(|| weight * (so_far + 1) - got * sum)
        };
        let most = (0..self.weights.len()).filter_map(behind).max();
        let next = (0..self.weights.len()).find(|bracket| behind(*bracket) == most).unwrap_or_default();
        self.dealt[next] += 1;
        next
    }

    fn rung(&self, resource: u32) -> usize {
        self.rungs.iter().position(|rung| *rung == resource).unwrap_or_default()
    }

    /// What a trial had on a rung.
    fn loss(&self, trial: TrialId, rung: usize) -> Option<Loss> {
        self.came.get(&(0, rung))?.iter().find(|place| place.1 == trial).map(|place| place.0)
    }

    /// PASHA: whether those on the highest open rung would be in another order by what they had one rung below.
    fn unstable(&self, rung: usize, epsilon: f64) -> bool {
        let mut here = self.came.get(&(0, rung)).cloned().unwrap_or_default();
        here.sort();
        let above: Vec<Loss> = here.iter().filter_map(|(_, trial)| self.loss(*trial, rung - 1)).collect();
        let mut below: Vec<(Loss, TrialId)> = here.iter().filter_map(|(_, trial)| Some((self.loss(*trial, rung - 1)?, *trial))).collect();
        below.sort();
        above
            .iter()
            .zip(&below)
            .any(|(one, (other, _))| one != other && !((one.get() - other.get()).abs() <= epsilon && one.is_finite() && other.is_finite()))
    }
}

impl Growth {
    /// The 90th percentile of how far apart those pairs are at last that overtook each other and back.
    fn estimate(&mut self, beyond: u32) {
        let mut distances = vec![];
        let curves: Vec<&Vec<(u32, Loss)>> = self.curves.values().collect();
        for (index, one) in curves.iter().enumerate() {
            for other in &curves[..index] {
                let met = |at: u32| other.iter().find(|(there, _)| *there == at).map(|(_, loss)| *loss);
                let shared: Vec<(u32, Loss, Loss)> = one.iter().filter_map(|(at, here)| Some((*at, *here, met(*at)?))).collect();
                let orders: Vec<Ordering> = shared.iter().map(|(_, here, there)| here.cmp(there)).filter(|order| order.is_ne()).collect();
                let turns = orders.windows(2).filter(|pair| pair[0] != pair[1]).count();
                let Some((_, here, there)) = shared.last().filter(|(at, ..)| *at > beyond && turns >= 2) else { continue };
                // Of what is the same, infinite or not, the one is not apart from the other.
                let apart = if here == there { 0.0 } else { (here.get() - there.get()).abs() };
                distances.extend(apart.is_finite().then_some(apart));
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

impl Rule for Asha {
    fn entered(&mut self, trial: TrialId) -> u32 {
        let bracket = self.deal();
        self.bracket.insert(trial, bracket);
        self.rungs[bracket]
    }

    fn progressed(&mut self, trial: TrialId, resource: u32, loss: Loss) -> Option<bool> {
        if let Some(growth) = &mut self.growth {
            growth.curves.entry(trial).or_default().push((resource, loss));
        }
        Some(false)
    }

    fn came(&mut self, trial: TrialId, resource: u32, loss: Loss) {
        let (bracket, rung) = (self.bracket.get(&trial).copied().unwrap_or_default(), self.rung(resource));
        self.came.entry((bracket, rung)).or_default().push((loss, trial));
        let Some(growth) = self.growth.as_mut().filter(|growth| growth.ceiling == rung && rung > 0) else { return };
        if growth.estimated {
            growth.estimate(self.rungs[rung - 1]);
        }
        let epsilon = growth.epsilon;
        if self.unstable(rung, epsilon)
            && let Some(growth) = &mut self.growth
        {
            growth.ceiling += 1;
        }
    }

    fn next(&self) -> Option<(TrialId, u32)> {
        let highest = self.growth.as_ref().map_or(self.rungs.len() - 1, |growth| growth.ceiling);
        (0..highest).rev().find_map(|rung| {
            let best_of = |bracket: usize| {
                let mut places = self.came.get(&(bracket, rung))?.clone();
                places.sort();
                let top = places.len() / self.eta;
                places.into_iter().take(top).find(|(_, trial)| !self.left.contains(&(rung, *trial)))
            };
            let (_, trial) = (0..self.weights.len()).filter_map(best_of).min()?;
            Some((trial, self.rungs[rung + 1]))
        })
    }

    fn no_more(&mut self) {
        let entered = |bracket| self.bracket.values().filter(|of| **of == bracket).count();
        let limit = |most: Vec<usize>| most.into_iter().enumerate().map(|(bracket, most)| most.min(entered(bracket))).collect();
        self.most = self.most.take().map(limit);
    }

    fn hopeless(&self, paused: &[TrialId]) -> BTreeSet<TrialId> {
        let mut floors = BTreeMap::new();
        let out = paused.iter().filter(|trial| {
            let (Some(_), Some(&bracket)) = (&self.most, self.bracket.get(trial)) else { return false };
            let stands =
                |rung: &usize| self.came.get(&(bracket, *rung)).is_some_and(|places| places.iter().any(|place| place.1 == **trial));
            let Some(rung) = (bracket..self.rungs.len()).rev().find(stands) else { return false };
            let hopes = floors.entry((bracket, rung)).or_insert_with(|| self.hopes(bracket, rung));
            hopes.as_ref().is_some_and(|(_, hopeful)| !hopeful.contains(trial))
        });
        out.copied().collect()
    }

    fn promoted(&mut self, trial: TrialId) {
        let stood = self.came.iter().filter(|(_, places)| places.iter().any(|place| place.1 == trial)).map(|((_, rung), _)| *rung).max();
        self.left.insert((stood.unwrap_or_default(), trial));
    }
}
