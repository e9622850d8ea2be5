//! Which machines of a batch system fail whatever they are given: a GPU that is broken, a disk that is not mounted. Left alone,
//! such a machine eats trial after trial, for it is always the first to be free.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::WorkerId;
use hpo_core::sweep::event::{Allocation, End, FailureKind};
use hpo_wire::About;

/// So many failures in a row, none of which got as far as a report, while other machines train: then it is not the trials.
const STRIKES: u32 = 3;

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    home: BTreeMap<WorkerId, String>,
    /// In a row.
    failures: BTreeMap<String, u32>,
    /// Where anything was ever reported from.
    good: BTreeSet<String>,
}

impl Nodes {
    /// A worker runs in this task.
    pub(super) fn joined(&mut self, worker: WorkerId, allocation: &Allocation) {
        self.home.insert(worker, allocation.node.clone());
    }

    /// What a worker said about an attempt of its own. Answers the machine that is not to be used any more, if this shows it.
    pub(super) fn said(&mut self, worker: WorkerId, about: &About) -> Option<String> {
        let node = self.home.get(&worker)?;
        match about {
            About::Reported { .. } => {
                self.failures.remove(node);
                self.good.insert(node.clone());
                None
            }
            About::Ended(End::Failed { kind: FailureKind::Exit | FailureKind::Crash | FailureKind::Setup | FailureKind::Hang, .. }) => {
                let failures = self.failures.entry(node.clone()).or_default();
                *failures += 1;
                let others = self.good.iter().any(|good| good != node);
                (*failures >= STRIKES && others).then(|| node.clone())
            }
            _ => None,
        }
    }

    /// The workers on a machine.
    pub(super) fn workers(&self, node: &str) -> Vec<WorkerId> {
        self.home.iter().filter(|(_, home)| *home == node).map(|(&worker, _)| worker).collect()
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::{Metrics, Resource};

    use super::*;

    const GOOD: WorkerId = WorkerId(1);
    const BAD: WorkerId = WorkerId(2);

    fn nodes() -> Nodes {
        let mut nodes = Nodes::default();
        for (worker, node) in [(GOOD, "n1"), (BAD, "n2")] {
            nodes.joined(worker, &Allocation { job: "7_0".to_owned(), node: node.to_owned(), started_ms_ago: 0, ends_in_ms: None });
        }
        nodes
    }

    fn reported() -> About {
        About::Reported { resource: Resource(1), metrics: Metrics::default() }
    }

    fn failed(kind: FailureKind) -> About {
        About::Ended(End::Failed { kind, message: String::new() })
    }

    #[test]
    fn a_machine_on_which_all_fails_while_another_trains_is_found_out() {
        let mut nodes = nodes();
        nodes.said(GOOD, &reported());
        let found: Vec<_> = (0..3).map(|_| nodes.said(BAD, &failed(FailureKind::Setup))).collect();
        assert_eq!(found, [None, None, Some("n2".to_owned())]);
        assert_eq!(nodes.workers("n2"), [BAD]);
    }

    #[test]
    fn neither_trials_that_fail_everywhere_nor_those_that_fail_now_and_then_accuse_a_machine() {
        let mut nodes = nodes();
        assert!((0..9).all(|_| nodes.said(BAD, &failed(FailureKind::Exit)).is_none()), "nobody has ever reported");
        nodes.said(GOOD, &reported());
        nodes.said(BAD, &reported());
        for _ in 0..9 {
            assert!((0..2).all(|_| nodes.said(BAD, &failed(FailureKind::Crash)).is_none()));
            nodes.said(BAD, &reported());
        }
        assert!((0..9).all(|_| nodes.said(BAD, &failed(FailureKind::NotFinite)).is_none()), "that is the trial's own");
        assert!((0..9).all(|_| nodes.said(WorkerId(3), &failed(FailureKind::Exit)).is_none()), "not in a batch system");
    }
}
