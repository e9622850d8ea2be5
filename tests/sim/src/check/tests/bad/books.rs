//! What a sweep says of itself that its journal does not: its ledger and its standing.
use hpo_core::ledger::Uses;
use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::sweep::{State, Trial};

use super::*;
use crate::check::Violation;
use crate::check::ledger::Ledger;
use crate::check::mirror::{Mirror, Said};

pub(super) const ALL: &[fn()] = &[
    books_that_do_not_tally,
    slots_that_drain_too_early_or_are_idle_too_late,
    a_trial_that_does_not_stand_where_it_is_said_to,
    a_sweep_that_does_not_stand_where_it_says,
    an_end_that_is_not_owed,
];

/// What is changed, and what the judge says of that.
type Wrong<T> = (fn(&mut T), &'static str);

/// The sweep after so many records of a history, and a judge that has heard them.
fn after<J: Judge>(mut judge: J, spec: &SweepSpec, history: &[Told], records: usize) -> (J, Sweep) {
    let mut sweep = Sweep::new(spec.clone());
    for record in history.iter().filter_map(record).take(records) {
        sweep.apply(record.at, &record.event, &mut vec![]);
        judge.record(record).unwrap();
        judge.replayed(record.seq, &sweep).unwrap();
    }
    (judge, sweep)
}

#[test]
fn books_that_do_not_tally() {
    let (spec, good) = (asha(), wild(&asha()));
    let one = good.iter().filter_map(record).count() * 2 / 3;
    let (judge, sweep) = after(Ledger::new(&spec), &spec, &good, one);
    let (at, right) = (sweep.now(), sweep.view().uses);
    judge.looks_at(1, &right, at).unwrap();
    let cases: [Wrong<Uses>; 10] = [
        (|uses| uses.reserved += 1, "is reserved, not"),
        (|uses| uses.idle += 1, "the categories sum to"),
        (|uses| (uses.idle, uses.explored) = (uses.idle + 1, uses.explored - 1), "was leased, and"),
        (|uses| (uses.startup, uses.explored) = (uses.startup + 1, uses.explored - 1), "of startup, and workers said"),
        (|uses| (uses.restore, uses.explored) = (uses.restore + 1, uses.explored - 1), "of restore, and workers said"),
        (|uses| (uses.checkpoint, uses.explored) = (uses.checkpoint + 1, uses.explored - 1), "of checkpoint, and workers said"),
        (|uses| (uses.redone, uses.explored) = (uses.redone + 1, uses.explored - 1), "of redone, and workers said"),
        (|uses| (uses.winner, uses.explored, uses.stopped) = (uses.winner + uses.explored + uses.stopped, 0, 0), "winner has"),
        (|uses| (uses.winner, uses.explored, uses.stopped) = (0, uses.winner + uses.explored + uses.stopped, 0), "explored has"),
        (|uses| (uses.winner, uses.explored, uses.stopped) = (0, 0, uses.winner + uses.explored + uses.stopped), "stopped has"),
    ];
    for (change, why) in cases {
        let mut uses = right;
        change(&mut uses);
        let what = judge.looks_at(1, &uses, at).expect_err(why).what;
        assert!(what.contains(why), "{what}");
    }
}

#[test]
fn slots_that_drain_too_early_or_are_idle_too_late() {
    let good = lived(&asha(), &[began(1), joined(1, 2, &[]), suggested(0), Event::DrainAsked]);
    let said = |told: Result<(), Violation>| told.expect_err("it must be refused").what;
    let (judge, sweep) = after(Ledger::new(&asha()), &asha(), &good, 3);
    let now = sweep.view().uses;
    let odd = Uses { idle: now.idle - 5, drain: now.drain + 5, ..now };
    assert!(said(judge.looks_at(1, &odd, sweep.now())).contains("slots were idle for"));
    let drains = Uses { drain: now.drain + 1, ..now };
    assert!(said(judge.grows(1, &now, &drains)).contains("a slot is draining, and leases are given"));
    let (judge, _) = after(Ledger::new(&asha()), &asha(), &good, 4);
    assert_eq!(judge.grows(1, &now, &drains), Ok(()), "it is asked to");
    assert!(said(judge.grows(1, &now, &Uses { idle: now.idle + 1, ..now })).contains("a slot is idle at the end"));
}

#[test]
fn a_trial_that_does_not_stand_where_it_is_said_to() {
    let events = [began(1), joined(1, 1, &[]), suggested(0), reported(0, 1, 1, 1, 0.5)];
    let failed = End::Failed { kind: FailureKind::Exit, message: "it ended".to_owned() };
    let good = lived(&asha(), &[&events[..], &[ended(0, 1, 2, failed)]].concat());
    let cases: [(usize, Wrong<Trial>); 7] = [
        (4, (|trial| trial.state = State::Waiting, "trial 0 is Leased and is said to be Waiting")),
        (4, (|trial| trial.trained = Resource(5), "has 1 units behind it, not 5")),
        (4, (|trial| trial.best = None, "the best of trial 0 is")),
        (4, (|trial| trial.promoted = true, "trial 0 was promoted: false")),
        (4, (|trial| trial.checkpoint = Some(state("odd", 1)), "trial 0 would go on from None")),
        (4, (|trial| trial.results.clear(), "on the rungs, not []")),
        (5, (|trial| trial.failure = None, "trial 0 has failed for no stated reason")),
    ];
    for (records, (change, why)) in cases {
        let (judge, sweep) = after(Mirror::new(&asha()), &asha(), &good, records);
        let mut trial = sweep.trial(TrialId(0)).unwrap().clone();
        change(&mut trial);
        let what = judge.trials(1, |_| Some(&trial)).expect_err("it must be refused").what;
        assert!(what.contains(why), "{what}");
    }
    let (judge, _) = after(Mirror::new(&asha()), &asha(), &good, 4);
    assert!(judge.trials(1, |_| None).unwrap_err().what.contains("has come, and the sweep does not know it"));
}

#[test]
fn a_sweep_that_does_not_stand_where_it_says() {
    let good = lived(&asha(), &[began(1), joined(1, 2, &[]), suggested(0), reported(0, 1, 1, 1, 0.5)]);
    let (judge, sweep) = after(Mirror::new(&asha()), &asha(), &good, 4);
    let cases: [Wrong<Said>; 11] = [
        (|said| said.epoch = 2, "the driver is that of epoch 1, not 2"),
        (|said| said.view.trials.paused = 1, "trials are [1, 0, 1, 0, 0, 0, 0], not"),
        (|said| said.view.attempts.failed = 1, "attempts ended as"),
        (|said| said.best.clear(), "the best trials are [TrialId(0)], not []"),
        (|said| said.view.slots.busy = 2, "slots are (2, 1), not"),
        (|said| said.view.resource = 2, "1 units were trained, not 2"),
        (|said| said.view.gpus = true, "there were GPUs: false"),
        (|said| said.drained = true, "it is drained: false"),
        (|said| said.tick = Some(Stamp(7)), "a budget is used up at None, not at Some("),
        (|said| said.owed.clear(), "[\"suggest 1\"] is owed, not []"),
        (|said| said.told = 0, "a searcher is to hear 1 things, not 0"),
    ];
    for (change, why) in cases {
        let mut said = Said::by(&sweep);
        change(&mut said);
        let what = judge.whole(1, &said).expect_err("it must be refused").what;
        assert!(what.contains(why), "{what}");
    }
}

#[test]
fn an_end_that_is_not_owed() {
    let good = calm(&asha());
    let records = good.iter().filter_map(record).count();
    let (judge, sweep) = after(Mirror::new(&asha()), &asha(), &good, records);
    let said = Said { owed: vec![], ..Said::by(&sweep) };
    assert!(judge.whole(1, &said).unwrap_err().what.contains("the end is owed, not []"));
}
