use hpo_core::Value;
use hpo_core::job::Function;
use hpo_core::space::{Domain, Fold, Parameter, Pool};
use hpo_curves::synthetic::Landscape;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::*;
use crate::{Hints, TpeOptions};

const SEEDS: u64 = 40;

fn space() -> Space {
    let parameter = |name: &str, low, high| Parameter {
        name: name.to_owned(),
        domain: Domain::Float { low, high, fold: Fold::Linear, step: None },
        when: Default::default(),
    };
    Space::new(vec![parameter("x", -5.0, 10.0), parameter("y", 0.0, 15.0)]).unwrap()
}

fn tpe() -> SearcherSpec {
    SearcherSpec::Tpe(TpeOptions::default())
}

/// Sixty trials by chance of a task whose losses are `task` of Branin's.
fn past(seed: u64, task: impl Fn(f64) -> f64) -> Vec<PastTrial> {
    let random = crate::Random::new(space(), Seed(1000 + seed));
    let points: Vec<Params> = (0..60).map(|trial| random.suggest(TrialId(trial)).unwrap()).collect();
    let best: Vec<Best> = points.iter().map(|params| (Resource(9), Loss::new(task(Function::Branin.loss(params).unwrap())))).collect();
    points.into_iter().zip(scores(&best)).map(|(params, score)| PastTrial { params, score: Some(score) }).collect()
}

fn search(past: Vec<PastTrial>, seed: u64, count: u32) -> f64 {
    let spec = SearcherSpec::Hinted { method: Box::new(tpe()), hints: Hints { past, ..Hints::default() } };
    let mut searcher = build(&spec, &space(), Seed(seed)).unwrap();
    let mut best = f64::INFINITY;
    for trial in (0..count).map(TrialId) {
        let params = searcher.suggest(trial).unwrap();
        searcher.begin(trial, &params);
        let loss = Function::Branin.loss(&params).unwrap();
        best = best.min(loss);
        searcher.tell(&Observation { trial, params, outcome: Outcome::Loss { resource: Resource(1), loss: Loss::new(loss) } });
    }
    best
}

fn significant(wins: usize) -> bool {
    Binomial::new(0.5, SEEDS).unwrap().sf(wins.saturating_sub(1) as u64) < 0.01
}

/// The same task in thousands and upside up: a sweep that knows the past is ahead after fifteen trials.
#[test]
fn a_past_on_another_scale_helps() {
    let wins = (0..SEEDS).filter(|&seed| search(past(seed, |loss| 1e6 + 1e3 * loss), seed, 15) < search(vec![], seed, 15)).count();
    assert!(significant(wins), "better in {wins} of {SEEDS}");
}

/// The past of the opposite task costs no more than the trials while it was believed.
#[test]
fn a_past_that_misleads_is_forgotten() {
    let median = |past: &dyn Fn(u64) -> Vec<PastTrial>, count: u32| {
        let mut all: Vec<f64> = (0..SEEDS).map(|seed| search(past(seed), seed, count) - 0.397_887).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let spent = (COOL + AGAIN) as u32;
    let (misled, free) = (median(&|seed| past(seed, |loss| -loss), 100), median(&|_| vec![], 100 - spent));
    assert!(misled < 1.5 * free, "{misled} and {free}");
}

#[test]
fn who_came_further_scores_better_and_losses_count_by_rank_alone() {
    let best =
        [(Resource(1), Loss::new(0.1)), (Resource(9), Loss::new(500.0)), (Resource(1), Loss::new(0.2)), (Resource(9), Loss::new(3.0))];
    let scores = scores(&best);
    let mut order = [0, 1, 2, 3];
    order.sort_by(|&one, &other| scores[one].total_cmp(&scores[other]));
    assert_eq!(order, [3, 1, 0, 2]);
    assert!((scores[3] + scores[2]).abs() < 1e-12 && (scores[3] + 1.1503).abs() < 1e-3, "{scores:?}");
}

#[test]
fn the_best_of_the_past_are_tried_again_first_and_a_small_pool_is_used_up() {
    let cells: Vec<Vec<String>> = (0..12).map(|row| vec![row.to_string()]).collect();
    let pool = Space::from(Pool::of_text(vec!["n".to_owned()], &cells).unwrap());
    let past: Vec<PastTrial> = (0..12).map(|row| PastTrial { params: pool.point(row).unwrap(), score: Some(-(row as f64)) }).collect();
    let mut warm = Warm::new(&pool, Seed(1), tpe(), &past).unwrap();
    let mut seen = vec![];
    for trial in (0..12).map(TrialId) {
        let params = warm.suggest(trial).unwrap();
        warm.begin(trial, &params);
        seen.push(params["row"].clone());
    }
    assert_eq!(seen[..3], [11, 10, 9].map(Value::Int));
    assert_eq!(warm.suggest(TrialId(12)), Err(SuggestFault::Exhausted));
}

#[test]
fn a_long_past_is_thinned_evenly_and_keeps_its_best() {
    let trial = |score: f64| PastTrial { params: Params::new(), score: Some(score) };
    let few = thinned((0..1000).rev().map(f64::from).map(trial).collect(), 100);
    assert_eq!((few.len(), few[0].score, few[50].score), (100, Some(0.0), Some(500.0)));
    assert_eq!(thinned(vec![trial(1.0)], 100).len(), 1);
}
