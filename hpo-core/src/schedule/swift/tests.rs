use proptest::prelude::*;

use super::*;
use crate::Value;
use crate::schedule::{Anchor, SchedulerSpec};
use crate::space::{Domain, Fold, Parameter};

/// `x` decides everything; `y` is there only where `deep` is true.
fn space() -> Space {
    let real = || Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
    let always = |name: &str, domain| Parameter { name: name.to_owned(), domain, when: BTreeMap::new() };
    let when = [("deep".to_owned(), vec![Value::Bool(true)])].into();
    let y = Parameter { name: "y".to_owned(), domain: real(), when };
    Space::new(vec![always("x", real()), always("deep", Domain::Bool), y]).unwrap()
}

/// Rungs 4, 16, 64: brackets of 16, 6 and 3 members; those of the first are decided upon at 2, at 4 + 6 and never again.
fn ladder() -> Ladder {
    Ladder::anchored(Anchor::Top, Resource(4), Resource(64), 4).unwrap()
}

fn swift(margin: f64) -> Swift {
    Swift::new(&ladder(), &space(), 0.5, margin)
}

fn params(x: f64) -> Params {
    let deep = x < 0.5;
    let y = deep.then(|| ("y".to_owned(), Value::Float(x)));
    [("x".to_owned(), Value::Float(x)), ("deep".to_owned(), Value::Bool(deep))].into_iter().chain(y).collect()
}

/// Falls towards `x`, not quite at the same pace for all.
fn loss(x: f64, resource: u32) -> Loss {
    Loss::new(x + (1.0 + 0.02 * (37.0 * x).fract()) / f64::from(resource))
}

/// The first bracket's `trial` enters and trains to its first rung, or as far as it may.
fn run(rule: &mut Swift, trial: u32, x: f64) -> Verdict {
    rule.enter(TrialId(trial), &params(x));
    let told = (1..=4).map(|resource| rule.reported(TrialId(trial), Resource(resource), loss(x, resource)));
    // As the sweep does: after a stop nothing more is reported.
    let stopped = told.take_while(|verdict| *verdict == Verdict::Continue).count() < 4;
    let verdict = if stopped { Verdict::Stop } else { rule.reached(0, TrialId(trial), loss(x, 4)) };
    rule.check();
    verdict
}

/// Trials of these `xs` in turn, `slots` at a time, a unit of resource each tick. Answers what each trained.
fn play(rule: &mut Swift, xs: &[f64], slots: usize) -> Vec<u32> {
    let (mut trained, mut targets, mut running) = (vec![0; xs.len()], vec![], vec![]);
    loop {
        while running.len() < slots {
            if let Some(promotion) = rule.promote() {
                targets[promotion.trial.0 as usize] = promotion.to;
                running.push(promotion.trial);
            } else if let Some(&x) = xs.get(targets.len()) {
                let trial = TrialId(targets.len() as u32);
                targets.push(rule.enter(trial, &params(x)));
                running.push(trial);
            } else {
                break;
            }
        }
        if targets.len() == xs.len() {
            rule.no_more();
        }
        if running.is_empty() {
            return trained;
        }
        running.retain(|&trial| {
            let (x, rung) = (xs[trial.0 as usize], targets[trial.0 as usize]);
            trained[trial.0 as usize] += 1;
            let at = Resource(trained[trial.0 as usize]);
            let ends = at == ladder().resource(rung);
            let verdict = rule.reported(trial, at, loss(x, at.0));
            assert!(verdict == Verdict::Continue || !ends, "nobody is stopped at the end of its lease");
            if ends && rung < ladder().top() {
                rule.reached(rung, trial, loss(x, at.0));
            }
            rule.hopeless();
            verdict == Verdict::Continue && !ends
        });
        rule.check();
    }
}

const FIRST: [f64; 8] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.5, 0.3];

#[test]
fn whoever_would_end_behind_the_quantile_is_stopped_half_way() {
    let mut rule = swift(0.0);
    for (trial, x) in FIRST.into_iter().enumerate() {
        assert_eq!(run(&mut rule, trial as u32, x), Verdict::Pause, "there are too few to learn from");
    }
    // Of 8 the 2 best: 0 and 0.2.
    assert_eq!(run(&mut rule, 8, 0.1), Verdict::Pause);
    // Of 9 the 3 best, since a quarter of 9 is more than 2: 0, 0.1 and 0.2.
    assert_eq!(run(&mut rule, 9, 0.9), Verdict::Stop);
    assert_eq!(run(&mut rule, 10, 0.35), Verdict::Stop);
    assert_eq!(run(&mut rule, 11, 0.15), Verdict::Pause);
    // Of 12, who was stopped among them, the 3 best: 0, 0.1 and 0.15.
    assert_eq!(run(&mut rule, 12, 0.18), Verdict::Stop);
    assert_eq!(run(&mut rule, 13, 0.05), Verdict::Pause);
    let standing = rule.standing(0, TrialId(9)).unwrap();
    assert_eq!((standing.rank, standing.population), (11, 14), "those stopped rank last");
    for trial in 14..16 {
        run(&mut rule, trial, 0.7);
    }
    let promoted: Vec<u32> = std::iter::from_fn(|| rule.promote()).map(|promotion| promotion.trial.0).collect();
    assert_eq!(promoted, [0, 13, 8, 11]);
}

#[test]
fn whoever_comes_before_the_others_goes_on_and_is_not_judged_again() {
    let mut rule = swift(0.0);
    for trial in 0..16 {
        rule.enter(TrialId(trial), &params(f64::from(trial) / 15.0));
    }
    for resource in 1..=4 {
        for trial in 0..16 {
            let loss = loss(f64::from(trial) / 15.0, resource);
            assert_eq!(rule.reported(TrialId(trial), Resource(resource), loss), Verdict::Continue);
            if resource == 3 && trial < 12 {
                rule.reported(TrialId(trial), Resource(4), loss);
                rule.reached(0, TrialId(trial), loss);
            }
        }
    }
}

#[test]
fn the_margin_is_in_favour_of_the_trial() {
    let stopped_at = |margin: f64| {
        let mut rule = swift(margin);
        let xs = FIRST.into_iter().chain((8..16).map(|trial| 0.2 + f64::from(trial) / 100.0));
        xs.zip(0..).filter(|&(x, trial)| run(&mut rule, trial, x) == Verdict::Stop).count()
    };
    let stopped = [0.0, 2.0, 1000.0].map(stopped_at);
    assert!(stopped[0] > 0 && stopped[0] >= stopped[1] && stopped[2] == 0, "{stopped:?}");
}

#[test]
fn whoever_has_diverged_half_way_is_stopped_once_there_is_a_cutoff() {
    let mut rule = swift(1.0);
    let diverges = |rule: &mut Swift, trial| {
        rule.enter(TrialId(trial), &params(0.5));
        rule.reported(TrialId(trial), Resource(2), Loss::new(f64::NAN))
    };
    assert_eq!(diverges(&mut rule, 0), Verdict::Continue);
    run(&mut rule, 1, 0.1);
    assert_eq!(diverges(&mut rule, 2), Verdict::Continue, "of a quota of 4, one has come");
    run(&mut rule, 3, 0.2);
    assert_eq!(diverges(&mut rule, 4), Verdict::Stop);
    // A curve that was not finite teaches nothing.
    rule.reached(0, TrialId(0), Loss::new(0.3));
    assert_eq!(rule.examples[0].len(), 2);
}

#[test]
fn a_curve_has_at_each_mark_the_first_report_at_or_after_it() {
    let mut rule = swift(1.0);
    assert_eq!(rule.marks, [2, 4, 8, 10, 16, 32, 40, 64].map(Resource));
    rule.enter(TrialId(0), &params(0.75));
    rule.reported(TrialId(0), Resource(1), Loss::new(7.0));
    rule.reported(TrialId(0), Resource(3), Loss::new(6.0));
    rule.reached(0, TrialId(0), Loss::new(5.0));
    rule.reported(TrialId(0), Resource(10), Loss::new(3.0));
    let course = &rule.courses[&TrialId(0)];
    assert_eq!(course.curve, [6.0, 5.0, 3.0, 3.0]);
    // The newest loss, its last two changes, and the params, of which `y` is not there.
    assert_eq!(course.input(4), [3.0, 0.0, -2.0, 0.75, 0.25, 0.5]);
    assert_eq!(course.input(1), [6.0, 0.75, 0.25, 0.5]);
}

#[test]
fn a_round_is_decided_before_its_end_or_not_at_all() {
    let at = |from, end, share| decision_point(Resource(from), Resource(end), share).map(|point| point.0);
    assert_eq!([at(0, 2, 0.5), at(2, 6, 0.5), at(6, 25, 0.5), at(25, 100, 0.5), at(0, 25, 0.5)], [1, 4, 16, 63, 13].map(Some));
    assert_eq!([at(0, 1, 0.5), at(3, 5, 0.9), at(7, 9, 1e-9)], [None, None, Some(8)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// However the members of a round come, as many go on as in Hyperband, and those on the last round all finish.
    #[test]
    fn populations_are_those_of_hyperband(xs in prop::collection::vec(0.0..1.0, 75), slots in 1_usize..20, share in 0.1..0.75) {
        let mut rule = Swift::new(&ladder(), &space(), share, 0.0);
        let trained = play(&mut rule, &xs, slots);
        let spec = SchedulerSpec::Hyperband { ladder: ladder() };
        let plans = spec.brackets(75);
        prop_assert_eq!(plans.len(), 9);
        let mut first = 0;
        for plan in plans {
            let members = &trained[first..first + plan.populations[0] as usize];
            for (rung, &population) in (plan.entry..).zip(&plan.populations).skip(1) {
                let below = ladder().resource(rung - 1).0;
                prop_assert_eq!(members.iter().filter(|&&trained| trained > below).count(), population as usize);
            }
            prop_assert!(members.iter().filter(|&&trained| trained > 16).all(|&trained| trained == 64));
            first += members.len();
        }
        prop_assert!(rule.courses.is_empty(), "curves are kept of those only who may go on");
        prop_assert!(trained.iter().map(|&trained| u64::from(trained)).sum::<u64>() <= spec.worst_resource(75));
        if slots == 1 {
            prop_assert!(trained.contains(&decision_point(Resource(0), Resource(4), share).unwrap().0), "somebody was stopped");
        }
    }
}
