//! What a sweep will cost before it runs: `hpo check`.
use std::fmt;

use hpo_core::schedule::{BracketPlan, Ladder, Pass, SchedulerSpec, Verdict, build};
use hpo_core::{Loss, Params, Seed, Space, TrialId};
use hpo_searchers::SearcherSpec;
use rand::RngExt;
use serde_json::json;

use super::{Checked, dashes, dimension, only_prints};

/// Random orders that the expected figures are means over; fewer if they are longer than [`LEAST_SIMULATED`].
const ORDERS: u32 = 32;
/// Longer sweeps are extrapolated from orders of twice the trials that it takes for one to come to the top, but not from
/// shorter ones than this: the share of trials that go on hardly changes by then.
const LEAST_SIMULATED: u32 = 4096;
/// Nor from longer ones: `hpo check` is to answer at once.
const MOST_SIMULATED: u32 = 8 * LEAST_SIMULATED;

/// Checkpoints besides those of paused trials: the running trial's and the best one's.
const HELD: u64 = 2;

/// If so many trials are expected to be trained in full, it is worth a warning: in every second sweep none is.
const SELDOM: f64 = 0.5;

/// What a sweep will do if only `max_trials` ends it and nothing fails. Resource is counted once for each unit trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is searched.
    pub space: Space,
    /// Which rule decides.
    pub scheduler: &'static str,
    /// Where trials are compared, bottom first; the last is a full trial.
    pub rungs: Vec<Rung>,
    /// The brackets that are filled one after another, until all of them are full or there are no more trials; empty for
    /// a rule without such.
    pub brackets: Vec<BracketPlan>,
    /// `max_trials`, or the points of the space if they are fewer.
    pub trials: Option<u32>,
    /// The most resource that any order of results can cost: see [`SchedulerSpec::worst_arrivals`]. None without `trials`.
    pub worst_case_resource: Option<u64>,
    /// The resource that is expected on one slot. None without `trials`.
    pub expected_resource: Option<u64>,
    /// The most checkpoints that are expected to be kept at once on one slot. None without `trials`.
    pub expected_checkpoints: Option<u64>,
    /// What the expected figures are.
    pub basis: Basis,
    /// See [`warnings`].
    pub warnings: Vec<String>,
}

/// Where expected figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Means over random orders of results.
    Orders,
    /// The same for a rule that asks how curves cross, which these do not.
    AtLeastOrders,
    /// The populations of the brackets: no order of results changes them.
    Brackets,
    /// The same, of which the rule saves a part by stopping trials in mid-round.
    AtMostBrackets,
}

impl Basis {
    fn of(scheduler: &SchedulerSpec) -> Self {
        match scheduler {
            SchedulerSpec::Swift { .. } => Self::AtMostBrackets,
            SchedulerSpec::Pasha { .. } | SchedulerSpec::Median { .. } => Self::AtLeastOrders,
            _ if scheduler.pass(None).is_some() => Self::Brackets,
            _ => Self::Orders,
        }
    }

    /// How sure an expected figure is, before it.
    fn about(self) -> &'static str {
        match self {
            Self::Orders | Self::Brackets => "about",
            Self::AtMostBrackets => "at most",
            Self::AtLeastOrders => "at least",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Orders => {
                "Expected: mean over random orders of results on one slot, if nothing fails and no other budget ends the sweep before."
            }
            Self::AtLeastOrders => {
                "Expected: mean over random orders of results on one slot, each trial with the same rank on every rung, if nothing fails and \
                 no other budget ends the sweep before. Where curves cross it costs more: twice as much is common. `hpo simulate` tells."
            }
            Self::Brackets => "Expected: what the brackets need on one slot, if nothing fails and no other budget ends the sweep before.",
            Self::AtMostBrackets => {
                "Expected: what the brackets need on one slot, if nothing fails and no other budget ends the sweep before. Trials that are \
                 stopped in mid-round cost less; how many depends on their curves."
            }
        }
    }
}

/// One rung, in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// What a trial has consumed when it stands here.
    pub resource: u32,
    /// Trials that come here, at worst.
    pub worst_trials: Option<u64>,
    /// Trials that are expected here.
    pub expected_trials: Option<f64>,
}

impl Plan {
    /// The plan of a sweep.
    #[must_use]
    pub fn of(checked: &Checked) -> Self {
        let spec = &checked.spec;
        let ladder = spec.scheduler.ladder();
        let trials = most_trials(checked);
        let worst = trials.map(|trials| spec.scheduler.worst_arrivals(trials));
        let expected = trials.map(|trials| Expected::of(&spec.scheduler, &spec.space, trials));
        let rungs = ladder.rungs().iter().enumerate().map(|(rung, resource)| Rung {
            resource: resource.0,
            worst_trials: worst.as_ref().map(|arrivals| arrivals[rung]),
            expected_trials: expected.as_ref().map(|expected| expected.arrivals[rung]),
        });
        let one_pass = spec.scheduler.one_pass();
        Self {
            space: spec.space.clone(),
            scheduler: spec.scheduler.name(),
            rungs: rungs.collect(),
            brackets: one_pass.map(|pass| spec.scheduler.brackets(trials.map_or(pass, |trials| trials.min(pass)))).unwrap_or_default(),
            trials,
            worst_case_resource: trials.map(|trials| spec.scheduler.worst_resource(trials)),
            expected_resource: expected.as_ref().map(|expected| {
                increments(ladder).zip(&expected.arrivals).map(|(increment, trials)| f64::from(increment) * trials).sum::<f64>().round()
                    as u64
            }),
            expected_checkpoints: expected.map(|expected| expected.checkpoints.round() as u64),
            basis: Basis::of(&spec.scheduler),
            warnings: warnings(checked),
        }
    }

    /// As `hpo check --json` prints it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let brackets = self.brackets.iter().map(|bracket| json!({"entry": bracket.entry, "trials": bracket.populations}));
        json!({
            "ok": true,
            "dimensions": self.space.dimensions(),
            "space": dimension::to_json(&self.space),
            "points": self.space.size(),
            "scheduler": self.scheduler,
            "trials": self.trials,
            "rungs": self.rungs.iter().map(|rung| rung.resource).collect::<Vec<_>>(),
            "worst_case_trials": self.rungs.iter().map(|rung| rung.worst_trials).collect::<Vec<_>>(),
            "expected_trials": self.rungs.iter().map(|rung| rung.expected_trials).collect::<Vec<_>>(),
            "brackets": brackets.collect::<Vec<_>>(),
            "worst_case_resource": self.worst_case_resource,
            "expected_resource": self.expected_resource,
            "expected_checkpoints": self.expected_checkpoints,
            "warnings": self.warnings,
        })
    }
}

/// The most trials that can start: a sweep ends when each point of a grid or of a small space was tried once.
pub(crate) fn most_trials(checked: &Checked) -> Option<u32> {
    let Checked { spec, searcher, .. } = checked;
    let points = searcher.points(&spec.space).and_then(|points| u32::try_from(points).ok());
    points.into_iter().chain(spec.budget.max_trials).min()
}

/// What a user most likely did not mean: a sweep that is sound, and hardly finds anything, or a value that passes for an option.
/// Cheap unless there is something to say.
#[must_use]
pub fn warnings(checked: &Checked) -> Vec<String> {
    let Checked { spec, searcher, .. } = checked;
    let mut warnings = dashes::warnings(checked);
    warnings.extend(only_prints::warnings(checked));
    let Some(max_trials) = spec.budget.max_trials else { return warnings };
    let trials = most_trials(checked).unwrap_or(max_trials);
    let is_grid = matches!(searcher.method(), SearcherSpec::Grid(_));
    let (points, of_method) = (searcher.points(&spec.space), searcher.method().points(&spec.space));
    // Known points are tried before those of the grid, and take their trials.
    let what = match (is_grid, points > of_method) {
        (true, true) => "grid with the seed trials",
        (true, false) => "grid",
        (false, _) => "space",
    };
    if let Some(points) = points.filter(|points| is_grid && *points > max_trials as usize) {
        warnings.push(format!(
            "the {what} has {points} points, and max_trials = {max_trials} leaves out all but the first: some parameters will hardly \
                 vary; raise max_trials, or give fewer `points`"
        ));
    }
    if trials < max_trials {
        warnings.push(format!("the {what} has {trials} points at most, so that fewer than max_trials = {max_trials} trials will start"));
    }
    let ladder = spec.scheduler.ladder();
    let (top, eta) = (ladder.top(), ladder.eta());
    let wanted = u64::from(eta).saturating_pow(top as u32);
    if u64::from(trials) >= wanted {
        return warnings;
    }
    let resource = ladder.resource(top);
    let help = format!("set max_trials to {wanted} or more, or bring min_resource and max_resource nearer to each other");
    if spec.scheduler.worst_arrivals(trials).last() == Some(&0) {
        warnings.push(format!("of {trials} trials none can reach max_resource = {resource}: {help}"));
    } else if let Some(&expected) = Expected::of(&spec.scheduler, &spec.space, trials).arrivals.last()
        && expected < SELDOM
    {
        warnings.push(format!("of {trials} trials about {expected:.1} will reach max_resource = {resource}: {help}"));
    }
    warnings
}

/// What it costs to come to each rung from the one below.
fn increments(ladder: &Ladder) -> impl Iterator<Item = u32> {
    let below = std::iter::once(0).chain(ladder.rungs().iter().map(|rung| rung.0));
    ladder.rungs().iter().zip(below).map(|(rung, below)| rung.0 - below)
}

/// What is expected on one slot; see [`Basis`].
struct Expected {
    /// Trials that come to each rung.
    arrivals: Vec<f64>,
    /// Most checkpoints at once.
    checkpoints: f64,
}

impl Expected {
    fn of(scheduler: &SchedulerSpec, space: &Space, trials: u32) -> Self {
        match scheduler.pass(Some(trials)) {
            Some(pass) => Self::of_brackets(&pass, trials),
            None => Self::of_orders(scheduler, space, trials),
        }
    }

    /// Where a rung waits for all of its members, their order changes nothing. On one slot a bracket comes to its end before
    /// the next begins, and keeps the most when the last member trains to its first rung: the states of all the others.
    fn of_brackets(pass: &Pass, trials: u32) -> Self {
        let once = u32::try_from(pass.trials()).unwrap_or(u32::MAX);
        let waiting = |bracket: BracketPlan| match bracket.populations[..] {
            [members, _, ..] => u64::from(members) - 1,
            _ => 0,
        };
        let kept = pass.plans(trials.min(once)).map(waiting).max().unwrap_or(0);
        let arrivals = pass.worst_arrivals(trials);
        Self { arrivals: arrivals.into_iter().map(|count| count as f64).collect(), checkpoints: (kept + HELD) as f64 }
    }

    /// Means over random orders, by running the scheduler itself: one slot, and a trial has the same rank among others on
    /// every rung.
    fn of_orders(scheduler: &SchedulerSpec, space: &Space, trials: u32) -> Self {
        let ladder = scheduler.ladder();
        let few_at_the_top = ladder.eta().saturating_pow(ladder.top() as u32).saturating_mul(2);
        let simulated = trials.min(few_at_the_top.clamp(LEAST_SIMULATED, MOST_SIMULATED));
        let orders = ORDERS.min(ORDERS * LEAST_SIMULATED / simulated);
        let mut arrivals = vec![0_u64; ladder.rungs().len()];
        let mut checkpoints = 0;
        for order in 0..u64::from(orders) {
            let mut climb = Climb { arrivals: &mut arrivals, kept: 0, most_kept: 0 };
            climb.run(scheduler, space, simulated, Seed(0).derive("plan", order));
            checkpoints += climb.most_kept;
        }
        let scale = f64::from(trials) / f64::from(simulated) / f64::from(orders);
        Self { arrivals: arrivals.into_iter().map(|count| count as f64 * scale).collect(), checkpoints: checkpoints as f64 * scale }
    }
}

/// One order of results.
struct Climb<'a> {
    arrivals: &'a mut [u64],
    /// Paused trials that may still go on, each with its checkpoint.
    kept: u64,
    /// The most of them at once, and those that are [`HELD`].
    most_kept: u64,
}

impl Climb<'_> {
    fn run(&mut self, spec: &SchedulerSpec, space: &Space, trials: u32, seed: Seed) {
        let mut rng = seed.rng();
        let losses: Vec<Loss> = (0..trials).map(|_| Loss::new(rng.random())).collect();
        let mut scheduler = build(spec, space, Some(trials));
        let mut fresh = 0..trials;
        loop {
            if fresh.is_empty() {
                scheduler.no_more();
                self.kept -= scheduler.hopeless().len() as u64;
            }
            let (trial, rungs) = match scheduler.promote() {
                Some(promotion) => {
                    self.kept -= 1;
                    (promotion.trial, promotion.to..=promotion.to)
                }
                None => match fresh.next() {
                    Some(trial) => (TrialId(trial), 0..=scheduler.enter(TrialId(trial), &Params::new())),
                    None => return,
                },
            };
            let (top, loss) = (*rungs.end(), losses[trial.0 as usize]);
            let mut came = |rung| {
                self.arrivals[rung] += 1;
                scheduler.reported(trial, spec.ladder().resource(rung), loss) == Verdict::Continue
            };
            let ends = rungs.into_iter().all(&mut came);
            self.most_kept = self.most_kept.max(self.kept + HELD);
            if ends && top + 1 < self.arrivals.len() {
                scheduler.reached(top, trial, loss);
                self.kept += 1;
                self.kept -= scheduler.hopeless().len() as u64;
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dimensions = match self.space.dimensions() {
            1 => "1 dimension".to_owned(),
            count => format!("{count} dimensions"),
        };
        match self.space.pool() {
            Some(pool) => writeln!(f, "space       a pool of {} rows, {dimensions}", pool.rows())?,
            None => writeln!(f, "space       {dimensions}")?,
        }
        f.write_str(&dimension::table(&self.space, 12))?;
        writeln!(f, "scheduler   {}", self.scheduler)?;
        match self.trials {
            Some(trials) => writeln!(f, "trials      {trials} at most")?,
            None => writeln!(f, "trials      as many as the other budgets allow")?,
        }
        writeln!(f, "rungs       resource   trials at worst   trials expected")?;
        for rung in &self.rungs {
            let worst = rung.worst_trials.map_or("-".to_owned(), |trials| trials.to_string());
            let expected = rung.expected_trials.map_or("-".to_owned(), |trials| format!("{trials:.1}"));
            writeln!(f, "            {:>8}   {worst:>15}   {expected:>15}", rung.resource)?;
        }
        self.write_brackets(f)?;
        if let (Some(worst), Some(expected), Some(checkpoints)) =
            (self.worst_case_resource, self.expected_resource, self.expected_checkpoints)
        {
            let about = self.basis.about();
            writeln!(f, "resource    {worst} at worst, {about} {expected} expected")?;
            writeln!(f, "checkpoints {about} {checkpoints} kept at once")?;
            f.write_str(self.basis.sentence())?;
        } else {
            f.write_str("No `max_trials`: what the sweep costs depends on the other budgets.")?;
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

impl Plan {
    /// A line a bracket: how many of its trials come to each rung.
    fn write_brackets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, bracket) in self.brackets.iter().enumerate() {
            let head = if number == 0 { "brackets" } else { "" };
            let rungs = self.rungs[bracket.entry..].iter().zip(&bracket.populations);
            let stations: Vec<String> = rungs.map(|(rung, trials)| format!("{trials} at {}", rung.resource)).collect();
            writeln!(f, "{head:<12}{}", stations.join(", "))?;
        }
        let filled: u64 = self.brackets.iter().filter_map(|bracket| bracket.populations.first()).map(|&trials| u64::from(trials)).sum();
        if self.trials.is_some_and(|trials| u64::from(trials) > filled) && filled > 0 {
            writeln!(f, "            and again from the first when {filled} trials have filled them")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
