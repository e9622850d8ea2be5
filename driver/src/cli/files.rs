//! `check`, `space`, `init`, `schema`: what needs no run folder.
use hpo_core::Seed;
use hpo_driver::config::{self, Checked, Faults, draws::Draws, init, plan::Plan, schema};
use serde_json::json;

use super::args::{Init, Manners, Space, SweepFile};
use super::exit::{Exit, OrExit, Outcome};

/// Reads a sweep file and the earlier runs that it names, and checks what only the trainer knows: whether it knows what to do
/// with the hyperparameters.
pub(super) fn load(file: &SweepFile) -> anyhow::Result<Checked> {
    let mut checked = config::load(&file.file)?;
    if let Some(seed) = file.seed {
        checked = checked.with_seed(Seed(seed));
    }
    let found = config::curves::probe(&checked).err().into_iter();
    #[cfg(feature = "burn")]
    let found = found.chain(super::builtin::check_job(&checked).err());
    let found = found.reduce(Faults::and);
    match (config::warm::take_up(checked), found) {
        (Ok(checked), None) => Ok(checked),
        (Ok(_), Some(faults)) | (Err(faults), None) => Err(faults.into()),
        (Err(others), Some(faults)) => Err(faults.and(others).into()),
    }
}

pub(super) fn check(file: &SweepFile, manners: Manners) -> Outcome {
    let checked = load(file).or_exit(Exit::BadInput)?;
    let mut plan = Plan::of(&checked);
    if let Err(elsewhere) = config::program::find(&checked) {
        mention!("{}\n\nworkers on other machines may have it; everything else is right", elsewhere.render_as_warnings());
        // People have just read it.
        plan.warnings.extend(elsewhere.all().iter().filter(|_| manners.json).map(|fault| fault.message.clone()));
    }
    if manners.json {
        say!("{}", plan.to_json());
    } else {
        say!("{}: no faults\n{plan}", file.file.display());
        config::warm::said(&checked).iter().for_each(|line| say!("{line}"));
    }
    Ok(Exit::Done)
}

pub(super) fn space(args: &Space, manners: Manners) -> Outcome {
    let checked = load(&args.sweep).or_exit(Exit::BadInput)?;
    let draws = Draws::of(&checked.spec.space, checked.spec.seed, args.sample);
    if manners.json {
        draws.to_json().for_each(|draw| say!("{draw}"));
    } else {
        say!("{}", draws.to_string().trim_end());
    }
    Ok(Exit::Done)
}

pub(super) fn init(args: &Init, manners: Manners) -> Outcome {
    init::write(&args.file).or_exit(Exit::BadInput)?;
    if manners.json {
        say!("{}", json!({"file": args.file}));
        return Ok(Exit::Done);
    }
    let word = hpo_core::shell::path(&args.file);
    say!("wrote {}; next: `hpo check {word}`, then `hpo run {word}`", args.file.display());
    Ok(Exit::Done)
}

pub(super) fn schema(manners: Manners) -> Outcome {
    let schema = schema::schema();
    if manners.json {
        say!("{schema}");
    } else {
        say!("{schema:#}");
    }
    Ok(Exit::Done)
}
