//! Li et al., arXiv:1810.05934, Algorithm 2, in one bracket or several, and Bohdal et al., arXiv:2207.06940, Algorithm 1, which
//! opens its rungs one by one.
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
    /// No more than so many trials will ever enter.
    most: Option<usize>,
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
    curves: BTreeMap<TrialId, Vec<(u32, f64)>>,
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

    /// So many trials will enter, in one bracket.
    pub(super) fn at_most(self, most: Option<u32>) -> Self {
        Self { most: most.map(|most| most as usize), ..self }
    }

    /// The most that can ever stand on a rung, of one bracket, and those there who may go on if all to come are worse: the
    /// best floor(n / eta) of that many. On the rung above come those who went there, those who may still go, and those of
    /// the ones to come.
    fn hopes(&self, rung: usize) -> Option<(usize, Vec<TrialId>)> {
        let most = match rung.checked_sub(1) {
            None => self.most?,
            Some(below) => {
                let (most, hopeful) = self.hopes(below)?;
                let here = self.came.get(&(0, below)).map_or(0, Vec::len);
                let left = self.left.iter().filter(|(from, _)| *from == below).count();
                let waiting = hopeful.iter().filter(|trial| !self.left.contains(&(below, **trial))).count();
                left + waiting + (most - here)
            }
        };
        let mut places = self.came.get(&(0, rung)).cloned().unwrap_or_default();
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
            .any(|(one, (other, _))| one != other && ((one.get() - other.get()).abs() > epsilon || one.is_finite() != other.is_finite()))
    }
}

impl Growth {
    /// The 90th percentile of how far apart those pairs are at last that overtook each other and back.
    fn estimate(&mut self, beyond: u32) {
        let mut distances = vec![];
        let curves: Vec<&Vec<(u32, f64)>> = self.curves.values().collect();
        for (index, one) in curves.iter().enumerate() {
            for other in &curves[..index] {
                let shared: Vec<(u32, f64)> =
                    one.iter().filter_map(|(at, here)| Some((*at, here - other.iter().find(|(there, _)| there == at)?.1))).collect();
                let signs: Vec<bool> = shared.iter().filter(|(_, by)| *by != 0.0).map(|(_, by)| *by > 0.0).collect();
                let turns = signs.windows(2).filter(|pair| pair[0] != pair[1]).count();
                if let Some((at, by)) = shared.last().filter(|(at, by)| *at > beyond && by.is_finite() && turns >= 2) {
                    debug_assert!(*at > 0);
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

impl Rule for Asha {
    fn entered(&mut self, trial: TrialId) -> u32 {
        let bracket = self.deal();
        self.bracket.insert(trial, bracket);
        self.rungs[bracket]
    }

    fn progressed(&mut self, trial: TrialId, resource: u32, loss: Loss) -> Option<bool> {
        if let Some(growth) = &mut self.growth {
            growth.curves.entry(trial).or_default().push((resource, loss.get()));
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
        self.most = self.most.map(|most| most.min(self.bracket.len()));
    }

    fn hopeless(&self, trial: TrialId) -> bool {
        if self.most.is_none() {
            return false;
        }
        let stands = (0..self.rungs.len()).rev().find(|rung| self.loss(trial, *rung).is_some());
        stands.and_then(|rung| self.hopes(rung)).is_some_and(|(_, hopeful)| !hopeful.contains(&trial))
    }

    fn promoted(&mut self, trial: TrialId) {
        let stood = self.came.iter().filter(|(_, places)| places.iter().any(|place| place.1 == trial)).map(|((_, rung), _)| *rung).max();
        self.left.insert((stood.unwrap_or_default(), trial));
    }
}
