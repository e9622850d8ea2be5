//! Swift-Hyperband: Garcia Amboage, Wulff, Girone, Pena, "Model Performance Prediction for Hyperparameter Optimization of
//! Deep Learning Models Using High Performance Computing and Quantum Annealing", arXiv:2311.17508.
//!
//! Hyperband (its brackets, its rounds), in which a member of a round may be stopped on the way: when it has trained for a
//! share `decide_at` of the round, its loss at the end of the round is predicted, and if that is not below what it seems
//! to take to go on, the rest of its round is saved. It then ranks last there.
//!
//! For a member on its way from resource r' to the round's end r, in a round of n members of which floor(n / eta) = q go on:
//!
//! - it is decided upon once, at d = r' + ceil((r - r') `decide_at`), and only if d < r. Nobody comes back to it;
//! - if by then m members have reached the end with a finite loss and o are out (stopped, failed or diverged), the cutoff is
//!   the k-th best of the m losses, k = min(ceil((m + o) / eta), q): the running 1/eta quantile, those who are out being
//!   worse than all;
//! - it goes on if there is no cutoff yet (k > m), or if fewer than q / 2 have come to the end;
//! - y = L(r) - L(d) is predicted by [`Ridge`] from the newest 64 trials, of any bracket, that have trained to r, and not
//!   from fewer than 8. Inputs are L at the last of the resources known up to d that are an end of a round or a d of any
//!   bracket, its last two changes from each of these to the next, and the params in the unit cube;
//! - it is stopped if L(d) + y - `margin` e >= cutoff, where e is the error of the fit (leave-one-out), or if L(d) is not
//!   finite.
//!
//! From the paper and its authors' code: the decision point at half of the round, the quantile, curves of all brackets as the
//! training set, and q / 2 members at the end before others are judged. Different here, since slots are never to wait: who
//! comes too early to be judged goes on, where the paper pauses it; on the last round nobody is stopped, for these are the
//! trials that a sweep is for; kernel ridge regression takes the place of support vectors, 8 trials that of 15; the margin.
//!
//! The rule saves the more the fewer of a round train at the same time, and nothing if all of them do: on the recorded curves
//! of MLPF (R = 100, eta = 4) 11 % of Hyperband's epochs with 1 slot, 7.3 % with 12, 3 % with 24 and none with 64, with the
//! same median of the best (`hpo-core/tests/swift_replay.rs`). A `margin` from 0 to 3 moves the 7.3 to 7.8 and 6.1; a
//! `decide_at` above 0.5 leaves short rounds undecided.
use std::collections::{BTreeMap, VecDeque};

use super::{Barrier, Judgement, Ladder, Place, Promotion, Rounds, Rung, Scheduler, Standing, Verdict, hyperband};
use crate::{Loss, Params, Resource, Space, TrialId};
use ridge::Ridge;

mod ridge;

/// The most trials that a prediction is made from, so that it takes well below a millisecond.
const EXAMPLES_MOST: usize = 64;
/// The fewest.
const EXAMPLES_LEAST: usize = 8;
/// How many of the known losses of a curve an input holds.
const TAIL: usize = 3;

/// Who trains, what is known of them, and what is learnt from them. A report costs O(log trials); a decision O(n + 64^3) in
/// a round of n.
#[derive(Clone, Debug, PartialEq)]
pub struct Swift {
    rounds: Rounds,
    ladder: Ladder,
    space: Space,
    decide_at: f64,
    margin: f64,
    /// The resources at which curves are kept: all rungs and decision points, ascending.
    marks: Vec<Resource>,
    /// Trials that train or may do so again.
    courses: BTreeMap<TrialId, Course>,
    /// For each rung below the top, the newest that came there with a finite curve.
    examples: Vec<VecDeque<Course>>,
    /// Of those stopped, and of those let go on until their round ends; for people.
    judgements: BTreeMap<TrialId, Judgement>,
}

/// How a trial has gone so far.
#[derive(Clone, Debug)]
struct Course {
    /// Its params in the unit cube.
    unit: Vec<f64>,
    /// Its losses at the marks that it has passed: at each, the first report at or after it.
    curve: Vec<f64>,
    /// Where its round began.
    from: Resource,
    decided: bool,
}

impl PartialEq for Course {
    /// Losses by bits: one that is no number is equal to itself.
    fn eq(&self, other: &Self) -> bool {
        let Self { unit, curve, from, decided } = self;
        (unit, from, decided) == (&other.unit, &other.from, &other.decided)
            && curve.iter().map(|loss| loss.to_bits()).eq(other.curve.iter().map(|loss| loss.to_bits()))
    }
}

impl Swift {
    /// Hyperband's brackets on `ladder`; decisions after a share `decide_at` of each round, 0 < `decide_at` < 1, with
    /// `margin` times the predictor's error in favour of the trial.
    #[must_use]
    pub fn new(ladder: &Ladder, space: &Space, decide_at: f64, margin: f64) -> Self {
        let ends = || ladder.rungs().iter().copied();
        // The first round of a bracket begins at 0 and may lead to any rung.
        let firsts = ends().map(|end| (Resource(0), end));
        let decisions = firsts.chain(ends().zip(ends().skip(1))).filter_map(|(from, end)| decision_point(from, end, decide_at));
        let mut marks: Vec<Resource> = decisions.chain(ends()).collect();
        marks.sort();
        marks.dedup();
        Self {
            rounds: Rounds::new(hyperband::pass(ladder)),
            ladder: ladder.clone(),
            space: space.clone(),
            decide_at,
            margin,
            marks,
            courses: BTreeMap::new(),
            examples: vec![VecDeque::new(); ladder.top()],
            judgements: BTreeMap::new(),
        }
    }

    /// How many marks lie at or below `resource`.
    fn marks_until(&self, resource: Resource) -> usize {
        self.marks.partition_point(|&mark| mark <= resource)
    }

    /// What is to be said of `trial`, on its way to `rung`, by its report of `loss` at `resource`; `known` of its marks lie up
    /// to the decision point. None as long as there is no cutoff, or no prediction.
    fn judge(&self, trial: TrialId, rung: Rung, known: usize, (resource, loss): (Resource, Loss)) -> Option<Judgement> {
        let Cutoff { loss: cutoff, quota, came, population } = self.cutoff(trial)?;
        let (predicted, leeway) = if loss.is_finite() { self.predict(trial, rung, known)? } else { (f64::INFINITY, 0.0) };
        Some(Judgement { resource, rung, predicted, leeway, cutoff, quota, came, population })
    }

    /// The loss of `trial` at the end of its round, on `rung`, from the first `known` figures of its curve; and by how much
    /// that may be too high. None with too few examples, or if their figures are too large.
    fn predict(&self, trial: TrialId, rung: Rung, known: usize) -> Option<(f64, f64)> {
        let (course, examples) = (self.courses.get(&trial)?, &self.examples[rung]);
        if examples.len() < EXAMPLES_LEAST {
            return None;
        }
        let end = self.marks_until(self.ladder.resource(rung)) - 1;
        let (inputs, targets): (Vec<_>, Vec<_>) =
            examples.iter().map(|example| (example.input(known), example.curve[end] - example.curve[known - 1])).unzip();
        let fit = Ridge::fit(inputs, known.min(TAIL), &targets)?;
        Some((course.curve[known - 1] + fit.predict(course.input(known)), self.margin * fit.error()))
    }

    /// What a member of `trial`'s round must be below to go on. None if that cannot be said yet, or nobody goes on from there.
    ///
    /// Who is out counts, so that q are always left who can go on: while m < q there is a cutoff only if k <= m, hence
    /// o <= (eta - 1) m, and one more out still leaves n - o - 1 >= eta q - (eta - 1) (q - 1) - 1 >= q.
    fn cutoff(&self, trial: TrialId) -> Option<Cutoff> {
        let eta = self.ladder.eta() as usize;
        let (settled, members) = self.rounds.field(trial)?;
        let most = members / eta;
        let out = settled.iter().rev().take_while(|(loss, _)| !loss.is_finite()).count();
        let (population, came) = (settled.len(), settled.len() - out);
        let quota = population.div_ceil(eta).min(most);
        let may_be_judged = (1..=came).contains(&quota) && 2 * came >= most;
        let (loss, _) = settled.iter().nth(quota.checked_sub(1)?).filter(|_| may_be_judged)?;
        Some(Cutoff { loss: loss.get(), quota, came, population })
    }
}

/// What it takes to go on from a round: the loss of the last of the best `quota` among `population` who are through with it,
/// of whom `came` have come to its end.
struct Cutoff {
    loss: f64,
    quota: usize,
    came: usize,
    population: usize,
}

/// Where a round from `from` to `end` is decided, if that is before its end.
fn decision_point(from: Resource, end: Resource, decide_at: f64) -> Option<Resource> {
    let steps = (f64::from(end.0 - from.0) * decide_at).ceil() as u32;
    Some(Resource(from.0 + steps.max(1))).filter(|&point| point < end)
}

impl Course {
    /// What is predicted from if the first `known` losses are: the last of them, its changes, and the params.
    fn input(&self, known: usize) -> Vec<f64> {
        let tail = &self.curve[known.saturating_sub(TAIL)..known];
        let changes = tail.windows(2).rev().map(|pair| pair[1] - pair[0]);
        tail.last().copied().into_iter().chain(changes).chain(self.unit.iter().copied()).collect()
    }
}

impl Scheduler for Swift {
    fn enter(&mut self, trial: TrialId, params: &Params) -> Rung {
        let unit = self.space.to_unit(params).unwrap_or_else(|_| vec![None; self.space.parameters().len()]);
        // On a log scale the last digits depend on the machine's logarithm: they are cut off. What is not there lies in the
        // middle, as far from all values as can be said.
        let unit = unit.into_iter().map(|x| (x.unwrap_or(0.5) * f64::from(1 << 20)).round() / f64::from(1 << 20)).collect();
        self.courses.insert(trial, Course { unit, curve: vec![], from: Resource(0), decided: false });
        self.rounds.enter(trial, params)
    }

    fn no_more(&mut self) {
        self.rounds.no_more();
    }

    fn reported(&mut self, trial: TrialId, resource: Resource, loss: Loss) -> Verdict {
        let passed = self.marks_until(resource);
        let (Some(course), Some((_, rung))) = (self.courses.get_mut(&trial), self.rounds.seat(trial)) else { return Verdict::Continue };
        if course.curve.len() < passed {
            course.curve.resize(passed, loss.get());
        }
        let end = self.ladder.resource(rung);
        if rung == self.ladder.top() {
            if resource >= end {
                self.courses.remove(&trial);
            }
            return Verdict::Continue;
        }
        let point = decision_point(course.from, end, self.decide_at).filter(|&point| !course.decided && (point..end).contains(&resource));
        let Some(point) = point else { return Verdict::Continue };
        course.decided = true;
        let Some(judgement) = self.judge(trial, rung, self.marks_until(point), (resource, loss)) else { return Verdict::Continue };
        self.judgements.insert(trial, judgement);
        if !judgement.stops() {
            return Verdict::Continue;
        }
        self.courses.remove(&trial);
        self.rounds.out(trial);
        Verdict::Stop
    }

    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict {
        let end = self.ladder.resource(rung);
        let passed = self.marks_until(end);
        self.judgements.remove(&trial);
        if let Some(course) = self.courses.get_mut(&trial) {
            course.curve.resize(passed, loss.get());
            (course.from, course.decided) = (end, false);
            let examples = &mut self.examples[rung];
            if course.curve.iter().all(|loss| loss.is_finite()) {
                examples.push_back(course.clone());
            }
            if examples.len() > EXAMPLES_MOST {
                examples.pop_front();
            }
        }
        self.rounds.reached(rung, trial, loss)
    }

    fn promote(&mut self) -> Option<Promotion> {
        self.rounds.promote()
    }

    fn gave_up(&mut self, trial: TrialId) {
        self.courses.remove(&trial);
        self.judgements.remove(&trial);
        self.rounds.gave_up(trial);
    }

    fn hopeless(&mut self) -> Vec<TrialId> {
        let hopeless = self.rounds.hopeless();
        for trial in &hopeless {
            self.courses.remove(trial);
        }
        hopeless
    }

    fn judgement(&self, trial: TrialId) -> Option<Judgement> {
        self.judgements.get(&trial).copied()
    }

    fn barriers(&self) -> Vec<Barrier> {
        self.rounds.barriers()
    }

    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        self.rounds.standing(rung, trial)
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        self.rounds.rivals(rung, trial)
    }

    fn check(&self) {
        self.rounds.check();
        for (trial, course) in &self.courses {
            assert!(self.rounds.seat(*trial).is_some(), "trial {trial} has a curve and no seat");
            assert!(course.curve.len() <= self.marks.len() && self.ladder.rungs().iter().all(|end| self.marks.contains(end)));
        }
        for (trial, judgement) in &self.judgements {
            assert_ne!(judgement.stops(), self.courses.contains_key(trial), "trial {trial} goes on if it was let go on");
        }
        for (rung, examples) in self.examples.iter().enumerate() {
            let known = self.marks_until(self.ladder.resource(rung));
            assert!(examples.len() <= EXAMPLES_MOST && examples.iter().all(|example| example.curve.len() == known));
        }
    }
}

#[cfg(test)]
mod tests;
