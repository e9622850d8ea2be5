//! The driver goes away and comes back: nothing is lost, nothing is said twice to effect, and training goes on.
use super::*;

#[test]
fn words_wait_for_the_driver_and_are_said_again_in_order_until_acknowledged() {
    let mut bench = Bench::burn(2);
    let first = bench.training(0);
    bench.on(lease(1, 1, 1));
    bench.said(0, report(1));
    bench.said(1, report(1));
    bench.said(0, report(2));
    assert_eq!(bench.on(acknowledged(0, 1, 1)), []);

    assert!(matches!(bench.on(Input::Disconnected)[..], [Output::Connect { .. }]));
    assert_eq!(bench.said(0, report(3)), [], "training goes on");
    assert_eq!(bench.on(Input::Connected), [hello(&[first, held(1, 1, 1)], "sweep", 2)]);
    assert_eq!(bench.said(1, report(2)), [], "nothing is said before the welcome");
    let again = [reported(1, 1, 1, 1), reported(0, 1, 2, 2), reported(0, 1, 3, 3), reported(1, 1, 2, 2)];
    assert_eq!(bench.on(welcome(&burn_job())), again);

    // The answer was lost with the connection: all of it once more, then no more.
    bench.on(Input::Disconnected);
    bench.on(Input::Connected);
    assert_eq!(bench.on(welcome(&burn_job())), again);
    bench.on(acknowledged(0, 1, 3));
    bench.on(acknowledged(1, 1, 2));
    bench.on(Input::Disconnected);
    bench.on(Input::Connected);
    assert_eq!(bench.on(welcome(&burn_job())), []);
}

#[test]
fn a_word_that_is_said_late_tells_when_it_became_true() {
    let mut bench = Bench::burn(1);
    bench.now = 1_000;
    bench.training(0);
    bench.now = 1_700;
    bench.said(0, report(1));
    assert_eq!(bench.after, Some(700));
    bench.on(Input::Disconnected);
    bench.now = 90_000;
    bench.on(Input::Connected);
    bench.on(welcome(&burn_job()));
    assert_eq!(bench.after, Some(700), "however late");
}

#[test]
fn an_attempt_is_held_until_its_last_word_is_acknowledged() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.said(0, report(3));
    bench.said(0, FromTrainer::Reached { resource: 3, checkpoint: None, wrote_ms: 0 });
    bench.on(Input::Disconnected);
    assert_eq!(bench.on(Input::Connected), [hello(&[attempt], "sweep", 1)]);
    bench.on(welcome(&burn_job()));
    bench.on(acknowledged(0, 1, 2));
    bench.on(Input::Disconnected);
    assert_eq!(bench.on(Input::Connected), [hello(&[], "sweep", 1)]);
}

#[test]
fn tries_are_spread_and_never_further_apart_than_the_cap() {
    let mut bench = Bench::new(1);
    let mut waits = Vec::new();
    for _ in 0..40 {
        match bench.on(Input::Disconnected)[..] {
            [Output::Connect { after_ms }] => waits.push(after_ms),
            ref other => panic!("{other:?}"),
        }
    }
    assert!((50..=100).contains(&waits[0]) && (100..=200).contains(&waits[1]), "{waits:?}");
    assert!(waits[10..].iter().all(|wait| (7_500..=15_000).contains(wait)), "{waits:?}");
    assert!(waits[10..].windows(2).any(|pair| pair[0] != pair[1]), "{waits:?}");

    // A welcome ends the doubling.
    bench.on(Input::Connected);
    bench.on(welcome(&burn_job()));
    assert!(matches!(bench.on(Input::Disconnected)[..], [Output::Connect { after_ms: 50..=100 }]));
}

#[test]
fn a_new_driver_is_found_before_the_lease_that_it_gives_runs_out() {
    let mut bench = Bench::new(1);
    bench.on(Input::Connected);
    bench.on(welcome_for(6_000, &burn_job()));
    for _ in 0..40 {
        let out = bench.on(Input::Disconnected);
        assert!(matches!(out[..], [Output::Connect { after_ms: 50..=2_000 }]), "{out:?}");
    }
    bench.on(Input::Connected);
    assert_eq!(bench.ticks(5_999), []);
    assert!(matches!(bench.ticks(1)[..], [Output::Connect { .. }]), "a greeting is not waited for any longer, either");
}

#[test]
fn a_driver_that_misses_its_heartbeats_is_dialled_again() {
    let mut bench = Bench::new(1);
    bench.on(Input::Connected);
    bench.on(welcome_for(6_000, &burn_job()));
    let attempt = bench.training(0);
    bench.now += 2_900;
    bench.on(Input::Driver(FromDriver::Heartbeat));
    assert_eq!(bench.ticks(2_999), [Output::Send(FromWorker::Heartbeat)]);
    assert!(matches!(bench.ticks(1)[..], [Output::Connect { .. }]));
    assert_eq!(bench.on(Input::Connected), [hello(&[attempt], "sweep", 1)]);
}

#[test]
fn a_driver_that_does_not_answer_the_greeting_is_dropped() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.on(Input::Connected), [hello(&[], "", 1)]);
    assert_eq!(bench.ticks(29_999), []);
    assert!(matches!(bench.ticks(1)[..], [Output::Connect { .. }]));
}

#[test]
fn heartbeats_are_said_only_when_nothing_else_is() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    assert_eq!(bench.ticks(499), []);
    bench.said(0, report(1));
    assert_eq!(bench.ticks(499), []);
    assert_eq!(bench.ticks(1), [Output::Send(FromWorker::Heartbeat)]);
    bench.on(Input::Disconnected);
    assert_eq!(bench.ticks(5_000), []);
}

#[test]
fn trainers_are_not_heard_while_too_many_words_wait() {
    let mut bench = Bench::command(1);
    let mut long = a_lease(0, 1, 0);
    long.until = Resource(100);
    bench.on(Input::Driver(FromDriver::Lease(long)));
    bench.on(Input::Disconnected);
    for resource in 1..=9 {
        assert_eq!(bench.said(0, report(resource)), []);
    }
    assert_eq!(bench.said(0, report(10)), [Output::Pause { slot: 0, paused: true }]);
    // Lines that were on their way are kept as well: none is ever dropped.
    assert_eq!(bench.said(0, report(11)), []);
    assert_eq!(bench.ticks(STALL * 2), [], "silence that we asked for is no hang");
    bench.on(Input::Connected);
    assert_eq!(bench.on(welcome(&command_job())).len(), 11);
    assert_eq!(bench.on(acknowledged(0, 1, 11)), [Output::Pause { slot: 0, paused: false }]);
    assert_eq!(bench.ticks(STALL - 1), [Output::Send(FromWorker::Heartbeat)]);
    assert_eq!(bench.ticks(1), [Output::Kill { slot: 0 }]);
}

#[test]
fn a_trainer_that_is_asked_to_leave_is_heard_even_then() {
    let mut bench = Bench::command(1);
    let mut long = a_lease(0, 1, 0);
    long.until = Resource(100);
    bench.on(Input::Driver(FromDriver::Lease(long)));
    bench.said(0, FromTrainer::Ready);
    for resource in 1..=10 {
        bench.said(0, report(resource));
    }
    let out = bench.on(Input::Notice);
    let (leaving, call_back) = (Output::Send(FromWorker::Leaving), Output::Write { slot: 0, line: ToTrainer::CallBack });
    assert_eq!(out, [leaving, call_back, Output::Pause { slot: 0, paused: false }]);
}

#[test]
fn a_driver_of_another_sweep_ends_the_worker() {
    let mut bench = Bench::burn(1);
    bench.on(Input::Disconnected);
    bench.on(Input::Connected);
    let end = SessionEnd::OtherSweep { ours: "sweep".to_owned(), theirs: "other".to_owned() };
    assert_eq!(bench.on(welcome_to("other", &burn_job())), [Output::Exit(end)]);
    assert_eq!(bench.ticks(1_000_000), [], "it is over");
}

#[test]
fn a_job_that_is_not_understood_ends_the_worker() {
    let mut bench = Bench::new(1);
    bench.on(Input::Connected);
    let job = r#"{"trainable":{"kind":"quantum"}}"#.to_owned();
    let welcome = Welcome { sweep: "sweep".to_owned(), heartbeat_ms: 1, lease_ms: 1, job, epoch: 1 };
    let out = bench.on(Input::Driver(FromDriver::Welcome(welcome)));
    assert!(matches!(&out[..], [Output::Exit(SessionEnd::BadJob { why })] if why.contains("quantum")), "{out:?}");
}

#[test]
fn a_driver_of_a_lower_epoch_than_one_that_was_heard_is_refused() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.said(0, report(1));
    bench.on(Input::Disconnected);
    bench.on(Input::Connected);
    assert_eq!(bench.on(welcome_by(3, "sweep", &burn_job())), [reported(0, 1, 1, 1)], "the successor hears what waits");
    bench.on(Input::Disconnected);
    bench.on(Input::Connected);
    // The rendezvous that was read is old, or the old driver has just come back.
    assert!(matches!(bench.on(welcome_by(2, "sweep", &burn_job()))[..], [Output::Connect { .. }]), "it hears nothing");
    for late in [acknowledged(0, 1, 1), lease(9, 1, 0)] {
        assert_eq!(bench.on(late), [], "what it says is not heard");
    }
    assert_eq!(bench.on(Input::Driver(FromDriver::Finish { why: "over".to_owned(), resumable: false })), []);
    assert_eq!(bench.said(0, report(2)), [], "training goes on");
    bench.on(Input::Connected);
    let both = [reported(0, 1, 1, 1), reported(0, 1, 2, 2)];
    assert_eq!(bench.on(welcome_by(3, "sweep", &burn_job())), both, "nothing of it was taken for safe");
}

#[test]
fn a_worker_that_stood_still_says_so_at_once() {
    let mut bench = Bench::burn(1);
    assert_eq!(bench.on(Input::Woke), [Output::Send(FromWorker::Heartbeat)]);
    bench.on(Input::Disconnected);
    assert_eq!(bench.on(Input::Woke), []);
}
