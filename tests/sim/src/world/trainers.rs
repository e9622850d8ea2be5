//! Trainer processes. They speak the production's protocol to the production's session and train nothing.
use std::collections::VecDeque;

use hpo_core::sweep::event::{FailureKind, Held};
use hpo_core::{Attempt, Resource, Stamp, TrialId};
use hpo_worker::session::{Exit, Input, SpawnFailure, TrainerEvent};
use hpo_worker::trainer::protocol::{FromTrainer, Start, ToTrainer};

use super::{Coming, World};
use crate::check::Fact;
use crate::setup::Style;

const SIGSEGV: i32 = 11;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// What comes to a trainer process.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Line(ToTrainer),
    Terminate,
    Kill,
}

/// One trainer process.
pub(super) struct Trainer {
    pub(super) process: u64,
    orders: VecDeque<ToTrainer>,
    pub(super) work: Option<Work>,
    /// The trial whose state it still has, and where that stands.
    memory: Option<(u32, u32)>,
    turn: u64,
    /// When the last line comes that was written to it.
    pub(super) last_line: Stamp,
    ready: bool,
    /// It does nothing any more, and does not know it.
    hangs: bool,
}

pub(super) struct Work {
    pub(super) start: Start,
    pub(super) done: u32,
    stage: Stage,
    /// It has begun to train.
    began: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Restoring,
    Training,
    /// It writes its state because its part is done.
    Writing,
    /// It writes its state because it was called back.
    Leaving,
}

impl Work {
    fn held(&self, slot: u16) -> Held {
        Held { trial: TrialId(self.start.trial), attempt: Attempt(self.start.attempt), slot }
    }
}

impl World {
    /// Starts a trainer process for a lease.
    pub(super) fn hire(&mut self, worker: usize, slot: u16, start: Start) {
        if self.healed.is_none() && self.chance.hits("spawn", self.setup.faults.spawn_pm) {
            self.blamed.insert((TrialId(start.trial), Attempt(start.attempt)));
            let failure = if self.chance.hits("of the machine", 300) {
                SpawnFailure::Machine("no memory for a process".to_owned())
            } else {
                SpawnFailure::Job("no such program".to_owned())
            };
            let input = Box::new(Input::Trainer { slot, event: TrainerEvent::NotSpawned(failure) });
            return self.heap.push(self.now, Coming::Done { worker, input });
        }
        let last_line = self.now;
        let bay = &mut self.workers[worker].bays[usize::from(slot)];
        bay.processes += 1;
        let orders = VecDeque::from([ToTrainer::Start(start)]);
        let process = bay.processes;
        bay.trainer = Some(Trainer { process, orders, work: None, memory: None, turn: 0, last_line, ready: false, hangs: false });
        self.train_after(worker, slot, "startup", self.setup.times.startup);
    }

    pub(super) fn trainer(&mut self, worker: usize, slot: u16) -> Option<&mut Trainer> {
        self.workers[worker].bays[usize::from(slot)].trainer.as_mut()
    }

    /// The trainer's next step is after so long, and no other.
    fn train_after(&mut self, worker: usize, slot: u16, what: &'static str, span: crate::setup::Span) {
        let at = self.after(what, span);
        let Some(trainer) = self.trainer(worker, slot) else { return };
        trainer.turn += 1;
        let (process, turn) = (trainer.process, trainer.turn);
        self.heap.push(at, Coming::Train { worker, slot, process, turn });
    }

    fn say(&mut self, worker: usize, slot: u16, said: FromTrainer) {
        self.voice(worker, slot, TrainerEvent::Said(said));
    }

    pub(super) fn train(&mut self, worker: usize, slot: u16, process: u64, turn: u64) {
        let style = self.setup.style;
        let Some(trainer) = self.trainer(worker, slot) else { return };
        if trainer.process != process || trainer.turn != turn || trainer.hangs {
            return;
        }
        if !std::mem::replace(&mut trainer.ready, true) && style != Style::Quiet {
            self.say(worker, slot, FromTrainer::Ready);
        }
        let Some(trainer) = self.trainer(worker, slot) else { return };
        match trainer.work.as_ref().map(|work| work.stage) {
            None => self.read_orders(worker, slot),
            Some(Stage::Restoring) => self.start_training(worker, slot),
            Some(Stage::Training) => self.train_unit(worker, slot),
            Some(Stage::Writing) => self.reach(worker, slot),
            Some(Stage::Leaving) => self.left(worker, slot),
        }
    }

    /// Between two leases.
    fn read_orders(&mut self, worker: usize, slot: u16) {
        while let Some(order) = self.trainer(worker, slot).and_then(|trainer| trainer.orders.pop_front()) {
            // Others crossed our last word about an attempt that has ended.
            let ToTrainer::Start(start) = order else { continue };
            let span = if start.checkpoint.is_some() { self.setup.times.state } else { (0, 0) };
            let Some(trainer) = self.trainer(worker, slot) else { return };
            let done = start.from;
            trainer.work = Some(Work { start, done, stage: Stage::Restoring, began: false });
            return self.train_after(worker, slot, "restore", span);
        }
    }

    fn start_training(&mut self, worker: usize, slot: u16) {
        let Some(trainer) = self.trainer(worker, slot) else { return };
        let memory = trainer.memory.take();
        let Some(work) = trainer.work.as_mut() else { return };
        let start = work.start.clone();
        let held = work.held(slot);
        let state = start.checkpoint.as_ref().and_then(|path| self.store.read(path));
        let wrong = match (&start.checkpoint, &state) {
            (None, _) if start.in_place => memory != Some((start.trial, start.from)),
            (None, _) => start.from != 0,
            (Some(_), Some(state)) => {
                // The best state that a program had may be the same after many units.
                state.trial.0 != start.trial || (state.resource.0 != start.from && !self.setup.odd.best_only)
            }
            (Some(_), None) => false,
        };
        if wrong {
            let has = state.map_or(format!("{memory:?} in memory"), |state| format!("{state:?}"));
            return self.fail(format!("worker {worker} slot {slot} is to go on with {start:?}, but has {has}"));
        }
        if start.checkpoint.is_some() && state.is_none() {
            if start.checkpoint.as_ref().is_some_and(|path| self.store.is_damaged(path)) {
                self.blame(worker, slot);
            }
            return self.give_up(worker, slot, FailureKind::Checkpoint, "the state cannot be read");
        }
        if let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.as_mut()) {
            (work.stage, work.began) = (Stage::Training, true);
        }
        let id = self.workers[worker].id;
        let (from, checkpoint) = (Resource(start.from), state.map(|state| state.id));
        self.fact(&Fact::TrainingBegan { worker: id, held, from, checkpoint });
        if self.setup.style != Style::Quiet {
            let restore_ms = if start.checkpoint.is_some() { 2 } else { 0 };
            self.say(worker, slot, FromTrainer::Started { startup_ms: 1, restore_ms });
        }
        self.next_unit(worker, slot);
    }

    fn next_unit(&mut self, worker: usize, slot: u16) {
        let times = self.workers[worker].slowness;
        let (least, most) = self.setup.times.unit;
        self.train_after(worker, slot, "unit", (least * times, most * times));
        // What came while it could not read.
        self.look_at_orders(worker, slot);
    }

    fn train_unit(&mut self, worker: usize, slot: u16) {
        let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.as_mut()) else { return };
        work.done += 1;
        let (held, resource, until) = (work.held(slot), work.done, work.start.until);
        let id = self.workers[worker].id;
        self.fact(&Fact::Trained { worker: id, held, resource: Resource(resource) });
        // Jobs have time limits, where nothing goes wrong, too.
        let spared = self.setup.faults.spare_workers() && self.setup.slurm.is_none() && !self.setup.odd.saves_nothing;
        if !self.trained.insert((held.trial, resource)) && spared {
            return self.fail(format!("trial {} trains unit {resource} again, though only drivers had to suffer", held.trial));
        }
        if self.healed.is_none() && self.chance.hits("trainer", self.setup.faults.trainer_pm) {
            return self.go_wrong(worker, slot);
        }
        if self.setup.odd.is_reported(held.trial.0, resource, until) {
            let metrics = self.figures(held.trial, held.attempt, resource);
            self.say(worker, slot, FromTrainer::Report { resource, metrics });
        }
        if resource < until {
            return self.next_unit(worker, slot);
        }
        self.enter(worker, slot, Stage::Writing);
    }

    fn enter(&mut self, worker: usize, slot: u16, stage: Stage) {
        if let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.as_mut()) {
            work.stage = stage;
        }
        self.train_after(worker, slot, "write a state", self.setup.times.state);
    }

    fn reach(&mut self, worker: usize, slot: u16) {
        self.write_state(worker, slot);
        let Some(trainer) = self.trainer(worker, slot) else { return };
        let Some(work) = trainer.work.take() else { return };
        trainer.memory = Some((work.start.trial, work.done));
        self.ends(worker, slot, &work);
        if self.setup.style == Style::Quiet {
            return self.exit(worker, slot, Exit { code: Some(0), ..Exit::default() });
        }
        let Work { start, done, .. } = work;
        let wrote_ms = u64::from(done);
        self.say(worker, slot, FromTrainer::Reached { resource: done, checkpoint: Some(start.checkpoint_out), wrote_ms });
        self.rest(worker, slot);
    }

    fn left(&mut self, worker: usize, slot: u16) {
        let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.as_ref()) else { return };
        let progressed = work.done > work.start.from;
        let saves = progressed || self.setup.odd.saves_early;
        if saves {
            self.write_state(worker, slot);
        }
        let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.take()) else { return };
        self.ends(worker, slot, &work);
        let Work { start, done, .. } = work;
        // Whatever is in a state was reported.
        if progressed && !self.setup.odd.is_reported(start.trial, done, start.until) {
            let metrics = self.figures(TrialId(start.trial), Attempt(start.attempt), done);
            self.say(worker, slot, FromTrainer::Report { resource: done, metrics });
        }
        let checkpoint = saves.then_some(start.checkpoint_out);
        self.say(worker, slot, FromTrainer::Left { resource: done, checkpoint, wrote_ms: u64::from(done) });
        self.rest(worker, slot);
    }

    /// A trainer that serves lease after lease reads on; a program has no more to do.
    fn rest(&mut self, worker: usize, slot: u16) {
        if self.setup.style == Style::Kept {
            self.read_orders(worker, slot);
        } else {
            self.exit(worker, slot, Exit { code: Some(0), ..Exit::default() });
        }
    }

    fn ends(&mut self, worker: usize, slot: u16, work: &Work) {
        if work.began {
            let id = self.workers[worker].id;
            self.fact(&Fact::TrainingEnded { worker: id, held: work.held(slot) });
        }
    }

    fn give_up(&mut self, worker: usize, slot: u16, kind: FailureKind, message: &str) {
        let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.take()) else { return };
        self.ends(worker, slot, &work);
        if self.setup.style == Style::Quiet {
            return self.exit(worker, slot, Exit { code: Some(1), tail: message.to_owned(), ..Exit::default() });
        }
        self.say(worker, slot, FromTrainer::Failed { kind, message: message.to_owned() });
    }

    /// What becomes of this attempt is the world's fault.
    pub(super) fn blame(&mut self, worker: usize, slot: u16) {
        let held = self.trainer(worker, slot).and_then(|trainer| trainer.work.as_ref()).map(|work| work.held(slot));
        self.blamed.extend(held.map(|held| (held.trial, held.attempt)));
    }

    /// A unit goes wrong, in one of many ways.
    fn go_wrong(&mut self, worker: usize, slot: u16) {
        self.blame(worker, slot);
        let signal = |signal, oom| Exit { signal: Some(signal), oom, ..Exit::default() };
        match self.chance.one_of("way to go wrong", 9) {
            0 => self.exit(worker, slot, signal(SIGSEGV, false)),
            1 => self.exit(worker, slot, signal(SIGKILL, false)),
            2 => self.exit(worker, slot, signal(SIGKILL, true)),
            3 => self.exit(worker, slot, Exit { code: Some(1), tail: "it did not go well".to_owned(), ..Exit::default() }),
            4 => self.exit(worker, slot, Exit { code: Some(0), ..Exit::default() }),
            5 => self.give_up(worker, slot, FailureKind::OutOfMemory, "CUDA out of memory"),
            6 => {
                if let Some(trainer) = self.trainer(worker, slot) {
                    trainer.hangs = true;
                }
            }
            7 => {
                let off = self.chance.one_of("wrong unit", 30) as u32;
                let metrics = self.figures(TrialId(0), Attempt(1), 1);
                self.say(worker, slot, FromTrainer::Report { resource: off, metrics });
                self.next_unit(worker, slot);
            }
            _ if self.setup.style == Style::Kept => {
                let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.take()) else { return };
                self.ends(worker, slot, &work);
                self.say(worker, slot, FromTrainer::Unsaved { message: "the disk is full".to_owned() });
            }
            _ => self.voice(worker, slot, TrainerEvent::Garbled("@hpo {".to_owned())),
        }
    }

    pub(super) fn order(&mut self, worker: usize, slot: u16, process: u64, order: Order) {
        let style = self.setup.style;
        let Some(trainer) = self.trainer(worker, slot).filter(|trainer| trainer.process == process) else { return };
        let Order::Line(line) = order else {
            let signal = if matches!(order, Order::Kill) { SIGKILL } else { SIGTERM };
            return self.signalled(worker, slot, signal);
        };
        if style == Style::Quiet || trainer.hangs {
            return;
        }
        trainer.orders.push_back(line);
        match &trainer.work {
            None if trainer.ready => self.read_orders(worker, slot),
            Some(work) if work.stage == Stage::Training => self.look_at_orders(worker, slot),
            _ => {}
        }
    }

    /// A program may save its state when it is told to go, before it does.
    fn signalled(&mut self, worker: usize, slot: u16, signal: i32) {
        let style = self.setup.style;
        let Some(trainer) = self.trainer(worker, slot) else { return };
        let (hangs, trains) = (trainer.hangs, trainer.work.as_ref().is_some_and(|work| work.began && work.done > work.start.from));
        if signal == SIGTERM && hangs {
            return;
        }
        let saves = !self.setup.slurm.as_ref().is_some_and(|cluster| cluster.saves_at_end);
        if signal == SIGTERM && trains && saves && style == Style::Quiet && self.chance.one_of("a program saves its state", 2) == 0 {
            self.write_state(worker, slot);
            return self.exit(worker, slot, Exit { code: Some(0), ..Exit::default() });
        }
        self.exit(worker, slot, Exit { signal: Some(signal), ..Exit::default() });
    }

    /// In the middle of a unit.
    fn look_at_orders(&mut self, worker: usize, slot: u16) {
        let Some(order) = self.trainer(worker, slot).and_then(|trainer| trainer.orders.pop_front()) else { return };
        match order {
            ToTrainer::CallBack => self.enter(worker, slot, Stage::Leaving),
            ToTrainer::Stop => {
                let Some(work) = self.trainer(worker, slot).and_then(|trainer| trainer.work.take()) else { return };
                self.ends(worker, slot, &work);
                self.say(worker, slot, FromTrainer::Stopped);
                self.rest(worker, slot);
            }
            ToTrainer::Start(start) => self.fail(format!("worker {worker} slot {slot}: {start:?} comes in the middle of another lease")),
        }
    }

    /// The process is dead, and its worker hears of it.
    fn exit(&mut self, worker: usize, slot: u16, exit: Exit) {
        self.dismiss(worker, slot);
        self.voice(worker, slot, TrainerEvent::Exited(exit));
    }

    /// The process is dead.
    pub(super) fn dismiss(&mut self, worker: usize, slot: u16) {
        let Some(trainer) = self.workers[worker].bays[usize::from(slot)].trainer.take() else { return };
        if let Some(work) = trainer.work {
            self.ends(worker, slot, &work);
        }
    }
}
