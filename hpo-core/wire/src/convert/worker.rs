//! What a worker says.
use hpo_core::sweep::event::{Allocation, End, Held, Slot};
use hpo_core::{Attempt, Metrics, Resource, Seq, TrialId};

use super::{ConvertFault, failure_kind, few, fits, required, short, state};
use crate::limits::{HELD_MAX, METRICS_MAX, NAME_MAX, SLOTS_MAX, TEXT_MAX};
use crate::message::{About, FromWorker, Hello, Word};
use crate::pb;
use crate::pb::{ended::How, from_worker::Said, word};

impl From<FromWorker> for pb::FromWorker {
    fn from(message: FromWorker) -> Self {
        let said = match message {
            FromWorker::Hello(hello) => Said::Hello(hello.into()),
            FromWorker::Heartbeat => Said::Heartbeat(pb::Heartbeat { leaving: false }),
            FromWorker::Leaving => Said::Heartbeat(pb::Heartbeat { leaving: true }),
            FromWorker::Word(word) => Said::Word(word.into()),
            FromWorker::Goodbye { why } => Said::Goodbye(pb::Goodbye { why }),
        };
        Self { said: Some(said) }
    }
}

impl TryFrom<pb::FromWorker> for FromWorker {
    type Error = ConvertFault;
    fn try_from(message: pb::FromWorker) -> Result<Self, ConvertFault> {
        Ok(match required("FromWorker.said", message.said)? {
            Said::Hello(hello) => Self::Hello(hello.try_into()?),
            Said::Heartbeat(pb::Heartbeat { leaving: false }) => Self::Heartbeat,
            Said::Heartbeat(pb::Heartbeat { leaving: true }) => Self::Leaving,
            Said::Word(word) => Self::Word(word.try_into()?),
            Said::Goodbye(pb::Goodbye { why }) => Self::Goodbye { why: short("the goodbye", why, TEXT_MAX)? },
        })
    }
}

impl From<Hello> for pb::Hello {
    fn from(hello: Hello) -> Self {
        let Hello { protocol, worker, name, slots, holds, sweep, version, allocation, leaving } = hello;
        Self {
            protocol,
            worker: worker.to_string(),
            name,
            slots: slots.into_iter().map(|Slot { name, milli_gpus }| pb::Slot { name, milli_gpus }).collect(),
            holds: holds.into_iter().map(pb::Held::from).collect(),
            sweep,
            version,
            allocation: allocation.map(|Allocation { job, node, started_ms_ago, ends_in_ms }| pb::Allocation {
                job,
                node,
                started_ms_ago,
                ends_in_ms,
            }),
            leaving,
        }
    }
}

impl TryFrom<pb::Hello> for Hello {
    type Error = ConvertFault;
    fn try_from(hello: pb::Hello) -> Result<Self, ConvertFault> {
        let pb::Hello { protocol, worker, name, slots, holds, sweep, version, allocation, leaving } = hello;
        few("slots", slots.len(), SLOTS_MAX)?;
        few("attempts", holds.len(), HELD_MAX)?;
        let slot = |pb::Slot { name, milli_gpus }| Ok(Slot { name: short("the name of a slot", name, NAME_MAX)?, milli_gpus });
        let allocated = |pb::Allocation { job, node, started_ms_ago, ends_in_ms }| {
            let job = short("the name of the job", job, NAME_MAX)?;
            Ok(Allocation { job, node: short("the name of the node", node, NAME_MAX)?, started_ms_ago, ends_in_ms })
        };
        Ok(Self {
            protocol,
            worker: worker.parse().map_err(|_| ConvertFault::WorkerId { text: worker.chars().take(40).collect() })?,
            name: short("the name of the worker", name, NAME_MAX)?,
            slots: slots.into_iter().map(slot).collect::<Result<_, _>>()?,
            holds: holds.into_iter().map(Held::try_from).collect::<Result<_, _>>()?,
            sweep: short("the id of the sweep", sweep, NAME_MAX)?,
            version: short("the version", version, NAME_MAX)?,
            allocation: allocation.map(allocated).transpose()?,
            leaving,
        })
    }
}

impl From<Word> for pb::Word {
    fn from(word: Word) -> Self {
        let Word { trial, attempt, seq, after_ms, about } = word;
        let about = match about {
            About::Started { startup_ms, restore_ms } => word::About::Started(pb::Started { startup_ms, restore_ms }),
            About::Reported { resource, metrics } => word::About::Reported(pb::Reported { resource: resource.0, metrics: metrics.0 }),
            About::Reached { resource, checkpoint } => {
                word::About::Reached(pb::Reached { resource: resource.0, checkpoint: checkpoint.map(Into::into) })
            }
            About::Ended(how) => word::About::Ended(how_it_ended(how)),
        };
        Self { trial: trial.0, attempt: attempt.0, seq: seq.0, about: Some(about), after_ms }
    }
}

fn how_it_ended(how: End) -> pb::Ended {
    let how = match how {
        End::Preempted { checkpoint } => How::Preempted(pb::Preempted { checkpoint: checkpoint.map(Into::into) }),
        End::Stopped => How::Stopped(pb::Stopped {}),
        End::Failed { kind, message } => How::Failed(pb::Failed { kind: pb::FailureKind::from(kind).into(), message }),
        End::Lost => How::Lost(pb::Lost {}),
    };
    pb::Ended { how: Some(how) }
}

impl TryFrom<pb::Word> for Word {
    type Error = ConvertFault;
    fn try_from(word: pb::Word) -> Result<Self, ConvertFault> {
        let pb::Word { trial, attempt, seq, about, after_ms } = word;
        let about = match required("Word.about", about)? {
            word::About::Started(pb::Started { startup_ms, restore_ms }) => About::Started { startup_ms, restore_ms },
            word::About::Reported(pb::Reported { resource, metrics }) => {
                few("figures", metrics.len(), METRICS_MAX)?;
                metrics.keys().try_for_each(|name| fits("the name of a figure", name, NAME_MAX))?;
                About::Reported { resource: Resource(resource), metrics: Metrics(metrics) }
            }
            word::About::Reached(pb::Reached { resource, checkpoint }) => {
                About::Reached { resource: Resource(resource), checkpoint: state(checkpoint)? }
            }
            word::About::Ended(ended) => About::Ended(match required("Ended.how", ended.how)? {
                How::Preempted(pb::Preempted { checkpoint }) => End::Preempted { checkpoint: state(checkpoint)? },
                How::Stopped(pb::Stopped {}) => End::Stopped,
                How::Failed(pb::Failed { kind, message }) => {
                    End::Failed { kind: failure_kind(kind)?, message: short("the reason of a failure", message, TEXT_MAX)? }
                }
                How::Lost(pb::Lost {}) => End::Lost,
            }),
        };
        Ok(Self { trial: TrialId(trial), attempt: Attempt(attempt), seq: Seq(seq), after_ms, about })
    }
}
