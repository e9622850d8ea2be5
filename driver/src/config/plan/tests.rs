//! What a sweep will cost.
use hpo_core::Resource;
use hpo_core::schedule::{Anchor, Brackets};
use proptest::prelude::*;

use super::*;

fn asha(min: u32, max: u32, eta: u32) -> SchedulerSpec {
    SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(min), Resource(max), eta).unwrap() }
}

/// The rules that never wait, on a ladder of 1 to 30.
fn asynchronous(eta: u32) -> Vec<SchedulerSpec> {
    let ladder = Ladder::new(Resource(1), Resource(30), eta).unwrap();
    let weights = Brackets::hyperband(&ladder, 3);
    vec![
        asha(1, 30, eta),
        SchedulerSpec::AshaStop { ladder: ladder.clone() },
        SchedulerSpec::HyperbandAsync(Brackets::weighted(ladder.clone(), weights).unwrap()),
        SchedulerSpec::Median { ladder: ladder.clone(), min_trials: 3 },
        SchedulerSpec::Pasha { ladder, epsilon: None },
    ]
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
            let promoted = scheduler.promote().map(|promotion| (promotion.trial, promotion.to..=promotion.to));
            let mut enter = |trial| (TrialId(trial), 0..=scheduler.enter(TrialId(trial), &Params::new()));
            let Some(next) = promoted.or_else(|| fresh.next().map(&mut enter)) else { break };
            running.push(next);
        }
        if running.is_empty() {
            return arrivals;
        }
        let (trial, mut passed) = running.remove(0);
        let (end, loss) = (*passed.end(), Loss::new(f64::from(losses[trial.0 as usize])));
        let goes_on = passed.all(|rung| {
            arrivals[rung] += 1;
            scheduler.reported(trial, spec.ladder().resource(rung), loss) == Verdict::Continue
        });
        if goes_on && end + 1 < rungs {
            scheduler.reached(end, trial, loss);
        }
    }
}

#[test]
fn the_worst_case_is_reached_when_every_trial_is_better_than_all_before() {
    for (spec, trials) in [(asha(1, 9, 3), 24_u32), (asha(1, 8, 2), 10), (asha(1, 16, 4), 3), (asha(5, 5, 2), 4)] {
        let better_and_better: Vec<u32> = (0..trials).rev().collect();
        assert_eq!(arrivals(&spec, &better_and_better, 1), spec.worst_arrivals(trials), "{spec:?}");
    }
    // But for PASHA: there the same order on every rung opens none.
    for spec in &asynchronous(3)[..4] {
        let better_and_better: Vec<u32> = (0..24).rev().collect();
        assert_eq!(arrivals(spec, &better_and_better, 1), spec.worst_arrivals(24), "{spec:?}");
    }
}

proptest! {
    #[test]
    fn no_order_is_worse_than_the_worst_case(losses in prop::collection::vec(0_u32..30, 1..60), eta in 2_u32..5, slots in 1_usize..8) {
        for spec in asynchronous(eta) {
            let worst = spec.worst_arrivals(losses.len() as u32);
            for (came, most) in arrivals(&spec, &losses, slots).iter().zip(&worst) {
                prop_assert!(came <= most, "{spec:?}: {came} > {most}");
            }
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
    let many = expected(10 * LEAST_SIMULATED);
    assert!((many.arrivals[1] / expected(LEAST_SIMULATED).arrivals[1] - 10.0).abs() < 1e-9);
}

#[test]
fn where_rungs_wait_the_worst_case_is_what_comes() {
    let ladder = Ladder::anchored(Anchor::Top, Resource(1), Resource(81), 3).unwrap();
    let hyperband = SchedulerSpec::Hyperband { ladder: ladder.clone() };
    assert_eq!((hyperband.one_pass(), hyperband.worst_resource(143)), (Some(143), 1581));
    let halving = SchedulerSpec::Halving { ladder, bracket: None };
    // Whole passes, and brackets that are cut short.
    for (spec, trials) in [(&hyperband, 143), (&hyperband, 1000), (&hyperband, 50), (&halving, 81), (&halving, 200), (&halving, 2)] {
        let worst: Vec<f64> = spec.worst_arrivals(trials).into_iter().map(|trials| trials as f64).collect();
        assert_eq!(Expected::of(spec, &nowhere(), trials).arrivals, worst, "{spec:?}, {trials} trials");
    }
}

#[test]
fn what_stops_is_not_expected_to_go_on() {
    for spec in asynchronous(3) {
        let expected = Expected::of(&spec, &nowhere(), 81);
        assert!(expected.arrivals[0] == 81.0 && expected.arrivals[spec.ladder().top()] < 60.0, "{spec:?}: {:?}", expected.arrivals);
    }
}

proptest! {
    /// The closed form against the scheduler itself.
    #[test]
    fn where_rungs_wait_no_order_changes_what_comes_and_what_is_kept(
        trials in 1_u32..200, eta in 2_u32..5, max in 1_u32..60, bracket in prop::option::of(1_u32..40),
    ) {
        let ladder = Ladder::anchored(Anchor::Top, Resource(1), Resource(max), eta).unwrap();
        for spec in [SchedulerSpec::Halving { ladder: ladder.clone(), bracket }, SchedulerSpec::Hyperband { ladder }] {
            let (expected, ran) = (Expected::of(&spec, &nowhere(), trials), Expected::of_orders(&spec, &nowhere(), trials));
            prop_assert_eq!((expected.arrivals, expected.checkpoints), (ran.arrivals, ran.checkpoints), "{:?}", spec);
        }
    }
}

/// The first bracket alone has more trials than most orders of results that are played.
#[test]
fn a_first_bracket_of_any_size_is_counted_in_full() {
    let ladder = Ladder::anchored(Anchor::Top, Resource(1), Resource(6561), 3).unwrap();
    let hyperband = SchedulerSpec::Hyperband { ladder: ladder.clone() };
    let one_pass = hyperband.one_pass().unwrap();
    assert!(one_pass > 6561 && 6561 > LEAST_SIMULATED);
    let expected = Expected::of(&hyperband, &nowhere(), one_pass);
    assert_eq!((expected.arrivals[8], expected.checkpoints), (23.0, 6562.0));
    let halving = Expected::of(&SchedulerSpec::Halving { ladder, bracket: None }, &nowhere(), 1_000_000);
    assert_eq!((halving.arrivals[8], halving.checkpoints), (152.0, 1_000_001.0));
}

/// On the way to the top of this ladder one in 3^9 goes on: orders of 4096 trials never saw one.
#[test]
fn of_many_trials_some_are_expected_at_the_top_of_a_high_ladder() {
    let (rungs, trials) = (10, 200_000);
    let expected = Expected::of(&asha(1, 19_683, 3), &nowhere(), trials).arrivals;
    assert_eq!(expected.len(), rungs);
    let halving = f64::from(trials) / 3_f64.powi(rungs as i32 - 1);
    assert!((halving.floor()..10.0 * halving).contains(&expected[rungs - 1]), "{expected:?}");
}

/// What Swift saves depends on curves, and to fit its models takes minutes.
#[test]
fn swift_is_expected_to_cost_at_most_what_hyperband_does() {
    let ladder = Ladder::anchored(Anchor::Top, Resource(1), Resource(100), 4).unwrap();
    let swift = SchedulerSpec::Swift { ladder: ladder.clone(), decide_at: 0.5, margin: 0.0 };
    let hyperband = SchedulerSpec::Hyperband { ladder };
    assert_eq!((swift.one_pass(), swift.worst_resource(98)), (Some(98), 1395));
    let [swift_arrivals, hyperband_arrivals] = [&swift, &hyperband].map(|spec| Expected::of(spec, &nowhere(), 1_000_000).arrivals);
    assert_eq!(swift_arrivals, hyperband_arrivals);
    assert_eq!([&swift, &hyperband].map(Basis::of), [Basis::AtMostBrackets, Basis::Brackets]);
    let asks_how_curves_cross = |spec: &SchedulerSpec| matches!(spec, SchedulerSpec::Pasha { .. } | SchedulerSpec::Median { .. });
    for spec in asynchronous(4) {
        assert_eq!(Basis::of(&spec), if asks_how_curves_cross(&spec) { Basis::AtLeastOrders } else { Basis::Orders });
    }
}

#[test]
fn without_stopping_every_trial_costs_all() {
    let fifo = SchedulerSpec::Fifo { ladder: Ladder::single(Resource(9)).unwrap() };
    assert_eq!(fifo.worst_arrivals(5), [5]);
    assert_eq!(Expected::of(&fifo, &nowhere(), 5).arrivals, [5.0]);
}
