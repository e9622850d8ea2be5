//! Leases, from the driver's word to the words about them.
use super::*;

#[test]
fn a_lease_is_trained_from_spawn_to_reached() {
    let mut bench = Bench::burn(1);
    bench.now = 1_000;
    assert_eq!(bench.on(lease(4, 1, 0)), [spawn(&a_lease(4, 1, 0), None)]);
    bench.now = 1_300;
    assert_eq!(bench.said(0, FromTrainer::Ready), []);
    let started = About::Started { startup_ms: 300, restore_ms: 0 };
    assert_eq!(bench.said(0, FromTrainer::Started { startup_ms: 12, restore_ms: 0 }), [word(4, 1, 1, started)]);
    for resource in 1..=3 {
        assert_eq!(bench.said(0, report(resource)), [reported(4, 1, resource + 1, resource)]);
    }
    let reached = FromTrainer::Reached { resource: 3, checkpoint: Some(file(4, 1)), wrote_ms: 20 };
    let adopt = Output::Adopt { held: held(4, 1, 0), file: file(4, 1), optional: false };
    assert_eq!(bench.said(0, reached), [adopt]);
    let checkpoint = Some(Checkpoint { id: "ab12".to_owned(), resource: Resource(3), bytes: 100, wrote_ms: 20 });
    let about = About::Reached { resource: Resource(3), checkpoint };
    assert_eq!(bench.on(Input::Adopted { held: held(4, 1, 0), outcome: Ok(Some(stored())) }), [word(4, 1, 5, about)]);
}

#[test]
fn a_warm_trainer_takes_the_next_lease_on_its_standard_input() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.reaches(0);
    let line = ToTrainer::Start(start(&a_lease(1, 1, 0), None, false));
    assert_eq!(bench.on(lease(1, 1, 0)), [Output::Write { slot: 0, line }]);
}

#[test]
fn a_promoted_trial_continues_in_place() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.reaches(0);
    let line = ToTrainer::Start(start(&promoted(0, 2, true), None, true));
    assert_eq!(bench.on(Input::Driver(FromDriver::Lease(promoted(0, 2, true)))), [Output::Write { slot: 0, line }]);
}

#[test]
fn in_place_falls_back_to_the_checkpoint_if_the_trainer_has_died_meanwhile() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.reaches(0);
    assert_eq!(bench.exited(0, killed()), []);
    let restore = Output::Restore { held: held(0, 2, 0), id: "ab12".to_owned() };
    assert_eq!(bench.on(Input::Driver(FromDriver::Lease(promoted(0, 2, true)))), [restore]);
    bench.now += 50;
    let restored = Input::Restored { held: held(0, 2, 0), outcome: Ok("/store/ab12".into()) };
    assert_eq!(bench.on(restored), [spawn(&promoted(0, 2, false), Some("/store/ab12"))]);
    bench.now += 100;
    let started = About::Started { startup_ms: 93, restore_ms: 57 };
    assert_eq!(bench.said(0, FromTrainer::Started { startup_ms: 1, restore_ms: 7 }), [word(0, 2, 1, started)]);
}

#[test]
fn in_place_with_no_trainer_and_no_checkpoint_is_lost() {
    let mut bench = Bench::command(1);
    let lease = Lease { checkpoint: None, ..promoted(0, 2, true) };
    let out = bench.on(Input::Driver(FromDriver::Lease(lease)));
    assert_eq!(out, [discard(0, 2), ended(0, 2, 1, End::Lost)]);
}

#[test]
fn a_damaged_checkpoint_is_told() {
    let mut bench = Bench::burn(1);
    bench.on(Input::Driver(FromDriver::Lease(promoted(0, 2, false))));
    let out = bench.on(Input::Restored { held: held(0, 2, 0), outcome: Err(StoreFailure::File("the hash is wrong".to_owned())) });
    assert_eq!(out, [discard(0, 2), ended(0, 2, 1, failed(FailureKind::Checkpoint, "the hash is wrong"))]);
}

#[test]
fn a_lease_that_is_known_is_ignored_while_the_driver_will_still_hear_of_it_and_never_runs_again() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    assert_eq!(bench.on(lease(0, 1, 0)), []);
    bench.said(0, FromTrainer::Failed { kind: FailureKind::NotFinite, message: "nan".to_owned() });
    bench.exited(0, killed());
    assert_eq!(bench.on(lease(0, 1, 0)), []);
    bench.on(acknowledged(0, 1, 1));
    // Only a driver whose journal was put back leases it now. It must not wait for words that were said and forgotten.
    let over = ended(0, 1, 2, End::Preempted { checkpoint: None });
    assert_eq!(bench.on(lease(0, 1, 0)), [over]);
    assert_eq!(bench.on(lease(0, 1, 0)), [], "this is still to be heard");
    bench.on(acknowledged(0, 1, 2));
    assert!(matches!(bench.on(lease(0, 2, 0))[..], [Output::Write { .. } | Output::Spawn { .. }]), "the next one runs");
}

#[test]
fn a_newer_attempt_of_the_trial_on_another_slot_stops_the_older() {
    let mut bench = Bench::burn(2);
    bench.training(0);
    let newer = a_lease(0, 2, 1);
    let stop = Output::Write { slot: 0, line: ToTrainer::Stop };
    assert_eq!(bench.on(Input::Driver(FromDriver::Lease(newer.clone()))), [stop, spawn(&newer, None)]);
    assert_eq!(bench.said(0, FromTrainer::Stopped), [discard(0, 1), ended(0, 1, 1, End::Stopped)]);
    assert_eq!(bench.on(lease(0, 1, 0)), [], "an older attempt never runs again");
    bench.on(acknowledged(0, 1, 1));
    assert_eq!(bench.on(lease(0, 1, 0)), [ended(0, 1, 2, End::Preempted { checkpoint: None })]);
}

#[test]
fn a_lease_for_a_slot_that_is_not_free_yet_waits_until_the_process_is_dead() {
    let mut bench = Bench::command(1);
    bench.training(0);
    bench.reaches(0);
    // The program has said all and still runs: the next one does not share the slot with it.
    assert_eq!(bench.on(lease(1, 1, 0)), []);
    assert_eq!(bench.ticks(GRACE - 1), [Output::Send(FromWorker::Heartbeat)]);
    assert_eq!(bench.ticks(1), [Output::Kill { slot: 0 }]);
    assert_eq!(bench.ticks(GRACE), [Output::Send(FromWorker::Heartbeat)], "killed once");
    assert_eq!(bench.exited(0, killed()), [spawn(&a_lease(1, 1, 0), None)]);
}

#[test]
fn a_lease_that_waits_can_be_stopped() {
    let mut bench = Bench::command(1);
    bench.training(0);
    bench.reaches(0);
    bench.on(lease(1, 1, 0));
    assert_eq!(bench.on(Input::Driver(FromDriver::Stop(held(1, 1, 0)))), [ended(1, 1, 1, End::Stopped)]);
    assert_eq!(bench.exited(0, Exit { code: Some(0), ..Exit::default() }), []);
}

#[test]
fn a_slot_that_does_not_exist_is_refused() {
    let mut bench = Bench::burn(1);
    let why = failed(FailureKind::Protocol, "the worker has no slot 5");
    assert_eq!(bench.on(lease(0, 1, 5)), [ended(0, 1, 1, why)]);
}

#[test]
fn stop_is_answered_and_keeps_the_trainer_warm() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.said(0, report(1));
    let stop = Output::Write { slot: 0, line: ToTrainer::Stop };
    assert_eq!(bench.on(Input::Driver(FromDriver::Stop(attempt))), [stop]);
    assert_eq!(bench.on(Input::Driver(FromDriver::Stop(attempt))), [], "asked once");
    assert_eq!(bench.said(0, report(2)), [], "nothing it still says matters");
    assert_eq!(bench.said(0, FromTrainer::Stopped), [discard(0, 1), ended(0, 1, 2, End::Stopped)]);
    assert_eq!(bench.on(Input::Driver(FromDriver::Stop(attempt))), []);
    let line = ToTrainer::Start(start(&a_lease(1, 1, 0), None, false));
    assert_eq!(bench.on(lease(1, 1, 0)), [Output::Write { slot: 0, line }]);
}

#[test]
fn call_back_stores_the_state() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.said(0, report(1));
    let line = Output::Write { slot: 0, line: ToTrainer::CallBack };
    assert_eq!(bench.on(Input::Driver(FromDriver::CallBack(attempt))), [line]);
    assert_eq!(bench.said(0, report(2)), [reported(0, 1, 2, 2)]);
    let left = FromTrainer::Left { resource: 2, checkpoint: Some(file(0, 1)), wrote_ms: 3 };
    assert_eq!(bench.said(0, left), [Output::Adopt { held: attempt, file: file(0, 1), optional: false }]);
    let checkpoint = Some(Checkpoint { id: "ab12".to_owned(), resource: Resource(2), bytes: 100, wrote_ms: 3 });
    let out = bench.on(Input::Adopted { held: attempt, outcome: Ok(Some(stored())) });
    assert_eq!(out, [ended(0, 1, 3, End::Preempted { checkpoint })]);
}

#[test]
fn an_order_that_crosses_reached_changes_nothing_about_it() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    for resource in 1..=3 {
        bench.said(0, report(resource));
    }
    bench.on(Input::Driver(FromDriver::CallBack(attempt)));
    let reached = FromTrainer::Reached { resource: 3, checkpoint: None, wrote_ms: 0 };
    let about = About::Reached { resource: Resource(3), checkpoint: None };
    assert_eq!(bench.said(0, reached.clone()), [discard(0, 1), word(0, 1, 4, about)]);

    let attempt = bench.training(1);
    bench.on(Input::Driver(FromDriver::Stop(attempt)));
    assert_eq!(bench.said(0, reached), [discard(1, 1), ended(1, 1, 1, End::Stopped)]);
    let line = ToTrainer::Start(start(&a_lease(2, 1, 0), None, false));
    assert_eq!(bench.on(lease(2, 1, 0)), [Output::Write { slot: 0, line }]);
}
