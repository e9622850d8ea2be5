//! The smallest clusters, in full. `hpo-sim --exhaust` plays larger ones.
use super::{Explored, Scope, explore};

fn all(workers: usize, trials: u32, crashes: u8, halving: bool) -> Explored {
    let explored = explore(&Scope::of(workers, trials, crashes, halving)).unwrap_or_else(|found| panic!("{found}"));
    println!("{workers} workers, {trials} trials, {crashes} crashes, halving {halving}: {explored:?}");
    explored
}

#[test]
fn two_workers_three_trials_two_rungs_and_a_crash_in_every_order() {
    let explored = all(2, 3, 1, false);
    assert!(explored.states > 500_000 && explored.orders > 1e34, "{explored:?}");
}

#[test]
fn rungs_that_wait_for_all_in_every_order() {
    let explored = all(2, 3, 1, true);
    assert!(explored.states > 200_000 && explored.orders > 1e27, "{explored:?}");
}
