//! Told by chance: whatever happens in whatever order.
use proptest::prelude::*;

use super::*;
use crate::schedule::Brackets;

proptest! {
    /// Chance decides who speaks, who dies and who returns. Invariants hold after every event (`say` checks), the sweep
    /// ends, and a replay of its history gives the same decisions and the same digest.
    #[test]
    fn any_history_keeps_the_invariants_ends_and_replays(
        scheduler in prop::sample::select(asynchronous()),
        dice in proptest::collection::vec(0_u8..=255, 200..400),
    ) {
        let spec = SweepSpec { scheduler, ..spec(12) };
        let mut world = World::new(spec.clone());
        for die in dice {
            if world.sweep.finished().is_some() {
                break;
            }
            step(&mut world, die);
        }
        // Heal: everybody is there and does as told.
        for _ in 0..400 {
            if world.sweep.finished().is_some() {
                break;
            }
            if !world.sweep.fleet.knows(ONE) {
                let holds = vec![];
                world.join(ONE, 2, holds);
            }
            world.suggest_all();
            if let Some(&trial) = world.leases.keys().find(|id| matches!(world.state(id.0), State::Leased { .. })) {
                let loss = f64::from(trial.0);
                resume(&mut world, trial.0, loss);
            }
        }
        prop_assert_eq!(world.sweep.finished(), Some(EndReason::Complete));
        let mut again = Sweep::new(spec.clone());
        let mut out = vec![];
        for (at, event) in &world.history {
            again.apply(*at, event, &mut out);
        }
        prop_assert!(again == world.sweep);
        prop_assert_eq!(again.digest(), world.sweep.digest());
        let told: Vec<Observation> = out.into_iter().filter_map(|action| if let Action::Tell(seen) = action { Some(seen) } else { None }).collect();
        prop_assert_eq!(again.observations().collect::<Vec<Observation>>(), told, "a new searcher hears the same in the same order");
        one_other_loss_is_another_sweep(&spec, &world.history);
    }
}

/// Of two sweeps one hears another loss than the other: from there on they are two, for as long as their digests say so.
fn one_other_loss_is_another_sweep(spec: &SweepSpec, history: &[(Stamp, Event)]) {
    let [mut one, mut other] = [Sweep::new(spec.clone()), Sweep::new(spec.clone())];
    let (mut out, mut told) = (vec![], false);
    for (at, event) in history {
        let mut heard = event.clone();
        if let Event::Reported { loss, .. } = &mut heard
            && !std::mem::replace(&mut told, true)
        {
            *loss = Loss::new(loss.get() + 0.125);
        }
        // What follows from another loss need not be the same.
        if other.admit(&heard).is_err() {
            break;
        }
        one.apply(*at, event, &mut out);
        other.apply(*at, &heard, &mut out);
        assert_eq!(one == other, one.digest() == other.digest(), "{event:?}");
        assert!(told || one == other, "{event:?}");
    }
}

/// The rules that never wait.
fn asynchronous() -> Vec<SchedulerSpec> {
    let ladder = Ladder::new(Resource(1), Resource(9), 3).unwrap();
    let brackets = Brackets::weighted(ladder.clone(), vec![2, 1, 1]).unwrap();
    vec![
        SchedulerSpec::Fifo { ladder: Ladder::single(Resource(9)).unwrap() },
        SchedulerSpec::AshaPromote { ladder: ladder.clone() },
        SchedulerSpec::AshaStop { ladder: ladder.clone() },
        SchedulerSpec::HyperbandAsync(brackets),
        SchedulerSpec::Pasha { ladder: ladder.clone(), epsilon: None },
        SchedulerSpec::Median { ladder, min_trials: 2 },
    ]
}

/// Goes on to the end of the lease, or until it is stopped.
fn resume(world: &mut World, trial: u32, loss: f64) {
    let lease = world.leases[&TrialId(trial)].0.clone();
    let last = world.sweep.trial(TrialId(trial)).unwrap().run.last.map_or(lease.from.0, |(resource, ..)| resource.0);
    for resource in last + 1..=lease.until.0 {
        world.report(trial, resource, loss);
        if world.state(trial) == State::Stopped {
            return;
        }
    }
    let checkpoint = Some(checkpoint(trial, lease.until.0));
    world.word(trial, |trial, attempt, seq| Event::Reached { trial, attempt, seq, after_ms: None, resource: lease.until, checkpoint });
}

pub(super) fn step(world: &mut World, die: u8) {
    // Also what no worker can have measured: more than the lease has lasted.
    world.after = die.is_multiple_of(3).then_some(u64::from(die));
    let live: Vec<TrialId> = world.sweep.fleet.busy().map(|(_, trial)| trial).collect();
    let worker = if die & 1 == 0 { ONE } else { TWO };
    let pick = live.get(usize::from(die) % live.len().max(1)).copied();
    match (die >> 1) % 10 {
        0 if !world.sweep.fleet.knows(worker) => drop(world.join(worker, 2, vec![])),
        1 if world.sweep.fleet.knows(worker) => drop(world.say(Event::WorkerLost { worker })),
        2 if world.sweep.fleet.knows(worker) && die > 128 => drop(world.say(Event::WorkerLeft { worker })),
        3 | 4 => drop(world.suggest_all()),
        5 if die > 200 => restart(world, die),
        5 => drop(world.say(Event::Ticked)),
        6 => {
            if let Some(id) = pick {
                let how = if die > 200 {
                    End::Failed { kind: FailureKind::NotFinite, message: "nan".to_owned() }
                } else {
                    End::Preempted { checkpoint: None }
                };
                world.word(id.0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how });
            }
        }
        _ => {
            if let Some(id) = pick {
                let loss = if die > 250 { f64::NAN } else { f64::from(id.0 % 5) };
                resume(world, id.0, loss);
            }
        }
    }
}

/// The driver is started anew after a while; each worker comes back with what it holds, or never.
fn restart(world: &mut World, die: u8) {
    world.at += 1000;
    let epoch = world.sweep.driver_epoch() + 1;
    world.say(Event::DriverStarted { epoch });
    for worker in world.sweep.workers() {
        if die.is_multiple_of(3) {
            world.say(Event::WorkerLost { worker });
        } else {
            let held = |(slot, trial): (SlotId, TrialId)| Held { trial, attempt: world.sweep.trials[trial].attempt, slot: slot.index };
            let holds = world.sweep.fleet.busy_of(worker).into_iter().map(held).collect();
            world.join(worker, 2, holds);
        }
    }
}
