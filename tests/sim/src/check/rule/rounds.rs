//! Jamieson and Talwalkar, arXiv:1502.07943, and Li et al., arXiv:1603.06560, Algorithm 1: brackets of rounds in which all wait
//! for all.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Loss, TrialId};

use super::{Rule, top};

/// Who entered which bracket, who came where, who is out.
#[derive(Debug)]
pub(super) struct Rounds {
    /// The rung that a bracket begins at, and its members; after the last the first comes again.
    plan: Vec<(usize, usize)>,
    rungs: Vec<u32>,
    eta: usize,
    brackets: Vec<Vec<TrialId>>,
    nobody_more: bool,
    came: BTreeMap<(TrialId, u32), Loss>,
    out: BTreeSet<TrialId>,
    left: BTreeSet<(TrialId, u32)>,
}

/// s = s_max, ..., 0: n = ceil((s_max + 1) eta^s / (s + 1)) members that begin at R eta^-s.
pub(super) fn brackets(rungs: usize, eta: usize) -> Vec<(usize, usize)> {
    let s_max = rungs - 1;
    (0..=s_max).rev().map(|s| (s_max - s, ((s_max + 1) * eta.pow(s as u32)).div_ceil(s + 1))).collect()
}

impl Rounds {
    pub(super) fn new(plan: Vec<(usize, usize)>, rungs: Vec<u32>, eta: usize) -> Self {
        Self { plan, rungs, eta, brackets: vec![], nobody_more: false, came: BTreeMap::new(), out: BTreeSet::new(), left: BTreeSet::new() }
    }

    pub(super) fn eta(&self) -> usize {
        self.eta
    }

    fn planned(&self, bracket: usize) -> (usize, usize) {
        self.plan[bracket % self.plan.len()]
    }

    /// The round of a trial that is on its way to a rung: how many take part; of those who are through, how many are not, or have a
    /// loss that is not finite; and the losses of the others, best first.
    pub(super) fn field(&self, trial: TrialId, rung: usize) -> Option<(usize, usize, Vec<Loss>)> {
        let bracket = self.brackets.iter().position(|members| members.contains(&trial))?;
        let (entry, wanted) = self.planned(bracket);
        let members = if rung == entry { self.brackets[bracket].clone() } else { self.chosen(bracket, rung - 1)? };
        let last = bracket + 1 == self.brackets.len();
        let waits = rung == entry && last && !self.nobody_more;
        let came: Vec<Loss> = members.iter().filter_map(|trial| self.came.get(&(*trial, self.rungs[rung])).copied()).collect();
        let lost = members.iter().filter(|trial| self.out.contains(trial)).count();
        let mut finite: Vec<Loss> = came.iter().copied().filter(|loss| loss.is_finite()).collect();
        finite.sort();
        Some((if waits { wanted } else { members.len() }, lost + came.len() - finite.len(), finite))
    }

    /// Who goes on from a rung of a bracket, best first: none before everyone who takes part has come there or is out.
    fn chosen(&self, bracket: usize, rung: usize) -> Option<Vec<TrialId>> {
        let (entry, wanted) = self.planned(bracket);
        let members = if rung == entry {
            let full = self.brackets[bracket].len() == wanted || self.nobody_more;
            full.then(|| self.brackets[bracket].clone())?
        } else {
            self.chosen(bracket, rung - 1)?
        };
        let at = self.rungs[rung];
        let all_in = members.iter().all(|trial| self.came.contains_key(&(*trial, at)) || self.out.contains(trial));
        if !all_in {
            return None;
        }
        let mut here: Vec<(Loss, TrialId)> = members.iter().filter_map(|trial| Some((*self.came.get(&(*trial, at))?, *trial))).collect();
        here.sort();
        let best = here.into_iter().take(members.len() / self.eta).filter(|(loss, _)| loss.is_finite()).map(|(_, trial)| trial);
        Some(best.collect())
    }
}

impl Rule for Rounds {
    fn entered(&mut self, trial: TrialId) -> u32 {
        let full = self.brackets.last().is_none_or(|last| last.len() == self.planned(self.brackets.len() - 1).1);
        if full {
            self.brackets.push(vec![]);
        }
        let bracket = self.brackets.len() - 1;
        self.brackets[bracket].push(trial);
        self.rungs[self.planned(bracket).0]
    }

    fn came(&mut self, trial: TrialId, resource: u32, loss: Loss) {
        self.came.insert((trial, resource), loss);
    }

    fn out(&mut self, trial: TrialId) {
        self.out.insert(trial);
    }

    fn no_more(&mut self) {
        self.nobody_more = true;
    }

    fn next(&self) -> Option<(TrialId, u32)> {
        let highest = top(&self.rungs);
        (0..self.brackets.len()).find_map(|bracket| {
            (self.planned(bracket).0..self.rungs.len()).filter(|rung| self.rungs[*rung] < highest).find_map(|rung| {
                let chosen = self.chosen(bracket, rung)?;
                let waiting = chosen.into_iter().find(|trial| !self.left.contains(&(*trial, self.rungs[rung])))?;
                Some((waiting, self.rungs[rung + 1]))
            })
        })
    }

    fn hopeless(&self, paused: &[TrialId]) -> BTreeSet<TrialId> {
        let mut rounds = BTreeMap::new();
        let out = paused.iter().filter(|trial| {
            let Some(bracket) = self.brackets.iter().position(|members| members.contains(trial)) else { return false };
            let Some(rung) = self.rungs.iter().rposition(|at| self.came.contains_key(&(**trial, *at))) else { return false };
            let chosen = rounds.entry((bracket, rung)).or_insert_with(|| self.chosen(bracket, rung));
            chosen.as_ref().is_some_and(|chosen| !chosen.contains(trial))
        });
        out.copied().collect()
    }

    fn promoted(&mut self, trial: TrialId) {
        let from = self.came.keys().filter(|(who, _)| *who == trial).map(|(_, at)| *at).max();
        self.left.insert((trial, from.unwrap_or_default()));
    }
}
