//! Worker processes: the production session, and what performs it in this world.
use std::collections::VecDeque;
use std::path::PathBuf;

use hpo_core::sweep::event::{Allocation, Slot};
use hpo_core::{Stamp, WorkerId};
use hpo_driver::engine::parts;
use hpo_worker::session::{Clock, Config, Input, Output, Session, SessionEnd, StoreFailure, TrainerEvent};
use hpo_worker::trainer::protocol::Start;

use super::trainers::{Order, Trainer};
use super::{Coming, ORPHAN_MS, World};
use crate::check::Fact;

/// One worker process.
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) alive: bool,
    session: Session,
    born: Stamp,
    clock: Clock,
    pub(super) bays: Vec<Bay>,
    pub(super) conn: Option<usize>,
    /// Counts the tries to connect: an older one is void.
    pub(super) dial: u64,
    /// It does nothing before.
    pub(super) frozen_until: Stamp,
    /// No packet reaches it before.
    pub(super) cut_off_until: Stamp,
    /// The last moment at which something in the world kept it from being heard.
    pub(super) troubled: Stamp,
    /// How many times longer a unit takes here.
    pub(super) slowness: u64,
    /// Which of the world's places for workers it fills.
    place: usize,
}

/// A slot.
#[derive(Default)]
pub(super) struct Bay {
    pub(super) trainer: Option<Trainer>,
    /// Trainer processes so far.
    pub(super) processes: u64,
    paused: bool,
    /// What its trainers did and the session has not heard.
    voice: VecDeque<TrainerEvent>,
}

impl World {
    /// Whoever starts workers sees to it that there are enough.
    pub(super) fn employ(&mut self) {
        if self.end.is_some() || self.slurm.is_some() {
            return;
        }
        for place in 0..self.setup.workers.len() {
            if !self.workers.iter().any(|worker| worker.alive && worker.place == place) {
                self.bear(place, self.setup.workers[place], None);
            }
        }
    }

    /// A worker process begins; in a task of Slurm, where one is given, with its beginning.
    pub(super) fn bear(&mut self, place: usize, slots: u16, task: Option<(Allocation, Stamp)>) -> usize {
        let number = self.workers.len() as u128 + 1;
        // A slot's name is the first eight digits.
        let id = WorkerId(number << 96 | number);
        let milli_gpus = self.setup.odd.milli_gpus;
        let straggles = self.healed.is_none() && self.chance.hits("straggler", self.setup.faults.straggler_pm);
        let config = Config {
            worker: id,
            name: format!("worker {}", self.workers.len()),
            version: "sim".to_owned(),
            slots: vec![Slot { name: "core".to_owned(), milli_gpus }; usize::from(slots)],
            scratch: PathBuf::from(format!("tmp/{}", self.workers.len())),
            retry_cap_ms: self.setup.options.lease_ms / 2,
            orphan_ms: ORPHAN_MS,
            farewell_ms: 10_000,
            words_max: 16,
        };
        let worker = self.workers.len();
        self.workers.push(Worker {
            id,
            alive: true,
            session: Session::new(config, self.setup.curves.derive("session", worker as u64).rng()),
            born: self.now,
            clock: Clock::default(),
            bays: (0..slots).map(|_| Bay::default()).collect(),
            conn: None,
            dial: 0,
            frozen_until: self.now,
            cut_off_until: self.now,
            troubled: self.now,
            slowness: if straggles { 20 } else { 1 },
            place,
        });
        self.fact(&Fact::WorkerBorn { worker: id, slots: vec![milli_gpus; usize::from(slots)] });
        let mut out = vec![];
        if let Some((allocation, at)) = task {
            let leaves = allocation.ends_in_ms.map(|left| self.now.plus(left));
            self.fact(&Fact::TaskBegan { worker: id, at, leaves });
            self.workers[worker].session.step(0, Input::Allocated(allocation), &mut out);
        }
        self.workers[worker].session.begin(0, &mut out);
        self.perform(worker, out);
        self.tick_later(worker);
        worker
    }

    fn tick_later(&mut self, worker: usize) {
        let at = self.after("tick", self.setup.times.tick);
        self.heap.push(at, Coming::Tick { worker });
    }

    pub(super) fn tick(&mut self, worker: usize) {
        let it = &self.workers[worker];
        if !it.alive {
            return;
        }
        if self.now < it.frozen_until {
            return self.heap.push(it.frozen_until, Coming::Tick { worker });
        }
        self.tell(worker, Input::Tick);
        self.tick_later(worker);
    }

    /// Something kept this worker from being heard until then.
    pub(super) fn trouble(&mut self, worker: usize, until: Stamp) {
        let it = &mut self.workers[worker];
        it.troubled = it.troubled.max(until);
    }

    /// The session is told something, and what it wants is done.
    pub(super) fn tell(&mut self, worker: usize, input: Input) {
        let it = &mut self.workers[worker];
        if !it.alive {
            return;
        }
        let mut out = vec![];
        let now = it.clock.at(self.now.since(it.born));
        if it.clock.woke() {
            it.session.step(now, Input::Woke, &mut out);
        }
        it.session.step(now, input, &mut out);
        self.perform(worker, out);
    }

    pub(super) fn done(&mut self, worker: usize, input: Box<Input>) {
        let until = self.workers[worker].frozen_until;
        if self.now < until {
            return self.heap.push(until, Coming::Done { worker, input });
        }
        self.tell(worker, *input);
    }

    fn perform(&mut self, worker: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(message) => self.send_up(worker, message),
                Output::Connect { after_ms } => self.connect_after(worker, after_ms),
                Output::Restore { held, id } => {
                    let outcome = self.store_refuses().map_or_else(|| self.store.open(&id), Err);
                    if self.store.is_damaged(std::path::Path::new(&id)) {
                        self.blamed.insert((held.trial, held.attempt));
                    }
                    self.done_later(worker, Input::Restored { held, outcome });
                }
                Output::Adopt { held, file, optional } => {
                    let outcome = self.adopt(&file, held.attempt, optional);
                    self.done_later(worker, Input::Adopted { held, outcome });
                }
                Output::Discard { file } => self.store.discard(&file),
                Output::Spawn { slot, start } => self.spawn(worker, slot, *start),
                Output::Write { slot, line } => self.command(worker, slot, Order::Line(line)),
                Output::Terminate { slot } => self.command(worker, slot, Order::Terminate),
                Output::Kill { slot } => self.command(worker, slot, Order::Kill),
                Output::Pause { slot, paused } => self.pause(worker, slot, paused),
                Output::Exit(end) => return self.leave(worker, &end),
            }
        }
    }

    fn connect_after(&mut self, worker: usize, after_ms: u64) {
        if let Some(conn) = self.workers[worker].conn.take() {
            self.hang_up(conn, false);
        }
        let it = &mut self.workers[worker];
        it.dial += 1;
        it.troubled = it.troubled.max(self.now.plus(after_ms));
        self.heap.push(self.now.plus(after_ms), Coming::Dial { worker, turn: it.dial });
    }

    fn adopt(
        &mut self,
        file: &std::path::Path,
        attempt: hpo_core::Attempt,
        optional: bool,
    ) -> Result<Option<hpo_worker::checkpoint::Stored>, StoreFailure> {
        if let Some(refusal) = self.store_refuses() {
            return Err(refusal);
        }
        let Some((stored, state)) = self.store.adopt(file, attempt, optional)? else { return Ok(None) };
        self.fact(&Fact::Stored { id: state.id, trial: state.trial, resource: state.resource });
        Ok(Some(stored))
    }

    fn store_refuses(&mut self) -> Option<StoreFailure> {
        let refuses = self.healed.is_none() && self.chance.hits("store", self.setup.faults.store_pm);
        refuses.then(|| StoreFailure::Store("the disk is full".to_owned()))
    }

    fn done_later(&mut self, worker: usize, input: Input) {
        let late = self.healed.is_none() && self.chance.hits("store is late", self.setup.faults.store_pm);
        let at = self.after("store", if late { (1_000, 2 * self.setup.stall_ms) } else { self.setup.times.state });
        self.heap.push(at, Coming::Done { worker, input: Box::new(input) });
    }

    fn spawn(&mut self, worker: usize, slot: u16, start: Start) {
        let bay = &mut self.workers[worker].bays[usize::from(slot)];
        if bay.trainer.is_some() || bay.voice.iter().any(|event| matches!(event, TrainerEvent::Exited(_))) {
            return self.fail(format!("worker {worker} starts a second trainer on slot {slot}"));
        }
        self.hire(worker, slot, start);
    }

    /// Something is said to the trainer of a slot. One that is gone has said so, or is about to.
    fn command(&mut self, worker: usize, slot: u16, order: Order) {
        let Some(process) = self.workers[worker].bays[usize::from(slot)].trainer.as_ref().map(|trainer| trainer.process) else { return };
        let span = match order {
            Order::Line(_) | Order::Terminate => (0, 50),
            Order::Kill if self.healed.is_none() && self.chance.hits("undead", self.setup.faults.undead_pm) => (1_000, 200_000),
            Order::Kill => self.setup.times.death,
        };
        let mut at = self.after("order", span);
        let line = matches!(order, Order::Line(_));
        if let (true, Some(trainer)) = (line, &mut self.workers[worker].bays[usize::from(slot)].trainer) {
            // Lines come one after the other. A millisecond apart, for of one moment chance takes any.
            at = at.max(trainer.last_line.plus(1));
            trainer.last_line = at;
        }
        self.heap.push(at, Coming::Order { worker, slot, process, order });
    }

    fn pause(&mut self, worker: usize, slot: u16, paused: bool) {
        let bay = &mut self.workers[worker].bays[usize::from(slot)];
        bay.paused = paused;
        let waiting = if paused { 0 } else { bay.voice.len() };
        for _ in 0..waiting {
            self.heap.push(self.now, Coming::Hear { worker, slot });
        }
    }

    /// A trainer did something; the session hears of it soon, in order.
    pub(super) fn voice(&mut self, worker: usize, slot: u16, event: TrainerEvent) {
        self.workers[worker].bays[usize::from(slot)].voice.push_back(event);
        self.heap.push(self.now, Coming::Hear { worker, slot });
    }

    pub(super) fn hear(&mut self, worker: usize, slot: u16) {
        let it = &mut self.workers[worker];
        if self.now < it.frozen_until {
            return self.heap.push(it.frozen_until, Coming::Hear { worker, slot });
        }
        let bay = &mut it.bays[usize::from(slot)];
        if bay.paused {
            return;
        }
        if let Some(event) = bay.voice.pop_front() {
            self.tell(worker, Input::Trainer { slot, event });
        }
    }

    /// The session is over.
    fn leave(&mut self, worker: usize, end: &SessionEnd) {
        let known = !matches!(end, SessionEnd::OtherSweep { .. } | SessionEnd::BadJob { .. });
        if !known {
            self.fail(format!("worker {worker} leaves: {end}"));
        }
        let back = self.puts_itself_back(worker, end);
        self.bury(worker, &end.to_string());
        back.into_iter().for_each(|place| self.put_back_by_name(place));
    }

    /// The process is gone, and its trainers with it. What it had sent is on its way.
    pub(super) fn bury(&mut self, worker: usize, why: &str) {
        if !self.workers[worker].alive {
            return;
        }
        self.note(format_args!("worker {worker} is gone: {why}"));
        for slot in 0..self.workers[worker].bays.len() {
            // Slots are numbered below 65536.
            self.dismiss(worker, slot as u16);
        }
        self.workers[worker].alive = false;
        let id = self.workers[worker].id;
        self.fact(&Fact::WorkerDied { worker: id });
        self.task_ends_with(worker, if why == "killed" { "FAILED" } else { "COMPLETED" });
        if let Some(conn) = self.workers[worker].conn.take() {
            if self.healed.is_none() && self.chance.hits("host dies with its worker", self.setup.faults.delay_pm) {
                self.go_silent(conn, false, true);
            } else {
                self.hang_up(conn, false);
            }
        }
        let at = self.after("replacement of a worker", self.setup.times.restart);
        self.heap.push(at, Coming::Employ);
    }

    /// Whoever started a worker has seen it dead.
    pub(super) fn prove_death(&mut self, worker: usize) {
        let it = &self.workers[worker];
        if let (false, Some(driver)) = (it.alive, self.rendezvous) {
            let worker = it.id;
            self.bring(driver, parts::Input::Dead { worker });
        }
    }

    /// Notice: the machine will be taken away.
    pub(super) fn notice(&mut self, worker: usize) {
        let until = self.workers[worker].frozen_until;
        let input = Box::new(Input::Notice);
        self.heap.push(self.now.max(until), Coming::Done { worker, input });
        let at = self.after("until the machine is taken", (1_000, 60_000));
        self.heap.push(at, Coming::Doom { worker });
    }
}
