//! Lines of a trainer's output: protocol, a metric that a pattern finds, or log.
use std::io;

use hpo_core::Metrics;
use regex::Regex;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::protocol::{FromTrainer, PREFIX};

/// Bytes of a line that are kept; a longer one is cut.
pub const LINE_MAX: usize = 64 * 1024;
/// Figures that JSON does not know, longer ones before their beginnings, and what is read as one.
const BARE: [(&str, &str); 8] = [
    ("-Infinity", "-inf"),
    ("Infinity", "inf"),
    ("-NaN", "nan"),
    ("NaN", "nan"),
    ("-nan", "nan"),
    ("nan", "nan"),
    ("-inf", "-inf"),
    ("inf", "inf"),
];
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
        let used = part.len() + usize::from(end.is_some());
        let part = if line.len() + part.len() > LINE_MAX { written_over(line, part) } else { part };
        line.extend_from_slice(&part[..part.len().min(LINE_MAX - line.len())]);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// What a progress bar leaves of a line that is too long: it returns to the beginning and writes over what is there. A return at the very
/// end is that of Windows.
fn written_over<'a>(line: &mut Vec<u8>, part: &'a [u8]) -> &'a [u8] {
    let returns = |text: &[u8]| text.iter().rposition(|&byte| byte == b'\r');
    match returns(&part[..part.len().saturating_sub(1)]) {
        Some(at) => {
            line.clear();
            &part[at + 1..]
        }
        None => {
            line.drain(..returns(line).map_or(0, |at| at + 1));
            part
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
        match serde_json::from_slice(words).or_else(|why| serde_json::from_str(&quoted(words)).map_err(|_| why)) {
            Ok(said) => Self::Said(said),
            // The reason quotes the line, too.
            Err(why) => Self::Garbled(format!("{} ({})", start_of(&String::from_utf8_lossy(words)), start_of(&why.to_string()))),
        }
    }
}

/// The same with figures in quotes that JSON does not know: Python's `json` writes them bare, C's `printf` as well. A loss that is no number
/// is one that was reported.
fn quoted(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let (mut out, mut rest, mut inside) = (String::new(), text.as_ref(), false);
    while let Some(first) = rest.chars().next() {
        let figure = BARE.iter().find(|(bare, _)| !inside && rest.starts_with(bare));
        let length = match figure {
            Some((bare, word)) => {
                out.extend(["\"", word, "\""]);
                bare.len()
            }
            None => {
                let escaped = usize::from(inside && first == '\\');
                let length = rest.chars().take(1 + escaped).map(char::len_utf8).sum();
                inside ^= first == '"';
                out.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    out
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
    }

    #[test]
    fn figures_that_json_does_not_know_are_read_as_programs_print_them() {
        let told = |figure: &str| {
            let line = format!(r#"@hpo {{"say":"report","resource":1,"metrics":{{"a \"NaN":1,"loss": {figure},"b":-inf}}}}"#);
            match Line::of(line.as_bytes()) {
                Line::Said(FromTrainer::Report { resource: 1, metrics }) => metrics.get("loss"),
                _ => None,
            }
        };
        for figure in ["NaN", "nan", "-nan", "\"nan\""] {
            assert!(told(figure).unwrap().is_nan(), "{figure}");
        }
        let infinite = f64::INFINITY;
        for (figure, value) in [("Infinity", infinite), ("-Infinity", -infinite), ("inf", infinite), ("-inf", -infinite), ("-1e-3", -1e-3)]
        {
            assert_eq!(told(figure), Some(value), "{figure}");
        }
        assert_eq!(told("None"), None);
        assert!(matches!(Line::of(br#"@hpo {"say":"report","resource":NaN,"metrics":{"loss":1}}"#), Line::Garbled(_)));
        assert_eq!(quoted(br#"{"a\\":NaN,"b\":NaN":"c"#), r#"{"a\\":"nan","b\":NaN":"c"#);
    }

    /// 1,875 steps of Keras are 150 KB on one line.
    #[tokio::test]
    async fn of_a_progress_bar_that_is_too_long_its_end_is_kept() {
        for capacity in [7, 100, 8192, 1 << 20] {
            for end in ["\n", "\r\n"] {
                let bar: String = (0..9000).map(|step| format!("{step}/9000 [====>....]\r")).collect();
                let text = format!("{bar} - val_loss: 1.2{end}next\n");
                let mut input = BufReader::with_capacity(capacity, text.as_bytes());
                let mut line = Vec::new();
                assert!(next_line(&mut input, &mut line).await.unwrap());
                assert!(line.ends_with(format!(" - val_loss: 1.2{end}").trim_end_matches('\n').as_bytes()), "read by {capacity}");
                assert!(line.len() <= LINE_MAX);
                assert!(next_line(&mut input, &mut line).await.unwrap());
                assert_eq!(line, b"next");
            }
        }
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
