//! How a trainer process is started: program, arguments, environment, folder.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hpo_core::job::{Job, Trainable};

use super::exec::AGENT_PID;
use super::lines::{Pattern, PatternFault};
use super::protocol::{Start, environment};
use super::template::{TemplateFault, expand};

/// How this program is called as a trainer: `program args... --job FILE` becomes the built-in trainer of the job in that
/// file, `program args... --exec -- COMMAND...` becomes that command.
#[derive(Clone, Debug)]
pub struct TrainerProgram {
    /// Usually this very executable.
    pub program: PathBuf,
    /// Usually `trainer`.
    pub args: Vec<String>,
}

/// Everything that a process is started with.
#[derive(Debug)]
pub struct Call {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(String, String)>,
    pub(super) directory: Option<PathBuf>,
    pub(super) pattern: Option<Pattern>,
    /// Whether the process is a guard, which ends all that it guards when it is told [`END_ALL`](super::guard::END_ALL).
    pub(super) guarded: bool,
    /// The user's program or this one, for messages.
    pub(super) what: String,
}

/// Why a job cannot be made into a process.
#[derive(Debug, thiserror::Error)]
pub enum CallFault {
    /// The command.
    #[error("the sweep's `command` cannot be used")]
    Template(#[from] TemplateFault),
    /// The pattern.
    #[error(transparent)]
    Pattern(#[from] PatternFault),
}

impl Call {
    /// The process for `start`. `job_file` holds the job as JSON; `gpu` is the slot's, as CUDA names it.
    ///
    /// # Errors
    /// If a command's template or pattern makes no sense.
    pub fn new(trainer: &TrainerProgram, job: &Job, job_file: &Path, start: &Start, gpu: Option<&str>) -> Result<Self, CallFault> {
        let mut call = Self {
            program: trainer.program.clone(),
            args: trainer.args.iter().map(OsString::from).collect(),
            env: vec![(AGENT_PID.to_owned(), std::process::id().to_string())],
            directory: None,
            pattern: None,
            guarded: false,
            what: trainer.program.display().to_string(),
        };
        call.env.extend(gpu.map(|gpu| ("CUDA_VISIBLE_DEVICES".to_owned(), gpu.to_owned())));
        match &job.trainable {
            #[cfg(feature = "burn")]
            Trainable::Burn(burn) => {
                call.args.extend(["--job".into(), job_file.into()]);
                call.env.extend(burn_environment(burn.device, gpu));
            }
            // Without models of ours the trainer says so.
            #[cfg(not(feature = "burn"))]
            Trainable::Burn(_) => call.args.extend(["--job".into(), job_file.into()]),
            Trainable::Curves(_) => call.args.extend(["--job".into(), job_file.into()]),
            Trainable::Command(command) => {
                let words = expand(&command.command, start)?;
                call.what = words.first().cloned().unwrap_or_default();
                call.args.extend(["--exec".into(), "--".into()]);
                call.args.extend(words.into_iter().map(OsString::from));
                call.env.extend(command.env.clone());
                call.env.extend(environment(start).into_iter().map(|(name, value)| (name.to_owned(), value)));
                call.directory = Some(command.directory.clone());
                call.guarded = true;
                let pattern = command.metric_pattern.as_ref().map(|pattern| Pattern::new(pattern, &job.metric, start.from, start.until));
                call.pattern = pattern.transpose()?;
            }
        }
        Ok(call)
    }
}

#[cfg(feature = "burn")]
fn burn_environment(device: hpo_core::job::Device, gpu: Option<&str>) -> Vec<(String, String)> {
    use hpo_core::job::Device;
    // A slot without a GPU of its own does not take somebody else's.
    let device = if gpu.is_none() && device == Device::Auto { Device::Cpu } else { device };
    crate::trainable::burn::child_environment(device)
}
