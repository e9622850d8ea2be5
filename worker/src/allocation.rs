//! The task of Slurm in which a worker runs: what it is called, how long it may last, and how it is put back into the queue.
use std::io;
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng;
use tokio::process::Command;
use tokio::time::timeout;

/// A controller that is down keeps its clients waiting for nine seconds and more; nobody here waits for it.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// As much time before a task's limit the worker leaves, if nobody says how much.
const RESERVE: Duration = Duration::from_secs(90);
/// The share of a short task that may go for that, and the share over which the ends of an array are strewn.
const RESERVE_PART: u32 = 4;
const STAGGER_PART: u32 = 20;
/// State, node, time until the limit, and when it was preempted: no other columns tell a task that was cancelled from one that
/// makes room (seen in 22.05).
const STANDING: &str = "State:30,NodeList:300,TimeLeft:30,PreemptTime:30";
/// The ends of an array are strewn over so much time at the most.
const STAGGER: Duration = Duration::from_secs(5 * 60);

/// A task of Slurm, as its environment names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// `14_3` for a task of an array, `17` for a job without one. Never the task's own job number: in one task of each array
    /// that is the number of the whole array.
    pub job: String,
    /// The node, as Slurm names it.
    pub node: String,
    /// CPUs that Slurm gave it here, if it says so.
    pub cpus: Option<usize>,
    /// Whether this process is the task itself, and not one of several that it has started.
    pub whole: bool,
    begins: Option<u64>,
    ends: Option<u64>,
}

/// From when to when a task lasts, in seconds since 1970, by the node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began to cost.
    pub begins: u64,
    /// Its time limit; none if it has none.
    pub ends: Option<u64>,
}

/// Slurm did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SlurmFault {
    /// It cannot be asked.
    #[error("cannot run `{program}`: is Slurm's folder of programs on PATH in the job's script?")]
    Run {
        /// Which program.
        program: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// No answer in time.
    #[error("`{program}` does not answer: is Slurm's controller down?")]
    NoAnswer {
        /// Which program.
        program: &'static str,
    },
    /// It has cancelled the task, or runs it elsewhere by now.
    #[error("it was cancelled, or runs elsewhere by now")]
    Gone,
    /// It says no.
    #[error("`{program}` refuses: {why}")]
    Refused {
        /// Which program.
        program: &'static str,
        /// In Slurm's words.
        why: String,
    },
}

impl Allocation {
    /// The one of this process. `None` outside of Slurm.
    #[must_use]
    pub fn here() -> Option<Self> {
        Self::read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()), std::process::id())
    }

    fn read(variable: impl Fn(&str) -> Option<String>, me: u32) -> Option<Self> {
        // A shell of `salloc` has a job, too, but sits on a login node.
        let node = variable("SLURMD_NODENAME")?;
        let job = match (variable("SLURM_ARRAY_JOB_ID"), variable("SLURM_ARRAY_TASK_ID")) {
            (Some(array), Some(task)) => format!("{array}_{task}"),
            _ => variable("SLURM_JOB_ID")?,
        };
        let number = |name: &str| variable(name).and_then(|value| value.parse().ok());
        // A script that `exec`s the worker gives it its own process number.
        let whole = variable("SLURM_STEP_ID").is_none() && number("SLURM_TASK_PID") == Some(u64::from(me));
        let cpus = number("SLURM_CPUS_ON_NODE").and_then(|cpus| usize::try_from(cpus).ok());
        Some(Self { job, node, cpus, whole, begins: number("SLURM_JOB_START_TIME"), ends: number("SLURM_JOB_END_TIME") })
    }

    /// From when to when it lasts. Slurm is asked where its environment does not say so (before 23.02).
    ///
    /// # Errors
    /// If it has to be asked and does not answer.
    pub async fn span(&self) -> Result<Span, SlurmFault> {
        if let (Some(begins), ends @ Some(_)) = (self.begins, self.ends) {
            return Ok(Span { begins, ends });
        }
        let mut squeue = Command::new("squeue");
        squeue.args(["--noheader", "--jobs", &self.job, "--format", "%S|%e"]).env("SLURM_TIME_FORMAT", "%s");
        let said = ask("squeue", squeue).await?;
        span(&said).ok_or_else(|| SlurmFault::Refused { program: "squeue", why: format!("it says `{}` of job {}", said.trim(), self.job) })
    }

    /// Puts this task, and no other of its array, back into the queue. What is to be kept must be safe before: within
    /// milliseconds this process and its children get SIGTERM, `scontrol` among them. Not if somebody has cancelled it, for Slurm
    /// would bring it back all the same, nor if the task of this name is another run of it by now.
    ///
    /// # Errors
    /// If Slurm refuses or does not answer, or if it is not to be put back.
    pub async fn requeue(&self) -> Result<(), SlurmFault> {
        let mut squeue = Command::new("squeue");
        squeue.args(["--noheader", "--jobs", &self.job, "--states", "all", "--Format", STANDING]);
        // Where that is not known, Slurm's answer to the requeue is.
        if let Ok(said) = ask("squeue", squeue).await
            && !may_come_back(&said, &self.node)
        {
            return Err(SlurmFault::Gone);
        }
        let mut scontrol = Command::new("scontrol");
        scontrol.args(["requeue", &self.job]);
        ask("scontrol", scontrol).await.map(drop)
    }
}

/// Whether the task that `squeue` shows as [`STANDING`] asks for is this one, on `node`, and may be put back: it runs, or ends because
/// its time was up or somebody needed its node. One that ends for no such reason was cancelled.
#[must_use]
pub fn may_come_back(said: &str, node: &str) -> bool {
    said.lines().any(|line| {
        let mut columns = line.split_whitespace();
        let (state, at, left, preempted) = (columns.next(), columns.next(), columns.next(), columns.next());
        let is_up = left.is_some_and(|left| left == "0:00" || left == "INVALID" || left.starts_with('-'));
        at == Some(node) && (state == Some("RUNNING") || is_up || preempted.is_some_and(|then| then != "N/A"))
    })
}

/// What a program of Slurm prints if it ends well, or by the signal that it brought upon itself.
async fn ask(program: &'static str, mut command: Command) -> Result<String, SlurmFault> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let answer = timeout(ANSWER_WAIT, command.output()).await.map_err(|_| SlurmFault::NoAnswer { program })?;
    let Output { status, stdout, stderr } = answer.map_err(|source| SlurmFault::Run { program, source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match status.code() {
        Some(0) | None => Ok(text(&stdout)),
        Some(_) => Err(SlurmFault::Refused { program, why: text(&stderr) }),
    }
}

/// `1795294012|1795294612`, of which the second may be a word. The first that is a number counts: of a task that is being
/// put back, Slurm may show more lines.
fn span(said: &str) -> Option<Span> {
    said.lines().find_map(|line| {
        let (begins, ends) = line.trim().split_once('|')?;
        Some(Span { begins: begins.parse().ok()?, ends: ends.parse().ok() })
    })
}

impl Span {
    /// When a worker leaves, in seconds since 1970: `before` its limit, or as much as it takes by rule; and earlier by
    /// chance, so that an array of workers does not end at once. None without a limit.
    #[must_use]
    pub fn leaves(&self, before: Option<Duration>, rng: &mut impl Rng) -> Option<u64> {
        let ends = self.ends?;
        let length = Duration::from_secs(ends.saturating_sub(self.begins));
        let reserve = before.unwrap_or_else(|| RESERVE.min(length / RESERVE_PART));
        let stagger = (length / STAGGER_PART).min(STAGGER).as_secs();
        Some(ends.saturating_sub(reserve.as_secs()).saturating_sub(rng.next_u64() % (stagger + 1)))
    }

    /// How long it has lasted by now.
    #[must_use]
    pub fn age(&self) -> Duration {
        since_1970().saturating_sub(Duration::from_secs(self.begins))
    }
}

/// The time until `then`, in seconds since 1970; none is left if that is past.
#[must_use]
pub fn until(then: u64) -> Duration {
    Duration::from_secs(then).saturating_sub(since_1970())
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hpo_core::Seed;

    use super::*;

    fn read(variables: &[(&str, &str)], me: u32) -> Option<Allocation> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Allocation::read(|name| variables.get(name).map(|value| (*value).to_owned()), me)
    }

    const BATCH: [(&str, &str); 6] = [
        ("SLURM_JOB_ID", "14"),
        ("SLURMD_NODENAME", "n2"),
        ("SLURM_ARRAY_JOB_ID", "14"),
        ("SLURM_ARRAY_TASK_ID", "7"),
        ("SLURM_TASK_PID", "4711"),
        ("SLURM_CPUS_ON_NODE", "4"),
    ];

    #[test]
    fn a_task_is_named_by_its_array_and_never_by_a_number_that_may_be_the_arrays() {
        let task = read(&BATCH, 4711).unwrap();
        assert_eq!((task.job.as_str(), task.node.as_str(), task.cpus, task.whole), ("14_7", "n2", Some(4), true));
        let job = read(&[("SLURM_JOB_ID", "17"), ("SLURMD_NODENAME", "n1")], 1).unwrap();
        assert_eq!((job.job.as_str(), job.cpus, job.whole), ("17", None, false));
        assert_eq!(read(&[("SLURM_JOB_ID", "17")], 1), None, "a shell of salloc on a login node");
        assert_eq!(read(&[], 1), None);
    }

    #[test]
    fn only_the_scripts_own_process_stands_for_the_whole_task() {
        assert!(!read(&BATCH, 4712).unwrap().whole, "started by the script");
        let step = [&BATCH[..], &[("SLURM_STEP_ID", "0")]].concat();
        assert!(!read(&step, 4711).unwrap().whole, "started by srun");
    }

    #[tokio::test]
    async fn slurm_is_not_asked_for_what_the_environment_says() {
        let told = [&BATCH[..], &[("SLURM_JOB_START_TIME", "1000"), ("SLURM_JOB_END_TIME", "4600")]].concat();
        assert_eq!(read(&told, 1).unwrap().span().await.unwrap(), Span { begins: 1000, ends: Some(4600) });
    }

    #[test]
    fn the_answer_of_squeue_is_read_and_a_limit_may_be_missing() {
        assert_eq!(span("1795294012|1795294612\n"), Some(Span { begins: 1_795_294_012, ends: Some(1_795_294_612) }));
        assert_eq!(span("N/A|N/A\n1795294012|NONE"), Some(Span { begins: 1_795_294_012, ends: None }));
        for strange in ["", "slurm_load_jobs error", "2026-11-21T20:44:57|"] {
            assert_eq!(span(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_task_that_was_cancelled_or_runs_elsewhere_is_not_put_back() {
        for (said, may) in [
            ("RUNNING    n1   4:55   N/A   ", true),
            ("RUNNING    n2   4:55   N/A", false),
            ("COMPLETING n1   4:57   N/A", false),
            ("COMPLETING n1   0:00   N/A", true),
            ("COMPLETING n1   4:42   2026-11-22T04:40:04", true),
            ("CANCELLED  n1   4:57   N/A\nRUNNING n1 4:55 N/A", true),
            ("PENDING    4:57   N/A", false),
            ("", false),
        ] {
            assert_eq!(may_come_back(said, "n1"), may, "{said}");
        }
    }

    #[test]
    fn workers_leave_in_time_and_not_all_at_once() {
        let mut rng = Seed(1).rng();
        let mut leaves = |length: u64, before| {
            let span = Span { begins: 10_000, ends: Some(10_000 + length) };
            let all: Vec<u64> = (0..5000).filter_map(|_| span.leaves(before, &mut rng)).map(|at| 10_000 + length - at).collect();
            (*all.iter().min().unwrap(), *all.iter().max().unwrap())
        };
        assert_eq!(leaves(4 * 3600, None), (90, 390), "an hour or more: 90 s, and five minutes by chance");
        assert_eq!(leaves(60, None), (15, 18), "a minute");
        assert_eq!(leaves(60, Some(Duration::from_secs(20))), (20, 23));
        assert_eq!(leaves(20, Some(Duration::from_secs(3600))), (3600, 3601), "too late already");
        assert_eq!(Span { begins: 1, ends: None }.leaves(None, &mut rng), None);
    }

    #[test]
    fn what_is_past_is_no_time_at_all() {
        assert_eq!(until(5), Duration::ZERO);
        let soon = since_1970().as_secs() + 100;
        assert!((Duration::from_secs(98)..=Duration::from_secs(100)).contains(&until(soon)));
    }
}
