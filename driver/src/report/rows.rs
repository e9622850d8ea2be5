//! One row a trial.
use hpo_core::sweep::State;
use hpo_core::{Params, Resource, Sweep, TrialId};

/// A trial as the tables show it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) trial: TrialId,
    pub(super) state: State,
    /// What it has trained, each unit counted once.
    pub(super) resource: Resource,
    /// Its best finite metric in the user's direction, and where.
    pub(super) best: Option<(f64, Resource)>,
    pub(super) attempts: u32,
    /// Training that was kept, in milli-slot-milliseconds; without an attempt that still runs.
    pub(super) trained: u64,
    /// What its last failure said. A trial that was retried with success has one too.
    pub(super) failure: Option<String>,
    pub(super) params: Params,
}

/// All trials, by number.
pub(super) fn of(sweep: &Sweep) -> Vec<Row> {
    let goal = sweep.spec().goal;
    let row = |trial: &hpo_core::sweep::Trial| Row {
        trial: trial.id,
        state: trial.state,
        resource: trial.trained,
        best: trial.best.map(|(loss, at)| (goal.metric(loss), at)),
        attempts: trial.attempt.0,
        trained: sweep.ledger().trained(trial.id),
        failure: trial.failure.clone(),
        params: trial.params.clone(),
    };
    sweep.trials().map(row).collect()
}

impl super::Report {
    /// Trials with a finite metric, the best first; ties by number.
    pub(super) fn ranked(&self) -> Vec<&Row> {
        let goal = self.sweep.spec().goal;
        let mut ranked: Vec<&Row> = self.rows.iter().filter(|row| row.best.is_some()).collect();
        ranked.sort_by_key(|row| row.best.map(|(metric, _)| (goal.loss(metric), row.trial)));
        ranked
    }

    /// Trials that failed for good, by number.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.state == State::Failed)
    }

    /// Names of the parameters, in the order of the sweep file; of a pool also its rows'.
    pub(super) fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.sweep.spec().space.names()
    }
}
