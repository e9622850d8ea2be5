//! The smallest clusters, in full.
use super::{Scope, explore};

#[test]
fn one_worker_and_one_crash_in_every_order() {
    for halving in [false, true] {
        let explored = explore(&Scope::of(1, 2, 1, halving)).unwrap_or_else(|found| panic!("{found}"));
        println!("halving {halving}: {explored:?}");
        assert!(explored.ends > 0 && explored.orders > 1000.0, "{explored:?}");
    }
}
