//! A node on which nothing starts is set aside as soon as that can be known, and no other is. Looked at where that is all that is
//! wrong: elsewhere old and torn answers, refusals and other drivers make it a matter of luck.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Event, WorkerId};
use hpo_driver::journal::Record;

use super::{Fact, Judge, Premises, Stamp, Violation, refuse};

/// What the newest driver can know.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Starts that came to nothing: where, and how often the queue was asked for since.
    failed: Vec<(String, u32)>,
    /// Workers that have joined and live: where, and how often the queue was asked for since.
    joined: BTreeMap<WorkerId, (String, u32)>,
    /// Where a worker was seen to work.
    good: BTreeSet<String>,
    /// Where some start ever came to nothing.
    ever: BTreeSet<String>,
}

const NAME: &str = "nodes";
/// After so many starts in vain a node is set aside.
const STRIKES: usize = 2;
/// What happened before the last look but one was seen in the answer to that.
const SEEN: u32 = 2;

impl Nodes {
    /// Nothing has begun; `None` where something else is wrong than a node.
    #[must_use]
    pub(super) fn new(premises: &Premises) -> Option<Self> {
        premises.slurm.as_ref().filter(|cluster| cluster.only_bad_node).map(|_| Self::default())
    }

    fn looks(&mut self) {
        self.failed.iter_mut().for_each(|(_, looks)| *looks += 1);
        for (node, looks) in self.joined.values_mut() {
            *looks += 1;
            if *looks >= SEEN {
                self.good.insert(node.clone());
            }
        }
    }

    fn asks(&self, epoch: u32, exclude: &[String]) -> Result<(), Violation> {
        let wronged = exclude.iter().find(|node| !self.ever.contains(*node));
        refuse(wronged.is_some(), NAME, || format!("driver {epoch} sets {wronged:?} aside, where no start was in vain"))?;
        let strikes = |node: &String| self.failed.iter().filter(|(at, looks)| at == node && *looks >= SEEN).count();
        let bad: BTreeSet<&String> = self.ever.iter().filter(|node| strikes(node) >= STRIKES).collect();
        // If nothing starts anywhere, it is no node's fault.
        let works = self.good.iter().any(|node| !bad.contains(node));
        let spared = bad.into_iter().find(|node| works && !exclude.contains(node));
        refuse(spared.is_some(), NAME, || format!("driver {epoch} asks for tasks on {spared:?} too, where every start was in vain"))
    }
}

impl Judge for Nodes {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        if let Event::WorkerJoined { worker, allocation: Some(allocation), .. } = &record.event {
            // It is mended.
            self.failed.retain(|(node, _)| *node != allocation.node);
            self.joined.entry(*worker).or_insert((allocation.node.clone(), 0));
        }
        Ok(())
    }

    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            // It begins to count anew.
            Fact::DriverBorn { .. } => *self = Self { ever: std::mem::take(&mut self.ever), ..Self::default() },
            Fact::StartFailed { node } => {
                self.ever.insert(node.clone());
                self.failed.push((node.clone(), 0));
            }
            Fact::WorkerDied { worker } => drop(self.joined.remove(worker)),
            Fact::Looked { .. } => self.looks(),
            Fact::Asked { epoch, exclude, .. } => return self.asks(*epoch, exclude),
            _ => {}
        }
        Ok(())
    }
}
