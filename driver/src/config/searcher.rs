//! `[searcher]`.
use hpo_core::Space;
use hpo_searchers::{BohbOptions, GpOptions, Grid, GridOptions, SearcherSpec, TpeOptions};

use super::keys::{SEARCHER, searcher};
use super::message::Message;
use super::raw::{Reader, Section};

/// The searcher of a file; without a section it is `random`. None, if what it says is wrong.
pub(super) fn read(file: &Section<'_>, space: Option<&Space>, reader: &mut Reader<'_>) -> Option<SearcherSpec> {
    if !file.has(SEARCHER.name) {
        return Some(SearcherSpec::Random);
    }
    let section = file.table(&SEARCHER, reader)?;
    Some(match () {
        () if section.is_kind("sobol") => SearcherSpec::Sobol,
        () if section.is_kind("grid") => SearcherSpec::Grid(grid(&section, space, reader)?),
        () if section.is_kind("tpe") => SearcherSpec::Tpe(model(&section, reader)?),
        () if section.is_kind("bohb") => {
            let (model, random_share) = (model(&section, reader), section.plain(&searcher::RANDOM_SHARE, reader));
            SearcherSpec::Bohb(BohbOptions { model: model?, random_share: random_share?.0 })
        }
        () if section.is_kind("gp") => SearcherSpec::Gp(process(&section, reader)?),
        () if section.is_kind("gp-mf") => {
            let (options, relation) = (process(&section, reader), section.plain(&searcher::RELATION, reader));
            SearcherSpec::GpMf(options?, relation?)
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
