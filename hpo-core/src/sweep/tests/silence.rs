//! Trainers that hang, and workers that were not heard for long.
use super::*;

fn hang(trial: TrialId, attempt: Attempt, seq: Seq) -> Event {
    let how = End::Failed { kind: FailureKind::Hang, message: "silent".to_owned() };
    Event::Ended { trial, attempt, seq, after_ms: None, how }
}

/// Both reports are 10 ms apart, as all words here.
#[test]
fn the_silence_of_a_trainer_that_hangs_is_no_training_that_was_kept() {
    let ladder = Ladder::single(Resource(9)).unwrap();
    let spec = SweepSpec { scheduler: SchedulerSpec::Fifo { ladder }, patience: Patience { retries: 0, lost_max: 2 }, ..spec(2) };
    let mut world = World::new(spec);
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.report(0, 1, 0.5);
    world.report(0, 2, 0.4);
    world.at += 600_000;
    world.word(0, hang);
    assert_eq!(world.state(0), State::Failed);
    let uses = world.sweep.view().uses;
    assert_eq!((uses.stopped, uses.redone), (20 * 1000, 600_010 * 1000), "it trained until its last report: {uses:?}");

    // One that never reports has trained nothing.
    world.suggest_all();
    world.at += 300_000;
    world.word(1, hang);
    let uses = world.sweep.view().uses;
    assert_eq!((uses.stopped, uses.redone), (20 * 1000, 900_020 * 1000), "{uses:?}");
}

#[test]
fn who_comes_back_while_the_sweep_stops_for_now_saves_its_state() {
    let mut world = World::new(spec(4));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.say(Event::WorkerLost { worker: ONE });
    world.say(Event::DrainAsked);
    assert!(world.sweep.drained());
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    assert_eq!(world.join(ONE, 1, vec![held]), ["call back 0.1 on 00000001/0"]);
    assert!(!world.sweep.drained(), "its state is waited for");
    world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Preempted { checkpoint: None } });
    assert!(world.sweep.drained());
}

/// What it says once it is told to stop is turned away; taken back later, it would go on with words that nobody has.
#[test]
fn who_comes_back_after_the_end_is_told_to_stop_whoever_drives() {
    let budget = Budget { target: Some(1.0), ..Budget::default() };
    let mut world = World::new(SweepSpec { budget, ..spec(4) });
    world.join(ONE, 1, vec![]);
    world.join(TWO, 1, vec![]);
    world.suggest_all();
    world.say(Event::WorkerLost { worker: ONE });
    world.report(1, 1, 1.0);
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    assert_eq!(world.join(ONE, 1, vec![held]), ["stop 0.1 on 00000001/0"]);
    world.say(Event::DriverStarted { epoch: 2 });
    assert_eq!(world.join(ONE, 1, vec![held]), ["stop 0.1 on 00000001/0"]);
}
