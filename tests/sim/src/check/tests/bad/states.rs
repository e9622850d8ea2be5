//! States that are deleted and needed, or kept for nobody.
use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::{Event, layout};

use super::*;
use crate::check::book::Book;
use crate::check::states::States;

pub(super) const ALL: &[fn()] = &[
    a_state_that_is_deleted_too_early_or_left_behind,
    the_state_before_the_newest_that_is_deleted,
    a_state_that_is_missed_because_we_deleted_it,
    a_trial_that_goes_on_after_its_states_were_let_go,
    a_state_that_is_left_though_a_driver_was_there,
];

#[test]
fn a_state_that_is_deleted_too_early_or_left_behind() {
    let (spec, good) = (asha(), calm(&asha()));
    let lease = find(&good, 0, |record| record.acts.iter().any(|act| act.starts_with("lease ") && act.contains("1..3")));
    let act = record(&good[lease]).unwrap().acts.iter().find(|act| act.contains("1..3")).unwrap();
    let trial = &act["lease ".len()..act.find('.').unwrap()];
    let mut bad = good.clone();
    let reached = find(&good, 0, |record| matches!(&record.event, Event::Reached { trial: who, .. } if who.to_string() == trial));
    let Event::Reached { checkpoint: Some(state), .. } = record(&good[reached]).unwrap().event.clone() else { panic!() };
    record_mut(&mut bad[lease]).acts.push(format!("forget {trial}@1 {:.8}", state.id));
    refused(States::new(&spec), &bad, "the newest state");
    let mut bad = good.clone();
    bad.insert(reached + 1, Told::Fact(Stamp(0), Fact::Removed { id: state.id.clone() }));
    refused(States::new(&spec), &bad, "needs it");
    let mut bad = good.clone();
    let Some(Told::End(last)) = bad.last_mut() else { panic!() };
    last.store.push("more".to_owned());
    refused(States::new(&spec), &bad, "nobody needs the states");
    last_store_emptied(&spec, good.clone());
    // A trial that was let go when it was over: its state stays if nothing says that it goes.
    let mut bad = good;
    bad.retain(|told| !matches!(told, Told::Fact(_, Fact::Removed { .. })));
    bad.iter_mut().filter(|told| record(told).is_some()).for_each(|told| record_mut(told).acts.retain(|act| !act.starts_with("forget ")));
    refused(States::new(&spec), &bad, "keeps");
}

fn last_store_emptied(spec: &SweepSpec, mut bad: Vec<Told>) {
    let Some(Told::End(last)) = bad.last_mut() else { panic!() };
    last.store.clear();
    refused(States::new(spec), &bad, "have lost their states");
}

#[test]
fn the_state_before_the_newest_that_is_deleted() {
    let spec = stopping();
    let gone = |word, id, at| ended(0, word, 2, End::Preempted { checkpoint: Some(state(id, at)) });
    let events = [began(1), joined(1, 1, &[]), suggested(0), reported(0, 1, 1, 1, 0.5), gone(1, "first", 1), reported(0, 2, 1, 2, 0.5)];
    let good = lived(&spec, &[&events[..], &[gone(2, "second", 2), Event::Ticked]].concat());
    assert_eq!(tell(&mut States::new(&spec), &good), Ok(()));
    let forget = |record: &mut Record| record.acts.push("forget 0@1 first".to_owned());
    refused_with(States::new(&spec), &good, 7, forget, "of trial 0 no state is left but the newest, and it is Leased");
}

#[test]
fn a_state_that_is_missed_because_we_deleted_it() {
    let spec = stopping();
    let how = End::Preempted { checkpoint: Some(state("only", 1)) };
    let bad = End::Failed { kind: FailureKind::Checkpoint, message: "it is not there".to_owned() };
    let events = [began(1), joined(1, 1, &[]), suggested(0), reported(0, 1, 1, 1, 0.5), ended(0, 1, 2, how), ended(0, 2, 1, bad)];
    let mut history = lived(&spec, &events);
    assert_eq!(tell(&mut States::new(&spec), &history), Ok(()));
    // When nobody had said yet that it is there.
    history.insert(4, fact(Fact::Removed { id: "only".to_owned() }));
    refused(States::new(&spec), &history, "trial 0 needs the state only, which we deleted");
    history.insert(0, fact(Fact::Damaged { id: "only".to_owned() }));
    assert_eq!(tell(&mut States::new(&spec), &history), Ok(()), "the world had taken it first");
}

#[test]
fn a_trial_that_goes_on_after_its_states_were_let_go() {
    let good = calm(&asha());
    let promotion = find(&good, 0, leases("3..9"));
    let trial = leased_trial(record(&good[promotion]).unwrap().acts.iter().find(|act| act.contains("3..9")).unwrap());
    let first = good.iter().filter_map(record).find_map(|record| match &record.event {
        Event::Reached { trial: who, resource: Resource(1), checkpoint, .. } if who.to_string() == trial => checkpoint.clone(),
        _ => None,
    });
    let forget = format!("forget {trial}@1 {:.8}", first.unwrap().id);
    refused_with(States::new(&asha()), &good, promotion, |record| record.acts.insert(0, forget), "goes on, and its states were let go");
}

#[test]
fn of_states_that_are_alike_the_one_is_let_go_that_was_named() {
    let spec = spec(SchedulerSpec::Fifo { ladder: Ladder::single(Resource(4)).unwrap() }, 1);
    let saved = |attempt: u32| {
        let checkpoint = Some(state(&layout::id(&"5a".repeat(32), Attempt(attempt)), 1));
        ended(0, attempt, if attempt == 1 { 2 } else { 1 }, End::Preempted { checkpoint })
    };
    let events = [began(1), joined(1, 1, &[]), suggested(0), reported(0, 1, 1, 1, 0.5), saved(1), saved(2), saved(3)];
    let good = lived(&spec, &events);
    assert!(has_act("forget 0@1 5a5a5a5a-1")(record(&good[6]).unwrap()));
    assert_eq!(tell(&mut States::new(&spec), &good), Ok(()));
    let mut book = Book::new(&spec);
    good.iter().filter_map(record).for_each(|record| book.record(record));
    let left: Vec<&str> = book.trials[&TrialId(0)].states.iter().map(|state| &state.id[64..]).collect();
    assert_eq!(left, ["-2", "-3"]);
}

/// A worker that was asleep writes its state when the sweep is over.
#[test]
fn a_state_that_is_left_though_a_driver_was_there() {
    let mut late = calm(&asha());
    let Some(Told::End(mut last)) = late.pop() else { panic!() };
    last.store.push("late".to_owned());
    let driver = |epoch| Told::Fact(Stamp(0), Fact::DriverBorn { epoch });
    let stored = Told::Fact(last.at, Fact::Stored { id: "late".to_owned(), trial: TrialId(0), resource: Resource(1) });
    // The sweep's only driver has epoch 1; what has a lower one is fenced off, however long it lives.
    let by = |epoch| [&[driver(epoch)][..], &late, &[stored.clone(), Told::End(last.clone())]].concat();
    assert_eq!(tell(&mut States::new(&asha()), &by(0)), Ok(()));
    refused(States::new(&asha()), &by(1), "at the end nobody needs the states [\"late\"]");
}
