//! What the driver says.
use hpo_core::{Attempt, Lease, Resource, Seed, Seq, SlotId, TrialId, WorkerId};

use super::{ConvertFault, few, required, short, slot, state, value};
use crate::limits::{NAME_MAX, PARAMS_MAX};
use crate::message::{Acknowledged, FromDriver, Welcome};
use crate::pb;
use crate::pb::from_driver::Said;

impl From<FromDriver> for pb::FromDriver {
    fn from(message: FromDriver) -> Self {
        let said = match message {
            FromDriver::Welcome(Welcome { sweep, heartbeat_ms, lease_ms, job, epoch }) => {
                Said::Welcome(pb::Welcome { sweep, heartbeat_ms, lease_ms, job, epoch })
            }
            FromDriver::Lease(lease) => Said::Lease(lease_to_pb(lease)),
            FromDriver::Stop(held) => Said::Stop(held.into()),
            FromDriver::CallBack(held) => Said::CallBack(held.into()),
            FromDriver::Acknowledged(Acknowledged { trial, attempt, seq }) => {
                Said::Acknowledged(pb::Acknowledged { trial: trial.0, attempt: attempt.0, seq: seq.0 })
            }
            FromDriver::Finish { why, resumable } => Said::Finish(pb::Finish { why, resumable }),
            FromDriver::Heartbeat => Said::Heartbeat(pb::Heartbeat { leaving: false }),
        };
        Self { said: Some(said) }
    }
}

/// What the driver said to `worker`: leases name their slot by its index alone.
///
/// # Errors
/// If the message makes no sense.
pub fn from_driver(message: pb::FromDriver, worker: WorkerId) -> Result<FromDriver, ConvertFault> {
    Ok(match required("FromDriver.said", message.said)? {
        Said::Welcome(pb::Welcome { sweep, heartbeat_ms, lease_ms, job, epoch }) => {
            FromDriver::Welcome(Welcome { sweep, heartbeat_ms, lease_ms, job, epoch })
        }
        Said::Lease(lease) => FromDriver::Lease(lease_from_pb(lease, worker)?),
        Said::Stop(held) => FromDriver::Stop(held.try_into()?),
        Said::CallBack(held) => FromDriver::CallBack(held.try_into()?),
        Said::Acknowledged(pb::Acknowledged { trial, attempt, seq }) => {
            FromDriver::Acknowledged(Acknowledged { trial: TrialId(trial), attempt: Attempt(attempt), seq: Seq(seq) })
        }
        Said::Finish(pb::Finish { why, resumable }) => FromDriver::Finish { why, resumable },
        Said::Heartbeat(pb::Heartbeat { .. }) => FromDriver::Heartbeat,
    })
}

fn lease_to_pb(lease: Lease) -> pb::Lease {
    let Lease { trial, attempt, slot, params, from, until, checkpoint, seed, in_place } = lease;
    pb::Lease {
        trial: trial.0,
        attempt: attempt.0,
        slot: slot.index.into(),
        params: params.into_iter().map(|(name, value)| (name, value.into())).collect(),
        from: from.0,
        until: until.0,
        checkpoint: checkpoint.map(Into::into),
        seed: seed.0,
        in_place,
    }
}

fn lease_from_pb(lease: pb::Lease, worker: WorkerId) -> Result<Lease, ConvertFault> {
    let pb::Lease { trial, attempt, slot: index, params, from, until, checkpoint, seed, in_place } = lease;
    few("parameters", params.len(), PARAMS_MAX)?;
    let checked = |(name, given): (String, pb::Value)| {
        let name = short("the name of a parameter", name, NAME_MAX)?;
        value(&name, given).map(|value| (name, value))
    };
    Ok(Lease {
        trial: TrialId(trial),
        attempt: Attempt(attempt),
        slot: SlotId { worker, index: slot(index)? },
        params: params.into_iter().map(checked).collect::<Result<_, _>>()?,
        from: Resource(from),
        until: Resource(until),
        checkpoint: state(checkpoint)?,
        seed: Seed(seed),
        in_place,
    })
}
