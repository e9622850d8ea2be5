//! Driver processes: claim, replay, the loop, and all the moments at which one can die.
use std::collections::{BTreeMap, VecDeque};

use hpo_core::{Event, Millis, Stamp, TrialId};
use hpo_driver::engine::parts::{Heart, Input, Kept, Outbox, Parts, Thinker, base};
use hpo_driver::engine::{Ended, EngineFault};
use hpo_driver::journal::{JournalFault, Medium, Reader, Record, Replay, Replayed, Writer};
use hpo_searchers::Kind;

use super::{CREATED_UNIX_MS, Coming, End, Failure, World};
use crate::check::Fact;
use crate::disk::{Head, journal};

/// How often a driver looks at its claim.
const BEAT_MS: Millis = 2_000;

/// One driver process.
pub(super) struct Driver {
    pub(super) epoch: u32,
    stage: Stage,
    turn: u64,
    /// It will look at its inbox soon.
    woken: bool,
    inbox: VecDeque<Input>,
    clock: Clock,
    head: Head,
    pub(super) asleep_until: Stamp,
    /// It went home, and all that it wrote is on the disk.
    in_order: bool,
    /// What is to be sent on each connection.
    pub(super) lines: BTreeMap<usize, Outbox>,
}

enum Stage {
    Claimed,
    Replayed(Box<(Replayed, Kept)>),
    Running(Box<Running>),
    Dead,
}

struct Running {
    heart: Heart,
    thinker: Thinker,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Take,
    Write,
    Sync,
    Act,
}

/// A driver's clock: begun at some stamp, and perhaps not as fast as the true time.
#[derive(Clone, Copy)]
struct Clock {
    base: Stamp,
    since: Stamp,
    /// Millionths by which it is too fast.
    drift: i64,
}

impl Clock {
    fn now(&self, at: Stamp) -> Stamp {
        let passed = i128::from(at.since(self.since)) * i128::from(1_000_000 + self.drift) / 1_000_000;
        self.base.plus(u64::try_from(passed).unwrap_or(0))
    }

    /// The true time from now until it shows `stamp`.
    fn until(&self, at: Stamp, stamp: Stamp) -> Millis {
        let shown = i128::from(stamp.since(self.now(at)));
        u64::try_from(shown * 1_000_000 / i128::from(1_000_000 + self.drift)).unwrap_or(0) + 1
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
    pub(super) fn start_if_needed(&mut self) {
        if self.end.is_none() && !self.drivers.iter().any(Driver::lives) {
            self.start();
        }
    }

    /// A new driver process claims the run.
    pub(super) fn start(&mut self) {
        let flips = self.healed.is_none() && self.chance.hits("flip", self.setup.faults.flip_pm);
        if flips && !self.drivers.iter().any(Driver::lives) && self.flipped.is_none() {
            let flipped = self.disk.flip(self.chance.as_mut());
            self.flipped = flipped;
            self.note(format_args!("a bit of the journal's line {flipped:?} turns"));
        }
        let epoch = self.disk.claim();
        let clock = Clock { base: Stamp(0), since: self.now, drift: 0 };
        let head = self.disk.open(epoch);
        let (stage, inbox, lines) = (Stage::Claimed, VecDeque::new(), BTreeMap::new());
        self.note(format_args!("driver {} starts, epoch {epoch}", self.drivers.len()));
        self.drivers.push(Driver {
            epoch,
            stage,
            turn: 0,
            woken: false,
            inbox,
            clock,
            head,
            asleep_until: self.now,
            in_order: false,
            lines,
        });
        self.wake_after(self.drivers.len() - 1, "claim", self.setup.times.start);
    }

    fn wake_after(&mut self, driver: usize, what: &'static str, span: crate::setup::Span) {
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
    fn dies_here(&mut self, driver: usize, point: &'static str) -> bool {
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
        let result = match std::mem::replace(&mut it.stage, Stage::Dead) {
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

    fn replay(&mut self, driver: usize) -> Result<(), JournalFault> {
        let bytes = self.drivers[driver].head.bytes();
        let mut kept = Kept::default();
        let mut replay = Replay::of(Reader::of(journal(), bytes.as_slice())?);
        while let Some(step) = replay.step()? {
            kept.replayed(&step.entry.record.event, step.actions, step.sweep);
        }
        let replayed = replay.finish()?;
        self.drivers[driver].stage = Stage::Replayed(Box::new((replayed, kept)));
        if !self.dies_here(driver, "dies while it replays") {
            self.wake_after(driver, "replay", self.setup.times.start);
        }
        Ok(())
    }

    fn open(&mut self, driver: usize, (replayed, kept): (Replayed, Kept)) -> Result<(), JournalFault> {
        if let Some(flipped) = self.flipped {
            self.failure.get_or_insert(Failure::Overlooked { flipped, said: "nothing".to_owned() });
        }
        let writer = self.take_up(driver, &replayed)?;
        self.has_synced(driver);
        let epoch = self.drivers[driver].epoch;
        let (records, last, sweep) = (replayed.records, replayed.last_at, replayed.sweep);
        let wall = (CREATED_UNIX_MS + self.now.0).saturating_add_signed(self.wall_off);
        let drift = if self.setup.faults.clock { self.chance.between("drift", (0, 40_000)) as i64 - 20_000 } else { 0 };
        let clock = Clock { base: base(wall, CREATED_UNIX_MS, last), since: self.now, drift };
        let searcher = hpo_searchers::build(Kind::Random, &self.setup.spec.space, self.setup.spec.seed);
        let parts = Parts {
            sweep,
            journal: Box::new(writer),
            records,
            kept,
            store: Box::new(self.store.clone()),
            options: self.setup.options,
            closing: Box::new(|| {}),
        };
        let (mut heart, tasks) = Heart::new(parts, clock.now(self.now));
        heart.begin(clock.now(self.now));
        let running = Running { heart, thinker: Thinker::new(searcher, tasks), step: Step::Write };
        let it = &mut self.drivers[driver];
        it.clock = clock;
        it.stage = Stage::Running(Box::new(running));
        self.take_stock();
        self.rendezvous = Some(driver);
        self.fact(&Fact::DriverBorn { epoch });
        self.heap.push(self.now.plus(BEAT_MS), Coming::Beat { driver });
        self.wake_after(driver, "open", self.setup.times.start);
        Ok(())
    }

    /// In the same file if every driver that could write to it has ended in good order, else in a copy. One that lives may
    /// be in the middle of a write, and one that died may have died of a sync that failed: then what is read here need not
    /// be on the disk, and no later sync would bring it there.
    fn take_up(&mut self, driver: usize, replayed: &Replayed) -> Result<Writer<Head>, JournalFault> {
        let maker = self.drivers[driver].head.maker();
        let doubt = self.drivers[..driver].iter().any(|earlier| earlier.epoch >= maker && !earlier.in_order);
        let head = &mut self.drivers[driver].head;
        if doubt {
            head.copy(replayed.whole_bytes);
            head.check()?;
            return Ok(Writer::on(journal(), head.twin(), replayed.whole_bytes));
        }
        Writer::go_on(journal(), head.twin(), replayed)
    }

    /// All that stands in the driver's file is durable now.
    fn has_synced(&mut self, driver: usize) {
        let bytes = self.drivers[driver].head.bytes();
        match bytes.strip_prefix(self.safe.as_slice()) {
            Some(tail) => self.is_durable(tail),
            None => drop(self.failure.get_or_insert(Failure::Lost { safe: self.safe.len() })),
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
                    self.drivers[driver].asleep_until = at;
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
                if let Some((records, digest)) = self.running(driver).map(|running| running.heart.standing()) {
                    self.fact(&Fact::Settled { records, digest });
                }
                self.go(driver, Step::Act, "act", (0, 0));
                Ok(())
            }
            Step::Act => {
                self.act(driver);
                Ok(())
            }
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
        let sleep = it.clock.until(self.now, running.heart.next_moment());
        self.take_stock();
        self.store.burn_after(None);
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
        match ended {
            Ended::Finished(why) => {
                self.end = Some(End::Finished(why));
                self.last_change = self.healed.map(|_| self.now);
            }
            Ended::Suspended => self.start_later(),
        }
    }

    fn start_later(&mut self) {
        let at = self.after("restart of a driver", self.setup.times.restart);
        self.heap.push(at, Coming::Start);
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
            EngineFault::OutsideSpace { .. } | EngineFault::NoThread(_) => self.fail(fault.to_string()),
            EngineFault::Journal(_) | EngineFault::SearcherDied => {}
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
        let epoch = self.drivers[driver].epoch;
        self.fact(&Fact::DriverDied { epoch });
        self.hang_up_all(driver, false);
        self.start_later();
    }

    /// What drivers have deleted meanwhile.
    fn take_stock(&mut self) {
        for id in self.store.removed() {
            self.fact(&Fact::Removed { id });
        }
    }

    /// A live worker is not declared dead for slowness alone: if it is, it was dead or out of reach.
    pub(super) fn look_at_loss(&mut self, record: &Record) {
        let Event::WorkerLost { worker } = record.event else { return };
        let lease = self.setup.options.lease_ms;
        // One that talks to a driver that is fenced off, and does not know it yet, is as out of reach as any.
        let elsewhere = |conn: Option<usize>| conn.is_some_and(|conn| Some(self.conns[conn].driver) != self.rendezvous);
        let innocent = self.workers.iter().find(|it| {
            let reachable = it.alive && !elsewhere(it.conn) && self.now.since(it.troubled) > 2 * lease;
            it.id == worker && reachable
        });
        if let Some(it) = innocent {
            self.fail(format!("worker {} was declared lost; it lives, and the last trouble with it was at {}", it.id, it.troubled));
        }
    }
}
