//! What is never waited for without end, and what is blamed on no trial.
use super::*;

/// The last output: the end of the session, with its reason.
fn broken(out: &[Output]) -> &str {
    match out.last() {
        Some(Output::Exit(SessionEnd::Broken { why })) => why,
        _ => panic!("{out:?}"),
    }
}

#[test]
fn a_process_that_does_not_die_ends_the_worker() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.said(0, FromTrainer::Failed { kind: FailureKind::NotFinite, message: "nan".to_owned() });
    assert_eq!(bench.ticks(59_999), [Output::Send(FromWorker::Heartbeat)]);
    let why = "a trainer on slot 0 was killed and is not dead after 60 s";
    let out = bench.ticks(1);
    // Nothing is said about the attempt: only a proven death ends it.
    assert!(matches!(&out[..], [Output::Send(FromWorker::Goodbye { why: told }), Output::Exit(_)] if told == why), "{out:?}");
    assert_eq!(broken(&out), why);
}

#[test]
fn a_lease_does_not_wait_for_ever_for_the_process_before_it() {
    let mut bench = Bench::command(1);
    bench.training(0);
    bench.reaches(0);
    bench.on(lease(1, 1, 0));
    assert!(bench.ticks(GRACE).contains(&Output::Kill { slot: 0 }));
    let out = bench.ticks(60_000);
    assert_eq!(out[..2], [Output::Send(FromWorker::Leaving), ended(1, 1, 1, End::Preempted { checkpoint: None })]);
    let out = bench.on(acknowledged(1, 1, 1));
    assert!(broken(&out).contains("is not dead"), "{out:?}");
}

#[test]
fn a_store_that_does_not_answer_ends_the_worker_and_others_save_what_they_can() {
    let mut bench = Bench::burn(2);
    bench.on(Input::Driver(FromDriver::Lease(promoted(0, 2, false))));
    bench.on(lease(1, 1, 1));
    bench.said(1, FromTrainer::Ready);
    bench.ticks(STALL - 1);
    bench.said(1, report(1));
    let out = bench.ticks(1);
    let preempted = || End::Preempted { checkpoint: None };
    let call_back = Output::Write { slot: 1, line: ToTrainer::CallBack };
    assert_eq!(out[..4], [Output::Send(FromWorker::Leaving), discard(0, 2), ended(0, 2, 1, preempted()), call_back]);
    let left = FromTrainer::Left { resource: 1, checkpoint: Some(file(1, 1)), wrote_ms: 0 };
    assert!(matches!(bench.said(1, left)[..], [Output::Adopt { .. }]));
    bench.on(acknowledged(0, 2, 1));
    bench.on(acknowledged(1, 1, 1));
    // It does not take that state either.
    bench.ticks(STALL - 1);
    let out = bench.ticks(1);
    assert_eq!(broken(&out), "the checkpoint store has not given the state of trial 0 for 60.0 s (`stall`)");
}

#[test]
fn a_state_that_the_store_does_not_take_is_waited_for_as_long() {
    let mut bench = Bench::burn(1);
    bench.training(4);
    bench.said(0, report(3));
    bench.said(0, FromTrainer::Reached { resource: 3, checkpoint: Some(file(4, 1)), wrote_ms: 0 });
    bench.on(acknowledged(4, 1, 1));
    bench.ticks(STALL - 1);
    let out = bench.ticks(1);
    assert_eq!(broken(&out), "the checkpoint store has not taken the state of trial 4 for 60.0 s (`stall`)");
}

#[test]
fn a_store_that_cannot_be_read_ends_the_worker_and_blames_no_trial() {
    let mut bench = Bench::burn(1);
    bench.on(Input::Driver(FromDriver::Lease(promoted(0, 2, false))));
    let failure = StoreFailure::Store("cannot read the checkpoint: input/output error".to_owned());
    let out = bench.on(Input::Restored { held: held(0, 2, 0), outcome: Err(failure) });
    assert_eq!(out, [Output::Send(FromWorker::Leaving), discard(0, 2), ended(0, 2, 1, End::Preempted { checkpoint: None })]);
    assert!(broken(&bench.on(acknowledged(0, 2, 1))).contains("input/output error"));
}

#[test]
fn a_machine_that_starts_no_process_leaves_and_blames_no_trial() {
    let mut bench = Bench::command(1);
    bench.on(lease(0, 1, 0));
    let failure = SpawnFailure::Machine("cannot start `train`: out of processes".to_owned());
    let out = bench.on(Input::Trainer { slot: 0, event: TrainerEvent::NotSpawned(failure) });
    assert_eq!(out, [Output::Send(FromWorker::Leaving), discard(0, 1), ended(0, 1, 1, End::Preempted { checkpoint: None })]);
    assert!(broken(&bench.on(acknowledged(0, 1, 1))).contains("out of processes"));
}

#[test]
fn who_is_called_back_at_the_end_of_the_lease_has_reached_it() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.said(0, report(3));
    bench.on(Input::Driver(FromDriver::CallBack(attempt)));
    bench.said(0, FromTrainer::Left { resource: 3, checkpoint: Some(file(0, 1)), wrote_ms: 4 });
    let checkpoint = Some(Checkpoint { id: "ab12".to_owned(), resource: Resource(3), bytes: 100, wrote_ms: 4 });
    let about = About::Reached { resource: Resource(3), checkpoint };
    assert_eq!(bench.on(Input::Adopted { held: attempt, outcome: Ok(Some(stored())) }), [word(0, 1, 2, about)]);
    // Having left, it no longer holds the state in memory.
    let out = bench.on(Input::Driver(FromDriver::Lease(promoted(0, 2, true))));
    assert_eq!(out, [Output::Restore { held: held(0, 2, 0), id: "ab12".to_owned() }]);
}

#[test]
fn a_program_that_ends_well_after_its_last_report_has_reached_though_called_back() {
    let ends = |reports, code| {
        let mut bench = Bench::command(1);
        bench.on(lease(0, 1, 0));
        for resource in 1..=reports {
            bench.said(0, report(resource));
        }
        assert_eq!(bench.on(Input::Driver(FromDriver::CallBack(held(0, 1, 0)))), [Output::Terminate { slot: 0 }]);
        bench.exited(0, Exit { code: Some(code), ..Exit::default() })
    };
    assert_eq!(ends(3, 0), [Output::Adopt { held: held(0, 1, 0), file: file(0, 1), optional: true }]);
    assert_eq!(ends(2, 0), [discard(0, 1), ended(0, 1, 3, End::Preempted { checkpoint: None })]);
    assert_eq!(ends(3, 1), [discard(0, 1), ended(0, 1, 4, End::Preempted { checkpoint: None })]);
}

#[test]
fn no_figure_of_a_trainer_is_too_large() {
    let mut bench = Bench::burn(1);
    bench.on(Input::Driver(FromDriver::Lease(promoted(0, 2, false))));
    bench.now += 5;
    bench.on(Input::Restored { held: held(0, 2, 0), outcome: Ok("/store/ab12".into()) });
    let started = About::Started { startup_ms: 0, restore_ms: 5 };
    let said = FromTrainer::Started { startup_ms: u64::MAX, restore_ms: u64::MAX };
    assert_eq!(bench.said(0, said), [word(0, 2, 1, started)]);
}

#[test]
fn a_worker_with_nothing_to_tell_leaves_when_no_driver_runs() {
    let mut bench = Bench::burn(1);
    let dials = |out: Vec<Output>| matches!(out[..], [Output::Connect { .. }]);
    assert!(dials(bench.on(Input::NoDriver)));
    bench.now += 29_999;
    assert!(dials(bench.on(Input::NoDriver)));
    // A driver that was not reached is still a driver: the time begins anew.
    assert!(dials(bench.on(Input::Disconnected)));
    assert!(dials(bench.on(Input::NoDriver)));
    bench.now += 30_000;
    assert_eq!(bench.on(Input::NoDriver), [Output::Exit(SessionEnd::Deserted)]);

    // One that was never welcomed waits for its driver to come up, one that holds something for the next.
    let mut early = Bench::new(1);
    let mut busy = Bench::burn(1);
    busy.training(0);
    let mut telling = Bench::burn(1);
    telling.training(0);
    telling.said(0, FromTrainer::Failed { kind: FailureKind::NotFinite, message: "nan".to_owned() });
    telling.exited(0, killed());
    for bench in [&mut early, &mut busy, &mut telling] {
        for _ in 0..3 {
            assert!(dials(bench.on(Input::NoDriver)));
            bench.now += 30_000;
        }
    }
}

#[test]
fn a_worker_that_comes_after_the_end_leaves_at_once() {
    let why = || "max_trials".to_owned();
    let over = || Output::Exit(SessionEnd::Finished { why: why(), resumable: false });
    let mut early = Bench::new(1);
    assert_eq!(early.on(Input::SweepEnded { why: why() }), [over()]);
    // What one still has to say nobody will hear.
    let mut busy = Bench::burn(1);
    busy.training(0);
    busy.on(Input::Disconnected);
    busy.on(Input::SweepEnded { why: why() });
    assert!(busy.exited(0, killed()).contains(&over()));
}
