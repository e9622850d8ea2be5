//! The sweep says of itself what its journal says: where each trial stands, how attempts ended, who is best, what is free.
use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::sweep::{State, SweepView, Trial};
use hpo_core::{Event, Resource, Stamp, Sweep, SweepSpec, TrialId, WorkerId};
use hpo_driver::journal::Record;

use super::book::{Book, Life, Phase, Row};
use super::{Judge, Violation, refuse, resting};

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

/// What a sweep says of itself as a whole.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) epoch: u32,
    pub(super) view: SweepView,
    /// The best trials, best first.
    pub(super) best: Vec<TrialId>,
    pub(super) drained: bool,
    pub(super) tick: Option<Stamp>,
    /// What a new driver would ask for, in the words of the journal.
    pub(super) owed: Vec<String>,
    pub(super) over: bool,
    /// How many things a searcher would be told.
    pub(super) told: usize,
}

impl Said {
    /// By this sweep.
    pub(super) fn by(sweep: &Sweep) -> Self {
        Self {
            epoch: sweep.driver_epoch(),
            view: sweep.view(),
            best: sweep.best().iter().map(|best| best.trial).collect(),
            drained: sweep.drained(),
            tick: sweep.next_tick(),
            owed: sweep.owed().iter().map(ToString::to_string).collect(),
            over: sweep.finished().is_some(),
            told: sweep.observations().count(),
        }
    }
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

    /// Whether each trial is said to stand where it stands; `said` is what the sweep says of one.
    pub(super) fn trials<'a>(&self, line: u64, said: impl Fn(TrialId) -> Option<&'a Trial>) -> Result<(), Violation> {
        self.book.trials.iter().try_for_each(|(id, row)| Self::trial(line, said(*id), *id, row))
    }

    fn trial(line: u64, trial: Option<&Trial>, id: TrialId, row: &Row) -> Result<(), Violation> {
        let Some(trial) = trial else {
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

    /// Whether the sweep as a whole stands where it is said to.
    pub(super) fn whole(&self, line: u64, said: &Said) -> Result<(), Violation> {
        let Said { epoch, view, best, drained, tick, .. } = said;
        let newest = self.book.epoch;
        refuse(*epoch != newest, NAME, || format!("line {line}: the driver is that of epoch {newest}, not {epoch}"))?;
        let in_life = |life: Life| self.book.trials.values().filter(|row| row.life == life).count() as u32;
        let trials = view.trials;
        let trials = [trials.total, trials.waiting, trials.running, trials.paused, trials.finished, trials.stopped, trials.failed];
        let [waiting, running, paused] = [Life::Waiting, Life::Leased, Life::Paused].map(in_life);
        let [finished, stopped, failed] = [Life::Finished, Life::Stopped, Life::Failed].map(in_life);
        let counts = [self.book.trials.len() as u32, waiting, running, paused, finished, stopped, failed];
        refuse(trials != counts, NAME, || format!("line {line}: trials are {counts:?}, not {trials:?}"))?;
        let ended = view.attempts;
        let ended = Attempts { finished: ended.finished, preempted: ended.preempted, lost: ended.lost, failed: ended.failed };
        refuse(ended != self.attempts, NAME, || format!("line {line}: attempts ended as {:?}, not {ended:?}", self.attempts))?;
        let leaders: Vec<TrialId> = self.book.best(KEPT).into_iter().map(|(_, trial)| trial).collect();
        refuse(*best != leaders, NAME, || format!("line {line}: the best trials are {leaders:?}, not {best:?}"))?;
        let slots = (self.book.slots.len() as u32, self.book.live() as u32);
        refuse((view.slots.total, view.slots.busy) != slots, NAME, || format!("line {line}: slots are {slots:?}, not {:?}", view.slots))?;
        let units: u64 = self.book.trials.values().map(|row| u64::from(row.trained)).sum();
        refuse(view.resource != units, NAME, || format!("line {line}: {units} units were trained, not {}", view.resource))?;
        refuse(view.gpus != self.gpus, NAME, || format!("line {line}: there were GPUs: {}", self.gpus))?;
        let still = self.book.phase == Phase::Draining && self.book.live() == 0;
        refuse(*drained != still, NAME, || format!("line {line}: it is drained: {still}"))?;
        let moment = self.book.next_tick();
        refuse(*tick != moment, NAME, || format!("line {line}: a budget is used up at {moment:?}, not at {tick:?}"))?;
        self.owed(line, said)
    }

    /// Whether these tasks may be let go, in this order.
    pub(super) fn rests(&self, line: u64, said: &[WorkerId]) -> Result<(), Violation> {
        resting::look(line, &self.book, said)
    }

    /// What a new driver would ask for and tell its searcher.
    fn owed(&self, line: u64, said: &Said) -> Result<(), Violation> {
        let Said { owed, over, told, .. } = said;
        let asked: Vec<String> = self.book.asked.iter().map(|trial| format!("suggest {trial}")).collect();
        refuse(!over && *owed != asked, NAME, || format!("line {line}: {asked:?} is owed, not {owed:?}"))?;
        refuse(*over && !owed.first().is_some_and(|act| act.starts_with("finish: ")), NAME, || {
            format!("line {line}: the end is owed, not {owed:?}")
        })?;
        let rungs: usize = self.book.trials.values().map(|row| row.rungs.len() + usize::from(row.life == Life::Failed)).sum();
        refuse(*told != rungs, NAME, || format!("line {line}: a searcher is to hear {rungs} things, not {told}"))
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
        self.book.hears_of_a_choice(sweep);
        self.trials(line, |id| sweep.trial(id))?;
        self.whole(line, &Said::by(sweep))?;
        self.rests(line, &sweep.resting_tasks())
    }
}
