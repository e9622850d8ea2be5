//! `[searcher] warm_start`: trials of earlier sweeps, read once, when a new one begins.
//!
//! Each trial with a result is mapped by the names of its parameters: those that the new space has not are left out, those that are
//! new are drawn by chance from the new sweep's seed, and a trial with a value that its parameter does not take now is ignored, as
//! is a row that a pool has not. What was taken is frozen in the new run's folder ([`Past`]), so that no driver of it ever needs
//! the old ones again. What becomes of it, [`hpo_searchers`] says.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use hpo_core::space::ROW;
use hpo_core::sweep::{State, Trial};
use hpo_core::{Goal, Params, Seed, Space, SweepSpec, Value};
use hpo_searchers::{Best, Hints, MOST_PAST, PartialFault, PastTrial, SearcherSpec, complete, scores, thinned};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Checked, Faults};
use crate::journal;
use crate::rundir::RunDir;

/// What was taken from earlier runs: a file of the run folder, and a part of its report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// One a run, in the order of the sweep file.
    pub runs: Vec<Source>,
    /// The trials that the searcher begins with.
    trials: Vec<Kept>,
}

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The folder, as the file gave it.
    pub run: String,
    /// The id of its sweep.
    pub sweep: String,
    /// Trials that it had.
    pub trials: usize,
    /// Those that were taken.
    pub used: usize,
    /// Those of these that had failed there.
    pub failed: usize,
    /// Trials without a result: they say nothing.
    pub without_result: usize,
    /// Trials that would have fitted; others of all ranks stand for them.
    pub thinned: usize,
    /// Trials that were ignored, by the parameter of which they have a value that it does not take now; under no name those
    /// that are no row of the pool, or share no parameter.
    pub ignored: BTreeMap<String, usize>,
    /// Parameters that are new, and were drawn by chance.
    pub filled: BTreeSet<String>,
    /// Parameters that are there no more, or did not exist beside the other values.
    pub left_out: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    params: Params,
    /// Of its rank in its sweep, smaller is better; none if it failed.
    score: Option<f64>,
}

impl Past {
    /// Reads the frozen file of a run folder.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_run(run: &RunDir) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(run.warm_start())?)?)
    }

    /// As it is frozen.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Names, numbers and values of parameters: there is nothing that JSON cannot hold.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// A line a run: what was taken and what was not.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.runs.iter().map(Source::line)
    }
}

impl Source {
    fn line(&self) -> String {
        let mut line = format!("warm start: {} of {} trials of `{}`", self.used, self.trials, self.run);
        let mut add = |count: usize, what: &str| {
            if count > 0 {
                // Writing to a string cannot fail.
                let _ = write!(line, "; {count} {what}");
            }
        };
        add(self.failed, "of them failed there");
        add(self.without_result, "without a result");
        add(self.thinned, "left out evenly over all ranks");
        for (name, &count) in &self.ignored {
            match name.as_str() {
                "" => add(count, "ignored, which are no point of this space"),
                name => add(count, &format!("ignored, whose `{name}` is no value of it here")),
            }
        }
        let names = |names: &BTreeSet<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if !self.filled.is_empty() {
            let _ = write!(line, "; new here and drawn by chance: {}", names(&self.filled));
        }
        if !self.left_out.is_empty() {
            let _ = write!(line, "; not here and left out: {}", names(&self.left_out));
        }
        line
    }
}

/// Reads the runs that a sweep file names, for a new sweep.
///
/// # Errors
/// The first that is no run or cannot be read, at the line of the key.
pub fn take_up(checked: Checked) -> Result<Checked, Faults> {
    if checked.warm_start.is_empty() {
        return Ok(checked);
    }
    let mut past = Past::default();
    let most = MOST_PAST / checked.warm_start.len().min(MOST_PAST);
    for folder in &checked.warm_start {
        let run = RunDir::new(folder);
        let replayed = match run.must_be_a_run() {
            Ok(()) => journal::replay(&run.journal()).map_err(|fault| fault.to_string()),
            Err(not) => Err(not.to_string()),
        };
        let replayed = replayed.map_err(|why| {
            let help = "name folders of earlier sweeps; relative paths start at the folder of the sweep file";
            Faults::of_key(&checked, "searcher", "warm_start", why, help.to_owned())
        })?;
        comparable(&checked, folder, &replayed.header.spec)?;
        if let Some(known) = past.runs.iter().find(|known| known.sweep == replayed.header.sweep) {
            let why = format!("`{}` is the sweep of `{}` once more: its trials would count twice", folder.display(), known.run);
            return Err(Faults::of_key(&checked, "searcher", "warm_start", why, "name each earlier sweep once".to_owned()));
        }
        let mut source = Source { run: folder.display().to_string(), sweep: replayed.header.sweep, ..Source::default() };
        let mapping = Mapping::new(&checked.spec.space, checked.spec.seed.derive("warm_start", past.runs.len() as u64));
        let trials: Vec<&Trial> = replayed.sweep.trials().collect();
        let kept = thin(mapping.all(&trials, &mut source), most, &mut source);
        past.trials.extend(kept.into_iter().map(|PastTrial { params, score }| Kept { params, score }));
        past.runs.push(source);
    }
    Ok(with(checked, past))
}

/// A run whose best are this sweep's worst would mislead its searcher. Another metric may be as good a guide: that is the user's to say.
fn comparable(checked: &Checked, folder: &Path, earlier: &SweepSpec) -> Result<(), Faults> {
    let (now, then) = (&checked.spec, earlier);
    if now.metric != then.metric || now.goal == then.goal {
        return Ok(());
    }
    let word = |goal: Goal| match goal {
        Goal::Minimize => "minimize",
        Goal::Maximize => "maximize",
    };
    let why = format!("`{}` was to {} `{}`, and this sweep is to {} it", folder.display(), word(then.goal), then.metric, word(now.goal));
    Err(Faults::of_key(checked, "searcher", "warm_start", why, "leave this run out, or correct `goal`".to_owned()))
}

/// Takes what a run has frozen, for a sweep that goes on.
///
/// # Errors
/// If it cannot be read.
pub fn thaw(checked: Checked, run: &RunDir) -> io::Result<Checked> {
    if checked.warm_start.is_empty() { Ok(checked) } else { Ok(with(checked, Past::of_run(run)?)) }
}

fn with(mut checked: Checked, past: Past) -> Checked {
    let trials = past.trials.iter().map(|kept| PastTrial { params: kept.params.clone(), score: kept.score }).collect();
    checked.searcher = match checked.searcher {
        SearcherSpec::Hinted { method, hints } => method.with_hints(Hints { past: trials, ..hints }),
        method => method.with_hints(Hints { past: trials, ..Hints::default() }),
    };
    checked.past = Some(past);
    checked
}

/// Failed trials and others are thinned alike.
fn thin(all: Vec<PastTrial>, most: usize, source: &mut Source) -> Vec<PastTrial> {
    let found = all.len();
    let kept = thinned(all, most);
    source.thinned = found - kept.len();
    source.used = kept.len();
    source.failed = kept.iter().filter(|trial| trial.score.is_none()).count();
    kept
}

/// From trials of another space to points of this one.
struct Mapping<'a> {
    space: &'a Space,
    seed: Seed,
    /// Rows of a pool by their values.
    rows: BTreeMap<Vec<String>, u128>,
}

impl<'a> Mapping<'a> {
    fn new(space: &'a Space, seed: Seed) -> Self {
        let rows = space.pool().map_or(0, |pool| pool.rows() as u128);
        // Of equal rows the first.
        let rows = (0..rows).rev().filter_map(|row| Some((values(space, &space.point(row)?)?, row))).collect();
        Self { space, seed, rows }
    }

    fn all(&self, trials: &[&Trial], source: &mut Source) -> Vec<PastTrial> {
        let failed = |trial: &Trial| trial.state == State::Failed;
        let best = |trial: &Trial| trial.results.iter().rev().find(|(_, loss)| loss.is_finite()).copied().filter(|_| !failed(trial));
        let ranked: Vec<(&Trial, Best)> = trials.iter().filter_map(|trial| Some((*trial, best(trial)?))).collect();
        let scores = scores(&ranked.iter().map(|(_, best)| *best).collect::<Vec<Best>>());
        let scored = ranked.iter().zip(scores).map(|((trial, _), score)| (*trial, Some(score)));
        let failed: Vec<&Trial> = trials.iter().copied().filter(|trial| failed(trial)).collect();
        source.trials = trials.len();
        source.without_result = trials.len() - ranked.len() - failed.len();
        let told = scored.chain(failed.into_iter().map(|trial| (trial, None)));
        told.filter_map(|(trial, score)| Some(PastTrial { params: self.point(trial, source)?, score })).collect()
    }

    fn point(&self, trial: &Trial, source: &mut Source) -> Option<Params> {
        match self.map(trial, source) {
            Ok(params) => Some(params),
            Err(name) => {
                *source.ignored.entry(name).or_default() += 1;
                None
            }
        }
    }

    /// Err with the parameter that keeps the trial out.
    fn map(&self, trial: &Trial, source: &mut Source) -> Result<Params, String> {
        if self.space.pool().is_some() {
            let row = values(self.space, &trial.params).and_then(|values| self.rows.get(&values));
            return row.and_then(|row| self.space.point(*row)).ok_or_else(String::new);
        }
        let known = |name: &String| self.space.parameters().iter().any(|parameter| parameter.name == *name);
        let (mut given, others): (BTreeMap<String, Value>, BTreeMap<String, Value>) =
            trial.params.iter().map(|(name, value)| (name.clone(), value.clone())).partition(|(name, _)| known(name));
        source.left_out.extend(others.into_keys().filter(|name| name != ROW));
        while !given.is_empty() {
            let mut rng = self.seed.derive("fill", trial.id.0.into()).rng();
            match complete(self.space, &given, |_| rng.random()) {
                Ok(params) => {
                    source.filled.extend(params.keys().filter(|name| !given.contains_key(*name)).cloned());
                    return Ok(params);
                }
                Err(PartialFault::Inactive { name, .. }) => {
                    given.remove(&name);
                    source.left_out.insert(name);
                }
                Err(PartialFault::Outside { name, .. } | PartialFault::NoParameter { name }) => return Err(name),
                Err(PartialFault::NoRow) => break,
            }
        }
        Err(String::new())
    }
}

/// The values of the columns of a pool, 1 and 1.0 alike; none if one is missing.
fn values(space: &Space, params: &Params) -> Option<Vec<String>> {
    let one = |name: &String| params.get(name).map(|value| value.number().map_or_else(|| value.to_string(), |number| number.to_string()));
    space.parameters().iter().map(|parameter| one(&parameter.name)).collect()
}

/// The lines for people, of a file in which there is something to say.
#[must_use]
pub fn said(checked: &Checked) -> Vec<String> {
    checked.past.iter().flat_map(Past::lines).collect()
}

#[cfg(test)]
mod tests;
