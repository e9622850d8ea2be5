//! Rules that lease every trial to the top at once, and stop some on the way.
use std::collections::BTreeMap;

use hpo_core::{Loss, TrialId};

use super::{Rule, top};

/// Every trial goes to the end.
#[derive(Debug)]
pub(super) struct Never {
    pub(super) top: u32,
}

impl Rule for Never {
    fn entered(&mut self, _trial: TrialId) -> u32 {
        self.top
    }
}

/// Of losses in order the one at (n - 1) / parts, between neighbours in proportion; NaN and infinities come last.
fn percentile(mut losses: Vec<Loss>, parts: usize) -> Option<Loss> {
    losses.sort();
    let last = losses.len().checked_sub(1)?;
    let (low, rest) = (losses[last / parts], last % parts);
    if rest == 0 {
        return Some(low);
    }
    let high = losses[last / parts + 1];
    Some(if high.is_finite() { Loss::new(low.get() + (high.get() - low.get()) * rest as f64 / parts as f64) } else { Loss::new(f64::NAN) })
}

/// Ray's ASHA: at a rung a trial is stopped if it is worse than the percentile of those before it.
#[derive(Debug)]
pub(super) struct Percentile {
    rungs: Vec<u32>,
    eta: usize,
    records: BTreeMap<u32, Vec<(Loss, TrialId)>>,
}

impl Percentile {
    pub(super) fn new(rungs: Vec<u32>, eta: usize) -> Self {
        Self { rungs, eta, records: BTreeMap::new() }
    }
}

impl Rule for Percentile {
    fn entered(&mut self, _trial: TrialId) -> u32 {
        top(&self.rungs)
    }

    fn progressed(&mut self, trial: TrialId, resource: u32, loss: Loss) -> Option<bool> {
        let Some(rung) = self.rungs.iter().copied().filter(|rung| *rung <= resource).max() else { return Some(false) };
        let passed = self.records.range(rung..).any(|(_, records)| records.iter().any(|record| record.1 == trial));
        if rung == top(&self.rungs) || passed {
            return Some(false);
        }
        let records = self.records.entry(rung).or_default();
        let cutoff = percentile(records.iter().map(|record| record.0).collect(), self.eta);
        records.push((loss, trial));
        Some(cutoff.is_some_and(|cutoff| loss > cutoff))
    }
}

/// The median stopping rule: a trial is stopped if its best is worse than the median of the averages of the others.
#[derive(Debug)]
pub(super) struct Median {
    top: u32,
    /// Where trials are compared.
    marks: Vec<u32>,
    min_trials: usize,
    curves: BTreeMap<TrialId, Vec<(u32, Loss)>>,
}

impl Median {
    pub(super) fn new(rungs: &[u32], min_trials: usize) -> Self {
        let (from, to) = (rungs.first().copied().unwrap_or_default(), top(rungs));
        let steps = (to - from).min(255);
        let mark = |step: u32| from + (u64::from(to - from) * u64::from(step) / u64::from(steps.max(1))) as u32;
        Self { top: to, marks: (0..=steps).map(mark).collect(), min_trials, curves: BTreeMap::new() }
    }

    fn mark(&self, resource: u32) -> Option<u32> {
        self.marks.iter().copied().filter(|mark| *mark <= resource).max()
    }

    /// What a trial came past a mark with: the average of what it had from the lowest mark on, up to the mark.
    fn average(&self, trial: TrialId, mark: u32) -> Option<Loss> {
        let counted: Vec<_> = self.curves.get(&trial)?.iter().filter(|(at, _)| *at >= self.marks[0]).collect();
        let first = counted.iter().position(|(at, _)| *at >= mark)?;
        // It skipped the mark: what it has now was had further on.
        let until = if self.mark(counted[first].0) == Some(mark) { first + 1 } else { first };
        let sum: f64 = counted[..until].iter().map(|(_, loss)| loss.get()).sum();
        (until > 0).then(|| Loss::new(sum / until as f64))
    }
}

impl Rule for Median {
    fn entered(&mut self, _trial: TrialId) -> u32 {
        self.top
    }

    fn progressed(&mut self, trial: TrialId, resource: u32, loss: Loss) -> Option<bool> {
        let before = self.curves.get(&trial).and_then(|curve| self.mark(curve.last()?.0));
        self.curves.entry(trial).or_default().push((resource, loss));
        let Some(mark) = self.mark(resource).filter(|mark| before != Some(*mark)) else { return Some(false) };
        let others: Vec<Loss> =
            self.curves.keys().filter(|other| **other != trial).filter_map(|other| self.average(*other, mark)).collect();
        let enough = others.len() >= self.min_trials;
        let best = self.curves[&trial].iter().map(|(_, loss)| *loss).min();
        Some(enough && percentile(others, 2).zip(best).is_some_and(|(median, best)| best > median))
    }
}
