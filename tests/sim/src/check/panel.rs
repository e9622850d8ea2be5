//! All judges of one world.
use hpo_core::{Stamp, Sweep};
use hpo_driver::journal::Record;

use super::budget::Spent;
use super::jobs::Jobs;
use super::ledger::Ledger;
use super::mirror::Mirror;
use super::newest::Newest;
use super::nodes::Nodes;
use super::once::Once;
use super::order::Order;
use super::repeated::Repeated;
use super::replay::Replay;
use super::sense::Sense;
use super::silence::Silence;
use super::slots::Slots;
use super::states::States;
use super::textbook::Textbook;
use super::throttle::Throttle;
use super::written::Written;
use super::{Fact, Judge, Last, Premises, Violation};

/// Hears everything and tells every judge.
pub struct Panel {
    replay: Replay,
    judges: Vec<Box<dyn Judge>>,
}

impl Panel {
    /// All judges for such a world.
    #[must_use]
    pub fn new(premises: &Premises) -> Self {
        let spec = &premises.spec;
        let mut judges: Vec<Box<dyn Judge>> = vec![
            Box::new(Once::new(spec)),
            Box::new(Newest::new(spec)),
            Box::new(Sense::new(spec)),
            Box::new(Written::default()),
            Box::new(Slots::new(spec)),
            Box::new(Spent::new(premises)),
            Box::new(Order::new(spec)),
            Box::new(States::new(spec)),
            Box::new(Ledger::new(spec)),
            Box::new(Mirror::new(spec)),
            Box::new(Repeated::new(spec)),
            Box::new(Silence::new(premises)),
        ];
        judges.extend(Jobs::new(premises).map(|jobs| Box::new(jobs) as Box<dyn Judge>));
        judges.extend(Throttle::new(premises).map(|throttle| Box::new(throttle) as Box<dyn Judge>));
        judges.extend(Nodes::new(premises).map(|nodes| Box::new(nodes) as Box<dyn Judge>));
        if premises.faultless && premises.slots == 1 && premises.slurm.is_none() {
            judges.extend(Textbook::new(spec).map(|textbook| Box::new(textbook) as Box<dyn Judge>));
        }
        Self { replay: Replay::new(spec), judges }
    }
}

impl Judge for Panel {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        self.judges.iter_mut().try_for_each(|judge| judge.record(record))?;
        self.replay.record(record)?;
        let sweep = self.replay.sweep();
        self.judges.iter_mut().try_for_each(|judge| judge.replayed(record.seq, sweep))
    }

    fn fact(&mut self, at: Stamp, fact: &Fact) -> Result<(), Violation> {
        self.replay.fact(at, fact)?;
        self.judges.iter_mut().try_for_each(|judge| judge.fact(at, fact))
    }

    fn settled(&mut self, at: Stamp, records: u64, sweep: &Sweep) -> Result<(), Violation> {
        self.replay.settled(at, records, sweep)?;
        self.judges.iter_mut().try_for_each(|judge| judge.settled(at, records, sweep))
    }

    fn end(&mut self, last: &Last) -> Result<(), Violation> {
        self.replay.end(last)?;
        self.judges.iter_mut().try_for_each(|judge| judge.end(last))
    }
}
