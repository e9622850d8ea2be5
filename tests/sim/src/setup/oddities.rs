//! What is unusual about trainings, programs and machines without being a fault.
use hpo_core::schedule::SchedulerSpec;
use hpo_core::{Goal, Seed, SweepSpec};

use super::{Faults, Style};
use crate::chance::{Chance, Dice};

/// How figures, reports, states and slots are unlike those of the plainest world.
#[derive(Clone, Debug, PartialEq)]
pub struct Oddities {
    /// Losses are rounded to multiples of it, so that many are equal; 0: they are not.
    pub grain: f64,
    /// How much of a loss is chance: with a tenth curves hardly cross, with 1 they do all the time.
    pub noise: f64,
    /// Losses lie around 0 and go so far: no two of the worst have a finite distance.
    pub huge: Option<f64>,
    /// A unit that is trained again, by another attempt, has another loss.
    pub fickle: bool,
    /// Of each so many units a trainer reports one, and the last of its lease.
    pub stride: u32,
    /// Thousandths of a GPU of each slot; 0 is a CPU core.
    pub milli_gpus: u32,
    /// A program saves the best model that it had, which is the same file after many units.
    pub best_only: bool,
    /// A program whose output is read keeps no state at all: each lease begins from nothing.
    pub saves_nothing: bool,
    /// A trainer that is called back before its first unit saves what it has begun with.
    pub saves_early: bool,
    /// A driver looks at its clock at the very millisecond that it waited for.
    pub punctual: bool,
}

impl Default for Oddities {
    fn default() -> Self {
        Self {
            grain: 0.0,
            noise: 0.1,
            huge: None,
            fickle: false,
            stride: 1,
            milli_gpus: 0,
            best_only: false,
            saves_nothing: false,
            saves_early: false,
            punctual: false,
        }
    }
}

/// Half of the seeds are odd. Found seeds are not among them, and stay as they were found.
pub(super) fn are_tried(seed: Seed) -> bool {
    matches!(seed.0 % 8, 1 | 3 | 4 | 5)
}

/// What was added later is tried by half of these, none of which is one that was found before.
fn is_later(seed: Seed) -> bool {
    matches!(seed.0 % 8, 1 | 3)
}

impl Oddities {
    /// Those of a seed; budgets and faults that go with them are changed on the way.
    pub(super) fn of(seed: Seed, style: Style, spec: &mut SweepSpec, faults: &mut Faults) -> Self {
        if !are_tried(seed) {
            return Self::default();
        }
        let mut dice = Dice::of(seed, "oddities");
        let chance: &mut dyn Chance = &mut dice;
        let mut odd = Self {
            noise: [0.1, 0.5, 1.0][chance.one_of("noise", 3)],
            fickle: chance.one_of("fickle", 4) == 0,
            milli_gpus: [0, 0, 250, 1000][chance.one_of("GPUs", 4)],
            best_only: chance.one_of("only the best state", 8) == 0,
            punctual: chance.one_of("punctual", 2) == 0,
            ..Self::default()
        };
        match chance.one_of("losses", 6) {
            0 | 1 => odd.grain = 0.25,
            // PASHA measures noise by differences of losses: its judge does not follow it where these overflow.
            2 => odd.huge = Some(if matches!(spec.scheduler, SchedulerSpec::Pasha { .. }) { 1e306 } else { 1e308 }),
            _ => {}
        }
        // Of a program whose output is read each line is the next unit.
        if style != Style::Quiet && chance.one_of("stride", 3) == 0 {
            odd.stride = 2 + chance.one_of("units", 2) as u32;
        }
        if chance.one_of("goal", 4) == 0 {
            spec.goal = Goal::Maximize;
        }
        spec.budget.target = spec.budget.target.map(|_| {
            let loss = if odd.grain > 0.0 { 0.75 } else { 0.2 };
            if spec.goal == Goal::Maximize { -loss } else { loss }
        });
        // A rule that learns from trials needs some.
        if let (SchedulerSpec::Swift { .. }, Some(most)) = (&spec.scheduler, &mut spec.budget.max_trials) {
            *most += 30;
        }
        if !faults.none() {
            odd.add_faults(chance, spec, faults);
        }
        if is_later(seed) {
            odd.add_edges(seed, style, faults);
            // So does one that measures by them how much of a loss is chance.
            if let (SchedulerSpec::Pasha { .. }, Some(most)) = (&spec.scheduler, &mut spec.budget.max_trials) {
                *most += 20;
            }
        }
        odd
    }

    /// What lies at the edge of what is right.
    fn add_edges(&mut self, seed: Seed, style: Style, faults: &mut Faults) {
        let mut dice = Dice::of(seed, "edges");
        let chance: &mut dyn Chance = &mut dice;
        self.saves_nothing = style == Style::Quiet && chance.one_of("no states", 3) == 0;
        self.saves_early = chance.one_of("early states", 3) == 0;
        if !faults.none() && chance.one_of("edge", 3) == 0 {
            faults.edge_pm = chance.between("how often at the edge", (1, 60)) as u32;
        }
    }

    fn add_faults(&self, chance: &mut dyn Chance, spec: &SweepSpec, faults: &mut Faults) {
        if chance.one_of("forged words", 4) == 0 {
            faults.forged_pm = chance.between("forged", (1, 60)) as u32;
        }
        if chance.one_of("many diverge", 6) == 0 {
            faults.nan_pm = 600;
        }
        // A job that cannot begin: nearly every trial fails at its start.
        if spec.budget.setup_failures.is_some() && chance.one_of("broken job", 2) == 0 {
            faults.spawn_pm = 950;
        }
    }

    /// What becomes of the loss of a plain training.
    pub(crate) fn loss(&self, plain: f64) -> f64 {
        let loss = if self.grain > 0.0 { (plain / self.grain).round() * self.grain } else { plain };
        self.huge.map_or(loss, |most| (loss / 1.5 - 1.0).clamp(-1.7, 1.7) * most)
    }

    /// Whether a trainer reports this unit.
    pub(crate) fn is_reported(&self, trial: u32, resource: u32, until: u32) -> bool {
        resource == until || resource.is_multiple_of(1 + trial % self.stride)
    }
}
