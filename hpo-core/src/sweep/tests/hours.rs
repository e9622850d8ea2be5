//! Of training that was done twice exactly one pass is redone; what is taken back is not. All words are 10 ms apart.
use super::*;
use crate::ledger::Uses;

/// One trial of nine units in one lease, on one slot from 20 on, leased at 30.
fn nine() -> World {
    let scheduler = SchedulerSpec::Fifo { ladder: Ladder::single(Resource(9)).unwrap() };
    World::new(SweepSpec { scheduler, patience: Patience { retries: 9, lost_max: 9 }, ..spec(1) })
}

fn begun() -> World {
    let mut world = nine();
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world
}

fn reports(world: &mut World, units: std::ops::RangeInclusive<u32>) {
    units.for_each(|resource| drop(world.report(0, resource, 1.0)));
}

fn ends(world: &mut World, how: End) -> Vec<String> {
    world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how })
}

fn reached(world: &mut World, checkpoint: Option<Checkpoint>) {
    let resource = Resource(9);
    world.word(0, |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource, checkpoint });
}

fn failed(kind: FailureKind) -> End {
    End::Failed { kind, message: "why".to_owned() }
}

/// Training of the only trial that counts, and what was redone, in slot-milliseconds.
fn kept_and_redone(world: &World) -> (u64, u64) {
    let uses = world.sweep.view().uses;
    ((uses.winner + uses.stopped + uses.explored) / 1000, uses.redone / 1000)
}

fn held() -> Vec<Held> {
    vec![Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 }]
}

#[test]
fn training_that_was_lost_and_done_again_is_redone_once() {
    for how in [End::Lost, End::Preempted { checkpoint: None }, failed(FailureKind::Exit), failed(FailureKind::Hang)] {
        let mut world = begun();
        for attempt in 2..=3 {
            reports(&mut world, 1..=5);
            assert_eq!(ends(&mut world, how.clone()), [format!("lease 0.{attempt} 0..9 on 00000001/0")]);
        }
        assert_eq!(kept_and_redone(&world), (0, 120), "two attempts of sixty: {how:?}");
        reports(&mut world, 1..=9);
        reached(&mut world, None);
        assert_eq!(kept_and_redone(&world), (100, 120), "the third did it: {how:?}");
    }
}

#[test]
fn of_an_attempt_that_saved_less_than_it_reported_the_rest_is_redone_and_no_more() {
    let mut world = begun();
    reports(&mut world, 1..=5);
    ends(&mut world, End::Preempted { checkpoint: Some(checkpoint(0, 3)) });
    assert_eq!(kept_and_redone(&world), (30, 29), "and one for the state");
    reports(&mut world, 4..=9);
    reached(&mut world, None);
    assert_eq!(kept_and_redone(&world), (30 + 70, 29));
}

#[test]
fn where_a_state_cannot_be_used_what_is_done_again_is_redone_and_what_was_lost_on_the_way_is_not_counted_twice() {
    let mut world = begun();
    reports(&mut world, 1..=2);
    ends(&mut world, End::Preempted { checkpoint: Some(checkpoint(0, 2)) });
    reports(&mut world, 3..=4);
    ends(&mut world, End::Preempted { checkpoint: Some(checkpoint(0, 4)) });
    let before = kept_and_redone(&world);
    assert_eq!(before, (40, 18), "each time the ten after the last report, but one for the state");
    assert_eq!(ends(&mut world, failed(FailureKind::Checkpoint)), ["lease 0.4 2..9 on 00000001/0"]);
    reports(&mut world, 3..=6);
    ends(&mut world, End::Lost);
    assert_eq!(kept_and_redone(&world), (before.0, before.1 + 10 + 50), "all of what came to nothing");
    reports(&mut world, 3..=9);
    reached(&mut world, None);
    let after = kept_and_redone(&world);
    assert_eq!(after, (before.0 + 60, before.1 + 60 + 20), "units 3 and 4 had been done; the others are done now");
}

#[test]
fn what_is_taken_back_was_not_lost() {
    let mut world = begun();
    world.word(0, |trial, attempt, seq| Event::Started { trial, attempt, seq, startup_ms: 3, restore_ms: 2 });
    reports(&mut world, 1..=3); // until 70
    world.say(Event::WorkerLost { worker: ONE }); // at 80
    assert_eq!(kept_and_redone(&world), (0, 45));
    world.at += 1000;
    assert_eq!(world.join(ONE, 1, held()), Vec::<String>::new());
    assert_eq!(kept_and_redone(&world), (50, 0), "a lease in course counts as training");
    reports(&mut world, 4..=9);
    reached(&mut world, None);
    let uses = world.sweep.view().uses;
    assert_eq!((kept_and_redone(&world), uses.startup, uses.restore), ((45 + 70, 0), 3000, 2000), "{uses:?}");
    assert_eq!(uses.reserved, (60 + 70) * 1000, "outside of a task nothing is reserved while it is away");
}

/// It was cut off, and worked on: what it says when it is back tells of the time before.
#[test]
fn words_that_come_with_one_who_is_taken_back_are_counted_where_they_belong() {
    let mut world = nine();
    world.join_task(ONE, 0, 100_000, vec![]); // at 20
    world.suggest_all(); // at 30
    world.at += 50;
    world.say(Event::WorkerLost { worker: ONE }); // at 90
    world.at += 100;
    world.join_task(ONE, 180, 99_000, held()); // at 200
    world.word(0, |trial, attempt, seq| Event::Started { trial, attempt, seq, startup_ms: 15, restore_ms: 0 });
    for resource in 1..=9 {
        world.after = Some(15 + 10 * u64::from(resource));
        world.report(0, resource, 1.0);
    }
    world.after = Some(110);
    reached(&mut world, None); // at 310, and in truth at 140
    let uses = world.sweep.view().uses;
    let milli = |ms: u64| ms * 1000;
    assert_eq!(uses, Uses { reserved: milli(290), winner: milli(95), startup: milli(15), idle: milli(180), ..Uses::default() });
}

#[test]
fn one_who_had_done_all_before_it_was_thought_lost_waited_from_then_on() {
    let mut world = nine();
    world.join_task(ONE, 0, 100_000, vec![]); // at 20
    world.suggest_all(); // at 30
    reports(&mut world, 1..=8); // until 110
    for _ in 0..2 {
        world.at += 190;
        world.say(Event::WorkerLost { worker: ONE }); // at 310, and at 610
        world.at += 90;
        world.join_task(ONE, world.at - 10, 99_000, held()); // at 410, and at 710
    }
    world.after = Some(90);
    world.report(0, 9, 1.0); // at 720
    world.after = Some(100);
    reached(&mut world, Some(checkpoint(0, 9))); // at 730, and in truth at 130
    let uses = world.sweep.view().uses;
    let milli = |ms: u64| ms * 1000;
    assert_eq!(uses, Uses { reserved: milli(710), winner: milli(99), checkpoint: milli(1), idle: milli(610), ..Uses::default() });
}

#[test]
fn a_second_pass_is_redone_also_by_one_who_was_taken_back() {
    let scheduler = SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(3), Resource(9), 3).unwrap() };
    let mut world = World::new(SweepSpec { scheduler, ..spec(3) });
    world.join(ONE, 1, vec![]);
    for trial in 0..3 {
        world.suggest_all();
        (1..=3).for_each(|resource| drop(world.report(trial, resource, f64::from(trial))));
        let resource = Resource(3);
        world.word(trial, |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource, checkpoint: None });
    }
    // Promoted, and begun anew: 0.2 from 0 to 9.
    let before = kept_and_redone(&world);
    reports(&mut world, 1..=2);
    world.say(Event::WorkerLost { worker: ONE });
    assert_eq!(kept_and_redone(&world), (before.0, 30));
    world.join(ONE, 1, vec![Held { attempt: Attempt(2), ..held()[0] }]);
    reports(&mut world, 3..=9);
    reached(&mut world, None);
    assert_eq!(kept_and_redone(&world), (before.0 + 70, 30 + 10), "until the report of unit 3");
}

#[test]
fn a_worker_that_is_lost_before_it_returns_from_a_drivers_outage_has_cost_that_too() {
    let minute = 60_000;
    for holds in [vec![], held()] {
        let mut world = nine();
        world.join_task(ONE, 0, 100 * minute, vec![]); // at 20
        world.suggest_all();
        reports(&mut world, 1..=1); // at 40
        world.at += 9 * minute;
        world.say(Event::DriverStarted { epoch: 2 });
        world.at += minute / 2;
        world.say(Event::WorkerLost { worker: ONE });
        assert_eq!(world.sweep.view().uses.reserved, 20 * 1000, "until the first driver was last heard of");
        world.at += minute;
        world.join_task(ONE, world.at - 10, 80 * minute, holds.clone());
        let uses = world.sweep.view().uses;
        assert_eq!(uses.reserved, (world.at - 20) * 1000, "all the time since its task began");
        let (idle, taken_back) = (uses.idle / 1000, kept_and_redone(&world));
        if holds.is_empty() {
            assert_eq!((idle, taken_back), (world.at - 40 + 10, (0, 10)), "nobody knows what it did");
        } else {
            assert_eq!((idle, taken_back), (10, (world.at - 30, 0)), "it trained all along");
        }
    }
}
