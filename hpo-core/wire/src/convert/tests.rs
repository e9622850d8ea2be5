use hpo_core::sweep::event::{Allocation, End, Slot};
use hpo_core::{Lease, Loss, Metrics, Seed, Seq, SlotId, WorkerId};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::pb::from_worker::Said;
use crate::{About, Acknowledged, FromDriver, FromWorker, Hello, Welcome, Word};

fn checkpoint() -> impl Strategy<Value = Option<Checkpoint>> {
    let some = ("[0-9a-f]{64}", any::<(u32, u64, u64)>()).prop_map(|(id, (resource, bytes, wrote_ms))| Checkpoint {
        id,
        resource: Resource(resource),
        bytes,
        wrote_ms,
    });
    proptest::option::of(some)
}

fn held() -> impl Strategy<Value = Held> {
    any::<(u32, u32, u16)>().prop_map(|(trial, attempt, slot)| Held { trial: TrialId(trial), attempt: Attempt(attempt), slot })
}

fn end() -> impl Strategy<Value = End> {
    let kinds = [
        FailureKind::NotFinite,
        FailureKind::OutOfMemory,
        FailureKind::Exit,
        FailureKind::Crash,
        FailureKind::Hang,
        FailureKind::Setup,
        FailureKind::Checkpoint,
        FailureKind::Protocol,
    ];
    prop_oneof![
        checkpoint().prop_map(|checkpoint| End::Preempted { checkpoint }),
        Just(End::Stopped),
        (proptest::sample::select(kinds.to_vec()), ".*").prop_map(|(kind, message)| End::Failed { kind, message }),
        Just(End::Lost),
    ]
}

fn about() -> impl Strategy<Value = About> {
    // NaN is not equal to itself; that it travels is shown in `figures_that_are_not_finite_travel`.
    let figures = proptest::collection::btree_map(".*", proptest::num::f64::NORMAL | proptest::num::f64::INFINITE, 0..4);
    prop_oneof![
        any::<(u64, u64)>().prop_map(|(startup_ms, restore_ms)| About::Started { startup_ms, restore_ms }),
        (any::<u32>(), figures).prop_map(|(resource, figures)| About::Reported { resource: Resource(resource), metrics: Metrics(figures) }),
        (any::<u32>(), checkpoint()).prop_map(|(resource, checkpoint)| About::Reached { resource: Resource(resource), checkpoint }),
        end().prop_map(About::Ended),
    ]
}

fn from_a_worker() -> impl Strategy<Value = FromWorker> {
    let slots = proptest::collection::vec((".*", any::<u32>()).prop_map(|(name, milli_gpus)| Slot { name, milli_gpus }), 0..3);
    let allocation = (".*", ".*", any::<(u64, Option<u64>)>()).prop_map(|(job, node, (started_ms_ago, ends_in_ms))| Allocation {
        job,
        node,
        started_ms_ago,
        ends_in_ms,
    });
    let holds = proptest::collection::vec(held(), 0..3);
    let hello = (any::<(u32, u128, bool)>(), slots, holds, [".*", ".*", ".*"], proptest::option::of(allocation)).prop_map(
        |((protocol, worker, leaving), slots, holds, [name, sweep, version], allocation)| Hello {
            protocol,
            worker: WorkerId(worker),
            name,
            slots,
            holds,
            sweep,
            version,
            allocation,
            leaving,
        },
    );
    let word = (any::<(u32, u32, u32, Option<u64>)>(), about()).prop_map(|((trial, attempt, seq, after_ms), about)| Word {
        trial: TrialId(trial),
        attempt: Attempt(attempt),
        seq: Seq(seq),
        after_ms,
        about,
    });
    prop_oneof![
        hello.prop_map(FromWorker::Hello),
        Just(FromWorker::Heartbeat),
        Just(FromWorker::Leaving),
        word.prop_map(FromWorker::Word),
        ".*".prop_map(|why| FromWorker::Goodbye { why }),
    ]
}

fn lease() -> impl Strategy<Value = Lease> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        proptest::num::f64::NORMAL.prop_map(Value::Float),
        ".*".prop_map(Value::Text),
    ];
    let params = proptest::collection::btree_map(".*", value, 0..4);
    (held(), any::<u128>(), params, any::<(u32, u32, u64, bool)>(), checkpoint()).prop_map(
        |(held, worker, params, (from, until, seed, in_place), checkpoint)| Lease {
            trial: held.trial,
            attempt: held.attempt,
            slot: SlotId { worker: WorkerId(worker), index: held.slot },
            params: params.into(),
            from: Resource(from),
            until: Resource(until),
            checkpoint,
            seed: Seed(seed),
            in_place,
        },
    )
}

fn from_a_driver() -> impl Strategy<Value = FromDriver> {
    let welcome = (".*", any::<(u32, u32, u32)>(), ".*").prop_map(|(sweep, (heartbeat_ms, lease_ms, epoch), job)| Welcome {
        sweep,
        heartbeat_ms,
        lease_ms,
        job,
        epoch,
    });
    let acknowledged = any::<(u32, u32, u32)>().prop_map(|(trial, attempt, seq)| Acknowledged {
        trial: TrialId(trial),
        attempt: Attempt(attempt),
        seq: Seq(seq),
    });
    prop_oneof![
        welcome.prop_map(FromDriver::Welcome),
        lease().prop_map(FromDriver::Lease),
        held().prop_map(FromDriver::Stop),
        held().prop_map(FromDriver::CallBack),
        acknowledged.prop_map(FromDriver::Acknowledged),
        (".*", any::<bool>()).prop_map(|(why, resumable)| FromDriver::Finish { why, resumable }),
        Just(FromDriver::Heartbeat),
    ]
}

proptest! {
    #[test]
    fn what_a_worker_says_arrives(said in from_a_worker()) {
        let bytes = pb::FromWorker::from(said.clone()).encode_to_vec();
        let heard = FromWorker::try_from(pb::FromWorker::decode(&bytes[..]).unwrap());
        prop_assert_eq!(heard, Ok(said));
    }

    #[test]
    fn what_a_driver_says_arrives(said in from_a_driver()) {
        let bytes = pb::FromDriver::from(said.clone()).encode_to_vec();
        let worker = if let FromDriver::Lease(lease) = &said { lease.slot.worker } else { WorkerId(0) };
        let heard = from_driver(pb::FromDriver::decode(&bytes[..]).unwrap(), worker);
        prop_assert_eq!(heard, Ok(said));
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = pb::FromWorker::decode(&bytes[..]) {
            let _ = FromWorker::try_from(message);
        }
        if let Ok(message) = pb::FromDriver::decode(&bytes[..]) {
            let _ = from_driver(message, WorkerId(1));
        }
    }
}

#[test]
fn figures_that_are_not_finite_travel() {
    let metrics: Metrics = [("loss".to_owned(), f64::NAN)].into_iter().collect();
    let about = About::Reported { resource: Resource(1), metrics };
    let word = pb::Word::from(Word { trial: TrialId(0), attempt: Attempt(1), seq: Seq(1), after_ms: None, about });
    let heard = Word::try_from(pb::Word::decode(&word.encode_to_vec()[..]).unwrap()).unwrap();
    let event = heard.into_event(|metrics| Loss::new(metrics.get("loss").unwrap()));
    assert!(matches!(event, hpo_core::Event::Reported { loss, .. } if loss.get().is_nan()), "{event:?}");
}

#[test]
fn every_bad_input_has_its_fault() {
    let worker = |said| FromWorker::try_from(pb::FromWorker { said });
    let driver = |said| from_driver(pb::FromDriver { said }, WorkerId(1));
    let word = |about| worker(Some(pb::from_worker::Said::Word(pb::Word { trial: 1, attempt: 1, seq: 1, after_ms: None, about })));
    let ended = |how| word(Some(pb::word::About::Ended(pb::Ended { how })));
    let failed = |kind| ended(Some(pb::ended::How::Failed(pb::Failed { kind, message: String::new() })));
    let hello = |worker_id: &str| worker(Some(pb::from_worker::Said::Hello(pb::Hello { worker: worker_id.into(), ..Default::default() })));
    let reached = |id: &str| {
        let checkpoint = Some(pb::Checkpoint { id: id.into(), ..Default::default() });
        word(Some(pb::word::About::Reached(pb::Reached { resource: 1, checkpoint })))
    };
    let lease = |kind| {
        let params = [("lr".to_owned(), pb::Value { kind })].into();
        driver(Some(pb::from_driver::Said::Lease(pb::Lease { params, ..Default::default() })))
    };

    assert_eq!(worker(None), Err(ConvertFault::Missing { field: "FromWorker.said" }));
    assert_eq!(driver(None), Err(ConvertFault::Missing { field: "FromDriver.said" }));
    assert_eq!(word(None), Err(ConvertFault::Missing { field: "Word.about" }));
    assert_eq!(ended(None), Err(ConvertFault::Missing { field: "Ended.how" }));
    assert_eq!(failed(0), Err(ConvertFault::FailureKind { number: 0 }));
    assert_eq!(failed(99), Err(ConvertFault::FailureKind { number: 99 }));
    assert_eq!(hello("12"), Err(ConvertFault::WorkerId { text: "12".into() }));
    assert_eq!(reached("../../etc/passwd"), Err(ConvertFault::CheckpointId { text: "../../etc/passwd".into() }));
    assert_eq!(reached(&"A".repeat(64)), Err(ConvertFault::CheckpointId { text: "A".repeat(64) }));
    assert_eq!(lease(None), Err(ConvertFault::Missing { field: "Value.kind" }));
    assert_eq!(lease(Some(pb::value::Kind::Number(f64::NAN))), Err(ConvertFault::NotFinite { name: "lr".into() }));
    let stop = driver(Some(pb::from_driver::Said::Stop(pb::Held { slot: 65_536, ..Default::default() })));
    assert_eq!(stop, Err(ConvertFault::Slot { slot: 65_536 }));
}

#[test]
fn what_is_too_long_or_too_many_is_refused_and_the_limit_named() {
    use crate::limits::{HELD_MAX, METRICS_MAX, NAME_MAX, PARAMS_MAX, SLOTS_MAX, TEXT_MAX, VALUE_MAX};
    let long = |most: usize| "x".repeat(most + 1);
    let hello = pb::Hello { worker: WorkerId(1).to_string(), ..Default::default() };
    let word = |about| Said::Word(pb::Word { about: Some(about), ..Default::default() });
    let figures = |names: Vec<String>| {
        word(pb::word::About::Reported(pb::Reported { resource: 1, metrics: names.into_iter().map(|name| (name, 1.0)).collect() }))
    };
    let failed = pb::Failed { kind: pb::FailureKind::Exit.into(), message: long(TEXT_MAX) };
    let refused = [
        (Said::Hello(pb::Hello { name: long(NAME_MAX), ..hello.clone() }), "the name of the worker has 201 bytes; 200 are the most"),
        (Said::Hello(pb::Hello { sweep: long(NAME_MAX), ..hello.clone() }), "the id of the sweep has 201 bytes"),
        (Said::Hello(pb::Hello { version: long(NAME_MAX), ..hello.clone() }), "the version has 201 bytes"),
        (
            Said::Hello(pb::Hello { allocation: Some(pb::Allocation { job: long(NAME_MAX), ..Default::default() }), ..hello.clone() }),
            "the name of the job has 201 bytes",
        ),
        (
            Said::Hello(pb::Hello { allocation: Some(pb::Allocation { node: long(NAME_MAX), ..Default::default() }), ..hello.clone() }),
            "the name of the node has 201 bytes",
        ),
        (Said::Hello(pb::Hello { slots: vec![pb::Slot::default(); SLOTS_MAX + 1], ..hello.clone() }), "1025 slots; 1024 are the most"),
        (Said::Hello(pb::Hello { slots: vec![pb::Slot { name: long(NAME_MAX), milli_gpus: 0 }], ..hello.clone() }), "name of a slot"),
        (Said::Hello(pb::Hello { holds: vec![pb::Held::default(); HELD_MAX + 1], ..hello }), "16385 attempts; 16384 are the most"),
        (figures((0..=METRICS_MAX).map(|n| n.to_string()).collect()), "1001 figures; 1000 are the most"),
        (figures(vec![long(NAME_MAX)]), "the name of a figure has 201 bytes"),
        (word(pb::word::About::Ended(pb::Ended { how: Some(pb::ended::How::Failed(failed)) })), "the reason of a failure has 16385 bytes"),
        (Said::Goodbye(pb::Goodbye { why: long(TEXT_MAX) }), "the goodbye has 16385 bytes"),
    ];
    for (said, why) in refused {
        let fault = FromWorker::try_from(pb::FromWorker { said: Some(said) }).unwrap_err().to_string();
        assert!(fault.contains(why), "{fault}");
    }
    let text = |text: String| pb::Value { kind: Some(pb::value::Kind::Text(text)) };
    let lease = |params: Vec<(String, pb::Value)>| pb::Lease { params: params.into_iter().collect(), ..Default::default() };
    let refused = [
        (lease((0..=PARAMS_MAX).map(|n| (n.to_string(), text(String::new()))).collect()), "1001 parameters; 1000 are the most"),
        (lease(vec![(long(NAME_MAX), text(String::new()))]), "the name of a parameter has 201 bytes"),
        (lease(vec![("x".into(), text(long(VALUE_MAX)))]), "the value of a parameter has 2049 bytes"),
    ];
    for (lease, why) in refused {
        let said = Some(pb::from_driver::Said::Lease(lease));
        let fault = crate::from_driver(pb::FromDriver { said }, WorkerId(1)).unwrap_err().to_string();
        assert!(fault.contains(why), "{fault}");
    }
}

#[test]
fn the_largest_lease_and_the_largest_report_fit_into_a_message() {
    use crate::limits::{ANSWER_MAX, METRICS_MAX, NAME_MAX, PARAMS_MAX, VALUE_MAX};
    let metrics: Metrics = (0..METRICS_MAX).map(|number| (format!("{number:0>NAME_MAX$}"), 0.1)).collect();
    let word = Word {
        trial: TrialId(u32::MAX),
        attempt: Attempt(1),
        seq: Seq(1),
        after_ms: None,
        about: About::Reported { resource: Resource(1), metrics },
    };
    assert!(pb::FromWorker::from(FromWorker::Word(word)).encoded_len() < crate::MESSAGE_MAX);
    let value = || pb::Value { kind: Some(pb::value::Kind::Text("x".repeat(VALUE_MAX))) };
    let params = (0..PARAMS_MAX).map(|number| (format!("{number:0>NAME_MAX$}"), value())).collect();
    let said = Some(pb::from_driver::Said::Lease(pb::Lease { params, ..Default::default() }));
    assert!(pb::FromDriver { said }.encoded_len() < ANSWER_MAX);
}

/// A driver that does not know the field skips it, as protobuf has it, and hears a sign of life.
#[test]
fn that_a_worker_leaves_is_a_sign_of_life_with_one_field_more() {
    let bytes = pb::FromWorker::from(FromWorker::Leaving).encode_to_vec();
    // Field 2 of `FromWorker` is the heartbeat: two bytes, of which the first names its field 1.
    assert_eq!(bytes, [2 << 3 | 2, 2, 1 << 3, 1]);
    assert_eq!(pb::FromWorker::from(FromWorker::Heartbeat).encode_to_vec(), [2 << 3 | 2, 0]);
}
