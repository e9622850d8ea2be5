//! Whatever chance does to a cluster, no judge finds fault with it.
use super::cluster::{Cluster, schedulers, spec, tell};
use crate::check::Panel;

/// How many seeds are played for each rule.
const SEEDS: u64 = 8;

#[test]
fn judges_accept_every_history_of_a_sound_sweep() {
    for (index, scheduler) in schedulers().into_iter().enumerate() {
        for seed in 0..SEEDS {
            let spec = spec(scheduler.clone(), 6 + (seed % 14) as u32);
            let cluster = Cluster::new(&spec, seed, 1 + (seed % 3) as usize, 4 + seed % 40);
            let mut panel = Panel::new(&cluster.premises());
            if let Err(violation) = tell(&mut panel, &cluster.play()) {
                panic!("scheduler {index} ({}), seed {seed}: {violation}", scheduler.name());
            }
        }
    }
}

#[test]
fn on_one_slot_without_faults_sweeps_are_the_loops_of_the_textbook() {
    for scheduler in schedulers() {
        for seed in 0..10 {
            let spec = spec(scheduler.clone(), 3 + 3 * seed as u32);
            let cluster = Cluster::new(&spec, seed, 1, 0);
            let mut panel = Panel::new(&cluster.premises());
            if let Err(violation) = tell(&mut panel, &cluster.play()) {
                panic!("{}, seed {seed}: {violation}", scheduler.name());
            }
        }
    }
}
