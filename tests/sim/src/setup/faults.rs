//! What goes wrong in a world.
use hpo_core::Millis;

use super::slurm::SlurmFaults;
use crate::chance::Chance;

/// What goes wrong, each class on or off. `_every` is the mean time between two, in milliseconds; 0 is never. `_pm` is how
/// often in a thousand it happens where it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A connection breaks; each side notices in its own time.
    pub break_every: Millis,
    /// A connection carries nothing any more in one direction or both, and nobody is told until keep-alives are missed.
    pub half_open_every: Millis,
    /// A worker is cut off for a while: what it has is half-open, what it dials fails.
    pub cut_off_every: Millis,
    /// A worker does not read what it is sent, for a while.
    pub slow_reader_every: Millis,
    /// A message is held up for long, and what comes behind it.
    pub delay_pm: u32,
    /// A driver is killed.
    pub driver_crash_every: Millis,
    /// A driver dies at a certain point of its work, or of its start.
    pub driver_point_pm: u32,
    /// The host of a driver loses its power.
    pub power_every: Millis,
    /// A driver stands still for a while, without dying.
    pub driver_pause_every: Millis,
    /// A second driver is started while the first lives.
    pub second_driver_every: Millis,
    /// A driver sleeps between its last look at the fence and its write.
    pub late_write_pm: u32,
    /// The next driver's wall clock is another.
    pub clock: bool,
    /// The sweep is asked to stop for now, and gone on with.
    pub drain_every: Millis,
    /// A sync fails.
    pub sync_error_pm: u32,
    /// The disk is full for a while.
    pub disk_full_every: Millis,
    /// A bit of the journal is turned while no driver lives.
    pub flip_pm: u32,
    /// A worker process dies, with its trainers.
    pub worker_crash_every: Millis,
    /// A worker process stands still for a while, and its connections stay.
    pub worker_hang_every: Millis,
    /// A machine is taken away, with notice.
    pub notice_every: Millis,
    /// A worker's units take twenty times as long.
    pub straggler_pm: u32,
    /// A trainer crashes, ends, is killed, runs out of memory, hangs, speaks nonsense, or cannot save, in a unit.
    pub trainer_pm: u32,
    /// A trial's losses are not finite from some unit on.
    pub nan_pm: u32,
    /// A trainer cannot be started.
    pub spawn_pm: u32,
    /// A state is said to be written and is not, or is cut off.
    pub state_pm: u32,
    /// The store refuses, or answers very late.
    pub store_pm: u32,
    /// A trainer that is killed does not die for minutes.
    pub undead_pm: u32,
    /// A state in the store is damaged.
    pub damage_every: Millis,
    /// The searcher takes very long for an answer.
    pub searcher_slow_pm: u32,
    /// The searcher panics.
    pub searcher_dies_pm: u32,
    /// A worker says something besides that it must not say: of an old attempt, or outside its lease.
    pub forged_pm: u32,
    /// At the very edge of what is right: a word about a unit that was reported, or of a lease that ends at its end; a stranger
    /// without slots, or with more GPUs than there are; values that are no point of the space.
    pub edge_pm: u32,
    /// Of Slurm, where workers are its tasks.
    pub slurm: SlurmFaults,
}

impl Faults {
    /// Half of the seeds have few classes, a tenth none.
    pub(crate) fn of(chance: &mut dyn Chance) -> Self {
        let on_pm = [0, 100, 100, 100, 100, 300, 300, 300, 600, 600][chance.one_of("classes", 10)];
        let mut every = |name: &'static str, (least, most): (Millis, Millis)| {
            if chance.hits(name, on_pm) { chance.between(name, (least, most)) } else { 0 }
        };
        let often = (5_000, 60_000);
        let mut faults = Self {
            break_every: every("break", (1_000, 30_000)),
            half_open_every: every("half-open", often),
            cut_off_every: every("cut off", often),
            slow_reader_every: every("slow reader", often),
            driver_crash_every: every("driver crash", often),
            power_every: every("power", often),
            driver_pause_every: every("driver pause", often),
            second_driver_every: every("second driver", often),
            drain_every: every("drain", (20_000, 100_000)),
            disk_full_every: every("disk full", often),
            worker_crash_every: every("worker crash", often),
            worker_hang_every: every("worker hang", often),
            notice_every: every("notice", often),
            damage_every: every("damage", often),
            ..Self::default()
        };
        let mut often = |name: &'static str, most: u64| if chance.hits(name, on_pm) { chance.between(name, (1, most)) as u32 } else { 0 };
        faults.delay_pm = often("delay", 30);
        faults.driver_point_pm = often("driver point", 150);
        faults.late_write_pm = often("late write", 40);
        faults.sync_error_pm = often("sync error", 20);
        faults.flip_pm = often("flip", 200);
        faults.straggler_pm = often("straggler", 400);
        faults.trainer_pm = often("trainer", 60);
        faults.nan_pm = often("nan", 300);
        faults.spawn_pm = often("spawn", 100);
        faults.state_pm = often("state", 100);
        faults.store_pm = often("store", 30);
        faults.undead_pm = often("undead", 200);
        faults.searcher_slow_pm = often("searcher slow", 200);
        faults.searcher_dies_pm = often("searcher dies", 50);
        faults.clock = chance.hits("clock", on_pm);
        if chance.one_of("only drivers suffer", 6) == 0 { faults.of_drivers() } else { faults }
    }

    /// Whether everyone who lives can be heard in time: nothing goes wrong but that processes die, states are damaged and
    /// searchers and trainers misbehave.
    #[must_use]
    pub fn leave_everyone_heard(&self) -> bool {
        let Self { break_every, half_open_every, cut_off_every, slow_reader_every, worker_hang_every, .. } = self;
        let Self { driver_pause_every, power_every, second_driver_every, .. } = self;
        let silent = [break_every, half_open_every, cut_off_every, slow_reader_every, worker_hang_every];
        let away = [driver_pause_every, power_every, second_driver_every];
        silent.into_iter().chain(away).all(|every| *every == 0) && self.delay_pm + self.late_write_pm == 0 && !self.clock
    }

    /// What happens by itself happens less often: where everything takes longer.
    pub(super) fn rarer(&mut self, times: Millis) {
        for every in [
            &mut self.break_every,
            &mut self.half_open_every,
            &mut self.cut_off_every,
            &mut self.slow_reader_every,
            &mut self.driver_crash_every,
            &mut self.power_every,
            &mut self.driver_pause_every,
            &mut self.second_driver_every,
            &mut self.drain_every,
            &mut self.disk_full_every,
            &mut self.worker_crash_every,
            &mut self.worker_hang_every,
            &mut self.notice_every,
            &mut self.damage_every,
        ] {
            *every *= times;
        }
        self.driver_point_pm = self.driver_point_pm.div_ceil(10);
    }

    /// Whether nothing goes wrong.
    #[must_use]
    pub fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Those under which only drivers, their disk, their clock and their searcher have to suffer.
    fn of_drivers(&self) -> Self {
        let Self {
            driver_crash_every,
            driver_point_pm,
            power_every,
            driver_pause_every,
            clock,
            sync_error_pm,
            disk_full_every,
            searcher_slow_pm,
            searcher_dies_pm,
            nan_pm,
            ..
        } = *self;
        Self {
            driver_crash_every,
            driver_point_pm,
            power_every,
            driver_pause_every,
            clock,
            sync_error_pm,
            disk_full_every,
            searcher_slow_pm,
            searcher_dies_pm,
            nan_pm,
            ..Self::default()
        }
    }

    /// Whether only drivers suffer: then no unit of training is to be lost.
    #[must_use]
    pub fn spare_workers(&self) -> bool {
        *self == self.of_drivers()
    }
}
