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
    books_that_count_a_loss_twice_or_one_that_was_none,
    books_without_the_time_in_which_no_driver_was_there,
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
    let cases: [Wrong<Uses>; 9] = [
        (|uses| uses.reserved += 1, "is reserved, not"),
        (|uses| uses.idle += 1, "the categories sum to"),
        (|uses| (uses.idle, uses.explored) = (uses.idle + 1, uses.explored - 1), "was leased, and"),
        (|uses| (uses.startup, uses.explored) = (uses.startup + 1, uses.explored - 1), "of startup, and workers said"),
        (|uses| (uses.restore, uses.explored) = (uses.restore + 1, uses.explored - 1), "of restore, and workers said"),
        (|uses| (uses.checkpoint, uses.explored) = (uses.checkpoint + 1, uses.explored - 1), "of checkpoint, and workers said"),
        (|uses| (uses.redone, uses.explored) = (uses.redone + 1, uses.explored - 1), "of redone, and workers said"),
        (|uses| (uses.winner, uses.explored) = (uses.winner + 1, uses.explored - 1), "winner has"),
        (|uses| (uses.explored, uses.stopped) = (uses.explored - 1, uses.stopped + 1), "explored has"),
    ];
    for (change, why) in cases {
        let mut uses = right;
        change(&mut uses);
        let what = judge.looks_at(1, &uses, at).expect_err(why).what;
        assert!(what.contains(why), "{what}");
    }
}

/// One trial of three units, on one slot from 20 on, leased at 30.
fn three() -> SweepSpec {
    spec(SchedulerSpec::Fifo { ladder: Ladder::single(Resource(3)).unwrap() }, 1)
}

/// Books by hand, in slot-milliseconds, and those of somebody who counts wrong.
#[track_caller]
fn by_hand(history: &[Event], right: Uses, wrong: Uses, why: &str) {
    let whole = |uses: Uses| {
        let Uses { reserved, winner, explored, stopped, redone, restore, checkpoint, startup, idle, drain } = uses;
        let [reserved, winner, explored, stopped, redone] = [reserved, winner, explored, stopped, redone].map(|part| part * 1000);
        let [restore, checkpoint, startup, idle, drain] = [restore, checkpoint, startup, idle, drain].map(|part| part * 1000);
        Uses { reserved, winner, explored, stopped, redone, restore, checkpoint, startup, idle, drain }
    };
    let (judge, sweep) = after(Ledger::new(&three()), &three(), &lived(&three(), history), history.len());
    judge.looks_at(1, &whole(right), sweep.now()).unwrap();
    let what = judge.looks_at(1, &whole(wrong), sweep.now()).expect_err("it must be refused").what;
    assert!(what.contains(why), "{what}");
}

#[test]
fn books_that_count_a_loss_twice_or_one_that_was_none() {
    let units = |attempt, from: u32| (from..=3).map(move |unit| reported(0, attempt, unit, unit, 0.5));
    let begun = [began(1), joined(1, 1, &[]), suggested(0), reported(0, 1, 1, 1, 0.5)];
    // Two units and ten milliseconds are lost; then all three are done.
    let lost = begun.iter().cloned().chain([reported(0, 1, 2, 2, 0.5), ended(0, 1, 3, End::Lost)]);
    let history: Vec<Event> = lost.chain(units(2, 1)).chain([reached(0, 2, 4, 3, "end")]).collect();
    let right = Uses { reserved: 80, idle: 10, redone: 30, winner: 40, ..Uses::default() };
    by_hand(&history, right, Uses { redone: 30 + 20, winner: 20, ..right }, "of redone, and workers said");
    // Called away after two units it leaves a state of one.
    let how = End::Preempted { checkpoint: Some(state("one", 1)) };
    let away = begun.iter().cloned().chain([reported(0, 1, 2, 2, 0.5), ended(0, 1, 3, how)]);
    let rest = [reported(0, 2, 1, 2, 0.5), reported(0, 2, 2, 3, 0.5), reached(0, 2, 3, 3, "end")];
    let history: Vec<Event> = away.chain(rest).collect();
    let right = Uses { reserved: 70, idle: 10, redone: 20, winner: 40, ..Uses::default() };
    by_hand(&history, right, Uses { redone: 30, winner: 30, ..right }, "of redone, and workers said");
    // The worker is thought lost for ten milliseconds, and goes on.
    let back = [Event::WorkerLost { worker: worker(1) }, joined(1, 1, &[held(0, 1, 0)])];
    let history: Vec<Event> = begun.into_iter().chain(back).chain(units(1, 2)).chain([reached(0, 1, 4, 3, "end")]).collect();
    let right = Uses { reserved: 60, idle: 10, winner: 50, ..Uses::default() };
    by_hand(&history, right, Uses { redone: 20, winner: 30, ..right }, "of redone, and workers said");
}

/// The driver was last heard of at 30; the next one comes at 40, loses the worker at 50, and at 60 that is back from its task.
#[test]
fn books_without_the_time_in_which_no_driver_was_there() {
    let task = |ago: u64, holds: &[Held]| {
        let mut joins = leaves_in(joined(1, 1, holds), 1_000);
        if let Event::WorkerJoined { allocation: Some(allocation), .. } = &mut joins {
            allocation.started_ms_ago = ago;
        }
        joins
    };
    let history = |holds| [began(1), task(0, &[]), suggested(0), began(2), Event::WorkerLost { worker: worker(1) }, task(40, holds)];
    let right = Uses { reserved: 40, idle: 40, ..Uses::default() };
    by_hand(&history(&[]), right, Uses { reserved: 20, idle: 20, ..right }, "40000 is reserved, not 20000");
    let right = Uses { reserved: 40, idle: 10, stopped: 30, ..Uses::default() };
    by_hand(&history(&[held(0, 1, 0)]), right, Uses { idle: 40, stopped: 0, ..right }, "was leased, and");
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
