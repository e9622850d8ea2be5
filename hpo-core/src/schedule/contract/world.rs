//! A sweep without its bookkeeping: slots, a searcher and trials that chance drives, in the order in which
//! [`crate::Sweep`] calls a rule.
use std::collections::{BTreeMap, VecDeque};

use super::books::Life;
use super::*;
use crate::space::{Domain, Fold, Parameter};
use crate::{Space, Value};

pub(super) struct World<'a> {
    story: &'a Story,
    rule: Box<dyn Scheduler>,
    books: Books,
    /// Entered and not yet leased.
    fresh: VecDeque<TrialId>,
    /// Asked for; they may come in any order.
    asked: Vec<TrialId>,
    next: u32,
    exhausted: bool,
    thrown: usize,
    log: Vec<String>,
}

fn space() -> Space {
    let domain = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
    Space::new(vec![Parameter { name: "x".to_owned(), domain, when: BTreeMap::new() }]).unwrap()
}

impl<'a> World<'a> {
    pub(super) fn new(spec: &SchedulerSpec, story: &'a Story) -> Self {
        Self {
            story,
            rule: build(spec, &space(), story.told.then_some(story.max_trials)),
            books: Books::new(spec, story),
            fresh: VecDeque::new(),
            asked: vec![],
            next: 0,
            exhausted: false,
            thrown: 0,
            log: vec![],
        }
    }

    /// The dice are thrown again and again, each round a little differently.
    fn die(&mut self, sides: usize) -> usize {
        let dice = &self.story.dice;
        let value = usize::from(dice[self.thrown % dice.len()]) + self.thrown / dice.len();
        self.thrown += 1;
        value % sides
    }

    pub(super) fn play(&mut self) {
        loop {
            let idle = self.books.in_life(Life::Running).is_empty() && self.asked.is_empty();
            // Now and then a free slot is not there for a while.
            if idle || self.die(4) > 0 {
                self.fill();
            }
            let running = self.books.in_life(Life::Running);
            if running.is_empty() && self.asked.is_empty() {
                return;
            }
            let pick = self.die(running.len() + self.asked.len());
            match running.get(pick) {
                Some(&trial) => self.train(trial),
                None => self.suggest(pick - running.len()),
            }
            self.after();
        }
    }

    /// As the sweep does after every event.
    fn after(&mut self) {
        if self.asked.is_empty() && !self.may_ask() {
            self.rule.no_more();
        }
        for trial in self.rule.hopeless() {
            self.books.lost_hope(trial);
            self.log.push(format!("hopeless {trial}"));
        }
        self.rule.check();
        if self.log.len().is_multiple_of(16) {
            self.log.push(format!("{:?}", self.rule));
        }
    }

    fn may_ask(&self) -> bool {
        !self.exhausted && self.next < self.story.max_trials
    }

    fn suggest(&mut self, pick: usize) {
        let trial = self.asked.remove(pick);
        if self.books.trials.len() as u32 >= self.story.supply {
            self.exhausted = true;
            return;
        }
        let x = f64::from(trial.0 % 11) / 10.0;
        let target = self.rule.enter(trial, &[("x".to_owned(), Value::Float(x))].into());
        self.books.entered(trial, target);
        self.fresh.push_back(trial);
        self.log.push(format!("enter {trial} {target}"));
    }

    /// Free slots take promotions first, then new trials; those that stay free ask for more.
    fn fill(&mut self) {
        let mut free = self.story.slots - self.books.in_life(Life::Running).len();
        while free > 0 {
            let Some(trial) = self.promote().or_else(|| self.fresh.pop_front()) else { break };
            self.books.entry(trial).life = Life::Running;
            free -= 1;
        }
        while self.asked.len() < free && self.may_ask() {
            self.asked.push(TrialId(self.next));
            self.next += 1;
        }
    }

    fn promote(&mut self) -> Option<TrialId> {
        let paused = self.books.in_life(Life::Paused);
        let before: BTreeMap<TrialId, Standing> = paused.iter().filter_map(|&trial| Some((trial, self.standing(trial)?))).collect();
        if let Some((&trial, standing)) = before.iter().nth(self.thrown % before.len().max(1)) {
            self.books.agree(trial, standing, &self.rule.rivals(self.books.trials[&trial].target, trial));
        }
        let promotion = self.rule.promote();
        self.log.push(format!("{promotion:?}"));
        self.rule.check();
        let promotion = promotion?;
        self.books.promoted(promotion, before.get(&promotion.trial).copied());
        Some(promotion.trial)
    }

    fn standing(&self, trial: TrialId) -> Option<Standing> {
        self.rule.standing(self.books.trials[&trial].target, trial)
    }

    /// The next word of a running trial: it fails, or reports a little or a lot further on.
    fn train(&mut self, trial: TrialId) {
        if self.story.failing > 0 && self.die(self.story.failing.into()) == 0 {
            self.books.entry(trial).life = Life::Failed;
            self.rule.gave_up(trial);
            self.log.push(format!("failed {trial}"));
            return;
        }
        let step = [1, 1, 2, u32::MAX][self.die(4)];
        let top = self.books.top();
        let until = self.books.until(trial);
        let entry = self.books.entry(trial);
        let target = entry.target;
        entry.trained = entry.trained.saturating_add(step).min(until);
        let (at, loss) = (entry.trained, self.story.loss(trial, entry.trained));
        let verdict = self.rule.reported(trial, Resource(at), loss);
        self.log.push(format!("{trial} at {at}: {verdict:?}"));
        assert_ne!(verdict, Verdict::Pause, "only the end of a lease pauses");
        if at < until {
            if verdict == Verdict::Stop {
                self.books.entry(trial).life = Life::Stopped;
            }
        } else if target == top {
            self.books.entry(trial).life = Life::Finished;
        } else {
            self.reached(trial, target, loss);
        }
    }

    fn reached(&mut self, trial: TrialId, target: Rung, loss: Loss) {
        let verdict = self.rule.reached(target, trial, loss);
        self.log.push(format!("{trial} on {target}: {verdict:?}"));
        match verdict {
            Verdict::Continue => panic!("its lease has ended"),
            Verdict::Stop => self.books.entry(trial).life = Life::Stopped,
            Verdict::Pause => self.books.paused(trial, loss, self.rule.standing(target, trial)),
        }
    }

    /// The end: nobody more comes, nothing runs. Returns all that was said.
    pub(super) fn close(mut self) -> Vec<String> {
        assert!(self.rule.promote().is_none(), "a trial could go on");
        self.after();
        self.books.close();
        self.log.push(format!("{:?}", self.rule));
        self.log
    }
}
