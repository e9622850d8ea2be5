//! Synchronous rules through the whole sweep.
use super::*;
use crate::schedule::Anchor;

fn ladder(max: u32, eta: u32) -> Ladder {
    Ladder::anchored(Anchor::Top, Resource(1), Resource(max), eta).unwrap()
}

fn hyperband(max: u32, eta: u32) -> SchedulerSpec {
    SchedulerSpec::Hyperband { ladder: ladder(max, eta) }
}

fn halving(max: u32, eta: u32) -> SchedulerSpec {
    SchedulerSpec::Halving { ladder: ladder(max, eta), bracket: None }
}

/// Plays a sweep to its end on `slots` slots, of which any may be the next to finish. Returns the sweep, and how often a slot
/// had nothing to do while trials were still to come.
fn play(scheduler: SchedulerSpec, max_trials: u32, slots: u16) -> (Sweep, u32) {
    let mut world = World::new(SweepSpec { scheduler, ..spec(max_trials) });
    world.join(ONE, slots, vec![]);
    let (mut idle, mut chance) = (0, 1_u32);
    while world.sweep.finished().is_none() {
        world.suggest_all();
        idle += u32::from(world.sweep.may_ask() && !world.sweep.fleet.free().is_empty());
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (_, trial) = world.sweep.fleet.busy().nth((chance >> 8) as usize % world.sweep.fleet.live()).unwrap();
        let until = world.leases[&trial].0.until;
        // Ranks differ from rung to rung, ties are frequent.
        let loss = f64::from(trial.0.wrapping_mul(2_654_435_761).wrapping_add(until.0 * 97) % 50);
        world.report(trial.0, until.0, loss);
        let checkpoint = Some(checkpoint(trial.0, until.0));
        world.word(trial.0, |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource: until, checkpoint });
    }
    (world.sweep, idle)
}

#[test]
fn one_pass_of_hyperband_spends_exactly_the_epochs_of_the_oracles() {
    for (max, eta, epochs, configurations) in
        [(100, 2, 3213, 163), (300, 2, 15380, 608), (100, 3, 1944, 143), (100, 4, 1395, 98), (81, 3, 1581, 143)]
    {
        let spec = hyperband(max, eta);
        assert_eq!((spec.one_pass(), spec.worst_resource(configurations)), (Some(configurations), epochs), "R = {max}, eta = {eta}");
        for slots in [1, 3, 32] {
            let (sweep, _) = play(spec.clone(), configurations, slots);
            let view = sweep.view();
            assert_eq!((view.resource, view.trials.total), (epochs, configurations), "R = {max}, eta = {eta}, {slots} slots");
            assert_eq!(sweep.finished(), Some(EndReason::Complete));
            let left: u32 = sweep.trials().filter(|trial| trial.state == State::Paused && !trial.hopeless).count() as u32;
            assert_eq!((left, view.trials.finished + view.trials.paused), (0, configurations));
        }
    }
}

#[test]
fn a_waiting_rung_leaves_no_slot_idle_while_another_bracket_has_work() {
    for slots in [1, 2, 8, 40] {
        let (sweep, idle) = play(hyperband(27, 3), 3 * 49, slots);
        let worst = hyperband(27, 3).worst_resource(3 * 49);
        assert_eq!((idle, sweep.view().resource), (0, worst), "{slots} slots");
    }
    // Of halving the next bracket is another one, too.
    let spec = SchedulerSpec::Halving { ladder: ladder(27, 3), bracket: Some(27) };
    assert_eq!(play(spec, 4 * 27, 20).1, 0);
}

#[test]
fn who_is_promoted_on_the_slot_that_just_finished_it_goes_on_in_place() {
    let mut world = World::new(SweepSpec { scheduler: halving(4, 2), ..spec(4) });
    world.join(ONE, 1, vec![]);
    for trial in 0..3 {
        world.suggest_all();
        assert_eq!(world.finish_lease(trial, f64::from(9 - trial)), [format!("suggest {}", trial + 1)], "nobody goes on before all are in");
    }
    world.suggest_all();
    // The best of the rung was the last to come: its state is still in memory.
    let said = world.finish_lease(3, 1.0);
    assert_eq!(said.last().unwrap(), "lease 3.2 1..2 on 00000001/0 in place");
    assert_eq!(world.finish_lease(3, 5.0), ["lease 2.2 1..2 on 00000001/0"], "the other one is read from its checkpoint");
    // Now the rung is complete, and the second is the better of the two.
    assert_eq!(world.finish_lease(2, 4.0).last().unwrap(), "lease 2.3 2..4 on 00000001/0 in place");
    assert_eq!(world.finish_lease(2, 4.0).last().unwrap(), "finish: every trial has ended");
    assert_eq!(world.sweep.view().resource, 4 + 2 + 2);
}

#[test]
fn a_member_that_fails_does_not_stall_its_rung() {
    let mut world = World::new(SweepSpec { scheduler: halving(4, 2), patience: Patience { retries: 0, lost_max: 0 }, ..spec(4) });
    world.join(ONE, 4, vec![]);
    world.suggest_all();
    for trial in 0..2 {
        world.finish_lease(trial, f64::from(trial));
    }
    let how = End::Failed { kind: FailureKind::Crash, message: "no".to_owned() };
    world.word(2, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how });
    let said = world.say(Event::WorkerLost { worker: ONE });
    assert_eq!(said, Vec::<String>::new(), "the last one is lost for good; nobody is there to go on");
    assert_eq!((world.state(2), world.state(3)), (State::Failed, State::Failed));
    let said = world.join(TWO, 2, vec![]);
    assert_eq!(said, ["lease 0.2 1..2 on 00000002/0", "lease 1.2 1..2 on 00000002/1"]);
    world.finish_lease(1, 0.5);
    assert_eq!(world.finish_lease(0, f64::NAN), ["forget 0@1 0000-001", "lease 1.3 2..4 on 00000002/1 in place"]);
}

#[test]
fn a_searcher_that_ends_early_leaves_a_small_bracket_that_plays_to_its_end() {
    let mut world = World::new(SweepSpec { scheduler: halving(9, 3), ..spec(9) });
    world.join(ONE, 4, vec![]);
    for trial in 0..4 {
        world.say(Event::Suggested { trial: TrialId(trial), params: params(0.5), cost_us: 1 });
    }
    world.asked.clear();
    for trial in 0..4 {
        world.finish_lease(trial, f64::from(trial));
    }
    assert!(world.sweep.finished().is_none(), "four trials are asked for and may come");
    let said: Vec<String> = (4..8).flat_map(|trial| world.say(Event::Exhausted { trial: TrialId(trial) })).collect();
    assert_eq!(said.last().unwrap(), "lease 0.2 1..3 on 00000001/0 in place", "{said:?}");
    world.finish_lease(0, 0.0);
    assert_eq!(world.sweep.finished(), Some(EndReason::Complete));
}
