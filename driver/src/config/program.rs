//! Whether the program that a sweep runs is here. Elsewhere it may be: the machine that checks a file need not be the one
//! that trains, so this is no fault of the file, but a reason not to start workers here.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hpo_core::job::{CommandJob, Trainable};
use nix::unistd::{AccessFlags, access};

use super::{Checked, Faults};

/// Looks for the program of a sweep as a worker on this machine would.
///
/// # Errors
/// That it is not here, at its line.
pub fn find(checked: &Checked) -> Result<(), Faults> {
    let Trainable::Command(command) = &checked.job.trainable else { return Ok(()) };
    let Some(program) = command.command.first() else { return Ok(()) };
    // It depends on the trial.
    if program.contains('{') || is_here(program, command) {
        return Ok(());
    }
    let message = format!("there is no program `{program}` on this machine");
    let help = if program.contains('/') {
        format!(
            "it was looked for in `{}`, the `directory` of the trials; it must be a file that may be executed",
            command.directory.components().collect::<PathBuf>().display()
        )
    } else {
        "it was looked for in PATH; name it by its path, or set PATH in `env` of [trial]".to_owned()
    };
    Err(Faults::of_key(checked, "trial", "command", message, help))
}

fn is_here(program: &str, command: &CommandJob) -> bool {
    let runs = |path: PathBuf| path.is_file() && access(&path, AccessFlags::X_OK).is_ok();
    if program.contains('/') {
        return runs(command.directory.join(program));
    }
    let path = command.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    std::env::split_paths(&path).any(|folder| runs(command.directory.join(folder).join(Path::new(program))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check_text;

    fn found(trial: &str) -> Result<(), String> {
        let text = format!(
            "[sweep]\nname = 'a'\nmetric = 'loss'\nmax_trials = 1\n[space]\nlr = {{ uniform = [0.0, 1.0] }}\n\
             [scheduler]\nkind = 'fifo'\nmax_resource = 1\n[trial]\nkind = 'command'\n{trial}"
        );
        let checked = check_text(&text, Path::new("/tmp/sweep.toml"), &|_| None).unwrap();
        find(&checked).map_err(|faults| format!("{:?} {} {:?}", faults.all()[0].at, faults.all()[0].message, faults.all()[0].help))
    }

    #[test]
    fn a_program_is_looked_for_as_a_worker_would() {
        assert_eq!(found("command = ['sh', '-c', 'true']"), Ok(()));
        assert_eq!(found("command = ['/bin/sh']"), Ok(()));
        assert_eq!(found("command = ['./sh']\ndirectory = '/bin'"), Ok(()));
        assert_eq!(found("command = ['sh']\nenv = { PATH = '/bin' }"), Ok(()));
        assert_eq!(found("command = ['train-{lr}']"), Ok(()), "only a trial knows");
        let gone = found("command = ['no-such-trainer', '{lr}']").unwrap_err();
        assert!(
            gone.starts_with("Some((12, 1)) there is no program `no-such-trainer` on this machine Some(\"it was looked for in PATH"),
            "{gone}"
        );
        assert!(found("command = ['./train']\ndirectory = '/bin'").unwrap_err().contains("looked for in `/bin`"));
        assert!(found("command = ['sh']\nenv = { PATH = '/var' }").is_err());
        assert!(found("command = ['/etc/passwd']").is_err(), "no program");
    }
}
