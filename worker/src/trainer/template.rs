//! A user's command with the values of a trial in it.
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::protocol::Start;

/// A name between braces, or (to be taken to the letter) between doubled ones. Any other brace is itself, so that
/// scripts of `sh`, `awk` or `python3 -c` can stand in a command as they are. The driver checks by the same rule that
/// every name is known.
static NAMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\{\{(?<letter>[A-Za-z_][A-Za-z0-9_-]*)\}\}|\{(?<name>[A-Za-z_][A-Za-z0-9_-]*)\}").ok());

/// What is wrong with a command template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// The program itself has no value here.
    #[error("the program `{argument}` names a parameter that this trial does not have")]
    NoProgram {
        /// The first word of the command.
        argument: String,
    },
    /// There is no command.
    #[error("the command is empty")]
    Empty,
}

/// The command of one attempt. `{name}` is the value of a parameter, or `trial`, `attempt`, `seed`, `from`, `until`,
/// `checkpoint_in`, `checkpoint_out`; these win over a parameter of the same name. An argument that names something this
/// attempt does not have (a conditional parameter, the checkpoint of a first attempt) is left out as a whole, so that
/// `--resume={checkpoint_in}` stands only where there is something to resume.
///
/// # Errors
/// If no program is left.
pub fn expand(command: &[String], start: &Start) -> Result<Vec<String>, TemplateFault> {
    let program = command.first().ok_or(TemplateFault::Empty)?;
    let mut words = Vec::with_capacity(command.len());
    for argument in command {
        words.extend(fill(argument, start));
        if words.is_empty() {
            return Err(TemplateFault::NoProgram { argument: program.clone() });
        }
    }
    Ok(words)
}

/// The argument with its names replaced; none if one of them has no value.
fn fill(argument: &str, start: &Start) -> Option<String> {
    let mut missing = false;
    let filled = NAMES.as_ref()?.replace_all(argument, |found: &Captures<'_>| match found.name("name") {
        Some(name) => value(name.as_str(), start).unwrap_or_else(|| {
            missing = true;
            String::new()
        }),
        None => found.name("letter").map(|letter| format!("{{{}}}", letter.as_str())).unwrap_or_default(),
    });
    (!missing).then(|| filled.into_owned())
}

fn value(name: &str, start: &Start) -> Option<String> {
    Some(match name {
        "trial" => start.trial.to_string(),
        "attempt" => start.attempt.to_string(),
        "seed" => start.seed.to_string(),
        "from" => start.from.to_string(),
        "until" => start.until.to_string(),
        "checkpoint_in" => start.checkpoint.as_ref()?.to_string_lossy().into_owned(),
        "checkpoint_out" => start.checkpoint_out.to_string_lossy().into_owned(),
        _ => start.params.get(name)?.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hpo_core::Value;

    use super::*;

    fn start() -> Start {
        let params = [("lr", Value::Float(1e-5)), ("width", Value::Int(64)), ("nesterov", Value::Bool(true)), ("opt", Value::from("sgd"))];
        Start {
            trial: 7,
            attempt: 2,
            params: params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            seed: 11,
            from: 3,
            until: 9,
            checkpoint: None,
            checkpoint_out: PathBuf::from("/tmp/out"),
            in_place: false,
        }
    }

    fn expanded(arguments: &[&str]) -> Result<Vec<String>, TemplateFault> {
        let command: Vec<String> = std::iter::once(&"train").chain(arguments).map(|word| (*word).to_owned()).collect();
        expand(&command, &start()).map(|words| words[1..].to_vec())
    }

    #[test]
    fn names_stand_for_values_and_other_braces_for_themselves() {
        let words =
            expanded(&["--lr={lr}", "{width}{opt}", "{nesterov}", "{trial}.{attempt}.{seed}", "{from}..{until}", "{checkpoint_out}"]);
        assert_eq!(words.unwrap(), ["--lr=1e-5", "64sgd", "true", "7.2.11", "3..9", "/tmp/out"]);
        assert_eq!(expanded(&["{{lr}}", "{}", "", "no names"]).unwrap(), ["{lr}", "{}", "", "no names"]);
        let script = r#"awk 'BEGIN { printf "{\"loss\":{\"a\":%f}}", {lr} }'"#;
        assert_eq!(expanded(&[script]).unwrap(), [script.replace("{lr}", "1e-5")]);
    }

    #[test]
    fn an_argument_without_its_value_is_left_out() {
        assert_eq!(expanded(&["a", "--resume={checkpoint_in}", "--momentum={momentum}", "b"]).unwrap(), ["a", "b"]);
        let resumed = Start { checkpoint: Some("/in".into()), ..start() };
        let command = ["train".to_owned(), "--resume={checkpoint_in}".to_owned()];
        assert_eq!(expand(&command, &resumed).unwrap(), ["train", "--resume=/in"]);
    }

    #[test]
    fn faults_name_the_argument() {
        assert_eq!(expand(&[], &start()), Err(TemplateFault::Empty));
        let program = expand(&["{momentum}".to_owned(), "x".to_owned()], &start()).unwrap_err();
        assert_eq!(program.to_string(), "the program `{momentum}` names a parameter that this trial does not have");
    }
}
