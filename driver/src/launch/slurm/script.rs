//! The scripts that are handed to `sbatch`: what people read before they trust us with their allocation.
use std::fmt::Write;
use std::path::Path;

use hpo_core::Millis;
use hpo_core::shell::quoted;

/// `[slurm]` of a sweep file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `--partition`.
    pub partition: Option<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--qos`.
    pub qos: Option<String>,
    /// `--constraint`.
    pub constraint: Option<String>,
    /// `--gres`, such as `gpu:1`.
    pub gres: Option<String>,
    /// `--time`.
    pub time: Option<Millis>,
    /// `--cpus-per-task`.
    pub cpus_per_task: Option<u32>,
    /// `--mem`.
    pub mem: Option<String>,
    /// `--exclude`.
    pub exclude: Vec<String>,
    /// Most tasks that run at one time, of all arrays together; none: all.
    pub throttle: Option<u32>,
    /// Whether Slurm puts a task back into the queue that it preempted or whose node died.
    pub requeue: bool,
    /// So long before its time limit a worker is told that it has to leave.
    pub notice: Millis,
    /// Options of `sbatch`, such as `--account=proj`; each replaces ours of the same name.
    pub extra: Vec<String>,
    /// Names of options that this site does not want, such as `--open-mode`.
    pub remove: Vec<String>,
    /// Lines of shell before the program, such as `module load cuda`.
    pub prologue: Vec<String>,
}

/// What a script is to start.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// By which the queue shows it; holds the sweep's id.
    pub name: &'a str,
    /// The run folder, absolute, on a file system that the nodes see.
    pub run: &'a Path,
    /// The program and its arguments.
    pub command: &'a [String],
    /// So many tasks; none for a job of its own.
    pub tasks: Option<u32>,
    /// Nodes to avoid, beside those of the settings.
    pub avoid: &'a [String],
    /// Where it starts: the folder from which the sweep file's relative paths count.
    pub folder: &'a Path,
    /// The job that must have begun before this one may.
    pub after: Option<u32>,
}

/// The name of an option such as `--account=proj`.
#[must_use]
pub fn name_of(option: &str) -> &str {
    option.split_once('=').map_or(option, |(name, _)| name)
}

/// The script of a job. Its program takes the place of the shell, so that it gets Slurm's signals itself: a shell that waits
/// for a child would run its trap only when the child has ended, which is too late.
#[must_use]
pub fn script(settings: &Settings, job: &Job<'_>) -> String {
    let mut text = String::from("#!/bin/bash\n");
    for (name, value) in options(settings, job) {
        // Writing to a text cannot fail.
        let _ = match value {
            Some(value) => writeln!(text, "#SBATCH {name}={value}"),
            None => writeln!(text, "#SBATCH {name}"),
        };
    }
    text.push('\n');
    for line in &settings.prologue {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&exec(job.command));
    text.push('\n');
    text
}

/// The line by which a program takes the shell's place.
pub(super) fn exec(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    format!("exec {}", words.join(" "))
}

type Choice = (String, Option<String>);

/// All options of `sbatch`, ours first. What the site does not want is left out, what the user gives replaces ours.
fn options(settings: &Settings, job: &Job<'_>) -> Vec<Choice> {
    let mut options: Vec<Choice> = vec![];
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            options.push((name.to_owned(), Some(value)));
        }
    };
    let Settings { partition, account, qos, constraint, gres, mem, .. } = settings.clone();
    set("--job-name", Some(job.name.to_owned()));
    let at_most = settings.throttle.map_or(String::new(), |most| format!("%{most}"));
    set("--array", job.tasks.map(|tasks| format!("0-{}{at_most}", tasks.saturating_sub(1))));
    let output = if job.tasks.is_some() { "slurm-%A_%a.out" } else { "slurm-%j.out" };
    set("--chdir", Some(directive(&job.folder.display().to_string())));
    // `%` begins one of its patterns.
    let logs = job.run.join("logs").display().to_string().replace('%', "%%");
    set("--output", Some(directive(&format!("{logs}/{output}"))));
    set("--open-mode", Some("append".to_owned()));
    set("--partition", partition);
    set("--account", account);
    set("--qos", qos);
    set("--constraint", constraint);
    set("--gres", gres);
    set("--time", settings.time.map(time));
    set("--cpus-per-task", settings.cpus_per_task.map(|cpus| cpus.to_string()));
    set("--mem", mem);
    let avoid: Vec<&str> = settings.exclude.iter().chain(job.avoid).map(String::as_str).collect();
    set("--exclude", (!avoid.is_empty()).then(|| avoid.join(",")));
    // `B:` is for the program itself. USR2, for communication libraries may take USR1 for themselves.
    set("--signal", Some(format!("B:USR2@{}", settings.notice.div_ceil(1000))));
    set("--dependency", job.after.map(|job| format!("after:{job}")));
    // What can never begin need not wait.
    set("--kill-on-invalid-dep", job.after.map(|_| "yes".to_owned()));
    options.push((if settings.requeue { "--requeue" } else { "--no-requeue" }.to_owned(), None));
    for given in &settings.extra {
        let name = name_of(given);
        options.retain(|(ours, _)| ours != name);
        options.push((name.to_owned(), given.get(name.len() + 1..).map(str::to_owned)));
    }
    options.retain(|(name, _)| !settings.remove.contains(name));
    options
}

/// As Slurm writes a length of time: `hours:minutes:seconds`, rounded up to whole seconds.
fn time(millis: Millis) -> String {
    let seconds = millis.div_ceil(1000);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A path as `sbatch` reads it from its own lines: quotes hold it together.
fn directive(path: &str) -> String {
    let plain = |letter: char| !letter.is_whitespace() && !r#"'"\#"#.contains(letter);
    if path.chars().all(plain) { path.to_owned() } else { format!(r#""{}""#, path.replace('\\', r"\\").replace('"', r#"\""#)) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn settings() -> Settings {
        Settings {
            partition: Some("gpu".to_owned()),
            gres: Some("gpu:1".to_owned()),
            time: Some(4 * 3_600_000),
            throttle: Some(8),
            requeue: true,
            notice: 89_500,
            prologue: words(&["module load cuda"]),
            ..Settings::default()
        }
    }

    #[test]
    fn a_workers_script_reads_as_people_write_it() {
        let command = words(&["/opt/hpo", "worker", "--run-dir", "/home/me/my runs/a"]);
        let job = Job {
            name: "hpo-1f",
            run: Path::new("/home/me/runs/a"),
            command: &command,
            tasks: Some(32),
            avoid: &words(&["n7"]),
            folder: Path::new("/home/me/sweeps"),
            after: None,
        };
        let expected = "#!/bin/bash\n\
            #SBATCH --job-name=hpo-1f\n\
            #SBATCH --array=0-31%8\n\
            #SBATCH --chdir=/home/me/sweeps\n\
            #SBATCH --output=/home/me/runs/a/logs/slurm-%A_%a.out\n\
            #SBATCH --open-mode=append\n\
            #SBATCH --partition=gpu\n\
            #SBATCH --gres=gpu:1\n\
            #SBATCH --time=04:00:00\n\
            #SBATCH --exclude=n7\n\
            #SBATCH --signal=B:USR2@90\n\
            #SBATCH --requeue\n\
            \n\
            module load cuda\n\
            exec /opt/hpo worker --run-dir '/home/me/my runs/a'\n";
        assert_eq!(script(&settings(), &job), expected);
    }

    #[test]
    fn sites_add_change_and_remove_options() {
        let settings = Settings {
            extra: words(&["--partition=small", "--exclusive", "--mem=0"]),
            remove: words(&["--open-mode", "--requeue"]),
            prologue: vec![],
            ..settings()
        };
        let job = Job {
            name: "d",
            run: Path::new("/r"),
            command: &words(&["hpo"]),
            tasks: None,
            avoid: &[],
            folder: Path::new("/w"),
            after: Some(12),
        };
        let text = script(&settings, &job);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("#SBATCH")).map(|line| &line[8..]).collect();
        assert_eq!(
            lines,
            [
                "--job-name=d",
                "--chdir=/w",
                "--output=/r/logs/slurm-%j.out",
                "--gres=gpu:1",
                "--time=04:00:00",
                "--signal=B:USR2@90",
                "--dependency=after:12",
                "--kill-on-invalid-dep=yes",
                "--partition=small",
                "--exclusive",
                "--mem=0"
            ]
        );
    }

    /// That a real Slurm takes these lines is a test of its own, in `tests/slurm`.
    #[test]
    fn folders_with_odd_names_are_one_word_to_sbatch() {
        let job = Job {
            name: "d",
            run: Path::new("/r s/100%"),
            command: &words(&["hpo"]),
            tasks: None,
            avoid: &[],
            folder: Path::new("/it's \"here\""),
            after: None,
        };
        let text = script(&settings(), &job);
        assert!(text.contains("#SBATCH --chdir=\"/it's \\\"here\\\"\"\n"), "{text}");
        assert!(text.contains("#SBATCH --output=\"/r s/100%%/logs/slurm-%j.out\"\n"), "{text}");
    }

    #[test]
    fn a_real_shell_takes_every_word_as_it_is() {
        for word in ["", "a b", "it's", "$(touch x)", "a\nb", "*", "\\", "\"", "~", "--x={lr}", "ü"] {
            let output = Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
    }
}
