//! What the slot time bought, in figures. All improvements are oriented so that positive is better.
use hpo_core::ledger::Uses;
use hpo_core::{Goal, Stamp, Sweep, SweepView, TrialId};

use super::history::{History, Point};
use super::words::{multiple, nice_step};

/// The figures of one sweep. Hours are slot-hours or GPU-hours reserved, as the sweep's slots are.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Reserved in all.
    pub hours: f64,
    /// What the best is compared with.
    pub baseline: Option<Baseline>,
    /// (baseline - best) per hour. None before the first report, and when nothing was reserved.
    pub gain_per_hour: Option<f64>,
    /// The target, if one is set, and after how many hours it was reached.
    pub target: Option<(f64, Option<f64>)>,
    /// The best after each of equal shares of the time: (hours, metric). The share is one hour, unless that would give
    /// no row or more than 24.
    pub best_after: Vec<(f64, Option<f64>)>,
    /// Area under the anytime curve, normalised on both axes: the mean over the reserved time of (best so far - final
    /// best) / (first report - final best), counting 1 before the first report. 0: the best came at once; 1: at the end.
    pub area: Option<f64>,
    /// Gain of the last hour; None if there was no report an hour before the end.
    pub last_hour: Option<f64>,
    /// Share of the reserved time that was training and was kept.
    pub utilisation: Option<f64>,
    /// What an hour costs, if that is known.
    pub price: Option<f64>,
    /// Seconds from the sweep's creation to the first training step.
    pub first_step_seconds: Option<f64>,
}

/// The trial that the gain is measured from: what one would have had without a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    /// Which.
    pub trial: TrialId,
    /// Its best metric.
    pub metric: f64,
    /// Whether it was the first that was trained to max_resource; else it is the first of all with a finite metric.
    pub full: bool,
}

impl Figures {
    /// Of a sweep as `view` shows it, with the price of an hour.
    #[must_use]
    pub fn of(history: &History, sweep: &Sweep, view: &SweepView, price: Option<f64>) -> Self {
        let goal = sweep.spec().goal;
        let curve = Curve { points: &history.curve, goal, end: view.uses.reserved };
        let hours = Uses::hours(view.uses.reserved);
        let baseline = baseline(history, sweep);
        let best = view.best.as_ref().map(|best| best.metric);
        let gain = baseline.zip(best).map(|(from, best)| gain(goal, from.metric, best));
        let kept = view.uses.winner + view.uses.explored + view.uses.stopped;
        let reserved = (view.uses.reserved > 0).then_some(view.uses.reserved as f64);
        Self {
            hours,
            baseline,
            gain_per_hour: gain.filter(|_| hours > 0.0).map(|gain| gain / hours),
            target: sweep.spec().budget.target.map(|target| (target, curve.reaches(target))),
            best_after: curve.best_after(),
            area: curve.area(),
            last_hour: curve.last_hour(),
            utilisation: reserved.map(|reserved| kept as f64 / reserved),
            price,
            first_step_seconds: history.first_step.map(|at| at.since(Stamp(0)) as f64 / 1e3),
        }
    }
}

fn baseline(history: &History, sweep: &Sweep) -> Option<Baseline> {
    let metric = |trial: &hpo_core::sweep::Trial| trial.best.map(|(loss, _)| sweep.spec().goal.metric(loss));
    if let Some(trial) = history.first_full.and_then(|id| sweep.trial(id)) {
        return Some(Baseline { trial: trial.id, metric: metric(trial)?, full: true });
    }
    sweep.trials().find_map(|trial| Some(Baseline { trial: trial.id, metric: metric(trial)?, full: false }))
}

/// How much better `to` is than `from`.
fn gain(goal: Goal, from: f64, to: f64) -> f64 {
    match goal {
        Goal::Minimize => from - to,
        Goal::Maximize => to - from,
    }
}

/// The anytime curve over reserved time, in milli-slot-milliseconds.
struct Curve<'a> {
    points: &'a [Point],
    goal: Goal,
    end: u64,
}

impl Curve<'_> {
    fn best_at(&self, reserved: u64) -> Option<f64> {
        let count = self.points.partition_point(|point| point.reserved <= reserved);
        count.checked_sub(1).map(|last| self.points[last].metric)
    }

    fn reaches(&self, target: f64) -> Option<f64> {
        let there = |point: &&Point| self.goal.loss(point.metric) <= self.goal.loss(target);
        self.points.iter().find(there).map(|point| Uses::hours(point.reserved))
    }

    fn best_after(&self) -> Vec<(f64, Option<f64>)> {
        let hours = Uses::hours(self.end);
        if hours <= 0.0 {
            return vec![];
        }
        let step = if (1.0..=24.0).contains(&hours) { 1.0 } else { nice_step(hours, 12) };
        let rows = (hours / step).floor() as u32;
        let after = (1..=rows).map(|row| multiple(step, row.into()));
        after.map(|hours| (hours, self.best_at(amount(hours)))).collect()
    }

    fn area(&self) -> Option<f64> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        let range = gain(self.goal, first.metric, last.metric);
        if range <= 0.0 || self.end == 0 {
            return None;
        }
        let ends = self.points.iter().skip(1).map(|point| point.reserved).chain([self.end]);
        let steps = self.points.iter().zip(ends);
        let under: f64 = steps.map(|(point, end)| (end - point.reserved) as f64 * gain(self.goal, point.metric, last.metric) / range).sum();
        Some((first.reserved as f64 + under) / self.end as f64)
    }

    fn last_hour(&self) -> Option<f64> {
        let before = self.best_at(self.end.checked_sub(amount(1.0))?)?;
        Some(gain(self.goal, before, self.points.last()?.metric))
    }
}

/// Hours in milli-slot-milliseconds.
fn amount(hours: f64) -> u64 {
    (hours * 3.6e9).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000;

    fn points(of: &[(u64, f64)]) -> Vec<Point> {
        let point = |&(reserved, metric): &(u64, f64)| Point { at: Stamp(0), reserved, resource: 0, metric, trial: TrialId(0) };
        of.iter().map(point).collect()
    }

    #[test]
    fn the_curve_is_read_off_at_any_time() {
        let points = points(&[(HOUR / 2, 3.0), (HOUR, 2.0), (5 * HOUR / 2, 1.0)]);
        let curve = Curve { points: &points, goal: Goal::Minimize, end: 3 * HOUR };
        assert_eq!(curve.best_after(), [(1.0, Some(2.0)), (2.0, Some(2.0)), (3.0, Some(1.0))]);
        assert_eq!((curve.best_at(0), curve.reaches(2.5), curve.reaches(0.5)), (None, Some(1.0), None));
        assert_eq!(curve.last_hour(), Some(1.0));
        // 0.5 h at 1, 0.5 h at 1, 1.5 h at 0.5, 0.5 h at 0.
        assert!((curve.area().unwrap() - 1.75 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn short_and_long_sweeps_get_a_readable_number_of_rows() {
        let points = points(&[(0, 3.0)]);
        let rows = |end| Curve { points: &points, goal: Goal::Maximize, end }.best_after();
        assert_eq!(
            rows(HOUR / 20).iter().map(|row| row.0).collect::<Vec<_>>(),
            [0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05]
        );
        assert_eq!((rows(24 * HOUR).len(), rows(100 * HOUR).len(), rows(0).len()), (24, 10, 0));
        let short = Curve { points: &points, goal: Goal::Minimize, end: HOUR / 2 };
        assert_eq!((short.last_hour(), short.area()), (None, None));
    }
}
