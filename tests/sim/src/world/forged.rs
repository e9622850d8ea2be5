//! What no sound worker or searcher says: words of an attempt that is old or to come, said before, or outside of its lease; greetings
//! of strangers; values that are no point of the space.
use hpo_core::sweep::event::{Checkpoint, End, Slot};
use hpo_core::{Attempt, Params, Resource, Seq, TrialId, Value, WorkerId};
use hpo_driver::engine::parts::{Input, Link};
use hpo_wire::{About, FromWorker, Hello, Word};

use super::World;

impl World {
    /// What is said just before this word, if anything is.
    pub(super) fn forged(&mut self, message: &FromWorker) -> Option<FromWorker> {
        let FromWorker::Word(word) = message else { return None };
        if self.healed.is_some() {
            return None;
        }
        if self.chance.hits("at the edge", self.setup.faults.edge_pm) {
            return self.at_the_edge(word).map(FromWorker::Word);
        }
        if !self.chance.hits("forged", self.setup.faults.forged_pm) {
            return None;
        }
        let mut word = word.clone();
        match self.chance.one_of("kind of forgery", 6) {
            // So far ahead that it never comes: of that too a worker is told that it need not say it again.
            0 => word.attempt = Attempt(word.attempt.0 + 10_000),
            1 => word.attempt = Attempt(word.attempt.0 - 1),
            2 => word.trial = TrialId(word.trial.0 + 10_000),
            3 => word.seq = Seq(word.seq.0 - 1),
            way => self.beside_the_lease(way == 4, &mut word),
        }
        Some(FromWorker::Word(word))
    }

    /// A unit that was reported a moment ago, or a lease that is said to have been left at its very end. Its attempt ends with that.
    fn at_the_edge(&mut self, word: &Word) -> Option<Word> {
        let about = match word.about {
            // Where not every unit is reported, the one before may be news.
            About::Reported { resource, .. } if self.setup.odd.stride == 1 => {
                let before = Resource(resource.0 - 1);
                About::Reported { resource: before, metrics: self.figures(word.trial, word.attempt, before.0.max(1)) }
            }
            About::Reached { resource, .. } => {
                let state = Checkpoint { id: "e".repeat(64), resource, bytes: 1, wrote_ms: 0 };
                About::Ended(End::Preempted { checkpoint: Some(state) })
            }
            _ => return None,
        };
        self.blamed.insert((word.trial, word.attempt));
        Some(Word { about, ..word.clone() })
    }

    /// Before a worker greets a driver somebody else does, whom nobody can use.
    pub(super) fn greet_as_a_stranger(&mut self, driver: usize, hello: &Hello) {
        if self.healed.is_some() || !self.chance.hits("a stranger", self.setup.faults.edge_pm) {
            return;
        }
        let too_many = Slot { name: "farm".to_owned(), milli_gpus: u32::MAX };
        let slots = if self.chance.one_of("what is wrong with a stranger", 2) == 0 { vec![] } else { vec![too_many] };
        let hello =
            Hello { worker: WorkerId(0xbad << 96), name: "stranger".to_owned(), slots, holds: vec![], allocation: None, ..hello.clone() };
        // Nobody waits for the answer.
        let (link, _) = Link::new(u64::MAX, 1);
        self.bring(driver, Input::Joined { hello, link });
    }

    /// What a searcher answers that has lost its way: a value too large, or of a parameter that there is not.
    pub(super) fn stray_values(&mut self) -> Option<Params> {
        if self.healed.is_some() || !self.chance.hits("a searcher strays", self.setup.faults.edge_pm) {
            return None;
        }
        self.strayed = true;
        let parameter = self.setup.spec.space.parameters().first()?.name.clone();
        let name = if self.chance.one_of("what is wrong with the values", 2) == 0 { parameter } else { "width".into() };
        Some([(name, Value::Float(7.5))].into_iter().collect())
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
