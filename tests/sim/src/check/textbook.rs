//! With one slot and no faults, a sweep is a loop in a textbook. Each rule is written down here as its paper prints it, and at
//! the end the whole sequence of leases and stops must be the one that the loop makes of the same losses.
use std::collections::BTreeMap;

use hpo_core::schedule::SchedulerSpec;
use hpo_core::{Event, Loss, SweepSpec};
use hpo_driver::journal::Record;

use super::act::Act;
use super::book::Book;
use super::{Judge, Last, Violation, refuse};

/// A step of a sweep on one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This trial trains on, up to here.
    Train(u32, u32),
    /// It is stopped.
    Stop(u32),
}

/// What a loop works with.
struct Desk<'a> {
    rungs: Vec<u32>,
    eta: usize,
    trials: u32,
    /// By trial and resource.
    losses: &'a BTreeMap<(u32, u32), Loss>,
    steps: Vec<Step>,
}

/// The sequence of a sweep, and the losses that it is made of.
#[derive(Debug)]
pub(super) struct Textbook {
    spec: SweepSpec,
    trials: u32,
    steps: Vec<Step>,
    losses: BTreeMap<(u32, u32), Loss>,
    /// It ended because every trial did.
    complete: bool,
}

const NAME: &str = "textbook";

impl Textbook {
    /// The sequence begins. None for a rule without a textbook loop, and for a sweep that a budget may end anywhere.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Option<Self> {
        let known = matches!(
            spec.scheduler,
            SchedulerSpec::Fifo { .. }
                | SchedulerSpec::AshaPromote { .. }
                | SchedulerSpec::AshaStop { .. }
                | SchedulerSpec::Halving { .. }
                | SchedulerSpec::Hyperband { .. }
        );
        let none = BTreeMap::new();
        known.then(|| Self { spec: spec.clone(), trials: 0, steps: vec![], losses: none, complete: false })
    }

    fn expected(&self) -> Vec<Step> {
        let ladder = self.spec.scheduler.ladder();
        let rungs: Vec<u32> = ladder.rungs().iter().map(|rung| rung.0).collect();
        let mut desk = Desk { eta: ladder.eta() as usize, trials: self.trials, losses: &self.losses, steps: vec![], rungs };
        match &self.spec.scheduler {
            SchedulerSpec::AshaPromote { .. } => desk.asha_promote(),
            SchedulerSpec::AshaStop { .. } => desk.asha_stop(),
            SchedulerSpec::Halving { bracket, .. } => desk.halving(bracket.or(self.spec.budget.max_trials)),
            SchedulerSpec::Hyperband { .. } => desk.hyperband(),
            _ => desk.fifo(),
        }
        desk.steps
    }
}

impl Desk<'_> {
    fn top(&self) -> u32 {
        self.rungs[self.rungs.len() - 1]
    }

    /// A loss that is not there belongs to a training that the sweep did not do: any is wrong.
    fn loss(&self, trial: u32, at: u32) -> Loss {
        self.losses.get(&(trial, at)).copied().unwrap_or(Loss::new(f64::NAN))
    }

    fn fifo(&mut self) {
        let top = self.top();
        self.steps.extend((0..self.trials).map(|trial| Step::Train(trial, top)));
    }

    fn asha_promote(&mut self) {
        let mut rungs: Vec<Vec<(Loss, u32)>> = vec![vec![]; self.rungs.len()];
        let mut promoted: Vec<Vec<u32>> = vec![vec![]; self.rungs.len()];
        let mut next = 0;
        loop {
            let job = (0..self.rungs.len() - 1).rev().find_map(|k| {
                rungs[k].sort();
                let candidates = &rungs[k][..rungs[k].len() / self.eta];
                candidates.iter().find(|(_, trial)| !promoted[k].contains(trial)).map(|(_, trial)| (*trial, k + 1))
            });
            let (trial, k) = match job {
                Some((trial, k)) => {
                    promoted[k - 1].push(trial);
                    (trial, k)
                }
                None if next < self.trials => {
                    next += 1;
                    (next - 1, 0)
                }
                None => return,
            };
            self.steps.push(Step::Train(trial, self.rungs[k]));
            rungs[k].push((self.loss(trial, self.rungs[k]), trial));
        }
    }

    fn asha_stop(&mut self) {
        let top = self.top();
        let mut recorded: Vec<Vec<f64>> = vec![vec![]; self.rungs.len()];
        for trial in 0..self.trials {
            self.steps.push(Step::Train(trial, top));
            for (k, recorded) in recorded.iter_mut().enumerate().take(self.rungs.len() - 1) {
                let loss = self.loss(trial, self.rungs[k]).get();
                let mut before = recorded.clone();
                before.sort_by(f64::total_cmp);
                recorded.push(loss);
                let Some(last) = before.len().checked_sub(1) else { continue };
                let (low, rest) = (last / self.eta, last % self.eta);
                let high = before[(low + 1).min(last)];
                let cutoff = before[low] + (high - before[low]) * rest as f64 / self.eta as f64;
                if loss > cutoff {
                    self.steps.push(Step::Stop(trial));
                    break;
                }
            }
        }
    }

    /// Algorithm 1's inner loop: `members` from the rung `first` to the top.
    fn rounds(&mut self, first: usize, mut members: Vec<u32>) {
        for k in first..self.rungs.len() {
            self.steps.extend(members.iter().map(|trial| Step::Train(*trial, self.rungs[k])));
            let mut places: Vec<(Loss, u32)> = members.iter().map(|trial| (self.loss(*trial, self.rungs[k]), *trial)).collect();
            places.sort();
            members =
                places.into_iter().take(members.len() / self.eta).filter(|(loss, _)| loss.is_finite()).map(|(_, trial)| trial).collect();
        }
    }

    fn halving(&mut self, bracket: Option<u32>) {
        let s_max = self.rungs.len() as u32 - 1;
        let members = bracket.unwrap_or((self.eta as u32).pow(s_max)).max(1);
        let mut next = 0;
        while next < self.trials {
            let until = (next + members).min(self.trials);
            self.rounds(0, (next..until).collect());
            next = until;
        }
    }

    fn hyperband(&mut self) {
        let s_max = self.rungs.len() - 1;
        let mut next = 0;
        for s in (0..=s_max).rev().cycle() {
            let n = ((s_max + 1) * self.eta.pow(s as u32)).div_ceil(s + 1) as u32;
            let until = (next + n).min(self.trials);
            self.rounds(s_max - s, (next..until).collect());
            next = until;
            if next == self.trials {
                return;
            }
        }
    }
}

impl Judge for Textbook {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        match &record.event {
            Event::Suggested { .. } => self.trials += 1,
            Event::Reported { trial, resource, loss, .. } => {
                // What is trained again, because the program kept no state, may come out otherwise: what came first was ranked.
                self.losses.entry((trial.0, resource.0)).or_insert(*loss);
            }
            _ => {}
        }
        for act in Book::acts(record).unwrap_or_default() {
            match act {
                Act::Lease(lease) => self.steps.push(Step::Train(lease.of.trial.0, lease.until)),
                Act::Stop(of, _) => self.steps.push(Step::Stop(of.trial.0)),
                Act::Finish(why) => self.complete = why == "every trial has ended",
                _ => {}
            }
        }
        Ok(())
    }

    fn end(&mut self, _last: &Last) -> Result<(), Violation> {
        if !self.complete {
            return Ok(());
        }
        let expected = self.expected();
        let differs = expected.iter().zip(&self.steps).position(|(one, other)| one != other);
        let at = differs.unwrap_or(expected.len().min(self.steps.len()));
        refuse(expected != self.steps, NAME, || {
            format!("step {at} of {} is {:?}, by the textbook {:?}", self.spec.scheduler.name(), self.steps.get(at), expected.get(at))
        })
    }
}
