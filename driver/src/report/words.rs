//! How figures and categories are written for people.
use std::time::{Duration, UNIX_EPOCH};

use hpo_core::ledger::Uses;
use hpo_core::sweep::State;
use hpo_core::{Params, TrialId, Value};

/// The unit of reserved time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) gpus: bool,
}

impl Unit {
    /// After a number.
    pub(super) fn short(self) -> &'static str {
        if self.gpus { "GPU-h" } else { "slot-h" }
    }
    /// One of them, in a sentence.
    pub(super) fn one(self) -> &'static str {
        if self.gpus { "GPU-hour" } else { "slot-hour" }
    }
    /// As a heading.
    pub(super) fn title(self) -> &'static str {
        if self.gpus { "GPU-hours" } else { "Slot-hours" }
    }
    /// What an hour of it is.
    pub(super) fn meaning(self) -> &'static str {
        if self.gpus {
            "One GPU-hour is one whole GPU reserved for an hour; shares of a GPU count as such."
        } else {
            "One slot-hour is one worker slot (here CPU cores) reserved for an hour."
        }
    }
}

/// What is redone where a trial goes on without a state.
pub(super) const BEGUN_ANEW: &str = "training repeated from the beginning, because the program keeps no checkpoint";

/// What a category of the ledger means, in one phrase.
pub(super) fn meaning(category: &str) -> &'static str {
    match category {
        "winner" => "training of the best trial",
        "explored" => "training of other trials that were promoted or finished",
        "stopped" => "training of trials that were stopped, failed, or not promoted",
        "redone" => "training repeated after a loss, failure or call-back; silence of trainers that hung",
        "restore" => "reading checkpoints",
        "checkpoint" => "writing checkpoints",
        "startup" => "from the lease to the first training step",
        "idle" => "no trial to train",
        "drain" => "waiting for the last trials at the end, or while stopping",
        _ => "",
    }
}

/// Where a trial stands, in a word.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Leased { .. } => "running",
        State::Paused => "paused",
        State::Finished => "finished",
        State::Stopped => "stopped",
        State::Failed => "failed",
    }
}

/// A number to `digits` significant digits.
pub(super) fn figure(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "not a number".to_owned() } else { format!("{value}") };
    }
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if !(-4..7).contains(&magnitude) {
        return format!("{value:.*e}", (digits - 1) as usize);
    }
    format!("{value:.*}", (digits - 1 - magnitude).max(0) as usize)
}

/// The same without trailing zeros.
pub(super) fn short(value: f64, digits: i32) -> String {
    let text = figure(value, digits);
    if text.contains('e') || !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A metric.
pub(super) fn metric(value: f64) -> String {
    figure(value, 5)
}

/// A hyperparameter.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Float(number) => short(*number, 4),
        other => one_line(&other.to_string()),
    }
}

/// All hyperparameters in one line.
pub(super) fn params(params: &Params) -> String {
    let each: Vec<String> = params.iter().map(|(name, of)| format!("{}={}", one_line(name), value(of))).collect();
    each.join("  ")
}

/// Hours in a column whose whole is `whole` milli-slot-milliseconds: five significant digits of the whole.
pub(super) fn hours(amount: u64, whole: u64) -> String {
    let magnitude = if whole == 0 { 0 } else { Uses::hours(whole).log10().floor() as i32 };
    format!("{:.*}", (4 - magnitude).clamp(2, 8) as usize, Uses::hours(amount))
}

/// A share of a whole.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let share = 100.0 * part as f64 / whole as f64;
    if part > 0 && share < 0.05 { "<0.1 %".to_owned() } else { format!("{share:.1} %") }
}

/// A length of time, to the second (to the millisecond below ten seconds).
pub(super) fn span(ms: u64) -> String {
    let ms = if ms < 10_000 { ms } else { ms / 1000 * 1000 };
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

/// A short length of time, from microseconds.
pub(super) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{} ms", short(us as f64 / 1e3, 3)),
        _ => format!("{} s", short(us as f64 / 1e6, 3)),
    }
}

/// A moment as a person writes it, UTC.
#[must_use]
pub fn moment(unix_ms: u64) -> String {
    // Beyond the year 9999 there is no such text.
    let seconds = (unix_ms / 1000).min(253_402_300_799);
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// No more trials than this are named one by one.
const NAMED: usize = 8;

/// `trial 4`, `trials 4, 7, 9`, `trials 0, 1, 2, 3, 4, 5, 6, 7 and 12 more`.
pub(super) fn trials(trials: &[TrialId]) -> String {
    let names: Vec<String> = trials.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match trials.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} {}{more}", if trials.len() == 1 { "trial" } else { "trials" }, names.join(", "))
}

/// Whom a rung waits for: trials on their way there, and some that are to enter its bracket.
pub(super) fn members(coming: &[TrialId], to_come: u32) -> String {
    let to_come = match to_come {
        0 => None,
        1 => Some("1 new trial".to_owned()),
        more => Some(format!("{more} new trials")),
    };
    let coming = (!coming.is_empty()).then(|| trials(coming));
    coming.into_iter().chain(to_come).collect::<Vec<_>>().join(" and ")
}

/// Text from outside without anything that could move a cursor or break a line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() || turns(char) { ' ' } else { char }).collect()
}

/// Whether it changes the direction of what follows, so that a name could make a line read as another.
fn turns(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Letters of a cell that are shown. A column has the width of its widest cell.
const CELL: usize = 100;

/// Text from outside as a cell of a table: on one line, and cut if it is long.
pub(crate) fn cell(text: &str) -> String {
    let mut line = one_line(text);
    if let Some((end, _)) = line.char_indices().nth(CELL) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// 1, 2 or 5 times a power of ten, such that at most `most` of them fit into `span` (positive).
pub(super) fn nice_step(span: f64, most: u32) -> f64 {
    let raw = span / f64::from(most.max(1));
    let exponent = raw.log10().floor() as i32;
    let steps = [1.0, 2.0, 5.0, 10.0].map(|lead| decimal(lead, exponent));
    steps.into_iter().find(|step| *step >= raw * (1.0 - 1e-9)).unwrap_or(raw)
}

/// `index` x `step`, for a nice step: 3 x 0.1 is 0.3 and not 0.30000000000000004.
pub(super) fn multiple(step: f64, index: f64) -> f64 {
    if step < 1.0 { index / (1.0 / step).round() } else { index * step }
}

/// `lead` x 10^`exponent`; exact for negative exponents too, unlike a product with 0.1.
fn decimal(lead: f64, exponent: i32) -> f64 {
    if exponent < 0 { lead / 10_f64.powi(-exponent) } else { lead * 10_f64.powi(exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_moves_a_cursor_breaks_a_line_or_turns_it_round() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc\u{202e}d\u{2066}e ü\u{1f525}"), "a [2Jb c d e ü\u{1f525}");
    }
}
