//! The scripts of one run: its workers' and its driver's.
use std::path::PathBuf;

use super::Setup;
use super::script::{Job, Settings, name_of, script};
use crate::rundir::RunDir;

/// What a driver's job takes over from `extra`: who pays and where it may run, not what a worker needs.
const SHARED: [&str; 5] = ["--account", "--partition", "--qos", "--reservation", "--clusters"];
/// So long before its limit a driver that is a job leaves, and goes back into the queue.
const DRIVER_NOTICE: u64 = 60_000;

/// By which Slurm's queue shows the jobs of a run. They hold a part of the sweep's id, for numbers of jobs are given out again
/// and names of sweeps are, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the workers.
    pub workers: String,
    /// Of the driver's own job.
    pub driver: String,
}

impl Names {
    /// Those of the sweep `name` with this id.
    #[must_use]
    pub fn of(name: &str, id: &str) -> Self {
        let id: String = id.chars().take(8).collect();
        Self { workers: format!("hpo-{name}-{id}"), driver: format!("hpo-driver-{name}-{id}") }
    }
}

/// Writes the scripts of one run.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// `[slurm]`.
    pub setup: Setup,
    /// The run folder; absolute.
    pub run: RunDir,
    /// The program `hpo`; absolute, on a file system that the nodes see.
    pub program: PathBuf,
    /// Where relative paths of the sweep file start.
    pub folder: PathBuf,
    /// What the jobs are called.
    pub names: Names,
}

impl Jobs {
    /// Of an array of workers: so many, on none of the nodes in `avoid`; if `after` is given, none begins before that job.
    #[must_use]
    pub fn workers(&self, tasks: u32, avoid: &[String], after: Option<u32>) -> String {
        self.array(&self.setup.settings, tasks, avoid, after)
    }

    /// The same jobs, of which so many tasks of one array may run at one time; none: all.
    #[must_use]
    pub fn with_throttle(&self, most: Option<u32>) -> Self {
        let settings = Settings { throttle: most, ..self.setup.settings.clone() };
        Self { setup: Setup { settings, ..self.setup.clone() }, ..self.clone() }
    }

    /// Of an array beside earlier ones, of which so many tasks may run at one time; none: all.
    #[must_use]
    pub fn more_workers(&self, tasks: u32, avoid: &[String], most: Option<u32>) -> String {
        self.with_throttle(most).workers(tasks, avoid, None)
    }

    /// The same, whose task 0 runs the driver with its own workers beside it: the driver gets Slurm's signals.
    #[must_use]
    pub fn workers_with_driver(&self, tasks: u32, avoid: &[String]) -> String {
        let mut settings = self.setup.settings.clone();
        let driver = [self.driver_command(), vec!["--workers".to_owned(), self.setup.slots.to_string()]].concat();
        settings.prologue.push("if [ \"$SLURM_ARRAY_TASK_ID\" = 0 ]; then".to_owned());
        settings.prologue.push(format!("    {}", super::script::exec(&driver)));
        settings.prologue.push("fi".to_owned());
        self.array(&settings, tasks, avoid, None)
    }

    fn array(&self, settings: &Settings, tasks: u32, avoid: &[String], after: Option<u32>) -> String {
        let mut command = self.command("worker");
        command.extend(["--run-dir".to_owned(), self.run.path().display().to_string()]);
        // Said, because a worker would otherwise believe an inherited `HPO_TOKEN_FILE`.
        command.extend(["--token-file".to_owned(), self.run.token().display().to_string()]);
        command.extend(["--slots".to_owned(), self.setup.slots.to_string()]);
        if !self.setup.gpus {
            command.push("--no-gpu".to_owned());
        }
        command.extend(["--leave-before".to_owned(), format!("{}s", settings.notice.div_ceil(1000))]);
        if !self.setup.driver_submits() && self.setup.settings.requeue {
            command.push("--requeue".to_owned());
        }
        let job = Job {
            name: &self.names.workers,
            run: self.run.path(),
            command: &command,
            tasks: Some(tasks),
            avoid,
            folder: &self.folder,
            after,
        };
        script(settings, &job)
    }

    /// Of a driver that is a job of its own.
    #[must_use]
    pub fn driver(&self) -> String {
        let ours = &self.setup.settings;
        let shared = ours.extra.iter().filter(|option| SHARED.contains(&name_of(option)));
        let settings = Settings {
            partition: ours.partition.clone(),
            account: ours.account.clone(),
            qos: ours.qos.clone(),
            exclude: ours.exclude.clone(),
            requeue: true,
            notice: DRIVER_NOTICE,
            extra: shared.chain(&self.setup.driver_options).cloned().collect(),
            remove: ours.remove.clone(),
            prologue: ours.prologue.clone(),
            ..Settings::default()
        };
        let command = self.driver_command();
        let (name, run, folder) = (&self.names.driver, self.run.path(), &self.folder);
        script(&settings, &Job { name, run, command: &command, tasks: None, avoid: &[], folder, after: None })
    }

    /// The driver's command, wherever it runs.
    #[must_use]
    pub fn driver_command(&self) -> Vec<String> {
        let mut command = self.command("driver");
        command.extend([self.run.path().display().to_string(), "--slurm".to_owned()]);
        command
    }

    fn command(&self, what: &str) -> Vec<String> {
        vec![self.program.display().to_string(), what.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::DriverPlace;
    use super::*;

    fn jobs(driver: DriverPlace) -> Jobs {
        let settings = Settings {
            partition: Some("gpu".to_owned()),
            gres: Some("gpu:2".to_owned()),
            requeue: true,
            notice: 70_000,
            extra: vec!["--account=proj".to_owned(), "--exclusive".to_owned()],
            prologue: vec!["module load cuda".to_owned()],
            ..Settings::default()
        };
        let setup = Setup {
            settings,
            max_workers: 8,
            slots: 2,
            gpus: true,
            driver,
            driver_options: vec!["--partition=cpu".to_owned(), "--time=2-00".to_owned()],
            submit_from_nodes: false,
            poll: 30_000,
        };
        let names = Names::of("mnist", "0123456789abcdef");
        Jobs { setup, run: RunDir::new("/home/me/runs/m"), program: "/opt/hpo".into(), folder: Path::new("/home/me").to_owned(), names }
    }

    #[test]
    fn a_driver_on_the_login_node_has_workers_that_leave_for_good() {
        let text = jobs(DriverPlace::Login).workers(4, &[], None);
        assert!(text.contains("#SBATCH --job-name=hpo-mnist-01234567\n#SBATCH --array=0-3\n"), "{text}");
        assert!(text.ends_with(
            "module load cuda\nexec /opt/hpo worker --run-dir /home/me/runs/m --token-file /home/me/runs/m/token --slots 2 --leave-before 70s\n"
        ));
    }

    #[test]
    fn a_driver_in_a_job_pays_as_its_workers_do_and_asks_for_nothing_else_of_theirs() {
        let jobs = jobs(DriverPlace::Job);
        let expected = "#!/bin/bash\n\
            #SBATCH --job-name=hpo-driver-mnist-01234567\n\
            #SBATCH --chdir=/home/me\n\
            #SBATCH --output=/home/me/runs/m/logs/slurm-%j.out\n\
            #SBATCH --open-mode=append\n\
            #SBATCH --signal=B:USR2@60\n\
            #SBATCH --requeue\n\
            #SBATCH --account=proj\n\
            #SBATCH --partition=cpu\n\
            #SBATCH --time=2-00\n\
            \n\
            module load cuda\n\
            exec /opt/hpo driver /home/me/runs/m --slurm\n";
        assert_eq!(jobs.driver(), expected);
        let workers = jobs.workers(4, &["bad".to_owned()], Some(17));
        assert!(workers.contains("#SBATCH --dependency=after:17\n") && workers.contains("#SBATCH --exclude=bad\n"), "{workers}");
        assert!(workers.ends_with("--slots 2 --leave-before 70s --requeue\n"), "nobody submits another in its place: {workers}");
    }

    #[test]
    fn task_0_runs_the_driver_with_a_worker_beside_it() {
        let text = jobs(DriverPlace::Task0).workers_with_driver(4, &[]);
        let end = "module load cuda\n\
            if [ \"$SLURM_ARRAY_TASK_ID\" = 0 ]; then\n    \
                exec /opt/hpo driver /home/me/runs/m --slurm --workers 2\n\
            fi\n\
            exec /opt/hpo worker --run-dir /home/me/runs/m --token-file /home/me/runs/m/token --slots 2 --leave-before 70s --requeue\n";
        assert!(text.ends_with(end), "{text}");
    }
}
