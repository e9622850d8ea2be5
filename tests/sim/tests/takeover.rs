//! Drivers that take over from each other in a real folder, in orders of chance.
use hpo_sim::takeover::{Told, folder, play};

#[test]
fn whatever_was_acted_upon_is_in_the_journal_of_the_last_driver() {
    let count = std::env::var("HPO_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let mut all = Told::default();
    for seed in 1..=count {
        let folder = folder().unwrap();
        let told = play(seed, folder.path()).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        all.drivers += told.drivers;
        all.acted += told.acted;
        all.fenced += told.fenced;
        all.copies += told.copies;
    }
    println!("{count} seeds: {all:?}");
    // It is tried: many drivers come, many are fenced off, and many go on in a copy.
    assert!(all.drivers > 4 * count as usize && all.fenced > count as usize && all.copies > count as usize, "{all:?}");
}
