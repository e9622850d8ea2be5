//! One slot: its trainer process and the attempt that it runs.
use std::path::PathBuf;

use hpo_core::job::Job;
use hpo_core::sweep::event::{Checkpoint, End, FailureKind, Held};
use hpo_core::{Lease, Millis, Resource, TrialId};
use hpo_wire::About;
use hpo_wire::limits::cut;

use super::desk::Desk;
use super::exit::Exit;
use super::process::{DEATH_MS, Process};
use super::run::{Ask, Goal, Run, Stage, held};
use super::{Output, SpawnFailure, StoreFailure, TrainerEvent};
use crate::checkpoint::Stored;
use crate::trainer::protocol::{FromTrainer, ToTrainer};

#[derive(Debug)]
pub(super) struct Slot {
    index: u16,
    process: Process,
    run: Option<Run>,
    /// A lease that came while the slot was not free yet, and when.
    next: Option<(Lease, Millis)>,
    /// Whether the trainer is not listened to.
    paused: bool,
}

impl Slot {
    pub(super) fn new(index: u16) -> Self {
        Self { index, process: Process::None, run: None, next: None, paused: false }
    }

    /// Attempts that run or wait here.
    pub(super) fn holds(&self) -> impl Iterator<Item = Held> {
        self.next.iter().map(|(lease, _)| held(lease)).chain(self.run.as_ref().map(Run::held))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.run.is_none() && self.next.is_none()
    }

    /// What keeps this slot for good, if something does: nobody can say when it will be free.
    pub(super) fn stuck(&self, now: Millis, job: &Job) -> Option<String> {
        if !self.is_idle() && self.process.hangs(now) {
            return Some(format!("a trainer on slot {} was killed and is not dead after {} s", self.index, DEATH_MS / 1000));
        }
        self.run.as_ref()?.given_up(now, job.stall_ms)
    }

    /// Whether what the trainer says now counts.
    fn is_at_work(&self) -> bool {
        self.run.as_ref().is_some_and(|run| matches!(run.stage, Stage::Training | Stage::Asked { .. }))
    }

    /// A new attempt for this slot. If the driver thinks the slot free while something runs, that is of no use to it.
    pub(super) fn lease(&mut self, lease: Lease, desk: &mut Desk) {
        if let Some((replaced, arrived)) = self.next.replace((lease, desk.now)) {
            desk.say(held(&replaced), arrived, About::Ended(End::Stopped));
        }
        self.give_up(desk);
        self.go_on(desk);
    }

    /// A newer attempt of this trial exists: nobody believes an older one.
    pub(super) fn supersede(&mut self, trial: TrialId, desk: &mut Desk) {
        if let Some((old, arrived)) = self.next.take_if(|(lease, _)| lease.trial == trial) {
            desk.say(held(&old), arrived, About::Ended(End::Stopped));
        }
        if self.run.as_ref().is_some_and(|run| run.lease.trial == trial) {
            self.give_up(desk);
        }
    }

    /// Stops an attempt, or calls it back.
    pub(super) fn ask(&mut self, attempt: Held, what: Ask, desk: &mut Desk) {
        if let Some((lease, arrived)) = self.next.take_if(|(lease, _)| held(lease) == attempt) {
            desk.say(held(&lease), arrived, About::Ended(what.end()));
        }
        let Some(run) = self.run.as_mut().filter(|run| run.held() == attempt) else { return };
        match run.stage {
            Stage::Restoring { .. } => self.end(what.end(), desk),
            Stage::Training => self.ask_trainer(what, desk),
            Stage::Asked { what: Ask::CallBack, .. } if what == Ask::Stop => self.ask_trainer(what, desk),
            Stage::Asked { .. } | Stage::Storing { .. } | Stage::Dying(_) => {}
        }
    }

    /// Asks everything here to leave.
    pub(super) fn ask_all(&mut self, what: Ask, desk: &mut Desk) {
        for attempt in self.holds().collect::<Vec<_>>() {
            self.ask(attempt, what, desk);
        }
    }

    /// The checkpoint of an attempt was verified, or not. Gives back why this worker is of no use any more, if so.
    pub(super) fn restored(&mut self, outcome: Result<PathBuf, StoreFailure>, desk: &mut Desk) -> Option<String> {
        let run = self.run.as_mut().filter(|run| matches!(run.stage, Stage::Restoring { .. }))?;
        match outcome {
            Ok(file) => {
                run.restored(desk.now);
                self.launch(Some(file), false, desk);
            }
            Err(StoreFailure::File(message)) => self.end(End::Failed { kind: FailureKind::Checkpoint, message }, desk),
            Err(StoreFailure::Store(why)) => return Some(self.blameless(why, desk)),
        }
        None
    }

    /// The state of an attempt was stored, or not. Gives back why this worker is of no use any more, if so.
    pub(super) fn adopted(&mut self, outcome: Result<Option<Stored>, StoreFailure>, desk: &mut Desk) -> Option<String> {
        let Some(Run { stage: Stage::Storing { goal, resource, wrote_ms, .. }, .. }) = self.run else { return None };
        let state = |stored: Stored| Checkpoint { id: stored.id, resource, bytes: stored.bytes, wrote_ms };
        match (outcome, goal) {
            (Ok(stored), Goal::Reached { in_memory }) => self.reached(resource, stored.map(state), in_memory, desk),
            (Ok(stored), Goal::Left) => self.end(End::Preempted { checkpoint: stored.map(state) }, desk),
            (Err(StoreFailure::File(why)), _) => self.fail(FailureKind::Protocol, why, desk),
            (Err(StoreFailure::Store(why)), _) => return Some(self.blameless(why, desk)),
        }
        None
    }

    /// This machine's or the store's fault, not the trial's: it goes on elsewhere from the state before.
    fn blameless(&mut self, why: String, desk: &mut Desk) -> String {
        self.end(End::Preempted { checkpoint: None }, desk);
        why
    }

    /// Something about this slot's process. Gives back why this worker is of no use any more, if so.
    pub(super) fn trainer(&mut self, event: TrainerEvent, desk: &mut Desk) -> Option<String> {
        match event {
            TrainerEvent::Said(FromTrainer::Unsaved { message }) => return self.is_at_work().then(|| self.blameless(message, desk)),
            TrainerEvent::Said(said) => self.said(said, desk),
            TrainerEvent::Garbled(why) => self.fail(FailureKind::Protocol, why, desk),
            TrainerEvent::Exited(exit) => self.exited(&exit, desk),
            TrainerEvent::NotSpawned(failure) => {
                self.process = Process::None;
                match failure {
                    SpawnFailure::Job(message) => self.end(End::Failed { kind: FailureKind::Setup, message }, desk),
                    SpawnFailure::Machine(why) => return Some(self.blameless(why, desk)),
                }
            }
        }
        None
    }

    /// Patience that has run out.
    pub(super) fn tick(&mut self, desk: &mut Desk) {
        if let Process::Ending { until } = self.process
            && until <= desk.now
        {
            self.kill(desk);
        }
        let Some(run) = &self.run else { return };
        match run.stage {
            Stage::Training if !self.paused && desk.now.saturating_sub(run.heard) >= desk.job.stall_ms => {
                let why = format!(
                    "no progress was told for {:.1} s (`stall`); the last report was at {}",
                    desk.job.stall_ms as f64 / 1e3,
                    run.reported
                );
                self.fail(FailureKind::Hang, why, desk);
            }
            Stage::Asked { what, until } if until <= desk.now => self.die(what.end(), desk),
            _ => {}
        }
    }

    /// Listens to a trainer only while there is room for what it says. One that was asked to leave is always heard.
    pub(super) fn listen(&mut self, full: bool, now: Millis, out: &mut Vec<Output>) {
        let training = self.run.as_mut().filter(|run| run.stage == Stage::Training);
        let paused = full && training.is_some();
        if paused != self.paused {
            self.paused = paused;
            out.push(Output::Pause { slot: self.index, paused });
            // Silence that we asked for is no hang.
            if let Some(run) = training {
                run.heard = now;
            }
        }
    }

    fn said(&mut self, said: FromTrainer, desk: &mut Desk) {
        if let (FromTrainer::Ready, Process::Alive { ready, .. }) = (&said, &mut self.process) {
            *ready = true;
        }
        let Some(run) = &mut self.run else { return };
        run.heard = desk.now;
        let asked = match run.stage {
            Stage::Training => None,
            Stage::Asked { what, .. } => Some(what),
            Stage::Restoring { .. } | Stage::Storing { .. } | Stage::Dying(_) => return,
        };
        match (said, asked) {
            (FromTrainer::Stopped, Some(what)) => self.end(what.end(), desk),
            // `Unsaved` is dealt with before.
            (FromTrainer::Ready | FromTrainer::Unsaved { .. }, _)
            | (FromTrainer::Started { .. } | FromTrainer::Report { .. }, Some(Ask::Stop)) => {}
            // It had done its part before it read the line, which it then drops: a trainer without a lease answers nothing.
            (FromTrainer::Reached { .. } | FromTrainer::Left { .. }, Some(Ask::Stop)) => self.end(End::Stopped, desk),
            (FromTrainer::Failed { .. }, Some(Ask::Stop)) => self.die(End::Stopped, desk),
            (FromTrainer::Started { restore_ms, .. }, _) => {
                let (startup_ms, restore_ms) = run.beginnings(desk.now, restore_ms);
                desk.say(run.held(), run.arrived, About::Started { startup_ms, restore_ms });
            }
            (FromTrainer::Report { resource, metrics }, _) => {
                let resource = Resource(resource);
                if let Some(why) = run.fault_of_report(resource, &metrics, &desk.job.metric) {
                    return self.fail(FailureKind::Protocol, why, desk);
                }
                run.reported = resource;
                desk.say(run.held(), run.arrived, About::Reported { resource, metrics });
            }
            (FromTrainer::Reached { resource, checkpoint, wrote_ms }, _) => {
                let fault = run.fault_of_reached(Resource(resource)).or_else(|| run.fault_of_file(checkpoint.as_ref()));
                self.store(Goal::Reached { in_memory: true }, fault, Resource(resource), checkpoint, wrote_ms, desk);
            }
            (FromTrainer::Left { resource, checkpoint, wrote_ms }, asked) => {
                let fault = run.fault_of_left(Resource(resource), checkpoint.is_some(), asked.is_some());
                let fault = fault.or_else(|| run.fault_of_file(checkpoint.as_ref()));
                // Called back in the last moment, it had done all of its part.
                let whole = checkpoint.is_some() && Resource(resource) == run.lease.until;
                let goal = if whole { Goal::Reached { in_memory: false } } else { Goal::Left };
                self.store(goal, fault, Resource(resource), checkpoint, wrote_ms, desk);
            }
            (FromTrainer::Stopped, None) => self.fail(FailureKind::Protocol, "it stopped without being asked to", desk),
            (FromTrainer::Failed { kind, message }, _) => self.fail(kind, message, desk),
        }
    }

    /// Begins to store the state of an attempt that has done its part.
    fn store(&mut self, goal: Goal, fault: Option<String>, resource: Resource, file: Option<PathBuf>, wrote_ms: Millis, desk: &mut Desk) {
        if let Some(why) = fault {
            return self.fail(FailureKind::Protocol, why, desk);
        }
        let Some(run) = &mut self.run else { return };
        run.stage = Stage::Storing { goal, resource, wrote_ms, since: desk.now };
        match file {
            Some(file) => desk.out.push(Output::Adopt { held: run.held(), file, optional: false }),
            None => drop(self.adopted(Ok(None), desk)),
        }
    }

    fn reached(&mut self, resource: Resource, checkpoint: Option<Checkpoint>, in_memory: bool, desk: &mut Desk) {
        let Some(run) = self.run.take() else { return };
        if let Process::Alive { holds, .. } = &mut self.process
            && in_memory
        {
            *holds = Some((run.lease.trial, resource));
        }
        if checkpoint.is_none() {
            desk.out.push(Output::Discard { file: run.file.clone() });
        }
        desk.say(run.held(), run.arrived, About::Reached { resource, checkpoint });
        self.go_on(desk);
    }

    fn exited(&mut self, exit: &Exit, desk: &mut Desk) {
        self.process = Process::None;
        let Some(run) = &mut self.run else { return self.go_on(desk) };
        let until = run.lease.until;
        match &run.stage {
            Stage::Dying(end) => {
                let end = end.clone();
                self.end(end, desk);
            }
            // A lease in place fell back to its checkpoint, or the state is being stored: both go on without the process.
            Stage::Restoring { .. } | Stage::Storing { .. } => {}
            // Also one that was called back after its last report, or while it wrote its state.
            Stage::Training | Stage::Asked { what: Ask::CallBack, .. }
                if exit.code == Some(0) && !desk.keeps_trainers() && run.reported == until =>
            {
                let goal = Goal::Reached { in_memory: false };
                run.stage = Stage::Storing { goal, resource: until, wrote_ms: 0, since: desk.now };
                desk.out.push(Output::Adopt { held: run.held(), file: run.file.clone(), optional: true });
            }
            Stage::Asked { what, .. } => {
                let end = what.end();
                self.end(end, desk);
            }
            Stage::Training if exit.code == Some(0) => {
                let end = exit.failed(FailureKind::Protocol, &run.fault_of_end(desk.job));
                self.end(end, desk);
            }
            Stage::Training => self.end(exit.unasked(), desk),
        }
    }

    /// Takes up the lease that waits, if the slot is free for it.
    fn go_on(&mut self, desk: &mut Desk) {
        if self.run.is_some() {
            return;
        }
        if matches!(self.process, Process::Alive { .. }) && !desk.keeps_trainers() {
            self.process = Process::Ending { until: desk.grace_ends() };
        }
        if self.process.is_ending() {
            return;
        }
        let Some((lease, arrived)) = self.next.take() else { return };
        let mut run = Run::new(lease, arrived, desk.scratch);
        let in_memory = matches!(self.process, Process::Alive { holds: Some(state), .. } if state == (run.lease.trial, run.lease.from));
        let restore = run.lease.checkpoint.as_ref().map(|state| state.id.clone());
        match restore {
            _ if run.lease.in_place && in_memory => {
                self.run = Some(run);
                self.launch(None, true, desk);
            }
            Some(id) => {
                run.stage = Stage::Restoring { since: desk.now };
                desk.out.push(Output::Restore { held: run.held(), id });
                self.run = Some(run);
            }
            None => {
                // A trainer that died with the only copy: another attempt begins anew.
                let gone = run.lease.from > Resource(0);
                self.run = Some(run);
                if gone { self.end(End::Lost, desk) } else { self.launch(None, false, desk) }
            }
        }
    }

    fn launch(&mut self, checkpoint: Option<PathBuf>, in_place: bool, desk: &mut Desk) {
        let Some(run) = &mut self.run else { return };
        run.stage = Stage::Training;
        run.heard = desk.now;
        let start = run.start(checkpoint, in_place);
        match &mut self.process {
            Process::Alive { holds, .. } => {
                *holds = None;
                desk.out.push(Output::Write { slot: self.index, line: ToTrainer::Start(start) });
            }
            Process::None | Process::Ending { .. } | Process::Killed { .. } => {
                self.process = Process::Alive { ready: false, holds: None };
                desk.out.push(Output::Spawn { slot: self.index, start: Box::new(start) });
            }
        }
    }

    fn ask_trainer(&mut self, what: Ask, desk: &mut Desk) {
        let slot = self.index;
        let Some(run) = &mut self.run else { return };
        run.stage = Stage::Asked { what, until: desk.grace_ends() };
        let line = match what {
            Ask::Stop => ToTrainer::Stop,
            Ask::CallBack => ToTrainer::CallBack,
        };
        desk.out.push(match self.process {
            Process::Alive { ready: true, .. } => Output::Write { slot, line },
            _ => Output::Terminate { slot },
        });
    }

    /// What runs here is of no use to anyone.
    fn give_up(&mut self, desk: &mut Desk) {
        if let Some(run) = &self.run {
            self.ask(run.held(), Ask::Stop, desk);
        }
    }

    fn fail(&mut self, kind: FailureKind, message: impl Into<String>, desk: &mut Desk) {
        self.die(End::Failed { kind, message: message.into() }, desk);
    }

    /// Kills the trainer and says `end` when it is proven dead.
    fn die(&mut self, end: End, desk: &mut Desk) {
        let Some(run) = &mut self.run else { return };
        if self.process == Process::None {
            return self.end(end, desk);
        }
        if !matches!(run.stage, Stage::Dying(_)) {
            run.stage = Stage::Dying(end);
            self.kill(desk);
        }
    }

    fn kill(&mut self, desk: &mut Desk) {
        if !matches!(self.process, Process::None | Process::Killed { .. }) {
            self.process = Process::Killed { since: desk.now };
            desk.out.push(Output::Kill { slot: self.index });
        }
    }

    /// Says how the attempt ended; what it left behind is removed, and the slot is free.
    fn end(&mut self, end: End, desk: &mut Desk) {
        let Some(run) = self.run.take() else { return };
        if !matches!(end, End::Preempted { checkpoint: Some(_) }) {
            desk.out.push(Output::Discard { file: run.file.clone() });
        }
        let end = if let End::Failed { kind, message } = end { End::Failed { kind, message: cut(message) } } else { end };
        desk.say(run.held(), run.arrived, About::Ended(end));
        self.go_on(desk);
    }
}
