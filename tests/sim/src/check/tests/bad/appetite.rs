//! Sweeps that want too many slots, or too few.
use hpo_core::sweep::FailureKind;

use super::*;
use crate::check::order::Order;

pub(super) const ALL: &[fn()] = &[
    more_slots_than_trials_are_to_come,
    a_slot_for_nobody_at_the_end_of_a_sweep,
    a_slot_for_whoever_goes_on,
    slots_while_every_trial_has_failed,
    a_slot_that_is_good_for_nobody,
];

/// That the sweep wants this many slots after these events, neither one less nor one more; and what it says of itself.
#[track_caller]
fn wants(spec: &SweepSpec, events: &[Event], slots: u32) {
    let mut judge = Order::new(spec);
    assert_eq!(tell(&mut judge, &lived(spec, events)), Ok(()));
    assert_eq!(judge.wants(0, slots), Ok(()));
    assert_eq!(replay(spec, events).appetite(), slots);
    for wrong in [slots.wrapping_sub(1), slots + 1] {
        assert!(judge.wants(0, wrong).is_err(), "{wrong} of {slots}");
    }
}

fn replay(spec: &SweepSpec, events: &[Event]) -> Sweep {
    let mut sweep = Sweep::new(spec.clone());
    events.iter().zip(1..).for_each(|(event, seq): (_, u64)| sweep.apply(Stamp(10 * seq), event, &mut vec![]));
    sweep
}

/// Three trials come to the first rung on one slot, of `spec` with so many.
fn three(worker: Event) -> Vec<Event> {
    let mut events = vec![began(1), worker];
    for trial in 0..3 {
        let id = ["zero", "one", "two"][trial as usize];
        events.extend([suggested(trial), reported(trial, 1, 1, 1, f64::from(trial)), reached(trial, 1, 2, 1, id)]);
    }
    events
}

#[test]
fn more_slots_than_trials_are_to_come() {
    wants(&asha(), &[began(1)], 12);
    wants(&asha(), &[began(1), joined(1, 2, &[]), suggested(0)], 12);
}

#[test]
fn a_slot_for_nobody_at_the_end_of_a_sweep() {
    let spec = spec(SchedulerSpec::AshaPromote { ladder: ladder() }, 3);
    // The best of three goes on, and nobody else does while it trains.
    let events = three(joined(1, 2, &[]));
    wants(&spec, &events, 1);
    let last = [reported(0, 2, 1, 2, 0.0), reported(0, 2, 2, 3, 0.0), reached(0, 2, 3, 3, "three")];
    let mut judge = Order::new(&spec);
    assert_eq!(tell(&mut judge, &lived(&spec, &[&events[..], &last].concat())), Ok(()));
    assert_eq!(judge.wants(0, 0), Ok(()), "it is over");
    assert_eq!(judge.wants(7, 1).unwrap_err().what, "line 7: it ends, 0 slots are still in use, and it wants 1");
    wants(&spec, &[&events[..], &[Event::DrainAsked]].concat(), 1);
}

#[test]
fn a_slot_for_whoever_goes_on() {
    let spec = spec(SchedulerSpec::AshaPromote { ladder: ladder() }, 4);
    // Of the three that stand on the rung one may go on at once, while the last that came has the only slot.
    let leaves = Event::WorkerLeft { worker: worker(1) };
    let mut events = three(joined(1, 2, &[]));
    events.truncate(events.len() - 1);
    events.extend([suggested(3), reached(2, 1, 2, 1, "two"), leaves]);
    wants(&spec, &events, 2);
}

#[test]
fn slots_while_every_trial_has_failed() {
    let mut spec = asha();
    spec.budget.setup_failures = Some(1);
    let broken = End::Failed { kind: FailureKind::Setup, message: "no data".to_owned() };
    let events = [began(1), joined(1, 2, &[]), suggested(0), suggested(1), ended(0, 1, 1, broken)];
    wants(&spec, &events, 1);
}

#[test]
fn a_slot_that_is_good_for_nobody() {
    let spec = spec(SchedulerSpec::Fifo { ladder: Ladder::single(Resource(4)).unwrap() }, 2);
    // As the judge of slots has it: trial 1 waits for a slot that stays longer than the one that is free.
    let stays = [began(1), leaves_in(joined(1, 1, &[]), 1_000), suggested(0), leaves_in(joined(2, 1, &[]), 75), suggested(1)];
    let half = [reported(1, 1, 1, 1, 0.5), reported(1, 1, 2, 2, 0.5), ended(1, 1, 3, End::Preempted { checkpoint: None })];
    wants(&spec, &[&stays[..], &half].concat(), 3);
}
