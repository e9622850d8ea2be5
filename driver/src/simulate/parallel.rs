//! Many simulations at once.
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hpo_core::Seed;

use super::{Fault, Outcome, Setup, play};

/// Plays every sweep with every seed (None: each with its own), on `threads` threads. Answers the outcomes by sweep, then by seed, in order: the same
/// on any number of threads.
///
/// # Errors
/// The first fault in the order of seeds, then of sweeps, and the place of its sweep.
pub fn play_all(setups: &[Setup], seeds: Option<Range<u64>>, threads: usize) -> Result<Vec<Vec<Outcome>>, (usize, Fault)> {
    let rounds = seeds.as_ref().map_or(1, |seeds| seeds.end.saturating_sub(seeds.start) as usize);
    let count = rounds * setups.len();
    let next = AtomicUsize::new(0);
    // Sweeps of one seed follow each other: where they ask for the same curves, one finds what the other has left.
    let task = |place: usize| {
        let setup = place % setups.len();
        let seed = seeds.as_ref().map_or(setups[setup].spec.seed, |seeds| Seed(seeds.start + (place / setups.len()) as u64));
        (setup, seed)
    };
    let work = || {
        let mut done = vec![];
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return done;
            }
            let (setup, seed) = task(place);
            let played = play(&setups[setup], seed);
            let failed = played.is_err();
            done.push((place, played));
            if failed {
                // What comes after it in order is not wanted any more; what came before it is under way.
                next.store(count, Ordering::Relaxed);
            }
        }
    };
    let mut all: Vec<(usize, Result<Outcome, Fault>)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(count)).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(place, _)| *place);
    let mut outcomes: Vec<Vec<Outcome>> = setups.iter().map(|_| vec![]).collect();
    for (place, played) in all {
        let (setup, _) = task(place);
        outcomes[setup].push(played.map_err(|fault| (setup, fault))?);
    }
    Ok(outcomes)
}
