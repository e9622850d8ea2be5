//! `[scheduler]`.
use hpo_core::Resource;
use hpo_core::schedule::{Anchor, Brackets, Ladder, LadderFault, SchedulerSpec, halving};
use toml::Spanned;

use super::keys::{BracketChoice, scheduler};
use super::message::Message;
use super::raw::{Reader, Section};

/// Whether it fills brackets pass by pass, so that a sweep can end after the first.
pub(super) fn in_passes(section: &Section<'_>) -> bool {
    ["halving", "hyperband", "swift"].iter().any(|kind| section.is_kind(kind))
}

/// The scheduler of a section.
pub(super) fn read(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<SchedulerSpec> {
    if section.is_kind("fifo") {
        let max = section.get(&scheduler::MAX_RESOURCE, reader)?;
        return Ladder::single(Resource(max.get_ref().get())).ok().map(|ladder| SchedulerSpec::Fifo { ladder });
    }
    let ladder = ladder(section, reader)?;
    Some(match () {
        () if section.is_kind("halving") => SchedulerSpec::Halving { bracket: bracket(section, &ladder, reader)?, ladder },
        () if section.is_kind("hyperband") => SchedulerSpec::Hyperband { ladder },
        () if section.is_kind("swift") => {
            let (decide_at, margin) = (section.plain(&scheduler::DECIDE_AT, reader), section.plain(&scheduler::MARGIN, reader));
            SchedulerSpec::Swift { ladder, decide_at: decide_at?.0, margin: margin?.0 }
        }
        () if section.is_kind("asha-stop") => SchedulerSpec::AshaStop { ladder },
        () if section.is_kind("hyperband-async") => SchedulerSpec::HyperbandAsync(brackets(section, ladder, reader)?),
        () if section.is_kind("pasha") => {
            let epsilon = section.plain(&scheduler::EPSILON, reader).map(|epsilon| epsilon.0);
            SchedulerSpec::Pasha { ladder, epsilon }
        }
        () if section.is_kind("median") => {
            let min_trials = section.plain(&scheduler::MIN_TRIALS, reader)?.get();
            SchedulerSpec::Median { ladder, min_trials }
        }
        () => SchedulerSpec::AshaPromote { ladder },
    })
}

fn ladder(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Ladder> {
    let max = section.get(&scheduler::MAX_RESOURCE, reader);
    let min = section.get(&scheduler::MIN_RESOURCE, reader);
    let eta = section.get(&scheduler::ETA, reader);
    let (min, max, eta) = (min?, max?, eta?);
    // Each number on its own first, so that one bad number does not hide another.
    let zero = min.get_ref().0 == 0;
    if zero {
        reader.faults.push((min.span(), Message::Ladder(LadderFault::NoResource)));
    }
    if eta.get_ref().0 < 2 {
        return reader.fault(eta.span(), Message::Ladder(LadderFault::Eta));
    }
    if zero {
        return None;
    }
    let anchor = if in_passes(section) { Anchor::Top } else { Anchor::Bottom };
    match Ladder::anchored(anchor, Resource(min.get_ref().0), Resource(max.get_ref().get()), eta.get_ref().0) {
        Ok(ladder) => Some(ladder),
        Err(fault) => {
            let span = if section.has(scheduler::MIN_RESOURCE.name) { min.span() } else { max.span() };
            reader.fault(span, Message::Ladder(fault))
        }
    }
}

/// None if a bracket is given of which nobody would come to the top: the paper's precondition.
fn bracket(section: &Section<'_>, ladder: &Ladder, reader: &mut Reader<'_>) -> Option<Option<u32>> {
    if !section.has(scheduler::BRACKET.name) {
        return Some(None);
    }
    let bracket = section.get(&scheduler::BRACKET, reader)?;
    let (least, trials) = (halving::least(ladder), bracket.get_ref().get());
    if trials < least {
        return reader.fault(bracket.span(), Message::Bracket { bracket: trials, least });
    }
    Some(Some(trials))
}

/// How many brackets, and how many trials each gets: by weights, or by number and choice.
fn brackets(section: &Section<'_>, ladder: Ladder, reader: &mut Reader<'_>) -> Option<Brackets> {
    let most = Brackets::most(&ladder);
    let (span, weights) = if section.has(scheduler::WEIGHTS.name) {
        let beside = [scheduler::BRACKETS.name, scheduler::BRACKET_CHOICE.name].into_iter().find(|key| section.has(key));
        let weights = section.get(&scheduler::WEIGHTS, reader)?;
        if let Some(key) = beside {
            return reader.fault(weights.span(), Message::BesideWeights { key });
        }
        (weights.span(), weights.into_inner().into_iter().map(|weight| weight.0).collect())
    } else {
        let count = section.get(&scheduler::BRACKETS, reader);
        let choice = section.plain(&scheduler::BRACKET_CHOICE, reader)?;
        let span = count.as_ref().map_or(section.span.clone(), Spanned::span);
        let count = count.map_or(most, |count| count.get_ref().0 as usize);
        let weights = match choice {
            BracketChoice::Hyperband if count <= most => Brackets::hyperband(&ladder, count),
            _ => vec![1; count],
        };
        (span, weights)
    };
    Brackets::weighted(ladder, weights).map_or_else(|fault| reader.fault(span, Message::Brackets(fault)), Some)
}
