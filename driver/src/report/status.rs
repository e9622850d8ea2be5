//! How a sweep stands now: `hpo status`.
use std::fmt::Write as _;

use hpo_core::sweep::idle::Idle;
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
    pub idle_because: Option<String>,
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

    /// Why slots have nothing to do, all reasons in one line. `None` if every slot has.
    #[must_use]
    pub fn idle_because(&self) -> Option<String> {
        let slots = self.view.slots;
        let alive = self.driver.is_some();
        Some(match self.view.state {
            SweepState::Finished(why) => format!("the sweep has ended: {why}"),
            _ if !alive => "no driver is running".to_owned(),
            SweepState::Ending(why) => format!("the sweep is ending ({why}): {}", self.leaving()),
            SweepState::Draining => format!("the sweep is stopping for now: {}", self.leaving()),
            SweepState::Running if slots.total == 0 => match self.view.trials.waiting {
                0 => "no worker is connected".to_owned(),
                1 => "no worker is connected; 1 trial waits for one".to_owned(),
                waiting => format!("no worker is connected; {waiting} trials wait for one"),
            },
            SweepState::Running if slots.busy == slots.total => return None,
            SweepState::Running => self.idle_reasons(),
        })
    }

    fn leaving(&self) -> String {
        match self.sweep.running().as_slice() {
            [] => "no trial runs any more".to_owned(),
            [one] => format!("trial {one} saves its state and leaves"),
            several => format!("{} save their states and leave", words::trials(several)),
        }
    }

    fn idle_reasons(&self) -> String {
        let running = self.sweep.running();
        let who = words::trials(&running);
        let those = match running.len() {
            0 => "none runs".to_owned(),
            1 => format!("{who} still runs and decides who goes on"),
            _ => format!("{who} still run and decide who goes on"),
        };
        let reasons: Vec<String> = self.sweep.idle().iter().map(|reason| idle(reason, &those)).collect();
        if reasons.is_empty() { format!("no trial is ready; {those}") } else { reasons.join("; ") }
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
            line("idle", &why);
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

/// A reason in words; `those` tells of the trials that run.
pub(super) fn idle(reason: &Idle, those: &str) -> String {
    match reason {
        Idle::Unheard { slots, workers } => {
            let (slots, wait) = if *slots == 1 { ("1 slot".to_owned(), "waits") } else { (format!("{slots} slots"), "wait") };
            let workers = words::one_line(&workers.join(", "));
            format!("{slots} {wait} until this driver has heard of {workers}")
        }
        Idle::Spent { slots } => format!("for {slots} slots the end of the allocation is too near for another lease"),
        Idle::Searcher { trials } => format!("waiting for the searcher to propose {}", words::trials(trials)),
        Idle::Barrier(at) => {
            let bracket = if at.bracket == 0 { String::new() } else { format!(" of bracket {}", at.bracket) };
            format!("the rung at resource {}{bracket} waits for {}", at.resource, words::members(&at.trials, at.to_come))
        }
        Idle::NoMore { started, exhausted: false } => format!("no further trial starts (`max_trials` is {started}); {those}"),
        Idle::NoMore { started, exhausted: true } => format!("the searcher has nothing more to propose after {started} trials; {those}"),
        Idle::Doubt { failed } => {
            format!("{failed} trials have failed and none has ever reported: nothing new starts before one does; {those}")
        }
        Idle::Leaving(why) => why.map_or("the sweep is stopping for now".to_owned(), |why| format!("the sweep is ending ({why})")),
    }
}
