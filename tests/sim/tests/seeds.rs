//! Whole clusters with faults, one seed after the other.
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hpo_sim::play::{judges, once, play};
use hpo_sim::setup::Setup;
use hpo_sim::world::End;

/// How many fresh seeds are played, if `HPO_SIM_SEEDS` does not say.
const FRESH: u64 = 2_000;

/// Plays seeds on all cores; panics with the first that breaks a promise and the line that replays it.
fn play_all(seeds: &[u64]) {
    let next = AtomicU64::new(0);
    let broken = Mutex::new(vec![]);
    let work = || {
        while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            if let Err(why) = play(seed, judges) {
                broken.lock().expect("nobody panics with it").push(why);
                next.store(seeds.len() as u64, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut broken = broken.into_inner().expect("nobody panics with it");
    broken.sort_by_key(|broken| broken.seed);
    if let Some(broken) = broken.first() {
        panic!("seed {}: {broken}", broken.seed);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{text}`")))
}

#[test]
fn fresh_seeds_break_no_promise() {
    // Another stretch every second, unless a stretch is to be played again.
    let from = number("HPO_SIM_FROM").unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() << 20);
    let count = number("HPO_SIM_SEEDS").unwrap_or(FRESH);
    println!("the same again: HPO_SIM_FROM={from} HPO_SIM_SEEDS={count} cargo test -p hpo-sim --test seeds");
    play_all(&(from..from + count).collect::<Vec<_>>());
}

#[test]
fn every_found_seed_passes() {
    let text = include_str!("../seeds.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let seeds: Vec<u64> = lines
        .map(|line| {
            let (seed, sentence) = line.split_once(' ').unwrap_or_else(|| panic!("a seed without a sentence: {line}"));
            assert!(sentence.ends_with('.'), "{line}");
            seed.parse().unwrap_or_else(|_| panic!("no seed: {line}"))
        })
        .collect();
    assert!(!seeds.is_empty());
    play_all(&seeds);
}

#[test]
fn the_same_seeds_as_ever_break_no_promise() {
    play_all(&(1..=300).collect::<Vec<_>>());
}

#[test]
fn a_bit_that_turns_in_the_journal_is_refused_with_its_line() {
    let turned = (1..3_000).filter(|&seed| Setup::of(seed).faults.flip_pm > 100).take(100);
    let refused = turned.filter(|&seed| once(seed, judges, false).unwrap().end == End::Refused).count();
    assert!(refused >= 10, "{refused}");
}

#[test]
fn where_nothing_goes_wrong_one_driver_does_it_all() {
    let calm: Vec<u64> = (1..2_000).filter(|&seed| Setup::of(seed).faults.none()).take(50).collect();
    assert_eq!(calm.len(), 50);
    for seed in calm {
        let report = once(seed, judges, false).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert!(matches!(report.end, End::Finished(_)), "seed {seed}: {report:?}");
        assert_eq!(report.drivers, 1, "seed {seed}");
    }
}
