//! Each judge refuses what it is there for: true histories in which one thing is changed.
use hpo_core::schedule::{Ladder, SchedulerSpec};
use hpo_core::sweep::event::{End, Held};
use hpo_core::{Attempt, Event, Resource, Seq, Stamp, Sweep, SweepSpec, TrialId, WorkerId};
use hpo_driver::journal::Record;

use super::cluster::{Cluster, Told, spec, tell};
use crate::check::budget::Spent;
use crate::check::ledger::Ledger;
use crate::check::mirror::Mirror;
use crate::check::newest::Newest;
use crate::check::once::Once;
use crate::check::order::Order;
use crate::check::repeated::Repeated;
use crate::check::replay::Replay;
use crate::check::silence::Silence;
use crate::check::slots::Slots;
use crate::check::states::States;
use crate::check::textbook::Textbook;
use crate::check::written::Written;
use crate::check::{Fact, Judge, Premises};

fn asha() -> SweepSpec {
    spec(SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(1), Resource(9), 3).unwrap() }, 12)
}

fn stopping() -> SweepSpec {
    spec(SchedulerSpec::AshaStop { ladder: Ladder::new(Resource(1), Resource(9), 3).unwrap() }, 12)
}

fn premises(spec: &SweepSpec) -> Premises {
    Premises { spec: spec.clone(), faultless: true, heard: true, slots: 2, slurm: None }
}

/// A history without faults, on two slots.
fn calm(spec: &SweepSpec) -> Vec<Told> {
    Cluster::new(spec, 3, 2, 0).play()
}

/// The same with many faults.
fn wild(spec: &SweepSpec) -> Vec<Told> {
    Cluster::new(spec, 5, 2, 5).play()
}

fn record(told: &Told) -> Option<&Record> {
    if let Told::Record(record) = told { Some(record) } else { None }
}

fn record_mut(told: &mut Told) -> &mut Record {
    let Told::Record(record) = told else { panic!("{told:?}") };
    record
}

/// Where the `nth` record stands of which `is` holds.
fn find(history: &[Told], nth: usize, is: impl Fn(&Record) -> bool) -> usize {
    let mut places = history.iter().enumerate().filter(|(_, told)| record(told).is_some_and(&is));
    places.nth(nth).expect("there is one").0
}

fn find_fact(history: &[Told], nth: usize, is: impl Fn(&Fact) -> bool) -> usize {
    let mut places = history.iter().enumerate().filter(|(_, told)| matches!(told, Told::Fact(_, fact) if is(fact)));
    places.nth(nth).expect("there is one").0
}

fn is_report(record: &Record) -> bool {
    matches!(record.event, Event::Reported { .. })
}

fn has_act(verb: &'static str) -> impl Fn(&Record) -> bool {
    move |record| record.acts.iter().any(|act| act.starts_with(verb))
}

fn act_of<'a>(told: &'a mut Told, verb: &str) -> &'a mut String {
    record_mut(told).acts.iter_mut().find(|act| act.starts_with(verb)).expect("there is one")
}

#[track_caller]
fn refused(mut judge: impl Judge, history: &[Told], why: &str) {
    let what = tell(&mut judge, history).expect_err("it must be refused").to_string();
    assert!(what.contains(why), "{what}");
}

/// As [`refused`], for judges that look at a replay: the sweep lives through `other`, and the judge hears of `history`.
#[track_caller]
fn refused_of(mut judge: impl Judge, spec: &SweepSpec, history: &[Told], other: &[Told], why: &str) {
    let mut sweep = Sweep::new(spec.clone());
    let records = history.iter().filter_map(record).zip(other.iter().filter_map(record));
    for (told, lived) in records {
        sweep.apply(lived.at, &lived.event, &mut vec![]);
        if let Err(violation) = judge.record(told).and_then(|()| judge.replayed(told.seq, &sweep)) {
            return assert!(violation.what.contains(why), "{violation}");
        }
    }
    panic!("it must be refused");
}

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
fn a_slot_that_is_sold_twice() {
    let (spec, good) = (asha(), calm(&asha()));
    let busy = find(&good, 1, has_act("lease "));
    let other = find(&good, 0, has_act("lease "));
    let mut bad = good.clone();
    let place = act_of(&mut bad[other], "lease ").split(" on ").nth(1).unwrap().to_owned();
    let act = act_of(&mut bad[busy], "lease ");
    *act = format!("{} on {place}", act.split(" on ").next().unwrap());
    refused(Slots::new(&spec), &bad, "which");
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
    let again = Held { trial: TrialId(77), attempt: Attempt(1), slot: 0 };
    let joined = find(&good, 0, |record| matches!(record.event, Event::WorkerJoined { .. }));
    let mut bad = good;
    let Event::WorkerJoined { holds, .. } = &mut record_mut(&mut bad[joined]).event else { panic!() };
    holds.push(again);
    refused(Slots::new(&spec), &bad, "was not lost there");
}

#[test]
fn a_budget_that_is_overshot_or_an_end_that_is_missed() {
    let (mut limited, good) = (asha(), calm(&asha()));
    let suggest = find(&good, 0, has_act("suggest "));
    let mut bad = good.clone();
    record_mut(&mut bad[suggest]).acts.push("suggest 5".to_owned());
    refused(Spent::new(&premises(&limited)), &bad, "is asked for after");
    let finish = find(&good, 0, has_act("finish"));
    let mut bad = good.clone();
    record_mut(&mut bad[finish]).acts.retain(|act| !act.starts_with("finish"));
    refused(Spent::new(&premises(&limited)), &bad, "is due");
    let mut bad = good.clone();
    record_mut(&mut bad[finish]).acts.push("finish: the time `wall` is over".to_owned());
    refused(Spent::new(&premises(&limited)), &bad, "twice");
    limited.budget.max_trials = Some(11);
    refused(Spent::new(&premises(&limited)), &good, "is one too many");
    // The same sweep, had it had less time, less money, or a nearer target.
    for what in ["wall", "gpu_hours", "target"] {
        let mut limited = asha();
        match what {
            "wall" => limited.budget.wall = Some(300),
            "gpu_hours" => limited.budget.reserved = Some(200),
            _ => limited.budget.target = Some(1.0),
        }
        let what = tell(&mut Spent::new(&premises(&limited)), &good).expect_err("it must be refused").to_string();
        assert!(what.contains("the sweep is ending") || what.contains("are called back, but not"), "{what}");
    }
    // An end that nobody looked for when it was time.
    let mut limited = asha();
    let third = find(&good, 2, |_| true);
    limited.budget.wall = Some(record(&good[third]).unwrap().at.0 + 1);
    let mut bad = good;
    for (place, told) in bad.iter_mut().enumerate().filter(|(_, told)| record(told).is_some()) {
        let record = record_mut(told);
        record.acts.clear();
        record.at.0 += if place > third { 5000 } else { 0 };
    }
    refused(Spent::new(&premises(&limited)), &bad, "ms late");
}

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
fn books_that_do_not_tally() {
    let (spec, good) = (asha(), wild(&asha()));
    // Of the same history a sweep in which one event came later.
    let at = find(&good, 6, is_report);
    let mut other = good.clone();
    for told in &mut other[at..] {
        if record(told).is_some() {
            record_mut(told).at.0 += 3;
        }
    }
    refused_of(Ledger::new(&spec), &spec, &good, &other, "reserved");
    // And one in which a figure was another.
    let mut other = good.clone();
    if let Event::Reported { loss, .. } = &mut record_mut(&mut other[at]).event {
        *loss = hpo_core::Loss::new(-7.0);
    }
    refused_of(Mirror::new(&spec), &spec, &good, &other, "");
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
    refused(Replay::new(&spec), &bad, "the driver stands at line");
    bad.retain(|told| !matches!(told, Told::Fact(_, Fact::Settled { .. })));
    refused(Replay::new(&spec), &bad, "comes after");
    let mut bad = good.clone();
    record_mut(&mut bad[at]).at = Stamp(0);
    refused(Replay::new(&spec), &bad, "time runs backwards");
    let settled = find_fact(&good, 4, |fact| matches!(fact, Fact::Settled { .. }));
    let mut bad = good.clone();
    let Told::Fact(_, Fact::Settled { digest, .. }) = &mut bad[settled] else { panic!() };
    *digest ^= 1;
    refused(Replay::new(&spec), &bad, "that of a replay");
    let report = find(&good, 2, is_report);
    let mut bad = good;
    if let Event::Reported { resource, .. } = &mut record_mut(&mut bad[report]).event {
        *resource = Resource(99);
    }
    refused(Replay::new(&spec), &bad, "is in the journal, but");
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
