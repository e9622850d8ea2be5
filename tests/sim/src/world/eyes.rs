//! What the world sees by itself, because it knows what really happened.
use hpo_core::{Event, sweep};
use hpo_driver::journal::Record;

use super::World;

impl World {
    /// A live worker is not declared dead for slowness alone: if it is, it was dead or out of reach.
    pub(super) fn look_at_loss(&mut self, record: &Record) {
        let Event::WorkerLost { worker } = record.event else { return };
        let lease = self.setup.options.lease_ms;
        // One that talks to a driver that is fenced off, and does not know it yet, is as out of reach as any.
        let elsewhere = |conn: Option<usize>| conn.is_some_and(|conn| Some(self.conns[conn].driver) != self.rendezvous);
        let innocent = self.workers.iter().find(|it| {
            let reachable = it.alive && !elsewhere(it.conn) && self.now.since(it.troubled) > lease + lease / 4;
            it.id == worker && reachable
        });
        if let Some(it) = innocent {
            self.fail(format!("worker {} was declared lost; it lives, and the last trouble with it was at {}", it.id, it.troubled));
        }
    }

    /// An attempt fails only if something made it fail: not because a machine was taken away, stood still, or was slow.
    pub(super) fn look_at_failure(&mut self, record: &Record) {
        let Event::Ended { trial, attempt, how: sweep::End::Failed { kind, message }, .. } = &record.event else { return };
        if !self.blamed.contains(&(*trial, *attempt)) {
            self.fail(format!("trial {trial} attempt {attempt} failed ({kind:?}: {message}), and nothing had happened to it"));
        }
    }
}
