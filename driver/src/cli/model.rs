//! `export` and `predict`: the best trial as a verified ONNX model.
#[cfg(feature = "burn")]
pub(super) use with::*;
#[cfg(not(feature = "burn"))]
pub(super) use without::*;

use hpo_core::job::Trainable;

/// Why a sweep has no model that we could export, if it has none.
fn no_model(trainable: &Trainable) -> Option<&'static str> {
    match trainable {
        Trainable::Burn(_) => None,
        Trainable::Command(_) => {
            Some("there is no model to export: a program of yours trained, and hpo exports what it trains itself, with kind = \"burn\"")
        }
        Trainable::Curves(_) => Some("there is no model to export: these trainings were looked up or computed, not done"),
    }
}

#[cfg(feature = "burn")]
mod with {
    use anyhow::{Context, anyhow};
    use hpo_core::job::Job;
    use hpo_core::{Sweep, TrialId};
    use hpo_driver::config::{self, Checked};
    use hpo_driver::journal::{self, Header};
    use hpo_driver::rundir::RunDir;
    use hpo_worker::checkpoint::Store;
    use hpo_worker::onnx::{self, ExportFault, ExportRequest, Exported};

    use super::no_model;
    use crate::cli::args::{Export, Manners, Predict};
    use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
    use crate::cli::runs;

    pub(in crate::cli) fn export(args: &Export, manners: Manners) -> Outcome {
        let run = RunDir::new(&args.run);
        run.must_be_a_run().or_exit(Exit::RunFolder)?;
        let replayed = journal::replay(&run.journal()).or_exit(Exit::RunFolder)?;
        let checked = config::load(&run.sweep_toml()).or_exit(Exit::RunFolder)?;
        if let Some(why) = no_model(&checked.job.trainable) {
            return Err(anyhow!(why)).or_exit(Exit::NoResult);
        }
        let trial = args
            .trial
            .map(TrialId)
            .or_else(|| exportable(&replayed.sweep, manners))
            .context("no trial has a result yet")
            .or_exit(Exit::NoResult)?;
        let exported = export_trial(&run, &replayed.header, &replayed.sweep, &checked, trial)?;
        if manners.json {
            say!("{}", serde_json::to_string(&exported.card).or_exit(Exit::RunFolder)?);
        } else {
            say!("trial {trial} is exported and verified: {}\nits card: {}", exported.model.display(), exported.card_path.display());
        }
        Ok(Exit::Done)
    }

    /// At the end of a sweep. That there is no model to export is no fault.
    pub(in crate::cli) fn export_best(run: &RunDir, checked: &Checked, manners: Manners) -> Outcome {
        if let Some(why) = no_model(&checked.job.trainable) {
            if !manners.quiet {
                mention!("{why}");
            }
            return Ok(Exit::Done);
        }
        let replayed = journal::replay(&run.journal()).or_exit(Exit::RunFolder)?;
        let Some(best) = exportable(&replayed.sweep, manners) else { return Ok(Exit::NoResult) };
        if !manners.quiet {
            mention!("exporting trial {best} to ONNX and verifying it");
        }
        export_trial(run, &replayed.header, &replayed.sweep, checked, best)?;
        Ok(Exit::Done)
    }

    /// The best trial whose state is kept, else the best; says so if it is another than the best.
    fn exportable(sweep: &Sweep, manners: Manners) -> Option<TrialId> {
        let best: Vec<TrialId> = sweep.best().into_iter().map(|best| best.trial).collect();
        let first = *best.first()?;
        let chosen = best.into_iter().find(|id| sweep.trial(*id).is_some_and(|trial| trial.checkpoint.is_some())).unwrap_or(first);
        if chosen != first && !manners.quiet {
            mention!("trial {first} is the best, but it has no checkpoint; the best that has one is trial {chosen}");
        }
        Some(chosen)
    }

    fn export_trial(run: &RunDir, header: &Header, sweep: &Sweep, checked: &Checked, id: TrialId) -> Result<Exported, Failure> {
        let trial = sweep.trial(id).with_context(|| format!("there is no trial {id}")).or_exit(Exit::BadInput)?;
        let kept = || {
            let kept: Vec<String> = sweep.trials().filter(|trial| trial.checkpoint.is_some()).map(|trial| trial.id.to_string()).collect();
            anyhow!(
                "trial {id} has no checkpoint: states that nothing can need any more are forgotten; there are those of trials {}",
                kept.join(", ")
            )
        };
        let checkpoint = trial.checkpoint.as_ref().ok_or_else(kept).or_exit(Exit::NoResult)?;
        let state = Store::new(run.checkpoints()).open_verified(&checkpoint.id, trial.id).or_exit(Exit::RunFolder)?;
        // Data and its split derive from the seed that the sweep was created with, which `--seed` may have set.
        let job = Job { seed: header.spec.seed, ..checked.job.clone() };
        let request = ExportRequest {
            job: &job,
            params: &trial.params,
            state: &state,
            out_dir: &run.models(),
            sweep: &header.spec.name,
            sweep_id: &header.sweep,
            trial: id,
            attempt: trial.attempt,
            code_version: env!("CARGO_PKG_VERSION"),
            created_unix_ms: runs::unix_ms(),
        };
        onnx::export_trial(&request).map_err(|fault| {
            let exit = if matches!(fault, ExportFault::Refused { .. }) { Exit::NotVerified } else { Exit::NoResult };
            Failure { exit, why: fault.into() }
        })
    }

    pub(in crate::cli) fn predict(args: &Predict, manners: Manners) -> Outcome {
        let predictions = onnx::predict(&args.model, &args.input).or_exit(Exit::BadInput)?;
        if !manners.json {
            say!("row class probability");
        }
        for prediction in &predictions {
            if manners.json {
                say!("{}", serde_json::to_string(prediction).or_exit(Exit::BadInput)?);
            } else {
                say!("{} {} {:.4}", prediction.row, prediction.class, prediction.probability);
            }
        }
        Ok(Exit::Done)
    }

    #[cfg(test)]
    mod tests {
        use hpo_core::schedule::{Ladder, SchedulerSpec};
        use hpo_core::sweep::{Budget, Checkpoint, Patience, Slot};
        use hpo_core::{Attempt, Event, Goal, Loss, Metrics, Params, Resource, Seed, Seq, Space, Stamp, SweepSpec, WorkerId};

        use super::*;

        /// Two trials that report the same; those in `saved` have a checkpoint.
        fn sweep(saved: &[u32]) -> Sweep {
            let mut sweep = Sweep::new(SweepSpec {
                name: "test".into(),
                seed: Seed(7),
                metric: "loss".into(),
                goal: Goal::Minimize,
                space: Space::new(vec![]).unwrap(),
                scheduler: SchedulerSpec::AshaPromote { ladder: Ladder::new(Resource(1), Resource(9), 3).unwrap() },
                budget: Budget { max_trials: Some(2), ..Budget::default() },
                patience: Patience::default(),
            });
            let mut apply = |event: Event| {
                sweep.admit(&event).unwrap();
                sweep.apply(Stamp(0), &event, &mut vec![]);
            };
            let slot = Slot { name: "cpu core".into(), milli_gpus: 0 };
            apply(Event::WorkerJoined {
                worker: WorkerId(1),
                name: "w".into(),
                slots: vec![slot.clone(), slot],
                holds: vec![],
                allocation: None,
                leaving: false,
            });
            let (attempt, resource, loss) = (Attempt(1), Resource(1), Loss::new(0.5));
            for trial in [0, 1].map(TrialId) {
                apply(Event::Suggested { trial, params: Params::new(), cost_us: 1 });
                apply(Event::Reported { trial, attempt, seq: Seq(1), after_ms: None, resource, loss, metrics: Metrics::default() });
            }
            for trial in saved.iter().copied().map(TrialId) {
                let checkpoint = Some(Checkpoint { id: "af".repeat(32), resource, bytes: 1, wrote_ms: 1 });
                apply(Event::Reached { trial, attempt, seq: Seq(2), after_ms: None, resource, checkpoint });
            }
            sweep
        }

        #[test]
        fn what_is_exported_is_the_best_trial_that_has_a_checkpoint() {
            let manners = Manners { json: false, quiet: true, verbose: 0, no_progress: true };
            assert_eq!(exportable(&sweep(&[0, 1]), manners), Some(TrialId(0)));
            assert_eq!(exportable(&sweep(&[1]), manners), Some(TrialId(1)));
            assert_eq!(exportable(&sweep(&[]), manners), Some(TrialId(0)), "whose fault then says what is missing");
        }
    }
}

#[cfg(not(feature = "burn"))]
mod without {
    use hpo_driver::config::Checked;
    use hpo_driver::rundir::RunDir;

    use super::no_model;
    use crate::cli::args::{Export, Manners, Predict};
    use crate::cli::exit::{Exit, OrExit, Outcome};

    fn no_models() -> anyhow::Error {
        anyhow::anyhow!("this hpo was built without the feature `burn`: it can neither export nor run models")
    }

    pub(in crate::cli) fn export(args: &Export, _manners: Manners) -> Outcome {
        RunDir::new(&args.run).must_be_a_run().or_exit(Exit::RunFolder)?;
        Err(no_models()).or_exit(Exit::BadInput)
    }

    /// Where no model can be read none is exported; a machine with the worker's half can do it later.
    pub(in crate::cli) fn export_best(run: &RunDir, checked: &Checked, manners: Manners) -> Outcome {
        match no_model(&checked.job.trainable) {
            _ if manners.quiet => {}
            Some(why) => mention!("{why}"),
            None => mention!("this hpo cannot export models; elsewhere: `hpo export {}`", run.word()),
        }
        Ok(Exit::Done)
    }

    pub(in crate::cli) fn predict(_args: &Predict, _manners: Manners) -> Outcome {
        Err(no_models()).or_exit(Exit::BadInput)
    }
}
