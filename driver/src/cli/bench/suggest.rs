//! What a suggestion costs the thread that makes it, by how much the searcher has seen.
use std::time::Duration;

use anyhow::Context;
use hpo_core::{Params, Resource, Seed, TrialId};
use hpo_driver::config;
use hpo_driver::simulate::{self, Setup};
use hpo_searchers::{Observation, Outcome, Random, Searcher};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::cli::args::BenchSuggest;

/// What one size of history cost. Milliseconds are of the thread's own CPU: what else the machine does is not in them.
#[derive(Debug, Serialize)]
pub(super) struct Cost {
    file: String,
    searcher: &'static str,
    observations: u32,
    suggestions: u32,
    /// Learning what came of the last trial and proposing the next one.
    median_ms: f64,
    least_ms: f64,
    /// The first, which also pays what was put off while the history was told.
    first_ms: f64,
    /// The median of suggestions before each of which something was learned of an older trial, too: a result on a rung that it was
    /// promoted to, or, where there is one rung, one that comes late.
    late_ms: Option<f64>,
    late_most_ms: Option<f64>,
    /// The whole history, told one by one.
    history_ms: f64,
}

/// Opens the sweep files, which must be such as `hpo simulate` can play.
pub(super) fn open(args: &BenchSuggest) -> anyhow::Result<Vec<(String, Setup)>> {
    let files: Vec<_> = args.files.iter().map(|file| config::load(file)).collect::<Result<_, _>>()?;
    let name = |place: usize| args.files[place].display().to_string();
    let setups = simulate::open(&files, None, Some(1)).map_err(|(place, fault)| anyhow::Error::from(fault).context(name(place)))?;
    Ok(setups.into_iter().enumerate().map(|(place, setup)| (name(place), setup)).collect())
}

/// Tells a fresh searcher of so many results of trials that were drawn at random, and asks it for more. Then again, with the results of
/// some trials held back and told one with each further suggestion.
pub(super) fn measure(file: &str, setup: &Setup, observations: u32, suggestions: u32) -> anyhow::Result<Cost> {
    let mut past = history(setup, observations)?;
    let (mut searcher, history) = told(setup, &past)?;
    let (first_ms, took) = ask(setup, searcher.as_mut(), past.len(), suggestions, &[])?;
    let held = hold_back(&mut past, suggestions as usize);
    let (mut searcher, _) = told(setup, &past)?;
    let late = match held.len() as u32 {
        0 => vec![],
        count => ask(setup, searcher.as_mut(), past.len(), count, &held)?.1,
    };
    Ok(Cost {
        file: file.to_owned(),
        searcher: setup.searcher.name(),
        observations,
        suggestions,
        median_ms: took[took.len() / 2],
        least_ms: took[0],
        first_ms,
        late_ms: late.get(late.len() / 2).copied(),
        late_most_ms: late.last().copied(),
        history_ms: 1e3 * history.as_secs_f64(),
    })
}

/// A trial of the history.
struct Past {
    params: Params,
    seen: Vec<Observation>,
}

/// So many results of trials by chance.
fn history(setup: &Setup, observations: u32) -> anyhow::Result<Vec<Past>> {
    let chance = Random::new(setup.spec.space.clone(), setup.spec.seed.derive("bench suggest", 0));
    let (mut past, mut told): (Vec<Past>, u32) = (vec![], 0);
    while told < observations {
        let trial = TrialId(past.len() as u32);
        let params = chance.suggest(trial)?;
        let mut seen = results(setup, trial, &params)?;
        seen.truncate((observations - told) as usize);
        told += seen.len() as u32;
        past.push(Past { params, seen });
    }
    Ok(past)
}

/// Takes the last results of so many trials, evenly spread over those that came to the second rung: what is then learned is what a trial
/// that was promoted came to. Where there is one rung, those of slow trials.
fn hold_back(past: &mut [Past], count: usize) -> Vec<Observation> {
    let rungs = past.iter().map(|one| one.seen.len()).max().unwrap_or_default().clamp(1, 2);
    let mut some: Vec<&mut Past> = past.iter_mut().filter(|one| one.seen.len() >= rungs).collect();
    let all = some.len();
    let count = count.min(all);
    (0..count).filter_map(|at| some[at * all / count].seen.pop()).collect()
}

/// A fresh searcher that knows all of it, and what the telling took.
fn told(setup: &Setup, past: &[Past]) -> anyhow::Result<(Box<dyn Searcher>, Duration)> {
    let mut searcher = hpo_searchers::build(&setup.searcher, &setup.spec.space, setup.spec.seed)?;
    let before = now()?;
    for (number, one) in past.iter().enumerate() {
        searcher.begin(TrialId(number as u32), &one.params);
        one.seen.iter().for_each(|seen| searcher.tell(seen));
    }
    Ok((searcher, now()? - before))
}

/// What the first suggestion took, and so many more, least first: each after the results of the trial before it, and one of `held`.
fn ask(setup: &Setup, searcher: &mut dyn Searcher, first: usize, count: u32, held: &[Observation]) -> anyhow::Result<(f64, Vec<f64>)> {
    let mut one = |trial: TrialId, learned: &[Observation]| -> anyhow::Result<(f64, Vec<Observation>)> {
        let before = now()?;
        learned.iter().for_each(|seen| searcher.tell(seen));
        let params = searcher.suggest(trial)?;
        searcher.begin(trial, &params);
        let took = 1e3 * (now()? - before).as_secs_f64();
        Ok((took, results(setup, trial, &params)?))
    };
    let first = TrialId(first as u32);
    let (first_ms, mut learned) = one(first, &[])?;
    let mut took = vec![];
    for number in 0..count {
        learned.extend(held.get(number as usize).cloned());
        let (ms, next) = one(TrialId(first.0 + 1 + number), &learned)?;
        took.push(ms);
        learned = next;
    }
    took.sort_by(f64::total_cmp);
    Ok((first_ms, took))
}

/// What a trial is told to have come to: every trial stands on the first rung, and each next rung gets every eta-th of them.
fn results(setup: &Setup, trial: TrialId, params: &Params) -> anyhow::Result<Vec<Observation>> {
    let ladder = setup.spec.scheduler.ladder();
    let curve = setup.curves.curve(params, Seed(u64::from(trial.0)))?;
    let climbs = |rung: usize| trial.0.is_multiple_of(ladder.eta().saturating_pow(rung as u32));
    let heights = ladder.rungs().iter().enumerate().take_while(|(rung, _)| climbs(*rung)).map(|(_, resource)| *resource);
    let outcome = |resource: Resource| match curve.at(resource) {
        Ok(point) => Outcome::Loss { resource, loss: setup.spec.goal.loss(point.metric) },
        Err(_) => Outcome::Infeasible,
    };
    Ok(heights.map(|resource| Observation { trial, params: params.clone(), outcome: outcome(resource) }).collect())
}

fn now() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("the system has no clock of a thread's CPU time")?.into())
}
