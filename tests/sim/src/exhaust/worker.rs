//! The production session as a function of its history.
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use hpo_core::sweep::event::Slot;
use hpo_core::{Seed, WorkerId};
use hpo_worker::session::{Config, Input, Output, Session};

use super::Scope;

/// A session and all that led to it.
struct Life {
    worker: usize,
    told: Rc<Vec<Input>>,
}

/// A session after a step, and what it wanted.
type Done = (usize, Rc<Vec<Output>>);

/// All sessions that were met.
pub(super) struct Sessions {
    lives: Vec<Life>,
    known: HashMap<String, usize>,
    steps: HashMap<(usize, u64), Done>,
    seed: Seed,
}

/// The workers' names.
pub(super) fn id(worker: usize) -> WorkerId {
    WorkerId((worker as u128 + 1) << 96 | 1)
}

impl Sessions {
    pub(super) fn new(scope: &Scope) -> Self {
        Self { lives: vec![], known: HashMap::new(), steps: HashMap::new(), seed: scope.spec.seed }
    }

    /// A new worker, and what it does first.
    pub(super) fn begin(&mut self, worker: usize) -> Done {
        self.play(worker, Rc::new(vec![]))
    }

    /// What a session does when it is told something; `key` is one number for that.
    pub(super) fn tell(&mut self, session: usize, key: u64, input: Input) -> Done {
        let key = (session, key);
        if let Some(done) = self.steps.get(&key) {
            return done.clone();
        }
        let Life { worker, told } = &self.lives[session];
        let (worker, mut told) = (*worker, told.clone());
        Rc::make_mut(&mut told).push(input);
        let done = self.play(worker, told);
        self.steps.insert(key, done.clone());
        done
    }

    fn play(&mut self, worker: usize, told: Rc<Vec<Input>>) -> Done {
        let config = Config {
            worker: id(worker),
            name: format!("worker {worker}"),
            version: "exhaust".to_owned(),
            slots: vec![Slot { name: "core".to_owned(), milli_gpus: 0 }],
            scratch: PathBuf::from(format!("tmp/{worker}")),
            retry_cap_ms: 1000,
            orphan_ms: 1_000_000,
            farewell_ms: 10_000,
            words_max: 16,
        };
        let mut session = Session::new(config, self.seed.derive("session", worker as u64).rng());
        let mut out = vec![];
        session.begin(0, &mut out);
        for input in told.iter() {
            out.clear();
            session.step(0, input.clone(), &mut out);
        }
        let place = *self.known.entry(format!("{session:?}")).or_insert(self.lives.len());
        if place == self.lives.len() {
            self.lives.push(Life { worker, told });
        }
        (place, Rc::new(out))
    }
}
