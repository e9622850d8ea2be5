//! The second pass over a sweep file: what its values mean together.
use std::ops::Range;
use std::path::{Path, PathBuf};

use hpo_core::job::{BURN_METRICS, Job};
use hpo_core::schedule::SchedulerSpec;
use hpo_core::sweep::spec::Budget;
use hpo_core::{Goal, Millis, Seed, Space, SweepSpec};
use hpo_searchers::SearcherSpec;
use toml::Spanned;

use super::key::Entry;
use super::keys::{BASE, REPORT, SCHEDULER, SPACE, SWEEP, TRIAL, WORKERS, report, sweep, workers};
use super::limits;
use super::message::Message;
use super::raw::{Reader, Section, in_file_order};
use super::scheduler;
use super::searcher;
use super::shape::{Within, Words};
use super::simulate;
use super::slurm;
use super::space;
use super::text::write_duration;
use super::trial::{self, Trial};
use super::warm::Past;

/// So many trials that fail before any has reported end a sweep: what is wrong with all of them is not the hyperparameters.
const SETUP_FAILURES: u32 = 5;
use crate::launch::slurm::Setup;
use crate::simulate::Conditions;

/// A sweep file without faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// What decides: frozen in the journal.
    pub spec: SweepSpec,
    /// What workers do, with absolute paths.
    pub job: Job,
    /// Who proposes, with what the file knows beforehand.
    pub searcher: SearcherSpec,
    /// Run folders of earlier sweeps (`[searcher] warm_start`), which [`super::warm`] reads once.
    pub warm_start: Vec<PathBuf>,
    /// What was read there, once it was.
    pub past: Option<Past>,
    /// Where trials run.
    pub workers: Workers,
    /// What a slot-hour costs.
    pub report: Report,
    /// What the world of `hpo simulate` is like.
    pub simulate: Conditions,
    /// `[slurm]`, if the file has it.
    pub slurm: Option<Setup>,
    /// The file as it was read: nothing of the environment is in it.
    pub text: String,
    /// Where it was read from.
    pub source: PathBuf,
    /// The folder that relative paths start at, absolute.
    pub base: PathBuf,
    /// Where the file gives `base`, if it does.
    base_at: Option<Range<usize>>,
}

/// `[workers]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Processes that `hpo run` starts; None: one a GPU, else one a core.
    pub local: Option<usize>,
    /// A worker that is silent for so long is lost.
    pub lease: Millis,
    /// A worker says something at least this often; at most half of `lease`.
    pub heartbeat: Millis,
}

/// `[report]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// What a slot-hour costs.
    pub price_per_gpu_hour: Option<f64>,
    /// Grams of CO2 a kWh.
    pub co2_grams_per_kwh: Option<f64>,
}

impl Checked {
    /// The text for the run folder: the file as it was, and where its relative paths start, so that it means the same
    /// from there. Values of the environment stay out of it.
    #[must_use]
    pub fn frozen(&self) -> String {
        let base = toml::Value::String(self.base.to_string_lossy().into_owned());
        match &self.base_at {
            Some(at) => format!("{}{base}{}", &self.text[..at.start], &self.text[at.end..]),
            None => format!("base = {base} # put in by `hpo run`: relative paths start here\n{}", self.text.trim_start_matches('\u{feff}')),
        }
    }

    /// Another seed than the file's (`--seed`).
    #[must_use]
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.spec.seed = seed;
        self.job.seed = seed;
        self
    }
}

/// Reads a whole file. None if there were faults.
pub(super) fn read(file: &Section<'_>, text: &str, source: &Path, reader: &mut Reader<'_>) -> Option<Checked> {
    let base_at = read_base(file, reader);
    let scheduler_section = file.table(&SCHEDULER, reader);
    let scheduler = scheduler_section.as_ref().and_then(|section| scheduler::read(section, reader));
    let faults_before = reader.faults.len();
    let sweep = file.table(&SWEEP, reader);
    // A misspelt budget is no missing one, and some schedulers bring an end of their own.
    let needs_end = reader.faults.len() == faults_before && !scheduler_section.is_some_and(|section| scheduler::in_passes(&section));
    let one_pass = scheduler.as_ref().and_then(SchedulerSpec::one_pass);
    let sweep = sweep.map(|section| Head::read(&section, needs_end, one_pass, reader));
    let space = space::read(file, reader);
    if let (Some(fault), Some((span, _))) = (space.as_ref().and_then(limits::fault_of), file.entries(SPACE.name(), reader)) {
        reader.faults.push((span, fault));
    }
    let searcher = searcher::read(file, space.as_ref(), reader);
    let max_resource = scheduler.as_ref().map(|scheduler| scheduler.ladder().resource(scheduler.ladder().top()));
    let trial_section = file.table(&TRIAL, reader);
    let metric = sweep.as_ref().and_then(|head| head.metric.as_ref()).map(|metric| metric.get_ref().as_str());
    let trial = trial_section.as_ref().and_then(|section| trial::read(section, space.as_ref(), max_resource, metric, reader));
    let workers = read_workers(file, reader);
    let report = read_report(file, reader);
    let simulate = simulate::read(file, workers.as_ref(), reader);
    let slurm = slurm::read(file, trial.as_ref().map(|trial| trial.grace), reader);
    if let Some(section) = &trial_section {
        if section.is_kind("burn") {
            sweep.iter().for_each(|head| head.check_burn(reader));
        } else if section.is_kind("command") {
            note_reserved(file, space.as_ref(), reader);
        }
    }
    let (head, Trial { trainable, patience, stall, grace }, said) = (sweep?, trial?, searcher?);
    let (seed, metric, goal) = (head.seed?, head.metric?.into_inner(), head.goal?.into_inner());
    Some(Checked {
        job: Job { trainable, metric: metric.clone(), goal, stall_ms: stall, grace_ms: grace, seed },
        spec: SweepSpec { name: head.name?, seed, metric, goal, space: space?, scheduler: scheduler?, budget: head.budget, patience },
        searcher: said.spec,
        warm_start: said.warm_start,
        past: None,
        workers: workers?,
        report: report?,
        simulate: simulate?,
        slurm: slurm?,
        text: text.to_owned(),
        source: source.to_owned(),
        base: reader.base.clone(),
        base_at,
    })
}

/// Takes the place of the file's folder from `base`, if the file gives it.
fn read_base(file: &Section<'_>, reader: &mut Reader<'_>) -> Option<Range<usize>> {
    let base = file.get(&BASE, reader)?;
    let (span, path) = (base.span(), base.into_inner());
    if !path.is_dir() {
        return reader.fault(span, Message::NoSuchPath { what: "folder", path });
    }
    reader.base = path;
    Some(span)
}

/// What `[sweep]` says; None for what has a fault.
struct Head {
    name: Option<String>,
    seed: Option<Seed>,
    metric: Option<Spanned<String>>,
    goal: Option<Spanned<Goal>>,
    budget: Budget,
    target: Option<Spanned<f64>>,
}

impl Head {
    /// A sweep to which nobody gives an end is over after `one_pass`, if its scheduler has such a measure.
    fn read(section: &Section<'_>, needs_end: bool, one_pass: Option<u32>, reader: &mut Reader<'_>) -> Self {
        let name = section.get(&sweep::NAME, reader).and_then(|name| check_name(name, reader));
        let seed = section.plain(&sweep::SEED, reader).map(Seed);
        let metric = section.get(&sweep::METRIC, reader).and_then(|metric| match metric.get_ref().trim().is_empty() {
            true => reader.fault(metric.span(), Message::NoMetric),
            false => Some(metric),
        });
        if let Some((fault, metric)) = metric.as_ref().and_then(|metric| Some((limits::long_name(metric.get_ref())?, metric))) {
            reader.faults.push((metric.span(), fault));
        }
        let mut goal = section.get(&sweep::GOAL, reader);
        if let (Some(goal), Some(metric), false) = (&mut goal, &metric, section.has(sweep::GOAL.name)) {
            // What is wrong with a goal that is not given is the metric.
            *goal = Spanned::new(metric.span(), *goal.get_ref());
        }
        let target = section.get(&sweep::TARGET, reader);
        let ends = [sweep::MAX_TRIALS.name, sweep::GPU_HOURS.name, sweep::WALL.name, sweep::TARGET.name];
        // What something else ends goes on after one pass, too.
        let endless = !reader.ends && !ends.iter().any(|end| section.has(end));
        if needs_end && endless {
            reader.faults.push((section.span.clone(), Message::NoEnd));
        }
        let budget = Budget {
            max_trials: section.plain(&sweep::MAX_TRIALS, reader).map(|Within(most)| most).or(one_pass.filter(|_| endless)),
            reserved: section.plain(&sweep::GPU_HOURS, reader).map(|hours| (hours.0 * 3_600_000.0).ceil() as Millis),
            wall: section.plain(&sweep::WALL, reader).map(|wall| wall.0),
            target: target.as_ref().map(|target| *target.get_ref()),
            setup_failures: Some(SETUP_FAILURES),
        };
        Self { name, seed, metric, goal, budget, target }
    }

    /// What can be said about the metrics of the built-in trainer.
    fn check_burn(&self, reader: &mut Reader<'_>) {
        let Some(metric) = &self.metric else { return };
        let name = metric.get_ref();
        let Some((_, better)) = BURN_METRICS.iter().find(|(known, _)| known == name) else {
            let known = BURN_METRICS.map(|(name, _)| name).to_vec();
            reader.faults.push((metric.span(), Message::UnknownMetric { metric: name.clone(), known }));
            return;
        };
        if let Some(goal) = &self.goal
            && goal.get_ref() != better
        {
            let metric = name.clone();
            reader.faults.push((goal.span(), Message::WrongGoal { metric, goal: goal.get_ref().word(), opposite: better.word() }));
        }
        if let Some(target) = &self.target {
            let (metric, target, span) = (name.clone(), *target.get_ref(), target.span());
            if target <= 0.0 || *better == Goal::Maximize && target > 1.0 {
                reader.faults.push((span, Message::NoTarget { metric, target }));
            }
        }
    }
}

/// The name is that of a folder, and stands in commands and reports.
fn check_name(name: Spanned<String>, reader: &mut Reader<'_>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let text = name.get_ref();
    if text.len() <= 100 && text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(plain) {
        Some(name.into_inner())
    } else {
        reader.fault(name.span(), Message::SweepName { name: name.get_ref().clone() })
    }
}

fn read_workers(file: &Section<'_>, reader: &mut Reader<'_>) -> Option<Workers> {
    let section = file.table_or_empty(&WORKERS, reader)?;
    let local = section.plain(&workers::LOCAL, reader).map(|local| local.0 as usize);
    let heartbeat = section.get(&workers::HEARTBEAT, reader);
    let lease = section.plain(&workers::LEASE, reader)?.0;
    if let Some(heartbeat) = &heartbeat
        && heartbeat.get_ref().0 > lease / 2
    {
        let (heartbeat, span) = (write_duration(heartbeat.get_ref().0), heartbeat.span());
        return reader.fault(span, Message::Heartbeat { heartbeat, lease: write_duration(lease) });
    }
    Some(Workers { local, lease, heartbeat: heartbeat.map_or((lease / 6).max(1), |heartbeat| heartbeat.get_ref().0) })
}

fn read_report(file: &Section<'_>, reader: &mut Reader<'_>) -> Option<Report> {
    let section = file.table_or_empty(&REPORT, reader)?;
    let price_per_gpu_hour = section.plain(&report::PRICE, reader).map(|price| price.0);
    let co2_grams_per_kwh = section.plain(&report::CO2, reader).map(|grams| grams.0);
    Some(Report { price_per_gpu_hour, co2_grams_per_kwh })
}

/// In a command, some names are hpo's own.
fn note_reserved(file: &Section<'_>, space: Option<&Space>, reader: &mut Reader<'_>) {
    let Some((span, entries)) = file.entries(SPACE.name(), reader) else { return };
    let columns = space.filter(|space| space.pool().is_some()).into_iter().flat_map(Space::names).map(|name| (name, span.clone()));
    let names = in_file_order(entries).into_iter().map(|(name, span, _)| (name, span));
    for (name, span) in names.chain(columns).filter(|(name, _)| trial::FILLED_IN.contains(name)) {
        reader.faults.push((span, Message::ReservedName { name: name.to_owned() }));
    }
}
