//! What a world is made of. A seed draws all of it.
mod faults;
mod oddities;
mod slurm;
mod sweep;

use hpo_core::job::{CommandJob, CurveSource, CurvesJob, Function, Job, SyntheticJob, Trainable};
use hpo_core::sweep::{Budget, Patience};
use hpo_core::{Goal, Millis, Resource, Seed, SweepSpec};
use hpo_driver::engine::Options;

pub use faults::Faults;
pub use oddities::Oddities;
pub use slurm::{Cluster, SlurmFaults};
pub use sweep::{SCHEDULERS, spec};

use crate::chance::{Chance, Dice};

/// From and to, both possible, in milliseconds.
pub type Span = (Millis, Millis);

/// A world before anything has happened in it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The sweep.
    pub spec: SweepSpec,
    /// What workers run.
    pub style: Style,
    /// Slots of each worker.
    pub workers: Vec<u16>,
    /// Time limits of the drivers.
    pub options: Options,
    /// Silence of a trainer that is taken for a hang.
    pub stall_ms: Millis,
    /// How long a trainer may take to leave.
    pub grace_ms: Millis,
    /// How long things take.
    pub times: Times,
    /// What goes wrong, and how often.
    pub faults: Faults,
    /// How long it goes wrong; then the world is healed.
    pub safety_ms: Millis,
    /// Of trainings: that of the sweep.
    pub curves: Seed,
    /// What is unusual.
    pub odd: Oddities,
    /// Where workers are tasks of Slurm.
    pub slurm: Option<Cluster>,
}

/// How trainers behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Built-in: one process serves lease after lease.
    Kept,
    /// A program that speaks the protocol: a process for each lease.
    Speaking,
    /// A program whose figures are found in its output: it reads nothing and ends when it is done.
    Quiet,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// A message on its way.
    pub network: Span,
    /// From an input to the driver's look at it.
    pub turn: Span,
    /// A write of the journal.
    pub write: Span,
    /// A sync of the journal.
    pub sync: Span,
    /// A driver's start, each of its three steps.
    pub start: Span,
    /// Until a dead driver or worker is replaced.
    pub restart: Span,
    /// Between two looks of a worker at its clock.
    pub tick: Span,
    /// The searcher's answer.
    pub searcher: Span,
    /// A trainer process that starts.
    pub startup: Span,
    /// A unit of training.
    pub unit: Span,
    /// A state that is written or read.
    pub state: Span,
    /// A signal that is obeyed.
    pub death: Span,
}

impl Setup {
    /// The world of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let seed = Seed(seed);
        let mut dice = Dice::of(seed, "setup");
        let chance: &mut dyn Chance = &mut dice;
        let lease_ms = [3_000, 10_000, 30_000][chance.one_of("lease", 3)];
        let heartbeat_ms = lease_ms / 10;
        let mut workers: Vec<u16> = (0..=chance.one_of("workers", 6)).map(|_| 1 + chance.one_of("slots", 3) as u16).collect();
        let unit = chance.between("unit", (20, 2_000));
        let mut times = Times {
            network: (1, chance.between("network", (1, 200))),
            turn: (0, chance.between("turn", (0, 20))),
            write: (0, chance.between("write", (0, 20))),
            sync: (0, chance.between("sync", (1, 200))),
            start: (1, chance.between("start", (10, 2_000))),
            restart: (10, chance.between("restart", (100, 20_000))),
            tick: (50, 50.max(heartbeat_ms / 4)),
            searcher: (0, chance.between("searcher", (1, 500))),
            startup: (1, chance.between("startup", (10, 3_000))),
            unit: (unit.div_ceil(2), unit),
            state: (1, chance.between("state", (1, 1_000))),
            death: (1, chance.between("death", (1, 3_000))),
        };
        let mut safety_ms = chance.between("safety", (20_000, 240_000));
        let mut spec = spec(seed, chance);
        let mut faults = Faults::of(chance);
        let mut style = [Style::Kept, Style::Kept, Style::Speaking, Style::Quiet][chance.one_of("style", 4)];
        let mut odd = Oddities::of(seed, style, &mut spec, &mut faults);
        let mut slurm = Cluster::of(seed, &mut spec, &mut times, &mut faults, &mut safety_ms);
        if let Some(cluster) = &mut slurm {
            let top = spec.scheduler.ladder().rungs().last().map_or(1, |top| u64::from(top.0));
            cluster.add_programs(seed, &mut style, &mut odd, &mut times, top);
            workers = vec![cluster.slots; cluster.max_workers as usize];
        }
        Self {
            style,
            workers,
            options: Options { lease_ms, heartbeat_ms, drain_ms: 30_000, closing_ms: 10_000 },
            // A straggler takes twenty times as long, and one that skips reports is silent for as many units.
            stall_ms: u64::from(odd.stride) * if slurm.is_some() { 60_000 + 80 * times.unit.1 } else { 60_000 },
            grace_ms: 5_000,
            times,
            faults,
            safety_ms,
            curves: spec.seed,
            spec,
            odd,
            slurm,
        }
    }

    /// The smallest world with this sweep: so many workers of one slot, every wait as long as any other, nothing goes wrong.
    #[must_use]
    pub fn small(spec: SweepSpec, workers: usize) -> Self {
        let same = (1, 1);
        let times = Times {
            network: same,
            turn: same,
            write: same,
            sync: same,
            start: same,
            restart: same,
            tick: (1_000, 1_000),
            searcher: same,
            startup: same,
            unit: same,
            state: same,
            death: same,
        };
        Self {
            curves: spec.seed,
            spec,
            style: Style::Kept,
            workers: vec![1; workers],
            options: Options::default(),
            stall_ms: 60_000,
            grace_ms: 5_000,
            times,
            faults: Faults::default(),
            safety_ms: 60_000,
            odd: Oddities::default(),
            slurm: None,
        }
    }

    /// What workers are told to run. The world trains in their place.
    #[must_use]
    pub fn job(&self) -> Job {
        let ladder = self.spec.scheduler.ladder();
        let max_resource = ladder.rungs().last().copied().unwrap_or(Resource(1));
        let trainable = match self.style {
            Style::Kept => {
                let function = Function::Branin;
                let job =
                    SyntheticJob { function, noise: 0.0, failure_rate: 0.0, crossing: 0.0, rate: 1.0, seconds: 1.0, cost_spread: 0.0 };
                Trainable::Curves(CurvesJob { source: CurveSource::Synthetic(job), max_resource, pace: 1.0 })
            }
            Style::Speaking | Style::Quiet => Trainable::Command(CommandJob {
                command: vec!["train".to_owned()],
                directory: "/".into(),
                env: [].into(),
                metric_pattern: (self.style == Style::Quiet).then(|| "loss=(.*)".to_owned()),
            }),
        };
        let Self { stall_ms, grace_ms, .. } = *self;
        Job { trainable, metric: self.spec.metric.clone(), goal: self.spec.goal, stall_ms, grace_ms, seed: self.spec.seed }
    }

    /// How long a healed world may take to its end: the most that this sweep can train, one unit after the other, twice
    /// (what was under way is lost once), each lease with its waits; the budgets of time; and each patience a few times.
    #[must_use]
    pub fn bound_ms(&self) -> Millis {
        let Budget { max_trials, reserved, wall, .. } = self.spec.budget;
        let times = &self.times;
        let trials = max_trials.unwrap_or(0);
        let rungs = self.spec.scheduler.ladder().rungs().len() as u64;
        let leases = u64::from(trials) * rungs;
        let driver = times.turn.1 + times.write.1 + times.sync.1;
        let lease = times.startup.1 + 3 * times.state.1 + times.death.1 + times.searcher.1 + 4 * (times.network.1 + driver);
        // Rungs grow by a factor of two at least: to begin each lease from nothing costs no more than twice as much.
        let from_nothing = 1 + u64::from(self.odd.saves_nothing);
        let work = from_nothing * self.spec.scheduler.worst_resource(trials) * (times.unit.1 + times.network.1 + driver) + leases * lease;
        let patience = 4 * self.stall_ms + 6 * self.options.lease_ms + 2 * self.options.closing_ms + 4 * self.grace_ms;
        let starts = 4 * (times.restart.1 + 3 * times.start.1) + 60_000;
        let vain = self.slurm.as_ref().map_or(0, |cluster| cluster.vain_ms(self.spec.patience.lost_max));
        let queue = self.slurm.as_ref().map_or(0, Cluster::patience_ms) + leases * vain;
        2 * work + wall.unwrap_or(0) + reserved.unwrap_or(0) + patience + starts + queue
    }
}

/// Half of the seeds have little patience, so that it is tried; found seeds are not among them and stay as they were found.
pub(crate) fn patience(seed: Seed) -> Patience {
    if !oddities::are_tried(seed) {
        return Patience { retries: 1, lost_max: 5 };
    }
    let mut dice = Dice::of(seed, "patience");
    let chance: &mut dyn Chance = &mut dice;
    Patience { retries: chance.one_of("retries", 3) as u32, lost_max: chance.one_of("losses", 3) as u32 }
}

/// The direction of the metric `loss`.
pub(crate) const GOAL: Goal = Goal::Minimize;
