//! Who goes on is right at that moment: interrupted trials first, then whom the rule of the paper promotes, then new trials;
//! nobody is stopped whom the rule lets go on; and no slot is idle while someone waits.
use std::collections::BTreeMap;

use hpo_core::{Attempt, Event, Sweep, SweepSpec};
use hpo_driver::journal::Record;

use super::act::{Act, Leased, Of};
use super::book::{Book, Life, Move, Phase, Row};
use super::mirror::KEPT;
use super::rule::{self, Rule};
use super::{Judge, TrialId, Violation, appetite, refuse};

/// The rule, played along.
#[derive(Debug)]
pub(super) struct Order {
    book: Book,
    rule: Box<dyn Rule>,
    /// Where each trial's current or next lease leads to.
    targets: BTreeMap<TrialId, u32>,
}

const NAME: &str = "order";

impl Order {
    /// Nobody has come.
    #[must_use]
    pub(super) fn new(spec: &SweepSpec) -> Self {
        Self { book: Book::new(spec), rule: rule::of(spec), targets: BTreeMap::new() }
    }

    /// The rule hears of the event; who is stopped must be stopped by it.
    fn hears(&mut self, record: &Record, acts: &[Act]) -> Result<(), Violation> {
        let line = record.seq;
        let mut due = None;
        if let Event::Suggested { trial, params, .. } = &record.event {
            self.rule.suggested(*trial, params);
        }
        for happened in std::mem::take(&mut self.book.moves) {
            match happened {
                Move::Entered(trial) => drop(self.targets.insert(trial, self.rule.entered(trial))),
                Move::Progressed(trial, resource, loss) => {
                    let row = &self.book.trials[&trial];
                    let of = Of { trial, attempt: Attempt(row.attempt) };
                    let (stopped, ends) =
                        (acts.iter().any(|act| matches!(act, Act::Stop(other, _) if *other == of)), row.until == resource);
                    due = stopped.then_some(of);
                    let Some(stop) = self.rule.progressed(trial, resource, loss) else {
                        if stopped {
                            self.rule.out(trial);
                        }
                        continue;
                    };
                    let right = stopped == (stop && !ends);
                    refuse(!right, NAME, || {
                        format!("line {line}: {of} with {loss:?} at {resource}: stopped {stopped}, by the rule {stop}")
                    })?;
                }
                Move::Came(trial, resource, loss) => self.rule.came(trial, resource, loss),
                Move::GaveUp(trial) => self.rule.out(trial),
            }
        }
        // A worker is told to stop what it holds in vain; nobody else is stopped but by the rule.
        let joined = matches!(record.event, Event::WorkerJoined { .. });
        let odd = acts.iter().find_map(|act| match act {
            Act::Stop(of, place) if Some(*of) != due && (!joined || self.book.is_open(*of, *place)) => Some(*of),
            _ => None,
        });
        refuse(odd.is_some(), NAME, || format!("line {line}: {odd:?} is stopped for no reason"))
    }

    fn leased(&mut self, line: u64, lease: &Leased) -> Result<(), Violation> {
        let trial = lease.of.trial;
        let next = self.rule.next();
        let interrupted = self.book.next_interrupted();
        let due = match interrupted {
            Some(first) => Some(first),
            None if self.book.in_doubt() => None,
            None => next.map(|(trial, _)| trial).or(self.book.fresh.front().copied()),
        };
        refuse(due != Some(trial), NAME, || format!("line {line}: trial {trial} gets a slot where {due:?} is due"))?;
        let promoted = interrupted.is_none() && next.is_some();
        if let Some((_, to)) = next.filter(|_| promoted) {
            self.targets.insert(trial, to);
            self.rule.promoted(trial);
        }
        let (from, until) = (self.book.trials[&trial].resumes_at(), self.targets[&trial]);
        refuse((lease.from, lease.until) != (from, until), NAME, || {
            format!("line {line}: {} is leased {}..{}, and not {from}..{until}", lease.of, lease.from, lease.until)
        })?;
        self.in_place(line, lease)
    }

    /// The slot whose trainer has this very state in memory is the one to take, if it is free; and no other is in place.
    fn in_place(&self, line: u64, lease: &Leased) -> Result<(), Violation> {
        let warm = (lease.of.trial, lease.from);
        let best = self.book.free().find(|place| self.book.slots[place].memory == Some(warm));
        let right = lease.in_place == (best == Some(lease.on)) && best.is_none_or(|best| best == lease.on);
        refuse(!right, NAME, || {
            format!("line {line}: {} on {} in place {}, and its state is in memory on {best:?}", lease.of, lease.on, lease.in_place)
        })
    }

    /// While leases are given, nobody waits before a free slot, and for each slot that stays free a trial is asked for.
    fn nobody_waits(&self, line: u64) -> Result<(), Violation> {
        let free = self.book.free().count();
        if self.book.phase != Phase::Open || !self.book.rests() {
            return Ok(());
        }
        let doubt = self.book.in_doubt();
        // Whom no free slot holds may wait before one.
        let waiting = if free == 0 { self.book.interrupted.front().copied() } else { self.book.next_interrupted() };
        let waiting = waiting.or_else(|| self.rule.next().map(|(trial, _)| trial).or(self.book.fresh.front().copied()).filter(|_| !doubt));
        if free == 0 {
            let over = self.book.only_spent_slots_are_left() && waiting.is_none();
            return refuse(over, NAME, || format!("line {line}: nobody runs or waits, and the sweep goes on"));
        }
        refuse(waiting.is_some(), NAME, || format!("line {line}: {free} slots are idle, and trial {waiting:?} waits"))?;
        let asked = self.book.asked.len();
        let short = asked < free && self.book.may_ask() && !doubt;
        refuse(short, NAME, || format!("line {line}: {free} slots are idle, and {asked} trials are asked for"))
    }

    /// Who is paused and will never go on keeps no state, unless it is among the best. When the sweep is ending nobody will, and
    /// all are let go of at its end.
    fn nobody_keeps_in_vain(&self, line: u64) -> Result<(), Violation> {
        if self.book.phase != Phase::Open {
            return Ok(());
        }
        let best = self.book.best(KEPT);
        let leads = |trial: TrialId| best.iter().any(|(_, leader)| *leader == trial);
        let keeps = |(trial, row): &(&TrialId, &Row)| row.life == Life::Paused && !row.states.is_empty() && !leads(**trial);
        let keepers: Vec<TrialId> = self.book.trials.iter().filter(keeps).map(|(trial, _)| *trial).collect();
        let vain = self.rule.hopeless(&keepers).pop_first().map(|trial| (trial, &self.book.trials[&trial]));
        refuse(vain.is_some(), NAME, || format!("line {line}: it will never go on and keeps a state: {vain:?}"))
    }

    /// A sweep that is complete has nobody left who runs or waits.
    fn finish(&self, line: u64, why: &str) -> Result<(), Violation> {
        let left = self.book.trials.iter().find(|(_, row)| matches!(row.life, Life::Leased | Life::Waiting));
        let complete = why == "every trial has ended";
        refuse(complete && left.is_some(), NAME, || format!("line {line}: every trial has ended, but {left:?}"))?;
        refuse(complete && self.rule.next().is_some(), NAME, || {
            format!("line {line}: every trial has ended, but {:?} is to go on", self.rule.next())
        })
    }
}

impl Order {
    /// Whether the sweep wants as many slots as it says.
    pub(super) fn wants(&self, line: u64, slots: u32) -> Result<(), Violation> {
        appetite::look(line, &self.book, self.rule.as_ref(), slots)
    }
}

impl Judge for Order {
    fn record(&mut self, record: &Record) -> Result<(), Violation> {
        let line = record.seq;
        let acts = Book::acts(record).unwrap_or_default();
        self.book.event(record, &acts);
        self.hears(record, &acts)?;
        if self.book.asked.is_empty() && !self.book.may_ask() {
            self.rule.no_more();
        }
        for act in &acts {
            match act {
                Act::Lease(lease) if !self.book.is_open(lease.of, lease.on) => self.leased(line, lease)?,
                Act::Suggest(trial) => {
                    let room = self.book.free().count();
                    refuse(self.book.asked.len() >= room, NAME, || {
                        format!("line {line}: trial {trial} is asked for, and {room} slots are free")
                    })?;
                }
                Act::Finish(why) => self.finish(line, why)?,
                _ => {}
            }
            self.book.act(act);
        }
        self.nobody_keeps_in_vain(line)?;
        self.nobody_waits(line)
    }

    fn replayed(&mut self, line: u64, sweep: &Sweep) -> Result<(), Violation> {
        self.book.hears_of_a_choice(sweep);
        self.wants(line, sweep.appetite())
    }
}
