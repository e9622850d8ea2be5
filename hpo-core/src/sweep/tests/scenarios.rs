//! Told by hand: one promise each.
use super::*;

#[test]
fn one_slot_runs_asha_as_the_paper_says_and_goes_on_in_place() {
    let mut world = World::new(spec(6));
    assert_eq!(world.join(ONE, 1, vec![]), ["suggest 0"]);
    assert_eq!(world.suggest_all(), ["lease 0.1 0..1 on 00000001/0"]);
    assert_eq!(world.finish_lease(0, 3.0), ["suggest 1"]);
    world.suggest_all();
    assert_eq!(world.finish_lease(1, 2.0), ["suggest 2"]);
    world.suggest_all();
    // The third result is the best of three: it goes on where it is.
    assert_eq!(world.finish_lease(2, 1.0), ["lease 2.2 1..3 on 00000001/0 in place"]);
    assert_eq!(world.finish_lease(2, 0.9), ["suggest 3"]);
    world.suggest_all();
    world.finish_lease(3, 4.0);
    world.suggest_all();
    world.finish_lease(4, 5.0);
    world.suggest_all();
    // Six results at the bottom: the second of them is promoted too, from its checkpoint. Those of rank 2 and worse never.
    let said = world.finish_lease(5, 6.0);
    assert!(said.contains(&"lease 1.2 1..3 on 00000001/0".to_owned()), "{said:?}");
    let said = world.finish_lease(1, 0.5);
    assert_eq!(said.last().unwrap(), "finish: every trial has ended");
    let view = world.sweep.view();
    assert_eq!((view.trials.total, view.trials.paused, view.best.as_ref().unwrap().trial), (6, 6, TrialId(1)));
    assert_eq!(view.resource, 6 + 2 + 2);
}

#[test]
fn whoever_can_never_be_promoted_is_forgotten_but_not_the_best() {
    let mut world = World::new(spec(3));
    world.join(ONE, 1, vec![]);
    let mut said = vec![];
    for (trial, loss) in [(0, 1.0), (1, 2.0), (2, 3.0)] {
        world.suggest_all();
        said.extend(world.finish_lease(trial, loss));
    }
    // Trials 1 and 2 lost hope, but they are among the three best, whose state is kept to the end.
    assert!(said.iter().all(|said| !said.starts_with("forget")), "{said:?}");
    world.finish_lease(0, 1.0);
    let keepers = world.sweep.trials().filter(|trial| trial.checkpoint.is_some()).count();
    assert_eq!((world.sweep.finished(), keepers), (Some(EndReason::Complete), 3));
}

#[test]
fn a_word_is_applied_once_and_only_the_newest_attempt_is_believed() {
    let mut world = World::new(spec(4));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.report(0, 1, 1.0);
    let again = world.history.last().unwrap().1.clone();
    assert_eq!(world.sweep.admit(&again), Err(Rejection::Duplicate));
    let old = world.leases[&TrialId(0)].clone();
    world.say(Event::WorkerLost { worker: ONE });
    assert_eq!(world.state(0), State::Waiting);
    world.join(TWO, 1, vec![]);
    assert_eq!(world.leases[&TrialId(0)].0.attempt, Attempt(2));
    let late =
        Event::Reached { trial: TrialId(0), attempt: old.0.attempt, seq: Seq(2), after_ms: None, resource: Resource(1), checkpoint: None };
    assert_eq!(world.sweep.admit(&late), Err(Rejection::StaleAttempt));
    let beyond = Event::Reported {
        trial: TrialId(0),
        attempt: Attempt(2),
        seq: Seq(1),
        after_ms: None,
        resource: Resource(2),
        loss: Loss::new(0.0),
        metrics: Metrics::default(),
    };
    assert_eq!(world.sweep.admit(&beyond), Err(Rejection::OutsideLease));
    // The old worker comes back with its old attempt: it is told to stop it.
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    let said = world.join(ONE, 1, vec![held]);
    assert_eq!(said[0], "stop 0.1 on 00000001/0");
}

#[test]
fn a_worker_thought_lost_that_comes_back_in_time_keeps_its_lease() {
    let mut world = World::new(spec(4));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.report(0, 1, 1.0);
    world.say(Event::WorkerLost { worker: ONE });
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    assert_eq!(world.join(ONE, 1, vec![held]), Vec::<String>::new());
    assert!(matches!(world.state(0), State::Leased { .. }));
    world.word(0, |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource: Resource(1), checkpoint: None });
    assert_eq!(world.state(0), State::Paused);
}

#[test]
fn a_lease_that_never_arrived_is_sent_again_and_one_that_did_is_not() {
    let mut world = World::new(spec(4));
    world.join(ONE, 2, vec![]);
    world.suggest_all();
    world.say(Event::DriverStarted { epoch: 2 });
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    assert_eq!(world.join(ONE, 2, vec![held]), ["lease 1.1 0..1 on 00000001/1"]);
}

#[test]
fn preemption_costs_no_retry_and_failure_does() {
    let mut world = World::new(spec(1));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    for _ in 0..10 {
        world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Preempted { checkpoint: None } });
    }
    let crash = |kind| {
        move |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Failed { kind, message: "no".to_owned() } }
    };
    world.word(0, crash(FailureKind::Crash));
    assert!(matches!(world.state(0), State::Leased { .. }));
    let said = world.word(0, crash(FailureKind::Crash));
    assert_eq!(world.state(0), State::Failed);
    assert_eq!(said, ["finish: every trial has ended"]);
    let view = world.sweep.view();
    assert_eq!((view.attempts.preempted, view.attempts.failed, view.trials.failed), (10, 2, 1));
    assert_eq!(world.sweep.observations().map(|seen| seen.outcome).collect::<Vec<_>>(), [Outcome::Infeasible]);
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let mut world = World::new(SweepSpec { patience: Patience { retries: 0, lost_max: 9 }, ..spec(3) });
    world.join(ONE, 1, vec![]);
    for trial in 0..3 {
        world.suggest_all();
        world.finish_lease(trial, f64::from(3 - trial));
    }
    assert_eq!(world.leases[&TrialId(2)].0.from, Resource(1));
    let message = "checkpoint damaged".to_owned();
    let how = End::Failed { kind: FailureKind::Checkpoint, message };
    let said = world.word(2, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how });
    assert_eq!(said, ["lease 2.3 0..3 on 00000001/0"], "the fault may lie with the reader: nothing is deleted yet");
    let said = world.finish_lease(2, 0.5);
    assert!(said.contains(&"forget 2@1 0002-001".to_owned()), "{said:?}");
}

#[test]
fn losses_in_a_row_end_a_trial_but_progress_forgives_them() {
    let mut world = World::new(spec(1));
    let lose = |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Lost };
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.word(0, lose);
    world.word(0, lose);
    world.report(0, 1, 1.0);
    world.word(0, lose);
    world.word(0, lose);
    assert!(matches!(world.state(0), State::Leased { .. }));
    world.word(0, lose);
    assert_eq!(world.state(0), State::Failed);
}

#[test]
fn budgets_call_back_what_runs_and_then_end() {
    for (budget, why) in [
        (Budget { wall: Some(1000), ..Budget::default() }, EndReason::Wall),
        (Budget { reserved: Some(2000), ..Budget::default() }, EndReason::GpuHours),
        (Budget { target: Some(0.5), ..Budget::default() }, EndReason::Target),
    ] {
        let mut world = World::new(SweepSpec { budget, ..spec(1) });
        world.join(ONE, 2, vec![]);
        world.suggest_all();
        let said = if why == EndReason::Target {
            world.report(0, 1, 0.5)
        } else {
            let due = world.sweep.next_tick().unwrap();
            assert!(due.0 >= 1000 && due.0 <= 1020, "{due}");
            world.at = due.0;
            world.say(Event::Ticked)
        };
        assert_eq!(said, ["call back 0.1 on 00000001/0", "call back 1.1 on 00000001/1"]);
        world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Preempted { checkpoint: None } });
        let said = world.word(1, |trial, attempt, seq| Event::Ended {
            trial,
            attempt,
            seq,
            after_ms: None,
            how: End::Preempted { checkpoint: None },
        });
        assert_eq!(said.last().unwrap(), &format!("finish: {why}"));
        world.say(Event::WorkerLeft { worker: ONE });
    }
}

#[test]
fn a_drained_sweep_goes_on_where_it_was() {
    let mut world = World::new(spec(2));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    assert_eq!(world.say(Event::DrainAsked), ["call back 0.1 on 00000001/0"]);
    assert!(!world.sweep.drained());
    world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Preempted { checkpoint: None } });
    assert!(world.sweep.drained());
    world.say(Event::WorkerLeft { worker: ONE });
    world.say(Event::DriverStarted { epoch: 2 });
    assert_eq!(world.join(TWO, 1, vec![]), ["lease 0.2 0..1 on 00000002/0"]);
}

#[test]
fn the_ledger_books_each_millisecond_once_and_in_its_place() {
    let mut world = World::new(spec(2));
    world.join(ONE, 1, vec![]); // at 20
    world.suggest_all(); // lease at 30: 10 idle
    world.word(0, |trial, attempt, seq| Event::Started { trial, attempt, seq, startup_ms: 4, restore_ms: 2 });
    world.finish_lease(0, 1.0); // 40 started, 50 report, 60 reached: 30 = 4 startup + 2 restore + 1 checkpoint + 23 training
    world.suggest_all(); // lease at 70: 10 idle
    world.word(1, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Lost }); // 10 redone; leased again
    world.finish_lease(1, 2.0); // 80 to 100: 1 checkpoint, 19 training; the sweep ends
    world.say(Event::WorkerLeft { worker: ONE }); // 10 drain
    let uses = world.sweep.view().uses;
    let milli = |amount: u64| amount * 1000;
    assert_eq!(
        uses,
        crate::ledger::Uses {
            reserved: milli(90),
            winner: milli(23),
            explored: 0,
            stopped: milli(19),
            redone: milli(10),
            restore: milli(2),
            checkpoint: milli(2),
            startup: milli(4),
            idle: milli(20),
            drain: milli(10),
        }
    );
}

#[test]
fn time_in_which_nobody_knows_whether_workers_lived_costs_nothing_unless_they_did() {
    let hour = 3_600_000;
    for (returns, idle) in [(true, hour), (false, 0)] {
        let mut world =
            World::new(SweepSpec { budget: Budget { max_trials: Some(1), reserved: Some(hour / 2), ..Budget::default() }, ..spec(1) });
        world.join(ONE, 2, vec![]);
        world.suggest_all();
        world.report(0, 1, 1.0);
        let before = world.at;
        world.at += hour;
        // The power was off, perhaps: the budget is not spent on that, and nobody is given anything.
        assert_eq!(world.say(Event::DriverStarted { epoch: 2 }), Vec::<String>::new());
        assert_eq!(world.sweep.view().uses.reserved, 2 * 1000 * (before - 20), "two slots since 20");
        if returns {
            let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
            let said = world.join(ONE, 2, vec![held]);
            assert_eq!(said, ["call back 0.1 on 00000001/0"], "they lived: the hour counts, and the budget is spent");
        } else {
            world.say(Event::WorkerLost { worker: ONE });
            assert_eq!(world.sweep.view().uses.reserved, 2 * 1000 * (before - 20));
            assert_eq!(world.state(0), State::Waiting);
        }
        assert!(world.sweep.view().uses.idle >= idle * 1000);
    }
}

#[test]
fn a_trial_that_fails_after_its_best_report_is_not_the_winner() {
    let mut world = World::new(SweepSpec { patience: Patience { retries: 0, lost_max: 2 }, ..spec(4) });
    world.join(ONE, 1, vec![]);
    for (trial, loss) in [(0, 3.0), (1, 2.0)] {
        world.suggest_all();
        world.finish_lease(trial, loss);
    }
    world.suggest_all();
    world.report(2, 1, 0.5);
    let how = End::Failed { kind: FailureKind::NotFinite, message: "nan".to_owned() };
    world.word(2, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how });
    assert_eq!(world.sweep.view().best.unwrap().trial, TrialId(1));
}

#[test]
fn a_lease_that_is_sent_again_is_called_back_again() {
    let mut world = World::new(spec(2));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.say(Event::DrainAsked);
    assert_eq!(world.join(ONE, 1, vec![]), ["lease 0.1 0..1 on 00000001/0", "call back 0.1 on 00000001/0"]);
}

#[test]
fn a_checkpoint_at_or_beyond_the_end_of_the_lease_is_refused() {
    let mut world = World::new(spec(2));
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    let how = End::Preempted { checkpoint: Some(checkpoint(0, 1)) };
    let event = Event::Ended { trial: TrialId(0), attempt: Attempt(1), seq: Seq(1), after_ms: None, how };
    assert_eq!(world.sweep.admit(&event), Err(Rejection::OutsideLease));
}

#[test]
fn training_that_an_earlier_attempt_had_done_is_booked_as_redone() {
    let mut world = World::new(spec(3));
    world.join(ONE, 1, vec![]);
    for trial in 0..3 {
        world.suggest_all();
        world.report(trial, 1, 1.0 + f64::from(trial));
        let last = world.word(trial, |trial, attempt, seq| Event::Reached {
            trial,
            attempt,
            seq,
            after_ms: None,
            resource: Resource(1),
            checkpoint: None,
        });
        // A program that keeps no state begins anew when it is promoted.
        assert_eq!(last.iter().any(|act| act == "lease 0.2 0..3 on 00000001/0"), trial == 2);
    }
    let before = world.sweep.view().uses;
    world.report(0, 1, 1.0);
    world.report(0, 2, 1.0);
    world.report(0, 3, 1.0);
    world.word(0, |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource: Resource(3), checkpoint: None });
    let after = world.sweep.view().uses;
    assert_eq!(after.redone - before.redone, 10 * 1000, "the first of three reports, ten milliseconds");
}

#[test]
fn who_is_worse_than_the_cutoff_is_stopped_in_mid_lease_and_its_slot_is_free_at_once() {
    let ladder = Ladder::new(Resource(1), Resource(9), 3).unwrap();
    let mut world = World::new(SweepSpec { scheduler: SchedulerSpec::AshaStop { ladder }, ..spec(3) });
    world.join(ONE, 1, vec![]);
    assert_eq!(world.suggest_all(), ["lease 0.1 0..9 on 00000001/0"], "the first lease leads to the end");
    assert_eq!(world.finish_lease(0, 1.0), ["suggest 1"]);
    world.suggest_all();
    assert_eq!(world.report(1, 1, 2.0), ["stop 1.1 on 00000001/0", "suggest 2"]);
    assert_eq!(world.state(1), State::Stopped);
    let stale = Event::Reported {
        trial: TrialId(1),
        attempt: Attempt(1),
        seq: Seq(9),
        after_ms: None,
        resource: Resource(2),
        loss: Loss::new(0.0),
        metrics: Metrics::default(),
    };
    assert_eq!(world.sweep.admit(&stale), Err(Rejection::StaleAttempt));
    let standing = world.sweep.standing_at(TrialId(1), Resource(1)).unwrap();
    assert_eq!((standing.rank, standing.population, standing.cutoff), (1, 2, Some(Loss::new(1.0))));
    world.suggest_all();
    assert_eq!(world.report(2, 1, 1.0), Vec::<String>::new(), "no worse than the best third");
    // From the first rung straight to the end: the rungs between are not looked at.
    world.report(2, 9, 5.0);
    world.word(2, |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource: Resource(9), checkpoint: None });
    assert_eq!(world.sweep.finished(), Some(EndReason::Complete));
    let view = world.sweep.view();
    assert_eq!((view.trials.stopped, view.trials.finished, view.trials.paused, view.resource), (1, 2, 0, 9 + 1 + 9));
}

#[test]
fn a_worker_that_waits_for_a_dead_driver_is_idle_and_its_trial_is_not_billed() {
    let mut world = World::new(spec(2));
    world.join(ONE, 1, vec![]); // at 20
    world.suggest_all(); // leased at 30
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    // The driver dies and comes back 1 s later; the worker had done its part 15 ms after the lease.
    world.at += 1000;
    world.say(Event::DriverStarted { epoch: 2 }); // at 1040
    world.join(ONE, 1, vec![held]); // at 1050
    world.after = Some(12);
    world.report(0, 1, 0.5);
    world.after = Some(15);
    world.word(0, |trial, attempt, seq| Event::Reached {
        trial,
        attempt,
        seq,
        after_ms: None,
        resource: Resource(1),
        checkpoint: Some(Checkpoint { wrote_ms: 2, ..checkpoint(0, 1) }),
    });
    let uses = world.sweep.view().uses;
    let milli = |ms: u64| ms * 1000;
    assert_eq!(uses.reserved, milli(1070 - 20));
    assert_eq!((uses.winner, uses.checkpoint), (milli(13), milli(2)), "fifteen milliseconds were worked");
    assert_eq!(uses.idle, uses.reserved - milli(15), "and the rest waited");
    assert_eq!(world.sweep.ledger.trained(TrialId(0)), milli(13));
}

#[test]
fn training_that_was_lost_is_counted_by_the_workers_clock() {
    let ladder = Ladder::new(Resource(3), Resource(9), 3).unwrap();
    let mut world = World::new(SweepSpec { scheduler: SchedulerSpec::AshaPromote { ladder }, ..spec(2) });
    world.join(ONE, 1, vec![]);
    world.suggest_all(); // leased at 30
    world.after = Some(4);
    world.report(0, 1, 0.5); // at 40
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    world.at += 500;
    world.say(Event::DriverStarted { epoch: 2 });
    world.join(ONE, 1, vec![held]);
    world.after = Some(9);
    let checkpoint = Some(checkpoint(0, 1));
    world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Preempted { checkpoint } });
    let uses = world.sweep.view().uses;
    // From the report that the state holds to the end, without the writing.
    assert_eq!(uses.redone, 4 * 1000, "{uses:?}");
}
