//! Nodes that are set aside wrongly, or not.
use hpo_core::{Event, Stamp};

use super::jobs::cluster_premises;
use super::{Told, fact, joined, leaves_in, line, refused, worker};
use crate::check::Fact;
use crate::check::nodes::Nodes;
use crate::check::tests::cluster::tell;

pub(super) const ALL: &[fn()] = &[a_node_on_which_nothing_starts_is_set_aside_and_no_other];

fn judge() -> Nodes {
    Nodes::new(&cluster_premises()).unwrap()
}

fn looked() -> Told {
    fact(Fact::Looked { epoch: 1, ending: false })
}

fn failed(node: &str) -> Told {
    fact(Fact::StartFailed { node: node.to_owned() })
}

fn asked(exclude: &[&str]) -> Told {
    fact(Fact::Asked { epoch: 1, tasks: 1, exclude: exclude.iter().map(|node| (*node).to_owned()).collect() })
}

#[test]
fn a_node_on_which_nothing_starts_is_set_aside_and_no_other() {
    // A worker on n1 works, two starts on n2 were in vain, and both have been seen.
    let known = [line(leaves_in(joined(1, 1, &[]), 60_000), &[]), failed("n2"), failed("n2"), looked(), looked()];
    let told = |more: &[Told]| [&known[..], more].concat();
    assert_eq!(tell(&mut judge(), &told(&[asked(&["n2"])])), Ok(()));
    refused(judge(), &told(&[asked(&[])]), "asks for tasks on Some(\"n2\") too, where every start was in vain");
    refused(judge(), &told(&[asked(&["n1"])]), "sets Some(\"n1\") aside, where no start was in vain");
    // Nobody can know it yet, it was mended, nothing is known to start elsewhere, or another driver begins to count.
    assert_eq!(tell(&mut judge(), &[&known[..4], &[asked(&[])]].concat()), Ok(()));
    let mut mended = leaves_in(joined(2, 1, &[]), 60_000);
    if let Event::WorkerJoined { allocation: Some(allocation), .. } = &mut mended {
        allocation.node = "n2".to_owned();
    }
    assert_eq!(tell(&mut judge(), &told(&[line(mended, &[]), asked(&[])])), Ok(()));
    let died = Told::Fact(Stamp(0), Fact::WorkerDied { worker: worker(1) });
    assert_eq!(tell(&mut judge(), &[&known[..3], &[died, looked(), looked(), asked(&[])]].concat()), Ok(()));
    assert_eq!(tell(&mut judge(), &told(&[fact(Fact::DriverBorn { epoch: 2 }), asked(&[])])), Ok(()));
}
