//! `doctor`: whether a sweep could run on this cluster, found out by a short job that asks for what workers ask for. It dials this
//! host at all of its addresses, reads and writes beside the run folder, and looks for its GPU.
mod findings;
mod host;
mod probe;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use hpo_driver::launch::slurm::Jobs;
use hpo_driver::launch::slurm::queue::State;
use hpo_driver::launch::slurm::script::{Job, Settings, script};
use hpo_driver::launch::slurm::submit::{SubmitFault, sbatch, scancel_named, squeue};
use hpo_driver::rundir::{RunDir, make_private_folder};
use serde_json::json;

use super::args::Doctor;
use super::{absolute, checks, jobs, names, tell};
use crate::cli::args::{Manners, SweepFile};
use crate::cli::drive::{frozen, new_run, runtime};
use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
use crate::cli::files;
use findings::{Evidence, Finding, Verdict, findings};
use host::Host;

/// What it may take once it runs.
const LIMIT: Duration = Duration::from_secs(120);
/// How often Slurm is asked whether it lives; it is one job, and somebody waits for it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a file may take from the node to this host, or a report that only comes one of the two ways.
const VISIBLE: Duration = Duration::from_secs(30);

pub(super) fn doctor(args: &Doctor, manners: Manners) -> Outcome {
    if let Some(word) = &args.word {
        return probe::probe(&args.sweep, word, &args.at).or_exit(Exit::NoResult).map(|()| Exit::Done);
    }
    let jobs = asked(args)?;
    let folder = neighbour(&jobs.run).or_exit(Exit::RunFolder)?;
    tell(manners, &format!("submitting a job that asks for what workers ask for; it works in `{}`", folder.path().display()));
    let runtime = runtime()?;
    runtime.block_on(checks::array_max(manners)).or_exit(Exit::NoResult)?;
    let evidence = runtime.block_on(examine(&jobs, folder.path(), args.wait)).or_exit(Exit::NoResult)?;
    let found = findings(&jobs.setup, &evidence);
    print(&found, manners);
    Ok(if found.iter().any(|finding| finding.verdict == Verdict::Bad) { Exit::NoResult } else { Exit::Done })
}

/// The jobs of the sweep file or run.
fn asked(args: &Doctor) -> Result<Jobs, Failure> {
    if args.sweep.is_dir() {
        let run = absolute(&RunDir::new(&args.sweep))?;
        let names = names(&run)?;
        return jobs(&frozen(&run)?, &run, names);
    }
    let checked = files::load(&SweepFile { file: args.sweep.clone(), seed: None }).or_exit(Exit::BadInput)?;
    let run = absolute(&new_run(args.run_dir.as_deref(), &checked))?;
    jobs(&checked, &run, hpo_driver::launch::slurm::Names::of(&checked.spec.name, "new"))
}

/// A folder of our own on the file system that the run is or will be on.
fn neighbour(run: &RunDir) -> anyhow::Result<tempfile::TempDir> {
    let there = run.path().ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let folder = tempfile::Builder::new().prefix(".hpo-doctor-").tempdir_in(there);
    let folder = folder.with_context(|| format!("cannot make a folder in `{}`, where the run folder is to be", there.display()))?;
    make_private_folder(&folder.path().join("logs"))?;
    Ok(folder)
}

/// Submits the probe and gathers what it tells.
async fn examine(jobs: &Jobs, folder: &Path, patience: Duration) -> anyhow::Result<Evidence> {
    let mut host = Host::open(folder).await?;
    let command: Vec<String> =
        [&jobs.program.display().to_string(), "slurm", "doctor", &folder.display().to_string(), "--word", host.word()]
            .map(str::to_owned)
            .into_iter()
            .chain(["--at".to_owned(), host.addresses().join(",")])
            .collect();
    let settings =
        Settings { time: Some(LIMIT.as_millis() as u64), throttle: None, requeue: false, notice: 30_000, ..jobs.setup.settings.clone() };
    // Nobody else's job is called so, and this one's number is given to others one day.
    let name = format!("hpo-doctor-{:.8}", host.word());
    let job = Job { name: &name, run: folder, command: &command, tasks: None, avoid: &[], folder, after: None };
    let file = folder.join("probe.sbatch");
    std::fs::write(&file, script(&settings, &job))?;
    let begun = Instant::now();
    let mut evidence = Evidence { refused: None, ..Evidence::default() };
    let number = match sbatch(&file).await {
        Ok(number) => number,
        Err(fault @ SubmitFault::Refused { .. }) => {
            evidence.refused = Some(fault.to_string());
            return Ok(evidence);
        }
        Err(fault) => return Err(fault.into()),
    };
    watch(&mut host, &mut evidence, (number, &name), begun + patience).await;
    evidence.waited = begun.elapsed();
    evidence.output = output(folder);
    // Gone already, as a rule.
    let _ = scancel_named(&[&name]).await;
    Ok(evidence)
}

/// Waits for the report, which may come by network and as a file, for the end of the job, or until nobody wants to wait.
async fn watch(host: &mut Host, evidence: &mut Evidence, (number, name): (u32, &str), until: Instant) {
    let mut next_look = Instant::now() + LOOK_EVERY;
    let mut over_at = None;
    loop {
        host.listen(Duration::from_millis(200)).await;
        evidence.note(host);
        let now = Instant::now();
        let both = evidence.report.is_some() && evidence.seen_after_ms.is_some();
        let late = evidence.first_word.is_some_and(|first| now > first + VISIBLE) || over_at.is_some_and(|over| now > over + VISIBLE);
        if both || late || now > until {
            return;
        }
        if now >= next_look && over_at.is_none() {
            next_look = now + LOOK_EVERY;
            // Who cannot be asked now is asked again.
            if let Ok(queue) = squeue(&[name]).await {
                let ours = queue.tasks.iter().find(|task| task.array == number);
                evidence.reason = ours.map(|task| task.reason.clone()).unwrap_or_default();
                evidence.ran |= ours.is_none_or(|task| task.state != State::Pending);
                over_at = ours.is_none_or(|task| !task.state.is_alive()).then_some(now);
            }
        }
    }
}

/// What the job printed, if that is to be seen here.
fn output(folder: &Path) -> String {
    let files: Vec<PathBuf> = std::fs::read_dir(folder.join("logs")).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.iter().filter_map(|file| std::fs::read(file).ok()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

fn print(found: &[Finding], manners: Manners) {
    for Finding { verdict, what, advice } in found {
        if manners.json {
            say!("{}", json!({"verdict": verdict.word(), "what": what, "advice": advice}));
            continue;
        }
        say!("{:7} {what}", verdict.word());
        if let Some(advice) = advice {
            say!("        -> {advice}");
        }
    }
}
