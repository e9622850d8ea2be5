//! What a sweep found and what each slot-hour bought: a read model of the journal. It only reads, so it can be run at
//! any time, on a sweep that lives, that ended, or that crashed.
mod card;
mod chart;
mod csv;
mod facts;
mod figures;
mod history;
mod html;
mod json;
mod markdown;
mod rows;
mod status;
mod table;
mod thinking;
mod why;
pub(crate) mod words;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hpo_core::sweep::view::SweepState;
use hpo_core::{Stamp, Sweep, SweepView};
use serde::Serialize;

pub use card::ModelCard;
pub use figures::{Baseline, Figures};
pub use history::{History, Point};
pub use json::Line;
pub use status::StatusLine;
pub use thinking::{Suggestions, Thinking};
pub use why::{MomentLine, Why, WhyFault, WhyLine};
pub use words::moment;

use crate::config::warm::{Past, Source};
use crate::journal::{Header, JournalFault};
use crate::rundir::{RunDir, make_private_folder};
use rows::Row;
use words::Unit;

/// What a report needs that is not in the journal.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `[report] price_per_gpu_hour`: what an hour of a slot costs.
    pub price: Option<f64>,
    /// The driver, if one is alive: then reserved time counts up to now, else up to the last event.
    pub driver: Option<LiveDriver>,
}

/// A driver that is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveDriver {
    /// Now, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// Where it listens.
    pub addresses: Vec<String>,
}

/// Where a sweep stands, in the word that scripts see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is over.
    Finished,
    /// A driver is at it.
    Running,
    /// No driver is at it, and it can be resumed.
    Stopped,
}

/// One sweep with everything that is to be said about it.
#[derive(Debug)]
pub struct Report {
    header: Header,
    sweep: Sweep,
    history: History,
    view: SweepView,
    figures: Figures,
    rows: Vec<Row>,
    card: Option<ModelCard>,
    driver: Option<LiveDriver>,
    /// What was taken from earlier runs.
    past: Vec<Source>,
    /// Its workers are jobs of Slurm.
    on_slurm: bool,
}

/// The files that were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `report.md`.
    pub md: PathBuf,
    /// `report.html`, self-contained.
    pub html: PathBuf,
    /// `trials.csv`.
    pub csv: PathBuf,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportFault {
    /// The journal is absent or damaged.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The disk does not take the report.
    #[error("cannot write the report file `{}`; the sweep is not harmed: free some space or fix the rights, then `hpo report`", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Report {
    /// Reads a run folder: its journal, and the cards of its exported models.
    ///
    /// # Errors
    /// If the journal cannot be read. A torn last line is no fault, nor is a card that cannot be read.
    pub fn read(run: &RunDir, inputs: &Inputs) -> Result<Self, ReportFault> {
        let (history, replayed) = History::read(&run.journal())?;
        let cards = ModelCard::read_all(&run.models(), &replayed.header.sweep);
        // A report must not fail because of what it can do without.
        let past = Past::of_run(run).map(|past| past.runs).unwrap_or_default();
        let on_slurm = run.slurm_notes().exists();
        Ok(Self { past, on_slurm, ..Self::new(replayed.header, replayed.sweep, history, cards, inputs) })
    }

    /// The report of a sweep in memory, whose events `history` has seen.
    #[must_use]
    pub fn new(header: Header, sweep: Sweep, history: History, cards: Vec<ModelCard>, inputs: &Inputs) -> Self {
        let now = inputs.driver.as_ref().map(|driver| Stamp(driver.unix_ms.saturating_sub(header.created_unix_ms)));
        let view = now.map_or_else(|| sweep.view(), |now| sweep.view_at(now));
        let figures = Figures::of(&history, &sweep, &view, inputs.price);
        let rows = rows::of(&sweep);
        let card = view.best.as_ref().and_then(|best| ModelCard::choose(cards, best.trial));
        Self { header, sweep, history, view, figures, rows, card, driver: inputs.driver.clone(), past: vec![], on_slurm: false }
    }

    /// Where the sweep stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.view.state, &self.driver) {
            (SweepState::Finished(_), _) => Standing::Finished,
            (_, Some(_)) => Standing::Running,
            (_, None) => Standing::Stopped,
        }
    }

    /// Whether it found a model that can be used: some trial has a finite metric.
    #[must_use]
    pub fn has_result(&self) -> bool {
        self.view.best.is_some()
    }

    /// The sweep at a glance.
    #[must_use]
    pub fn view(&self) -> &SweepView {
        &self.view
    }

    /// What the slot time bought.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Writes `report.md`, `report.html` and `trials.csv`, each whole or not at all.
    ///
    /// # Errors
    /// If the disk does not take them.
    pub fn write(&self, run: &RunDir) -> Result<Written, ReportFault> {
        let folder = run.report();
        make_private_folder(&folder).map_err(|source| ReportFault::Write { path: folder.clone(), source })?;
        let put = |name: &str, bytes: io::Result<Vec<u8>>| {
            let path = folder.join(name);
            match bytes.and_then(|bytes| publish(&path, &bytes)) {
                Ok(()) => Ok(path),
                Err(source) => Err(ReportFault::Write { path, source }),
            }
        };
        Ok(Written {
            md: put("report.md", Ok(markdown::page(self).into_bytes()))?,
            html: put("report.html", Ok(html::page(self).into_bytes()))?,
            csv: put("trials.csv", csv::trials(self))?,
        })
    }

    fn unit(&self) -> Unit {
        Unit { gpus: self.view.gpus }
    }

    fn metric_name(&self) -> &str {
        &self.sweep.spec().metric
    }

    /// Milliseconds from the sweep's creation to its end, or to the moment that this report shows.
    fn elapsed_ms(&self) -> u64 {
        self.history.finished.unwrap_or(self.view.at).since(Stamp(0))
    }
}

/// Writes a file that readers see whole or not at all, readable by its owner alone.
fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|fault| fault.error)?;
    Ok(())
}

#[cfg(test)]
mod tests;
