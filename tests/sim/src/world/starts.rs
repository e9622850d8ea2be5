//! How drivers begin: claim, replay, and the file that they go on in.
use std::collections::{BTreeMap, VecDeque};

use hpo_core::Stamp;
use hpo_driver::engine::parts::{Heart, Kept, Parts, Thinker, base};
use hpo_driver::journal::{JournalFault, Medium, Reader, Replay, Replayed, Writer};
use hpo_searchers::Random;

use super::drivers::{BEAT_MS, Clock, Driver, Running, Stage, Step};
use super::{CREATED_UNIX_MS, Coming, Failure, World};
use crate::check::Fact;
use crate::disk::{Head, journal};

impl World {
    pub(super) fn start_if_needed(&mut self) {
        let leaving = self.slurm.as_ref().is_some_and(super::slurm::Slurm::is_kept);
        if self.end.is_none() && !self.drivers.iter().any(Driver::lives) && !leaving && !self.has_driver_job() {
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

    pub(super) fn replay(&mut self, driver: usize) -> Result<(), JournalFault> {
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

    pub(super) fn open(&mut self, driver: usize, (replayed, kept): (Replayed, Kept)) -> Result<(), JournalFault> {
        if let Some(flipped) = self.flipped {
            self.failure.get_or_insert(Failure::Overlooked { flipped, said: "nothing".to_owned() });
        }
        let writer = self.take_up(driver, &replayed)?;
        // What is read is durable now, and not before: only then may it be acted upon.
        self.has_synced(driver);
        let epoch = self.drivers[driver].epoch;
        let (records, last, sweep) = (replayed.records, replayed.last_at, replayed.sweep);
        let wall = (CREATED_UNIX_MS + self.now.0).saturating_add_signed(self.wall_off);
        let drift = if self.setup.faults.clock { self.chance.between("drift", (0, 40_000)) as i64 - 20_000 } else { 0 };
        let clock = Clock { base: base(wall, CREATED_UNIX_MS, last), since: self.now, drift };
        let searcher = Box::new(Random::new(self.setup.spec.space.clone(), self.setup.spec.seed));
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
        self.begin_to_keep(driver);
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
    pub(super) fn has_synced(&mut self, driver: usize) {
        match self.drivers[driver].head.bytes_after(&self.safe) {
            Some(tail) => self.is_durable(&tail),
            None => drop(self.failure.get_or_insert(Failure::Lost { safe: self.safe.len() })),
        }
    }

    pub(super) fn start_later(&mut self) {
        let at = self.after("restart of a driver", self.setup.times.restart);
        self.heap.push(at, Coming::Start);
    }
}
