//! The summary for a terminal: plain text, at most about 110 columns where the parameters allow it.
use std::fmt::Write as _;

use super::rows::Row;
use super::{Report, Written, words};

/// How many of the best trials a summary shows.
pub(super) const BEST: usize = 10;

impl Report {
    /// The best trials, where the slot time went, and where the report and the model lie. Printed when a sweep ends.
    #[must_use]
    pub fn summary_text(&self, written: Option<&Written>) -> String {
        let mut text = format!("{}: {}\n", words::one_line(&self.sweep.spec().name), self.standing_text());
        self.best_trials(&mut text);
        self.ledger_text(&mut text);
        self.figures_text(&mut text);
        self.failures_text(&mut text);
        self.paths_text(&mut text, written);
        text
    }

    fn best_trials(&self, text: &mut String) {
        let ranked = self.ranked();
        if ranked.is_empty() {
            let _ = writeln!(
                text,
                "\nNo trial has reported a finite {} yet; trials: {}",
                words::one_line(self.metric_name()),
                self.trials_text()
            );
            return;
        }
        let _ = writeln!(text, "\nBest of {} trials ({}; {})", self.view.trials.total, self.trials_text(), self.direction());
        let metric = words::cell(self.metric_name());
        let width = metric.chars().count().max(8);
        let _ = writeln!(text, "  {:>5}  {metric:>width$}  {:>5}  {:<8}  parameters", "trial", "at", "state");
        for row in ranked.iter().take(BEST) {
            let (best, at) = row.best.map(|(best, at)| (words::metric(best), at.0)).unwrap_or_default();
            let state = words::state(row.state);
            let _ = writeln!(text, "  {:>5}  {best:>width$}  {at:>5}  {state:<8}  {}", row.trial.0, words::params(&row.params));
        }
    }

    fn ledger_text(&self, text: &mut String) {
        let (uses, unit) = (&self.view.uses, self.unit());
        let _ = writeln!(text, "\n{}: {} reserved", unit.title(), words::hours(uses.reserved, uses.reserved));
        for (name, amount) in uses.categories().into_iter().filter(|(_, amount)| *amount > 0) {
            let (hours, share) = (words::hours(amount, uses.reserved), words::percent(amount, uses.reserved));
            let _ = writeln!(text, "  {name:<10}  {hours:>9}  {share:>7}  {}", self.meaning(name));
        }
    }

    /// What a category of this sweep's ledger means.
    pub(super) fn meaning(&self, category: &str) -> &'static str {
        if category == "redone" && self.history.stateless { words::BEGUN_ANEW } else { words::meaning(category) }
    }

    fn figures_text(&self, text: &mut String) {
        text.push('\n');
        for fact in self.further_facts() {
            let _ = writeln!(text, "{:<24}  {}  ({})", fact.label, fact.value, words::one_line(&fact.note));
        }
    }

    fn failures_text(&self, text: &mut String) {
        let mut failed = self.failed();
        let Some(first) = failed.next() else { return };
        let others = match failed.count() {
            0 => String::new(),
            others => format!(" ({others} more; `trials.csv` has the reasons)"),
        };
        let _ = writeln!(text, "\nTrial {} failed: {}{others}", first.trial, words::one_line(reason(first)));
    }

    fn paths_text(&self, text: &mut String, written: Option<&Written>) {
        text.push('\n');
        if let Some(written) = written {
            let _ = writeln!(text, "Report  {}", written.html.display());
        }
        if let Some(card) = &self.card {
            let _ = writeln!(text, "Model   {}\n        {}", card.path.display(), words::one_line(&card.verdict()));
        }
    }
}

/// Why a trial failed.
pub(super) fn reason(row: &Row) -> &str {
    row.failure.as_deref().unwrap_or("no reason was given")
}
