//! Programs that only print, and seem to keep no state or to know no end, where trials are paused and go on later.
use hpo_core::job::Trainable;
use hpo_core::schedule::SchedulerSpec;

use super::Checked;

/// What a pause costs such a program. One that only prints cannot be asked: whether the script behind the command reads its environment is
/// not seen here, so that this is said as what may be.
pub(super) fn warnings(checked: &Checked) -> Vec<String> {
    let Trainable::Command(job) = &checked.job.trainable else { return vec![] };
    let scheduler = &checked.spec.scheduler;
    let never_pauses = matches!(scheduler, SchedulerSpec::Fifo { .. } | SchedulerSpec::AshaStop { .. } | SchedulerSpec::Median { .. });
    if never_pauses || job.metric_pattern.is_none() || scheduler.ladder().top() == 0 {
        return vec![];
    }
    let lacks = |word: &str| !job.command.iter().any(|some| some.to_lowercase().contains(word));
    let end = format!(
        "{} pauses trials, and the command has no {{until}}: unless the program ends after so many units as $HPO_UNTIL says, each trial \
         is trained to the program's own end, and to pause it saves nothing",
        scheduler.name()
    );
    let state = format!(
        "{} pauses trials, and the command has no {{checkpoint_out}}: unless the program writes its state to $HPO_CHECKPOINT_OUT and begins \
         from $HPO_CHECKPOINT_IN, each trial that goes on is trained again from the beginning; `asha-stop` and `median` pause none",
        scheduler.name()
    );
    [("until", end), ("checkpoint_out", state)].into_iter().filter_map(|(word, said)| lacks(word).then_some(said)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{check_text, plan};

    fn warned(scheduler: &str, trial: &str) -> Vec<String> {
        let text = format!(
            "[sweep]\nname = 'a'\nmetric = 'loss'\nmax_trials = 9\n[space]\nlr = {{ uniform = [0.0, 1.0] }}\n\
             [scheduler]\nkind = '{scheduler}'\nmax_resource = 9\n[trial]\nkind = 'command'\n{trial}"
        );
        plan::warnings(&check_text(&text, Path::new("/tmp/sweep.toml"), &|_| None).unwrap())
    }

    #[test]
    fn a_program_that_only_prints_is_warned_of_where_trials_are_paused() {
        let pattern = "metric_pattern = 'loss (.*)'";
        let prints = format!("command = ['train', '{{lr}}', '{{until}}']\n{pattern}");
        for scheduler in ["asha-promote", "halving", "hyperband", "hyperband-async", "pasha", "swift"] {
            let warnings = warned(scheduler, &prints);
            let [warning] = &warnings[..] else { panic!("{scheduler}: {warnings:?}") };
            assert!(warning.starts_with(&format!("{scheduler} pauses trials")) && warning.contains("HPO_CHECKPOINT_OUT"), "{warning}");
        }
        for scheduler in ["fifo", "asha-stop", "median"] {
            assert_eq!(warned(scheduler, &prints), Vec::<String>::new(), "{scheduler}");
        }
        for saves in ["'--out={checkpoint_out}'", "'cp state $HPO_CHECKPOINT_OUT'"] {
            for ends in ["'--epochs={until}'", "'head -n $HPO_UNTIL'"] {
                let words = format!("command = ['train', '{{lr}}', {saves}, {ends}]\n{pattern}");
                assert_eq!(warned("asha-promote", &words), Vec::<String>::new(), "{saves}, {ends}");
            }
            let warnings = warned("asha-promote", &format!("command = ['train', '{{lr}}', {saves}]\n{pattern}"));
            let [warning] = &warnings[..] else { panic!("{warnings:?}") };
            assert!(warning.contains("no {until}") && warning.contains("HPO_UNTIL"), "{warning}");
        }
        assert_eq!(warned("asha-promote", "command = ['train', '{lr}']"), Vec::<String>::new(), "one that speaks the protocol says itself");
    }
}
