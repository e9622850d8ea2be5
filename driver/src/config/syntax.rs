//! A sweep file that is not TOML: which of the parser's complaints are worth telling, and what else is wrong for sure.
use std::ops::Range;

use super::message::Message;

/// A text without end would otherwise be reported without end.
const MOST: usize = 20;

type Fault = (Range<usize>, Message);

/// The first complaint about each line, and those of `others` that are there whatever the broken lines mean.
///
/// Behind a bracket that is never closed every line is broken to the end of the text; of those only the first is told.
pub(super) fn faults(text: &str, mut complaints: Vec<(Range<usize>, String)>, others: Vec<Fault>) -> Vec<Fault> {
    let ends = Ends::of(text);
    complaints.sort_by_key(|(span, _)| span.start);
    complaints.dedup_by_key(|(span, _)| ends.line(span.start));
    // In order, each line once.
    let broken: Vec<usize> = complaints.iter().map(|(span, _)| ends.line(span.start)).collect();
    let lines: Vec<&str> = text.lines().collect();
    let open = to_the_end(&lines, &broken);
    // Behind a head that cannot be read nobody knows to which table a key belongs.
    let is_head = |line: usize| lines.get(line).is_some_and(|line| line.trim_start().starts_with('['));
    let limit = broken.iter().copied().filter(|line| is_head(*line)).chain(open).min();
    let is_sure = |(span, message): &Fault| {
        let (first, last) = (ends.line(span.start), ends.line(span.end));
        let next = broken.partition_point(|line| *line < first);
        // A value that could not be read stands nowhere.
        !span.is_empty()
            && message.is_of_its_line()
            && broken.get(next).is_none_or(|line| *line > last)
            && limit.is_none_or(|limit| last < limit)
    };
    let sure = others.into_iter().filter(is_sure);
    let syntax = complaints.into_iter().zip(&broken).take_while(|(_, line)| open.is_none_or(|open| **line <= open)).take(MOST);
    syntax.map(|((span, what), _)| (span, Message::Syntax { what })).chain(sure).collect()
}

/// The first of the broken lines, which are in order, that go on to the end of the text, if any do. Lines without words count as both.
fn to_the_end(lines: &[&str], broken: &[usize]) -> Option<usize> {
    let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let full = (0..lines.len()).rev().filter(|line| !is_empty(lines[*line]));
    full.take_while(|line| broken.binary_search(line).is_ok()).last()
}

/// Where the lines of a text end, looked for once: a broken text may have a complaint for each of its characters.
struct Ends(Vec<usize>);

impl Ends {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte. Lines count from 0.
    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::check_text;

    fn messages(text: &str) -> Vec<(usize, String)> {
        let faults = check_text(text, Path::new("sweep.toml"), &|_| None).unwrap_err();
        faults.all().iter().map(|fault| (fault.at.unwrap().0, fault.message.clone())).collect()
    }

    /// Whatever one character the user has left out: nothing that was right before is called wrong on a line that can be read.
    #[test]
    fn a_character_that_is_missing_makes_no_other_line_wrong() {
        let text = include_str!("../../../configs/quickstart.toml");
        check_text(text, Path::new("sweep.toml"), &|_| None).unwrap();
        let (mut broken, mut said) = (0, 0);
        for (at, gone) in text.char_indices().filter(|(_, letter)| "[]{}=,\"\n".contains(*letter)) {
            let damaged = format!("{}{}", &text[..at], &text[at + gone.len_utf8()..]);
            let Err(faults) = check_text(&damaged, Path::new("sweep.toml"), &|_| None) else { continue };
            let syntax = |message: &str| message.starts_with("this is not TOML");
            if !faults.all().iter().any(|fault| syntax(&fault.message)) {
                continue;
            }
            broken += 1;
            said = said.max(faults.all().len());
            let others: Vec<_> = faults.all().iter().filter(|fault| !syntax(&fault.message)).collect();
            assert!(others.is_empty(), "without the {gone:?} at {at}: {faults}");
        }
        assert!(broken > 100 && said <= 4, "{broken} {said}");
    }

    /// Each was looked for from the beginning of the text once: 100,000 characters took twenty seconds.
    #[test]
    fn many_complaints_about_a_long_text_are_told_in_no_time() {
        let one_line = format!("a = [\"x {}", "\"tr ".repeat(25_000));
        let many_lines = "= \n".repeat(25_000);
        for text in [one_line, many_lines] {
            let begun = std::time::Instant::now();
            assert!(messages(&text).len() <= super::MOST + 1);
            assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
        }
    }

    #[test]
    fn faults_of_other_lines_are_told_beside_those_of_the_syntax() {
        let text = "[sweep]\nname = 'a'\nmetric = 'loss'\nmetric = 'loss'\nmax_trial = 1\n[space]\nlr = { uniform = [0, 1 }\n\
                    x = { bool = tru }\n[scheduler]\nkind = 'fifo'\nmax_resource = 'nine'\n";
        let found = messages(text);
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 5, 7], "behind the open bracket nothing is known: {found:?}");
        assert!(found[1].1.contains("has no key `max_trial`"), "{found:?}");
        let found = messages(&text.replace("1 }", "1] }"));
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 5, 8, 11], "{found:?}");
    }
}
