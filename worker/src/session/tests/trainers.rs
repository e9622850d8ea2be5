//! Trainers that fail, fall silent, die, or do not speak as they should.
use super::*;

/// What is said about a trainer of a user's program that ends like this at once.
fn end_of(exit: Exit) -> End {
    let mut bench = Bench::command(1);
    bench.training(0);
    end_in(&mut bench, exit)
}

fn end_in(bench: &mut Bench, exit: Exit) -> End {
    let out = bench.exited(0, exit);
    match &out[..] {
        [Output::Discard { .. }, Output::Send(FromWorker::Word(Word { about: About::Ended(end), .. }))] => end.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn how_a_process_ended_says_whose_fault_it_was() {
    let signal = |signal| Exit { signal: Some(signal), ..Exit::default() };
    let code = |code, tail: &str| Exit { code: Some(code), tail: tail.to_owned(), ..Exit::default() };
    for outside in [signal(9), signal(15), signal(1), signal(2), code(137, ""), code(143, "")] {
        assert_eq!(end_of(outside), End::Lost);
    }
    for crash in [signal(11), signal(6), code(139, ""), code(134, "")] {
        assert!(matches!(end_of(crash), End::Failed { kind: FailureKind::Crash, .. }));
    }
    let oom = end_of(Exit { oom: true, ..signal(9) });
    assert!(matches!(oom, End::Failed { kind: FailureKind::OutOfMemory, .. }), "{oom:?}");
    assert_eq!(end_of(Exit { oom: true, ..signal(15) }), End::Lost, "the kernel kills with 9");
    assert_eq!(end_of(code(3, "no such file\n")), failed(FailureKind::Exit, "ended with code 3: no such file"));
    let cuda = end_of(code(1, "torch.OutOfMemoryError: CUDA out of memory."));
    assert!(matches!(cuda, End::Failed { kind: FailureKind::OutOfMemory, .. }), "{cuda:?}");
    let early = "ended with code 0 after a last report at 0; its lease ends at 3";
    assert_eq!(end_of(code(0, "")), failed(FailureKind::Protocol, early));
}

#[test]
fn a_pattern_that_never_matched_is_named() {
    let mut job = command_job();
    let Trainable::Command(command) = &mut job.trainable else { unreachable!() };
    command.metric_pattern = Some(r"loss: (\S+)".to_owned());
    let ended = |reports: u32| {
        let mut bench = Bench::welcomed(1, &job);
        bench.training(0);
        (1..=reports).for_each(|resource| drop(bench.said(0, report(resource))));
        end_in(&mut bench, Exit { code: Some(0), ..Exit::default() })
    };
    let none =
        r"ended with code 0 after a last report at 0; its lease ends at 3; no line of its output matched metric_pattern = 'loss: (\S+)'";
    assert_eq!(ended(0), failed(FailureKind::Protocol, none));
    assert_eq!(ended(1), failed(FailureKind::Protocol, "ended with code 0 after a last report at 1; its lease ends at 3"));
}

#[test]
fn a_program_that_ends_with_0_after_its_last_report_has_reached() {
    let mut bench = Bench::command(1);
    let attempt = bench.training(0);
    for resource in 1..=3 {
        bench.said(0, report(resource));
    }
    let adopt = Output::Adopt { held: attempt, file: file(0, 1), optional: true };
    assert_eq!(bench.exited(0, Exit { code: Some(0), ..Exit::default() }), [adopt]);
    let about = About::Reached { resource: Resource(3), checkpoint: None };
    assert_eq!(bench.on(Input::Adopted { held: attempt, outcome: Ok(None) }), [discard(0, 1), word(0, 1, 4, about)]);
    assert_eq!(bench.on(lease(1, 1, 0)), [spawn(&a_lease(1, 1, 0), None)]);
}

#[test]
fn a_failure_is_told_when_the_trainer_is_proven_dead() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    let said = FromTrainer::Failed { kind: FailureKind::NotFinite, message: "the loss is nan".to_owned() };
    assert_eq!(bench.said(0, said), [Output::Kill { slot: 0 }]);
    assert_eq!(bench.said(0, report(1)), []);
    let end = failed(FailureKind::NotFinite, "the loss is nan");
    assert_eq!(bench.exited(0, killed()), [discard(0, 1), ended(0, 1, 1, end)]);
}

#[test]
fn silence_is_a_hang() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    bench.ticks(STALL - 1);
    bench.said(0, report(1));
    let kills = |out: &[Output]| out.contains(&Output::Kill { slot: 0 });
    assert!(!kills(&bench.ticks(STALL - 1)));
    assert!(kills(&bench.ticks(1)));
    let end = failed(FailureKind::Hang, "no progress was told for 60.0 s (`stall`); the last report was at 1");
    assert_eq!(bench.exited(0, killed()), [discard(0, 1), ended(0, 1, 2, end)]);
}

#[test]
fn who_does_not_leave_in_time_is_killed() {
    let mut bench = Bench::burn(1);
    let attempt = bench.training(0);
    bench.on(Input::Driver(FromDriver::Stop(attempt)));
    assert!(!bench.ticks(GRACE - 1).contains(&Output::Kill { slot: 0 }));
    assert!(bench.ticks(1).contains(&Output::Kill { slot: 0 }));
    assert_eq!(bench.on(lease(1, 1, 0)), [], "the slot is not free before the death is proven");
    let out = bench.exited(0, killed());
    assert_eq!(out, [discard(0, 1), ended(0, 1, 1, End::Stopped), spawn(&a_lease(1, 1, 0), None)]);
}

#[test]
fn a_program_that_does_not_read_is_asked_by_signal() {
    let mut bench = Bench::command(1);
    bench.on(lease(0, 1, 0));
    assert_eq!(bench.on(Input::Driver(FromDriver::CallBack(held(0, 1, 0)))), [Output::Terminate { slot: 0 }]);
    let out = bench.exited(0, Exit { signal: Some(15), ..Exit::default() });
    assert_eq!(out, [discard(0, 1), ended(0, 1, 1, End::Preempted { checkpoint: None })]);
}

#[test]
fn a_program_that_cannot_be_started_is_a_failed_setup() {
    let mut bench = Bench::command(1);
    bench.on(lease(0, 1, 0));
    let out = bench.on(Input::Trainer { slot: 0, event: TrainerEvent::NotSpawned(SpawnFailure::Job("no such program".to_owned())) });
    assert_eq!(out, [discard(0, 1), ended(0, 1, 1, failed(FailureKind::Setup, "no such program"))]);
    assert_eq!(bench.on(lease(1, 1, 0)), [spawn(&a_lease(1, 1, 0), None)]);
}

/// What is said about a trainer that says these lines and is killed for the last.
fn fault_of(lines: impl IntoIterator<Item = FromTrainer>) -> String {
    let mut bench = Bench::burn(1);
    bench.training(0);
    let mut out = Vec::new();
    for line in lines {
        out = bench.said(0, line);
    }
    assert_eq!(out, [Output::Kill { slot: 0 }]);
    match &bench.exited(0, killed())[..] {
        [Output::Discard { .. }, Output::Send(FromWorker::Word(Word { about: About::Ended(End::Failed { kind, message }), .. }))] => {
            assert_eq!(*kind, FailureKind::Protocol);
            message.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_that_make_no_sense_now_are_faults_of_the_protocol() {
    let reached = |resource, checkpoint| FromTrainer::Reached { resource, checkpoint, wrote_ms: 0 };
    let left = FromTrainer::Left { resource: 0, checkpoint: None, wrote_ms: 0 };
    let other = FromTrainer::Report { resource: 1, metrics: [("acc".to_owned(), 1.0)].into_iter().collect() };
    let in_range = "in a lease from 0 to 3: each must be above the last";
    assert_eq!(fault_of([report(0)]), format!("a report at 0 after 0 {in_range}"));
    assert_eq!(fault_of([report(2), report(2)]), format!("a report at 2 after 2 {in_range}"));
    assert_eq!(fault_of([report(4)]), format!("a report at 4 after 0 {in_range}"));
    assert_eq!(fault_of([other]), "the report at 1 lacks the metric `loss`; it has: acc");
    let with = |names: Vec<String>| {
        let metrics = names.into_iter().chain(["loss".to_owned()]).map(|name| (name, 1.0)).collect();
        FromTrainer::Report { resource: 1, metrics }
    };
    let many = with((0..1000).map(|number| number.to_string()).collect());
    assert_eq!(fault_of([many]), "the report at 1 has 1001 figures; 1000 are the most");
    assert!(fault_of([with(vec!["x".repeat(201)])]).ends_with("has 201 bytes; 200 are the most"));
    let wordy = FromTrainer::Failed { kind: FailureKind::Protocol, message: "why ".repeat(10_000) };
    assert_eq!(fault_of([wordy]).len(), hpo_wire::limits::TEXT_MAX - 1, "a long reason is cut");
    assert_eq!(fault_of([reached(2, None)]), "it said `reached` at 2; its lease ends at 3");
    assert_eq!(fault_of([report(2), reached(3, None)]), "it said `reached` without a report at 3; the last was at 2");
    let strange = fault_of([report(3), reached(3, Some("/etc/passwd".into()))]);
    assert_eq!(strange, "it wrote its state to `/etc/passwd`; `checkpoint_out` is `/run/tmp/trial-0.attempt-1`");
    assert_eq!(fault_of([FromTrainer::Stopped]), "it stopped without being asked to");
    assert_eq!(fault_of([left]), "it left without being asked and without progress");
    let left = |checkpoint| FromTrainer::Left { resource: 2, checkpoint, wrote_ms: 0 };
    assert_eq!(fault_of([report(1), left(Some(file(0, 1)))]), "it said `left` at 2; it began at 0 and reported up to 1");
    assert_eq!(fault_of([report(2), left(None)]), "it left without being asked and without a state, so that nothing of it was kept");
}

#[test]
fn garbage_after_the_prefix_and_a_file_that_is_not_there_are_faults_too() {
    let mut bench = Bench::burn(1);
    bench.training(0);
    let garbled = TrainerEvent::Garbled("not a protocol line: {\"say\":".to_owned());
    assert_eq!(bench.on(Input::Trainer { slot: 0, event: garbled }), [Output::Kill { slot: 0 }]);
    let end = failed(FailureKind::Protocol, "not a protocol line: {\"say\":");
    assert_eq!(bench.exited(0, killed()), [discard(0, 1), ended(0, 1, 1, end)]);

    let attempt = bench.training(1);
    bench.said(0, report(3));
    bench.said(0, FromTrainer::Reached { resource: 3, checkpoint: Some(file(1, 1)), wrote_ms: 0 });
    let absent = Err(StoreFailure::File("there is no such file".to_owned()));
    assert_eq!(bench.on(Input::Adopted { held: attempt, outcome: absent }), [Output::Kill { slot: 0 }]);
    let end = failed(FailureKind::Protocol, "there is no such file");
    assert_eq!(bench.exited(0, killed()), [discard(1, 1), ended(1, 1, 2, end)]);
}

#[test]
fn a_trainer_that_leaves_by_itself_with_a_state_was_preempted() {
    let mut bench = Bench::command(1);
    let attempt = bench.training(0);
    bench.said(0, report(1));
    bench.said(0, FromTrainer::Left { resource: 1, checkpoint: Some(file(0, 1)), wrote_ms: 2 });
    let checkpoint = Some(Checkpoint { id: "ab12".to_owned(), resource: Resource(1), bytes: 100, wrote_ms: 2 });
    let out = bench.on(Input::Adopted { held: attempt, outcome: Ok(Some(stored())) });
    assert_eq!(out, [ended(0, 1, 2, End::Preempted { checkpoint })]);
}
