//! What a person sees while a sweep runs: one live line and a bar on a terminal, plain lines elsewhere.
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use hpo_core::ledger::Uses;
use hpo_core::sweep::view::SweepState;
use hpo_core::{SweepSpec, SweepView};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::Manners;

/// Plain lines come at most this often, unless there is a new best.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The display.
pub(super) struct Progress {
    metric: String,
    max_trials: Option<u32>,
    kind: Kind,
}

enum Kind {
    Bar(ProgressBar),
    Plain { last: Option<Instant>, best: Option<f64> },
    None,
}

impl Progress {
    pub(super) fn new(spec: &SweepSpec, manners: Manners) -> Self {
        let kind = if manners.quiet {
            Kind::None
        } else if manners.no_progress || !std::io::stderr().is_terminal() {
            Kind::Plain { last: None, best: None }
        } else {
            Kind::Bar(bar(spec.budget.max_trials))
        };
        Self { metric: spec.metric.clone(), max_trials: spec.budget.max_trials, kind }
    }

    pub(super) fn show(&mut self, view: &SweepView) {
        let text = line(view, &self.metric, self.max_trials);
        match &mut self.kind {
            Kind::Bar(bar) => {
                bar.set_position(u64::from(ended(view)));
                bar.set_message(text);
            }
            Kind::Plain { last, best } => {
                let now_best = view.best.as_ref().map(|best| best.metric);
                if now_best != *best || last.is_none_or(|last| last.elapsed() >= PLAIN_EVERY) {
                    mention!("{text}");
                    (*last, *best) = (Some(Instant::now()), now_best);
                }
            }
            Kind::None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn bar(max_trials: Option<u32>) -> ProgressBar {
    let bar = max_trials.map_or_else(ProgressBar::new_spinner, |most| ProgressBar::new(most.into()));
    let template = if max_trials.is_some() { "{elapsed_precise} {bar:24.green/dim} {msg}" } else { "{elapsed_precise} {spinner} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Trials that have at least one result behind them and do not run.
fn ended(view: &SweepView) -> u32 {
    view.trials.paused + view.trials.finished + view.trials.stopped + view.trials.failed
}

/// The sweep in one line.
fn line(view: &SweepView, metric: &str, max_trials: Option<u32>) -> String {
    let trials = &view.trials;
    let of = max_trials.map(|most| format!("/{most}")).unwrap_or_default();
    let unit = if view.gpus { "GPU" } else { "slot" };
    let hours = Uses::hours(view.uses.reserved);
    // Short sweeps are told in minutes.
    let reserved = if hours < 0.1 { format!("{:.2} {unit}-min", hours * 60.0) } else { format!("{hours:.3} {unit}-h") };
    let failed = if trials.failed > 0 { format!(", {} failed", trials.failed) } else { String::new() };
    let best = view.best.as_ref().map_or_else(
        || "no result yet".to_owned(),
        |best| format!("best {metric} {:.5} (trial {} at {})", best.metric, best.trial, best.resource),
    );
    let state = match view.state {
        SweepState::Running => String::new(),
        SweepState::Draining => "  stopping for now".to_owned(),
        SweepState::Ending(why) | SweepState::Finished(why) => format!("  {why}"),
    };
    format!(
        "trials {}{of}: {} running, {} paused, {} finished{failed}  slots {}/{}  {reserved}  {best}{state}",
        trials.total, trials.running, trials.paused, trials.finished, view.slots.busy, view.slots.total,
    )
}
