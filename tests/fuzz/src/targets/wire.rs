//! Messages in both directions: refused, or the same after a journey.
use hpo_core::sweep::event::{Allocation, Checkpoint, End, FailureKind, Held, Slot};
use hpo_core::{Attempt, Lease, Metrics, Params, Resource, Seed, Seq, SlotId, TrialId, Value, WorkerId};
use hpo_wire::{About, Acknowledged, FromDriver, FromWorker, Hello, MESSAGE_MAX, PROTOCOL, Welcome, Word, from_driver, pb};
use prost::Message;

use crate::Target;

pub(crate) const TARGET: Target = Target { name: "wire", run, examples, found: &[], words: &[], bytes_per_byte: 256 };

pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint { id: "af".repeat(32), resource: Resource(3), bytes: 4096, wrote_ms: 7 }
}

fn said_by_workers() -> Vec<FromWorker> {
    let slot = Slot { name: "GPU-0".into(), milli_gpus: 250 };
    let held = Held { trial: TrialId(3), attempt: Attempt(2), slot: 1 };
    let hello = Hello {
        protocol: PROTOCOL,
        worker: WorkerId(7),
        name: "node7:1".into(),
        slots: vec![slot.clone(), slot],
        holds: vec![held],
        sweep: "c0a1".into(),
        version: "0.1.0".into(),
        allocation: Some(Allocation { job: "14_3".into(), node: "n1".into(), started_ms_ago: 900, ends_in_ms: Some(60_000) }),
        leaving: true,
    };
    let metrics: Metrics = [("loss".to_owned(), 0.5), ("accuracy".to_owned(), f64::NAN)].into_iter().collect();
    let about = [
        About::Started { startup_ms: 5, restore_ms: 6 },
        About::Reported { resource: Resource(1), metrics },
        About::Reached { resource: Resource(3), checkpoint: Some(checkpoint()) },
        About::Ended(End::Preempted { checkpoint: Some(checkpoint()) }),
        About::Ended(End::Failed { kind: FailureKind::Hang, message: "no word".into() }),
        About::Ended(End::Lost),
    ];
    let words = about
        .into_iter()
        .map(|about| FromWorker::Word(Word { trial: TrialId(3), attempt: Attempt(2), seq: Seq(1), after_ms: None, about }));
    [FromWorker::Hello(hello), FromWorker::Goodbye { why: "done".into() }].into_iter().chain(words).collect()
}

fn said_by_drivers() -> Vec<FromDriver> {
    let params: Params =
        [("lr".to_owned(), Value::Float(0.1)), ("n".to_owned(), Value::Int(-3)), ("o".to_owned(), Value::from("x"))].into();
    let lease = Lease {
        trial: TrialId(3),
        attempt: Attempt(2),
        slot: SlotId { worker: WorkerId(7), index: 1 },
        params,
        from: Resource(1),
        until: Resource(3),
        checkpoint: Some(checkpoint()),
        seed: Seed(11),
        in_place: true,
    };
    vec![
        FromDriver::Lease(lease),
        FromDriver::Welcome(Welcome { sweep: "c0a1".into(), heartbeat_ms: 1000, lease_ms: 9000, job: "{}".into(), epoch: 1 }),
        FromDriver::Stop(Held { trial: TrialId(3), attempt: Attempt(2), slot: 1 }),
        FromDriver::Acknowledged(Acknowledged { trial: TrialId(3), attempt: Attempt(2), seq: Seq(1) }),
        FromDriver::Finish { why: "over".into(), resumable: true },
    ]
}

fn examples() -> Vec<Vec<u8>> {
    let workers = said_by_workers().into_iter().map(|said| pb::FromWorker::from(said).encode_to_vec());
    workers.chain(said_by_drivers().into_iter().map(|said| pb::FromDriver::from(said).encode_to_vec())).collect()
}

fn run(data: &[u8]) {
    let data = &data[..data.len().min(MESSAGE_MAX)];
    if let Ok(said) = pb::FromWorker::decode(data).map(FromWorker::try_from) {
        match said {
            // Written down, because a NaN is not equal to itself.
            Ok(said) => {
                let again = FromWorker::try_from(pb::FromWorker::from(said.clone()));
                assert_eq!(format!("{:?}", again.expect("what was accepted is accepted again")), format!("{said:?}"));
            }
            Err(fault) => assert!(fault.to_string().len() < 4096, "a refusal is short: {}", fault.to_string().len()),
        }
    }
    let worker = WorkerId(7);
    if let Ok(said) = pb::FromDriver::decode(data).map(|message| from_driver(message, worker)) {
        match said {
            Ok(said) => {
                let again = from_driver(pb::FromDriver::from(said.clone()), worker);
                assert_eq!(format!("{:?}", again.expect("what was accepted is accepted again")), format!("{said:?}"));
            }
            Err(fault) => assert!(fault.to_string().len() < 4096, "a refusal is short: {}", fault.to_string().len()),
        }
    }
}
