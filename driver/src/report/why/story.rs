//! What happened to the trial, a line for each moment.
use std::fmt::Write as _;

use hpo_core::sweep::FailureKind;
use hpo_core::sweep::explain::{Outlook, Stand, Start, What};

use super::super::words;
use super::answer::{fewer, from, place_of};
use super::{Why, apart, ordinal, time};

impl Why {
    pub(super) fn story_text(&self) -> String {
        let moments = &self.of.moments;
        let width = moments.iter().map(|moment| time(moment.at).len()).max().unwrap_or(0);
        let mut text = String::new();
        let (mut last, mut stood) = (None, None);
        for moment in moments {
            // What one event did is read together, and a place in it is told once.
            let again = last == Some(moment.at);
            let when = if again { String::new() } else { time(moment.at) };
            let place = place(&moment.what);
            let known = again && place.is_some() && place == stood;
            (last, stood) = (Some(moment.at), place.or(stood.filter(|_| again)));
            let _ = writeln!(text, "  {when:>width$}  {}", self.moment(&moment.what, known));
        }
        text
    }

    /// `known`: where it stood has just been told.
    fn moment(&self, what: &What, known: bool) -> String {
        match what {
            What::Suggested { cost_us } => format!("proposed by the searcher `{}`, in {cost_us} us", words::one_line(&self.searcher)),
            What::Leased { attempt, slot, worker, until, start, from: at } => {
                let (worker, slot) = (words::one_line(worker), slot.index);
                let start = match start {
                    Start::Fresh => "from nothing".to_owned(),
                    Start::Restored => format!("from its state at {at}"),
                    Start::InPlace => "in place, where its trainer still has it".to_owned(),
                };
                format!("attempt {attempt} on slot {slot} of {worker}: to resource {until}, {start}")
            }
            What::Compared { stand } => format!("at resource {}: {}, {}", place_of(stand), self.measured(stand.metric), self.among(stand)),
            What::PushedOut { by, stand, .. } => {
                let how = match (by, fewer(what)) {
                    (Some(by), _) => format!("pushed out by trial {} ({})", by.trial, self.measured(by.metric)),
                    (None, Some(fewer)) => format!("out, as {fewer}"),
                    (None, None) => "not among those that go on any more".to_owned(),
                };
                format!("{how}: now {}", self.among(stand))
            }
            What::CameIn { by, stand } => {
                let by = by.map_or(String::new(), |by| format!(" when trial {} came ({})", by.trial, self.measured(by.metric)));
                format!("let in{by}: now {}", self.among(stand))
            }
            What::Promoted { to, stand } => {
                let place = stand.as_ref().filter(|_| !known).map_or(String::new(), |stand| format!(", being {}", self.among(stand)));
                format!("promoted to resource {to}{place}")
            }
            What::Predicted { resource, outlook } => {
                format!("let go on at resource {resource} to {}: {}", outlook.to, self.predicted(outlook))
            }
            What::Stopped { resource, metric, outlook: Some(outlook), .. } => {
                format!(
                    "stopped at resource {resource}, {}, on the way to {}: {}",
                    self.measured(*metric),
                    outlook.to,
                    self.predicted(outlook)
                )
            }
            What::Stopped { resource, metric, stand, .. } => {
                let place = stand.as_ref().map_or(String::new(), |stand| format!(", {}", self.among(stand)));
                format!("stopped at resource {resource}: {}{place}", self.measured(*metric))
            }
            What::HopeLost { stand } => {
                let place = stand.as_ref().filter(|_| !known).map_or(String::new(), |stand| format!(": {}", self.among(stand)));
                format!("out of the race, whatever is still to come{place}")
            }
            What::TookLead { metric } => format!("the best of the sweep, with {}", self.measured(*metric)),
            What::LostLead { by: Some(by) } => format!("trial {} is better, with {}", by.trial, self.measured(by.metric)),
            What::LostLead { by: None } => "no longer counts as the best of the sweep".to_owned(),
            other => outside(other),
        }
    }

    /// `val_loss 0.61000 was predicted there, 0.58000 at best; it needed val_loss < 0.55000, what the 3rd best of 12 had (10
    /// there, 2 out)`.
    pub(super) fn predicted(&self, of: &Outlook) -> String {
        let (at_best, cutoff) = apart(of.at_best, of.cutoff);
        let seen = match (of.predicted.is_finite(), of.predicted == of.at_best) {
            (false, _) => format!("its {} was not finite", self.metric_name()),
            (_, true) => format!("{} {at_best} was predicted there", self.metric_name()),
            (_, false) => format!("{} was predicted there, {at_best} at best", self.measured(of.predicted)),
        };
        let place = if of.quota == 1 { "best".to_owned() } else { format!("{} best", ordinal(of.quota)) };
        let out = match of.population - of.came {
            0 => String::new(),
            out => format!(" ({} there, {out} out)", of.came),
        };
        format!("{seen}; it needed {} {} {cutoff}, what the {place} of {} had{out}", self.metric_name(), self.beats(), of.population)
    }

    /// `12th of 31, of whom the best 10 go on (val_loss <= 0.41370)`.
    fn among(&self, stand: &Stand) -> String {
        let place = format!("{} of {}", ordinal(stand.rank), stand.population);
        let reach = stand.cutoff.map(|cutoff| format!("{} {} {}", self.metric_name(), self.reaches(), words::metric(cutoff)));
        let reach = reach.map_or(String::new(), |reach| format!(" ({reach})"));
        match stand.quota {
            Some(0) => format!("{place}, of whom none goes on"),
            Some(1) => format!("{place}, of whom the best goes on{reach}"),
            Some(quota) => format!("{place}, of whom the best {quota} go on{reach}"),
            None if reach.is_empty() => place,
            None => format!("{place}; to go on takes{}", reach.replace(['(', ')'], "")),
        }
    }
}

/// Where the trial stood, if the moment tells.
fn place(what: &What) -> Option<&Stand> {
    match what {
        What::Compared { stand } | What::PushedOut { stand, .. } | What::CameIn { stand, .. } => Some(stand),
        What::Promoted { stand, .. } | What::Stopped { stand, .. } | What::HopeLost { stand } => stand.as_ref(),
        _ => None,
    }
}

/// What came from outside: workers, trainers, states, drivers.
fn outside(what: &What) -> String {
    match what {
        What::CalledBack => "asked to save its state and to leave".to_owned(),
        What::Preempted { resumes_at } => format!("interrupted, not by its fault; it is to go on from {}", from(*resumes_at)),
        What::Lost { with_worker, resumes_at } => {
            let how = if *with_worker { "lost with its worker" } else { "lost: its trainer ended without a word" };
            format!("{how}; it is to go on from {}", from(*resumes_at))
        }
        What::Returned { attempt } => format!("its worker is back, and attempt {attempt} goes on"),
        What::Failed { kind, message, for_good } => {
            let kind = kind.map_or(String::new(), |kind| format!(" ({})", failure(kind)));
            let then = if *for_good { "for good" } else { "and is tried again" };
            format!("failed {then}{kind}: {}", words::one_line(message))
        }
        What::Finished { resource, .. } => format!("finished, at resource {resource}"),
        What::Saved { resource, bytes } => format!("state at resource {resource} kept ({bytes} bytes)"),
        What::Forgotten { resource, .. } => format!("state at resource {resource} forgotten: nobody can need it any more"),
        What::DriverStarted { epoch } => format!("driver {epoch} took over"),
        What::SweepEnded { why } => format!("the sweep ended: {why}"),
        _ => String::new(),
    }
}

fn failure(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NotFinite => "not finite",
        FailureKind::OutOfMemory => "out of memory",
        FailureKind::Exit => "exit code",
        FailureKind::Crash => "crash",
        FailureKind::Hang => "no progress",
        FailureKind::Setup => "at its start",
        FailureKind::Checkpoint => "checkpoint",
        FailureKind::Protocol => "protocol",
    }
}
