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

/// Tells a fresh searcher of so many results of trials that were drawn at random, and asks it for more.
pub(super) fn measure(file: &str, setup: &Setup, observations: u32, suggestions: u32) -> anyhow::Result<Cost> {
    let seed = setup.spec.seed;
    let mut searcher = hpo_searchers::build(&setup.searcher, &setup.spec.space, seed)?;
    let chance = Random::new(setup.spec.space.clone(), seed.derive("bench suggest", 0));
    let mut history = Duration::ZERO;
    let (mut trial, mut told) = (TrialId(0), 0);
    while told < observations {
        let params = chance.suggest(trial)?;
        let mut seen = results(setup, trial, &params)?;
        seen.truncate((observations - told) as usize);
        told += seen.len() as u32;
        let before = now()?;
        searcher.begin(trial, &params);
        seen.iter().for_each(|one| searcher.tell(one));
        history += now()? - before;
        trial = TrialId(trial.0 + 1);
    }
    let mut took = vec![];
    let mut last: Vec<Observation> = vec![];
    for _ in 0..=suggestions {
        let before = now()?;
        last.iter().for_each(|one| searcher.tell(one));
        let params = searcher.suggest(trial)?;
        searcher.begin(trial, &params);
        took.push(1e3 * (now()? - before).as_secs_f64());
        last = results(setup, trial, &params)?;
        trial = TrialId(trial.0 + 1);
    }
    let first_ms = took.remove(0);
    took.sort_by(f64::total_cmp);
    Ok(Cost {
        file: file.to_owned(),
        searcher: setup.searcher.name(),
        observations,
        suggestions,
        median_ms: took[took.len() / 2],
        least_ms: took[0],
        first_ms,
        history_ms: 1e3 * history.as_secs_f64(),
    })
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
