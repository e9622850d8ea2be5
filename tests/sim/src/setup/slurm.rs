//! Clusters on which workers are tasks of Slurm, and what goes wrong there.
use hpo_core::sweep::Budget;
use hpo_core::{Millis, Seed, SweepSpec};

use super::{Faults, Oddities, Style, Times};
use crate::chance::{Chance, Dice};

/// A cluster before anything was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How many tasks fit on each node.
    pub nodes: Vec<u32>,
    /// Slots of each worker.
    pub slots: u16,
    /// Most workers that wait or run.
    pub max_workers: u32,
    /// Most tasks of one array.
    pub array_max: u32,
    /// Most tasks of this user in the queue, by the site's rules; 0: any number.
    pub submit_max: u32,
    /// How often the queue may be asked for.
    pub poll: Millis,
    /// Time limit of a task; 0: none.
    pub limit: Millis,
    /// So long before it, Slurm sends its signal.
    pub notice: Millis,
    /// So long before it, a worker leaves by itself and says so from its beginning; 0: it says nothing.
    pub leave_before: Millis,
    /// Nothing goes wrong but that on one node nothing starts.
    pub only_bad_node: bool,
    /// A program whose output is read saves its state only at the end of a lease, whoever tells it to leave before.
    pub saves_at_end: bool,
    /// Most tasks that run at one time, of all arrays together; none: as many as there is room for.
    pub throttle: Option<u32>,
    /// The driver is a job of its own, which may not submit: people submit workers, and these put themselves back into the queue.
    pub driver_is_job: bool,
    /// Time limit of the driver's job; 0: none.
    pub driver_limit: Millis,
    /// Whatever Slurm says and does not say is true, and said soon.
    pub truthful: bool,
}

/// What goes wrong in a Slurm, each class on or off. `_every` is the mean time between two, in milliseconds; 0 is never.
/// `_pm` is how often in a thousand it happens where it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlurmFaults {
    /// Longest wait in the queue; 0: half a minute.
    pub wait_ms: Millis,
    /// A task has to make room, and is put back into the queue or ends.
    pub preempt_every: Millis,
    /// It is told so before.
    pub grace_pm: u32,
    /// `sbatch` is refused.
    pub refuse_pm: u32,
    /// Slurm's programs take very long; what was asked may be done all the same, and late.
    pub slow_pm: u32,
    /// `sbatch` is accepted, and its answer is lost.
    pub lose_pm: u32,
    /// The queue is shown as it was a while ago.
    pub stale_pm: u32,
    /// For minutes the queue is shown as it was.
    pub frozen_every: Millis,
    /// The queue is shown torn, with words of the site in it, or with states that nobody knows.
    pub garble_pm: u32,
    /// A node dies with all that runs there.
    pub node_every: Millis,
    /// Only Slurm's program on a node dies: its tasks run on, and elsewhere a second time.
    pub slurmd_every: Millis,
    /// On one node nothing starts.
    pub bad_node: bool,
    /// The controller is away for minutes.
    pub controller_every: Millis,
    /// It comes back without what was submitted last, and gives those numbers out again.
    pub amnesia_pm: u32,
    /// It is lost seconds after a submission.
    pub falls_pm: u32,
    /// People ask for another number of workers: no fault, but it comes as unasked for.
    pub people_every: Millis,
}

/// One seed in eight; none of them is one that was found before there was a Slurm.
pub(super) fn is_tried(seed: Seed) -> bool {
    seed.0 % 8 == 4
}

/// What was added later is tried by half of these, none of which is one that was found before.
fn is_later(seed: Seed) -> bool {
    matches!(seed.0 / 8 % 8, 3..=6)
}

/// Half of those that are later have what came last; seeds that were found with the later ones are not among them.
fn is_latest(seed: Seed) -> bool {
    matches!(seed.0 / 8 % 8, 5 | 6)
}

impl Cluster {
    /// The cluster of a seed, if it has one. What takes seconds elsewhere takes minutes here, and faults are as much rarer.
    pub(super) fn of(seed: Seed, spec: &mut SweepSpec, times: &mut Times, faults: &mut Faults, safety: &mut Millis) -> Option<Self> {
        if !is_tried(seed) {
            return None;
        }
        let mut dice = Dice::of(seed, "slurm");
        let chance: &mut dyn Chance = &mut dice;
        let nodes: Vec<u32> = (0..2 + chance.one_of("nodes", 3)).map(|_| 1 + chance.one_of("room", 3) as u32).collect();
        let unit = chance.between("unit", (500, 20_000));
        times.unit = (unit.div_ceil(2), unit);
        times.tick = (200, 2_000);
        *safety = chance.between("safety", (10 * 60_000, 120 * 60_000));
        let calm = faults.none();
        faults.rarer(40);
        // Without a limit on trials the time is one on the work of this simulator.
        let longer = if spec.budget.max_trials.is_some() { 30 } else { 2 };
        spec.budget.wall = spec.budget.wall.map(|wall| wall * longer);
        spec.budget.reserved = spec.budget.reserved.map(|reserved| reserved * 10);
        if !calm {
            faults.slurm = SlurmFaults::of(chance);
        }
        let limited = chance.one_of("limit", 3) == 0;
        let mut cluster = Self {
            nodes,
            slots: 1 + chance.one_of("slots", 2) as u16,
            max_workers: 1 + chance.one_of("most workers", 8) as u32,
            array_max: [1001, 3, 1][chance.one_of("longest array", 3)],
            submit_max: [0, 0, 0, 1, 3][chance.one_of("site's limit", 5)],
            poll: 30_000,
            limit: if limited { chance.between("limit", (3 * 60_000, 30 * 60_000)) } else { 0 },
            notice: 70_000,
            leave_before: 0,
            only_bad_node: false,
            saves_at_end: false,
            throttle: None,
            driver_is_job: false,
            driver_limit: 0,
            truthful: false,
        };
        if is_latest(seed) && !calm {
            cluster.make_restless(seed, times, faults);
        }
        let top = spec.scheduler.ladder().rungs().last().map_or(1, |top| u64::from(top.0));
        if is_later(seed) {
            cluster.add_people_and_ends(seed, top * times.unit.1, faults);
        }
        if is_latest(seed) {
            cluster.shorten(seed, top * times.unit.1, spec);
            cluster.add_throttles_and_jobs(seed, faults);
            if cluster.throttle.is_some() && cluster.truthful {
                cluster.let_tasks_end(seed, spec, times, faults);
            }
        }
        Some(cluster)
    }

    /// Half of these last longer, on more workers, and nodes, daemons and the controller come and go all the time: elsewhere most sweeps
    /// are over before two of these misfortunes meet.
    fn make_restless(&mut self, seed: Seed, times: &mut Times, faults: &mut Faults) {
        let mut dice = Dice::of(seed, "restless");
        let chance: &mut dyn Chance = &mut dice;
        if chance.one_of("restless", 2) > 0 {
            return;
        }
        times.unit = (5_000, 20_000);
        self.max_workers = self.max_workers.max(3);
        let faults = &mut faults.slurm;
        let often = (60_000, 6 * 60_000);
        faults.preempt_every = chance.between("preemption", (20_000, 3 * 60_000));
        faults.node_every = chance.between("node", often);
        faults.slurmd_every = chance.between("slurmd", often);
        faults.controller_every = chance.between("controller", (3 * 60_000, 15 * 60_000));
        (faults.amnesia_pm, faults.falls_pm, faults.wait_ms) = (800, 700, 0);
    }

    /// Nothing goes wrong but that tasks end, so that new arrays come and what an old one leaves has to be given to them. Long enough to
    /// be seen.
    fn let_tasks_end(&mut self, seed: Seed, spec: &mut SweepSpec, times: &mut Times, faults: &mut Faults) {
        let mut dice = Dice::of(seed, "tasks end");
        let chance: &mut dyn Chance = &mut dice;
        self.max_workers = self.max_workers.max(4);
        self.throttle = Some(2 + chance.one_of("most that run", self.max_workers as usize - 2) as u32);
        times.unit = (5_000, 20_000);
        spec.budget = Budget { max_trials: Some(60), wall: None, reserved: None, target: None, ..spec.budget };
        let slurm = SlurmFaults { people_every: faults.slurm.people_every, preempt_every: 2 * 60_000, ..SlurmFaults::default() };
        *faults = Faults { worker_crash_every: chance.between("worker crash", (30_000, 2 * 60_000)), slurm, ..Faults::default() };
    }

    /// Arrays of which not all tasks may run at one time, and drivers that are jobs.
    fn add_throttles_and_jobs(&mut self, seed: Seed, faults: &mut Faults) {
        let mut dice = Dice::of(seed, "throttles and jobs");
        let chance: &mut dyn Chance = &mut dice;
        if chance.one_of("throttle", 2) == 0 {
            self.throttle = Some(1 + chance.one_of("most that run", self.max_workers as usize) as u32);
        }
        self.truthful = chance.one_of("Slurm is truthful", 2) == 0;
        if self.truthful {
            faults.slurm.be_truthful();
        }
        // Who submits sets bad nodes aside, and there nobody does.
        self.driver_is_job = !self.only_bad_node && chance.one_of("the driver is a job", 2) == 0;
        if self.driver_is_job {
            faults.slurm.people_every = chance.between("people", (2 * 60_000, 10 * 60_000));
        }
        if self.driver_is_job && chance.one_of("its time is limited", 2) == 0 {
            self.driver_limit = chance.between("limit of the driver", (3 * 60_000, 20 * 60_000));
        }
    }

    /// Workers that know when their task ends, people who want more workers or fewer, and a node that alone is bad.
    /// `training` is what a whole trial takes: here there is time for it.
    fn add_people_and_ends(&mut self, seed: Seed, training: Millis, faults: &mut Faults) {
        let mut dice = Dice::of(seed, "ends and people");
        let chance: &mut dyn Chance = &mut dice;
        if chance.one_of("workers know their end", 3) > 0 {
            if self.limit == 0 {
                self.limit = chance.between("limit", (3 * 60_000, 30 * 60_000));
            }
            self.limit = self.limit.max(4 * (training + 60_000));
            self.leave_before = (self.limit / 4).min(90_000);
        }
        if chance.one_of("only a bad node", 4) == 0 {
            *faults = Faults { slurm: SlurmFaults { bad_node: true, ..SlurmFaults::default() }, ..Faults::default() };
            (self.only_bad_node, self.submit_max, self.array_max) = (true, 0, 1001);
        } else if chance.one_of("people", 2) == 0 {
            faults.slurm.people_every = chance.between("people", (60_000, 15 * 60_000));
        }
    }

    /// Tasks of about the time that a whole trial takes, or much less, and programs that save nothing before the end of a lease.
    fn shorten(&mut self, seed: Seed, training: Millis, spec: &mut SweepSpec) {
        let mut dice = Dice::of(seed, "short tasks");
        let chance: &mut dyn Chance = &mut dice;
        self.limit = chance.between("limit", (training / 3, 3 * training)).max(5 * 60_000);
        self.leave_before = (self.limit / 4).min(90_000);
        self.saves_at_end = chance.one_of("states at the end alone", 2) == 0;
        // Each lease may take many tasks.
        spec.budget.max_trials = spec.budget.max_trials.map(|most| most.min(6));
    }

    /// In a part of the latest most programs save nothing before the end of a lease, or hardly ever, or nothing at all: only there it
    /// matters for how long a slot is there. None of these seeds was found before. `top` is how many units a whole trial has.
    pub(super) fn add_programs(&mut self, seed: Seed, style: &mut Style, odd: &mut Oddities, times: &mut Times, top: u64) {
        if seed.0 % 64 != 44 {
            return;
        }
        let mut dice = Dice::of(seed, "programs");
        let chance: &mut dyn Chance = &mut dice;
        match chance.one_of("programs", 3) {
            0 => (*style, odd.saves_nothing) = (Style::Quiet, true),
            1 => {
                *style = Style::Quiet;
                // So that many slots are there at one time, for as many different times, and few of them for a whole trial.
                self.max_workers = self.max_workers.max(4);
                let unit = chance.between("a whole trial", (self.limit / 4, self.limit)) / top;
                times.unit = (unit.div_ceil(2), unit.max(1));
                // Else it does so now and then.
                self.saves_at_end = chance.one_of("only at the end", 3) > 0;
            }
            _ => {}
        }
    }

    /// How long one lease may take more than its training, where all its attempts but the last have a whole task and save nothing.
    pub(super) fn vain_ms(&self, lost_max: u32) -> Millis {
        u64::from(lost_max + 2) * (self.limit + 5 * 60_000)
    }

    /// How long the queue alone may hold up a healed world: the longest pause after refusals, a submission in doubt, tasks that
    /// come, go and come again.
    pub(super) fn patience_ms(&self) -> Millis {
        // People look at a sweep now and then.
        let people = if self.driver_is_job { 60 } else { 0 };
        (30 + 3 * 5 + 4 * 5 + people) * 60_000
    }
}

impl SlurmFaults {
    /// Without those by which Slurm says nothing, or what is not so.
    fn be_truthful(&mut self) {
        (self.refuse_pm, self.slow_pm, self.lose_pm, self.stale_pm, self.garble_pm, self.amnesia_pm) = (0, 0, 0, 0, 0, 0);
        (self.frozen_every, self.controller_every, self.falls_pm) = (0, 0, 0);
    }

    fn of(chance: &mut dyn Chance) -> Self {
        let on_pm = [150, 300, 300, 600][chance.one_of("classes", 4)];
        let mut every = |name: &'static str, (least, most): (Millis, Millis)| {
            if chance.hits(name, on_pm) { chance.between(name, (least, most)) } else { 0 }
        };
        let minutes = (2 * 60_000, 30 * 60_000);
        let mut faults = Self {
            wait_ms: every("long waits", (60_000, 3 * 3_600_000)),
            preempt_every: every("preemption", (30_000, 15 * 60_000)),
            frozen_every: every("frozen", minutes),
            node_every: every("node", minutes),
            slurmd_every: every("slurmd", minutes),
            controller_every: every("controller", minutes),
            ..Self::default()
        };
        let mut often = |name: &'static str, most: u64| if chance.hits(name, on_pm) { chance.between(name, (1, most)) as u32 } else { 0 };
        faults.grace_pm = often("grace", 1000);
        faults.refuse_pm = often("refusal", 700);
        faults.slow_pm = often("slow", 400);
        faults.lose_pm = often("lost answer", 500);
        faults.stale_pm = often("stale", 600);
        faults.garble_pm = often("garbled", 600);
        faults.amnesia_pm = often("amnesia", 1000);
        faults.bad_node = chance.hits("bad node", on_pm);
        faults
    }
}
