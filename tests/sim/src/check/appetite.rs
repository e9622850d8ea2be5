//! How many slots the sweep says that it could use: whoever starts workers believes it.
//!
//! By the design: those that train, those that wait or are asked for, and those that are still to come. When nobody more is to come,
//! also those on a rung who may still go on, of whom one in `eta` does; but not while a slot is free, for that shows that nobody goes
//! on now. A slot that is free although someone was interrupted leaves too soon to be of use, and another is needed in its place.
//! While every trial has failed nothing new starts. At least one slot as long as the sweep is open; once it ends, no more than train.
use hpo_core::TrialId;

use super::book::{Book, Life, Phase};
use super::rule::Rule;
use super::{Violation, refuse};

const NAME: &str = "appetite";

/// Whether as many slots are wanted as `said`.
pub(super) fn look(line: u64, book: &Book, rule: &dyn Rule, said: u32) -> Result<(), Violation> {
    let said = said as usize;
    if book.phase != Phase::Open {
        let live = if book.phase == Phase::Finished { 0 } else { book.live() };
        return refuse(said != live, NAME, || format!("line {line}: it ends, {live} slots are still in use, and it wants {said}"));
    }
    let (least, most) = span(book, rule);
    let [least, most] = [least, most].map(|slots| slots.clamp(1, u32::MAX as usize));
    refuse(said < least, NAME, || format!("line {line}: {least} slots could be used, and it wants {said}"))?;
    refuse(said > most, NAME, || format!("line {line}: no more than {most} slots could be used, and it wants {said}"))
}

/// The fewest and the most slots that an open sweep may want.
fn span(book: &Book, rule: &dyn Rule) -> (usize, usize) {
    let live = book.live();
    if book.in_doubt() {
        let wanted = live + book.interrupted.len();
        return (wanted, wanted);
    }
    let in_life = |life: Life| book.trials.iter().filter(move |(_, row)| row.life == life);
    let free = book.free().count();
    let useless = if book.interrupted.is_empty() { 0 } else { free.saturating_sub(book.asked.len()) };
    let known = live + in_life(Life::Waiting).count() + book.asked.len() + useless;
    if book.may_ask() {
        let to_come = book.spec.budget.max_trials.map_or(usize::MAX, |most| (most - book.asks) as usize);
        let wanted = known.saturating_add(to_come);
        return (wanted, wanted);
    }
    if free > 0 {
        return (known, known);
    }
    let goes_on = rule.next().is_some_and(|(trial, _)| book.trials[&trial].life == Life::Paused);
    let paused: Vec<TrialId> = in_life(Life::Paused).map(|(trial, _)| *trial).collect();
    let may_go_on = paused.len() - rule.hopeless(&paused).len();
    (known + usize::from(goes_on), known + may_go_on.div_ceil(book.spec.scheduler.ladder().eta() as usize))
}
