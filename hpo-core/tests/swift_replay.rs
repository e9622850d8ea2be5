//! What `swift` saves on real trainings: the 296 recorded curves of MLPF, drawn with replacement, under a virtual clock of
//! one epoch a tick and 12 slots. The curves are found by `HPO_DATA_DIR`, else in `../shared/data` beside the workspace.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads its data, and fails if it cannot; the package does no I/O"
)]
use std::collections::BTreeMap;
use std::path::PathBuf;

use hpo_core::schedule::{Anchor, Ladder, SchedulerSpec, Verdict, build};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::{Loss, Params, Resource, Seed, Space, TrialId, Value};
use rand::RngExt;

const SEEDS: u64 = 300;
const SLOTS: usize = 12;

/// Recorded trainings: params, and the loss after each epoch.
struct Recorded {
    space: Space,
    trials: Vec<(Params, Vec<f64>)>,
}

fn recorded() -> Option<Recorded> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let path = std::env::var_os("HPO_DATA_DIR").map_or_else(beside, PathBuf::from).join("mlpf-curves/curves.csv");
    if !path.is_file() {
        let required = std::env::var_os("HPO_REQUIRE_DATA").is_some_and(|value| value == "1");
        assert!(!required, "{} is missing, and HPO_REQUIRE_DATA=1", path.display());
        eprintln!("SKIPPED: {} is missing; set HPO_DATA_DIR to the folder with the real data", path.display());
        return None;
    }
    let text = std::fs::read_to_string(path).unwrap();
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let params = names.iter().position(|name| name.starts_with("loss_")).unwrap();
    let rows: Vec<Vec<f64>> = text.lines().skip(1).map(|row| row.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    let domain = |column: usize| {
        let values = || rows.iter().map(move |row| row[column]);
        let fold = if ["lr", "weight_decay"].contains(&names[column]) { Fold::Log } else { Fold::Linear };
        Domain::Float { low: values().fold(f64::MAX, f64::min), high: values().fold(f64::MIN, f64::max), fold, step: None }
    };
    let parameter = |column: usize| Parameter { name: names[column].to_owned(), domain: domain(column), when: BTreeMap::new() };
    let space = Space::new((0..params).map(parameter).collect()).unwrap();
    let named = |row: &[f64]| names.iter().zip(row).map(|(name, &value)| ((*name).to_owned(), Value::Float(value))).collect();
    Some(Recorded { space, trials: rows.iter().map(|row| (named(&row[..params]), row[params..].to_vec())).collect() })
}

/// What a sweep came to.
struct Outcome {
    epochs: u64,
    best: f64,
}

/// All trials that the brackets want once. The draws are those of the seed, whatever the scheduler.
fn replay(spec: &SchedulerSpec, recorded: &Recorded, seed: Seed) -> Outcome {
    let trials = spec.one_pass().unwrap();
    let mut rule = build(spec, &recorded.space, Some(trials));
    let draw = |trial: u32| &recorded.trials[seed.derive("draw", trial.into()).rng().random_range(0..recorded.trials.len())];
    let mut outcome = Outcome { epochs: 0, best: f64::INFINITY };
    let mut targets = vec![];
    let mut trained = vec![0_u32; trials as usize];
    let mut slots = vec![None; SLOTS];
    loop {
        for slot in slots.iter_mut().filter(|slot| slot.is_none()) {
            let fresh = targets.len() as u32;
            if let Some(promotion) = rule.promote() {
                targets[promotion.trial.0 as usize] = promotion.to;
                *slot = Some(promotion.trial.0);
            } else if fresh < trials {
                targets.push(rule.enter(TrialId(fresh), &draw(fresh).0));
                *slot = Some(fresh);
            }
        }
        if targets.len() == trials as usize {
            rule.no_more();
        }
        if slots.iter().all(Option::is_none) {
            return outcome;
        }
        for slot in &mut slots {
            let Some(trial) = *slot else { continue };
            let epochs = &mut trained[trial as usize];
            let loss = draw(trial).1[*epochs as usize];
            *epochs += 1;
            outcome.epochs += 1;
            outcome.best = outcome.best.min(loss);
            let rung = targets[trial as usize];
            let verdict = rule.reported(TrialId(trial), Resource(*epochs), Loss::new(loss));
            if Resource(*epochs) == spec.ladder().resource(rung) {
                *slot = None;
                if rung < spec.ladder().top() {
                    rule.reached(rung, TrialId(trial), Loss::new(loss));
                }
            } else if verdict == Verdict::Stop {
                *slot = None;
            }
        }
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2])
}

#[test]
fn on_mlpf_swift_saves_five_to_nine_percent_of_hyperbands_epochs_at_the_same_best() {
    let Some(recorded) = recorded() else { return };
    let ladder = Ladder::anchored(Anchor::Top, Resource(1), Resource(100), 4).unwrap();
    let sweep = |spec: &SchedulerSpec| (0..SEEDS).map(|seed| replay(spec, &recorded, Seed(seed))).collect::<Vec<Outcome>>();
    let hyperband = sweep(&SchedulerSpec::Hyperband { ladder: ladder.clone() });
    let swift = sweep(&SchedulerSpec::Swift { ladder, decide_at: 0.5, margin: 1.0 });
    let epochs = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.epochs).sum::<u64>() as f64 / SEEDS as f64;
    let best = |outcomes: &[Outcome]| median(outcomes.iter().map(|outcome| outcome.best));
    let pairs = || hyperband.iter().zip(&swift);
    let worse = pairs().filter(|(hyperband, swift)| swift.best > hyperband.best).count();
    let lost = pairs().map(|(hyperband, swift)| swift.best - hyperband.best).sum::<f64>() / SEEDS as f64;
    let saved = 1.0 - epochs(&swift) / epochs(&hyperband);
    println!("hyperband: {:.1} epochs, median best {:.4}", epochs(&hyperband), best(&hyperband));
    println!("swift:     {:.1} epochs, median best {:.4}; saves {:.2} %", epochs(&swift), best(&swift), 100.0 * saved);
    println!("worse in {worse} of {SEEDS} sweeps, by {lost:.4} in the mean of all");
    assert!(hyperband.iter().all(|outcome| outcome.epochs == 1395));
    assert!((0.05..0.09).contains(&saved), "{saved}");
    assert!(best(&swift) <= best(&hyperband), "{} {}", best(&swift), best(&hyperband));
    // A hundredth of what two trainings of one configuration differ by (0.24 %).
    assert!(lost < 0.0024 * 442.0 / 100.0, "{lost}");
}
