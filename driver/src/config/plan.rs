//! What a sweep will cost before it runs: `hpo check`.
use std::fmt;

use hpo_core::schedule::{Ladder, SchedulerSpec, build};
use hpo_core::{Loss, Params, Seed, Space, SweepSpec, TrialId};
use rand::RngExt;
use serde_json::json;

/// Random orders that the expected figures are means over.
const ORDERS: u64 = 32;
/// Larger sweeps are extrapolated: the share of trials that go on no longer changes by then.
const MOST_SIMULATED: u32 = 4096;

/// What a sweep will do if only `max_trials` ends it and nothing fails. Resource is counted once for each unit trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Parameters that vary.
    pub dimensions: usize,
    /// Where trials are compared, bottom first; the last is a full trial.
    pub rungs: Vec<Rung>,
    /// `max_trials`.
    pub trials: Option<u32>,
    /// The most resource that any order of results can cost: see [`SchedulerSpec::worst_arrivals`]. None without `max_trials`.
    pub worst_case_resource: Option<u64>,
    /// The mean resource for results in random order on one slot. None without `max_trials`.
    pub expected_resource: Option<u64>,
    /// The mean over the same orders of the most checkpoints that are kept at once. None without `max_trials`.
    pub expected_checkpoints: Option<u64>,
}

/// One rung, in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// What a trial has consumed when it stands here.
    pub resource: u32,
    /// Trials that come here, at worst.
    pub worst_trials: Option<u64>,
    /// Trials that come here, on average.
    pub expected_trials: Option<f64>,
}

impl Plan {
    /// The plan of a sweep.
    #[must_use]
    pub fn of(spec: &SweepSpec) -> Self {
        let ladder = spec.scheduler.ladder();
        let trials = spec.budget.max_trials;
        let worst = trials.map(|trials| spec.scheduler.worst_arrivals(trials));
        let expected = trials.map(|trials| Expected::of(&spec.scheduler, &spec.space, trials));
        let rungs = ladder.rungs().iter().enumerate().map(|(rung, resource)| Rung {
            resource: resource.0,
            worst_trials: worst.as_ref().map(|arrivals| arrivals[rung]),
            expected_trials: expected.as_ref().map(|expected| expected.arrivals[rung]),
        });
        Self {
            dimensions: spec.space.dimensions(),
            rungs: rungs.collect(),
            trials,
            worst_case_resource: trials.map(|trials| spec.scheduler.worst_resource(trials)),
            expected_resource: expected.as_ref().map(|expected| {
                increments(ladder).zip(&expected.arrivals).map(|(increment, trials)| f64::from(increment) * trials).sum::<f64>().round()
                    as u64
            }),
            expected_checkpoints: expected.map(|expected| expected.checkpoints.round() as u64),
        }
    }

    /// As `hpo check --json` prints it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "ok": true,
            "dimensions": self.dimensions,
            "rungs": self.rungs.iter().map(|rung| rung.resource).collect::<Vec<_>>(),
            "worst_case_resource": self.worst_case_resource,
            "expected_resource": self.expected_resource,
        })
    }
}

/// What it costs to come to each rung from the one below.
fn increments(ladder: &Ladder) -> impl Iterator<Item = u32> {
    let below = std::iter::once(0).chain(ladder.rungs().iter().map(|rung| rung.0));
    ladder.rungs().iter().zip(below).map(|(rung, below)| rung.0 - below)
}

/// Means over random orders of results.
struct Expected {
    /// Trials that come to each rung.
    arrivals: Vec<f64>,
    /// Most checkpoints at once.
    checkpoints: f64,
}

impl Expected {
    /// Runs the scheduler itself: one slot, and a trial has the same rank among others on every rung.
    fn of(scheduler: &SchedulerSpec, space: &Space, trials: u32) -> Self {
        let simulated = trials.min(MOST_SIMULATED);
        let mut arrivals = vec![0_u64; scheduler.ladder().rungs().len()];
        let mut checkpoints = 0;
        for order in 0..ORDERS {
            let mut climb = Climb { arrivals: &mut arrivals, kept: 0, most_kept: 0 };
            climb.run(scheduler, space, simulated, Seed(0).derive("plan", order));
            checkpoints += climb.most_kept;
        }
        let scale = f64::from(trials) / f64::from(simulated) / ORDERS as f64;
        Self { arrivals: arrivals.into_iter().map(|count| count as f64 * scale).collect(), checkpoints: checkpoints as f64 * scale }
    }
}

/// One order of results.
struct Climb<'a> {
    arrivals: &'a mut [u64],
    /// Paused trials that may still go on, each with its checkpoint.
    kept: u64,
    /// The most of them at once, with the running trial's and the best one's.
    most_kept: u64,
}

impl Climb<'_> {
    fn run(&mut self, spec: &SchedulerSpec, space: &Space, trials: u32, seed: Seed) {
        let mut rng = seed.rng();
        let losses: Vec<Loss> = (0..trials).map(|_| Loss::new(rng.random())).collect();
        let mut scheduler = build(spec, space, Some(trials));
        let mut fresh = 0..trials;
        loop {
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
            let top = *rungs.end();
            rungs.for_each(|rung| self.arrivals[rung] += 1);
            self.most_kept = self.most_kept.max(self.kept + 2);
            if top + 1 < self.arrivals.len() {
                scheduler.reached(top, trial, losses[trial.0 as usize]);
                self.kept += 1;
                self.kept -= scheduler.hopeless().len() as u64;
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "dimensions  {}", self.dimensions)?;
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
        if let (Some(worst), Some(expected), Some(checkpoints)) =
            (self.worst_case_resource, self.expected_resource, self.expected_checkpoints)
        {
            writeln!(f, "resource    {worst} at worst, about {expected} expected")?;
            writeln!(f, "checkpoints about {checkpoints} kept at once")?;
            f.write_str(
                "Expected: mean over random orders of results on one slot, if nothing fails and no other budget ends the sweep before.",
            )
        } else {
            f.write_str("No `max_trials`: what the sweep costs depends on the other budgets.")
        }
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::Resource;
    use proptest::prelude::*;

    use super::*;

    fn asha(min: u32, max: u32, eta: u32) -> SchedulerSpec {
        SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(min), Resource(max), eta).unwrap() }
    }

    fn nowhere() -> Space {
        Space::new(vec![]).unwrap()
    }

    /// Trials that come to each rung when their results come in this order, each with the same loss on every rung, and
    /// `slots` of them run at once.
    fn arrivals(spec: &SchedulerSpec, losses: &[u32], slots: usize) -> Vec<u64> {
        let mut scheduler = build(spec, &nowhere(), Some(losses.len() as u32));
        let rungs = spec.ladder().rungs().len();
        let (mut arrivals, mut running, mut fresh) = (vec![0; rungs], vec![], 0..losses.len() as u32);
        loop {
            while running.len() < slots {
                let next = scheduler.promote().map(|promotion| (promotion.trial, promotion.to));
                let Some(next) =
                    next.or_else(|| fresh.next().map(|trial| (TrialId(trial), scheduler.enter(TrialId(trial), &Params::new()))))
                else {
                    break;
                };
                running.push(next);
            }
            if running.is_empty() {
                return arrivals;
            }
            let (trial, rung) = running.remove(0);
            arrivals[rung] += 1;
            if rung + 1 < rungs {
                scheduler.reached(rung, trial, Loss::new(f64::from(losses[trial.0 as usize])));
            }
        }
    }

    #[test]
    fn the_worst_case_is_reached_when_every_trial_is_better_than_all_before() {
        for (spec, trials) in [(asha(1, 9, 3), 24_u32), (asha(1, 8, 2), 10), (asha(1, 16, 4), 3), (asha(5, 5, 2), 4)] {
            let better_and_better: Vec<u32> = (0..trials).rev().collect();
            assert_eq!(arrivals(&spec, &better_and_better, 1), spec.worst_arrivals(trials), "{spec:?}");
        }
    }

    proptest! {
        #[test]
        fn no_order_is_worse_than_the_worst_case(losses in prop::collection::vec(0_u32..30, 1..60), eta in 2_u32..5, slots in 1_usize..8) {
            let spec = asha(1, 30, eta);
            let worst = spec.worst_arrivals(losses.len() as u32);
            for (came, most) in arrivals(&spec, &losses, slots).iter().zip(&worst) {
                prop_assert!(came <= most, "{came} > {most}");
            }
        }
    }

    #[test]
    fn expected_figures_lie_between_halving_and_the_worst_case_and_scale() {
        let expected = |trials| Expected::of(&asha(1, 27, 3), &nowhere(), trials);
        let some = expected(81);
        assert_eq!(some.arrivals[0], 81.0);
        for (rung, came) in some.arrivals.iter().enumerate().skip(1) {
            let halving = 81.0 / 3_f64.powi(rung as i32);
            assert!((halving..81.0).contains(came), "rung {rung}: {came}");
        }
        assert!(some.checkpoints >= 81.0 / 3.0 && some.checkpoints < 81.0, "{}", some.checkpoints);
        let many = expected(10 * MOST_SIMULATED);
        assert!((many.arrivals[1] / expected(MOST_SIMULATED).arrivals[1] - 10.0).abs() < 1e-9);
    }

    #[test]
    fn without_stopping_every_trial_costs_all() {
        let fifo = SchedulerSpec::Fifo { ladder: Ladder::single(Resource(9)).unwrap() };
        assert_eq!(fifo.worst_arrivals(5), [5]);
        assert_eq!(Expected::of(&fifo, &nowhere(), 5).arrivals, [5.0]);
    }
}
