//! The figures in words, shared by all forms of the report.
use hpo_core::Goal;
use hpo_core::sweep::view::SweepState;

use super::{Report, Standing, words};

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) label: String,
    pub(super) value: String,
    /// What it means or where it comes from.
    pub(super) note: String,
}

impl Fact {
    fn new(label: impl Into<String>, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into(), note: note.into() }
    }
}

impl Report {
    /// Everything known, the most important first. What is not known is left out.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let first = [self.best_fact(), Some(self.reserved_fact()), Some(self.trials_fact())];
        first.into_iter().flatten().chain(self.further_facts()).chain(self.first_step_fact()).chain(self.suggestions_fact()).collect()
    }

    /// Those that are not told by the tables of the best trials and of the ledger.
    pub(super) fn further_facts(&self) -> Vec<Fact> {
        let facts = [
            self.test_fact(),
            self.utilisation_fact(),
            self.gain_fact(),
            self.target_fact(),
            self.last_hour_fact(),
            self.area_fact(),
            Some(self.resource_fact()),
            Some(self.attempts_fact()),
            self.cost_fact(),
        ];
        facts.into_iter().flatten().collect()
    }

    /// Where the sweep stands, in a sentence without its full stop.
    pub(super) fn standing_text(&self) -> String {
        let elapsed = words::span(self.elapsed_ms());
        match (self.standing(), self.view.state) {
            (_, SweepState::Finished(why)) => format!("finished after {elapsed}: {why}"),
            (Standing::Running, SweepState::Draining | SweepState::Ending(_)) => format!("stopping, {elapsed} after it was created"),
            (Standing::Running, _) => format!("running, {elapsed} after it was created"),
            (_, SweepState::Draining) => format!("stopped after {elapsed}; {} goes on with it", self.how_to_go_on()),
            // It was killed, or has left; workers wait for the next one.
            _ => format!("without a driver since {elapsed} after it was created; {} goes on with it", self.how_to_go_on()),
        }
    }

    /// `resume` would train on this machine.
    fn how_to_go_on(&self) -> &'static str {
        if self.on_slurm { "hpo slurm submit" } else { "hpo resume" }
    }

    /// Trials by where they stand.
    pub(super) fn trials_text(&self) -> String {
        let trials = self.view.trials;
        let all = [
            (trials.finished, "finished"),
            (trials.running, "running"),
            (trials.waiting, "waiting"),
            (trials.paused, "paused"),
            (trials.stopped, "stopped"),
            (trials.failed, "failed"),
        ];
        let some: Vec<String> = all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if some.is_empty() { "none yet".to_owned() } else { some.join(", ") }
    }

    /// Which direction is better.
    pub(super) fn direction(&self) -> &'static str {
        match self.sweep.spec().goal {
            Goal::Minimize => "smaller is better",
            Goal::Maximize => "larger is better",
        }
    }

    fn best_fact(&self) -> Option<Fact> {
        let best = self.view.best.as_ref()?;
        let note = format!("trial {} at resource {}; {}", best.trial, best.resource, self.direction());
        Some(Fact::new(format!("Best {}", self.metric_name()), words::metric(best.metric), note))
    }

    fn test_fact(&self) -> Option<Fact> {
        let Some(card) = &self.card else {
            let test = self.best_line()?.test?;
            return Some(Fact::new("On the test split", words::metric(test), "as the best trial reported it beside its best metric"));
        };
        let examples =
            card.test.iter().find(|(name, _)| name == "examples").map_or(String::new(), |(_, count)| format!("{count} examples, "));
        Some(Fact::new("On the test split", card.test_scores()?, format!("{examples}never seen by the search")))
    }

    fn reserved_fact(&self) -> Fact {
        let reserved = self.view.uses.reserved;
        let value = format!("{} {}", words::hours(reserved, reserved), self.unit().short());
        Fact::new("Reserved", value, format!("over {}", words::span(self.elapsed_ms())))
    }

    fn utilisation_fact(&self) -> Option<Fact> {
        let share = self.figures.utilisation?;
        Some(Fact::new("Utilisation", format!("{:.1} %", 100.0 * share), "of the reserved time was training, and was kept"))
    }

    fn gain_fact(&self) -> Option<Fact> {
        let (gain, from) = (self.figures.gain_per_hour?, self.figures.baseline?);
        let which = if from.full { "the first trained in full" } else { "the first trial" };
        let note = if self.view.best.as_ref().is_some_and(|best| best.trial == from.trial) {
            format!("trial {}, {which}, is itself the best", from.trial)
        } else {
            format!("from {} (trial {}, {which}) to the best; positive is better", words::metric(from.metric), from.trial)
        };
        Some(Fact::new(format!("Gain per {}", self.unit().one()), words::short(gain, 4), note))
    }

    fn target_fact(&self) -> Option<Fact> {
        let (target, hours) = self.figures.target?;
        let unit = self.unit();
        let value = hours.map_or("not reached".to_owned(), |hours| format!("{} {}", words::short(hours, 4), unit.short()));
        Some(Fact::new(format!("{} to the target", unit.title()), value, format!("{} {}", self.metric_name(), words::short(target, 5))))
    }

    fn last_hour_fact(&self) -> Option<Fact> {
        let gain = self.figures.last_hour?;
        Some(Fact::new(format!("Gain of the last {}", self.unit().one()), words::short(gain, 4), "how much better the best became in it"))
    }

    fn area_fact(&self) -> Option<Fact> {
        let note = "normalised; 0: the best came at once, 1: only at the end";
        Some(Fact::new("Area under the curve", words::figure(self.figures.area?, 3), note))
    }

    fn trials_fact(&self) -> Fact {
        Fact::new("Trials", self.view.trials.total.to_string(), self.trials_text())
    }

    fn resource_fact(&self) -> Fact {
        let rungs = self.sweep.spec().scheduler.ladder().rungs();
        let top = rungs.last().map_or(String::new(), |top| format!("; a full trial takes {top}"));
        Fact::new("Resource trained", self.view.resource.to_string(), format!("each unit counted once{top}"))
    }

    fn attempts_fact(&self) -> Fact {
        let attempts = self.view.attempts;
        let note = format!("completed; {} preempted, {} lost, {} failed", attempts.preempted, attempts.lost, attempts.failed);
        Fact::new("Leases", attempts.finished.to_string(), note)
    }

    fn first_step_fact(&self) -> Option<Fact> {
        let at = self.history.first_step?;
        Some(Fact::new("First training step", words::span(at.0), "after the sweep was created"))
    }

    fn suggestions_fact(&self) -> Option<Fact> {
        let figures = self.history.thinking.figures();
        let (half, most) = (words::micros(figures.p50_us?), words::micros(figures.p99_us?));
        let share = figures.share_of_idle.map_or(String::new(), |share| format!(", {:.1} % of their idle time", 100.0 * share));
        let seconds = words::micros((figures.seconds * 1e6) as u64);
        let waited = words::span((figures.slots_waited_seconds * 1e3) as u64);
        let note = format!("p50 and p99 of {} suggestions, {seconds} in all; slots waited {waited} for them{share}", figures.count);
        Some(Fact::new("A suggestion took", format!("{half}, {most}"), note))
    }

    fn cost_fact(&self) -> Option<Fact> {
        let price = self.figures.price?;
        let note = format!("at {} per {}", words::short(price, 4), self.unit().one());
        Some(Fact::new("Cost", format!("{:.2}", price * self.figures.hours), note))
    }
}

impl Report {
    /// What the sweep was told to do: label and value.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let spec = self.sweep.spec();
        let ladder = spec.scheduler.ladder();
        let rungs: Vec<String> = ladder.rungs().iter().map(ToString::to_string).collect();
        let budget = &spec.budget;
        let limits = [
            budget.max_trials.map(|most| format!("{most} trials")),
            budget.reserved.map(|most| format!("{} {}", words::short(most as f64 / 3.6e6, 4), self.unit().short())),
            budget.wall.map(words::span),
            budget.target.map(|target| format!("{} {}", spec.metric, words::short(target, 5))),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        let scheduler = spec.scheduler.name();
        let mut settings = vec![
            ("searcher", self.header.searcher.clone()),
            ("scheduler", format!("{scheduler}, rungs {}", rungs.join(", "))),
            ("seed", spec.seed.0.to_string()),
        ];
        if !self.past.is_empty() {
            let runs = self.past.iter().map(|source| format!("{} of {} trials of {}", source.used, source.trials, source.run));
            settings.push(("warm start", runs.collect::<Vec<_>>().join(", ")));
        }
        if !limits.is_empty() {
            settings.push(("ends at", limits.join(" or ")));
        }
        settings
    }
}
