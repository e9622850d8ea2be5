//! The test's own account of a sweep, kept from what was said to the rule and what it answered.
use std::collections::BTreeMap;

use super::*;

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It wants a slot.
    Waiting,
    Running,
    Paused,
    Finished,
    Stopped,
    Failed,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) life: Life,
    /// The rung that its first lease led to.
    pub(super) first: Rung,
    /// The rung that its newest lease leads to.
    pub(super) target: Rung,
    pub(super) trained: u32,
    pub(super) bracket: Option<usize>,
    /// What it had at the end of each lease below the top.
    results: BTreeMap<Rung, Loss>,
    hopeless: bool,
}

/// Brackets for all trials of a story, of a rule whose rungs wait until all are in.
fn plan(spec: &SchedulerSpec, story: &Story) -> Vec<BracketPlan> {
    let Some(pass) = spec.one_pass() else { return vec![] };
    let pass = spec.brackets(if story.told { story.max_trials } else { pass });
    pass.iter().cloned().cycle().take(story.max_trials as usize).collect()
}

/// All trials by number.
#[derive(Debug)]
pub(super) struct Books {
    spec: SchedulerSpec,
    ladder: Ladder,
    pub(super) trials: BTreeMap<TrialId, Entry>,
    /// Empty for a rule whose rungs do not wait until all are in.
    plan: Vec<BracketPlan>,
}

impl Books {
    pub(super) fn new(spec: &SchedulerSpec, story: &Story) -> Self {
        Self { spec: spec.clone(), ladder: spec.ladder().clone(), trials: BTreeMap::new(), plan: plan(spec, story) }
    }

    pub(super) fn top(&self) -> Rung {
        self.ladder.top()
    }

    /// The end of a trial's lease.
    pub(super) fn until(&self, trial: TrialId) -> u32 {
        self.ladder.resource(self.trials[&trial].target).0
    }

    fn waits_for_all(&self) -> bool {
        !self.plan.is_empty()
    }

    pub(super) fn entered(&mut self, trial: TrialId, target: Rung) {
        assert!(target <= self.ladder.top());
        let mut before = 0;
        let full = |plan: &&BracketPlan| {
            before += plan.populations[0] as usize;
            before <= self.trials.len()
        };
        let bracket = self.waits_for_all().then(|| self.plan.iter().take_while(full).count());
        if let Some(bracket) = bracket {
            assert_eq!(target, self.plan[bracket].entry, "trial {trial} enters bracket {bracket} where the plan says");
        }
        let entry = Entry { life: Life::Waiting, first: target, target, trained: 0, bracket, results: BTreeMap::new(), hopeless: false };
        assert!(self.trials.insert(trial, entry).is_none());
    }

    pub(super) fn entry(&mut self, trial: TrialId) -> &mut Entry {
        self.trials.get_mut(&trial).unwrap()
    }

    pub(super) fn in_life(&self, life: Life) -> Vec<TrialId> {
        self.trials.iter().filter(|(_, entry)| entry.life == life).map(|(&trial, _)| trial).collect()
    }

    /// `trial` came to the end of its lease; `standing` is the rule's word about it.
    pub(super) fn paused(&mut self, trial: TrialId, loss: Loss, standing: Option<Standing>) {
        let entry = self.entry(trial);
        entry.life = Life::Paused;
        assert!(entry.results.insert(entry.target, loss).is_none());
        let bracket = standing.expect("whoever waits for a promotion is compared").bracket;
        assert_eq!(*entry.bracket.get_or_insert(bracket), bracket, "nobody changes brackets");
    }

    /// Named once, and only while paused.
    pub(super) fn lost_hope(&mut self, trial: TrialId) {
        let entry = self.entry(trial);
        assert_eq!(entry.life, Life::Paused, "trial {trial} cannot lose a hope that it does not have");
        assert!(!std::mem::replace(&mut entry.hopeless, true), "trial {trial} is named twice");
    }

    /// A promotion is due to someone paused who still had hope, to the next rung, from within the top floor(n / eta) by
    /// the books and, as `before` says, by the rule's own words.
    pub(super) fn promoted(&mut self, promotion: Promotion, before: Option<Standing>) {
        let Promotion { trial, to } = promotion;
        let entry = &self.trials[&trial];
        assert_eq!((entry.life, entry.hopeless), (Life::Paused, false), "trial {trial}");
        assert_eq!(to, entry.target + 1, "one rung at a time");
        assert!(to <= self.ladder.top());
        let (rank, population, unsettled) = self.place(trial);
        let quota = population / self.ladder.eta() as usize;
        assert!(rank < quota, "trial {trial} has rank {rank} of {population}, and {quota} go on");
        let standing = before.expect("whoever is promoted was compared");
        let loss = entry.results[&entry.target];
        assert_eq!((standing.rank, standing.population), (rank, population), "trial {trial}");
        assert!(standing.quota.is_none_or(|quota| rank < quota), "{standing:?}");
        assert!(standing.cutoff.is_none_or(|cutoff| loss <= cutoff), "{standing:?}");
        if self.waits_for_all() {
            assert_eq!(unsettled, 0, "trial {trial} goes on before all have come");
            assert!(loss.is_finite(), "trial {trial} has diverged");
        }
        let entry = self.entry(trial);
        (entry.life, entry.target) = (Life::Waiting, to);
    }

    /// How many on its rung are better than `trial`, how many are compared there, and how many are still on their way.
    fn place(&self, trial: TrialId) -> (usize, usize, usize) {
        let entry = &self.trials[&trial];
        let place = (entry.results[&entry.target], trial);
        let (mut rank, mut population, mut unsettled) = (0, 0, 0);
        for (&id, other) in self.trials.iter().filter(|(_, other)| other.bracket == entry.bracket) {
            // Who failed or was stopped on the way took part, with the worst of losses.
            let gone = matches!(other.life, Life::Failed | Life::Stopped) && other.target == entry.target;
            let loss = other.results.get(&entry.target).copied().or((gone && self.waits_for_all()).then(|| Loss::new(f64::NAN)));
            population += usize::from(loss.is_some());
            rank += usize::from(loss.is_some_and(|loss| (loss, id) < place));
            unsettled += usize::from(loss.is_none() && other.target == entry.target);
        }
        (rank, population, unsettled)
    }

    /// What the rule says about a paused trial is what the books say.
    pub(super) fn agree(&self, trial: TrialId, standing: &Standing, rivals: &[Place]) {
        let entry = &self.trials[&trial];
        let place = (entry.results[&entry.target], trial);
        let (rank, population, _) = self.place(trial);
        assert_eq!((standing.rank, standing.population), (rank, population), "trial {trial}");
        assert_eq!(rivals.len(), population);
        assert_eq!(rivals.get(rank), Some(&place));
        assert!(rivals.is_sorted());
        // A rule that waits for others counts them in; at the promotion all have come.
        let most = population / self.ladder.eta() as usize;
        assert!(self.waits_for_all() || standing.quota.is_none_or(|quota| quota <= most), "{standing:?}");
    }

    /// Nothing runs, nobody waits and nobody more will come: nothing may be left undone, and no bound was passed.
    pub(super) fn close(&self) {
        let entered = self.trials.len() as u32;
        let came = |rung: Rung| self.trials.values().filter(|entry| entry.trained >= self.ladder.resource(rung).0).count() as u64;
        let worst = self.spec.worst_arrivals(entered);
        let came: Vec<u64> = (0..=self.ladder.top()).map(came).collect();
        assert!(came.iter().zip(&worst).all(|(came, worst)| came <= worst), "{came:?} came, at worst {worst:?}");
        let spent: u64 = self.trials.values().map(|entry| u64::from(entry.trained)).sum();
        assert!(spent <= self.spec.worst_resource(entered), "{spent}");
        for (trial, entry) in &self.trials {
            assert!(!matches!(entry.life, Life::Waiting | Life::Running), "trial {trial} is left behind");
            assert!(entry.life != Life::Finished || entry.target == self.ladder.top());
            let settled = entry.life != Life::Paused || entry.hopeless || !self.waits_for_all();
            assert!(settled, "trial {trial} is paused for ever and nobody said so");
        }
        for bracket in 0..self.plan.len() {
            self.close_bracket(bracket);
        }
    }

    /// From each rung as many went on as its population and its finite losses allow: no rung has stalled, and the
    /// populations are the paper's.
    fn close_bracket(&self, bracket: usize) {
        let members: Vec<&Entry> = self.trials.values().filter(|entry| entry.bracket == Some(bracket)).collect();
        for rung in self.plan[bracket].entry..self.ladder.top() {
            let came = members.iter().filter(|entry| entry.first <= rung && entry.target >= rung).count();
            let finite = members.iter().filter(|entry| entry.results.get(&rung).is_some_and(|loss| loss.is_finite())).count();
            let went_on = members.iter().filter(|entry| entry.target > rung).count();
            assert_eq!(went_on, finite.min(came / self.ladder.eta() as usize), "bracket {bracket}, rung {rung}");
        }
    }
}
