//! No state is deleted that may still be needed, and at the end none is left but those of the best.
//!
//! What must remain, in words. Of a trial that may run again (it waits, runs, or is paused and may be promoted) the newest
//! state and the one before it, for the newest may turn out damaged; one that could not be used remains until there is a
//! newer one. Of a trial that will not run again nothing, unless it is among the best three by any report: of such a one
//! the newest state. When the sweep has ended, only these are left.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::sweep::event::{End, FailureKind};
use hpo_core::{Event, SweepSpec, TrialId};
use hpo_driver::journal::Record;

use super::act::{Act, is_called};
use super::book::{Book, Life, Phase, Row, Saved};
use super::mirror::KEPT;
use super::{Fact, Judge, Last, Stamp, Violation, refuse};

/// Who needs which state.
#[derive(Debug)]
pub(super) struct States {
    book: Book,
    /// States that we have deleted and nobody has stored again.
    removed: BTreeSet<String>,
    /// States that the world has damaged.
    damaged: BTreeSet<String>,
    /// States that came when the sweep was over and its last driver had left, as FORMAT.md allows: of a worker that nobody could
    /// tell. An earlier driver that still sleeps deletes nothing.
    late: BTreeSet<String>,
    /// Epochs of the drivers that live.
    drivers: BTreeSet<u32>,
    /// Paused trials whose states were let go: nobody may promote them.
    hopeless: BTreeSet<TrialId>,
    /// States that were in the journal when the attempt was leased that is to read them.
    asked_for: BTreeMap<TrialId, String>,
}

const NAME: &str = "states";

impl States {
    /// There are none.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self {
            book: Book::new(spec),
            removed: BTreeSet::new(),
            damaged: BTreeSet::new(),
            late: BTreeSet::new(),
            drivers: BTreeSet::new(),
            hopeless: BTreeSet::new(),
            asked_for: BTreeMap::new(),
        }
    }

    fn leaders(&self) -> Vec<TrialId> {
        self.book.best(KEPT).into_iter().map(|(_, leader)| leader).collect()
    }

    fn leads(&self, trial: TrialId) -> bool {
        self.leaders().contains(&trial)
    }

    /// Of a trial that may run again neither the newest state goes nor the one before it.
    fn forget(&mut self, line: u64, trial: TrialId, resource: u32, id: &str) -> Result<(), Violation> {
        let Some(row) = self.book.trials.get(&trial) else { return Ok(()) };
        if self.book.phase == Phase::Finished || row.life.is_over() && !self.leads(trial) {
            return Ok(());
        }
        let same = |state: &Saved| state.resource == resource && is_called(id, &state.id);
        let usable: Vec<_> = row.states.iter().rev().filter(|state| !state.suspect).collect();
        let newest = usable.first().is_some_and(|state| same(state));
        let second = usable.get(1).is_some_and(|state| same(state));
        if row.life == Life::Paused && (second || newest && !self.leads(trial)) {
            self.hopeless.insert(trial);
            return Ok(());
        }
        refuse(newest, NAME, || format!("line {line}: the newest state of trial {trial} is deleted, and it is {:?}", row.life))?;
        let second = second && !row.life.is_over();
        refuse(second, NAME, || format!("line {line}: of trial {trial} no state is left but the newest, and it is {:?}", row.life))
    }

    /// Of a trial that will not run again nothing stays, but the newest state of one of the best.
    fn nothing_too_many(&self, line: u64) -> Result<(), Violation> {
        let leaders = self.leaders();
        for (trial, row) in &self.book.trials {
            let (over, leads) = (row.life.is_over(), leaders.contains(trial));
            let most = match (over, leads) {
                (true, false) => 0,
                (true, true) => 1,
                (false, _) => 2 + row.states.iter().filter(|state| state.suspect).count(),
            };
            let kept = row.states.len();
            refuse(kept > most, NAME, || {
                format!("line {line}: trial {trial} is {:?} and keeps {kept} states: {:?}", row.life, row.states)
            })?;
        }
        Ok(())
    }

    /// Whoever says that a state was bad must have had a bad one, and not one that we deleted.
    fn unusable(&self, record: &Record) -> Result<(), Violation> {
        let Event::Ended { trial, how: End::Failed { kind: FailureKind::Checkpoint, message }, .. } = &record.event else { return Ok(()) };
        let Some(id) = self.asked_for.get(trial) else { return Ok(()) };
        let ours = self.removed.contains(id) && !self.damaged.contains(id);
        refuse(ours, NAME, || format!("line {}: trial {trial} needs the state {id}, which we deleted: {message}", record.seq))
    }

    fn leased(&mut self, line: u64, trial: TrialId) -> Result<(), Violation> {
        let Some(row) = self.book.trials.get(&trial) else { return Ok(()) };
        refuse(self.hopeless.contains(&trial), NAME, || format!("line {line}: trial {trial} goes on, and its states were let go"))?;
        match row.newest() {
            Some(state) => drop(self.asked_for.insert(trial, state.id.clone())),
            None => drop(self.asked_for.remove(&trial)),
        }
        Ok(())
    }
}

impl Judge for States {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let line = record.seq;
        self.unusable(record)?;
        let acts = Book::acts(record).unwrap_or_default();
        self.book.event(record, &acts);
        // A rule's stop comes before what follows from it.
        for act in acts.iter().filter(|act| matches!(act, Act::Stop(..) | Act::Finish(_))) {
            self.book.act(act);
        }
        for act in acts.iter().filter(|act| !matches!(act, Act::Stop(..) | Act::Finish(_))) {
            match act {
                Act::Forget { trial, resource, id } => self.forget(line, *trial, *resource, id)?,
                Act::Lease(lease) if !self.book.is_open(lease.of, lease.on) => self.leased(line, lease.of.trial)?,
                _ => {}
            }
            self.book.act(act);
        }
        self.nothing_too_many(line)
    }

    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::DriverBorn { epoch } => drop(self.drivers.insert(*epoch)),
            Fact::DriverDied { epoch } => drop(self.drivers.remove(epoch)),
            Fact::Stored { id, .. } => {
                self.removed.remove(id);
                if self.book.phase == Phase::Finished && !self.drivers.contains(&self.book.epoch) {
                    self.late.insert(id.clone());
                }
            }
            Fact::Damaged { id } => drop(self.damaged.insert(id.clone())),
            Fact::Removed { id } => {
                self.removed.insert(id.clone());
                let needs = |row: &Row| row.states.iter().any(|state| state.id == *id);
                let who = self.book.trials.iter().find(|(_, row)| needs(row)).map(|(trial, _)| *trial);
                return refuse(who.is_some(), NAME, || format!("the state {id} is deleted, and trial {who:?} needs it"));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, last: &Last) -> Result<(), Violation> {
        let leaders = self.book.best(KEPT).into_iter();
        let kept: BTreeSet<&str> = leaders.filter_map(|(_, trial)| Some(self.book.trials.get(&trial)?.newest()?.id.as_str())).collect();
        let store: BTreeSet<&str> = last.store.iter().map(String::as_str).collect();
        let missing: Vec<&&str> = kept.difference(&store).filter(|id| !self.damaged.contains(**id)).collect();
        let left: Vec<&&str> = store.difference(&kept).filter(|id| !self.late.contains(**id)).collect();
        refuse(!missing.is_empty(), NAME, || format!("at the end the best have lost their states {missing:?}"))?;
        refuse(!left.is_empty(), NAME, || format!("at the end nobody needs the states {left:?}, and they are there"))
    }
}
