//! Garcia Amboage et al., arXiv:2311.17508, as the head of `hpo-core/src/schedule/swift.rs` tells it: Hyperband in which who is
//! predicted to be left behind is stopped half way.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Loss, Params, Space, TrialId};

use super::rounds::Rounds;
use super::{Rule, ridge, top};

/// Predictions are made from the newest so many, and from no fewer than the other.
const EXAMPLES: (usize, usize) = (8, 64);
/// Figures of a curve that a prediction is made from.
const KNOWN: usize = 3;

/// The rounds, every curve, and who came where in which order.
#[derive(Debug)]
pub(super) struct Swift {
    rounds: Rounds,
    rungs: Vec<u32>,
    space: Space,
    decide_at: f64,
    margin: f64,
    units: BTreeMap<TrialId, Vec<f64>>,
    curves: BTreeMap<TrialId, Vec<(u32, Loss)>>,
    /// Where a trial's round began, and where it ends.
    legs: BTreeMap<TrialId, (u32, u32)>,
    decided: BTreeSet<(TrialId, u32)>,
    /// By rung, in the order in which they came: those whose figures were all finite.
    examples: BTreeMap<u32, Vec<TrialId>>,
}

impl Swift {
    pub(super) fn new(rounds: Rounds, rungs: Vec<u32>, space: Space, decide_at: f64, margin: f64) -> Self {
        let (units, curves, legs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { rounds, rungs, space, decide_at, margin, units, curves, legs, decided: BTreeSet::new(), examples: BTreeMap::new() }
    }

    /// d = r' + ceil((r - r') `decide_at`), if that is before the end.
    fn point(&self, from: u32, end: u32) -> Option<u32> {
        let steps = (f64::from(end - from) * self.decide_at).ceil() as u32;
        Some(from + steps.max(1)).filter(|point| *point < end)
    }

    /// Every end of a round and every d, of any bracket, up to there.
    fn marks(&self, until: u32) -> Vec<u32> {
        let pairs = self.rungs.windows(2).map(|pair| (pair[0], pair[1])).chain(self.rungs.iter().map(|end| (0, *end)));
        let marks: BTreeSet<u32> = pairs.filter_map(|(from, end)| self.point(from, end)).chain(self.rungs.iter().copied()).collect();
        marks.range(..=until).copied().collect()
    }

    /// What a trial had at each of these: by its first report there or later.
    fn figures(&self, trial: TrialId, marks: &[u32]) -> Option<Vec<f64>> {
        let curve = self.curves.get(&trial)?;
        marks.iter().map(|mark| Some(curve.iter().find(|(at, _)| at >= mark)?.1.get())).collect()
    }

    /// The last of some figures, its changes from the newest on, and the params.
    fn input(&self, trial: TrialId, figures: &[f64]) -> Vec<f64> {
        let tail = &figures[figures.len().saturating_sub(KNOWN)..];
        let changes = (1..tail.len()).rev().map(|index| tail[index] - tail[index - 1]);
        let unit = self.units.get(&trial).cloned().unwrap_or_default();
        tail.last().copied().into_iter().chain(changes).chain(unit).collect()
    }

    /// What it takes to go on from a trial's round, if that can be said.
    fn cutoff(&self, trial: TrialId, end: u32) -> Option<f64> {
        let (members, out, came) = self.rounds.field(trial, self.rungs.iter().position(|rung| *rung == end)?)?;
        let (eta, came_so_far) = (self.rounds.eta(), came.len());
        let most = members / eta;
        let place = (came_so_far + out).div_ceil(eta).min(most);
        let known = place >= 1 && place <= came_so_far && 2 * came_so_far >= most;
        known.then(|| came[place - 1].get())
    }

    /// The loss that is predicted at the end, and how far that may be off; `None` inside: nothing can be predicted.
    fn predict(&self, trial: TrialId, point: u32, end: u32) -> Option<Option<(f64, f64)>> {
        let examples = self.examples.get(&end).map(Vec::as_slice).unwrap_or_default();
        let examples = &examples[examples.len().saturating_sub(EXAMPLES.1)..];
        if examples.len() < EXAMPLES.0 {
            return Some(None);
        }
        let (known, whole) = (self.marks(point), self.marks(end));
        let all: Vec<Vec<f64>> = examples.iter().filter_map(|example| self.figures(*example, &whole)).collect();
        let begun = known.len();
        let inputs: Vec<_> = examples.iter().zip(&all).map(|(example, figures)| self.input(*example, &figures[..begun])).collect();
        let targets: Vec<f64> = all.iter().map(|figures| figures[whole.len() - 1] - figures[begun - 1]).collect();
        let own = self.figures(trial, &known)?;
        let (rise, error) = ridge::predict(&inputs, &targets, begun.min(KNOWN), &self.input(trial, &own))?;
        Some(Some((own[begun - 1] + rise, self.margin * error)))
    }

    fn judge(&mut self, trial: TrialId, resource: u32, loss: Loss) -> Option<bool> {
        let Some(&(from, end)) = self.legs.get(&trial).filter(|(_, end)| *end != top(&self.rungs)) else { return Some(false) };
        let Some(point) = self.point(from, end).filter(|point| (*point..end).contains(&resource)) else { return Some(false) };
        if !self.decided.insert((trial, end)) {
            return Some(false);
        }
        let Some(cutoff) = self.cutoff(trial, end) else { return Some(false) };
        if !loss.is_finite() {
            return Some(true);
        }
        let Some((predicted, leeway)) = self.predict(trial, point, end)? else { return Some(false) };
        let over = predicted - leeway - cutoff;
        // Two ways to compute the same differ in the last digits.
        let digits = 1e-6 * (predicted.abs() + leeway + cutoff.abs());
        (over.abs() > digits).then_some(over > 0.0)
    }
}

impl Rule for Swift {
    fn suggested(&mut self, trial: TrialId, params: &Params) {
        let digits = f64::from(1 << 20);
        let unit = self.space.to_unit(params).unwrap_or_default();
        self.units.insert(trial, unit.into_iter().map(|x| (x.unwrap_or(0.5) * digits).round() / digits).collect());
    }

    fn entered(&mut self, trial: TrialId) -> u32 {
        let end = self.rounds.entered(trial);
        self.legs.insert(trial, (0, end));
        end
    }

    fn progressed(&mut self, trial: TrialId, resource: u32, loss: Loss) -> Option<bool> {
        self.curves.entry(trial).or_default().push((resource, loss));
        let stopped = self.judge(trial, resource, loss);
        if stopped == Some(true) {
            self.out(trial);
        }
        stopped
    }

    fn came(&mut self, trial: TrialId, resource: u32, loss: Loss) {
        let finite = self.figures(trial, &self.marks(resource)).is_some_and(|figures| figures.iter().all(|figure| figure.is_finite()));
        if finite {
            self.examples.entry(resource).or_default().push(trial);
        }
        self.rounds.came(trial, resource, loss);
    }

    fn out(&mut self, trial: TrialId) {
        self.rounds.out(trial);
    }

    fn no_more(&mut self) {
        self.rounds.no_more();
    }

    fn next(&self) -> Option<(TrialId, u32)> {
        self.rounds.next()
    }

    fn hopeless(&self, paused: &[TrialId]) -> BTreeSet<TrialId> {
        self.rounds.hopeless(paused)
    }

    fn promoted(&mut self, trial: TrialId) {
        let next = self.rounds.next().filter(|(who, _)| *who == trial).map_or(0, |(_, to)| to);
        let from = self.legs.get(&trial).map_or(0, |(_, end)| *end);
        self.legs.insert(trial, (from, next));
        self.rounds.promoted(trial);
    }
}
