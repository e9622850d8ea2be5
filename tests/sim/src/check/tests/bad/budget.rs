//! Budgets that are overshot, and ends that are missed.
use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::{Event, SweepSpec};

use super::*;
use crate::check::budget::Spent;

pub(super) const ALL: &[fn()] = &[
    a_budget_that_is_overshot_or_an_end_that_is_missed,
    a_lease_or_a_question_after_the_end_has_begun,
    an_end_that_nobody_looked_for_in_time,
    whoever_comes_back_and_is_not_told_of_the_end,
    a_question_after_a_failure_of_every_trial,
    a_sweep_that_never_ends,
];

fn judge(spec: &SweepSpec) -> Spent {
    Spent::new(&premises(spec))
}

#[test]
fn a_budget_that_is_overshot_or_an_end_that_is_missed() {
    let (mut limited, good) = (asha(), calm(&asha()));
    let suggest = find(&good, 0, has_act("suggest "));
    let mut bad = good.clone();
    record_mut(&mut bad[suggest]).acts.push("suggest 5".to_owned());
    refused(judge(&limited), &bad, "is asked for after");
    let finish = find(&good, 0, has_act("finish"));
    let mut bad = good.clone();
    record_mut(&mut bad[finish]).acts.retain(|act| !act.starts_with("finish"));
    refused(judge(&limited), &bad, "is due");
    let mut bad = good.clone();
    record_mut(&mut bad[finish]).acts.push("finish: the time `wall` is over".to_owned());
    refused(judge(&limited), &bad, "twice");
    limited.budget.max_trials = Some(11);
    refused(judge(&limited), &good, "is one too many");
}

#[test]
fn a_lease_or_a_question_after_the_end_has_begun() {
    let good = calm(&asha());
    // The same sweep, had it had less time, less money, or a nearer target.
    for what in ["wall", "gpu_hours", "target"] {
        let mut limited = asha();
        match what {
            "wall" => limited.budget.wall = Some(300),
            "gpu_hours" => limited.budget.reserved = Some(200),
            _ => limited.budget.target = Some(1.0),
        }
        let what = tell(&mut judge(&limited), &good).expect_err("it must be refused").to_string();
        assert!(what.contains("the sweep is ending") || what.contains("are called back, but not"), "{what}");
    }
    let mut limited = asha();
    limited.budget.wall = Some(40);
    let good = lived(&limited, &[began(1), joined(1, 2, &[]), suggested(0), Event::Ticked]);
    assert_eq!(tell(&mut judge(&limited), &good), Ok(()));
    refused_with(judge(&limited), &good, 3, |record| record.acts.clear(), "leases are called back, but not Some(");
    refused_with(judge(&limited), &good, 3, |record| record.acts.push("suggest 2".to_owned()), "is asked for, and the sweep is ending");
    let lease = "lease 1.1 0..1 on 00000001/1".to_owned();
    refused_with(judge(&limited), &good, 3, |record| record.acts.push(lease), "1.1 starts, and the sweep is ending");
}

#[test]
fn an_end_that_nobody_looked_for_in_time() {
    let good = calm(&asha());
    let mut limited = asha();
    let third = find(&good, 2, |_| true);
    limited.budget.wall = Some(record(&good[third]).unwrap().at.0 + 1);
    let mut bad = good;
    for (place, told) in bad.iter_mut().enumerate().filter(|(_, told)| record(told).is_some()) {
        let record = record_mut(told);
        record.acts.clear();
        record.at.0 += if place > third { 5000 } else { 0 };
    }
    refused(judge(&limited), &bad, "ms late");
}

#[test]
fn whoever_comes_back_and_is_not_told_of_the_end() {
    let good = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0), Event::DrainAsked, joined(1, 1, &[held(0, 1, 0)])]);
    assert_eq!(tell(&mut judge(&asha()), &good), Ok(()));
    refused_with(judge(&asha()), &good, 4, |record| record.acts.clear(), "a worker is back, and not told");
}

#[test]
fn a_question_after_a_failure_of_every_trial() {
    let mut spec = asha();
    spec.budget.setup_failures = Some(1);
    let how = End::Failed { kind: FailureKind::Setup, message: "no such program".to_owned() };
    let good = lived(&spec, &[began(1), joined(1, 2, &[]), suggested(0), suggested(1), ended(0, 1, 1, how)]);
    assert_eq!(tell(&mut judge(&spec), &good), Ok(()));
    refused_with(judge(&spec), &good, 4, |record| record.acts.push("suggest 2".to_owned()), "so far every trial has failed");
}

#[test]
fn a_sweep_that_never_ends() {
    let mut bad = calm(&asha());
    let finish = find(&bad, 0, has_act("finish"));
    bad.drain(finish..bad.len() - 1);
    refused(judge(&asha()), &bad, "the sweep has not ended");
}
