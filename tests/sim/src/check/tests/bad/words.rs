//! Words of workers, decisions of drivers, and what follows from both: once, newest, written, repeated, replay, silence, textbook.
use hpo_core::schedule::{Ladder, SchedulerSpec};
use hpo_core::sweep::event::End;
use hpo_core::{Event, Resource, Stamp, Sweep, TrialId};
use hpo_driver::journal::Record;

use super::*;
use crate::check::newest::Newest;
use crate::check::once::Once;
use crate::check::repeated::Repeated;
use crate::check::replay::Replay;
use crate::check::sense::Sense;
use crate::check::silence::Silence;
use crate::check::textbook::Textbook;
use crate::check::written::Written;

pub(super) const ALL: &[fn()] = &[
    a_word_that_is_applied_twice_or_lost_or_called_safe_too_early,
    attempts_that_do_not_grow_or_old_ones_that_are_heard,
    what_nobody_waited_for,
    what_nobody_can_make_anything_of,
    a_word_outside_of_its_lease,
    what_is_done_before_it_is_written,
    a_unit_that_is_trained_again_though_nothing_took_it_away,
    an_older_attempt_that_trains_after_a_newer_one,
    a_live_worker_that_is_declared_lost,
    a_replay_that_leads_elsewhere,
    a_driver_whose_sweep_is_another_than_that_of_a_replay,
    a_searcher_that_is_not_told,
    a_sweep_that_is_not_the_textbooks,
];

#[test]
fn a_word_that_is_applied_twice_or_lost_or_called_safe_too_early() {
    let (spec, good) = (asha(), wild(&asha()));
    let at = find(&good, 3, is_report);
    let mut bad = good.clone();
    bad.insert(at + 1, good[at].clone());
    refused(Once::new(&spec), &bad, "comes after word");
    let mut bad = good.clone();
    bad.remove(at);
    refused(Once::new(&spec), &bad, "and the last that is durable is");
    // The acknowledgement is taken away with it: the gap is found with the next word.
    let Told::Record(Record { event, .. }) = &good[at] else { panic!() };
    let (trial, attempt, seq) = event.about().unwrap();
    let mut bad = good.clone();
    bad.remove(at);
    bad.retain(|told| !matches!(told, Told::Fact(_, Fact::Acknowledged { held, seq: upto, .. }) if held.trial == trial && held.attempt == attempt && *upto == seq));
    refused(Once::new(&spec), &bad, "are lost");
}

#[test]
fn attempts_that_do_not_grow_or_old_ones_that_are_heard() {
    let (spec, good) = (asha(), wild(&asha()));
    let second = find(&good, 0, |record| record.acts.iter().any(|act| act.starts_with("lease ") && act.contains(".2 ")));
    let mut bad = good.clone();
    let act = record_mut(&mut bad[second]).acts.iter_mut().find(|act| act.contains(".2 ")).unwrap();
    let trial: u32 = act["lease ".len()..act.find('.').unwrap()].parse().unwrap();
    *act = act.replace(".2 ", ".3 ");
    refused(Newest::new(&spec), &bad, "after attempt 1");
    // A word of the first attempt after the lease of the second.
    let mut bad = good.clone();
    let event = Event::Started { trial: TrialId(trial), attempt: Attempt(1), seq: Seq(99), startup_ms: 0, restore_ms: 0 };
    bad.insert(second + 1, Told::Record(Record { seq: 0, at: Stamp(0), event, acts: vec![] }));
    refused(Newest::new(&spec), &bad, "which has no lease");
    let mut bad = good;
    record_mut(&mut bad[second]).acts.push("dance 1.1".to_owned());
    refused(Newest::new(&spec), &bad, "not decisions");
}

#[test]
fn what_nobody_waited_for() {
    let good = lived(&asha(), &[began(1), joined(1, 2, &[]), suggested(0)]);
    let asked_for = [suggested(7), Event::Exhausted { trial: TrialId(0) }, began(1), Event::WorkerLost { worker: worker(2) }];
    for odd in asked_for {
        let mut bad = good.clone();
        bad.push(line(odd, &[]));
        refused(Newest::new(&asha()), &bad, "nobody waited for");
    }
    let mut bad = good;
    bad.extend([line(Event::DrainAsked, &[]), line(Event::DrainAsked, &[])]);
    refused(Newest::new(&asha()), &bad, "nobody waited for DrainAsked");
}

#[test]
fn what_nobody_can_make_anything_of() {
    let good = lived(&asha(), &[began(1), joined(1, 2, &[]), suggested(0)]);
    assert_eq!(tell(&mut Sense::new(&asha()), &good), Ok(()));
    for slots in [0, 1025] {
        refused(Sense::new(&asha()), &[line(joined(1, slots, &[]), &[])], &format!("has {slots} slots"));
    }
    let farm = |record: &mut Record| {
        let Event::WorkerJoined { slots, .. } = &mut record.event else { panic!() };
        slots[1].milli_gpus = 100_000_001;
    };
    refused_with(Sense::new(&asha()), &good, 1, farm, "has 100000001 thousandths of a GPU");
    for (name, value) in [("x", Value::Float(7.5)), ("x", Value::Int(0)), ("width", Value::Float(0.5))] {
        let strays = |record: &mut Record| {
            let Event::Suggested { params, .. } = &mut record.event else { panic!() };
            *params = [(name.to_owned(), value)].into();
        };
        refused_with(Sense::new(&asha()), &good, 2, strays, "is no point of the space");
    }
}

#[test]
fn a_word_outside_of_its_lease() {
    let good = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0)]);
    let beside = [
        reported(0, 1, 1, 2, 0.5),
        reached(0, 1, 1, 3, "beyond"),
        ended(0, 1, 1, End::Preempted { checkpoint: Some(state("the end", 1)) }),
    ];
    for odd in beside {
        let mut bad = good.clone();
        bad.push(line(odd, &[]));
        refused(Newest::new(&asha()), &bad, "of the lease 0..1");
    }
}

#[test]
fn what_is_done_before_it_is_written() {
    let good = wild(&asha());
    let sent = find_fact(&good, 0, |fact| matches!(fact, Fact::LeaseSent { .. }));
    let mut bad = good.clone();
    let early = bad.remove(sent);
    bad.insert(0, early);
    refused(Written::default(), &bad, "no such decision is durable");
    let mut bad = good.clone();
    bad.remove(sent);
    refused(Written::default(), &bad, "nobody sent it");
    let removed = find_fact(&good, 0, |fact| matches!(fact, Fact::Removed { .. }));
    let mut bad = good;
    let early = bad.remove(removed);
    bad.insert(0, early);
    refused(Written::default(), &bad, "is deleted, and no such decision");
}

#[test]
fn a_unit_that_is_trained_again_though_nothing_took_it_away() {
    let spec = asha();
    let worker = WorkerId(1 << 96);
    let held = |attempt| Held { trial: TrialId(0), attempt: Attempt(attempt), slot: 0 };
    let trained = |attempt, at| Told::Fact(Stamp(0), Fact::Trained { worker, held: held(attempt), resource: Resource(at) });
    let good = calm(&spec);
    let first = find(&good, 0, |record| record.acts.iter().any(|act| act.starts_with("lease 0.1 ")));
    let mut history: Vec<Told> = good[..=first].to_vec();
    history.push(trained(1, 1));
    // A driver dies and another says that the attempt is to begin anew.
    let restart = |acts: Vec<String>| Told::Record(Record { seq: 0, at: Stamp(900), event: Event::DriverStarted { epoch: 2 }, acts });
    let again = "lease 0.2 0..1 on 00000001/0".to_owned();
    let mut bad = history.clone();
    bad.extend([restart(vec![again.clone()]), trained(2, 1)]);
    refused(Repeated::new(&spec), &bad, "nothing took it away");
    // Had the attempt said that it was lost, that would be right.
    let how = End::Lost;
    let event = Event::Ended { trial: TrialId(0), attempt: Attempt(1), seq: Seq(2), after_ms: None, how };
    history.extend([Told::Record(Record { seq: 0, at: Stamp(900), event, acts: vec![again] }), trained(2, 1)]);
    assert_eq!(tell(&mut Repeated::new(&spec), &history), Ok(()));
}

#[test]
fn an_older_attempt_that_trains_after_a_newer_one() {
    let trained = |attempt| fact(Fact::Trained { worker: worker(1), held: held(0, attempt, 0), resource: Resource(1) });
    let mut bad = lived(&asha(), &[began(1), joined(1, 1, &[]), suggested(0), ended(0, 1, 1, End::Lost)]);
    bad.push(trained(2));
    bad.extend([line(Event::Ticked, &["lease 0.1 0..1 on 00000002/0"]), trained(1)]);
    refused(Repeated::new(&asha()), &bad, "0.1 trains unit 1, which 0.2 has trained");
}

#[test]
fn a_live_worker_that_is_declared_lost() {
    let spec = asha();
    let heard = |heard| Premises { spec: spec.clone(), faultless: false, heard, slots: 2, slurm: None };
    let worker = WorkerId(1 << 96);
    let lost = Told::Record(Record { seq: 1, at: Stamp(0), event: Event::WorkerLost { worker }, acts: vec![] });
    refused(Silence::new(&heard(true)), std::slice::from_ref(&lost), "it lives and speaks");
    assert_eq!(tell(&mut Silence::new(&heard(false)), std::slice::from_ref(&lost)), Ok(()));
    let died = Told::Fact(Stamp(0), Fact::WorkerDied { worker });
    assert_eq!(tell(&mut Silence::new(&heard(true)), &[died, lost.clone()]), Ok(()));
    let dismissed = Told::Fact(Stamp(0), Fact::WorkerDismissed { worker });
    assert_eq!(tell(&mut Silence::new(&heard(true)), &[dismissed, lost]), Ok(()));
}

#[test]
fn a_replay_that_leads_elsewhere() {
    let (spec, good) = (asha(), wild(&asha()));
    let at = find(&good, 4, has_act("lease "));
    let mut bad = good.clone();
    record_mut(&mut bad[at]).acts.clear();
    refused(Replay::new(&spec), &bad, "was decided, and now");
    let mut bad = good.clone();
    bad.remove(at);
    refused(Replay::new(&spec), &bad, "comes after");
    let mut bad = good.clone();
    record_mut(&mut bad[at]).at = Stamp(0);
    refused(Replay::new(&spec), &bad, "time runs backwards");
    let report = find(&good, 2, is_report);
    let mut bad = good;
    if let Event::Reported { resource, .. } = &mut record_mut(&mut bad[report]).event {
        *resource = Resource(99);
    }
    refused(Replay::new(&spec), &bad, "is in the journal, but");
}

#[test]
fn a_driver_whose_sweep_is_another_than_that_of_a_replay() {
    let (spec, good) = (asha(), wild(&asha()));
    let records: Vec<_> = good.iter().filter_map(|told| if let Told::Record(record) = told { Some(record) } else { None }).collect();
    let stands = |records: &[&Record]| {
        let mut sweep = Sweep::new(spec.clone());
        records.iter().for_each(|record| sweep.apply(record.at, &record.event, &mut vec![]));
        sweep
    };
    // One of 64 numbers is that of a digest.
    for (index, last) in records.iter().enumerate().skip(1).step_by(7) {
        let mut replay = Replay::new(&spec);
        records[..=index].iter().try_for_each(|record| replay.record(record)).unwrap();
        let line = last.seq;
        assert_eq!(replay.settled(last.at, line, &stands(&records[..=index])), Ok(()));
        let why = replay.settled(last.at, line, &stands(&records[..index])).unwrap_err().to_string();
        assert!(why.contains("that of a replay"), "{why}");
        let why = replay.settled(last.at, line + 1, &stands(&records[..=index])).unwrap_err().to_string();
        assert!(why.contains("the driver stands at line"), "{why}");
    }
}

#[test]
fn a_searcher_that_is_not_told() {
    // It hears of rungs alone, and for this sweep the first is none.
    let lives = spec(SchedulerSpec::Fifo { ladder: Ladder::single(Resource(9)).unwrap() }, 12);
    let history = lived(&lives, &[began(1), joined(1, 1, &[]), suggested(0), reported(0, 1, 1, 1, 0.5)]);
    assert_eq!(tell(&mut Replay::of(&lives, &lives), &history), Ok(()));
    refused(Replay::of(&lives, &asha()), &history, "the searcher hears 0 things, and 1 happened");
}

#[test]
fn a_sweep_that_is_not_the_textbooks() {
    for spec in [asha(), stopping()] {
        let good = Cluster::new(&spec, 3, 1, 0).play();
        let lease = find(&good, 7, has_act("lease "));
        let mut bad = good.clone();
        let act = act_of(&mut bad[lease], "lease ");
        let until = act[act.find("..").unwrap()..act.find(" on ").unwrap()].to_owned();
        *act = act.replacen(&until, "..5", 1);
        refused(Textbook::new(&spec).unwrap(), &bad, "by the textbook");
    }
}
