//! Slots that are sold twice, by the journal or in truth.
use hpo_core::Event;

use super::*;
use crate::check::slots::Slots;

pub(super) const ALL: &[fn()] = &[
    a_slot_that_is_sold_twice,
    a_slot_of_which_the_driver_has_not_heard,
    a_trial_that_is_leased_in_two_places,
    an_attempt_that_could_go_on_and_is_stopped,
    an_attempt_that_goes_on_where_another_is,
];

#[test]
fn a_slot_that_is_sold_twice() {
    let (spec, good) = (asha(), calm(&asha()));
    let busy = find(&good, 1, has_act("lease "));
    let other = find(&good, 0, has_act("lease "));
    let mut bad = good.clone();
    let place = act_of(&mut bad[other], "lease ").split(" on ").nth(1).unwrap().to_owned();
    let act = act_of(&mut bad[busy], "lease ");
    *act = format!("{} on {place}", act.split(" on ").next().unwrap());
    refused(Slots::new(&spec), &bad, "0.1 has");
    let mut bad = good.clone();
    *act_of(&mut bad[other], "lease ") = "lease 0.1 0..1 on 00000009/0".to_owned();
    refused(Slots::new(&spec), &bad, "which is nowhere");
    // In truth: a trainer that is not stopped when the next begins, and one that goes on after its end.
    let ended = find_fact(&good, 0, |fact| matches!(fact, Fact::TrainingEnded { .. }));
    let mut bad = good.clone();
    bad.remove(ended);
    refused(Slots::new(&spec), &bad, "train at once");
    let trained = find_fact(&good, 0, |fact| matches!(fact, Fact::Trained { .. }));
    let mut bad = good.clone();
    bad.insert(ended + 1, good[trained].clone());
    refused(Slots::new(&spec), &bad, "trains on");
    // An attempt that nobody thought lost is not taken back.
    let again = held(77, 1, 0);
    let joined = find(&good, 0, |record| matches!(record.event, Event::WorkerJoined { .. }));
    let mut bad = good;
    let Event::WorkerJoined { holds, .. } = &mut record_mut(&mut bad[joined]).event else { panic!() };
    holds.push(again);
    refused(Slots::new(&spec), &bad, "was not lost there");
}

#[test]
fn a_slot_of_which_the_driver_has_not_heard() {
    let mut bad = lived(&asha(), &[began(1), joined(1, 1, &[])]);
    bad.push(line(began(2), &["lease 0.1 0..1 on 00000001/0"]));
    refused(Slots::new(&asha()), &bad, "of which this driver has not heard");
}

#[test]
fn a_trial_that_is_leased_in_two_places() {
    let mut bad = lived(&asha(), &[began(1), joined(1, 2, &[]), suggested(0)]);
    bad.push(line(Event::Ticked, &["lease 0.2 0..1 on 00000001/1"]));
    refused(Slots::new(&asha()), &bad, "the trial has one already");
    let began = |number| fact(Fact::TrainingBegan { worker: worker(number), held: held(0, 1, 0), from: Resource(0), checkpoint: None });
    refused(Slots::new(&asha()), &[began(1), began(2)], "0.1 trains in two places at once");
}

#[test]
fn an_attempt_that_could_go_on_and_is_stopped() {
    let lost = Event::WorkerLost { worker: worker(1) };
    let mut bad = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0), lost, joined(1, 1, &[held(0, 1, 0)])]);
    assert_eq!(tell(&mut Slots::new(&asha()), &bad), Ok(()));
    record_mut(bad.last_mut().unwrap()).acts.push("stop 0.1 on 00000001/0".to_owned());
    refused(Slots::new(&asha()), &bad, "is stopped, and could go on");
}

#[test]
fn an_attempt_that_goes_on_where_another_is() {
    let lost = Event::WorkerLost { worker: worker(1) };
    let mut bad = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0), lost]);
    bad.push(line(joined(1, 1, &[]), &["lease 1.1 0..1 on 00000001/0"]));
    bad.push(line(joined(1, 1, &[held(0, 1, 0)]), &[]));
    refused(Slots::new(&asha()), &bad, "0.1 goes on on 00000001/0, which is taken");
}
