//! Budgets are never overshot: no trial beyond `max_trials` is asked for, and once a budget is used up nothing new starts,
//! what runs is called back, and the sweep ends for that reason as soon as nothing runs.
use std::collections::BTreeSet;

use hpo_core::sweep::spec::Budget;
use hpo_core::{Event, Stamp};
use hpo_driver::journal::Record;

use super::act::{Act, Of, Place};
use super::book::{Book, Phase};
use super::{Judge, Last, Premises, Violation, refuse};

/// What was spent.
#[derive(Debug)]
pub(super) struct Spent {
    book: Book,
    /// How the sweep ended.
    ended: Option<String>,
    /// Whether an end that time brings comes at its time.
    prompt: bool,
    /// When the newest driver began or last heard of a worker anew, and what was reserved then: the worker's time while no
    /// driver heard of it counts all at once.
    begun: (Stamp, u128),
}

const NAME: &str = "budget";
/// A driver looks at its clock when the moment comes, unless it is busy with its disk.
const LATE_MS: u64 = 2_000;
const COMPLETE: &str = "every trial has ended";

impl Spent {
    /// Nothing was.
    #[must_use]
    pub(super) fn new(premises: &Premises) -> Self {
        Self { book: Book::new(&premises.spec), ended: None, prompt: premises.heard, begun: (Stamp(0), 0) }
    }

    /// Where nobody stands still, an end that time brings is not noticed later than [`LATE_MS`], but by a driver that came late.
    fn in_time(&self, line: u64) -> Result<(), Violation> {
        let Budget { wall, reserved, .. } = self.book.spec.budget;
        let earlier = Stamp(self.book.at.0.saturating_sub(LATE_MS));
        let late = match self.book.phase {
            Phase::Ending("the time `wall` is over") => wall.is_some_and(|wall| earlier.0 >= wall && self.begun.0.0 < wall),
            Phase::Ending("the budget `gpu_hours` is spent") => {
                let slots = self.book.slots.len() as u128 * 1000 * u128::from(LATE_MS);
                let now = self.book.purse.reserved(self.book.at);
                reserved.map(|most| u128::from(most) * 1000).is_some_and(|most| now.saturating_sub(slots) >= most && self.begun.1 < most)
            }
            _ => false,
        };
        refuse(late && self.prompt, NAME, || format!("line {line}: {:?} comes {LATE_MS} ms late", self.book.phase))
    }

    /// Whoever has a lease when the end begins must be called back.
    fn called_back(&self, line: u64, acts: &[Act]) -> Result<(), Violation> {
        let called: BTreeSet<Of> = acts.iter().filter_map(|act| if let Act::CallBack(of, _) = act { Some(*of) } else { None }).collect();
        let forgotten = self.book.slots.values().filter_map(|slot| slot.lease).find(|of| !called.contains(of));
        refuse(forgotten.is_some(), NAME, || format!("line {line}: leases are called back, but not {forgotten:?}"))
    }

    /// A worker that comes back while the sweep is ending may not have heard it: what it has is called back again.
    fn called_back_again(&self, record: &Record, acts: &[Act]) -> Result<(), Violation> {
        let Event::WorkerJoined { worker, .. } = &record.event else { return Ok(()) };
        let ending = matches!(self.book.phase, Phase::Ending(_) | Phase::Draining);
        let its = self.book.slots.iter().filter(|(place, _)| place.worker == Place::new(*worker, 0).worker);
        let mut leases = its.filter_map(|(place, slot)| Some(Act::CallBack(slot.lease?, *place)));
        let forgotten = leases.find(|call| !acts.contains(call));
        refuse(ending && forgotten.is_some(), NAME, || format!("line {}: a worker is back, and not told {forgotten:?}", record.seq))
    }

    fn suggest(&self, line: u64, trial: u32) -> Result<(), Violation> {
        refuse(trial != self.book.asks, NAME, || format!("line {line}: trial {trial} is asked for after {}", self.book.asks))?;
        refuse(!self.book.may_ask(), NAME, || format!("line {line}: trial {trial} is one too many"))?;
        refuse(self.book.in_doubt(), NAME, || format!("line {line}: trial {trial} is asked for, and so far every trial has failed"))
    }

    /// Whether the sweep ends when it must and not before, and for the right reason.
    fn finish(&mut self, line: u64, why: Option<String>) -> Result<(), Violation> {
        let live = self.book.live();
        let idle = live == 0 && self.book.asked.is_empty() && !self.book.may_ask();
        let must = match self.book.phase {
            Phase::Ending(why) if live == 0 => Some(why),
            // Whoever was interrupted and waits before a free slot waits for one that stays longer.
            Phase::Open if idle && self.book.free().next().is_some() && self.book.interrupted.is_empty() => Some(COMPLETE),
            // Slots that leave too soon are not given to whoever waits: the judge of the order looks at whether somebody does.
            Phase::Open if self.book.only_spent_slots_are_left() => why.as_deref().map(|_| COMPLETE),
            _ => None,
        };
        let before = self.ended.is_some();
        refuse(before && why.is_some(), NAME, || format!("line {line}: the sweep ends twice"))?;
        // Complete it is only if no rule sends a trial on: the judge of the order looks at that.
        let complete = must == Some(COMPLETE) && why.is_none() && self.book.live() > 0;
        refuse(!before && !complete && why.as_deref() != must, NAME, || {
            format!("line {line}: it ends for {why:?}, where {must:?} is due")
        })?;
        self.ended = self.ended.take().or(why);
        Ok(())
    }
}

impl Judge for Spent {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let line = record.seq;
        let was = self.book.phase;
        let acts = Book::acts(record).unwrap_or_default();
        self.book.event(record, &acts);
        if let Event::DriverStarted { .. } | Event::WorkerJoined { .. } = record.event {
            self.begun = (record.at, self.book.purse.reserved(record.at));
        }
        let over = !matches!(self.book.phase, Phase::Open);
        let turned = was == Phase::Open && over;
        for act in &acts {
            match act {
                Act::Suggest(trial) => {
                    refuse(over, NAME, || format!("line {line}: trial {trial} is asked for, and the sweep is ending"))?;
                    self.suggest(line, trial.0)?;
                }
                Act::Lease(lease) => {
                    let new = !self.book.is_open(lease.of, lease.on);
                    refuse(new && over, NAME, || format!("line {line}: {} starts, and the sweep is ending", lease.of))?;
                }
                Act::Finish(why) => {
                    self.finish(line, Some(why.clone()))?;
                }
                _ => {}
            }
            self.book.act(act);
        }
        self.called_back_again(record, &acts)?;
        if turned {
            self.called_back(line, &acts)?;
            self.in_time(line)?;
        }
        if self.ended.is_none() {
            self.finish(line, None)?;
        }
        Ok(())
    }

    fn end(&mut self, _last: &Last) -> Result<(), Violation> {
        refuse(self.ended.is_none(), NAME, || "the sweep has not ended".to_owned())
    }
}
