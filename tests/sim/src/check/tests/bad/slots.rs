//! Slots that are sold twice, by the journal or in truth.
use hpo_core::Event;

use super::*;
use crate::check::order::Order;
use crate::check::slots::Slots;

pub(super) const ALL: &[fn()] = &[
    a_slot_that_is_sold_twice,
    a_slot_of_which_the_driver_has_not_heard,
    a_trial_that_is_leased_in_two_places,
    an_attempt_that_could_go_on_and_is_stopped,
    an_attempt_that_goes_on_where_another_is,
    a_lease_on_a_slot_that_leaves_too_soon,
    a_lease_that_is_begun_in_vain_again,
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
    for meanwhile in [Event::Ticked, Event::DrainAsked] {
        let lost = Event::WorkerLost { worker: worker(1) };
        let back = joined(1, 1, &[held(0, 1, 0)]);
        let mut bad = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0), lost, meanwhile, back]);
        assert_eq!(tell(&mut Slots::new(&asha()), &bad), Ok(()));
        record_mut(bad.last_mut().unwrap()).acts.push("stop 0.1 on 00000001/0".to_owned());
        refused(Slots::new(&asha()), &bad, "is stopped, and could go on");
    }
}

#[test]
fn an_attempt_that_goes_on_where_another_is() {
    let lost = Event::WorkerLost { worker: worker(1) };
    let mut bad = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0), lost]);
    bad.push(line(joined(1, 1, &[]), &["lease 1.1 0..1 on 00000001/0"]));
    bad.push(line(joined(1, 1, &[held(0, 1, 0)]), &[]));
    refused(Slots::new(&asha()), &bad, "0.1 goes on on 00000001/0, which is taken");
}

#[test]
fn a_lease_on_a_slot_that_leaves_too_soon() {
    // The first report takes 10 ms, so that another lease needs 20; when it is over, 15 are left.
    let reports = [suggested(0), reported(0, 1, 1, 1, 0.5), reached(0, 1, 2, 1, "whole")];
    let good = lived(&asha(), &[&[began(1), leaves_in(joined(1, 1, &[]), 45)][..], &reports].concat());
    assert_eq!(tell(&mut Slots::new(&asha()), &good), Ok(()));
    let lease = "lease 1.1 0..1 on 00000001/0".to_owned();
    refused_with(Slots::new(&asha()), &good, 4, |record| record.acts.push(lease), "whose worker leaves too soon for it");
    // With a minute more it is time enough, and a trial is asked for.
    let idle = lived(&asha(), &[&[began(1), leaves_in(joined(1, 1, &[]), 60_045)][..], &reports].concat());
    assert!(has_act("suggest ")(record(&idle[4]).unwrap()) && !has_act("suggest ")(record(&good[4]).unwrap()));
    refused_with(Order::new(&asha()), &idle, 4, |record| record.acts.clear(), "1 slots are idle, and 0 trials are asked for");
}

#[test]
fn a_lease_that_is_begun_in_vain_again() {
    let spec = spec(SchedulerSpec::Fifo { ladder: Ladder::single(Resource(4)).unwrap() }, 2);
    // After twenty milliseconds half of the lease is done, and nothing is saved: it needs forty, and 35 are left. The first worker
    // stays for a second.
    let stays = [began(1), leaves_in(joined(1, 1, &[]), 1_000), suggested(0), leaves_in(joined(2, 1, &[]), 75), suggested(1)];
    let half = [reported(1, 1, 1, 1, 0.5), reported(1, 1, 2, 2, 0.5), ended(1, 1, 3, End::Preempted { checkpoint: None })];
    let good = lived(&spec, &[&stays[..], &half].concat());
    assert_eq!(tell(&mut Slots::new(&spec), &good), Ok(()));
    assert_eq!(record(&good[7]).unwrap().acts, Vec::<String>::new(), "trial 1 waits for a slot that stays longer");
    let lease = |record: &mut Record| record.acts.push("lease 1.2 0..4 on 00000002/0".to_owned());
    refused_with(Slots::new(&spec), &good, 7, lease, "which leaves before it could be done, as it was once");
}
