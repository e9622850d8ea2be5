//! Where the slot time goes, against sums that a person can do.
use super::*;

/// A second a unit, and nothing that differs from trial to trial but the loss.
fn steady() -> SyntheticJob {
    SyntheticJob { cost_spread: 0.0, noise: 0.0, crossing: 0.0, ..formula() }
}

fn split(scheduler: SchedulerSpec, trials: u32, conditions: Conditions) -> (Split, u64) {
    let outcome = play(&setup(scheduler, Some(trials), steady(), conditions), Seed(0)).unwrap();
    (outcome.split, outcome.ended.0)
}

/// Three trials of 4 s one after the other: the worker starts, then each waits for the searcher, starts its trainer, trains and
/// writes its state; its last word goes to the driver before the next one is asked for.
#[test]
fn each_delay_is_in_its_own_column() {
    let conditions = Conditions { worker_startup: 8000, startup: 500, checkpoint: 200, suggest: 30, latency: 7, ..Conditions::ideal(1) };
    let (found, ended) = split(fifo(4), 3, conditions);
    let wanted = Split { work: 3 * 4000, startup: 8000 + 3 * 500, dispatch: 3 * (30 + 7), checkpoint: 3 * 200, redone: 0, idle: 0 };
    assert_eq!(found, wanted);
    assert_eq!(found.total(), ended, "all of it was paid for");
}

/// Two workers, three trials: one has nothing to train while the other trains the third.
#[test]
fn a_slot_for_which_there_is_nothing_left_is_idle_and_does_not_wait() {
    let (found, ended) = split(fifo(4), 3, Conditions { latency: 10, ..Conditions::ideal(2) });
    assert_eq!(ended, 2 * 4010);
    assert_eq!((found.work, found.dispatch, found.idle), (3 * 4000, 3 * 10, 4010));
}

/// A rung of four on two workers opens when the last has come, and then for one only.
#[test]
fn a_rungs_barrier_is_idle_time_of_the_scheduler() {
    let ladder = Ladder::anchored(Anchor::Top, Resource(1), Resource(3), 3).unwrap();
    let (found, ended) = split(SchedulerSpec::Halving { ladder, bracket: None }, 3, Conditions::ideal(2));
    // Two train a second each; then the third does, alone; then the best of them, for two more.
    assert_eq!((ended, found.work, found.idle), (4000, 5000, 3000));
}

/// 100 workers say 3 words a second to a driver that takes 30: it is all that they wait for.
#[test]
fn a_driver_that_is_too_slow_is_seen_in_dispatch() {
    let slow = |rate| Conditions { words_per_second: rate, ..Conditions::ideal(100) };
    let (free, _) = split(fifo(1), 1000, slow(None));
    assert_eq!((free.work, free.dispatch), (1_000_000, 0));
    let (bound, ended) = split(fifo(1), 1000, slow(Some(30)));
    assert_eq!(bound.work, 1_000_000, "what is trained stays the same");
    // 3000 words at 30 a second.
    assert!((100_000..101_100).contains(&ended), "{ended}");
    assert!(bound.dispatch > 8 * bound.work, "{bound:?}");
}

/// Two that are told late to stop have trained on meanwhile: it costs, and harms nothing.
#[test]
fn who_is_stopped_hears_of_it_after_the_latency() {
    let ladder = Ladder::new(Resource(1), Resource(TOP), 3).unwrap();
    let play = |latency| {
        let setup =
            setup(SchedulerSpec::AshaStop { ladder: ladder.clone() }, Some(40), steady(), Conditions { latency, ..Conditions::ideal(1) });
        play(&setup, Seed(1)).unwrap()
    };
    let (near, far) = (play(0), play(400));
    let best = |outcome: &Outcome| outcome.best.as_ref().map(|best| best.metric);
    assert_eq!(best(&near), best(&far));
    assert_eq!((near.trials, near.resource), (far.trials, far.resource), "no unit more is finished within less than one");
    assert!(far.ended > near.ended && far.split.work > near.split.work, "{near:?} {far:?}");
}
