//! Each judge refuses what it is there for: true histories in which one thing is changed, or a few lines by hand. There is one for
//! every sentence that a judge can say.
mod appetite;
mod books;
mod budget;
mod jobs;
mod nodes;
mod order;
mod resting;
mod sentences;
mod slots;
mod states;
mod throttle;
mod words;

use hpo_core::schedule::{Ladder, SchedulerSpec};
use hpo_core::sweep::event::{Allocation, Checkpoint, End, Held, Slot};
use hpo_core::{Attempt, Event, Loss, Metrics, Resource, Seq, Stamp, Sweep, SweepSpec, TrialId, Value, WorkerId};
use hpo_driver::journal::{Record, decisions};

pub(in crate::check) use sentences::has_said;

use super::cluster::{Cluster, Told, spec, tell};
use crate::check::{Fact, Judge, Premises};

fn ladder() -> Ladder {
    Ladder::new(Resource(1), Resource(9), 3).unwrap()
}

fn asha() -> SweepSpec {
    spec(SchedulerSpec::AshaPromote { ladder: ladder() }, 12)
}

fn stopping() -> SweepSpec {
    spec(SchedulerSpec::AshaStop { ladder: ladder() }, 12)
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

/// Of a lease of this part of the ladder.
fn leases(part: &'static str) -> impl Fn(&Record) -> bool {
    move |record| record.acts.iter().any(|act| act.starts_with("lease ") && act.contains(part))
}

fn act_of<'a>(told: &'a mut Told, verb: &str) -> &'a mut String {
    record_mut(told).acts.iter_mut().find(|act| act.starts_with(verb)).expect("there is one")
}

/// The trial of a lease, as the journal writes it.
fn leased_trial(act: &str) -> String {
    act["lease ".len()..act.find('.').unwrap()].to_owned()
}

#[track_caller]
fn refused(mut judge: impl Judge, history: &[Told], why: &str) {
    let what = tell(&mut judge, history).expect_err("it must be refused").to_string();
    assert!(what.contains(why), "{what}");
}

/// The same history with one record changed.
#[track_caller]
fn refused_with(judge: impl Judge, history: &[Told], at: usize, change: impl FnOnce(&mut Record), why: &str) {
    let mut bad = history.to_vec();
    change(record_mut(&mut bad[at]));
    refused(judge, &bad, why);
}

fn worker(number: u128) -> WorkerId {
    WorkerId(number << 96)
}

fn held(trial: u32, attempt: u32, slot: u16) -> Held {
    Held { trial: TrialId(trial), attempt: Attempt(attempt), slot }
}

fn fact(fact: Fact) -> Told {
    Told::Fact(Stamp(0), fact)
}

/// A line by hand: nobody has looked whether its decisions follow.
fn line(event: Event, acts: &[&str]) -> Told {
    let acts = acts.iter().map(|act| (*act).to_owned()).collect();
    Told::Record(Record { seq: 0, at: Stamp(900), event, acts })
}

/// What a sweep makes of these events, each ten milliseconds after the one before.
fn lived(spec: &SweepSpec, events: &[Event]) -> Vec<Told> {
    let mut sweep = Sweep::new(spec.clone());
    let live = |(event, seq): (&Event, u64)| {
        sweep.admit(event).unwrap_or_else(|why| panic!("{event:?}: {why}"));
        let mut actions = vec![];
        sweep.apply(Stamp(10 * seq), event, &mut actions);
        Told::Record(Record { seq, at: Stamp(10 * seq), event: event.clone(), acts: decisions(&actions) })
    };
    events.iter().zip(1..).map(live).collect()
}

fn began(epoch: u32) -> Event {
    Event::DriverStarted { epoch }
}

fn joined(number: u128, slots: usize, holds: &[Held]) -> Event {
    let slot = Slot { name: "core".to_owned(), milli_gpus: 0 };
    Event::WorkerJoined {
        worker: worker(number),
        name: "host".to_owned(),
        slots: vec![slot; slots],
        holds: holds.to_vec(),
        allocation: None,
        leaving: false,
    }
}

/// A worker that joins in a task of Slurm, and leaves in so many milliseconds.
fn leaves_in(mut joins: Event, left: u64) -> Event {
    if let Event::WorkerJoined { allocation, .. } = &mut joins {
        let (job, node) = ("7_0".to_owned(), "n1".to_owned());
        *allocation = Some(Allocation { job, node, started_ms_ago: 0, ends_in_ms: Some(left) });
    }
    joins
}

fn suggested(trial: u32) -> Event {
    Event::Suggested { trial: TrialId(trial), params: [("x".to_owned(), Value::Float(0.5))].into(), cost_us: 1 }
}

fn reported(trial: u32, attempt: u32, word: u32, resource: u32, loss: f64) -> Event {
    Event::Reported {
        trial: TrialId(trial),
        attempt: Attempt(attempt),
        seq: Seq(word),
        after_ms: None,
        resource: Resource(resource),
        loss: Loss::new(loss),
        metrics: Metrics::from_iter([("loss".to_owned(), loss)]),
    }
}

fn state(id: &str, resource: u32) -> Checkpoint {
    Checkpoint { id: id.to_owned(), resource: Resource(resource), bytes: 1, wrote_ms: 0 }
}

fn reached(trial: u32, attempt: u32, word: u32, resource: u32, id: &str) -> Event {
    Event::Reached {
        trial: TrialId(trial),
        attempt: Attempt(attempt),
        seq: Seq(word),
        after_ms: None,
        resource: Resource(resource),
        checkpoint: Some(state(id, resource)),
    }
}

fn ended(trial: u32, attempt: u32, word: u32, how: End) -> Event {
    Event::Ended { trial: TrialId(trial), attempt: Attempt(attempt), seq: Seq(word), after_ms: None, how }
}
