//! The virtual world: what the engine and its workers do in a real run, on one thread, with a heap for a clock.
use std::collections::VecDeque;

use hpo_core::sweep::event::FailureKind;
use hpo_core::sweep::view::Best;
use hpo_core::sweep::{Allocation, Checkpoint, End, Held, Slot, Trial};
use hpo_core::{Action, Event, Lease, Loss, Metrics, Millis, Resource, Seed, Stamp, Sweep, TrialId};
use hpo_curves::{Point, Stop};
use hpo_searchers::Searcher;

use super::machine::{Machine, Run, Step};
use super::outcome::{Improvement, Outcome};
use super::post::Post;
use super::queue::{Answer, Coming, Queue, Word};
use super::split::Split;
use super::{Fault, Setup};

/// So many trials in a row may come to nothing before a simulation is given up.
const BARREN: u32 = 10_000;

/// Plays a sweep to its end, with `seed` in place of its own.
///
/// # Errors
/// If the curves know nothing of a trial's parameters, or the sweep comes to no end.
pub fn play(setup: &Setup, seed: Seed) -> Result<Outcome, Fault> {
    let mut world = World::new(setup, seed)?;
    for machine in 0..setup.conditions.workers {
        world.start(machine)?;
    }
    world.watch_the_time();
    while !world.over {
        let (at, what) = world.queue.pop().ok_or(Fault::StandsStill)?;
        world.pass(at);
        world.meet(what)?;
        world.watch_the_time();
    }
    Ok(world.outcome(seed))
}

struct World<'a> {
    setup: &'a Setup,
    seed: Seed,
    sweep: Sweep,
    searcher: Box<dyn Searcher>,
    machines: Vec<Machine>,
    queue: Queue,
    now: Stamp,
    /// What the last event led to, and what is to be done, in order.
    out: Vec<Action>,
    todo: VecDeque<Action>,
    /// Values that the searcher is still thinking about, in order, and until when it thinks.
    answers: VecDeque<Answer>,
    thinks_until: Stamp,
    post: Post,
    /// Words on their way to the driver, in order.
    words: VecDeque<Word>,
    /// Time in which workers started, and in which slots had nothing to wait for.
    joining: Millis,
    starved: Millis,
    /// The moment of the next tick that is in the queue.
    tick: Option<Stamp>,
    resource: u64,
    /// The best report so far, whatever becomes of its trial.
    best: Option<(Loss, Best)>,
    improvements: Vec<Improvement>,
    decisions: u64,
    begun: u32,
    /// Trials begun when the resource last grew.
    fruitful: u32,
    over: bool,
}

impl<'a> World<'a> {
    fn new(setup: &'a Setup, seed: Seed) -> Result<Self, Fault> {
        let spec = hpo_core::SweepSpec { seed, ..setup.spec.clone() };
        Ok(Self {
            setup,
            seed,
            searcher: hpo_searchers::build(&setup.searcher, &spec.space, seed)?,
            sweep: Sweep::new(spec),
            machines: (0..setup.conditions.workers).map(Machine::new).collect(),
            queue: Queue::default(),
            now: Stamp(0),
            out: vec![],
            todo: VecDeque::new(),
            answers: VecDeque::new(),
            thinks_until: Stamp(0),
            post: Post::new(&setup.conditions),
            words: VecDeque::new(),
            joining: 0,
            starved: 0,
            tick: None,
            resource: 0,
            best: None,
            improvements: vec![],
            decisions: 0,
            begun: 0,
            fruitful: 0,
            over: false,
        })
    }

    /// One thing happens, and all that follows from it at once.
    fn meet(&mut self, what: Coming) -> Result<(), Fault> {
        match what {
            Coming::Step { machine, turn } => self.step(machine as usize, turn),
            Coming::Crash { machine } => self.crash(machine as usize),
            Coming::Start { machine } => self.start(machine),
            Coming::Join { machine } => self.join(machine),
            Coming::Word => match self.words.pop_front() {
                Some((event, point)) if self.sweep.admit(&event).is_ok() => self.take(&event, point),
                // Of an attempt that is over meanwhile.
                _ => Ok(()),
            },
            Coming::Answer => match self.answers.pop_front() {
                Some(answer) => self.answered(answer),
                None => Ok(()),
            },
            Coming::Tick => {
                self.tick = None;
                if self.sweep.next_tick().is_some_and(|due| due <= self.now) { self.say(&Event::Ticked) } else { Ok(()) }
            }
        }
    }

    /// Time goes on to `at`.
    fn pass(&mut self, at: Stamp) {
        let (free, waiting) = self.sweep.free_slots();
        self.starved += (free - waiting) as u64 * at.since(self.now);
        self.now = at;
    }

    /// A worker says something: the driver takes it when it has come there and those before it are dealt with.
    fn send(&mut self, event: Event, point: Option<Point>) -> Result<(), Fault> {
        if !self.post.is_slow() {
            return self.take(&event, point);
        }
        let at = self.post.taken(self.now);
        self.words.push_back((event, point));
        self.queue.push(at, Coming::Word);
        Ok(())
    }

    /// The driver takes a word.
    fn take(&mut self, event: &Event, point: Option<Point>) -> Result<(), Fault> {
        if let (&Event::Reported { trial, resource, loss, .. }, Some(point)) = (event, point) {
            self.count(trial, resource, loss, point);
        }
        self.say(event)?;
        self.over |= self.setup.until.is_some_and(|until| self.resource >= until);
        Ok(())
    }

    /// A word or a fact reaches the sweep, and what it decides is done.
    fn say(&mut self, event: &Event) -> Result<(), Fault> {
        self.sweep.apply(self.now, event, &mut self.out);
        self.todo.extend(self.out.drain(..));
        while let Some(action) = self.todo.pop_front() {
            self.decisions += u64::from(action.is_decision());
            match action {
                Action::Suggest { trial } => self.suggest(trial)?,
                Action::Tell(seen) => self.searcher.tell(&seen),
                Action::Lease(lease) => self.lease(&lease)?,
                Action::Stop { worker, held } => self.stop(Machine::of(worker), held),
                Action::CallBack { worker, held } => self.call_back(Machine::of(worker), held),
                Action::Forget { .. } => {}
                Action::Finish { .. } => self.over = true,
            }
        }
        Ok(())
    }

    /// Where a budget of time is, the sweep is to look at it when it runs out.
    fn watch_the_time(&mut self) {
        if let Some(due) = self.sweep.next_tick().filter(|due| self.tick.is_none_or(|tick| *due < tick)) {
            self.tick = Some(due);
            self.queue.push(due.max(self.now), Coming::Tick);
        }
    }

    fn suggest(&mut self, trial: TrialId) -> Result<(), Fault> {
        let latency = self.setup.conditions.suggest;
        // The one way to have no values is to have no more.
        let answer = (trial, self.searcher.suggest(trial).ok());
        if let Some(params) = &answer.1 {
            self.searcher.begin(trial, params);
        }
        if latency == 0 {
            return self.answered(answer);
        }
        self.thinks_until = self.thinks_until.max(self.now).plus(latency);
        self.answers.push_back(answer);
        self.queue.push(self.thinks_until, Coming::Answer);
        Ok(())
    }

    fn answered(&mut self, (trial, params): Answer) -> Result<(), Fault> {
        let event = match params {
            Some(params) => Event::Suggested { trial, params, cost_us: self.setup.conditions.suggest * 1000 },
            None => Event::Exhausted { trial },
        };
        // The sweep may be ending since it asked.
        if self.sweep.admit(&event).is_err() {
            return Ok(());
        }
        self.begun += u32::from(matches!(event, Event::Suggested { .. }));
        let trials = self.begun - self.fruitful;
        if trials > BARREN.max(2 * self.setup.conditions.workers) {
            return Err(Fault::Barren { trials });
        }
        self.say(&event)
    }

    /// A worker starts: from now on it costs.
    fn start(&mut self, index: u32) -> Result<(), Fault> {
        match self.setup.conditions.worker_startup {
            0 => self.join(index),
            wait => {
                self.queue.push(self.now.plus(wait), Coming::Join { machine: index });
                Ok(())
            }
        }
    }

    fn join(&mut self, index: u32) -> Result<(), Fault> {
        let started_ms_ago = self.setup.conditions.worker_startup;
        self.joining += started_ms_ago;
        let machine = &mut self.machines[index as usize];
        if let Some(life) = machine.start(&self.setup.conditions, self.seed) {
            self.queue.push(self.now.plus(life), Coming::Crash { machine: index });
        }
        let slots = vec![Slot { name: String::new(), milli_gpus: 0 }];
        let costs_since = |started_ms_ago| Allocation { job: String::new(), node: String::new(), started_ms_ago, ends_in_ms: None };
        let allocation = (started_ms_ago > 0).then(|| costs_since(started_ms_ago));
        let event = Event::WorkerJoined { worker: machine.worker(), name: String::new(), slots, holds: vec![], allocation, leaving: false };
        self.say(&event)
    }

    fn crash(&mut self, index: usize) -> Result<(), Fault> {
        let machine = &mut self.machines[index];
        machine.end();
        self.queue.push(self.now.plus(self.setup.conditions.restart), Coming::Start { machine: index as u32 });
        let event = Event::WorkerLost { worker: machine.worker() };
        self.say(&event)
    }

    fn lease(&mut self, lease: &Lease) -> Result<(), Fault> {
        let curve = self.setup.curves.curve(&lease.params, lease.seed)?;
        let index = Machine::of(lease.slot.worker);
        let at = self.machines[index].begin(lease, curve, &self.setup.conditions, self.now);
        self.come_back(index, at);
        Ok(())
    }

    fn stop(&mut self, index: usize, held: Held) {
        let machine = &mut self.machines[index];
        if machine.run.as_ref().is_some_and(|run| run.is(held)) {
            machine.end();
        }
    }

    /// The attempt writes what it has and leaves. One that is at the end of its lease is about to say so anyway.
    fn call_back(&mut self, index: usize, held: Held) {
        let machine = &mut self.machines[index];
        let Some(run) = machine.run.as_mut().filter(|run| run.is(held) && run.next != Step::Reached) else { return };
        run.next = Step::Left;
        machine.turn = machine.turn.wrapping_add(1);
        let writes = if run.done > run.from { self.setup.conditions.checkpoint } else { 0 };
        self.come_back(index, self.now.plus(writes));
    }

    fn come_back(&mut self, index: usize, at: Stamp) {
        let turn = self.machines[index].turn;
        self.queue.push(at, Coming::Step { machine: index as u32, turn });
    }

    /// The attempt on a machine comes to its next word.
    fn step(&mut self, index: usize, turn: u32) -> Result<(), Fault> {
        let machine = &mut self.machines[index];
        let Some(run) = machine.run.as_mut().filter(|_| machine.turn == turn) else { return Ok(()) };
        match run.next {
            Step::Started { startup, restore } => {
                let event =
                    Event::Started { trial: run.trial, attempt: run.attempt, seq: run.word(), startup_ms: startup, restore_ms: restore };
                run.next = Step::Reported;
                let at = self.now.plus(run.unit(machine.slowness));
                self.come_back(index, at);
                self.send(event, None)
            }
            Step::Reported => {
                let resource = Resource(run.done.0 + 1);
                match run.curve.at(resource) {
                    Ok(point) => self.report(index, resource, point),
                    Err(stop) => self.fail(index, stop),
                }
            }
            Step::Reached => {
                let checkpoint = Some(state(run, self.setup.conditions.checkpoint));
                let event = Event::Reached {
                    trial: run.trial,
                    attempt: run.attempt,
                    seq: run.word(),
                    after_ms: run.after(self.now),
                    resource: run.until,
                    checkpoint,
                };
                machine.end();
                self.send(event, None)
            }
            Step::Left => {
                let checkpoint = (run.done > run.from).then(|| state(run, self.setup.conditions.checkpoint));
                let how = End::Preempted { checkpoint };
                let event = Event::Ended { trial: run.trial, attempt: run.attempt, seq: run.word(), after_ms: run.after(self.now), how };
                machine.end();
                self.send(event, None)
            }
        }
    }

    fn report(&mut self, index: usize, resource: Resource, point: Point) -> Result<(), Fault> {
        let machine = &mut self.machines[index];
        let Some(run) = machine.run.as_mut() else { return Ok(()) };
        let loss = self.setup.spec.goal.loss(point.metric);
        // The sweep judges by the loss alone.
        let metrics = Metrics::default();
        let trial = run.trial;
        let after_ms = run.after(self.now);
        let event = Event::Reported { trial, attempt: run.attempt, seq: run.word(), after_ms, resource, loss, metrics };
        run.done = resource;
        let wait = if resource == run.until {
            run.next = Step::Reached;
            self.setup.conditions.checkpoint
        } else {
            run.unit(machine.slowness)
        };
        self.come_back(index, self.now.plus(wait));
        self.send(event, Some(point))
    }

    /// What the world remembers of a report that the driver has taken.
    fn count(&mut self, trial: TrialId, resource: Resource, loss: Loss, point: Point) {
        if let Some(Trial { trained, params, .. }) = self.sweep.trial(trial).filter(|trial| resource > trial.trained) {
            self.resource += u64::from(resource.0 - trained.0);
            self.fruitful = self.begun;
            if loss.is_finite() && self.best.as_ref().is_none_or(|(best, _)| loss < *best) {
                let Point { metric, test, .. } = point;
                self.best = Some((loss, Best { trial, metric, resource, params: params.clone() }));
                self.improvements.push(Improvement { at: self.now, resource: self.resource, metric, test });
            }
        }
    }

    /// The trial fails in the unit that was under way.
    fn fail(&mut self, index: usize, stop: Stop) -> Result<(), Fault> {
        let machine = &mut self.machines[index];
        let Some(run) = machine.run.as_mut() else { return Ok(()) };
        let kind = match stop {
            Stop::Fails { kind, .. } => kind,
            Stop::Ends { .. } => FailureKind::Setup,
        };
        let how = End::Failed { kind, message: stop.to_string() };
        let event = Event::Ended { trial: run.trial, attempt: run.attempt, seq: run.word(), after_ms: run.after(self.now), how };
        machine.end();
        self.send(event, None)
    }

    fn outcome(self, seed: Seed) -> Outcome {
        let view = self.sweep.view_at(self.now);
        debug_assert_eq!(view.resource, self.resource);
        // Virtual slots count as whole ones: a thousand units of the ledger are a slot-millisecond.
        let idle = (view.uses.idle + view.uses.drain) / 1000;
        Outcome {
            seed: seed.0,
            trials: self.begun,
            resource: self.resource,
            best: self.best.map(|(_, best)| best),
            test: self.improvements.last().and_then(|better| better.test),
            ended: self.now,
            busy: view.uses.reserved / 1000 - idle,
            idle,
            split: Split::of(&view.uses, self.joining, self.starved),
            failed: view.trials.failed,
            decisions: self.decisions,
            improvements: self.improvements,
        }
    }
}

impl Run {
    fn is(&self, held: Held) -> bool {
        (self.trial, self.attempt) == (held.trial, held.attempt)
    }
}

/// The state that an attempt leaves.
fn state(run: &Run, wrote_ms: u64) -> Checkpoint {
    // A name that is a content's: equal for equal training, and different for all other.
    Checkpoint { id: format!("{}@{}", run.trial, run.done), resource: run.done, bytes: 0, wrote_ms }
}
