//! Sweeps of every kind, small.
use hpo_core::schedule::{Anchor, Brackets, Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::Budget;
use hpo_core::{Resource, Seed, Space, SweepSpec};

use super::{GOAL, patience};
use crate::chance::Chance;

/// How many kinds of schedulers there are.
pub const SCHEDULERS: usize = 9;

/// The sweep that chance draws.
///
/// # Panics
/// If a ladder, space or bracket here is none: a fault of this file.
pub fn spec(seed: Seed, chance: &mut dyn Chance) -> SweepSpec {
    let (least, most, eta) = [(1, 9, 3), (1, 4, 2), (1, 3, 3), (2, 8, 2), (1, 8, 2), (3, 3, 2)][chance.one_of("ladder", 6)];
    let scheduler = scheduler(seed, chance, least, most, eta);
    // One in 64 has more trials than the sweep holds in order; none of these is a found seed.
    let many = seed.0 % 64 == 5;
    let max_trials = chance.between("trials", (1, 16)) as u32 + if many { 80 } else { 0 };
    let mut budget = Budget { max_trials: Some(max_trials), ..Budget::default() };
    match chance.one_of("budget", 8) {
        0 => budget.wall = Some(chance.between("wall", (1_000, 120_000))),
        1 => budget.reserved = Some(chance.between("reserved", (1_000, 300_000))),
        2 => budget.target = Some(0.2),
        3 => budget.setup_failures = Some(2),
        4 if scheduler.pass(None).is_none() || seed.0 % 8 == 3 => {
            budget.max_trials = None;
            budget.wall = Some(chance.between("wall", (1_000, 30_000)));
        }
        _ => {}
    }
    let space = match chance.one_of("space", 4) {
        // Six points: with more trials than that the searcher has no more.
        0 => vec![parameter("depth", Domain::Int { low: 1, high: 6, fold: Fold::Linear, step: 1 })],
        _ => vec![parameter("lr", Domain::Float { low: 1e-4, high: 0.1, fold: Fold::Log, step: None })],
    };
    SweepSpec {
        name: "sim".to_owned(),
        seed,
        metric: "loss".to_owned(),
        goal: GOAL,
        space: Space::new(space).unwrap_or_else(|faults| panic!("{faults:?}")),
        scheduler,
        budget,
        patience: patience(seed),
    }
}

fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter { name: name.into(), domain, when: [].into() }
}

fn scheduler(seed: Seed, chance: &mut dyn Chance, least: u32, most: u32, eta: u32) -> SchedulerSpec {
    let anchored = |anchor| Ladder::anchored(anchor, Resource(least), Resource(most), eta).unwrap_or_else(|fault| panic!("{fault}"));
    let (ladder, top) = (anchored(Anchor::Bottom), anchored(Anchor::Top));
    match chance.one_of("scheduler", SCHEDULERS) {
        0 => SchedulerSpec::Fifo { ladder: Ladder::single(Resource(most)).unwrap_or_else(|fault| panic!("{fault}")) },
        1 => SchedulerSpec::Halving { ladder: top, bracket: (seed.0 % 16 == 3).then_some(5) },
        2 => SchedulerSpec::Hyperband { ladder: top },
        3 => SchedulerSpec::AshaPromote { ladder },
        4 => SchedulerSpec::AshaStop { ladder },
        5 => {
            // A bracket for each r eta^b up to R.
            let several = least * eta <= most;
            let weights = match (several, seed.0 % 4 == 1) {
                (true, true) => vec![3, 1],
                (several, _) => vec![2; 1 + usize::from(several)],
            };
            SchedulerSpec::HyperbandAsync(Brackets::weighted(ladder, weights).unwrap_or_else(|fault| panic!("{fault}")))
        }
        6 => SchedulerSpec::Pasha { ladder, epsilon: None },
        7 => SchedulerSpec::Median { ladder, min_trials: 2 },
        _ => SchedulerSpec::Swift { ladder: top, decide_at: 0.5, margin: 1.0 },
    }
}
