//! A virtual worker with its one slot.
use hpo_core::{Attempt, Lease, Millis, Resource, Seed, Seq, Stamp, TrialId, WorkerId};
use hpo_curves::Curve;
use rand::Rng;

use super::Conditions;

/// A worker. After a failure another one takes its place on the same machine.
#[derive(Debug)]
pub(super) struct Machine {
    index: u32,
    starts: u32,
    /// How many times longer than its curve says a unit takes.
    pub(super) slowness: f64,
    /// Which attempt its slot is at: an entry of the queue for another turn is void.
    pub(super) turn: u32,
    pub(super) run: Option<Run>,
}

/// An attempt on a slot.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) trial: TrialId,
    pub(super) attempt: Attempt,
    seq: Seq,
    /// When its lease came.
    began: Stamp,
    /// Where the lease begins.
    pub(super) from: Resource,
    /// The last resource that was reported, or `from`.
    pub(super) done: Resource,
    pub(super) until: Resource,
    pub(super) curve: Curve,
    pub(super) next: Step,
}

/// What an attempt says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It trains from now on.
    Started { startup: Millis, restore: Millis },
    /// The figures after one more unit, or that it failed in it.
    Reported,
    /// The end of its lease, its state safe.
    Reached,
    /// It was called back and leaves its state.
    Left,
}

impl Machine {
    pub(super) fn new(index: u32) -> Self {
        Self { index, starts: 0, slowness: 1.0, turn: 0, run: None }
    }

    /// A new worker starts on it. Answers how long it will live, if it is to die.
    pub(super) fn start(&mut self, conditions: &Conditions, seed: Seed) -> Option<Millis> {
        self.starts += 1;
        let mut rng = seed.derive("simulate worker", u64::from(self.index) << 32 | u64::from(self.starts)).rng();
        let straggles = unit(&mut rng) < conditions.straggler_share;
        self.slowness = if straggles { conditions.straggler_factor } else { 1.0 };
        let mut life = |mtbf: Millis| -(1.0 - unit(&mut rng)).ln() * mtbf as f64;
        // At least a millisecond, or it would never come to anything.
        conditions.mtbf.map(|mtbf| (life(mtbf).round() as Millis).max(1))
    }

    /// The worker that is on it now. Ordered by machine: of several free ones the sweep takes the first.
    pub(super) fn worker(&self) -> WorkerId {
        WorkerId(u128::from(self.index) << 96 | u128::from(self.starts))
    }

    /// The machine of a worker.
    pub(super) fn of(worker: WorkerId) -> usize {
        (worker.0 >> 96) as usize
    }

    /// A lease begins; the queue is to come back to it at the moment that is answered.
    pub(super) fn begin(&mut self, lease: &Lease, curve: Curve, conditions: &Conditions, now: Stamp) -> Stamp {
        let startup = if lease.in_place { 0 } else { conditions.startup };
        let restore = if lease.in_place || lease.checkpoint.is_none() { 0 } else { conditions.restore };
        let Lease { trial, attempt, from, until, .. } = *lease;
        let next = Step::Started { startup, restore };
        self.turn = self.turn.wrapping_add(1);
        self.run = Some(Run { trial, attempt, seq: Seq(0), began: now, from, done: from, until, curve, next });
        now.plus(startup + restore)
    }

    /// What its slot did is over, and everything that was to come of it.
    pub(super) fn end(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        self.run = None;
    }
}

impl Run {
    /// The number of its next word.
    pub(super) fn word(&mut self) -> Seq {
        self.seq = Seq(self.seq.0 + 1);
        self.seq
    }

    /// Since its lease came, by the worker's clock.
    pub(super) fn after(&self, now: Stamp) -> Option<Millis> {
        Some(now.since(self.began))
    }

    /// How long the unit after `done` takes. Rounded so that a whole training takes what its curve says, but a millisecond at
    /// least: the clock is to reach the end of a sweep that only time ends.
    pub(super) fn unit(&self, slowness: f64) -> Millis {
        let exact = |resource: u32| self.curve.seconds(Resource(resource)) * 1e3 * slowness;
        let at = |resource: u32| if resource == 0 { 0 } else { (exact(resource).round() as Millis).max(1) };
        at(self.done.0 + 1).saturating_sub(at(self.done.0))
    }
}

/// Uniform in [0, 1) from the upper 53 bits: fixed across versions of `rand`.
fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
