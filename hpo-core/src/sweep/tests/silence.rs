//! Trainers that hang.
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
