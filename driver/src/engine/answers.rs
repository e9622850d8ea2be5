//! What workers are told once a batch is on the disk.
use std::collections::BTreeMap;

use hpo_core::{Attempt, TrialId, WorkerId};
use hpo_wire::{Acknowledged, FromDriver};

/// The answers to one batch, in order.
#[derive(Debug, Default)]
pub(super) struct Answers {
    list: Vec<(WorkerId, FromDriver)>,
    /// Where in the list an attempt's acknowledgement stands.
    acknowledged: BTreeMap<(WorkerId, TrialId, Attempt), usize>,
}

impl Answers {
    /// Says this after all that was said before.
    pub(super) fn say(&mut self, worker: WorkerId, message: FromDriver) {
        self.list.push((worker, message));
    }

    /// An acknowledgement covers all words before it, so one an attempt is enough for a batch.
    pub(super) fn acknowledge(&mut self, worker: WorkerId, new: Acknowledged) {
        let place = *self.acknowledged.entry((worker, new.trial, new.attempt)).or_insert(self.list.len());
        match self.list.get_mut(place) {
            Some((_, FromDriver::Acknowledged(old))) => old.seq = old.seq.max(new.seq),
            _ => self.list.push((worker, FromDriver::Acknowledged(new))),
        }
    }

    /// All of them; none are left.
    pub(super) fn take(&mut self) -> Vec<(WorkerId, FromDriver)> {
        self.acknowledged.clear();
        std::mem::take(&mut self.list)
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::Seq;

    use super::*;

    fn word(trial: u32, attempt: u32, seq: u32) -> Acknowledged {
        Acknowledged { trial: TrialId(trial), attempt: Attempt(attempt), seq: Seq(seq) }
    }

    #[test]
    fn an_attempt_is_acknowledged_once_a_batch_with_its_last_word() {
        let mut answers = Answers::default();
        let (a, b) = (WorkerId(1), WorkerId(2));
        answers.acknowledge(a, word(0, 1, 1));
        answers.acknowledge(b, word(1, 1, 1));
        answers.say(a, FromDriver::Heartbeat);
        answers.acknowledge(a, word(0, 1, 3));
        // Said again after a new connection, and out of order.
        answers.acknowledge(a, word(0, 1, 2));
        answers.acknowledge(a, word(0, 2, 1));
        let expected = [
            (a, FromDriver::Acknowledged(word(0, 1, 3))),
            (b, FromDriver::Acknowledged(word(1, 1, 1))),
            (a, FromDriver::Heartbeat),
            (a, FromDriver::Acknowledged(word(0, 2, 1))),
        ];
        assert_eq!(answers.take(), expected);
        answers.acknowledge(a, word(0, 1, 4));
        assert_eq!(answers.take(), [(a, FromDriver::Acknowledged(word(0, 1, 4)))], "the next batch begins anew");
        assert_eq!(answers.take(), []);
    }
}
