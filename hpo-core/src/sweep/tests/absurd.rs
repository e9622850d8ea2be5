//! What no honest world says, and a journal may hold: it is refused, or coped with.
use super::*;

#[test]
fn a_slot_is_leased_only_after_this_driver_has_heard_of_its_worker() {
    let mut world = World::new(spec(4));
    world.join(ONE, 2, vec![]);
    world.suggest_all();
    world.say(Event::DriverStarted { epoch: 2 });
    // A word can only come from somebody else, for the worker has not said yet that it is there.
    world.report(0, 1, 0.5);
    let reached = |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource: Resource(1), checkpoint: None };
    let said = world.word(0, reached);
    assert!(said.iter().all(|said| !said.starts_with("lease")), "{said:?}");
    let said = world.join(ONE, 2, vec![Held { trial: TrialId(1), attempt: Attempt(1), slot: 1 }]);
    assert!(said.iter().any(|said| said.starts_with("suggest") || said.starts_with("lease")), "its slot is free now: {said:?}");
    world.sweep.check();
}

#[test]
fn time_stands_still_after_five_years_and_the_ledger_still_sums() {
    let mut world = World::new(spec(4));
    world.join(ONE, 2, vec![]);
    world.suggest_all();
    world.at = u64::MAX - 100;
    world.report(0, 1, 0.5);
    world.say(Event::DriverStarted { epoch: 2 });
    world.join(ONE, 2, vec![]);
    assert_eq!(world.sweep.now(), Stamp::LATEST);
    let view = world.sweep.view_at(Stamp(u64::MAX));
    assert!(view.uses.reserved <= 2 * 1000 * Stamp::LATEST.0, "{:?}", view.uses);
}

#[test]
fn workers_that_count_for_more_than_can_be_booked_are_refused() {
    let mut world = World::new(spec(4));
    let join = |worker, milli_gpus, slots: usize| {
        let slot = Slot { name: "gpu".to_owned(), milli_gpus };
        Event::WorkerJoined { worker, name: "host".to_owned(), slots: vec![slot; slots], holds: vec![], allocation: None, leaving: false }
    };
    assert_eq!(world.sweep.admit(&join(ONE, u32::MAX, 1)), Err(Rejection::Slots));
    world.say(join(ONE, 99_000_000, 1));
    assert_eq!(world.sweep.admit(&join(TWO, 1000, 1001)), Err(Rejection::Slots));
    world.say(join(TWO, 1000, 1000));
    assert_eq!(world.sweep.admit(&join(ONE, 99_000_000, 1)), Ok(()), "it is in the books already");
    world.say(Event::WorkerLeft { worker: ONE });
    world.say(join(WorkerId(3), 99_000_000, 1));
}
