//! `trials.csv`: one row a trial, figures in full precision.
use std::io;

use hpo_core::Value;
use hpo_core::ledger::Uses;

use super::{Report, words};

/// The file. Columns: `trial, state, resource, best, best_at, attempts, training_hours, failure`, then `params_NAME` for
/// each parameter in the order of the sweep file. A cell without a value is empty.
pub(super) fn trials(report: &Report) -> io::Result<Vec<u8>> {
    let mut file = csv::Writer::from_writer(vec![]);
    let own = ["trial", "state", "resource", "best", "best_at", "attempts", "training_hours", "failure"].map(str::to_owned);
    let names: Vec<&str> = report.parameter_names().collect();
    file.write_record(own.into_iter().chain(names.iter().map(|name| format!("params_{name}"))))?;
    for row in &report.rows {
        let own = [
            row.trial.to_string(),
            words::state(row.state).to_owned(),
            row.resource.to_string(),
            row.best.map(|(metric, _)| metric.to_string()).unwrap_or_default(),
            row.best.map(|(_, at)| at.to_string()).unwrap_or_default(),
            row.attempts.to_string(),
            super::json::rounded(Uses::hours(row.trained)).to_string(),
            row.failure.as_deref().map(words::one_line).unwrap_or_default(),
        ];
        let params = names.iter().map(|name| row.params.get(*name).map(Value::to_string).unwrap_or_default());
        file.write_record(own.into_iter().chain(params))?;
    }
    file.into_inner().map_err(csv::IntoInnerError::into_error)
}
