//! A sweep whose every trial fails at its start ends early, and nobody else's does.
use super::*;

fn doubtful() -> SweepSpec {
    let budget = Budget { max_trials: Some(40), setup_failures: Some(2), ..Budget::default() };
    SweepSpec { budget, patience: Patience { retries: 0, lost_max: 2 }, ..spec(40) }
}

fn fail(world: &mut World, trial: u32) -> Vec<String> {
    let how = End::Failed { kind: FailureKind::Setup, message: "no such file".to_owned() };
    world.word(trial, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how })
}

#[test]
fn two_that_fail_one_after_the_other_end_it() {
    let mut world = World::new(doubtful());
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    assert_eq!(fail(&mut world, 0), ["suggest 1"]);
    world.suggest_all();
    assert_eq!(fail(&mut world, 1), ["finish: every trial failed at its start"]);
    assert_eq!(world.sweep.finished(), Some(EndReason::NothingStarts));
}

#[test]
fn those_that_still_run_are_waited_for_and_a_report_ends_the_doubt() {
    for reports in [true, false] {
        let mut world = World::new(doubtful());
        world.join(ONE, 3, vec![]);
        world.suggest_all();
        fail(&mut world, 0);
        assert_eq!(fail(&mut world, 1), Vec::<String>::new(), "trial 2 may yet begin well");
        // What was asked for before comes, and waits.
        assert_eq!(world.suggest_all(), Vec::<String>::new());
        assert!(world.sweep.idle().contains(&idle::Idle::Doubt { failed: 2 }));
        if reports {
            assert_eq!(world.report(2, 1, 1.0), ["lease 3.1 0..1 on 00000001/0", "suggest 4"]);
            world.suggest_all();
            fail(&mut world, 3);
            assert_eq!(world.sweep.finished(), None, "one has reported: the others fail for themselves");
        } else {
            // An interrupted trial has not failed, and is tried again.
            world.word(2, |trial, attempt, seq| Event::Ended {
                trial,
                attempt,
                seq,
                after_ms: None,
                how: End::Preempted { checkpoint: None },
            });
            assert!(matches!(world.state(2), State::Leased { .. }));
            assert_eq!(fail(&mut world, 2), ["finish: every trial failed at its start"]);
        }
    }
}

#[test]
fn a_sweep_of_before_has_no_such_rule() {
    let text = serde_json::to_string(&spec(3).budget).unwrap();
    assert_eq!(text, r#"{"max_trials":3}"#);
    let mut world = World::new(SweepSpec { patience: Patience { retries: 0, lost_max: 2 }, ..spec(30) });
    world.join(ONE, 1, vec![]);
    for trial in 0..29 {
        world.suggest_all();
        assert_eq!(fail(&mut world, trial), [format!("suggest {}", trial + 1)]);
    }
}
