use hpo_core::job::Function;
use hpo_core::sweep::Outcome;
use hpo_core::{Loss, Resource};
use hpo_curves::synthetic::Landscape;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::*;
use crate::{Hints, SearcherSpec, TpeOptions, build};

const SEEDS: u64 = 40;

fn prior(values: &[(&str, f64)], confidence: Confidence) -> Prior {
    values.iter().map(|&(name, value)| (name.to_owned(), Belief { value: value.into(), confidence })).collect()
}

/// A minimum of Branin's function is at (pi, 2.275), where it is 0.397887; its worst corner is (-5, 0).
fn at(x: f64, y: f64, confidence: Confidence) -> Prior {
    prior(&[("x", x), ("y", y)], confidence)
}

/// The minimum of Hartmann's function, -3.32237, each coordinate missed by a tenth.
fn near_hartmann(confidence: Confidence) -> Prior {
    prior(&[("x0", 0.30), ("x1", 0.05), ("x2", 0.58), ("x3", 0.18), ("x4", 0.41), ("x5", 0.56)], confidence)
}

fn floats(values: &[(&str, f64, f64)]) -> Space {
    use hpo_core::space::{Domain, Fold, Parameter};
    let parameter = |&(name, low, high): &(&str, f64, f64)| Parameter {
        name: name.to_owned(),
        domain: Domain::Float { low, high, fold: Fold::Linear, step: None },
        when: Default::default(),
    };
    Space::new(values.iter().map(parameter).collect()).unwrap()
}

fn space() -> Space {
    floats(&[("x", -5.0, 10.0), ("y", 0.0, 15.0)])
}

fn space_of(function: Function) -> Space {
    match function {
        Function::Hartmann6 => floats(&["x0", "x1", "x2", "x3", "x4", "x5"].map(|name| (name, 0.0, 1.0))),
        _ => space(),
    }
}

/// The best loss after each of so many trials, one after the other.
fn search(function: Function, method: SearcherSpec, prior: Prior, seed: u64, count: u32) -> Vec<f64> {
    let spec = method.with_hints(Hints { prior, ..Hints::default() });
    let mut searcher = build(&spec, &space_of(function), Seed(seed)).unwrap();
    let mut best = f64::INFINITY;
    let one = |trial| {
        let params = searcher.suggest(TrialId(trial)).unwrap();
        searcher.begin(TrialId(trial), &params);
        let loss = function.loss(&params).unwrap();
        let outcome = Outcome::Loss { resource: Resource(1), loss: Loss::new(loss) };
        searcher.tell(&Observation { trial: TrialId(trial), params, outcome });
        best = best.min(loss);
        best
    };
    (0..count).map(one).collect()
}

/// Wins that chance alone would give once in a hundred times (sign test; Arbuthnot 1710).
fn significant(wins: u64) -> bool {
    Binomial::new(0.5, SEEDS).unwrap().sf(wins.saturating_sub(1)) < 0.01
}

fn wins(method: &SearcherSpec, prior: &Prior, count: u32) -> u64 {
    let last = |prior: &Prior, seed| search(Function::Hartmann6, method.clone(), prior.clone(), seed, count)[count as usize - 1];
    (0..SEEDS).filter(|&seed| last(prior, seed) < last(&Prior::new(), seed)).count() as u64
}

fn methods() -> [SearcherSpec; 2] {
    [SearcherSpec::Random, SearcherSpec::Tpe(TpeOptions::default())]
}

/// Near the minimum, not at it, and believed with medium confidence.
#[test]
fn a_good_prior_helps() {
    for method in methods() {
        let wins = wins(&method, &near_hartmann(Confidence::Medium), 30);
        assert!(significant(wins), "{}: better in {wins} of {SEEDS}", method.name());
    }
}

/// The worst corner, believed with high confidence: after a hundred trials the median regret is no more than twice that
/// without a prior, though after ten it is far behind.
#[test]
fn a_wrong_prior_is_recovered_from() {
    for method in methods() {
        let wrong = at(-4.5, 0.5, Confidence::High);
        let median = |prior: &Prior, after: usize| {
            let mut all: Vec<f64> =
                (0..SEEDS).map(|seed| search(Function::Branin, method.clone(), prior.clone(), seed, 100)[after - 1] - 0.397_887).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let (misled, free) = (median(&wrong, 100), median(&Prior::new(), 100));
        assert!(misled < 2.0 * free, "{}: {misled} and {free}", method.name());
        let (misled, free) = (median(&wrong, 5), median(&Prior::new(), 5));
        assert!(misled > free, "{}: the test's prior is wrong: {misled} and {free}", method.name());
    }
}

#[test]
fn the_first_proposal_is_the_middle_and_a_belief_outside_is_refused() {
    let guided = |prior: &Prior| Guided::new(&space(), Seed(1), prior, 0, Box::new(crate::Random::new(space(), Seed(1))));
    let middle = guided(&at(4.0, 3.0, Confidence::Low)).unwrap().suggest(TrialId(0)).unwrap();
    assert_eq!((&middle["x"], &middle["y"]), (&4.0.into(), &3.0.into()));
    let fault = guided(&at(40.0, 3.0, Confidence::Low)).err().unwrap();
    assert_eq!(fault, PartialFault::Outside { name: "x".to_owned(), value: 40.0.into() });
}

/// Two known points, both told of or still pending when the third trial is asked for; one of them may be the middle itself.
#[test]
fn after_known_points_the_first_proposal_is_the_middle_unless_it_is_one_of_them() {
    let point = |x: f64, y: f64| -> Params { [("x".to_owned(), x.into()), ("y".to_owned(), y.into())].into() };
    let (middle, others) = (point(4.0, 3.0), [point(1.0, 1.0), point(2.0, 2.0)]);
    for (second, told) in [(&others[1], true), (&others[1], false), (&middle, true), (&middle, false), (&others[0], true)] {
        let seed_trials = vec![others[0].clone().into_iter().collect(), second.clone().into_iter().collect()];
        let hints = Hints { prior: at(4.0, 3.0, Confidence::Low), seed_trials, ..Hints::default() };
        let mut searcher = build(&SearcherSpec::Random.with_hints(hints), &space(), Seed(1)).unwrap();
        let mut proposed = vec![];
        for trial in (0..6).map(TrialId) {
            let params = searcher.suggest(trial).unwrap();
            searcher.begin(trial, &params);
            if told {
                let outcome = Outcome::Loss { resource: Resource(1), loss: Loss::new(f64::from(trial.0)) };
                searcher.tell(&Observation { trial, params: params.clone(), outcome });
            }
            proposed.push(params);
        }
        assert_eq!(proposed.iter().filter(|params| **params == middle).count(), 1, "once: {proposed:?}");
        let known = if *second == others[0] { 1 } else { 2 };
        assert!(proposed[..=known].contains(&middle), "before anything else: {proposed:?}");
    }
}

/// The good trials are far from what is believed: the prior's share goes to the incumbent.
#[test]
fn evidence_against_the_prior_takes_its_share() {
    let near = |x: f64| {
        let inner = Box::new(crate::Random::new(space(), Seed(1)));
        let mut guided = Guided::new(&space(), Seed(1), &at(-4.5, 14.5, Confidence::High), 0, inner).unwrap();
        for trial in 0..12 {
            let value = x + f64::from(trial) * 0.01;
            let params: Params = [("x".to_owned(), value.into()), ("y".to_owned(), 2.0.into())].into();
            guided.begin(TrialId(trial), &params);
            let outcome = Outcome::Loss { resource: Resource(1), loss: Loss::new(f64::from(trial)) };
            guided.tell(&Observation { trial: TrialId(trial), params, outcome });
        }
        let mut rng = Seed(2).rng();
        (0..400).filter(|_| guided.guided(&mut rng)["y"].number().unwrap() > 11.0).count()
    };
    assert!(near(8.0) < 8, "of 400 drawn where the prior is: {}", near(8.0));
}

/// Believed between two points of the grid, and one of the trials that are known beforehand is off it.
#[test]
fn a_prior_over_a_grid_says_which_of_its_points_come_first_and_adds_none() {
    use crate::{Grid, GridOptions};
    let space = space();
    let options = GridOptions { points: [("x".to_owned(), 4), ("y".to_owned(), 4)].into() };
    let grid = Grid::new(&space, &options).unwrap();
    let known: BTreeMap<String, Value> = [("x".to_owned(), 3.3.into()), ("y".to_owned(), 3.3.into())].into();
    for (seed, seed_trials) in (0..8).flat_map(|seed| [(seed, vec![]), (seed, vec![known.clone()])]) {
        let others = seed_trials.len();
        let hints = Hints { prior: at(-4.0, 14.0, Confidence::High), seed_trials, ..Hints::default() };
        let spec = SearcherSpec::Grid(options.clone()).with_hints(hints);
        let mut searcher = build(&spec, &space, Seed(seed)).unwrap();
        let mut proposed: Vec<Params> = vec![];
        while let Ok(params) = searcher.suggest(TrialId(proposed.len() as u32)) {
            let trial = TrialId(proposed.len() as u32);
            searcher.begin(trial, &params);
            let outcome = Outcome::Loss { resource: Resource(1), loss: Loss::new(f64::from(trial.0)) };
            searcher.tell(&Observation { trial, params: params.clone(), outcome });
            assert!(!proposed.contains(&params), "{params:?} comes twice");
            proposed.push(params);
        }
        assert_eq!(Some(proposed.len()), spec.points(&space), "as many as were promised");
        let on_grid = proposed.iter().filter(|params| grid.space().contains(params).is_ok()).count();
        assert_eq!((on_grid, proposed.len() - on_grid), (16, others));
        if others == 0 {
            assert_eq!((&proposed[0]["x"], &proposed[0]["y"]), (&(-5.0).into(), &15.0.into()), "the point nearest to what is believed");
        }
    }
}
