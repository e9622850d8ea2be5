//! How much either side says at most. A message that goes beyond is refused with a sentence that names the limit, and is
//! not made in the first place by a program that keeps to them: sweep files are checked against them, reports of trainers
//! too, and long texts are cut.

/// The largest message that a driver accepts, in bytes: a report with all the figures that may be in one is far below it.
pub const MESSAGE_MAX: usize = 1 << 20;
/// The largest message that a worker accepts, in bytes: a lease with all the parameters that there may be.
pub const ANSWER_MAX: usize = 4 * MESSAGE_MAX;
/// Bytes of a name: of a worker, a slot, a figure, a parameter.
pub const NAME_MAX: usize = 200;
/// Bytes of a text for people: why a worker leaves, why an attempt failed.
pub const TEXT_MAX: usize = 16 * 1024;
/// Slots of a worker.
pub const SLOTS_MAX: usize = 1024;
/// Attempts that a worker holds, or about which its words wait.
pub const HELD_MAX: usize = 16 * 1024;
/// Figures in a report.
pub const METRICS_MAX: usize = 1000;
/// Parameters of a trial.
pub const PARAMS_MAX: usize = 1000;
/// Bytes of a parameter's value that is a text.
pub const VALUE_MAX: usize = 2048;

/// Cuts a text to [`TEXT_MAX`], in the middle: its beginning says what went wrong, its end is the last that was printed.
#[must_use]
pub fn cut(text: String) -> String {
    const GAP: &str = "\n[...]\n";
    if text.len() <= TEXT_MAX {
        return text;
    }
    let half = (TEXT_MAX - GAP.len()) / 2;
    let (head, tail) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    [&text[..head], GAP, &text[tail..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        assert_eq!(cut("x".repeat(TEXT_MAX)).len(), TEXT_MAX);
        let long = format!("first {} last", "\u{1f525}".repeat(TEXT_MAX));
        let short = cut(long);
        assert!(short.len() <= TEXT_MAX && short.len() > TEXT_MAX - 20, "{}", short.len());
        assert!(short.starts_with("first ") && short.ends_with(" last"));
    }
}
