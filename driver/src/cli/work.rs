//! `worker` and `trainer`: the commands of this program that need the worker's half.
#[cfg(feature = "worker")]
pub(super) use with::*;
#[cfg(not(feature = "worker"))]
pub(super) use without::*;

#[cfg(feature = "worker")]
mod with {
    use std::time::Duration;

    use anyhow::Context;
    use hpo_core::job::{Device, Job, Trainable};
    use hpo_driver::journal;
    use hpo_driver::launch::Place;
    use hpo_driver::process::Located;
    use hpo_driver::rundir::RunDir;
    use hpo_worker::agent::{AgentEnd, AgentFault, AgentOptions, notice};
    use hpo_worker::allocation::Allocation;
    use hpo_worker::resources::{Slot, Wanted};
    use hpo_worker::trainer::{self, TrainerProgram};

    use crate::cli::args::{Trainer, Worker};
    use crate::cli::exit::{Exit, OrExit, Outcome};

    /// Local workers: so many, or one a GPU, else one a core. Each is given its GPU, or its share of one, so that two
    /// never take the same without knowing.
    pub(in crate::cli) fn places(count: Option<u16>, job: &Job) -> Vec<Place> {
        let gpus = match &job.trainable {
            Trainable::Burn(burn) => burn.device != Device::Cpu && cfg!(any(feature = "cuda", feature = "vulkan")),
            Trainable::Command(_) => true,
            Trainable::Curves(_) => false,
        };
        let cores = Allocation::here().and_then(|allocation| allocation.cpus);
        let slots = hpo_worker::resources::discover(Wanted { slots: count, gpus, cores, ..Wanted::default() });
        let place = |slot: &Slot| match &slot.gpu {
            Some(gpu) => Place {
                arguments: vec!["--milli-gpus".to_owned(), slot.milli_gpus.to_string()],
                environment: vec![("CUDA_VISIBLE_DEVICES".to_owned(), gpu.clone())],
            },
            None => Place { arguments: vec!["--no-gpu".to_owned()], environment: vec![] },
        };
        slots.iter().map(place).collect()
    }

    /// On the driver's own machine a driver that is back should not be kept waiting.
    const RETRY_CAP: Duration = Duration::from_secs(5);

    pub(in crate::cli) fn worker(args: Worker) -> Outcome {
        let run = RunDir::new(&args.run_dir);
        // Elsewhere a worker may be given no more than how to find its driver.
        if !run.rendezvous().exists() {
            run.must_be_a_run().or_exit(Exit::RunFolder)?;
        }
        // A driver that was killed at its very end has left no word, but its journal.
        let finished = || journal::replay(&run.journal()).is_ok_and(|replayed| replayed.sweep.finished().is_some());
        if run.ended().exists() || (!run.rendezvous().exists() && finished()) {
            mention!("the sweep in {} has ended: there is nothing to do", run.path().display());
            return Ok(Exit::Done);
        }
        // Trainers die with the thread that started them: this one, which lives as long as the process.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_exit(Exit::RunFolder)?;
        let allocation = if args.id.is_some() { None } else { Allocation::here() };
        let in_a_job = allocation.is_some();
        let ended = runtime.block_on(work(args, &run, allocation));
        // A call of a broken disk that never returns must not keep the process.
        runtime.shutdown_background();
        match ended {
            Ok(AgentEnd::Orphaned { away, words }) => {
                mention!("the driver was away for {} s; {words} words never reached it, states are saved", away.as_secs());
                Ok(Exit::Resumable)
            }
            Ok(AgentEnd::Idle(time)) => {
                mention!("there was nothing to train for {} s (`--idle-limit`)", time.as_secs());
                Ok(Exit::Done)
            }
            Ok(AgentEnd::Finished { .. }) => Ok(Exit::Done),
            // Told to leave before the sweep was over. A job of Slurm that left in time has done its part: it has not failed.
            Ok(AgentEnd::Preempted) => Ok(if in_a_job { Exit::Done } else { Exit::Resumable }),
            Err(fault) => {
                let exit = if fault.exit_code() == Exit::RunFolder as u8 { Exit::RunFolder } else { Exit::BadInput };
                Err(fault).or_exit(exit)
            }
        }
    }

    /// `allocation`: what a batch system gave. Workers of `hpo run` have none: they keep to their driver's time, which ends with its job.
    async fn work(args: Worker, run: &RunDir, allocation: Option<Allocation>) -> Result<AgentEnd, AgentFault> {
        let this = |source| AgentFault::Io { doing: "find the program", path: "hpo".into(), source };
        let shutdown = notice().map_err(|source| AgentFault::Io { doing: "listen for signals of", path: "hpo".into(), source })?;
        let cores = allocation.as_ref().and_then(|allocation| allocation.cpus);
        let name = || match &allocation {
            Some(Allocation { job, node, .. }) => format!("{node}:{job}"),
            None => format!("{}:{}", hpo_driver::process::host(), std::process::id()),
        };
        let this_process = serde_json::to_string(&Located::me()).map_err(|why| this(why.into()))?;
        let options = AgentOptions {
            worker: args.id,
            process: this_process,
            name: args.name.unwrap_or_else(name),
            slots: hpo_worker::resources::discover(Wanted { slots: args.slots, gpus: !args.no_gpu, milli_gpus: args.milli_gpus, cores }),
            rendezvous: run.rendezvous(),
            authority: run.authority(),
            token_file: args.token_file.unwrap_or_else(|| run.token()),
            checkpoints: run.checkpoints(),
            log_dir: run.logs(),
            trainer: TrainerProgram { program: std::env::current_exe().map_err(this)?, args: vec!["trainer".to_owned()] },
            orphan_limit: AgentOptions::ORPHAN_LIMIT,
            retry_cap: if args.id.is_some() { RETRY_CAP } else { AgentOptions::RETRY_CAP },
            allocation,
            leave_before: args.leave_before,
            requeue: args.requeue,
            idle_limit: args.idle_limit,
        };
        hpo_worker::agent::run(options, shutdown).await
    }

    pub(in crate::cli) fn trainer(args: &Trainer) -> Outcome {
        if let Some(job) = &args.job {
            let text =
                std::fs::read_to_string(job).with_context(|| format!("cannot read the job {}", job.display())).or_exit(Exit::BadInput)?;
            let job: Job = serde_json::from_str(&text).context("agent and trainer must be of one version").or_exit(Exit::BadInput)?;
            trainer::exec::die_with_parent().or_exit(Exit::NoResult)?;
            trainer::child::run(job).or_exit(Exit::NoResult)?;
            return Ok(Exit::Done);
        }
        let Some((program, rest)) = args.command.split_first() else {
            return Err(anyhow::anyhow!("a trainer is started by `hpo worker`")).or_exit(Exit::BadInput);
        };
        match trainer::exec::run(program, rest).or_exit(Exit::NoResult)? {}
    }
}

#[cfg(not(feature = "worker"))]
mod without {
    use crate::cli::args::{Trainer, Worker};
    use crate::cli::exit::{Exit, OrExit, Outcome};

    /// What to say in a build without the worker's half.
    pub(in crate::cli) fn no_worker() -> anyhow::Error {
        anyhow::anyhow!("this hpo was built without the feature `worker`: it can drive sweeps (`hpo driver`), not train")
    }

    pub(in crate::cli) fn worker(_args: Worker) -> Outcome {
        Err(no_worker()).or_exit(Exit::BadInput)
    }

    pub(in crate::cli) fn trainer(_args: &Trainer) -> Outcome {
        Err(no_worker()).or_exit(Exit::BadInput)
    }
}
