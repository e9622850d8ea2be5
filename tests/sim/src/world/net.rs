//! The network between workers and drivers: for each connection two queues of packets.
use std::collections::VecDeque;

use hpo_core::sweep::event::Held;
use hpo_core::{Lease, Stamp};
use hpo_driver::engine::parts::{self, Link, Outgoing};
use hpo_wire::{FromDriver, FromWorker, PROTOCOL, Welcome, from_driver, pb};
use hpo_worker::session::Input;

use super::{Coming, World};
use crate::check::Fact;

/// As in `driver/src/serve`: what can wait to be sent to one worker.
const OUTBOX: usize = 64;
/// Packets on their way to one worker; more wait in the driver.
const WINDOW: usize = 16;
/// When a side without answer to its keep-alives gives up, in milliseconds.
const KEEP_ALIVE: (u64, u64) = (10_000, 20_000);

/// One connection.
pub(super) struct Conn {
    pub(super) worker: usize,
    pub(super) driver: usize,
    up: Way<FromWorker>,
    down: Way<FromDriver>,
    /// The worker has said hello to the driver.
    greeted: bool,
}

/// One direction.
struct Way<T> {
    packets: VecDeque<Packet<T>>,
    /// When the last packet arrives.
    last: Stamp,
    /// The receiving side listens.
    open: bool,
    /// Nothing that is sent now arrives.
    lost: bool,
    /// The receiving side does not read before.
    stalled_until: Stamp,
}

enum Packet<T> {
    Said(T),
    Closed,
}

impl<T> Way<T> {
    fn new(now: Stamp) -> Self {
        Self { packets: VecDeque::new(), last: now, open: true, lost: false, stalled_until: now }
    }
}

impl Conn {
    /// Whether both sides believe in it.
    pub(super) fn stands(&self) -> bool {
        self.up.open && self.down.open
    }
}

impl World {
    pub(super) fn dial(&mut self, worker: usize, turn: u64) {
        let it = &self.workers[worker];
        if !it.alive || it.dial != turn {
            return;
        }
        if self.now < it.frozen_until {
            return self.heap.push(it.frozen_until, Coming::Dial { worker, turn });
        }
        let Some(driver) = self.rendezvous else {
            let last = self.end.as_ref();
            return self.tell(worker, last.map_or(Input::NoDriver, |end| Input::SweepEnded { why: format!("{end:?}") }));
        };
        if self.now < it.cut_off_until || !self.drivers[driver].runs() {
            return self.tell(worker, Input::Disconnected);
        }
        let conn = self.conns.len();
        self.conns.push(Conn { worker, driver, up: Way::new(self.now), down: Way::new(self.now), greeted: false });
        self.workers[worker].conn = Some(conn);
        self.note(format_args!("worker {worker} dials driver {driver}: connection {conn}"));
        self.tell(worker, Input::Connected);
    }

    /// When the next packet arrives, and that it does.
    fn post(&mut self, conn: usize, up: bool) {
        let late = self.healed.is_none() && self.chance.hits("delay", self.setup.faults.delay_pm);
        let span = if late { (self.setup.times.network.1, 20_000) } else { self.setup.times.network };
        let at = self.after("network", span);
        let it = &mut self.conns[conn];
        let last = if up { &mut it.up.last } else { &mut it.down.last };
        *last = at.max(*last);
        let (at, worker) = (*last, it.worker);
        if late {
            self.trouble(worker, at);
        }
        self.heap.push(at, Coming::Arrive { conn, up });
    }

    /// A worker sends, on its present connection.
    pub(super) fn send_up(&mut self, worker: usize, message: FromWorker) {
        let Some(conn) = self.workers[worker].conn else { return };
        if self.conns[conn].up.lost {
            return;
        }
        let forged = self.forged(&message);
        for message in forged.into_iter().chain([message]) {
            match FromWorker::try_from(pb::FromWorker::from(message)) {
                Ok(message) => self.conns[conn].up.packets.push_back(Packet::Said(message)),
                Err(fault) => return self.fail(format!("a worker's message does not come over the wire: {fault}")),
            }
            self.post(conn, true);
        }
    }

    /// Everything that the driver has to say goes on its way; only a part of it if the driver is about to die.
    pub(super) fn send_all(&mut self, driver: usize, part: bool) {
        let conns: Vec<usize> = self.drivers[driver].lines.keys().copied().collect();
        for conn in conns {
            let most = if part { self.chance.one_of("messages that it sends", 4) } else { WINDOW };
            self.send_down(conn, most);
        }
    }

    /// As much of what waits for a connection as there is room for.
    fn send_down(&mut self, conn: usize, most: usize) {
        let Conn { driver, worker, .. } = self.conns[conn];
        for _ in 0..most {
            if self.conns[conn].down.packets.len() >= WINDOW {
                break;
            }
            let Some(outbox) = self.drivers[driver].lines.get_mut(&conn) else { return };
            match outbox.try_recv() {
                Ok(Outgoing::Say(message)) => self.send_one(conn, driver, worker, message),
                Ok(Outgoing::Refuse { why }) => {
                    // The session of a worker that is refused for good ends with that.
                    self.note(format_args!("driver {driver} refuses worker {worker}: {why}"));
                    self.hang_up(conn, true);
                }
                Err(_) => break,
            }
        }
        let Some(outbox) = self.drivers[driver].lines.get(&conn) else { return };
        if outbox.is_closed() && outbox.is_empty() {
            self.note(format_args!("driver {driver} hangs up connection {conn}"));
            self.hang_up(conn, true);
        }
    }

    fn send_one(&mut self, conn: usize, driver: usize, worker: usize, message: FromDriver) {
        let to = self.workers[worker].id;
        match &message {
            FromDriver::Lease(Lease { trial, attempt, slot, from, until, .. }) => {
                let held = Held { trial: *trial, attempt: *attempt, slot: slot.index };
                self.fact(&Fact::LeaseSent { worker: to, held, from: *from, until: *until });
            }
            FromDriver::Acknowledged(safe) => {
                let held = Held { trial: safe.trial, attempt: safe.attempt, slot: 0 };
                self.fact(&Fact::Acknowledged { worker: to, held, seq: safe.seq });
            }
            other => self.note(format_args!("driver {driver} to worker {worker}: {other:?}")),
        }
        let way = &mut self.conns[conn].down;
        if way.lost {
            return;
        }
        match from_driver(pb::FromDriver::from(message), to) {
            Ok(message) => way.packets.push_back(Packet::Said(message)),
            Err(fault) => return self.fail(format!("a driver's message does not come over the wire: {fault}")),
        }
        self.post(conn, false);
    }

    pub(super) fn arrive(&mut self, conn: usize, up: bool) {
        let Conn { worker, driver, .. } = self.conns[conn];
        if up {
            if self.now < self.drivers[driver].asleep_until {
                return self.heap.push(self.drivers[driver].asleep_until, Coming::Arrive { conn, up });
            }
            match self.conns[conn].up.packets.pop_front() {
                Some(Packet::Said(message)) if self.conns[conn].up.open => self.heard_by_driver(conn, message),
                Some(Packet::Closed) => self.driver_side_closes(conn),
                _ => {}
            }
        } else {
            let late = self.conns[conn].down.stalled_until.max(self.workers[worker].frozen_until);
            if self.now < late {
                return self.heap.push(late, Coming::Arrive { conn, up });
            }
            match self.conns[conn].down.packets.pop_front() {
                Some(Packet::Said(message)) if self.conns[conn].down.open => {
                    self.note(format_args!("worker {worker} hears {message:?}"));
                    if let FromDriver::Finish { .. } = message {
                        // It leaves, and looks for no other driver.
                        self.trouble(worker, Stamp(u64::MAX));
                        let worker = self.workers[worker].id;
                        self.fact(&Fact::WorkerDismissed { worker });
                    }
                    self.tell(worker, Input::Driver(message));
                }
                Some(Packet::Closed) => self.worker_side_closes(conn),
                _ => {}
            }
            self.send_down(conn, WINDOW);
        }
    }

    /// The door: greetings are answered, all else is passed on.
    fn heard_by_driver(&mut self, conn: usize, message: FromWorker) {
        let Conn { driver, worker: who, .. } = self.conns[conn];
        let (worker, session) = (self.workers[who].id, conn as u64);
        self.note(format_args!("driver {driver} hears worker {who}: {message:?}"));
        let input = match message {
            FromWorker::Hello(hello) => {
                self.greet_as_a_stranger(driver, &hello);
                let ours = hello.sweep.is_empty() || hello.sweep == self.header.sweep;
                if hello.protocol != PROTOCOL || !ours || self.conns[conn].greeted {
                    return self.fail(format!("a greeting that no driver takes: {hello:?}"));
                }
                let (link, outbox) = Link::new(session, OUTBOX);
                let limits = self.setup.options;
                let welcome = Welcome {
                    sweep: self.header.sweep.clone(),
                    heartbeat_ms: limits.heartbeat_ms as u32,
                    lease_ms: limits.lease_ms as u32,
                    job: self.job.clone(),
                    epoch: self.drivers[driver].epoch,
                };
                drop(link.out.try_send(Outgoing::Say(FromDriver::Welcome(welcome))));
                self.conns[conn].greeted = true;
                self.drivers[driver].lines.insert(conn, outbox);
                self.send_down(conn, WINDOW);
                self.heap.push(self.now.plus(limits.heartbeat_ms), Coming::Pulse { conn });
                parts::Input::Joined { hello, link }
            }
            FromWorker::Leaving => parts::Input::Leaving { worker, session },
            FromWorker::Heartbeat => parts::Input::Heard { worker, session },
            FromWorker::Word(word) => parts::Input::Said { worker, session, word },
            FromWorker::Goodbye { why } => parts::Input::Left { worker, session, why },
        };
        self.bring(driver, input);
    }

    /// As `driver/src/serve/session.rs` does: a worker hears something at least this often.
    pub(super) fn pulse(&mut self, conn: usize) {
        let Conn { driver, worker, .. } = self.conns[conn];
        let it = &self.drivers[driver];
        if !it.lines.contains_key(&conn) {
            return;
        }
        if self.now < it.asleep_until {
            return self.heap.push(it.asleep_until, Coming::Pulse { conn });
        }
        if self.conns[conn].down.packets.is_empty() {
            self.send_one(conn, driver, worker, FromDriver::Heartbeat);
        }
        self.heap.push(self.now.plus(self.setup.options.heartbeat_ms), Coming::Pulse { conn });
    }

    fn driver_side_closes(&mut self, conn: usize) {
        let it = &mut self.conns[conn];
        if !std::mem::take(&mut it.up.open) {
            return;
        }
        it.down.lost = true;
        let (driver, worker, greeted) = (it.driver, self.workers[it.worker].id, it.greeted);
        self.drivers[driver].lines.remove(&conn);
        if greeted {
            self.bring(driver, parts::Input::Broke { worker, session: conn as u64 });
        }
    }

    pub(super) fn worker_side_closes(&mut self, conn: usize) {
        let it = &mut self.conns[conn];
        if !std::mem::take(&mut it.down.open) {
            return;
        }
        it.up.lost = true;
        let worker = it.worker;
        if self.workers[worker].alive && self.workers[worker].conn == Some(conn) {
            self.workers[worker].conn = None;
            self.tell(worker, Input::Disconnected);
        }
    }

    /// One side ends a connection; what it has sent still arrives, unless the whole host is gone: then the other side has to
    /// miss its keep-alives.
    pub(super) fn hang_up(&mut self, conn: usize, by_driver: bool) {
        let it = &mut self.conns[conn];
        if by_driver {
            self.drivers[it.driver].lines.remove(&conn);
            it.up.open = false;
            if !it.down.lost {
                it.down.packets.push_back(Packet::Closed);
                it.down.lost = true;
                self.post(conn, false);
            }
        } else {
            it.down.open = false;
            if !it.up.lost {
                it.up.packets.push_back(Packet::Closed);
                it.up.lost = true;
                self.post(conn, true);
            }
        }
    }

    /// A driver process is gone, and with it its end of all connections.
    pub(super) fn hang_up_all(&mut self, driver: usize, silently: bool) {
        for conn in 0..self.conns.len() {
            if self.conns[conn].driver != driver || !self.conns[conn].down.open {
                continue;
            }
            let worker = self.conns[conn].worker;
            self.trouble(worker, self.now);
            if silently {
                self.go_silent(conn, true, true);
            } else {
                self.hang_up(conn, true);
            }
        }
        self.drivers[driver].lines.clear();
    }

    /// From now on nothing arrives; the sides find out by themselves.
    pub(super) fn go_silent(&mut self, conn: usize, up: bool, down: bool) {
        let it = &mut self.conns[conn];
        it.up.lost |= up;
        it.down.lost |= down;
        if up {
            it.up.packets.clear();
        }
        if down {
            it.down.packets.clear();
        }
        for worker_side in [true, false] {
            let at = self.after("keep-alive", KEEP_ALIVE);
            self.heap.push(at, Coming::Miss { conn, worker_side });
            let worker = self.conns[conn].worker;
            self.trouble(worker, at);
        }
    }

    pub(super) fn miss(&mut self, conn: usize, worker_side: bool) {
        let Conn { worker, driver, .. } = self.conns[conn];
        if worker_side {
            if self.now < self.workers[worker].frozen_until {
                return self.heap.push(self.workers[worker].frozen_until, Coming::Miss { conn, worker_side });
            }
            self.worker_side_closes(conn);
        } else if self.now < self.drivers[driver].asleep_until {
            self.heap.push(self.drivers[driver].asleep_until, Coming::Miss { conn, worker_side });
        } else {
            self.driver_side_closes(conn);
        }
    }

    /// A connection breaks. Some of what is on its way still arrives, and each side notices in its own time.
    pub(super) fn snap(&mut self, conn: usize) {
        let it = &mut self.conns[conn];
        let (up, down) = (it.up.packets.len(), it.down.packets.len());
        let left = (self.chance.one_of("words that still arrive", up + 1), self.chance.one_of("orders that still arrive", down + 1));
        let it = &mut self.conns[conn];
        it.up.packets.truncate(left.0);
        it.down.packets.truncate(left.1);
        (it.up.lost, it.down.lost) = (true, true);
        for worker_side in [true, false] {
            let at = self.after("break is noticed", (0, 5_000));
            self.heap.push(at, Coming::Miss { conn, worker_side });
            let worker = self.conns[conn].worker;
            self.trouble(worker, at);
        }
    }

    /// The worker reads nothing from this connection for a while.
    pub(super) fn stall(&mut self, conn: usize, until: Stamp) {
        self.conns[conn].down.stalled_until = until;
        let worker = self.conns[conn].worker;
        self.trouble(worker, until);
    }
}
