//! Driver processes: the loop, and all the moments at which one can die.
use std::collections::{BTreeMap, VecDeque};

use hpo_core::{Millis, Stamp, TrialId};
use hpo_driver::engine::parts::{Heart, Input, Kept, Outbox, Store as _, Thinker};
use hpo_driver::engine::{Ended, EngineFault};
use hpo_driver::journal::{JournalFault, Medium, Replayed};

use super::{Coming, End, Failure, World};
use crate::check::Fact;
use crate::disk::Head;

/// How late a driver deletes that slept for long, in milliseconds: at once, or when its successor's trials are far on.
const LATE: crate::setup::Span = (1, 120_000);

/// How often a driver looks at its claim.
pub(super) const BEAT_MS: Millis = 2_000;

/// One driver process.
pub(super) struct Driver {
    pub(super) epoch: u32,
    pub(super) stage: Stage,
    pub(super) turn: u64,
    /// It will look at its inbox soon.
    pub(super) woken: bool,
    pub(super) inbox: VecDeque<Input>,
    pub(super) clock: Clock,
    pub(super) head: Head,
    pub(super) asleep_until: Stamp,
    /// It went home, and all that it wrote is on the disk.
    pub(super) in_order: bool,
    /// What is to be sent on each connection.
    pub(super) lines: BTreeMap<usize, Outbox>,
}

pub(super) enum Stage {
    Claimed,
    Replayed(Box<(Replayed, Kept)>),
    Running(Box<Running>),
    Dead,
}

pub(super) struct Running {
    pub(super) heart: Heart,
    pub(super) thinker: Thinker,
    pub(super) step: Step,
}

#[derive(Clone, Copy)]
pub(super) enum Step {
    Take,
    Write,
    Sync,
    Act,
}

/// A driver's clock: begun at some stamp, and perhaps not as fast as the true time.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) base: Stamp,
    pub(super) since: Stamp,
    /// Millionths by which it is too fast.
    pub(super) drift: i64,
}

impl Clock {
    pub(super) fn now(&self, at: Stamp) -> Stamp {
        let passed = i128::from(at.since(self.since)) * i128::from(1_000_000 + self.drift) / 1_000_000;
        self.base.plus(u64::try_from(passed).unwrap_or(0))
    }

    /// The true time from now until it shows `stamp`; if it is not `punctual`, a moment more.
    fn until(&self, at: Stamp, stamp: Stamp, punctual: bool) -> Millis {
        let shown = i128::from(stamp.since(self.now(at)));
        let wait = u64::try_from(shown * 1_000_000 / i128::from(1_000_000 + self.drift)).unwrap_or(0);
        if punctual && self.drift == 0 { wait.max(1) } else { wait + 1 }
    }
}

impl Driver {
    pub(super) fn lives(&self) -> bool {
        !matches!(self.stage, Stage::Dead)
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }
}

impl World {
    pub(super) fn wake_after(&mut self, driver: usize, what: &'static str, span: crate::setup::Span) {
        let at = self.after(what, span);
        self.wake(driver, at);
    }

    /// The driver's next step is at that moment, and no other.
    fn wake(&mut self, driver: usize, at: Stamp) {
        let it = &mut self.drivers[driver];
        it.turn += 1;
        let at = at.max(it.asleep_until);
        self.heap.push(at, Coming::Driver { driver, turn: it.turn });
    }

    /// Something comes into a driver's inbox.
    pub(super) fn bring(&mut self, driver: usize, input: Input) {
        let it = &mut self.drivers[driver];
        let Stage::Running(running) = &it.stage else { return };
        it.inbox.push_back(input);
        if matches!(running.step, Step::Take) && !it.woken {
            it.woken = true;
            self.wake_after(driver, "turn", self.setup.times.turn);
        }
    }

    /// Whether the driver dies at this point.
    pub(super) fn dies_here(&mut self, driver: usize, point: &'static str) -> bool {
        let dies = self.healed.is_none() && self.chance.hits(point, self.setup.faults.driver_point_pm);
        if dies {
            self.kill_driver(driver, point);
        }
        dies
    }

    /// A living driver touches its claim, and sees whether it still has it.
    pub(super) fn beat(&mut self, driver: usize) {
        let it = &self.drivers[driver];
        if !it.lives() {
            return;
        }
        let at = it.asleep_until;
        if self.now < at {
            return self.heap.push(at, Coming::Beat { driver });
        }
        match it.head.check() {
            Ok(()) => self.heap.push(self.now.plus(BEAT_MS), Coming::Beat { driver }),
            Err(fault) => self.kill_driver(driver, &fault.to_string()),
        }
    }

    pub(super) fn driver_turn(&mut self, driver: usize, turn: u64) {
        let it = &mut self.drivers[driver];
        if it.turn != turn || !it.lives() {
            return;
        }
        if self.now < it.asleep_until {
            let at = it.asleep_until;
            return self.wake(driver, at);
        }
        // What takes it up puts the next stage there.
        let result = match std::mem::replace(&mut it.stage, Stage::Claimed) {
            Stage::Dead => Ok(()),
            Stage::Claimed => self.replay(driver).map_err(EngineFault::Journal),
            Stage::Replayed(replayed) => self.open(driver, *replayed).map_err(EngineFault::Journal),
            Stage::Running(running) => {
                let step = running.step;
                it.stage = Stage::Running(running);
                self.step(driver, step)
            }
        };
        if let Err(fault) = result {
            self.end_driver(driver, &fault);
        }
    }

    fn step(&mut self, driver: usize, step: Step) -> Result<(), EngineFault> {
        let times = self.setup.times;
        match step {
            Step::Take => self.take(driver),
            Step::Write => {
                if self.dies_here(driver, "dies before it writes") {
                    return Ok(());
                }
                let quiet = self.healed.is_some();
                let sleeps = !quiet && self.chance.hits("sleeps before it writes", self.setup.faults.late_write_pm);
                let sync_fails = !quiet && self.chance.hits("sync fails", self.setup.faults.sync_error_pm);
                self.disk.trouble(|trouble| (trouble.sleeps, trouble.sync_fails) = (sleeps, sync_fails));
                self.running(driver).map_or(Ok(()), |running| running.heart.write())?;
                if sleeps {
                    let at = self.after("sleep before the write", (0, 60_000));
                    self.sleep(driver, at);
                }
                self.go(driver, Step::Sync, "sync", times.sync);
                Ok(())
            }
            Step::Sync => {
                if self.dies_here(driver, "dies between write and sync") {
                    return Ok(());
                }
                self.running(driver).map_or(Ok(()), |running| running.heart.sync())?;
                self.has_synced(driver);
                self.settle(driver);
                self.go(driver, Step::Act, "act", (0, 0));
                Ok(())
            }
            Step::Act => {
                self.act(driver);
                Ok(())
            }
        }
    }

    /// The judges look at the driver's whole state.
    fn settle(&mut self, driver: usize) {
        let Stage::Running(running) = &self.drivers[driver].stage else { return };
        let (records, sweep) = running.heart.standing();
        for judge in &mut self.judges {
            if let Err(violation) = judge.settled(self.now, records, sweep) {
                self.failure.get_or_insert(violation.into());
            }
        }
    }

    /// The driver stands still until then, and hears nobody.
    pub(super) fn sleep(&mut self, driver: usize, until: Stamp) {
        let it = &mut self.drivers[driver];
        it.asleep_until = it.asleep_until.max(until);
        for worker in 0..self.workers.len() {
            self.trouble(worker, until);
        }
    }

    fn running(&mut self, driver: usize) -> Option<&mut Running> {
        match &mut self.drivers[driver].stage {
            Stage::Running(running) => Some(running),
            _ => None,
        }
    }

    fn go(&mut self, driver: usize, step: Step, what: &'static str, span: crate::setup::Span) {
        if let Some(running) = self.running(driver) {
            running.step = step;
        }
        self.wake_after(driver, what, span);
    }

    fn take(&mut self, driver: usize) -> Result<(), EngineFault> {
        let it = &mut self.drivers[driver];
        let now = it.clock.now(self.now);
        it.woken = false;
        let inputs = std::mem::take(&mut it.inbox);
        let Stage::Running(running) = &mut it.stage else { return Ok(()) };
        for input in inputs {
            running.heart.take(now, input)?;
        }
        running.heart.look_at_the_time(now);
        if running.heart.has_news() {
            self.go(driver, Step::Write, "write", self.setup.times.write);
        } else {
            self.act(driver);
        }
        Ok(())
    }

    /// Does what was decided, all of it or as much as it lives to do.
    fn act(&mut self, driver: usize) {
        if self.dies_here(driver, "dies between sync and act") {
            return;
        }
        let dies = self.healed.is_none() && self.chance.hits("dies in mid-act", self.setup.faults.driver_point_pm);
        self.store.burn_after(dies.then(|| self.chance.one_of("deletions that it does", 3)));
        let it = &mut self.drivers[driver];
        let now = it.clock.now(self.now);
        let Stage::Running(running) = &mut it.stage else { return };
        running.heart.perform(now);
        let outcome = running.heart.outcome(now);
        let trials = running.thinker.try_next().unwrap_or_default();
        running.step = Step::Take;
        let sleep = it.clock.until(self.now, running.heart.next_moment(), self.setup.odd.punctual);
        self.take_stock();
        let put_off = self.store.burn_after(None);
        if !put_off.is_empty() && self.chance.one_of("deletes late", 2) == 1 {
            // It is not dead, but sleeps between its look and its deed. Another drives on meanwhile.
            let at = self.after("late deletion", LATE);
            self.heap.push(at, Coming::Delete { ids: put_off });
        }
        self.send_all(driver, dies);
        if dies {
            return self.kill_driver(driver, "dies in mid-act");
        }
        if let Some(outcome) = outcome {
            return self.goes_home(driver, outcome.ended);
        }
        for trial in trials {
            let slow = self.healed.is_none() && self.chance.hits("searcher slow", self.setup.faults.searcher_slow_pm);
            let span = if slow { (1_000, 30_000) } else { self.setup.times.searcher };
            let at = self.after("searcher", span);
            self.heap.push(at, Coming::Suggest { driver, trial });
        }
        if self.drivers[driver].inbox.is_empty() {
            self.wake(driver, self.now.plus(sleep));
        } else {
            self.drivers[driver].woken = true;
            self.wake_after(driver, "turn", self.setup.times.turn);
        }
    }

    pub(super) fn suggest(&mut self, driver: usize, trial: TrialId) {
        if !self.drivers[driver].runs() {
            return;
        }
        if self.healed.is_none() && self.chance.hits("searcher dies", self.setup.faults.searcher_dies_pm) {
            return self.bring(driver, Input::SearcherDied);
        }
        if let Some(params) = self.stray_values() {
            return self.bring(driver, Input::Suggested { trial, answer: Ok(params), cost_us: 1 });
        }
        let answer = self.running(driver).map(|running| running.thinker.suggest(trial));
        if let Some(answer) = answer {
            self.bring(driver, Input::Suggested { trial, answer, cost_us: 1 });
        }
    }

    /// Its work is done.
    fn goes_home(&mut self, driver: usize, ended: Ended) {
        self.note(format_args!("driver {driver} goes home: {ended:?}"));
        self.drivers[driver].stage = Stage::Dead;
        self.drivers[driver].in_order = true;
        let epoch = self.drivers[driver].epoch;
        self.fact(&Fact::DriverDied { epoch });
        if self.rendezvous == Some(driver) {
            self.rendezvous = None;
        }
        self.hang_up_all(driver, false);
        let stays = self.keeps_to_the_end(driver);
        self.job_ends_with(driver);
        match ended {
            Ended::Finished(why) => {
                self.end = Some(End::Finished(why));
                self.last_change = self.healed.map(|_| self.now);
            }
            // The run is its own until nobody is left.
            Ended::Suspended if stays => {}
            Ended::Suspended => self.start_later(),
        }
    }

    /// It ends by a fault of the world.
    fn end_driver(&mut self, driver: usize, fault: &EngineFault) {
        match fault {
            EngineFault::Journal(fault @ (JournalFault::Damaged { .. } | JournalFault::Refused { .. })) => {
                if let Some(flipped) = self.flipped {
                    if fault.line() == Some(flipped) {
                        self.note(format_args!("driver {driver}: {fault}"));
                        self.end = Some(End::Refused);
                    } else {
                        self.failure.get_or_insert(Failure::Overlooked { flipped, said: fault.to_string() });
                    }
                    return;
                }
                self.fail(format!("the journal that only drivers wrote cannot be read: {fault}"));
            }
            EngineFault::OutsideSpace { .. } if self.strayed => {}
            EngineFault::OutsideSpace { .. } | EngineFault::NoThread(_) => self.fail(fault.to_string()),
            EngineFault::Journal(_) | EngineFault::SearcherDied | EngineFault::Left => {}
        }
        self.kill_driver(driver, &fault.to_string());
    }

    pub(super) fn kill_driver(&mut self, driver: usize, why: &str) {
        if !self.drivers[driver].lives() {
            return;
        }
        self.note(format_args!("driver {driver} dies: {why}"));
        self.drivers[driver].stage = Stage::Dead;
        self.drivers[driver].inbox.clear();
        self.keeps_no_more(driver);
        let epoch = self.drivers[driver].epoch;
        self.fact(&Fact::DriverDied { epoch });
        self.hang_up_all(driver, false);
        self.job_ends_with(driver);
        self.start_later();
    }

    /// A driver that was fenced off while it slept does what it was about to do.
    pub(super) fn delete_late(&mut self, ids: &[String]) {
        self.note(format_args!("a driver of before deletes {} states", ids.len()));
        ids.iter().for_each(|id| drop(self.store.remove(id)));
        self.take_stock();
    }

    /// What drivers have deleted meanwhile.
    pub(super) fn take_stock(&mut self) {
        for id in self.store.removed() {
            self.fact(&Fact::Removed { id });
        }
    }
}
