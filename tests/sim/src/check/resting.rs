//! Which workers in tasks of a batch system may be let go, and in which order: whoever ends tasks believes it.
//!
//! By the design: a task whose worker has a lease on any of its slots is let be, and so is a worker that came in no task: people
//! started it, and nobody but them ends it. Of the others those go first whose time ends first, since they are worth least to what may
//! still come; one that stays for ever goes last.
use std::collections::BTreeSet;

use hpo_core::WorkerId;

use super::act::Place;
use super::book::Book;
use super::{Violation, refuse};

const NAME: &str = "resting";

/// Whether those tasks may be let go that are `said` to, and first who is said to go first.
pub(super) fn look(line: u64, book: &Book, said: &[WorkerId]) -> Result<(), Violation> {
    let said: Vec<u32> = said.iter().map(|worker| Place::new(*worker, 0).worker).collect();
    let there: BTreeSet<u32> = book.slots.keys().map(|place| place.worker).collect();
    let trains = |worker: u32| book.slots.iter().any(|(place, slot)| place.worker == worker && slot.lease.is_some());
    let rests = |worker: u32| there.contains(&worker) && book.tasks.contains(&worker) && !trains(worker);
    let wrong = said.iter().find(|worker| !rests(**worker));
    refuse(wrong.is_some(), NAME, || format!("line {line}: worker {:08x} is in no task that may be let go", wrong.unwrap_or(&0)))?;
    let kept = there.iter().find(|worker| rests(**worker) && !said.contains(worker));
    refuse(kept.is_some(), NAME, || format!("line {line}: worker {:08x} trains nothing in its task", kept.unwrap_or(&0)))?;
    let early = said.windows(2).find(|pair| book.leaves(pair[0]) > book.leaves(pair[1]));
    refuse(early.is_some(), NAME, || format!("line {line}: of {early:08x?} the first goes first, and the other's time ends before"))
}
