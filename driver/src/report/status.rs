//! How a sweep stands now: `hpo status`.
use std::fmt::Write as _;

use hpo_core::sweep::view::{AttemptCounts, SlotCounts, SweepState, TrialCounts};
use serde::Serialize;

use super::json::{BestLine, Hours};
use super::{Report, Standing, words};

/// What `hpo status RUN --json` prints.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct StatusLine {
    pub sweep: String,
    pub state: Standing,
    pub trials: TrialCounts,
    pub slots: SlotCounts,
    /// Why slots are idle, or why there are none; `null` if every slot is busy.
    pub idle_because: Option<&'static str>,
    /// Where the driver listens; empty if none is alive.
    pub addresses: Vec<String>,
    pub best: Option<BestLine>,
    pub unit: &'static str,
    pub hours: Hours,
    pub resource: u64,
    pub attempts: AttemptCounts,
    pub workers: Vec<String>,
    pub elapsed_seconds: f64,
}

impl Report {
    /// The status for scripts.
    #[must_use]
    pub fn status_line(&self) -> StatusLine {
        let view = &self.view;
        StatusLine {
            sweep: self.sweep.spec().name.clone(),
            state: self.standing(),
            trials: view.trials,
            slots: view.slots,
            idle_because: self.idle_because(),
            addresses: self.addresses().to_vec(),
            best: self.best_line(),
            unit: if view.gpus { "gpu" } else { "slot" },
            hours: Hours::from(&view.uses),
            resource: view.resource,
            attempts: view.attempts,
            workers: view.workers.clone(),
            elapsed_seconds: self.elapsed_ms() as f64 / 1e3,
        }
    }

    fn addresses(&self) -> &[String] {
        self.driver.as_ref().map_or(&[], |driver| &driver.addresses)
    }

    /// Why slots have nothing to do. `None` if every slot has.
    #[must_use]
    pub fn idle_because(&self) -> Option<&'static str> {
        let slots = self.view.slots;
        let waits_for_values = !self.sweep.owed().is_empty();
        Some(match self.view.state {
            SweepState::Finished(_) => "the sweep has ended",
            _ if self.driver.is_none() => "no driver is running",
            _ if slots.total == 0 => "no worker is connected",
            SweepState::Ending(_) => "the sweep is ending: the last attempts save their state and leave",
            SweepState::Draining => "the sweep is stopping: the last attempts save their state and leave",
            _ if slots.busy == slots.total => return None,
            SweepState::Running if waits_for_values => "waiting for the searcher's next proposal",
            SweepState::Running => "no trial is ready: those that run decide who goes on",
        })
    }

    /// The status for people, several lines.
    #[must_use]
    pub fn status_text(&self) -> String {
        let (view, unit) = (&self.view, self.unit());
        let mut text = format!("{}: {}\n", words::one_line(&self.sweep.spec().name), self.standing_text());
        let mut line = |label: &str, value: &str| {
            let _ = writeln!(text, "  {label:<8} {value}");
        };
        line("trials", &format!("{}: {}", view.trials.total, self.trials_text()));
        if self.standing() == Standing::Running {
            line("slots", &format!("{} of {} busy; {}", view.slots.busy, view.slots.total, self.workers_text()));
        }
        if let Some(best) = &view.best {
            let metric = words::one_line(self.metric_name());
            line("best", &format!("{metric} {}, trial {} at resource {}", words::metric(best.metric), best.trial, best.resource));
        }
        let reserved = words::hours(view.uses.reserved, view.uses.reserved);
        line("spent", &format!("{reserved} {} reserved, {} of resource trained", unit.short(), view.resource));
        if let Some(why) = self.idle_because().filter(|_| self.standing() == Standing::Running) {
            line("idle", why);
        }
        if !self.addresses().is_empty() {
            line("driver", &words::one_line(&self.addresses().join(", ")));
        }
        text
    }

    fn workers_text(&self) -> String {
        match self.view.workers.as_slice() {
            [] => "no worker is connected".to_owned(),
            names if names.len() <= 6 => words::one_line(&format!("workers: {}", names.join(", "))),
            names => format!("{} workers", names.len()),
        }
    }
}
