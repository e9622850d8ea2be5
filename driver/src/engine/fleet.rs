//! The engine's ends of the connections. What workers mean for the sweep is the sweep's matter.
use std::collections::BTreeMap;

use hpo_core::WorkerId;
use hpo_wire::FromDriver;
use tokio::sync::mpsc;

/// What goes out on a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Outgoing {
    /// A message.
    Say(FromDriver),
    /// The end, with a reason that dialling again does not change.
    Refuse {
        /// For people.
        why: String,
    },
}

/// How to talk to one worker. Dropping it ends the connection.
#[derive(Debug)]
pub struct Link {
    /// Grows with each connection of this driver, so that words of a replaced one are known.
    pub session: u64,
    /// The messages.
    pub out: mpsc::Sender<Outgoing>,
}

/// Where the messages of a [`Link`] come out.
pub type Outbox = mpsc::Receiver<Outgoing>;

impl Link {
    /// A connection on which `room` messages can wait to be sent.
    #[must_use]
    pub fn new(session: u64, room: usize) -> (Self, Outbox) {
        let (out, outbox) = mpsc::channel(room);
        (Self { session, out }, outbox)
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    links: BTreeMap<WorkerId, Link>,
    slow: u64,
}

impl Fleet {
    /// A worker dialled; an older connection of the same worker ends.
    pub(super) fn join(&mut self, worker: WorkerId, link: Link) {
        self.links.insert(worker, link);
    }

    /// Whether this is the worker's present connection.
    pub(super) fn is_current(&self, worker: WorkerId, session: u64) -> bool {
        self.links.get(&worker).is_some_and(|link| link.session == session)
    }

    /// Ends the worker's connection.
    pub(super) fn remove(&mut self, worker: WorkerId) {
        self.links.remove(&worker);
    }

    /// Sends, if the worker is connected. One that does not read what it is sent is disconnected: it will dial again,
    /// say what it holds, and be told anew.
    pub(super) fn say(&mut self, worker: WorkerId, message: FromDriver) {
        let Some(link) = self.links.get(&worker) else { return };
        if let Err(refused) = link.out.try_send(Outgoing::Say(message)) {
            self.slow += u64::from(matches!(refused, mpsc::error::TrySendError::Full(_)));
            self.links.remove(&worker);
        }
    }

    /// Sends to all.
    pub(super) fn say_to_all(&mut self, message: &FromDriver) {
        let workers: Vec<WorkerId> = self.links.keys().copied().collect();
        for worker in workers {
            self.say(worker, message.clone());
        }
    }

    /// How many workers are connected.
    pub(super) fn connected(&self) -> usize {
        self.links.len()
    }

    /// How often a worker was disconnected because it did not read.
    pub(super) fn slow(&self) -> u64 {
        self.slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_does_not_read_is_disconnected_and_a_new_connection_replaces_the_old() {
        let mut fleet = Fleet::default();
        let worker = WorkerId(1);
        let (out, mut first) = mpsc::channel(2);
        fleet.join(worker, Link { session: 1, out });
        for _ in 0..3 {
            fleet.say(worker, FromDriver::Heartbeat);
        }
        assert_eq!((fleet.connected(), fleet.slow()), (0, 1));
        assert_eq!(first.try_recv(), Ok(Outgoing::Say(FromDriver::Heartbeat)));
        assert_eq!(first.try_recv(), Ok(Outgoing::Say(FromDriver::Heartbeat)));
        assert_eq!(first.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));

        let (out, mut second) = mpsc::channel(2);
        fleet.join(worker, Link { session: 2, out });
        let (out, mut third) = mpsc::channel(2);
        fleet.join(worker, Link { session: 3, out });
        assert!(!fleet.is_current(worker, 2) && fleet.is_current(worker, 3));
        fleet.say_to_all(&FromDriver::Heartbeat);
        assert_eq!(second.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        assert_eq!(third.try_recv(), Ok(Outgoing::Say(FromDriver::Heartbeat)));
    }
}
