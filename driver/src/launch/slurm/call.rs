//! Slurm's programs, called from outside: with a limit of our own on their time, for a controller that is away makes them wait for
//! long; and without what Slurm left in our environment, for a `sbatch` within a job would take it for its own options.
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// How long a program of Slurm may take. A busy controller answers after many seconds; one that is away makes `sbatch` try for
/// minutes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// No answer is read beyond this, in bytes: the queue of a large cluster has some.
const ANSWER_MAX: u64 = 64 << 20;
/// Variables of the job that this process runs in, if it does.
const SCRUBBED: [&str; 6] = ["SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SQUEUE_", "PMIX_"];
/// How a controller is found and believed: these stay.
const KEPT: [&str; 2] = ["SLURM_CONF", "SLURM_JWT"];

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    /// Whether it did what it was called for.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.code == Some(0)
    }

    /// What it complains of, in one line.
    #[must_use]
    pub fn complaint(&self) -> String {
        let lines = |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        let (err, out) = (lines(&self.err), lines(&self.out));
        let text = if err.is_empty() { out } else { err };
        if text.is_empty() { self.code.map_or("ended by a signal".to_owned(), |code| format!("ended with code {code}")) } else { text }
    }
}

/// A program of Slurm gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallFault {
    /// It is not there.
    #[error("there is no `{program}` here; run this where Slurm's programs are, and check your PATH")]
    Missing {
        /// Which.
        program: &'static str,
    },
    /// It does not start.
    #[error("cannot run `{program}`")]
    Start {
        /// Which.
        program: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("`{program}` did not answer within {} s; the controller may be away or busy", patience.as_secs())]
    Slow {
        /// Which.
        program: &'static str,
        /// For how long it was waited for.
        patience: Duration,
    },
}

/// Runs one of Slurm's programs to its end, with nothing to read.
///
/// # Errors
/// If it cannot be run or takes longer than `patience`; then it was killed.
pub async fn call(program: &'static str, arguments: &[String], patience: Duration) -> Result<Said, CallFault> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Messages are looked into.
    command.env("LC_ALL", "C");
    for name in scrubbed(std::env::vars_os().map(|(name, _)| name)) {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => CallFault::Missing { program },
        _ => CallFault::Start { program, source },
    })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = async { tokio::join!(child.wait(), text(out), text(err)) };
    match tokio::time::timeout(patience, ended).await {
        Ok((status, out, err)) => {
            let status = status.map_err(|source| CallFault::Start { program, source })?;
            tracing::debug!(program, ?arguments, %status, "called");
            Ok(Said { code: status.code(), out, err })
        }
        Err(_) => Err(CallFault::Slow { program, patience }),
    }
}

/// Names of the variables that a job of Slurm has left in an environment.
pub fn scrubbed(names: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    names.filter(|name| {
        let name = name.to_string_lossy();
        SCRUBBED.iter().any(|prefix| name.starts_with(prefix)) && !KEPT.contains(&name.as_ref())
    })
}

/// A text, whatever its encoding, as far as it is read.
async fn text(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(from) = from else { return String::new() };
    let mut bytes = vec![];
    // What came before a fault is as good as a torn answer, which readers must cope with anyway.
    let _ = from.take(ANSWER_MAX).read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn what_a_program_says_is_heard_and_one_that_hangs_is_killed() {
        let said = call("sh", &words(&["-c", "echo 7; echo no >&2; exit 3"]), PATIENCE).await.unwrap();
        assert_eq!(said, Said { code: Some(3), out: "7\n".into(), err: "no\n".into() });
        assert_eq!((said.is_fine(), said.complaint()), (false, "no".to_owned()));
        let begun = std::time::Instant::now();
        let hung = call("sh", &words(&["-c", "sleep 60"]), Duration::from_millis(200)).await;
        assert!(matches!(hung, Err(CallFault::Slow { .. })) && begun.elapsed() < Duration::from_secs(30));
        assert!(matches!(call("no-such-program", &[], PATIENCE).await, Err(CallFault::Missing { .. })));
    }

    #[test]
    fn what_a_job_left_in_the_environment_goes_and_the_way_to_the_controller_stays() {
        let names = [
            "PATH",
            "SLURM_CONF",
            "SLURM_JOB_ID",
            "SLURMD_NODENAME",
            "SBATCH_PARTITION",
            "SRUN_DEBUG",
            "PMIX_RANK",
            "MY_SLURM_",
            "SLURM_JWT",
        ];
        let gone: Vec<_> = scrubbed(names.iter().map(OsString::from)).collect();
        assert_eq!(gone, ["SLURM_JOB_ID", "SLURMD_NODENAME", "SBATCH_PARTITION", "SRUN_DEBUG", "PMIX_RANK"]);
    }
}
