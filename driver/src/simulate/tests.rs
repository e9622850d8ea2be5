//! The virtual world against plain loops, against its own books, and against itself on other threads.
use std::collections::BTreeMap;
use std::sync::Arc;

use hpo_core::job::{CurveSource, CurvesJob, Function, SyntheticJob};
use hpo_core::schedule::{Anchor, Brackets, Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::{Budget, Patience};
use hpo_core::{Goal, Loss, Params, Resource, Seed, Space, SweepSpec, TrialId};
use hpo_curves::Curve;
use hpo_searchers::SearcherSpec;
use proptest::prelude::*;

use super::*;

mod ends;
mod searchers;
mod split;

const METRIC: &str = "loss";
const TOP: u32 = 27;

fn formula() -> SyntheticJob {
    SyntheticJob { function: Function::Branin, noise: 0.5, failure_rate: 0.0, crossing: 0.5, rate: 4.0, seconds: 1.0, cost_spread: 0.7 }
}

fn asha(min: u32, max: u32, eta: u32) -> SchedulerSpec {
    SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(min), Resource(max), eta).unwrap() }
}

fn fifo(max: u32) -> SchedulerSpec {
    SchedulerSpec::Fifo { ladder: Ladder::single(Resource(max)).unwrap() }
}

/// Every kind there is, from 1 to 9 by 3.
fn kinds() -> Vec<SchedulerSpec> {
    let ladder = |anchor| Ladder::anchored(anchor, Resource(1), Resource(9), 3).unwrap();
    let (bottom, top) = (ladder(Anchor::Bottom), ladder(Anchor::Top));
    let weights = Brackets::hyperband(&bottom, 2);
    vec![
        fifo(9),
        SchedulerSpec::Halving { ladder: top.clone(), bracket: None },
        SchedulerSpec::Hyperband { ladder: top.clone() },
        SchedulerSpec::Swift { ladder: top, decide_at: 0.5, margin: 1.0 },
        SchedulerSpec::AshaPromote { ladder: bottom.clone() },
        SchedulerSpec::AshaStop { ladder: bottom.clone() },
        SchedulerSpec::HyperbandAsync(Brackets::weighted(bottom.clone(), weights).unwrap()),
        SchedulerSpec::Pasha { ladder: bottom.clone(), epsilon: None },
        SchedulerSpec::Median { ladder: bottom, min_trials: 3 },
    ]
}

fn setup(scheduler: SchedulerSpec, max_trials: Option<u32>, formula: SyntheticJob, conditions: Conditions) -> Setup {
    let range = |name: &str, low: f64, high: f64| Parameter {
        name: name.to_owned(),
        domain: Domain::Float { low, high, fold: Fold::Linear, step: None },
        when: BTreeMap::new(),
    };
    let spec = SweepSpec {
        name: "test".to_owned(),
        seed: Seed(0),
        metric: METRIC.to_owned(),
        goal: Goal::Minimize,
        space: Space::new(vec![range("x", -5.0, 10.0), range("y", 0.0, 15.0)]).unwrap(),
        scheduler,
        budget: Budget { max_trials, ..Budget::default() },
        patience: Patience::default(),
    };
    let top = spec.scheduler.ladder().resource(spec.scheduler.ladder().top());
    let job = CurvesJob { source: CurveSource::Synthetic(formula), max_resource: top, pace: 0.0 };
    let curves = Arc::from(hpo_curves::open(&job, METRIC, Goal::Minimize).unwrap());
    Setup { spec, searcher: SearcherSpec::Random, curves, conditions, until: None }
}

/// What a plain loop finds out.
#[derive(Debug, Default, PartialEq)]
struct Plain {
    resource: u64,
    millis: u64,
    best: Option<(Loss, TrialId)>,
    improvements: Vec<(u64, u64, f64)>,
}

impl Plain {
    /// Trains one trial over a range, and gives its loss there.
    fn train(&mut self, trial: TrialId, curve: &Curve, from: u32, until: u32) -> Loss {
        let millis = |resource: u32| (curve.seconds(Resource(resource)) * 1e3).round() as u64;
        let mut last = Loss::new(f64::NAN);
        for resource in from + 1..=until {
            self.resource += 1;
            let at = self.millis + millis(resource) - millis(from);
            let metric = curve.at(Resource(resource)).unwrap().metric;
            last = Loss::new(metric);
            if self.best.is_none_or(|(best, _)| last < best) {
                self.best = Some((last, trial));
                self.improvements.push((at, self.resource, metric));
            }
        }
        self.millis += millis(until) - millis(from);
        last
    }

    fn of(outcome: &Outcome) -> Self {
        Self {
            resource: outcome.resource,
            millis: outcome.ended.0,
            best: outcome.best.as_ref().map(|best| (Loss::new(best.metric), best.trial)),
            improvements: outcome.improvements.iter().map(|better| (better.at.0, better.resource, better.metric)).collect(),
        }
    }
}

fn curve_of(setup: &Setup, seed: Seed, trial: TrialId) -> Curve {
    let params: Params = hpo_searchers::build(&setup.searcher, &setup.spec.space, seed).unwrap().suggest(trial).unwrap();
    setup.curves.curve(&params, seed.derive("train", trial.0.into())).unwrap()
}

/// ASHA as its paper has it, one worker, no world around it.
fn plain_asha(setup: &Setup, rungs: &[u32], eta: usize, trials: u32, seed: Seed) -> Plain {
    let mut plain = Plain::default();
    let mut standing: Vec<Vec<(Loss, TrialId)>> = vec![vec![]; rungs.len()];
    let mut promoted: Vec<Vec<TrialId>> = vec![vec![]; rungs.len()];
    let mut next = 0;
    loop {
        let mut job = None;
        for rung in (0..rungs.len() - 1).rev() {
            standing[rung].sort();
            let top = standing[rung].len() / eta;
            if let Some(&(_, trial)) = standing[rung][..top].iter().find(|(_, trial)| !promoted[rung].contains(trial)) {
                promoted[rung].push(trial);
                job = Some((trial, rung + 1));
                break;
            }
        }
        let (trial, rung) = match job {
            Some(job) => job,
            None if next < trials => {
                next += 1;
                (TrialId(next - 1), 0)
            }
            None => return plain,
        };
        let from = if rung == 0 { 0 } else { rungs[rung - 1] };
        let loss = plain.train(trial, &curve_of(setup, seed, trial), from, rungs[rung]);
        standing[rung].push((loss, trial));
    }
}

#[test]
fn without_faults_and_with_one_worker_it_is_a_plain_loop() {
    for seed in (0..20).map(Seed) {
        let setup = setup(asha(1, TOP, 3), Some(40), formula(), Conditions::ideal(1));
        let outcome = play(&setup, seed).unwrap();
        assert_eq!(Plain::of(&outcome), plain_asha(&setup, &[1, 3, 9, 27], 3, 40, seed), "{seed:?}");
        assert_eq!((outcome.trials, outcome.idle, outcome.busy), (40, 0, outcome.ended.0));
    }
}

/// ASHA as Ray has it: who is stopped frees the worker at the very report.
#[test]
fn who_is_stopped_frees_the_slot_at_the_report() {
    let rungs = [1, 3, 9];
    for seed in (0..20).map(Seed) {
        let setup = setup(
            SchedulerSpec::AshaStop { ladder: Ladder::new(Resource(1), Resource(TOP), 3).unwrap() },
            Some(40),
            formula(),
            Conditions::ideal(1),
        );
        let mut plain = Plain::default();
        let mut recorded: [Vec<Loss>; 3] = Default::default();
        for trial in (0..40).map(TrialId) {
            let curve = curve_of(&setup, seed, trial);
            let mut from = 0;
            let stopped = rungs.iter().zip(&mut recorded).any(|(&rung, recorded)| {
                let loss = plain.train(trial, &curve, from, rung);
                from = rung;
                recorded.sort();
                // The quantile 1 / 3 by linear interpolation.
                let place = recorded.len().saturating_sub(1) as f64 / 3.0;
                let at = |place: f64| recorded.get(place as usize).map(|loss| loss.get());
                let cutoff = at(place).zip(at(place.ceil())).map(|(low, high)| low + (high - low) * place.fract());
                recorded.push(loss);
                cutoff.is_some_and(|cutoff| loss.get() > cutoff)
            });
            if !stopped {
                plain.train(trial, &curve, from, TOP);
            }
        }
        let outcome = play(&setup, seed).unwrap();
        assert_eq!(Plain::of(&outcome), plain, "{seed:?}");
        assert_eq!(outcome.idle, 0);
    }
}

/// The next trial goes to whoever is free first.
#[test]
fn without_early_stopping_it_is_list_scheduling() {
    for seed in (0..10).map(Seed) {
        let setup = setup(fifo(9), Some(23), formula(), Conditions::ideal(4));
        let outcome = play(&setup, seed).unwrap();
        let mut free = [0_u64; 4];
        for trial in (0..23).map(TrialId) {
            free.sort_unstable();
            free[0] += (curve_of(&setup, seed, trial).seconds(Resource(9)) * 1e3).round() as u64;
        }
        let end = *free.iter().max().unwrap();
        assert_eq!((outcome.ended.0, outcome.resource), (end, 23 * 9), "{seed:?}");
        assert_eq!(outcome.busy, free.iter().sum::<u64>());
        assert_eq!(outcome.busy + outcome.idle, 4 * end);
    }
}

/// All that a trial of 4 units costs, at a second each, and what it does not cost to go on in place.
#[test]
fn start_up_restoring_and_writing_take_their_time() {
    let steady = SyntheticJob { cost_spread: 0.0, ..formula() };
    let slow = Conditions { startup: 5000, restore: 3000, checkpoint: 2000, ..Conditions::ideal(1) };
    let ended = |scheduler, trials, conditions, seed| {
        let setup = setup(scheduler, Some(trials), steady.clone(), conditions);
        let outcome = play(&setup, Seed(seed)).unwrap();
        assert_eq!(outcome.busy + outcome.idle, outcome.ended.0);
        (outcome.ended.0, outcome.idle, outcome.best.unwrap().trial)
    };
    let (end, idle, _) = ended(fifo(4), 3, slow, 0);
    assert_eq!((end, idle), (3 * (5000 + 4000 + 2000), 0));
    let stragglers = Conditions { straggler_share: 1.0, straggler_factor: 3.0, ..Conditions::ideal(1) };
    assert_eq!(ended(fifo(4), 3, stragglers, 0).0, 3 * 4000 * 3);
    let thoughtful = Conditions { suggest: 250, ..Conditions::ideal(1) };
    assert_eq!(ended(fifo(4), 3, thoughtful, 0), (3 * (250 + 4000), 3 * 250, ended(fifo(4), 3, Conditions::ideal(1), 0).2));
    // Two wait for the searcher, which answers one after the other.
    let outcome = play(&setup(fifo(4), Some(2), steady.clone(), Conditions { workers: 2, ..thoughtful }), Seed(0)).unwrap();
    assert_eq!((outcome.ended.0, outcome.idle), (2 * 250 + 4000, 250 + 500 + 250));
    // The better of two goes on: the first must be read again, the second is still there.
    let mut seen = [false; 2];
    for seed in 0..20 {
        let quiet = SyntheticJob { noise: 0.0, crossing: 0.0, ..steady.clone() };
        let outcome = play(&setup(asha(1, 2, 2), Some(2), quiet, slow), Seed(seed)).unwrap();
        let better = outcome.best.unwrap().trial;
        let again = if better == TrialId(0) { 5000 + 3000 } else { 0 };
        assert_eq!(outcome.ended.0, 2 * (5000 + 1000 + 2000) + again + 1000 + 2000, "seed {seed}");
        seen[better.0 as usize] = true;
    }
    assert_eq!(seen, [true; 2], "both ways were gone");
}

#[test]
fn equal_seeds_give_equal_bytes_on_any_number_of_threads() {
    let rough = Conditions {
        startup: 1500,
        restore: 700,
        checkpoint: 300,
        suggest: 20,
        straggler_share: 0.3,
        mtbf: Some(60_000),
        restart: 9000,
        straggler_factor: 2.5,
        ..Conditions::ideal(7)
    };
    let flaky = SyntheticJob { failure_rate: 0.1, ..formula() };
    let setups = [setup(asha(1, TOP, 3), Some(50), flaky.clone(), rough), setup(fifo(TOP), Some(20), flaky, rough)];
    let all = |threads| -> Vec<String> {
        let played = play_all(&setups, Some(3..9), threads).unwrap();
        assert_eq!(played.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6]);
        assert!(played.iter().all(|outcomes| outcomes.iter().map(|outcome| outcome.seed).eq(3..9)));
        played.iter().flatten().map(|outcome| format!("{} {:?}", outcome.to_json(None), outcome.improvements)).collect()
    };
    let alone = all(1);
    assert_eq!(all(2), alone);
    assert_eq!(all(5), alone);
    assert_ne!(alone[0], alone[1], "seeds differ");
}

#[test]
fn who_dies_comes_back_and_what_it_did_is_done_again() {
    let steady = SyntheticJob { cost_spread: 0.0, ..formula() };
    let ideal = setup(fifo(9), Some(40), steady.clone(), Conditions::ideal(3));
    let mortal = setup(fifo(9), Some(40), steady, Conditions { mtbf: Some(40_000), restart: 5000, ..Conditions::ideal(3) });
    let (ideal, mortal) = (play(&ideal, Seed(4)).unwrap(), play(&mortal, Seed(4)).unwrap());
    assert_eq!((mortal.trials, mortal.resource, mortal.failed), (40, 360, 0));
    assert_eq!(mortal.best.map(|best| best.metric), ideal.best.map(|best| best.metric), "training is the same, only later");
    assert!(mortal.busy > ideal.busy && mortal.ended > ideal.ended);
    assert!(mortal.busy + mortal.idle < 3 * mortal.ended.0, "who is being restarted is not reserved");
}

/// `metric` is the best value at any reported resource: who fails later has reported all the same.
#[test]
fn the_best_report_counts_even_if_its_trial_fails_later() {
    let flaky = SyntheticJob { failure_rate: 0.5, ..formula() };
    let setup = setup(fifo(9), Some(12), flaky, Conditions::ideal(1));
    let mut failed_later = 0;
    for seed in (0..20).map(Seed) {
        let outcome = play(&setup, seed).unwrap();
        let reports = (0..12).map(TrialId).flat_map(|trial| {
            let curve = curve_of(&setup, seed, trial);
            (1..=9).map_while(move |unit| Some((Loss::new(curve.at(Resource(unit)).ok()?.metric), trial, Resource(unit))))
        });
        let best = outcome.best.as_ref().unwrap();
        assert_eq!(reports.min(), Some((Loss::new(best.metric), best.trial, best.resource)), "{seed:?}");
        let curve = curve_of(&setup, seed, best.trial);
        assert_eq!(outcome.test, curve.at(best.resource).unwrap().test);
        assert_eq!(outcome.improvements.last().map(|better| (better.metric, better.test)), Some((best.metric, outcome.test)));
        failed_later += u32::from(curve.fails_in().is_some_and(|unit| unit <= Resource(9)));
    }
    assert!(failed_later > 0, "nothing was tried");
}

#[test]
fn lines_are_as_promised() {
    let mut outcome = play(&setup(fifo(3), Some(2), formula(), Conditions::ideal(1)), Seed(0)).unwrap();
    insta::assert_snapshot!(outcome.to_json(None));
    outcome.best = None;
    assert!(outcome.to_json(Some("a.toml")).starts_with(r#"{"file":"a.toml","seed":0,"trials":2,"resource":6,"best":null,"#));
}

#[test]
fn sweeps_are_compared_with_the_first() {
    let play = |scheduler| play_all(&[setup(scheduler, Some(20), formula(), Conditions::ideal(2))], Some(0..8), 1).unwrap().remove(0);
    let (slow, quick) = (play(fifo(TOP)), play(asha(1, TOP, 3)));
    let sweeps = [("fifo.toml", Goal::Minimize, slow.as_slice()), ("asha.toml", Goal::Minimize, quick.as_slice())];
    insta::assert_snapshot!(Table::of(sweeps));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_world_ends_with_all_time_booked_and_no_trial_lost(
        seed in 0_u64..1000,
        workers in 1_u32..9,
        trials in 1_u32..50,
        overheads in prop::array::uniform4(0_u64..3000),
        worker_startup in 0_u64..3000,
        latency in 0_u64..50,
        words_per_second in prop::option::of(1_u32..2000),
        straggler_share in 0.0..1.0_f64,
        mtbf in prop::option::of(20_000_u64..500_000),
        failure_rate in 0.0..0.5_f64,
        scheduler in prop::sample::select(kinds()),
    ) {
        let [startup, restore, checkpoint, suggest] = overheads;
        let conditions =
            Conditions { workers, startup, restore, checkpoint, suggest, straggler_share, straggler_factor: 2.0, mtbf, restart: 4000,
                worker_startup, latency, words_per_second };
        let worst = scheduler.worst_resource(trials);
        let outcome = play(&setup(scheduler, Some(trials), SyntheticJob { failure_rate, ..formula() }, conditions), Seed(seed)).unwrap();
        prop_assert_eq!(outcome.trials, trials);
        let most = if outcome.failed == 0 { worst } else { 9 * u64::from(trials) };
        prop_assert!(outcome.resource <= most);
        prop_assert!(outcome.failed <= trials);
        let reserved = u64::from(workers) * outcome.ended.0;
        if mtbf.is_none() {
            prop_assert_eq!(outcome.busy + outcome.idle, reserved);
        } else {
            prop_assert!(outcome.busy + outcome.idle <= reserved);
        }
        // Each of ten categories of the books is rounded for itself.
        prop_assert!(outcome.split.total().abs_diff(outcome.busy + outcome.idle) <= 10);
        prop_assert_eq!(outcome.best.is_none(), outcome.resource == 0);
        let metrics: Vec<f64> = outcome.improvements.iter().map(|better| better.metric).collect();
        prop_assert!(metrics.windows(2).all(|pair| pair[1] < pair[0]), "{:?}", metrics);
        prop_assert_eq!(metrics.last().copied(), outcome.best.map(|best| best.metric));
        prop_assert_eq!(outcome.improvements.last().and_then(|better| better.test), outcome.test);
    }
}
