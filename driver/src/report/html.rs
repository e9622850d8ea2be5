//! `report.html`: one file that needs no other. The template escapes every text; nothing in it is raw but our own
//! style and script.
use maud::{DOCTYPE, Markup, PreEscaped, html};

use hpo_core::ledger::Uses;

use super::chart::Chart;
use super::rows::Row;
use super::table::BEST;
use super::{Report, Standing, words};

/// More rows than this make a page slow; the others are in `trials.csv`.
const ROWS: usize = 5000;
/// Most dots of a chart: those of the best trials.
const DOTS: usize = 1000;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let name = words::one_line(&report.sweep.spec().name);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Sweep " (name) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                main {
                    (head(report, &name))
                    (tiles(report))
                    (charts(report))
                    (ledger(report))
                    (model(report))
                    (best(report))
                    (trials(report))
                    footer { "Written by hpo " (env!("CARGO_PKG_VERSION")) " from the journal of sweep " code { (report.header.sweep) } "." }
                }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    page.into_string()
}

fn head(report: &Report, name: &str) -> Markup {
    let (class, word) = match report.standing() {
        Standing::Finished => ("finished", "finished"),
        Standing::Running => ("running", "running"),
        Standing::Stopped => ("stopped", "stopped"),
    };
    html! {
        h1 { (name) span class={ "badge " (class) } { (word) } }
        p.soft { "Created " (words::moment(report.header.created_unix_ms)) "; " (report.standing_text()) "." }
        p.soft {
            @for (index, (label, value)) in report.settings().iter().enumerate() {
                @if index > 0 { " · " }
                (label) " " (value)
            }
        }
    }
}

fn tiles(report: &Report) -> Markup {
    html! {
        div.tiles {
            @for fact in report.facts() {
                div.tile { span { (fact.label) } b { (fact.value) } small { (fact.note) } }
            }
        }
    }
}

fn charts(report: &Report) -> Markup {
    let points = &report.history.curve;
    let (metric, unit) = (report.metric_name(), report.unit());
    if points.is_empty() {
        return html! { h2 { "Best so far" } p.soft { "No trial has reported a finite " (metric) " yet." } };
    }
    let up = format!("best {metric}");
    let word = |point: &super::Point| format!("{} by trial {} after {}", words::metric(point.metric), point.trial, words::span(point.at.0));
    let by_hours: Vec<_> = points.iter().map(|point| (Uses::hours(point.reserved), point.metric, word(point))).collect();
    let by_resource: Vec<_> = points.iter().map(|point| (point.resource as f64, point.metric, word(point))).collect();
    let dot = |row: &&Row| {
        let ((metric, at), reserved) = (row.best?, report.history.peaks.get(&row.trial)?);
        Some((Uses::hours(*reserved), metric, format!("trial {}: {} at resource {at}", row.trial, words::metric(metric))))
    };
    let dots: Vec<_> = report.ranked().iter().take(DOTS).filter_map(dot).collect();
    let reserved = format!("{} reserved", unit.title());
    let hours = Chart { across: &reserved, up: &up, steps: &by_hours, dots: &dots, end: report.figures.hours, size: (900.0, 330.0) };
    let end = report.view.resource as f64;
    let resource = Chart { across: "Resource trained (units)", up: &up, steps: &by_resource, dots: &[], end, size: (490.0, 290.0) };
    html! {
        h2 { "Best so far" }
        p.soft { "The line is the best " (metric) " (" (report.direction()) "); each dot is a trial at its best, where it lies within the axes." }
        div.box.wide { (hours.draw()) }
        h2 { "By resource trained, and at regular intervals" }
        div.charts { div.box.wide { (resource.draw()) } (milestones(report)) }
    }
}

fn milestones(report: &Report) -> Markup {
    let after = &report.figures.best_after;
    html! {
        @if !after.is_empty() {
            div.box {
                table {
                    thead { tr { th { "After " (report.unit().short()) } th.number { "Best " (report.metric_name()) } } }
                    tbody {
                        @for (hours, metric) in after {
                            tr { td { (words::short(*hours, 4)) } td.number { (metric.map_or("-".to_owned(), words::metric)) } }
                        }
                    }
                }
            }
        }
    }
}

fn ledger(report: &Report) -> Markup {
    let (uses, unit) = (&report.view.uses, report.unit());
    let share = |amount: u64| format!("{:.3}%", 100.0 * amount as f64 / uses.reserved.max(1) as f64);
    html! {
        h2 { "Where the " (unit.one()) "s went" }
        p.soft { (unit.meaning()) " Each second is counted once." }
        div.bar role="img" aria-label="shares of the reserved time; the table below has the numbers" {
            @for (name, amount) in uses.categories().into_iter().filter(|(_, amount)| *amount > 0) {
                i title={ (name) ": " (words::percent(amount, uses.reserved)) } style={ "width:" (share(amount)) ";background:var(--" (name) ")" } {}
            }
        }
        div.wide { table {
            thead { tr { th { "Use" } th.number { (unit.short()) } th.number { "Share" } th { "What it is" } } }
            tbody {
                @for (name, amount) in uses.categories() {
                    tr {
                        td { span.key style={ "background:var(--" (name) ")" } {} (name) }
                        td.number { (words::hours(amount, uses.reserved)) }
                        td.number { (words::percent(amount, uses.reserved)) }
                        td.long { (report.meaning(name)) }
                    }
                }
                tr.sum {
                    td { "reserved" }
                    td.number { (words::hours(uses.reserved, uses.reserved)) }
                    td.number { (words::percent(uses.reserved, uses.reserved)) }
                    td.long { "from the joining of each slot to its leaving" }
                }
            }
        } }
    }
}

fn model(report: &Report) -> Markup {
    let Some(card) = &report.card else { return html! {} };
    let name = card.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    html! {
        h2 { "Model of trial " (card.trial) }
        div.box {
            p { code { "models/" (name) } ": " (card.verdict()) "." }
            dl {
                @if let Some(diff) = card.max_abs_diff { dt { "Largest absolute difference" } dd { (format!("{diff:.2e}")) } }
                @if let Some(share) = card.argmax_agreement { dt { "Same class" } dd { (words::short(100.0 * share, 6)) " %" } }
                @if let Some(count) = card.examples { dt { "Inputs compared" } dd { (count) } }
                @if let Some(runtime) = &card.runtime { dt { "Independent runtime" } dd { (runtime) } }
                @if let Some(scores) = card.test_scores() { dt { "On the test split" } dd { (scores) } }
                @if let Some(id) = &card.id { dt { "Id (BLAKE3 of the file)" } dd { code { (id) } } }
            }
        }
    }
}

fn best(report: &Report) -> Markup {
    let ranked = report.ranked();
    html! {
        @if !ranked.is_empty() {
            h2 { "Best trials" }
            (rows(report, ranked.iter().copied().take(BEST), false))
        }
    }
}

fn trials(report: &Report) -> Markup {
    let count = report.rows.len();
    html! {
        @if count > 0 {
            h2 { "All trials" }
            @if count > ROWS {
                p.soft { "The first " (ROWS) " of " (count) "; all are in " code { "trials.csv" } "." }
            } @else {
                p.soft { "Press a heading to sort. The figures in full precision are in " code { "trials.csv" } "." }
            }
            (rows(report, report.rows.iter().take(ROWS), true))
        }
    }
}

/// A table of trials; `full` adds the columns that matter when looking for what went wrong, and lets one sort.
fn rows<'a>(report: &Report, rows: impl Iterator<Item = &'a Row>, full: bool) -> Markup {
    let names: Vec<&str> = report.parameter_names().collect();
    let any_failed = full && report.failed().next().is_some();
    let heading =
        |text: &str, class: Option<&str>| html! { th class=[class] { @if full { button type="button" { (text) } } @else { (text) } } };
    let number = Some("number");
    html! {
        div.wide { table {
            thead { tr {
                (heading("Trial", number)) (heading(report.metric_name(), number)) (heading("At", number)) (heading("State", None))
                @if full { (heading("Resource", number)) (heading("Attempts", number)) }
                @for name in &names { (heading(name, None)) }
                @if any_failed { (heading("Failure", None)) }
            } }
            tbody {
                @for row in rows {
                    tr {
                        td.number { (row.trial) }
                        @if let Some((metric, at)) = row.best {
                            td.number data-value=(metric) { (words::metric(metric)) } td.number { (at) }
                        } @else { td.number {} td.number {} }
                        td class=(words::state(row.state)) { (words::state(row.state)) }
                        @if full { td.number { (row.resource) } td.number { (row.attempts) } }
                        @for name in &names {
                            @if let Some(value) = row.params.get(*name) { td data-value=(value) { (words::value(value)) } } @else { td {} }
                        }
                        @if any_failed { td.long { @if let Some(why) = &row.failure { (words::one_line(why)) } } }
                    }
                }
            }
        } }
    }
}
