//! Nobody is named as the one to blame whose result did nothing.
use super::*;

/// A bracket of 16 that ends with its sixth trial: one goes on, and not four. Nobody's result does that.
#[test]
fn who_is_out_because_no_more_trials_come_was_pushed_out_by_nobody() {
    let mut world = World::new(SweepSpec { budget: Budget { max_trials: Some(6), ..Budget::default() }, ..swift(Goal::Minimize) });
    world.join(ONE, 1, vec![]);
    fall(&mut world, 0, &[3.0, 2.0, 1.0, 7.0, 5.0, 6.0]);
    let of = |trial| story(&explained(&world, trial));
    assert_eq!(of(0)[2], "out: fewer than 4, no more come true: 3 is 3/5 at 4, quota 1 cutoff 1: out");
    assert_eq!(of(2)[2], "promoted to 16: 1 is 1/6 at 4, quota 1 cutoff 1: in");
    assert_eq!(of(3)[2], "out by 4 with 5: 7 is 5/5 at 4, quota 4 cutoff 5: out", "before that one did");
    assert!((0..3).all(|trial| !of(trial).iter().any(|told| told.starts_with("out by"))));
}

/// Who leads after the best has failed for good is not better than that was.
#[test]
fn the_best_that_fails_was_overtaken_by_nobody() {
    let mut world = one_by_one(spec(2), &[2.0]);
    world.suggest_all();
    world.report(1, 1, 1.0);
    for _ in 0..2 {
        let how = End::Failed { kind: FailureKind::Crash, message: "no".to_owned() };
        world.word(1, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how });
    }
    assert_eq!(world.state(1), State::Failed);
    let moments = explained(&world, 1).moments;
    assert!(moments.iter().any(|moment| moment.what == What::LostLead { by: None }), "{moments:?}");
}
