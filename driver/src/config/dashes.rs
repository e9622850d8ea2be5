//! Words of a command that a trial's value can turn into an option of the program.
use hpo_core::job::Trainable;
use hpo_core::space::Domain;
use hpo_core::{Space, Value};

use super::Checked;
use super::trial::placeholders;

/// A warning for each parameter whose value can begin with `-` where a word of the command begins with the value: the program
/// may take such a word for an option. What comes after the word `--` is no option to any program that knows the custom.
pub(super) fn warnings(checked: &Checked) -> Vec<String> {
    let Trainable::Command(job) = &checked.job.trainable else { return vec![] };
    let words = job.command.iter().skip(1).take_while(|word| *word != "--");
    let warn = |word: &String| {
        let name = first_name(word)?;
        let value = dashed(&checked.spec.space, name)?;
        Some(format!(
            "the word `{word}` of the command can be `{}`, which programs may take for an option: write `--{name}={{{name}}}`, or put \
             the word `--` before it",
            word.replacen(&format!("{{{name}}}"), &value.to_string(), 1)
        ))
    };
    words.filter_map(warn).collect()
}

/// The name in braces with which a word begins.
fn first_name(word: &str) -> Option<&str> {
    placeholders(word).into_iter().next().filter(|name| word.strip_prefix('{').is_some_and(|rest| rest.starts_with(&format!("{name}}}"))))
}

/// A value of the parameter that begins with `-`, if it has one.
fn dashed(space: &Space, name: &str) -> Option<Value> {
    let begins = |value: &Value| value.to_string().starts_with('-');
    let parameter = space.parameters().iter().find(|parameter| parameter.name == name)?;
    let lowest = match &parameter.domain {
        Domain::Float { low, .. } => Value::Float(*low),
        Domain::Int { low, .. } => Value::Int(*low),
        Domain::Choice { values, .. } => values.iter().find(|value| begins(value))?.clone(),
        Domain::Constant(value) => value.clone(),
        Domain::Bool => return None,
    };
    begins(&lowest).then_some(lowest)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{check_text, plan};

    /// Warnings of a sweep with these parameters and this command.
    fn warned(space: &str, command: &str) -> Vec<String> {
        let text = format!(
            "[sweep]\nname = 'a'\nmetric = 'loss'\nmax_trials = 1\n[space]\n{space}\n\
             [scheduler]\nkind = 'fifo'\nmax_resource = 1\n[trial]\nkind = 'command'\ncommand = {command}"
        );
        plan::warnings(&check_text(&text, Path::new("/tmp/sweep.toml"), &|_| None).unwrap())
    }

    #[test]
    fn a_value_that_can_pass_for_an_option_is_warned_of() {
        let shift = "shift = { uniform = [-0.5, 0.5] }";
        let found = warned(shift, "['train', '--shift', '{shift}', '{shift}x{trial}']");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`{shift}` of the command can be `-0.5`") && found[0].contains("write `--shift={shift}`"), "{found:?}");
        assert!(found[1].contains("can be `-0.5x{trial}`"), "{found:?}");
        for space in
            ["shift = { int = [-3, 3] }", "shift = { choice = ['a', '--help'] }", "shift = { value = -1 }\nlr = { uniform = [0.0, 1.0] }"]
        {
            assert_eq!(warned(space, "['train', '{shift}']").len(), 1, "{space}");
        }
    }

    #[test]
    fn words_that_cannot_be_options_are_not() {
        let shift = "shift = { uniform = [-0.5, 0.5] }";
        for command in ["['train', '--shift={shift}']", "['train', '--', '{shift}']", "['train', '{{shift}}', '{trial}']"] {
            assert_eq!(warned(shift, command), Vec::<String>::new(), "{command}");
        }
        for space in ["shift = { uniform = [0.0, 0.5] }", "shift = { choice = ['a', 'b-c'] }", "shift = { bool = true }"] {
            assert_eq!(warned(space, "['train', '{shift}']"), Vec::<String>::new(), "{space}");
        }
    }
}
