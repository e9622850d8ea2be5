//! Small things that texts need: the environment, lengths of time, the nearest word.
use std::time::Duration;

use hpo_core::Millis;

/// Longer lists of words are cut.
const MOST_LISTED: usize = 50;

/// What is wrong with a `${NAME}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExpandFault {
    /// The environment has no such variable.
    Unset(String),
    /// The brace is not closed, or there is no name in it.
    Syntax,
}

/// Replaces each `${NAME}` by its value in the environment; `$${` stands for `${` itself.
///
/// # Errors
/// The first variable that is unset or not well written.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandFault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or(ExpandFault::Syntax)?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(ExpandFault::Syntax);
        }
        out.push_str(before);
        out.push_str(&env(name).ok_or_else(|| ExpandFault::Unset(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Reads `30s`, `10m`, `2h`, `1h 30m` or Slurm's `hh:mm:ss`.
pub(super) fn parse_duration(text: &str) -> Option<Millis> {
    let duration = if text.contains(':') { clock(text)? } else { humantime::parse_duration(text).ok()? };
    Millis::try_from(duration.as_millis()).ok()
}

fn clock(text: &str) -> Option<Duration> {
    let parts: Vec<u64> = text
        .split(':')
        .map(|part| if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None })
        .collect::<Option<_>>()?;
    let &[hours, minutes, seconds] = parts.as_slice() else { return None };
    if minutes > 59 || seconds > 59 {
        return None;
    }
    Some(Duration::from_secs(hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?))
}

/// A length of time as the sweep file writes it.
pub(super) fn write_duration(millis: Millis) -> String {
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

/// The known word that was probably meant: at most a third of its letters differ, or it goes on with `-` or `_` where `word` ends.
/// Case and `-` for `_` count as nothing.
pub(super) fn nearest<'a, K: AsRef<str>>(word: &str, known: &'a [K]) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let word = plain(word);
    let allowed = (word.chars().count() / 3).max(1);
    // It takes the product of the lengths, so words of quite another length are passed over.
    let letters = word.chars().count();
    let goes_on = |known: &str| plain(known).strip_prefix(&word).is_some_and(|rest| rest.starts_with('_'));
    let alike = known.iter().map(AsRef::as_ref).filter(|known| known.chars().count().abs_diff(letters) <= allowed || goes_on(known));
    let distance = |known: &str| if goes_on(known) { 1 } else { strsim::damerau_levenshtein(&word, &plain(known)) };
    alike.map(|known| (distance(known), known)).filter(|near| near.0 <= allowed).min().map(|near| near.1)
}

/// `a`, `b`, `c`: the words in quotes, and how many more there are.
pub(super) fn list<K: AsRef<str>>(words: &[K]) -> String {
    let shown: Vec<String> = words.iter().take(MOST_LISTED).map(|word| format!("`{}`", word.as_ref())).collect();
    match words.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_put_in() {
        let env = |name: &str| (name == "HOME").then(|| "/home/ada".to_owned());
        assert_eq!(expand("${HOME}/x/${HOME}", &env), Ok("/home/ada/x//home/ada".to_owned()));
        assert_eq!(expand("$${HOME} costs 3$ {lr}", &env), Ok("${HOME} costs 3$ {lr}".to_owned()));
        assert_eq!(expand("${NONE}", &env), Err(ExpandFault::Unset("NONE".to_owned())));
        for bad in ["${", "${}", "${HOME", "${A B}"] {
            assert_eq!(expand(bad, &env), Err(ExpandFault::Syntax), "{bad}");
        }
    }

    #[test]
    fn lengths_of_time() {
        let seconds = |text| parse_duration(text).map(|millis| millis as f64 / 1e3);
        for (text, wanted) in [
            ("30s", 30.0),
            ("10m", 600.0),
            ("2h", 7200.0),
            ("1h 30m", 5400.0),
            ("250ms", 0.25),
            ("04:00:30", 14430.0),
            ("100:00:00", 360_000.0),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        for bad in
            ["", "30", "-5s", "1:2", "1:60:00", "1:+2:00", "1:2:3:4", "ten minutes", "99999999999999999999h", "99999999999999999:00:00"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(write_duration(5_400_000), "1h 30m");
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["max_trials", "metric", "seed"];
        assert_eq!(nearest("max_trial", &known), Some("max_trials"));
        assert_eq!(nearest("Max-Trials", &known), Some("max_trials"));
        assert_eq!(nearest("sede", &known), Some("seed"));
        assert_eq!(nearest("walls", &known), None);
        assert_eq!(nearest("asha", &["pasha", "asha-stop", "asha-promote"]), Some("asha-promote"));
    }
}
