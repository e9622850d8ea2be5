//! The answer in one sentence, and what must be added to it.
use hpo_core::Resource;
use hpo_core::sweep::State;
use hpo_core::sweep::explain::{Moment, Stand, What};

use super::super::words;
use super::{Why, apart, ordinal, time};

impl Why {
    /// Where the trial stands and why: a sentence, then what explains it further.
    pub(super) fn answer(&self) -> String {
        let id = self.of.trial;
        let first = match self.trial().state {
            State::Paused => self.paused(),
            State::Stopped => self.stopped(),
            State::Finished => self.finished(),
            State::Failed => {
                let why = self.trial().failure.as_deref().unwrap_or("no reason was given");
                format!("Trial {id} failed for good in attempt {}, {}: {}", self.trial().attempt, self.how_far(), words::one_line(why))
            }
            State::Leased { .. } => self.running(),
            State::Waiting => self.waiting(),
        };
        let further = [self.pushed_out(), self.without_hope(), self.leading()].into_iter().flatten();
        let first = if first.ends_with(['.', '!', '?']) { first } else { format!("{first}.") };
        std::iter::once(first).chain(further).collect::<Vec<_>>().join(" ")
    }

    fn how_far(&self) -> String {
        match self.trial().trained {
            Resource(0) => "before its first report".to_owned(),
            resource => format!("after resource {resource}"),
        }
    }

    pub(super) fn paused(&self) -> String {
        let id = self.of.trial;
        let Some(stand) = self.waits_in() else { return format!("Trial {id} is paused") };
        let is = if self.ended() { "was paused to the end" } else { "is paused" };
        let next = match self.sweep.finished() {
            Some(why) if stand.goes_on => format!("; it was to go on when the sweep ended ({why})"),
            None if stand.goes_on || self.held_back(stand) => format!("; {}", self.held_up(stand)),
            _ => String::new(),
        };
        format!("Trial {id} {is} at resource {}: {}{next}", place_of(stand), self.standing(stand))
    }

    /// `it stands 12th of 31; the best 10 go on; it needs val_loss <= 0.41370 and has 0.43910`.
    fn standing(&self, stand: &Stand) -> String {
        let (stands, needs, has) = if self.ended() { ("stood", "needed", "had") } else { ("stands", "needs", "has") };
        let mut text = format!("it {stands} {} of {}", ordinal(stand.rank), stand.population);
        match stand.quota {
            Some(0) => text += if self.ended() { ", of whom none went on" } else { ", of whom none goes on" },
            Some(1) => text += if self.ended() { "; the best one was to go on" } else { "; the best one goes on" },
            Some(quota) => text += &format!("; the best {quota} {}", if self.ended() { "were to go on" } else { "go on" }),
            None => {}
        }
        match stand.cutoff.filter(|_| !stand.goes_on) {
            Some(cutoff) => {
                let (has_this, needs_this) = apart(stand.metric, cutoff);
                text + &format!("; it {needs} {} {} {needs_this} and {has} {has_this}", self.metric_name(), self.reaches())
            }
            None => text + &format!("; it {has} {}", self.measured(stand.metric)),
        }
    }

    /// Whether nobody goes on although enough stand there.
    fn held_back(&self, stand: &Stand) -> bool {
        stand.quota == Some(0) && stand.population >= self.sweep.spec().scheduler.ladder().eta() as usize
    }

    /// Why a trial that is to go on does not.
    fn held_up(&self, stand: &Stand) -> String {
        let slots = self.sweep.view().slots;
        if let Some(barrier) = &stand.barrier {
            format!("its rung waits for {}", words::members(&barrier.trials, barrier.to_come))
        } else if self.held_back(stand) {
            "the scheduler lets nobody go on from here yet".to_owned()
        } else if !self.live {
            "it goes on when `hpo resume` does".to_owned()
        } else if slots.total == 0 {
            "it goes on when a worker comes".to_owned()
        } else if slots.busy == slots.total {
            "it goes on when a slot is free".to_owned()
        } else {
            "the scheduler lets nobody go on from here yet".to_owned()
        }
    }

    pub(super) fn stopped(&self) -> String {
        let id = self.of.trial;
        let last = self.of.moments.iter().rev().find_map(|moment| match &moment.what {
            What::Stopped { resource, metric, stand, outlook } => Some((*resource, *metric, stand.as_ref(), outlook.as_ref())),
            _ => None,
        });
        let Some((resource, metric, stand, outlook)) = last else { return format!("Trial {id} was stopped") };
        let head = format!("Trial {id} was stopped at resource {resource}");
        if let Some(outlook) = outlook {
            return format!("{head}, on the way to {}: {}", outlook.to, self.predicted(outlook));
        }
        let scheduler = self.sweep.spec().scheduler.name();
        let Some(stand) = stand else { return format!("{head} by the scheduler `{scheduler}`, with {}", self.measured(metric)) };
        let stood = format!("it stood {} of {}", ordinal(stand.rank), stand.population);
        let Some(cutoff) = stand.cutoff else { return format!("{head}: {stood}, with {}", self.measured(stand.metric)) };
        let (has, needed) = apart(stand.metric, cutoff);
        format!("{head}: {stood}; it needed {} {} {needed} and had {has}", self.metric_name(), self.reaches())
    }

    fn finished(&self) -> String {
        let id = self.of.trial;
        let end = self.of.moments.iter().rev().find_map(|moment| match moment.what {
            What::Finished { resource, metric } => Some((resource, metric)),
            _ => None,
        });
        let Some((resource, metric)) = end else { return format!("Trial {id} finished") };
        format!("Trial {id} finished: it was trained to resource {resource}, where it has {}", self.measured(metric))
    }

    fn running(&self) -> String {
        let id = self.of.trial;
        let lease = self.of.moments.iter().rev().find_map(|moment| match &moment.what {
            What::Leased { attempt, worker, from, until, .. } => Some((moment.at, attempt, words::one_line(worker), from, until)),
            _ => None,
        });
        let Some((at, attempt, worker, from, until)) = lease else { return format!("Trial {id} is training") };
        let lease = format!("attempt {attempt} on {worker}, since {}, from resource {from} to {until}", time(at));
        if self.live {
            format!("Trial {id} is training: {lease}")
        } else {
            format!("Trial {id} was training when its driver ended: {lease}; `hpo resume` goes on with it")
        }
    }

    fn waiting(&self) -> String {
        let id = self.of.trial;
        if let Some(why) = self.sweep.finished() {
            return format!("Trial {id} was waiting for a slot, {}, when the sweep ended ({why})", self.how_far());
        }
        let since = self.of.moments.iter().rev().find(|moment| interrupts(moment));
        let why = match since.map(|moment| (&moment.what, time(moment.at))) {
            Some((What::Preempted { .. }, at)) => format!("it was interrupted at {at}, not by its fault"),
            Some((What::Lost { .. }, at)) => format!("it was lost at {at}"),
            Some((What::Failed { .. }, at)) => format!("its last attempt failed at {at}, and it is tried again"),
            _ => "it is new".to_owned(),
        };
        format!("Trial {id} waits for a slot: {why}; it goes on from {}", from(self.trial().resumes_at()))
    }

    fn pushed_out(&self) -> Option<String> {
        let stand = self.waits_in().filter(|stand| !stand.goes_on)?;
        let moved = |moment: &&Moment| matches!(moment.what, What::PushedOut { .. } | What::CameIn { .. });
        let last = self.of.moments.iter().rev().find(moved)?;
        let What::PushedOut { by, stand: then, .. } = &last.what else { return None };
        let Some(by) = by else {
            return fewer(&last.what).map(|fewer| format!("It was among those that go on until {}: {fewer}.", time(last.at)));
        };
        let best = then.quota.filter(|quota| *quota != 1).map_or("first place".to_owned(), |quota| format!("the best {quota}"));
        let rung = if then.resource == stand.resource { String::new() } else { format!(" at resource {}", then.resource) };
        let with = self.measured(by.metric);
        Some(format!("Trial {} ({with}) pushed it out of {best}{rung} at {}.", by.trial, time(last.at)))
    }

    fn without_hope(&self) -> Option<String> {
        let last = self.of.moments.iter().rev().find(|moment| matches!(moment.what, What::HopeLost { .. }))?;
        let (said, now) = (self.waits_in().is_some() && !self.ended(), time(last.at));
        said.then(|| format!("Since {now} no result to come can promote it."))
    }

    fn leading(&self) -> Option<String> {
        Some(match self.of.leader? {
            0 => "It is the best trial of the sweep.".to_owned(),
            place => format!("It is the {} best trial of the sweep.", ordinal(place + 1)),
        })
    }
}

fn interrupts(moment: &Moment) -> bool {
    matches!(moment.what, What::Preempted { .. } | What::Lost { .. } | What::Failed { .. })
}

/// `fewer go on than it seemed before (5, not 27), for no more trials come`, if that is why it is not among them any more.
pub(super) fn fewer(what: &What) -> Option<String> {
    let What::PushedOut { quota_before: Some(before), no_more, stand, .. } = what else { return None };
    let why = if *no_more { ", for no more trials come" } else { "" };
    Some(format!("fewer go on than it seemed before ({}, not {before}){why}", stand.quota?))
}

/// `3`, or `3 of bracket 2`.
pub(super) fn place_of(stand: &Stand) -> String {
    if stand.bracket == 0 { stand.resource.to_string() } else { format!("{} of bracket {}", stand.resource, stand.bracket) }
}

/// Where an attempt goes on.
pub(super) fn from(resource: Resource) -> String {
    if resource == Resource(0) { "nothing".to_owned() } else { format!("resource {resource}") }
}
