//! Nothing is done before it is written: a lease that is sent, a trainer that begins, a state that is deleted, each has its
//! decision in the durable journal.
use std::collections::{BTreeMap, BTreeSet};

use hpo_driver::journal::Record;

use super::act::{Act, Leased, Of, Place, is_called};
use super::book::Book;
use super::{Fact, Judge, Stamp, Violation, refuse};

/// What the journal allows.
#[derive(Debug, Default)]
pub(super) struct Written {
    leases: BTreeMap<Of, Leased>,
    sent: BTreeSet<Of>,
    /// What the acts call the states that may be deleted.
    doomed: BTreeSet<String>,
    over: bool,
}

const NAME: &str = "written";

impl Written {
    fn sent(&mut self, of: Of, from: u32, until: u32, on: Place) -> Result<(), Violation> {
        self.sent.insert(of);
        let same = self.leases.get(&of).is_some_and(|lease| (lease.from, lease.until, lease.on) == (from, until, on));
        refuse(!same, NAME, || format!("a lease of {of} {from}..{until} on {on} is sent, and no such decision is durable"))
    }
}

impl Judge for Written {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        for act in Book::acts(record).unwrap_or_default() {
            match act {
                Act::Lease(lease) => drop(self.leases.insert(lease.of, lease)),
                Act::Forget { id, .. } => drop(self.doomed.insert(id)),
                Act::Finish(_) => self.over = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::LeaseSent { worker, held, from, until } => self.sent((*held).into(), from.0, until.0, Place::new(*worker, held.slot)),
            Fact::TrainingBegan { held, .. } => {
                let of = (*held).into();
                refuse(!self.sent.contains(&of), NAME, || format!("{of} trains, and nobody sent it"))
            }
            Fact::Removed { id } => {
                let allowed = self.over || self.doomed.iter().any(|doomed| is_called(doomed, id));
                refuse(!allowed, NAME, || format!("the state {id} is deleted, and no such decision is durable"))
            }
            _ => Ok(()),
        }
    }
}
