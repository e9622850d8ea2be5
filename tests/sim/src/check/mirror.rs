//! The sweep says of itself what its journal says: where each trial stands, how attempts ended, who is best, what is free.
use hpo_core::sweep::State;
use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::{Event, Resource, Sweep, SweepSpec, TrialId};
use hpo_driver::journal::Record;

use super::book::{Book, Life, Phase, Row};
use super::{Judge, Violation, refuse};

/// How many trials are the best: their states are kept to the end.
pub(super) const KEPT: usize = 3;

/// What the journal says, and what the sweep says.
#[derive(Debug)]
pub(super) struct Mirror {
    book: Book,
    attempts: Attempts,
    /// A slot was a GPU or a share of one.
    gpus: bool,
}

/// How attempts ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Attempts {
    finished: u32,
    preempted: u32,
    lost: u32,
    failed: u32,
}

const NAME: &str = "mirror";

impl Mirror {
    /// Nothing has happened.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self { book: Book::new(spec), attempts: Attempts::default(), gpus: false }
    }

    /// A preemption or a loss is no failure: each attempt is counted once, as what it was.
    fn count(&mut self, event: &Event) {
        let count = &mut self.attempts;
        match event {
            Event::WorkerLeft { worker } | Event::WorkerLost { worker } => {
                let its = super::act::Place::new(*worker, 0).worker;
                let leases = self.book.slots.iter().filter(|(place, slot)| place.worker == its && slot.lease.is_some()).count() as u32;
                *(if matches!(event, Event::WorkerLost { .. }) { &mut count.lost } else { &mut count.preempted }) += leases;
            }
            Event::Reached { trial, resource, .. } => {
                let reported = self.book.trials.get(trial).is_some_and(|row| row.last.is_some_and(|(at, _)| at == resource.0));
                *(if reported { &mut count.finished } else { &mut count.failed }) += 1;
            }
            Event::Ended { how, .. } => match how {
                End::Preempted { .. } => count.preempted += 1,
                End::Stopped | End::Lost | End::Failed { kind: FailureKind::Checkpoint, .. } => count.lost += 1,
                End::Failed { .. } => count.failed += 1,
            },
            _ => {}
        }
    }

    fn trial(line: u64, sweep: &Sweep, id: TrialId, row: &Row) -> Result<(), Violation> {
        let Some(trial) = sweep.trial(id) else {
            return refuse(true, NAME, || format!("line {line}: trial {id} has come, and the sweep does not know it"));
        };
        let life = match trial.state {
            State::Waiting => Life::Waiting,
            State::Leased { .. } => Life::Leased,
            State::Paused => Life::Paused,
            State::Finished => Life::Finished,
            State::Stopped => Life::Stopped,
            State::Failed => Life::Failed,
        };
        let newest = trial.checkpoint.as_ref().map(|state| state.id.as_str());
        let rungs: Vec<_> = trial.results.iter().map(|(rung, loss)| (rung.0, *loss)).collect();
        refuse(life != row.life, NAME, || format!("line {line}: trial {id} is {:?} and is said to be {life:?}", row.life))?;
        refuse(trial.trained.0 != row.trained, NAME, || {
            format!("line {line}: trial {id} has {} units behind it, not {}", row.trained, trial.trained)
        })?;
        let best = row.best.map(|loss| (loss, Resource(row.best_at)));
        refuse(trial.best != best, NAME, || format!("line {line}: the best of trial {id} is {best:?}, not {:?}", trial.best))?;
        refuse(trial.promoted != row.promoted, NAME, || format!("line {line}: trial {id} was promoted: {}", row.promoted))?;
        refuse(newest != row.newest().map(|state| state.id.as_str()), NAME, || {
            format!("line {line}: trial {id} would go on from {:?}, not {newest:?}", row.newest())
        })?;
        refuse(rungs != row.rungs, NAME, || format!("line {line}: trial {id} had {:?} on the rungs, not {rungs:?}", row.rungs))?;
        let reason = life != Life::Failed && row.failures == 0 && !row.damaged || trial.failure.is_some();
        refuse(!reason, NAME, || format!("line {line}: trial {id} has failed for no stated reason"))
    }

    fn whole(&self, line: u64, sweep: &Sweep) -> Result<(), Violation> {
        let (epoch, said) = (self.book.epoch, sweep.driver_epoch());
        refuse(said != epoch, NAME, || format!("line {line}: the driver is that of epoch {epoch}, not {said}"))?;
        let view = sweep.view();
        let in_life = |life: Life| self.book.trials.values().filter(|row| row.life == life).count() as u32;
        let said = view.trials;
        let said = [said.total, said.waiting, said.running, said.paused, said.finished, said.stopped, said.failed];
        let [waiting, running, paused] = [Life::Waiting, Life::Leased, Life::Paused].map(in_life);
        let [finished, stopped, failed] = [Life::Finished, Life::Stopped, Life::Failed].map(in_life);
        let counts = [self.book.trials.len() as u32, waiting, running, paused, finished, stopped, failed];
        refuse(said != counts, NAME, || format!("line {line}: trials are {counts:?}, not {said:?}"))?;
        let said = view.attempts;
        let said = Attempts { finished: said.finished, preempted: said.preempted, lost: said.lost, failed: said.failed };
        refuse(said != self.attempts, NAME, || format!("line {line}: attempts ended as {:?}, not {said:?}", self.attempts))?;
        let best: Vec<TrialId> = self.book.best().iter().take(KEPT).map(|(_, trial)| *trial).collect();
        let said: Vec<TrialId> = sweep.best().iter().map(|best| best.trial).collect();
        refuse(said != best, NAME, || format!("line {line}: the best trials are {best:?}, not {said:?}"))?;
        let slots = (self.book.slots.len() as u32, self.book.live() as u32);
        refuse((view.slots.total, view.slots.busy) != slots, NAME, || format!("line {line}: slots are {slots:?}, not {:?}", view.slots))?;
        let units: u64 = self.book.trials.values().map(|row| u64::from(row.trained)).sum();
        refuse(view.resource != units, NAME, || format!("line {line}: {units} units were trained, not {}", view.resource))?;
        refuse(view.gpus != self.gpus, NAME, || format!("line {line}: there were GPUs: {}", self.gpus))?;
        let drained = self.book.phase == Phase::Draining && self.book.live() == 0;
        refuse(sweep.drained() != drained, NAME, || format!("line {line}: it is drained: {drained}"))?;
        let tick = self.book.next_tick();
        refuse(sweep.next_tick() != tick, NAME, || format!("line {line}: a budget is used up at {tick:?}, not at {:?}", sweep.next_tick()))
    }

    /// What a new driver would ask for and tell its searcher.
    fn owed(&self, line: u64, sweep: &Sweep) -> Result<(), Violation> {
        let owed: Vec<String> = sweep.owed().iter().map(ToString::to_string).collect();
        let over = sweep.finished().is_some();
        let asked: Vec<String> = self.book.asked.iter().map(|trial| format!("suggest {trial}")).collect();
        refuse(!over && owed != asked, NAME, || format!("line {line}: {asked:?} is owed, not {owed:?}"))?;
        refuse(over && !owed.first().is_some_and(|act| act.starts_with("finish: ")), NAME, || {
            format!("line {line}: the end is owed, not {owed:?}")
        })?;
        let told = sweep.observations().count();
        let rungs: usize = self.book.trials.values().map(|row| row.rungs.len() + usize::from(row.life == Life::Failed)).sum();
        refuse(told != rungs, NAME, || format!("line {line}: a searcher is to hear {rungs} things, not {told}"))
    }
}

impl Judge for Mirror {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        self.count(&record.event);
        if let Event::WorkerJoined { slots, .. } = &record.event {
            self.gpus |= slots.iter().any(|slot| slot.milli_gpus != 0);
        }
        self.book.record(record);
        Ok(())
    }

    fn replayed(&mut self, line: u64, sweep: &Sweep) -> Result<(), Violation> {
        for (id, row) in &self.book.trials {
            Self::trial(line, sweep, *id, row)?;
        }
        self.whole(line, sweep)?;
        self.owed(line, sweep)
    }
}
