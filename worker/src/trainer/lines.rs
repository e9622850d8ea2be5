//! Lines of a trainer's output: protocol, a metric that a pattern finds, or log.
use std::io;

use hpo_core::Metrics;
use regex::Regex;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::protocol::{FromTrainer, PREFIX};

/// Bytes of a line that are kept; a longer one is cut.
pub const LINE_MAX: usize = 64 * 1024;
/// Characters of a faulty line that are quoted.
const QUOTE_MAX: usize = 200;

/// Reads the next line into `line`, without its end, cut at [`LINE_MAX`]. False at the end of the input.
///
/// # Errors
/// The input cannot be read.
pub async fn next_line(input: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = input.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&part[..part.len().min(LINE_MAX - line.len())]);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// What a line of standard output is.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// Output of the program, for the log.
    Log,
    /// A word to the agent.
    Said(FromTrainer),
    /// It begins like a protocol line and is none; the quotation and why.
    Garbled(String),
}

impl Line {
    /// What it is. A progress bar may have returned to the beginning of the line before the program spoke.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let line = line.trim_ascii_end();
        let line = line.rsplit(|&byte| byte == b'\r').next().unwrap_or(line);
        let Some(words) = line.strip_prefix(PREFIX.as_bytes()) else { return Self::Log };
        match serde_json::from_slice(words) {
            Ok(said) => Self::Said(said),
            Err(why) => {
                // The reason quotes the line, too.
                let why = bare_figure(words).unwrap_or_else(|| start_of(&why.to_string()));
                Self::Garbled(format!("{} ({why})", start_of(&String::from_utf8_lossy(words))))
            }
        }
    }
}

/// What to write for the first figure that JSON does not know, if there is one outside of quotes: Python's `json` writes such.
fn bare_figure(words: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(words);
    // Every other part is within quotes; which parts are does not matter where quotes are escaped, for this is but a hint.
    let outside = text.split('"').step_by(2).flat_map(|part| part.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-'));
    let known = [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), ("nan", "nan"), ("inf", "inf"), ("-inf", "-inf")];
    outside.into_iter().find_map(|part| known.iter().find(|(bare, _)| *bare == part)).map(|(bare, word)| {
        format!("JSON has no {bare}: write \"{word}\", with the quotes; in Python for example x if math.isfinite(x) else str(x)")
    })
}

/// So much of a text as messages quote.
fn start_of(text: &str) -> String {
    text.chars().take(QUOTE_MAX).collect()
}

/// Finds reports in the output of a program that does not speak the protocol: each hit is the next resource unit's.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    metric: String,
    last: u32,
    until: u32,
}

/// Why a `metric_pattern` cannot find a metric.
#[derive(Debug, thiserror::Error)]
pub enum PatternFault {
    /// Its syntax.
    #[error("`metric_pattern` is not a regular expression")]
    Regex(#[from] regex::Error),
    /// It does not say which part of the hit is the metric.
    #[error("`metric_pattern` needs one group, as in `loss=([0-9.]+)`; it has {0}")]
    Groups(usize),
}

impl Pattern {
    /// Finds `metric` by `pattern` in the output of an attempt whose lease has these ends.
    ///
    /// # Errors
    /// It is no regular expression of one group.
    pub fn new(pattern: &str, metric: &str, from: u32, until: u32) -> Result<Self, PatternFault> {
        let regex = Regex::new(pattern)?;
        match regex.captures_len() - 1 {
            1 => Ok(Self { regex, metric: metric.to_owned(), last: from, until }),
            groups => Err(PatternFault::Groups(groups)),
        }
    }

    /// The report in a line of output, or why the hit is none. Hits beyond the lease's end are passed over.
    pub fn find(&mut self, line: &[u8]) -> Option<Result<FromTrainer, String>> {
        let line = String::from_utf8_lossy(line);
        let hit = self.regex.captures(&line)?.get(1)?.as_str();
        if self.last >= self.until {
            return None;
        }
        let Ok(value) = hit.parse::<f64>() else {
            return Some(Err(format!("`metric_pattern` found `{}`, which is not a number", start_of(hit))));
        };
        self.last += 1;
        let metrics: Metrics = [(self.metric.clone(), value)].into_iter().collect();
        Some(Ok(FromTrainer::Report { resource: self.last, metrics }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn long_lines_are_cut_and_the_next_one_is_whole() {
        let long = "x".repeat(LINE_MAX * 3 + 7);
        let text = format!("short\n\n{long}\nafter\nlast");
        // A small buffer, so that lines span many reads.
        let mut input = BufReader::with_capacity(1000, text.as_bytes());
        let mut line = Vec::new();
        let mut lengths = Vec::new();
        while next_line(&mut input, &mut line).await.unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [5, 0, LINE_MAX, 5, 4]);
        assert_eq!(line, b"");
    }

    #[test]
    fn only_a_line_that_begins_with_the_prefix_is_a_protocol_line() {
        assert_eq!(Line::of(br#"@hpo {"say":"ready"}"#), Line::Said(FromTrainer::Ready));
        assert_eq!(Line::of(b"@hpo {\"say\":\"ready\"}\r"), Line::Said(FromTrainer::Ready));
        assert_eq!(Line::of(b" 40% |####    |\r@hpo {\"say\":\"stopped\"}"), Line::Said(FromTrainer::Stopped));
        assert_eq!(Line::of(br#"he said @hpo {"say":"ready"}"#), Line::Log);
        assert_eq!(Line::of(b"@hpo"), Line::Log);
        assert_eq!(Line::of(b"\xff\xfe"), Line::Log);
        for garbled in [&b"@hpo ready"[..], br#"@hpo {"say":"sing"}"#, br#"@hpo {"say":"report"}"#, b"@hpo \xff"] {
            assert!(matches!(Line::of(garbled), Line::Garbled(_)), "{garbled:?}");
        }
        let long = format!("@hpo {{\"say\":\"{}\"}}", "x".repeat(LINE_MAX / 2));
        assert!(matches!(Line::of(long.as_bytes()), Line::Garbled(why) if why.len() < 3 * QUOTE_MAX), "also where the reason quotes it");
        let bare = |figure: &str| {
            Line::of(format!(r#"@hpo {{"say":"report","resource":1,"metrics":{{"a":"NaN}}","loss": {figure}}}}}"#).as_bytes())
        };
        for (figure, word) in [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), ("nan", "nan")] {
            let said = format!("(JSON has no {figure}: write \"{word}\", with the quotes;");
            assert!(matches!(bare(figure), Line::Garbled(why) if why.contains(&said)), "{figure}");
        }
        assert!(matches!(bare("None"), Line::Garbled(why) if !why.contains("JSON has no")));
        let nan = Line::of(br#"@hpo {"say":"report","resource":1,"metrics":{"loss":"nan"}}"#);
        assert!(matches!(nan, Line::Said(FromTrainer::Report { resource: 1, metrics }) if metrics.get("loss").unwrap().is_nan()));
    }

    #[test]
    fn a_pattern_finds_the_metric_of_each_next_unit_within_the_lease() {
        let mut pattern = Pattern::new(r"val_loss=(\S+)", "loss", 3, 5).unwrap();
        let report =
            |resource, loss| Some(Ok(FromTrainer::Report { resource, metrics: [("loss".to_owned(), loss)].into_iter().collect() }));
        assert_eq!(pattern.find(b"epoch 1"), None);
        assert_eq!(pattern.find(b"epoch 1 val_loss=0.5"), report(4, 0.5));
        assert_eq!(pattern.find(b"val_loss=none"), Some(Err("`metric_pattern` found `none`, which is not a number".to_owned())));
        assert_eq!(pattern.find(b"val_loss=1e-3 val_loss=7"), report(5, 1e-3));
        assert_eq!(pattern.find(b"val_loss=0.1"), None, "beyond the lease");
        let mut pattern = Pattern::new(r"loss (.*)$", "loss", 0, 1).unwrap();
        assert!(
            matches!(pattern.find(b"loss nan"), Some(Ok(FromTrainer::Report { metrics, .. })) if metrics.get("loss").unwrap().is_nan())
        );
    }

    #[test]
    fn a_pattern_has_one_group() {
        assert!(Pattern::new("(", "loss", 0, 1).is_err());
        let message = Pattern::new("loss", "loss", 0, 1).unwrap_err().to_string();
        assert_eq!(message, "`metric_pattern` needs one group, as in `loss=([0-9.]+)`; it has 0");
        assert!(Pattern::new("(a)(b)", "loss", 0, 1).is_err());
    }
}
