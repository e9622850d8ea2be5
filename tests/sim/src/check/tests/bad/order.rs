//! Who goes on although another should, and who is stopped for nothing.
use hpo_core::Event;
use hpo_core::schedule::{Anchor, Ladder, SchedulerSpec};

use super::*;
use crate::check::order::Order;

pub(super) const ALL: &[fn()] = &[
    a_promotion_of_the_wrong_trial_or_a_stop_without_reason,
    a_stop_that_no_rule_asks_for,
    a_state_in_memory_that_is_not_used,
    a_free_slot_for_which_nobody_is_asked_or_a_question_without_one,
    a_sweep_that_is_called_complete_too_early,
    a_trial_that_never_goes_on_and_keeps_its_state,
];

#[test]
fn a_promotion_of_the_wrong_trial_or_a_stop_without_reason() {
    let (spec, good) = (asha(), calm(&asha()));
    let promotion = find(&good, 0, |record| record.acts.iter().any(|act| act.starts_with("lease ") && act.contains("1..3")));
    let mut bad = good.clone();
    let act = act_of(&mut bad[promotion], "lease ");
    let trial = act["lease ".len()..act.find('.').unwrap()].to_owned();
    let other = if trial == "0" { "1" } else { "0" };
    *act = act.replacen(&format!("lease {trial}."), &format!("lease {other}."), 1);
    refused(Order::new(&spec), &bad, "is due");
    let mut bad = good.clone();
    let act = act_of(&mut bad[promotion], "lease ");
    *act = act.replace("1..3", "1..9");
    refused(Order::new(&spec), &bad, "and not 1..3");
    let mut bad = good;
    record_mut(&mut bad[promotion]).acts.retain(|act| !act.starts_with("lease "));
    refused(Order::new(&spec), &bad, "slots are idle");

    let (spec, good) = (stopping(), calm(&stopping()));
    let stop = find(&good, 0, has_act("stop "));
    let mut bad = good.clone();
    record_mut(&mut bad[stop]).acts.retain(|act| !act.starts_with("stop "));
    refused(Order::new(&spec), &bad, "stopped false, by the rule true");
    let spared = find(&good, 0, |record| is_report(record) && record.acts.is_empty());
    let Event::Reported { trial, attempt, .. } = record(&good[spared]).unwrap().event else { panic!() };
    let mut bad = good;
    record_mut(&mut bad[spared]).acts.push(format!("stop {trial}.{attempt} on 00000001/0"));
    refused(Order::new(&spec), &bad, "by the rule false");
}

#[test]
fn a_stop_that_no_rule_asks_for() {
    let good = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0), Event::Ticked]);
    let stop = |record: &mut Record| record.acts.push("stop 0.1 on 00000001/0".to_owned());
    refused_with(Order::new(&asha()), &good, 3, stop, "is stopped for no reason");
}

#[test]
fn a_state_in_memory_that_is_not_used() {
    let good = calm(&asha());
    let warm = find(&good, 0, |record| record.acts.iter().any(|act| act.ends_with(" in place")));
    let strip = |record: &mut Record| record.acts.iter_mut().for_each(|act| *act = act.replace(" in place", ""));
    refused_with(Order::new(&asha()), &good, warm, strip, "and its state is in memory on Some(");
}

#[test]
fn a_free_slot_for_which_nobody_is_asked_or_a_question_without_one() {
    let good = lived(&asha(), &[began(1), joined(1, 1, &[])]);
    refused_with(Order::new(&asha()), &good, 1, |record| record.acts.clear(), "1 slots are idle, and 0 trials are asked for");
    let more = |record: &mut Record| record.acts.push("suggest 1".to_owned());
    refused_with(Order::new(&asha()), &good, 1, more, "trial 1 is asked for, and 1 slots are free");
}

#[test]
fn a_sweep_that_is_called_complete_too_early() {
    let finish = |record: &mut Record| record.acts = vec!["finish: every trial has ended".to_owned()];
    let good = Cluster::new(&asha(), 3, 1, 0).play();
    refused_with(Order::new(&asha()), &good, find(&good, 0, is_report), finish, "every trial has ended, but Some((TrialId(");
    let promotion = find(&good, 0, leases("1..3"));
    refused_with(Order::new(&asha()), &good, promotion, finish, "is to go on");
}

#[test]
fn a_trial_that_never_goes_on_and_keeps_its_state() {
    let halves = Ladder::anchored(Anchor::Top, Resource(1), Resource(8), 2).unwrap();
    let spec = spec(SchedulerSpec::Halving { ladder: halves, bracket: None }, 12);
    let mut bad = calm(&spec);
    bad.iter_mut().filter(|told| record(told).is_some()).for_each(|told| record_mut(told).acts.retain(|act| !act.starts_with("forget ")));
    refused(Order::new(&spec), &bad, "it will never go on and keeps a state");
}
