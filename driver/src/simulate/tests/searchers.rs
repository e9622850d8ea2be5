//! Models against chance: on recorded trainings of MLPF, where the data are, on a surrogate of LCBench, and on curves in closed form.
use hpo_searchers::{EvolutionOptions, GpOptions, Relation, TpeOptions};

use super::*;
use crate::config::{DATA_DIR, check_text};

const SEEDS: u64 = 20;

fn tpe() -> SearcherSpec {
    SearcherSpec::Tpe(TpeOptions::default())
}

fn gp_mf() -> SearcherSpec {
    SearcherSpec::GpMf(GpOptions::default(), Relation::default())
}

/// Seeds in which `searcher` is ahead of chance by `figure`, of which the smaller is better; ties are no evidence either way.
fn sign_test(setup: &Setup, searcher: SearcherSpec, figure: impl Fn(&Outcome) -> f64) -> (u64, u64) {
    let played = |searcher| play_all(&[Setup { searcher, ..setup.clone() }], Some(0..SEEDS), 2).unwrap().remove(0);
    let (ours, chance) = (played(searcher), played(SearcherSpec::Random));
    let pairs = || ours.iter().map(&figure).zip(chance.iter().map(&figure));
    (pairs().filter(|(ours, chance)| ours < chance).count() as u64, pairs().filter(|(ours, chance)| ours != chance).count() as u64)
}

/// Whether chance alone would have so many wins, or more, but once in twenty times.
fn significant((wins, pairs): (u64, u64)) -> bool {
    let choose = |wins: u64| (0..wins).map(|k| (pairs - k) as f64 / (k + 1) as f64).product::<f64>();
    (wins..=pairs).map(choose).sum::<f64>() / 2_f64.powi(pairs as i32) < 0.05
}

/// ASHA, sixteen workers at once, trials of very different cost.
fn with_asha_it_is_ahead(searcher: SearcherSpec) {
    let setup = setup(asha(1, TOP, 3), Some(150), SyntheticJob { noise: 0.0, crossing: 0.0, ..formula() }, Conditions::ideal(16));
    let (wins, pairs) = sign_test(&setup, searcher, |outcome| outcome.best.as_ref().unwrap().metric);
    assert!(significant((wins, pairs)), "ahead in {wins} of {pairs}");
}

/// Five sweeps of four workers each, on an OpenML task each, to the epochs of five full trainings of which chance has no more: the
/// best accuracy. Where there is no surrogate there is nothing to test.
#[cfg(feature = "surrogate")]
#[test]
fn it_is_ahead_of_chance_on_lcbench() {
    let Some(data) = hpo_tests::data("lcbench-surrogate/model.onnx") else { return };
    let data = data.ancestors().nth(2).unwrap().to_string_lossy().into_owned();
    let file = hpo_tests::root().join("configs/lcbench.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("max_trials = 100", "max_trials = 1000");
    let mut won = (0, 0);
    for task in ["3945", "7593", "34539", "126025", "126026"] {
        let text = text.replace("3945", task);
        let checked = check_text(&text, &file, &|name| (name == DATA_DIR).then(|| data.clone())).unwrap();
        let setup = open(&[checked], Some(4), Some(1000)).map_err(|(_, fault)| fault).unwrap().remove(0);
        let (wins, pairs) = sign_test(&setup, tpe(), |outcome| -outcome.best.as_ref().unwrap().metric);
        won = (won.0 + wins, won.1 + pairs);
    }
    assert!(significant(won), "ahead in {} of {}", won.0, won.1);
}

#[test]
fn with_asha_tpe_is_ahead_of_chance() {
    with_asha_it_is_ahead(tpe());
}

#[test]
fn with_asha_a_process_over_all_rungs_is_ahead_of_chance() {
    with_asha_it_is_ahead(gp_mf());
}

/// Resource until the best of the 296 rows is found: where there are no data there is nothing to test.
fn it_finds_the_best_recorded_training_sooner(searcher: SearcherSpec) {
    let Some(data) = hpo_tests::data("mlpf-curves/curves.csv") else { return };
    let data = data.ancestors().nth(2).unwrap().to_string_lossy().into_owned();
    let file = hpo_tests::root().join("configs/mlpf-replay.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("max_trials = 100", "max_trials = 296");
    let checked = check_text(&text, &file, &|name| (name == DATA_DIR).then(|| data.clone())).unwrap();
    let setup = open(&[checked], Some(12), Some(3000)).map_err(|(_, fault)| fault).unwrap().remove(0);
    let until_best = |outcome: &Outcome| outcome.reaches(442.134, Goal::Minimize);
    let (wins, pairs) = sign_test(&setup, searcher, until_best);
    assert!(significant((wins, pairs)), "sooner in {wins} of {pairs}");
}

#[test]
fn tpe_finds_the_best_recorded_training_sooner_than_chance() {
    it_finds_the_best_recorded_training_sooner(tpe());
}

#[test]
fn a_process_over_all_rungs_finds_the_best_recorded_training_sooner_than_chance() {
    it_finds_the_best_recorded_training_sooner(gp_mf());
}

#[test]
fn evolution_finds_the_best_recorded_training_sooner_than_chance() {
    it_finds_the_best_recorded_training_sooner(SearcherSpec::Evolution(EvolutionOptions::default()));
}
