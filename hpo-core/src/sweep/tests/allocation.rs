//! Workers whose time is limited, and what it costs.
use super::*;
use crate::sweep::explain::{Explain, What};

#[test]
fn a_task_costs_from_its_start_and_no_time_twice() {
    let mut world = World::new(spec(4));
    world.at = 1000;
    world.join_task(ONE, 700, 100_000, vec![]);
    let reserved = |world: &World| world.sweep.view().uses.reserved;
    assert_eq!(reserved(&world), 700 * 1000, "since the task began");
    world.say(Event::WorkerLost { worker: ONE });
    let lost = reserved(&world);
    world.at += 500;
    world.join_task(ONE, 1300, 99_000, vec![]);
    assert_eq!(reserved(&world), lost + 510 * 1000, "the time in which it was thought lost, and none twice");
    // A task that is older than the sweep costs the sweep from the sweep's own beginning.
    world.join_task(TWO, 10_000_000, 99_000, vec![]);
    assert_eq!(reserved(&world), lost + 520 * 1000 + world.at * 1000);
}

#[test]
fn a_slot_that_leaves_before_a_state_could_be_saved_gets_no_lease_and_the_sweep_ends_nevertheless() {
    let mut world = World::new(spec(3));
    world.join_task(ONE, 0, 700, vec![]);
    world.suggest_all();
    world.at += 400;
    // Its first report came after 420 ms, and twice as long is not left.
    assert_eq!(world.finish_lease(0, 1.0), Vec::<String>::new(), "neither a lease nor a question");
    assert_eq!(world.sweep.idle(), [crate::sweep::idle::Idle::Spent { slots: 1 }]);
    assert_eq!(world.sweep.appetite(), 2, "two more trials are to come");
    assert_eq!(world.join_task(TWO, 0, 100_000, vec![]), ["suggest 1"]);
    world.suggest_all();
    assert_eq!(world.finish_lease(1, 2.0), ["suggest 2"]);
    world.suggest_all();
    let holds = |trial, attempt| vec![Held { trial: TrialId(trial), attempt: Attempt(attempt), slot: 0 }];
    world.join_task(TWO, 0, 1, holds(2, 1));
    world.finish_lease(2, 3.0);
    assert_eq!((world.sweep.finished(), world.state(0)), (None, State::Waiting), "trial 0 is to go on, where there is time");
    assert_eq!(world.join_task(THREE, 0, 100_000, vec![]), ["lease 0.2 1..3 on 00000003/0"]);
    world.join_task(THREE, 0, 1, holds(0, 2));
    let said = world.finish_lease(0, 1.0);
    assert_eq!(said.last().unwrap(), "finish: every trial has ended", "to see that, no slot with time is needed");
}

#[test]
fn after_one_slow_start_others_are_given_something_all_the_same() {
    let mut world = World::new(spec(3));
    world.join_task(ONE, 0, 10_000, vec![]);
    world.suggest_all();
    world.at += 9_000;
    assert_eq!(world.finish_lease(0, 1.0), Vec::<String>::new(), "here it is too late");
    // For twice as long as the first start took nobody will ever stay.
    assert_eq!(world.join_task(TWO, 0, 10_000, vec![]), ["suggest 1"]);
}

#[test]
fn a_worker_that_leaves_is_given_nothing_more_and_its_trial_goes_on_elsewhere() {
    let mut world = World::new(spec(3));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    assert_eq!(world.say(Event::WorkerLeaving { worker: ONE }), Vec::<String>::new());
    let how = End::Preempted { checkpoint: None };
    let said = world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how });
    assert_eq!(said, Vec::<String>::new(), "its slot is free, and takes nothing");
    assert_eq!(world.sweep.idle(), [crate::sweep::idle::Idle::Spent { slots: 1 }]);
    assert_eq!(world.join(TWO, 1, vec![]), ["lease 0.2 0..1 on 00000002/0"]);
    world.say(Event::WorkerLeft { worker: ONE });
    assert_eq!(world.sweep.view().attempts.preempted, 1, "once, and not again by the goodbye");
}

/// It had no link when it was called away: its first word is that it is back.
#[test]
fn a_worker_that_comes_back_while_it_leaves_is_given_nothing_not_even_by_its_coming() {
    let mut world = World::new(spec(3));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.say(Event::WorkerLost { worker: ONE });
    let slots = vec![Slot { name: "cpu core".to_owned(), milli_gpus: 0 }];
    let name = "host".to_owned();
    let back = Event::WorkerJoined { worker: ONE, name, slots, holds: vec![], allocation: None, leaving: true };
    assert_eq!(world.say(back), Vec::<String>::new());
    assert_eq!(world.sweep.idle(), [crate::sweep::idle::Idle::Spent { slots: 1 }]);
    assert_eq!(world.join(TWO, 1, vec![]), ["lease 0.2 0..1 on 00000002/0"]);
}

/// A driver that takes over knows from the journal that the worker leaves, and what the worker says when it comes counts.
#[test]
fn a_worker_that_comes_back_without_leaving_is_given_leases_again() {
    let mut world = World::new(spec(3));
    world.join(ONE, 1, vec![]);
    world.say(Event::WorkerLeaving { worker: ONE });
    assert_eq!(world.suggest_all(), Vec::<String>::new());
    assert_eq!(world.join(ONE, 1, vec![]), ["lease 0.1 0..1 on 00000001/0"]);
}

#[test]
fn a_task_whose_time_is_prolonged_works_on() {
    let mut world = World::new(spec(3));
    world.join_task(ONE, 0, 700, vec![]);
    world.suggest_all();
    world.at += 400;
    world.finish_lease(0, 1.0);
    assert_eq!(world.join_task(ONE, 420, 100_000, vec![]), ["suggest 1"]);
}

#[test]
fn a_sweep_says_how_many_slots_it_can_use_until_none() {
    let mut world = World::new(spec(6));
    assert_eq!(world.sweep.appetite(), 6, "all that may start");
    world.join(ONE, 2, vec![]);
    assert_eq!(world.sweep.appetite(), 6);
    world.suggest_all();
    assert_eq!(world.sweep.appetite(), 6, "two run, four are to come");
    for trial in 0..4 {
        world.finish_lease(trial, f64::from(trial));
        world.suggest_all();
    }
    let running = |world: &World| world.sweep.view().slots.busy;
    while world.sweep.finished().is_none() {
        let appetite = world.sweep.appetite();
        assert!(appetite >= running(&world).max(1) && appetite <= 6, "{appetite}");
        if running(&world) == 1 {
            assert_eq!(appetite, 1, "the other slot is free: nobody needs it");
        }
        let next = world.leases.keys().next().unwrap().0;
        world.finish_lease(next, f64::from(next));
        world.suggest_all();
    }
    assert_eq!(world.sweep.appetite(), 0);
}

/// Trials of one lease of four units, by a program that saves its state at the end of it.
fn saved_at_the_end(trials: u32) -> World {
    World::new(SweepSpec { scheduler: SchedulerSpec::Fifo { ladder: Ladder::single(Resource(4)).unwrap() }, ..spec(trials) })
}

/// The trial's worker leaves, after two units of three seconds each.
fn called_back_half_way(world: &mut World, trial: u32) -> Vec<String> {
    for resource in 1..=2 {
        world.at += 3_000;
        world.report(trial, resource, 1.0);
    }
    let State::Leased { slot } = world.state(trial) else { panic!("it runs") };
    world.say(Event::WorkerLeaving { worker: slot.worker });
    world.word(trial, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Preempted { checkpoint: None } })
}

#[test]
fn a_lease_of_which_nothing_was_saved_is_begun_again_only_where_there_is_time_for_all_of_it() {
    let mut world = saved_at_the_end(2);
    world.join_task(ONE, 0, 8_000, vec![]);
    world.join_task(TWO, 0, 100_000, vec![]);
    world.suggest_all();
    assert_eq!(called_back_half_way(&mut world, 0), Vec::<String>::new(), "it takes twelve seconds");
    assert_eq!(world.join_task(THREE, 0, 10_000, vec![]), Vec::<String>::new());
    assert_eq!(world.sweep.idle()[0], crate::sweep::idle::Idle::Spent { slots: 2 });
    assert_eq!(world.sweep.appetite(), 3, "one that runs, one that waits, and one that is in vain");
    assert_eq!(world.finish_lease(1, 1.0), ["lease 0.2 0..4 on 00000002/0"], "where it has 94 seconds");
    assert_eq!(world.finish_lease(0, 1.0), ["finish: every trial has ended"]);
}

#[test]
fn where_no_slot_ever_stays_for_a_whole_lease_the_trial_fails_and_says_so() {
    let mut world = saved_at_the_end(1);
    for attempt in 1..=3 {
        assert_eq!(world.sweep.finished(), None);
        let said = world.join_task(WorkerId(attempt << 96), 0, 10_000, vec![]);
        assert_eq!(said.len(), 1, "{said:?}: there is no slot that would stay longer");
        world.suggest_all();
        called_back_half_way(&mut world, 0);
        world.say(Event::WorkerLeft { worker: WorkerId(attempt << 96) });
    }
    let said = world.sweep.trial(TrialId(0)).unwrap().failure.clone().unwrap();
    assert!(said.contains("which takes about 13 s, and workers stay for 10 s at most"), "{said}");
    assert_eq!(world.state(0), State::Failed);
    assert_eq!(world.sweep.finished(), Some(EndReason::Complete));
    let (mut again, mut explain, mut out) = (Sweep::new(world.sweep.spec().clone()), Explain::new(TrialId(0)), vec![]);
    for (at, event) in &world.history {
        out.clear();
        again.apply(*at, event, &mut out);
        explain.saw(&again, *at, event, &out);
    }
    let told = explain.finish(&again).unwrap().moments;
    let failed = told.iter().filter(|moment| matches!(&moment.what, What::Failed { message, for_good: true, .. } if *message == said));
    assert_eq!(failed.count(), 1, "`hpo why` tells it");
}

#[test]
fn a_preemption_before_its_time_is_never_a_failure_and_a_state_that_was_saved_starts_anew() {
    let mut world = saved_at_the_end(1);
    for round in 1..=20 {
        let worker = WorkerId(round << 96);
        world.join_task(worker, 0, 60_000, vec![]);
        world.suggest_all();
        called_back_half_way(&mut world, 0);
        world.say(Event::WorkerLeft { worker });
        assert_eq!(world.state(0), State::Waiting, "it had six seconds of sixty");
    }
    world.join_task(ONE, 0, 60_000, vec![]);
    world.report(0, 1, 1.0);
    let how = End::Preempted { checkpoint: Some(checkpoint(0, 1)) };
    let said = world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how });
    assert_eq!(said, ["lease 0.22 1..4 on 00000001/0"], "on any slot");
}
