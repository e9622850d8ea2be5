//! How a worker ends.
use super::*;

/// Nothing more is to be leased to it.
const LEAVING: Output = Output::Send(FromWorker::Leaving);

fn goodbye(why: &str) -> Output {
    Output::Send(FromWorker::Goodbye { why: why.to_owned() })
}

fn finish(resumable: bool) -> Input {
    Input::Driver(FromDriver::Finish { why: "done".to_owned(), resumable })
}

#[test]
fn a_notice_saves_the_states_and_waits_until_the_driver_has_the_words() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.said(0, report(1));
    assert_eq!(bench.on(Input::Notice), [LEAVING, Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    assert_eq!(bench.on(Input::Notice), [], "once is enough");
    bench.said(0, FromTrainer::Left { resource: 1, checkpoint: Some(file(0, 1)), wrote_ms: 2 });
    let checkpoint = Some(Checkpoint { id: "ab12".to_owned(), resource: Resource(1), bytes: 100, wrote_ms: 2 });
    let out = bench.on(Input::Adopted { held: attempt, outcome: Ok(Some(stored())) });
    assert_eq!(out, [ended(0, 1, 2, End::Preempted { checkpoint })]);
    // A lease that was on its way is given back by the goodbye: an answer would free the slot, and bring it here again.
    assert_eq!(bench.on(lease(1, 1, 0)), []);
    let out = bench.on(acknowledged(0, 1, 2));
    assert_eq!(out, [goodbye("this machine is taken away"), Output::Exit(SessionEnd::Preempted)]);
}

/// A worker that was called away while the driver was not there says so in its first word: nothing is leased to it before.
#[test]
fn a_driver_that_comes_to_a_worker_that_leaves_is_told_at_once() {
    let mut bench = Bench::burn(1);
    bench.on(task(Some(50_000)));
    let attempt = bench.training(0);
    bench.on(Input::Disconnected);
    assert_eq!(bench.on(Input::Notice), [Output::Write { slot: 0, line: ToTrainer::CallBack }], "nobody hears it");
    bench.said(0, FromTrainer::Left { resource: 0, checkpoint: None, wrote_ms: 0 });
    let hello = bench.on(Input::Connected);
    let Output::Send(FromWorker::Hello(hello)) = &hello[0] else { panic!("{hello:?}") };
    assert!(hello.leaving);
    assert_eq!(hello.allocation.as_ref().and_then(|allocation| allocation.ends_in_ms), Some(50_000), "its task has time");
    assert_eq!(bench.on(welcome(&burn_job())), [ended(0, 1, 1, End::Preempted { checkpoint: None })], "that is not said again");
    assert_eq!(attempt, held(0, 1, 0));
}

#[test]
fn a_worker_that_is_called_away_between_its_hello_and_the_welcome_says_so_then() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.on(Input::Disconnected);
    let hello = bench.on(Input::Connected);
    assert!(matches!(&hello[0], Output::Send(FromWorker::Hello(Hello { leaving: false, .. }))), "{hello:?}");
    assert_eq!(bench.on(Input::Notice), [Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    assert_eq!(bench.on(welcome(&burn_job())), [LEAVING]);
}

#[test]
fn a_notice_does_not_wait_for_ever() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.on(Input::Disconnected);
    assert_eq!(bench.on(Input::Notice), [Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    assert_eq!(bench.ticks(GRACE), [Output::Kill { slot: 0 }]);
    assert_eq!(bench.exited(0, killed()), [discard(0, 1)]);
    assert!(bench.on(Input::Disconnected).iter().all(|output| matches!(output, Output::Connect { .. })), "it still tries");
    assert_eq!(bench.ticks(9_999), []);
    assert_eq!(bench.ticks(1), [Output::Exit(SessionEnd::Preempted)]);
    assert_eq!(attempt, held(0, 1, 0));
}

#[test]
fn a_notice_with_nothing_to_save_ends_at_once() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.on(Input::Notice), [Output::Exit(SessionEnd::Preempted)]);
    let mut bench = Bench::burn(1);
    assert_eq!(bench.on(Input::Notice), [goodbye("this machine is taken away"), Output::Exit(SessionEnd::Preempted)]);
}

#[test]
fn finish_stops_what_runs_or_saves_it_if_the_sweep_can_go_on() {
    let end = |resumable| SessionEnd::Finished { why: "done".to_owned(), resumable };
    let mut bench = Bench::burn(1);
    bench.training(0);
    assert_eq!(bench.on(finish(false)), [Output::Write { slot: 0, line: ToTrainer::Stop }]);
    assert_eq!(bench.said(0, FromTrainer::Stopped), [discard(0, 1), ended(0, 1, 1, End::Stopped)]);
    assert_eq!(bench.on(acknowledged(0, 1, 1)), [goodbye("done"), Output::Exit(end(false))]);

    let mut bench = Bench::burn(1);
    bench.training(0);
    assert_eq!(bench.on(finish(true)), [Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    // The driver is gone for good: nobody is waited for.
    assert_eq!(bench.on(Input::Disconnected), []);
    let left = FromTrainer::Left { resource: 0, checkpoint: None, wrote_ms: 0 };
    assert_eq!(bench.said(0, left), [discard(0, 1), Output::Exit(end(true))]);
}

#[test]
fn finish_after_a_notice_ends_the_wait_for_the_driver() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    assert_eq!(bench.on(Input::Notice), [LEAVING, Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    assert_eq!(bench.on(finish(true)), [], "it was asked already");
    let left = FromTrainer::Left { resource: 0, checkpoint: None, wrote_ms: 0 };
    assert_eq!(bench.said(0, left), [discard(0, 1), ended(0, 1, 1, End::Preempted { checkpoint: None })]);
    let end = SessionEnd::Finished { why: "done".to_owned(), resumable: true };
    assert_eq!(bench.on(Input::Disconnected), [Output::Exit(end)]);
}

#[test]
fn a_driver_that_stays_away_is_given_up_and_the_states_are_saved() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.said(0, report(1));
    bench.on(Input::Disconnected);
    bench.now += 590_000;
    bench.said(0, report(2));
    assert_eq!(bench.ticks(9_999), []);
    assert_eq!(bench.ticks(1), [Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    bench.said(0, FromTrainer::Left { resource: 2, checkpoint: Some(file(0, 1)), wrote_ms: 2 });
    let out = bench.on(Input::Adopted { held: attempt, outcome: Ok(Some(stored())) });
    assert_eq!(out, [Output::Exit(SessionEnd::Orphaned { away_ms: 600_000, words: 3 })]);
}

#[test]
fn a_driver_that_comes_back_in_the_last_moment_finds_its_worker() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.on(Input::Disconnected);
    bench.now = 600_000 - STALL;
    bench.said(0, report(1));
    bench.now = 600_000 - 1;
    bench.said(0, report(2));
    assert_eq!(bench.ticks(1), [Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    bench.on(Input::Connected);
    assert_eq!(bench.on(welcome(&burn_job())), [reported(0, 1, 1, 1), reported(0, 1, 2, 2)]);
    bench.said(0, FromTrainer::Left { resource: 2, checkpoint: Some(file(0, 1)), wrote_ms: 2 });
    bench.on(Input::Adopted { held: attempt, outcome: Ok(Some(stored())) });
    let line = ToTrainer::Start(start(&a_lease(1, 1, 0), None, false));
    assert_eq!(bench.on(lease(1, 1, 0)), [Output::Write { slot: 0, line }], "it works on");
}

#[test]
fn a_store_that_takes_nothing_ends_the_worker_and_blames_no_trial() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.said(0, report(3));
    bench.said(0, FromTrainer::Reached { resource: 3, checkpoint: Some(file(0, 1)), wrote_ms: 0 });
    let full = Err(StoreFailure::Store("the disk is full".to_owned()));
    let out = bench.on(Input::Adopted { held: attempt, outcome: full });
    assert_eq!(out, [LEAVING, discard(0, 1), ended(0, 1, 2, End::Preempted { checkpoint: None })]);
    let out = bench.on(acknowledged(0, 1, 2));
    assert_eq!(out, [goodbye("the disk is full"), Output::Exit(SessionEnd::Broken { why: "the disk is full".to_owned() })]);
}

#[test]
fn a_trainer_that_cannot_save_ends_the_worker_and_blames_no_trial_either() {
    let unsaved = || FromTrainer::Unsaved { message: "the disk is full".to_owned() };
    let mut bench = Bench::burn(1);
    bench.training(0);
    let out = bench.said(0, unsaved());
    assert_eq!(out, [LEAVING, discard(0, 1), ended(0, 1, 1, End::Preempted { checkpoint: None })]);
    let out = bench.on(acknowledged(0, 1, 1));
    assert_eq!(out, [goodbye("the disk is full"), Output::Exit(SessionEnd::Broken { why: "the disk is full".to_owned() })]);

    // One that is being killed for something else has nothing more to say.
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.said(0, FromTrainer::Failed { kind: FailureKind::NotFinite, message: "nan".to_owned() });
    assert_eq!(bench.said(0, unsaved()), []);
    assert_eq!(bench.exited(0, killed()), [discard(0, 1), ended(0, 1, 1, failed(FailureKind::NotFinite, "nan"))]);
}

fn allocation(started_ms_ago: u64, ends_in_ms: Option<u64>) -> Allocation {
    Allocation { job: "14_3".to_owned(), node: "n1".to_owned(), started_ms_ago, ends_in_ms }
}

fn task(ends_in_ms: Option<u64>) -> Input {
    Input::Allocated(allocation(700, ends_in_ms))
}

#[test]
fn the_driver_is_told_of_the_allocation_as_it_stands_at_each_hello() {
    let mut bench = Bench::burn(1);
    bench.on(task(Some(50_000)));
    bench.on(Input::Disconnected);
    bench.now += 10_000;
    let out = bench.on(Input::Connected);
    let [Output::Send(FromWorker::Hello(hello))] = &out[..] else { panic!("{out:?}") };
    assert_eq!(hello.allocation, Some(allocation(10_700, Some(40_000))));
}

/// What a session does in this time, beside showing that it lives.
fn in_time(bench: &mut Bench, millis: u64) -> Vec<Output> {
    let mut out = bench.ticks(millis);
    out.retain(|output| *output != Output::Send(FromWorker::Heartbeat));
    out
}

#[test]
fn a_worker_whose_time_is_up_saves_its_states_and_leaves_by_itself() {
    let mut bench = Bench::burn(1);
    assert_eq!(bench.on(task(Some(50_000))), []);
    bench.training(0);
    assert_eq!(in_time(&mut bench, 25_000), []);
    // This process has slept, or Slurm has only now said how long it has: what was told last counts.
    assert_eq!(bench.on(task(Some(1_000))), []);
    assert_eq!(in_time(&mut bench, 999), []);
    assert_eq!(in_time(&mut bench, 1), [LEAVING, Output::Write { slot: 0, line: ToTrainer::CallBack }]);
    let left = FromTrainer::Left { resource: 0, checkpoint: None, wrote_ms: 0 };
    assert_eq!(bench.said(0, left), [discard(0, 1), ended(0, 1, 1, End::Preempted { checkpoint: None })]);
    let out = bench.on(acknowledged(0, 1, 1));
    assert_eq!(out, [goodbye("the time limit of its job is near"), Output::Exit(SessionEnd::OutOfTime)]);
}

#[test]
fn a_task_without_a_limit_ends_nothing() {
    let mut bench = Bench::burn(1);
    bench.on(task(None));
    assert_eq!(in_time(&mut bench, 10_000_000), []);
}

#[test]
fn an_idle_worker_leaves_and_burns_no_budget() {
    let mut bench = Bench::new(1);
    bench.session = Session::new(config(1), Seed(1).rng()).idle_limit(Some(10_000));
    bench.session.begin(0, &mut vec![]);
    assert_eq!(in_time(&mut bench, 60_000), [], "without a driver nobody knows whether there is work");
    bench.on(Input::Connected);
    assert_eq!(bench.on(welcome(&burn_job())), []);
    assert_eq!(in_time(&mut bench, 0), []);
    assert_eq!(in_time(&mut bench, 9_999), []);
    bench.training(0);
    assert_eq!(in_time(&mut bench, 20_000), [], "it works");
    bench.reaches(0);
    assert_eq!(in_time(&mut bench, 0), [], "it waits anew");
    assert_eq!(in_time(&mut bench, 9_999), []);
    let end = SessionEnd::Idle { idle_ms: 10_000 };
    assert_eq!(in_time(&mut bench, 1), [goodbye("nothing to train for 10 s"), Output::Exit(end)]);
}
