//! A record from its line, in one pass and without a copy of what is only looked at.
//!
//! What `derive` makes of [`Record`] (an enum with its tag beside its members, flattened into another object) first copies
//! each line into a tree of generic values; a million events then take half as long again to verify. Here all members of
//! all events stand side by side, and the kind says which of them are needed. A name means the same in every event.
use hpo_core::sweep::event::{Allocation, Checkpoint, End, Held, Slot};
use hpo_core::{Attempt, Event, Loss, Metrics, Millis, Params, Resource, Seq, Stamp, TrialId, WorkerId};
use serde::Deserialize;
use serde::de::Error;

use super::record::Record;

/// Reads the text of a line.
pub(super) fn record(line: &[u8]) -> Result<Record, serde_json::Error> {
    serde_json::from_slice::<Members>(line)?.record()
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    DriverStarted,
    Suggested,
    Exhausted,
    WorkerJoined,
    WorkerLeaving,
    WorkerLeft,
    WorkerLost,
    Started,
    Reported,
    Reached,
    Ended,
    DrainAsked,
    Ticked,
}

/// The members of any event.
#[derive(Deserialize)]
struct Members {
    seq: u64,
    at: Stamp,
    event: Kind,
    #[serde(default)]
    acts: Vec<String>,
    trial: Option<TrialId>,
    attempt: Option<Attempt>,
    word: Option<Seq>,
    after_ms: Option<Millis>,
    resource: Option<Resource>,
    loss: Option<Loss>,
    metrics: Option<Metrics>,
    checkpoint: Option<Checkpoint>,
    how: Option<End>,
    startup_ms: Option<Millis>,
    restore_ms: Option<Millis>,
    params: Option<Params>,
    #[serde(default)]
    cost_us: u64,
    worker: Option<WorkerId>,
    name: Option<String>,
    slots: Option<Vec<Slot>>,
    holds: Option<Vec<Held>>,
    allocation: Option<Allocation>,
    #[serde(default)]
    leaving: bool,
    epoch: Option<u32>,
}

impl Members {
    fn record(self) -> Result<Record, serde_json::Error> {
        let (seq, at) = (self.seq, self.at);
        let mut members = self;
        let acts = std::mem::take(&mut members.acts);
        Ok(Record { seq, at, event: members.event()?, acts })
    }

    fn event(self) -> Result<Event, serde_json::Error> {
        Ok(match self.event {
            Kind::DriverStarted => Event::DriverStarted { epoch: need(self.epoch, "epoch")? },
            Kind::Suggested => {
                Event::Suggested { trial: need(self.trial, "trial")?, params: need(self.params, "params")?, cost_us: self.cost_us }
            }
            Kind::Exhausted => Event::Exhausted { trial: need(self.trial, "trial")? },
            Kind::WorkerJoined => Event::WorkerJoined {
                worker: need(self.worker, "worker")?,
                name: need(self.name, "name")?,
                slots: need(self.slots, "slots")?,
                holds: need(self.holds, "holds")?,
                allocation: self.allocation,
                leaving: self.leaving,
            },
            Kind::WorkerLeaving => Event::WorkerLeaving { worker: need(self.worker, "worker")? },
            Kind::WorkerLeft => Event::WorkerLeft { worker: need(self.worker, "worker")? },
            Kind::WorkerLost => Event::WorkerLost { worker: need(self.worker, "worker")? },
            Kind::DrainAsked => Event::DrainAsked,
            Kind::Ticked => Event::Ticked,
            Kind::Started | Kind::Reported | Kind::Reached | Kind::Ended => self.word()?,
        })
    }

    /// An event about a running attempt.
    fn word(self) -> Result<Event, serde_json::Error> {
        let trial = need(self.trial, "trial")?;
        let attempt = need(self.attempt, "attempt")?;
        let seq = need(self.word, "word")?;
        let after_ms = self.after_ms;
        let resource = || need(self.resource, "resource");
        Ok(match self.event {
            Kind::Started => Event::Started {
                trial,
                attempt,
                seq,
                startup_ms: need(self.startup_ms, "startup_ms")?,
                restore_ms: need(self.restore_ms, "restore_ms")?,
            },
            Kind::Reported => Event::Reported {
                trial,
                attempt,
                seq,
                after_ms,
                resource: resource()?,
                loss: need(self.loss, "loss")?,
                metrics: need(self.metrics, "metrics")?,
            },
            Kind::Reached => Event::Reached { trial, attempt, seq, after_ms, resource: resource()?, checkpoint: self.checkpoint },
            _ => Event::Ended { trial, attempt, seq, after_ms, how: need(self.how, "how")? },
        })
    }
}

fn need<T>(member: Option<T>, name: &'static str) -> Result<T, serde_json::Error> {
    member.ok_or_else(|| serde_json::Error::missing_field(name))
}

#[cfg(test)]
mod tests {
    use hpo_core::sweep::FailureKind;
    use hpo_core::{Event, Loss, Metrics, Params, Value, WorkerId};
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z_]{1,8}", any::<String>()]
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), (-9..9).prop_map(f64::from)]
    }

    fn value() -> impl Strategy<Value = Value> {
        let finite = number().prop_filter("values are finite", |value| value.is_finite());
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            finite.prop_map(Value::Float),
            text().prop_map(Value::Text)
        ]
    }

    prop_compose! {
        fn checkpoint()(id in "[0-9a-f]{64}", resource: u32, bytes: u64, wrote_ms: u64) -> Checkpoint {
            Checkpoint { id, resource: Resource(resource), bytes, wrote_ms }
        }
    }

    fn end() -> impl Strategy<Value = End> {
        let kind = prop_oneof![Just(FailureKind::NotFinite), Just(FailureKind::OutOfMemory), Just(FailureKind::Hang)];
        prop_oneof![
            Just(End::Stopped),
            Just(End::Lost),
            prop::option::of(checkpoint()).prop_map(|checkpoint| End::Preempted { checkpoint }),
            (kind, text()).prop_map(|(kind, message)| End::Failed { kind, message }),
        ]
    }

    fn word() -> impl Strategy<Value = Event> {
        let metrics = prop::collection::btree_map(text(), number(), 0..6).prop_map(Metrics);
        let about = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
        (about, (any::<u64>(), any::<u64>(), any::<Option<u64>>()), number(), metrics, prop::option::of(checkpoint()), end(), 0..4)
            .prop_map(|((trial, attempt, seq, resource), (startup_ms, restore_ms, after_ms), loss, metrics, checkpoint, how, kind)| {
                let (trial, attempt, seq, resource) = (TrialId(trial), Attempt(attempt), Seq(seq), Resource(resource));
                match kind {
                    0 => Event::Started { trial, attempt, seq, startup_ms, restore_ms },
                    1 => Event::Reported { trial, attempt, seq, after_ms, resource, loss: Loss::new(loss), metrics },
                    2 => Event::Reached { trial, attempt, seq, after_ms, resource, checkpoint },
                    _ => Event::Ended { trial, attempt, seq, after_ms, how },
                }
            })
    }

    fn other() -> impl Strategy<Value = Event> {
        let params = prop::collection::btree_map(text(), value(), 0..6).prop_map(Params::from);
        let slot = (text(), any::<u32>()).prop_map(|(name, milli_gpus)| Slot { name, milli_gpus });
        let held = (any::<u32>(), any::<u32>(), any::<u16>());
        let held = held.prop_map(|(trial, attempt, slot)| Held { trial: TrialId(trial), attempt: Attempt(attempt), slot });
        let allocation = (text(), text(), any::<u64>(), any::<Option<u64>>())
            .prop_map(|(job, node, started_ms_ago, ends_in_ms)| Allocation { job, node, started_ms_ago, ends_in_ms });
        let joined = (text(), prop::collection::vec(slot, 0..3), prop::collection::vec(held, 0..3), prop::option::of(allocation));
        (any::<u32>(), any::<u64>(), any::<(u128, bool)>(), params, joined, 0..9).prop_map(
            |(small, cost_us, (id, leaving), params, (name, slots, holds, allocation), kind)| {
                let (trial, worker) = (TrialId(small), WorkerId(id));
                match kind {
                    0 => Event::DriverStarted { epoch: small },
                    1 => Event::Suggested { trial, params, cost_us },
                    2 => Event::Exhausted { trial },
                    3 => Event::WorkerJoined { worker, name, slots, holds, allocation, leaving },
                    4 => Event::WorkerLeft { worker },
                    5 => Event::WorkerLost { worker },
                    6 => Event::DrainAsked,
                    7 => Event::WorkerLeaving { worker },
                    _ => Event::Ticked,
                }
            },
        )
    }

    proptest! {
        /// To the same bits: they are compared as they would be written again.
        #[test]
        fn a_record_reads_as_it_was_written_and_as_derive_reads_it(
            seq: u64, at: u64, event in prop_oneof![word(), other()], acts in prop::collection::vec(text(), 0..3),
        ) {
            let line = serde_json::to_vec(&Record { seq, at: Stamp(at), event, acts }).unwrap();
            let read = record(&line).unwrap();
            let derived: Record = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(format!("{:?}", &read), format!("{:?}", &derived));
            prop_assert_eq!(serde_json::to_vec(&read).unwrap(), line);
        }

        /// Both say no to the same lines.
        #[test]
        fn a_line_that_lacks_a_member_is_refused_as_by_derive(event in prop_oneof![word(), other()], which: prop::sample::Index) {
            let serde_json::Value::Object(mut members) = serde_json::to_value(Record { seq: 1, at: Stamp(1), event, acts: vec![] }).unwrap() else {
                panic!("a record is an object")
            };
            let name = members.keys().nth(which.index(members.len())).unwrap().clone();
            members.remove(&name);
            let line = serde_json::to_vec(&members).unwrap();
            let (ours, derived) = (record(&line), serde_json::from_slice::<Record>(&line));
            prop_assert_eq!(ours.is_ok(), derived.is_ok(), "without {}: {:?}", name, ours);
            if let Err(fault) = ours {
                prop_assert!(fault.to_string().starts_with(&format!("missing field `{name}`")), "{}", fault);
            }
        }
    }

    #[test]
    fn members_come_in_any_order_and_unknown_ones_are_ignored() {
        let line =
            br#"{"later":{"a":[1,{"b":null}]},"resource":2,"event":"reached","word":3,"attempt":1,"trial":0,"at":9,"seq":4,"crc":"00"}"#;
        let reached =
            Event::Reached { trial: TrialId(0), attempt: Attempt(1), seq: Seq(3), after_ms: None, resource: Resource(2), checkpoint: None };
        assert_eq!(record(line).unwrap(), Record { seq: 4, at: Stamp(9), event: reached, acts: vec![] });
        let unknown = record(br#"{"seq":1,"at":1,"event":"danced"}"#).unwrap_err().to_string();
        assert!(unknown.starts_with("unknown variant `danced`, expected one of `driver_started`"), "{unknown}");
    }
}
