//! Words that no sound worker says: of an attempt that is old or to come, said before, or outside of its lease.
use hpo_core::sweep::event::{Checkpoint, End};
use hpo_core::{Attempt, Resource, Seq, TrialId};
use hpo_wire::{About, FromWorker, Word};

use super::World;

impl World {
    /// What is said just before this word, if anything is.
    pub(super) fn forged(&mut self, message: &FromWorker) -> Option<FromWorker> {
        let FromWorker::Word(word) = message else { return None };
        if self.healed.is_some() || !self.chance.hits("forged", self.setup.faults.forged_pm) {
            return None;
        }
        let mut word = word.clone();
        match self.chance.one_of("kind of forgery", 6) {
            0 => word.attempt = Attempt(word.attempt.0 + 1_000),
            1 => word.attempt = Attempt(word.attempt.0 - 1),
            2 => word.trial = TrialId(word.trial.0 + 10_000),
            3 => word.seq = Seq(word.seq.0 - 1),
            way => self.beside_the_lease(way == 4, &mut word),
        }
        Some(FromWorker::Word(word))
    }

    /// Its attempt ends with that.
    fn beside_the_lease(&mut self, too_far: bool, word: &mut Word) {
        self.blamed.insert((word.trial, word.attempt));
        let resource = Resource(if too_far { 1_000 } else { 0 });
        let state = Checkpoint { id: "f".repeat(64), resource, bytes: 1, wrote_ms: 0 };
        word.about = match self.chance.one_of("what is beside the lease", 3) {
            0 => About::Reported { resource, metrics: self.figures(word.trial, word.attempt, 1) },
            1 => About::Reached { resource, checkpoint: Some(state) },
            _ if too_far => About::Ended(End::Preempted { checkpoint: Some(state) }),
            _ => About::Reached { resource, checkpoint: None },
        };
    }
}
