//! A rule that stops in mid-round, through the whole sweep.
use super::*;
use crate::schedule::Anchor;

/// On one slot: a first bracket of 16 that trains to 4, then to 16, with decisions at 2 and at 10.
fn world() -> World {
    let ladder = Ladder::anchored(Anchor::Top, Resource(4), Resource(64), 4).unwrap();
    let mut world = World::new(SweepSpec { scheduler: SchedulerSpec::Swift { ladder, decide_at: 0.5, margin: 1.0 }, ..spec(16) });
    world.join(ONE, 1, vec![]);
    world
}

#[test]
fn a_stop_in_mid_round_frees_the_slot_and_the_last_one_closes_the_rung() {
    let mut world = world();
    for trial in 0..8 {
        world.suggest_all();
        world.finish_lease(trial, f64::from(trial));
    }
    for trial in 8..16 {
        world.suggest_all();
        assert_eq!(world.report(trial, 1, 9.0), [] as [String; 0]);
        let said = world.report(trial, 2, 9.0);
        assert_eq!(world.state(trial), State::Stopped);
        if trial < 15 {
            assert_eq!(said, [format!("stop {trial}.1 on 00000001/0"), format!("suggest {}", trial + 1)]);
        } else {
            let best = "lease 0.2 4..16 on 00000001/0";
            assert_eq!((&*said[0], said.last().unwrap().as_str()), ("stop 15.1 on 00000001/0", best));
        }
    }
    for trial in 0..4 {
        world.finish_lease(trial, f64::from(trial));
    }
    world.finish_lease(0, 0.0);
    let view = world.sweep.view();
    assert_eq!((view.trials.stopped, view.resource), (8, 8 * 4 + 8 * 2 + 4 * 12 + 48));
    assert_eq!(world.sweep.finished(), Some(EndReason::Complete));
}
