//! Why a trial stands where it stands: `hpo why`. A read model of the journal, of a live sweep or a dead one.
mod answer;
mod etas;
mod story;

use hpo_core::sweep::explain::{Explain, Explanation, Stand, What};
use hpo_core::sweep::{State, Trial};
use hpo_core::{Action, Goal, Params, Resource, Stamp, Sweep, TrialId};
use serde::Serialize;

use super::words;
use crate::journal::{JournalFault, Replay};
use crate::rundir::RunDir;

/// The history of one trial with everything that decided it.
#[derive(Debug)]
pub struct Why {
    sweep: Sweep,
    searcher: String,
    of: Explanation,
    /// A driver is at work on the sweep.
    live: bool,
}

/// Why nothing can be said of a trial.
#[derive(Debug, thiserror::Error)]
pub enum WhyFault {
    /// The journal is absent or damaged.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// It has not been proposed.
    #[error("{}", no_trial(*.trial, *.asked, *.count))]
    NoTrial {
        /// Which.
        trial: TrialId,
        /// The searcher has been asked for it.
        asked: bool,
        /// How many there are.
        count: u32,
    },
}

fn no_trial(trial: TrialId, asked: bool, count: u32) -> String {
    let there_are = match count {
        0 => "no trial has been proposed yet".to_owned(),
        1 => "only trial 0 has been proposed so far".to_owned(),
        _ => format!("trials 0 to {} have been proposed so far", count - 1),
    };
    if asked {
        format!("trial {trial} has been asked for, but the searcher has not proposed it yet; {there_are}")
    } else {
        format!("there is no trial {trial}: {there_are}")
    }
}

/// The first line of `hpo why RUN TRIAL --json`; a line for each moment follows. Metrics are in the user's direction and
/// `null` where they are not finite.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct WhyLine {
    pub sweep: String,
    pub trial: TrialId,
    /// `waiting`, `running`, `paused`, `finished`, `stopped` or `failed`.
    pub state: &'static str,
    /// The answer for people.
    pub answer: String,
    pub metric: String,
    /// Its best metric, and where it had that.
    pub best: Option<f64>,
    pub at: Option<Resource>,
    /// Resource that it has trained.
    pub resource: Resource,
    pub attempts: u32,
    pub promoted: bool,
    /// No future promotes it.
    pub hopeless: bool,
    /// Its place among the best of the sweep, from 1, if it is one of those whose state is kept to the end.
    pub leader: Option<usize>,
    pub failure: Option<String>,
    /// Where it stands now on the highest rung where it was compared.
    pub stand: Option<Stand>,
    pub params: Params,
}

/// Each further line: `{"seconds":0.8,"what":"leased",..}`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MomentLine<'a> {
    /// Since the sweep was created.
    pub seconds: f64,
    /// What happened.
    #[serde(flatten)]
    pub what: &'a What,
}

impl Why {
    /// Lives through the journal of a run with an eye on `trial`. `live`: a driver is at work on it.
    ///
    /// # Errors
    /// If the journal cannot be read, or there is no such trial.
    pub fn read(run: &RunDir, trial: TrialId, live: bool) -> Result<Self, WhyFault> {
        let mut explain = Explain::new(trial);
        let mut replay = Replay::open(&run.journal())?;
        while let Some(step) = replay.step()? {
            explain.saw(step.sweep, step.entry.record.at, &step.entry.record.event, step.actions);
        }
        let replayed = replay.finish()?;
        Self::new(replayed.sweep, replayed.header.searcher, explain, trial, live)
    }

    fn new(sweep: Sweep, searcher: String, explain: Explain, trial: TrialId, live: bool) -> Result<Self, WhyFault> {
        match explain.finish(&sweep) {
            Some(of) => Ok(Self { sweep, searcher, of, live }),
            None => {
                Err(WhyFault::NoTrial { trial, asked: sweep.owed().contains(&Action::Suggest { trial }), count: sweep.view().trials.total })
            }
        }
    }

    /// The summary for scripts.
    #[must_use]
    pub fn line(&self) -> WhyLine {
        let trial = self.trial();
        WhyLine {
            sweep: self.sweep.spec().name.clone(),
            trial: trial.id,
            state: words::state(trial.state),
            answer: self.answer(),
            metric: self.sweep.spec().metric.clone(),
            best: trial.best.map(|(loss, _)| self.goal().metric(loss)),
            at: trial.best.map(|(_, at)| at),
            resource: trial.trained,
            attempts: trial.attempt.0,
            promoted: trial.promoted,
            hopeless: self.of.hopeless,
            leader: self.of.leader.map(|place| place + 1),
            failure: trial.failure.clone(),
            stand: self.of.stand.clone(),
            params: trial.params.clone(),
        }
    }

    /// What happened to it, in order, for scripts.
    pub fn moments(&self) -> impl Iterator<Item = MomentLine<'_>> {
        self.of.moments.iter().map(|moment| MomentLine { seconds: moment.at.0 as f64 / 1e3, what: &moment.what })
    }

    /// For people: the answer, the way that led there, and what another eta would have decided on it.
    #[must_use]
    pub fn text(&self) -> String {
        let params = words::params(&self.trial().params);
        let params = if params.is_empty() { String::new() } else { format!("  {params}\n") };
        let etas = self.etas_text();
        let gap = if etas.is_empty() { "" } else { "\n" };
        format!("{}\n{params}\n{}{gap}{etas}", self.answer(), self.story_text())
    }

    fn trial(&self) -> &Trial {
        let Some(trial) = self.sweep.trial(self.of.trial) else { unreachable!("an explanation is of a trial") };
        trial
    }

    fn goal(&self) -> Goal {
        self.sweep.spec().goal
    }

    /// Whether the sweep is over, so that nothing can happen to the trial any more.
    fn ended(&self) -> bool {
        self.sweep.finished().is_some()
    }

    fn waits_in(&self) -> Option<&Stand> {
        self.of.stand.as_ref().filter(|_| self.trial().state == State::Paused)
    }

    fn metric_name(&self) -> String {
        words::one_line(&self.sweep.spec().metric)
    }

    /// `val_loss 0.43910`.
    fn measured(&self, metric: f64) -> String {
        format!("{} {}", self.metric_name(), words::metric(metric))
    }

    /// `<=` if small is good.
    fn reaches(&self) -> &'static str {
        match self.goal() {
            Goal::Minimize => "<=",
            Goal::Maximize => ">=",
        }
    }

    /// `<` if small is good.
    fn beats(&self) -> &'static str {
        match self.goal() {
            Goal::Minimize => "<",
            Goal::Maximize => ">",
        }
    }
}

/// Time since the sweep was created.
fn time(at: Stamp) -> String {
    words::span(at.0)
}

/// Two metrics with as many digits as it takes to tell them apart.
fn apart(one: f64, other: f64) -> (String, String) {
    let (short, shorter) = (words::metric(one), words::metric(other));
    if short == shorter && one != other && one.is_finite() && other.is_finite() {
        return (one.to_string(), other.to_string());
    }
    (short, shorter)
}

/// 1st, 2nd, 3rd, 11th.
fn ordinal(place: usize) -> String {
    let ending = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{place}{ending}")
}

#[cfg(test)]
mod tests;
