//! What goes wrong by itself, again and again, until the world is healed.
use hpo_core::Millis;
use hpo_driver::engine::parts::Input;

use super::slurm::Trouble;
use super::{Coming, World};
use crate::check::Fact;
use crate::setup::Faults;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfortune {
    Break,
    HalfOpen,
    CutOff,
    SlowReader,
    DriverCrash,
    Power,
    DriverPause,
    SecondDriver,
    Drain,
    DiskFull,
    DiskFree,
    WorkerCrash,
    WorkerHang,
    Notice,
    Damage,
    Slurm(Trouble),
}

use Misfortune::*;

impl Misfortune {
    const ALL: [Self; 14] = [
        Break,
        HalfOpen,
        CutOff,
        SlowReader,
        DriverCrash,
        Power,
        DriverPause,
        SecondDriver,
        Drain,
        DiskFull,
        WorkerCrash,
        WorkerHang,
        Notice,
        Damage,
    ];

    fn every(self, faults: &Faults) -> Millis {
        match self {
            Break => faults.break_every,
            HalfOpen => faults.half_open_every,
            CutOff => faults.cut_off_every,
            SlowReader => faults.slow_reader_every,
            DriverCrash => faults.driver_crash_every,
            Power => faults.power_every,
            DriverPause => faults.driver_pause_every,
            SecondDriver => faults.second_driver_every,
            Drain => faults.drain_every,
            DiskFull => faults.disk_full_every,
            DiskFree => 0,
            WorkerCrash => faults.worker_crash_every,
            WorkerHang => faults.worker_hang_every,
            Notice => faults.notice_every,
            Damage => faults.damage_every,
            Slurm(which) => which.every(faults),
        }
    }
}

impl World {
    pub(super) fn expect_misfortunes(&mut self) {
        for which in Misfortune::ALL.into_iter().chain(Trouble::ALL.map(Slurm)) {
            self.expect(which);
        }
    }

    fn expect(&mut self, which: Misfortune) {
        let mean = which.every(&self.setup.faults);
        if mean > 0 {
            let at = self.after("misfortune", (1, 2 * mean));
            self.heap.push(at, Coming::Misfortune(which));
        }
    }

    pub(super) fn strike(&mut self, which: Misfortune) {
        if self.healed.is_some() {
            return;
        }
        self.expect(which);
        self.note(format_args!("misfortune: {which:?}"));
        match which {
            Break | HalfOpen | SlowReader => self.strike_connection(which),
            CutOff | WorkerCrash | WorkerHang | Notice => self.strike_worker(which),
            DriverCrash | DriverPause | Drain => self.strike_driver(which),
            Power => {
                for driver in 0..self.drivers.len() {
                    self.kill_driver(driver, "its host loses its power");
                }
                self.disk.lose_power(self.chance.as_mut());
            }
            SecondDriver => {
                if self.end.is_none() {
                    self.start();
                }
            }
            DiskFull => {
                let room = self.chance.one_of("room on the disk", 500);
                self.disk.trouble(|trouble| trouble.room = Some(room));
                let at = self.after("until the disk has room", (1, 30_000));
                self.heap.push(at, Coming::Misfortune(DiskFree));
            }
            Slurm(which) => self.strike_slurm(which),
            DiskFree => self.disk.trouble(|trouble| trouble.room = None),
            Damage => {
                let all = self.store.all();
                if !all.is_empty() {
                    let id = all[self.chance.one_of("state to damage", all.len())].clone();
                    self.store.damage(&id);
                    self.fact(&Fact::Damaged { id });
                }
            }
        }
    }

    fn one(&mut self, what: &'static str, among: &[usize]) -> Option<usize> {
        if among.is_empty() { None } else { Some(among[self.chance.one_of(what, among.len())]) }
    }

    fn strike_connection(&mut self, which: Misfortune) {
        let standing: Vec<usize> = (0..self.conns.len()).filter(|&conn| self.conns[conn].stands()).collect();
        let Some(conn) = self.one("connection", &standing) else { return };
        match which {
            Break => self.snap(conn),
            HalfOpen => {
                let ways = self.chance.one_of("ways that are silent", 3);
                self.go_silent(conn, ways != 1, ways != 0);
            }
            _ => {
                let until = self.after("slow reader", (100, 60_000));
                self.stall(conn, until);
            }
        }
    }

    fn strike_worker(&mut self, which: Misfortune) {
        let living: Vec<usize> = (0..self.workers.len()).filter(|&worker| self.workers[worker].alive).collect();
        let Some(worker) = self.one("worker", &living) else { return };
        let while_ = (100, 3 * self.setup.options.lease_ms);
        match which {
            CutOff => {
                let until = self.after("cut off", while_);
                self.workers[worker].cut_off_until = until;
                self.trouble(worker, until);
                if let Some(conn) = self.workers[worker].conn {
                    self.go_silent(conn, true, true);
                }
            }
            WorkerHang => {
                let until = self.after("hang", while_);
                let it = &mut self.workers[worker];
                it.frozen_until = it.frozen_until.max(until);
                self.trouble(worker, until);
            }
            Notice => self.notice(worker),
            _ => {
                self.bury(worker, "killed");
                if self.chance.one_of("its death is seen", 2) == 0 {
                    let at = self.after("proof of death", (0, 5_000));
                    self.heap.push(at, Coming::Proof { worker });
                }
            }
        }
    }

    fn strike_driver(&mut self, which: Misfortune) {
        let living: Vec<usize> = (0..self.drivers.len()).filter(|&driver| self.drivers[driver].lives()).collect();
        let Some(driver) = self.one("driver", &living) else { return };
        match which {
            DriverCrash => {
                self.kill_driver(driver, "killed");
                if self.setup.faults.clock {
                    self.wall_off = self.chance.between("wall clock", (0, 20_000_000)) as i64 - 10_000_000;
                }
            }
            DriverPause => {
                let until = self.after("pause", (100, 3 * self.setup.options.lease_ms));
                self.sleep(driver, until);
            }
            _ => self.bring(driver, Input::Drain),
        }
    }

    /// From now on nothing goes wrong, and what still does is put right. Who sleeps wakes in its time.
    pub(super) fn heal(&mut self) {
        self.note(format_args!("the world is healed"));
        self.healed = Some(self.now);
        self.last_change = self.healed;
        self.disk.trouble(|trouble| *trouble = crate::disk::Trouble::default());
        let now = self.now;
        for worker in &mut self.workers {
            worker.cut_off_until = worker.cut_off_until.min(now);
            worker.slowness = 1;
        }
        self.wall_off = 0;
        self.heal_slurm();
        self.heap.push(now, Coming::Start);
        self.heap.push(now, Coming::Employ);
    }
}
