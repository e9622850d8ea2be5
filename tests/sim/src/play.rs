//! One seed, played twice.
use std::panic::{AssertUnwindSafe, catch_unwind};

use hpo_core::Seed;

use crate::chance::Dice;
use crate::check::{Judge, Panel, Premises};
use crate::setup::Setup;
use crate::world::{Failure, Report, World};

/// Who judges a world.
pub type Bench = fn(&Premises) -> Vec<Box<dyn Judge>>;

/// Everyone who judges.
#[must_use]
pub fn judges(premises: &Premises) -> Vec<Box<dyn Judge>> {
    vec![Box::new(Panel::new(premises))]
}

/// A seed that breaks a promise.
#[derive(Debug, thiserror::Error)]
#[error("{why}\nreplay it with: cargo run -p hpo-sim -- --seed {seed} --trace")]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What it breaks.
    pub why: String,
}

/// Plays a seed twice, once before the judges: both must be alike to the byte, and neither may break a promise.
///
/// # Errors
/// What it breaks, and how to see it again.
pub fn play(seed: u64, bench: Bench) -> Result<Report, Broken> {
    let broken = |why: String| Broken { seed, why };
    let first = once(seed, bench, false).map_err(broken)?;
    let second = once(seed, |_| vec![], false).map_err(broken)?;
    if first == second { Ok(first) } else { Err(broken("played twice, it goes differently".to_owned())) }
}

/// Plays a seed once, and prints what happens if asked.
///
/// # Errors
/// What it breaks.
pub fn once(seed: u64, bench: Bench, print: bool) -> Result<Report, String> {
    let setup = Setup::of(seed);
    let world = move || -> Result<Report, Failure> {
        let premises = Premises {
            spec: setup.spec.clone(),
            faultless: setup.faults.none() && setup.odd.stride == 1 && setup.odd.huge.is_none(),
            heard: setup.faults.leave_everyone_heard(),
            slots: setup.workers.iter().map(|slots| usize::from(*slots)).sum(),
            slurm: setup.slurm.clone(),
        };
        let dice = Box::new(Dice::of(Seed(seed), "world"));
        World::new(setup, dice, bench(&premises), print).run()
    };
    match catch_unwind(AssertUnwindSafe(world)) {
        Ok(played) => played.map_err(|failure| failure.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("a panic: {}", text.unwrap_or("without words")))
        }
    }
}
