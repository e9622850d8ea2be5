//! `report.md`.
use std::fmt::Write as _;

use super::table::{BEST, reason};
use super::{Report, words};

/// Most rows of the table of improvements, and of failures.
const ROWS: usize = 20;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!("# Sweep {}\n\n", plain(&report.sweep.spec().name));
    let _ = writeln!(page, "{}. Created {}.\n", capital(&report.standing_text()), words::moment(report.header.created_unix_ms));
    let _ = writeln!(
        page,
        "{}\n",
        report.settings().iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect::<Vec<_>>().join(" · ")
    );
    table(
        &mut page,
        &["Figure", "Value", "What it is"],
        report.facts().iter().map(|fact| vec![fact.label.clone(), fact.value.clone(), fact.note.clone()]),
    );
    ledger(&mut page, report);
    best(&mut page, report);
    curve(&mut page, report);
    model(&mut page, report);
    failures(&mut page, report);
    let _ = writeln!(
        page,
        "All {} trials are in `trials.csv`. Version {} of hpo created this sweep (`{}`).",
        report.rows.len(),
        plain(&report.header.version),
        plain(&report.header.sweep)
    );
    page
}

fn ledger(page: &mut String, report: &Report) {
    let (uses, unit) = (&report.view.uses, report.unit());
    let _ = writeln!(page, "## Where the {}s went\n\n{} Each second is counted once.\n", unit.one(), unit.meaning());
    let row = |name: &str, amount: u64, meaning: &str| {
        vec![name.to_owned(), words::hours(amount, uses.reserved), words::percent(amount, uses.reserved), meaning.to_owned()]
    };
    let categories = uses.categories().map(|(name, amount)| row(name, amount, report.meaning(name)));
    let sum = row("reserved", uses.reserved, "from the joining of each slot to its leaving");
    table(page, &["Use", unit.short(), "Share", "What it is"], categories.into_iter().chain([sum]));
}

fn best(page: &mut String, report: &Report) {
    let ranked = report.ranked();
    page.push_str("## Best trials\n\n");
    if ranked.is_empty() {
        let _ = writeln!(page, "No trial has reported a finite {} yet.\n", plain(report.metric_name()));
        return;
    }
    let names: Vec<&str> = report.parameter_names().collect();
    let head: Vec<&str> = ["Trial", report.metric_name(), "At", "State"].into_iter().chain(names.iter().copied()).collect();
    let rows = ranked.iter().take(BEST).map(|row| {
        let (best, at) = row.best.map(|(best, at)| (words::metric(best), at.to_string())).unwrap_or_default();
        let params = names.iter().map(|name| row.params.get(*name).map(words::value).unwrap_or_default());
        [row.trial.to_string(), best, at, words::state(row.state).to_owned()].into_iter().chain(params).collect()
    });
    table(page, &head, rows);
}

/// The improvements, and the best after equal shares of the time.
fn curve(page: &mut String, report: &Report) {
    let points = &report.history.curve;
    if points.is_empty() {
        return;
    }
    let unit = report.unit();
    let left_out = points.len().saturating_sub(ROWS);
    page.push_str("## How it got better\n\n");
    if left_out > 0 {
        let _ = writeln!(page, "The last {ROWS} of {} improvements; `report.html` draws them all.\n", points.len());
    }
    let head = [unit.short(), "Resource", "After", report.metric_name(), "Trial"];
    let whole = report.view.uses.reserved;
    let row = |point: &super::Point| {
        let after = words::span(point.at.0);
        vec![words::hours(point.reserved, whole), point.resource.to_string(), after, words::metric(point.metric), point.trial.to_string()]
    };
    table(page, &head, points[left_out..].iter().map(row));
    let after = &report.figures.best_after;
    let row = |&(hours, metric): &(f64, Option<f64>)| vec![words::short(hours, 4), metric.map_or("-".to_owned(), words::metric)];
    table(page, &[&format!("After {}", unit.short()), &format!("Best {}", report.metric_name())], after.iter().map(row));
}

fn model(page: &mut String, report: &Report) {
    let Some(card) = &report.card else { return };
    let name = card.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let _ = writeln!(page, "## Model\n\n`models/{}`: {}.\n", plain(&name), plain(&card.verdict()));
    if let Some(id) = &card.id {
        let _ = writeln!(page, "Its id (BLAKE3 of the file): `{}`. The card beside it has inputs, outputs and data.\n", plain(id));
    }
}

fn failures(page: &mut String, report: &Report) {
    let failed: Vec<_> = report.failed().collect();
    if failed.is_empty() {
        return;
    }
    page.push_str("## Failures\n\n");
    if failed.len() > ROWS {
        let _ = writeln!(page, "The first {ROWS} of {}.\n", failed.len());
    }
    let row = |row: &&super::Row| vec![row.trial.to_string(), row.attempts.to_string(), reason(row).to_owned(), words::params(&row.params)];
    table(page, &["Trial", "Attempts", "Why", "Parameters"], failed.iter().take(ROWS).map(row));
}

/// A table; its cells are escaped here.
fn table(page: &mut String, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return;
    }
    page.push_str(&line(&mut head.iter().map(|cell| plain(cell))));
    page.push_str(&line(&mut head.iter().map(|_| "---".to_owned())));
    for row in rows {
        page.push_str(&line(&mut row.iter().map(|cell| plain(cell))));
    }
    page.push('\n');
}

/// Text that Markdown and the HTML in it leave as it is.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in words::one_line(text).chars() {
        match char {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '|' | '\\' | '`' | '*' | '[' | ']' => plain.extend(['\\', char]),
            other => plain.push(other),
        }
    }
    plain
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
