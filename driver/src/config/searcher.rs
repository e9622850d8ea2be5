//! `[searcher]`.
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use hpo_core::{Space, Value};
use hpo_searchers::{
    Belief, BohbOptions, Confidence, EnsembleOptions, EvolutionOptions, GpOptions, Grid, GridOptions, Hints, PartialFault, Prior, Relation,
    SearcherSpec, TpeOptions, complete,
};
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::DeValue;

use super::keys::{SEARCHER, searcher};
use super::message::Message;
use super::raw::{Reader, Section};
use super::schema;
use super::shape::{Shape, Words};

/// More are a pool, and each is looked for in the whole of one.
pub(super) const MOST_SEED_TRIALS: usize = 1000;

impl Words for Confidence {
    const WHAT: &'static str = "confidence";
    const ALL: &'static [(&'static str, Option<Self>)] =
        &[("low", Some(Self::Low)), ("medium", Some(Self::Medium)), ("high", Some(Self::High))];
}

/// A searcher of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Random,
    Sobol,
    Tpe,
    Bohb,
    Gp,
    GpMf,
    Evolution,
}

impl Words for Member {
    const WHAT: &'static str = "member of an ensemble";
    const ALL: &'static [(&'static str, Option<Self>)] = &[
        ("random", Some(Self::Random)),
        ("sobol", Some(Self::Sobol)),
        ("tpe", Some(Self::Tpe)),
        ("bohb", Some(Self::Bohb)),
        ("gp", Some(Self::Gp)),
        ("gp-mf", Some(Self::GpMf)),
        ("evolution", Some(Self::Evolution)),
    ];
}

impl Member {
    fn spec(self) -> SearcherSpec {
        match self {
            Self::Random => SearcherSpec::Random,
            Self::Sobol => SearcherSpec::Sobol,
            Self::Tpe => SearcherSpec::Tpe(TpeOptions::default()),
            Self::Bohb => SearcherSpec::Bohb(BohbOptions::default()),
            Self::Gp => SearcherSpec::Gp(GpOptions::default()),
            Self::GpMf => SearcherSpec::GpMf(GpOptions::default(), Relation::default()),
            Self::Evolution => SearcherSpec::Evolution(EvolutionOptions::default()),
        }
    }
}

/// Values of a point, each with its place in the file.
pub(super) type Point = BTreeMap<String, Spanned<Value>>;

/// One belief, and where its value stands.
pub(super) struct BeliefEntry {
    value: Spanned<Value>,
    confidence: Confidence,
}

impl Shape for BeliefEntry {
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(values) = value.get_ref() else {
            return reader.wrong_type(value, "a table, as in { value = 1e-3, confidence = \"medium\" }");
        };
        let section = Section::open(values, value.span(), searcher::BELIEF.title(), &searcher::BELIEF, reader)?;
        let (value, confidence) = (section.plain(&searcher::VALUE, reader), section.plain(&searcher::CONFIDENCE, reader));
        Some(Self { value: value?, confidence: confidence? })
    }
    fn schema() -> Json {
        schema::table(&searcher::BELIEF)
    }
}

/// What `[searcher]` says.
pub(super) struct Said {
    /// Who proposes, with what the file knows beforehand.
    pub(super) spec: SearcherSpec,
    /// `warm_start`: the runs, whose journals are read when a sweep begins and never again.
    pub(super) warm_start: Vec<PathBuf>,
}

/// The searcher of a file; without a section it is `random`. None, if what it says is wrong.
pub(super) fn read(file: &Section<'_>, space: Option<&Space>, reader: &mut Reader<'_>) -> Option<Said> {
    if !file.has(SEARCHER.name) {
        return Some(Said { spec: SearcherSpec::Random, warm_start: vec![] });
    }
    let section = file.table(&SEARCHER, reader)?;
    let hints = hints(&section, space, reader);
    let runs = section.get(&searcher::WARM_START, reader).map(Spanned::into_inner).unwrap_or_default();
    let method = method(&section, space, reader)?;
    Some(Said { spec: method.with_hints(hints?), warm_start: runs.into_iter().map(Spanned::into_inner).collect() })
}

fn method(section: &Section<'_>, space: Option<&Space>, reader: &mut Reader<'_>) -> Option<SearcherSpec> {
    Some(match () {
        () if section.is_kind("sobol") => SearcherSpec::Sobol,
        () if section.is_kind("grid") => SearcherSpec::Grid(grid(section, space, reader)?),
        () if section.is_kind("tpe") => SearcherSpec::Tpe(model(section, reader)?),
        () if section.is_kind("bohb") => {
            let (model, random_share) = (model(section, reader), section.plain(&searcher::RANDOM_SHARE, reader));
            SearcherSpec::Bohb(BohbOptions { model: model?, random_share: random_share?.0 })
        }
        () if section.is_kind("gp") => SearcherSpec::Gp(process(section, reader)?),
        () if section.is_kind("gp-mf") => {
            let (options, relation) = (process(section, reader), section.plain(&searcher::RELATION, reader));
            SearcherSpec::GpMf(options?, relation?)
        }
        () if section.is_kind("evolution") => {
            let (population, sample) = (section.plain(&searcher::POPULATION, reader), section.plain(&searcher::SAMPLE, reader));
            SearcherSpec::Evolution(EvolutionOptions { population: population?.0, sample: sample?.0 })
        }
        () if section.is_kind("ensemble") => {
            let members = section.get(&searcher::MEMBERS, reader)?;
            if members.get_ref().is_empty() {
                return reader.fault(members.span(), Message::NoMembers);
            }
            let members = members.into_inner().into_iter().map(|member| member.into_inner().spec()).collect();
            SearcherSpec::Ensemble(EnsembleOptions { members })
        }
        () => SearcherSpec::Random,
    })
}

fn process(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<GpOptions> {
    let startup = section.plain(&searcher::GP_STARTUP, reader);
    let acquisition = section.plain(&searcher::ACQUISITION, reader);
    let warp = section.plain(&searcher::TRANSFORM, reader);
    Some(GpOptions { startup: startup?.0, acquisition: acquisition?, warp: warp? })
}

fn model(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<TpeOptions> {
    let gamma = section.plain(&searcher::GAMMA, reader);
    let candidates = section.plain(&searcher::CANDIDATES, reader);
    let startup = section.plain(&searcher::STARTUP, reader);
    Some(TpeOptions { gamma: gamma?.0, candidates: candidates?.0, startup: startup?.0 })
}

/// Options of which a grid can be made. Of a space with faults of its own nothing is said.
fn grid(section: &Section<'_>, space: Option<&Space>, reader: &mut Reader<'_>) -> Option<GridOptions> {
    let points = section.get(&searcher::POINTS, reader)?;
    let span = if section.has(searcher::POINTS.name) { points.span() } else { section.span.clone() };
    let options = GridOptions { points: points.into_inner().into_iter().map(|(name, count)| (name, count.0)).collect() };
    match Grid::new(space?, &options) {
        Ok(_) => Some(options),
        Err(fault) => reader.fault(span, Message::Grid(fault)),
    }
}

/// What the file knows beforehand; None if some of it is wrong, and for a space with faults of its own.
fn hints(section: &Section<'_>, space: Option<&Space>, reader: &mut Reader<'_>) -> Option<Hints> {
    let points = if section.has(searcher::SEED_TRIALS.name) { section.get(&searcher::SEED_TRIALS, reader)?.into_inner() } else { vec![] };
    let prior = if section.has(searcher::PRIOR.name) { section.get(&searcher::PRIOR, reader)?.into_inner() } else { BTreeMap::new() };
    let space = space?;
    if let Some(extra) = points.get(MOST_SEED_TRIALS) {
        let wanted = format!("at most {MOST_SEED_TRIALS} seed trials");
        return reader.fault(extra.span(), Message::OutOfRange { wanted, found: points.len().to_string() });
    }
    let faults = reader.faults.len();
    let seed_trials = points.into_iter().map(|point| seed_trial(point, space, reader)).collect();
    let prior = read_prior(prior, space, reader);
    (reader.faults.len() == faults).then(|| Hints { seed_trials, prior, past: vec![] })
}

fn seed_trial(point: Spanned<Point>, space: &Space, reader: &mut Reader<'_>) -> BTreeMap<String, Value> {
    let whole = point.span();
    let places: BTreeMap<String, Range<usize>> = point.get_ref().iter().map(|(name, value)| (name.clone(), value.span())).collect();
    let values = point.into_inner().into_iter().map(|(name, value)| (name, value.into_inner())).collect();
    if let Err(fault) = complete(space, &values, |_| 0.5) {
        let at = match &fault {
            PartialFault::NoParameter { name } | PartialFault::Outside { name, .. } | PartialFault::Inactive { name, .. } => {
                places.get(name).cloned()
            }
            PartialFault::NoRow => None,
        };
        reader.faults.push((at.unwrap_or(whole), Message::Point { fault, known: names(space) }));
    }
    values
}

fn read_prior(entries: BTreeMap<String, Spanned<BeliefEntry>>, space: &Space, reader: &mut Reader<'_>) -> Prior {
    let mut prior = Prior::new();
    for (name, entry) in entries {
        let whole = entry.span();
        let BeliefEntry { value, confidence } = entry.into_inner();
        let at = value.span();
        match space.parameters().iter().find(|parameter| parameter.name == name) {
            None => reader.faults.push((whole, Message::Point { fault: PartialFault::NoParameter { name }, known: names(space) })),
            Some(parameter) if !parameter.domain.contains(value.get_ref()) => {
                let fault = PartialFault::Outside { name, value: value.into_inner() };
                reader.faults.push((at, Message::Point { fault, known: vec![] }));
            }
            Some(_) => drop(prior.insert(name, Belief { value: value.into_inner(), confidence })),
        }
    }
    prior
}

fn names(space: &Space) -> Vec<String> {
    space.names().map(str::to_owned).collect()
}
