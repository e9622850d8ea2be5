//! Submissions, looks at the queue, cancellations: what Slurm's programs are called for.
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::call::{CallFault, PATIENCE, Said, call};
use super::queue::{FORMAT, Queue};
use super::scale::Place;

/// Of a submission whose answer was lost it is asked so often whether it is in the queue.
const SEARCHES: u32 = 10;
/// And with this time in between.
const BETWEEN: Duration = Duration::from_secs(3);
/// So many tasks are named in one call.
const AT_ONCE: usize = 500;

/// Nothing was submitted, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum SubmitFault {
    /// Slurm refused it.
    #[error("Slurm refused the job: {why}")]
    Refused {
        /// In its words.
        why: String,
    },
    /// It may have been accepted.
    #[error("Slurm gave no answer ({why}); the job may have been accepted all the same")]
    NoAnswer {
        /// What was heard instead.
        why: String,
    },
}

impl SubmitFault {
    /// Whether it was refused because of the nodes that it asks for or leaves: `Requested node configuration is not available`. A
    /// limit of an account or a quality of service says nothing of them, whatever its name (`QOSMaxNodePerUserLimit`).
    #[must_use]
    pub fn is_for_nodes(&self) -> bool {
        let Self::Refused { why } = self else { return false };
        ["node configuration", "Node count", "node name", "nodes are"].iter().any(|words| why.contains(words))
    }
}

/// Submits a script and gives the number of the job.
///
/// # Errors
/// If it is refused, or the answer is lost.
pub async fn sbatch(script: &Path) -> Result<u32, SubmitFault> {
    let arguments = ["--parsable".to_owned(), script.display().to_string()];
    match call("sbatch", &arguments, PATIENCE).await {
        Ok(said) => submitted(&said),
        Err(slow @ CallFault::Slow { .. }) => Err(SubmitFault::NoAnswer { why: slow.to_string() }),
        Err(CallFault::Start { source, .. }) => Err(SubmitFault::Refused { why: source.to_string() }),
        Err(missing @ CallFault::Missing { .. }) => Err(SubmitFault::Refused { why: missing.to_string() }),
    }
}

/// What `sbatch --parsable` said: `14`, or `14;cluster`, perhaps after a site's greeting.
///
/// # Errors
/// If it said that the job is refused, or nothing that is understood.
pub fn submitted(said: &Said) -> Result<u32, SubmitFault> {
    let number = |line: &str| line.trim().split(';').next().and_then(|number| number.parse().ok());
    if said.is_fine() {
        let job = said.out.lines().rev().find_map(number);
        return job.ok_or_else(|| SubmitFault::NoAnswer { why: said.complaint() });
    }
    let why = said.complaint();
    // The request was on its way when the connection or the program ended.
    let lost = said.code.is_none() || ["timed out", "Zero Bytes", "Transport endpoint"].iter().any(|sign| why.contains(sign));
    Err(if lost { SubmitFault::NoAnswer { why } } else { SubmitFault::Refused { why } })
}

/// As [`sbatch`], once and no more: where the answer is lost, the job is looked for by its name.
///
/// # Errors
/// If it is refused, or nobody knows even then.
pub async fn sbatch_once(script: &Path, name: &str) -> Result<u32, SubmitFault> {
    let lost = match sbatch(script).await {
        Err(lost @ SubmitFault::NoAnswer { .. }) => lost,
        known => return known,
    };
    for _ in 0..SEARCHES {
        tokio::time::sleep(BETWEEN).await;
        let found = squeue(&[name]).await.ok().and_then(|queue| queue.tasks.iter().map(|task| task.array).max());
        if let Some(job) = found {
            return Ok(job);
        }
    }
    Err(lost)
}

/// Whether Slurm would take a script, and when it would start: one line.
///
/// # Errors
/// If it would not, or does not say.
pub async fn test_only(script: &Path) -> Result<String, SubmitFault> {
    let arguments = ["--test-only".to_owned(), script.display().to_string()];
    match call("sbatch", &arguments, PATIENCE).await {
        Ok(said) if said.is_fine() => Ok(said.complaint()),
        Ok(said) => Err(SubmitFault::Refused { why: said.complaint() }),
        Err(fault) => Err(SubmitFault::Refused { why: fault.to_string() }),
    }
}

/// The queue was not seen.
#[derive(Debug, thiserror::Error)]
pub enum LookFault {
    /// `squeue` did not run.
    #[error(transparent)]
    Call(#[from] CallFault),
    /// It said something else.
    #[error("squeue failed: {why}")]
    Failed {
        /// In its words.
        why: String,
    },
}

/// All of this user's jobs with one of these names, in one call; those that ended a few minutes ago among them.
///
/// # Errors
/// If there is no answer. That says nothing about the jobs.
pub async fn squeue(names: &[&str]) -> Result<Queue, LookFault> {
    let (user, names) = (user(), names.join(","));
    let arguments = ["-h", "-r", "-t", "all", "-u", &user, "-n", &names, "-o", FORMAT].map(str::to_owned);
    seen(&call("squeue", &arguments, PATIENCE).await?)
}

/// What `squeue` said.
///
/// # Errors
/// If that is no queue.
pub fn seen(said: &Said) -> Result<Queue, LookFault> {
    if said.is_fine() { Ok(Queue::read(&said.out)) } else { Err(LookFault::Failed { why: said.complaint() }) }
}

/// Cancels tasks of arrays. What is over already is no fault.
///
/// # Errors
/// What the last of the calls that failed said.
pub async fn scancel(tasks: &[Place]) -> Result<(), LookFault> {
    let mut last = Ok(());
    for some in tasks.chunks(AT_ONCE) {
        let ids: Vec<String> = some.iter().map(|(array, index)| format!("{array}_{index}")).collect();
        last = cancelled(call("scancel", &ids, PATIENCE).await?).and(last);
    }
    last
}

/// Lets so many tasks of an array run at one time. What runs already goes on.
///
/// # Errors
/// If Slurm does not.
pub async fn throttle(array: u32, most: u32) -> Result<(), LookFault> {
    let words = ["update".to_owned(), format!("JobId={array}"), format!("ArrayTaskThrottle={most}")];
    let said = call("scontrol", &words, PATIENCE).await?;
    if said.is_fine() { Ok(()) } else { Err(LookFault::Failed { why: said.complaint() }) }
}

/// Cancels every job of this user that has one of these names, whatever its state.
///
/// # Errors
/// If that did not work.
pub async fn scancel_named(names: &[&str]) -> Result<(), LookFault> {
    let user = user();
    for name in names {
        let arguments = ["-u", &user, "-n", name].map(str::to_owned);
        cancelled(call("scancel", &arguments, PATIENCE).await?)?;
    }
    Ok(())
}

/// Number of this user: who owns this process.
fn user() -> String {
    std::fs::metadata("/proc/self").map_or_else(|_| std::env::var("USER").unwrap_or_default(), |me| me.uid().to_string())
}

fn cancelled(said: Said) -> Result<(), LookFault> {
    let why = said.complaint();
    let over = ["already completing or completed", "Invalid job id"].iter().any(|sign| why.contains(sign));
    if said.is_fine() || over { Ok(()) } else { Err(LookFault::Failed { why }) }
}

/// Puts one task back into the queue, and no other: `scontrol requeue` of the number of a task's own job takes the whole array
/// along where that number is the array's.
///
/// # Errors
/// If Slurm does not.
pub async fn requeue(task: &str) -> Result<(), LookFault> {
    let said = call("scontrol", &["requeue".to_owned(), task.to_owned()], PATIENCE).await?;
    if said.is_fine() { Ok(()) } else { Err(LookFault::Failed { why: said.complaint() }) }
}

/// The task that this process runs in, as `scontrol` and `squeue` name it: `14_3`, or `17` without an array.
#[must_use]
pub fn own_task(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match (env("SLURM_ARRAY_JOB_ID"), env("SLURM_ARRAY_TASK_ID")) {
        (Some(array), Some(index)) => Some(format!("{array}_{index}")),
        _ => env("SLURM_JOB_ID"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: Option<i32>, out: &str, err: &str) -> Said {
        Said { code, out: out.to_owned(), err: err.to_owned() }
    }

    #[test]
    fn an_answer_is_a_number_a_refusal_or_nothing_known() {
        for (out, job) in [("14\n", 14), ("14;cluster\n", 14), ("Welcome to our 3 clusters\n77;main\n", 77)] {
            assert_eq!(submitted(&said(Some(0), out, "")).unwrap(), job);
        }
        let refused = submitted(&said(Some(1), "", "sbatch: error: QOSMaxSubmitJobPerUserLimit\n"));
        assert!(refused.as_ref().is_err_and(|refused| !refused.is_for_nodes()));
        assert!(matches!(refused, Err(SubmitFault::Refused { why }) if why.contains("QOSMaxSubmitJobPerUserLimit")));
        let left =
            submitted(&said(Some(1), "", "sbatch: error: Batch job submission failed: Requested node configuration is not available"));
        assert!(left.is_err_and(|refused| refused.is_for_nodes()));
        for lost in [
            said(Some(0), "thank you\n", ""),
            said(None, "", ""),
            said(Some(1), "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
        ] {
            assert!(matches!(submitted(&lost), Err(SubmitFault::NoAnswer { .. })), "{lost:?}");
        }
    }

    #[test]
    fn a_task_is_named_by_its_array_and_never_by_its_own_number() {
        let env = |name: &str| match name {
            "SLURM_ARRAY_JOB_ID" => Some("14".to_owned()),
            "SLURM_ARRAY_TASK_ID" => Some("3".to_owned()),
            "SLURM_JOB_ID" => Some("14".to_owned()),
            _ => None,
        };
        assert_eq!(own_task(&env).as_deref(), Some("14_3"));
        assert_eq!(own_task(&|name| env(name).filter(|_| name == "SLURM_JOB_ID")).as_deref(), Some("14"));
        assert_eq!(own_task(&|_| None), None);
    }
}
