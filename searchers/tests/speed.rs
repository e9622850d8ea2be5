//! What a suggestion costs after a long history: far less than the training that it is for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_types, reason = "a stopwatch around a searcher, which itself reads no clock")]
use std::time::{Duration, Instant};

use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::{Loss, Params, Resource, Seed, Space, TrialId};
use hpo_searchers::{BohbOptions, GpOptions, Observation, Outcome, Random, Searcher, SearcherSpec, TpeOptions, build};

const TRIALS: u32 = 10_000;

/// The least that one of twenty suggestions may take. Code without optimisation is fifty times slower.
const LIMIT: Duration = if cfg!(debug_assertions) { Duration::from_millis(100) } else { Duration::from_millis(1) };

/// That of LCBench: three numbers on a log scale, two on a linear one, two whole ones.
fn space() -> Space {
    let float = |low, high, fold| Domain::Float { low, high, fold, step: None };
    let int = |low, high, fold| Domain::Int { low, high, fold, step: 1 };
    let domains = [
        ("batch_size", int(16, 512, Fold::Log)),
        ("learning_rate", float(1e-4, 1e-1, Fold::Log)),
        ("momentum", float(0.1, 0.99, Fold::Linear)),
        ("weight_decay", float(1e-5, 1e-1, Fold::Linear)),
        ("num_layers", int(1, 5, Fold::Linear)),
        ("max_units", int(64, 1024, Fold::Log)),
        ("max_dropout", float(0.0, 1.0, Fold::Linear)),
    ];
    let parameter = |(name, domain): (&str, Domain)| Parameter { name: name.to_owned(), domain, when: Default::default() };
    Space::new(domains.map(parameter).into()).unwrap()
}

/// A bowl.
fn loss(space: &Space, params: &Params) -> Loss {
    Loss::new(space.to_unit(params).unwrap().into_iter().flatten().map(|x| (x - 0.4) * (x - 0.4)).sum())
}

/// One that has been told of so many trials by chance.
fn told(spec: &SearcherSpec, trials: u32) -> Box<dyn Searcher> {
    let space = space();
    let mut searcher = build(spec, &space, Seed(1)).unwrap();
    let random = Random::new(space.clone(), Seed(2));
    for trial in (0..trials).map(TrialId) {
        let params = random.suggest(trial).unwrap();
        let loss = loss(&space, &params);
        searcher.begin(trial, &params);
        searcher.tell(&Observation { trial, params, outcome: Outcome::Loss { resource: Resource(1), loss } });
    }
    searcher
}

/// The quickest of twenty suggestions: what else the machine does is no matter of ours.
fn quickest(spec: &SearcherSpec) -> Duration {
    let searcher = told(spec, TRIALS);
    let time = |trial| {
        let start = Instant::now();
        searcher.suggest(TrialId(trial)).unwrap();
        start.elapsed()
    };
    (TRIALS..TRIALS + 20).map(time).min().unwrap()
}

#[test]
fn a_suggestion_after_ten_thousand_trials_takes_less_than_a_millisecond() {
    let searchers = [
        SearcherSpec::Random,
        SearcherSpec::Sobol,
        SearcherSpec::Tpe(TpeOptions::default()),
        SearcherSpec::Bohb(BohbOptions { random_share: 0.0, ..BohbOptions::default() }),
    ];
    for spec in searchers {
        let took = quickest(&spec);
        println!("{}: {took:?}", spec.name());
        assert!(took < LIMIT, "{}: {took:?} a suggestion", spec.name());
    }
}

/// Each suggestion comes after a new result, so that the update of the model is in it: the quickest of so many, and the mean. The
/// parameters are fitted before the first.
fn with_updates(spec: &SearcherSpec, trials: u32, count: u32) -> (Duration, Duration) {
    let space = space();
    let mut searcher = told(spec, trials);
    searcher.suggest(TrialId(trials)).unwrap();
    let mut took = vec![];
    for trial in (trials..trials + count).map(TrialId) {
        let start = Instant::now();
        let params = searcher.suggest(trial).unwrap();
        took.push(start.elapsed());
        let loss = loss(&space, &params);
        searcher.begin(trial, &params);
        searcher.tell(&Observation { trial, params, outcome: Outcome::Loss { resource: Resource(1), loss } });
    }
    (*took.iter().min().unwrap(), took.iter().sum::<Duration>() / count)
}

#[test]
fn a_gaussian_process_of_a_thousand_trials_proposes_in_fifty_milliseconds_and_of_five_thousand_in_half_a_second() {
    let spec = SearcherSpec::Gp(GpOptions::default());
    for (trials, most) in [(100, 50), (1000, 50), (5000, 500)] {
        let (quickest, mean) = with_updates(&spec, trials, 12);
        println!("gp after {trials} trials: {quickest:?} at best, {mean:?} in the mean");
        assert!(quickest < Duration::from_millis(most) * if cfg!(debug_assertions) { 20 } else { 1 }, "{trials}: {quickest:?}");
    }
}
