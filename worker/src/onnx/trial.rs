//! One trial's best weights become a model file with a card, if the model says what the network says.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use hpo_core::job::{BurnJob, Data, Job, Trainable};
use hpo_core::{Attempt, Params, TrialId};
use prost::Message;

use super::card::{self, Card, CardData, Figures, Format, Origin, SplitSizes};
use super::check::Interface;
use super::export::{TraceFault, label, trace};
use super::file::{Draft, FileFault, read, remove};
use super::inspect::{ModelFault, decode};
use super::logits::{Logits, Score};
use super::runtime::{RuntimeFault, Session, SessionFault};
use super::verify::{Parity, ParityFault, parity, run};
use super::{INPUT, NORMALISATION, OUTPUT};
use crate::data::{self, DataFault, Dataset, Part};
use crate::models::Network;
use crate::trainable::burn::state::{StateFault, StateHeader, load_best};

/// Images that the model and the network are compared on, at most.
const COMPARED: usize = 1024;
/// Images that go through the network, or the model, together.
const BATCH: usize = 128;

/// What to export, and what its card says besides what the state knows.
#[derive(Clone, Copy, Debug)]
pub struct ExportRequest<'a> {
    /// What the trial ran: its data is read again to compare and score on.
    pub job: &'a Job,
    /// The trial's values.
    pub params: &'a Params,
    /// The trial's checkpoint; the weights of its best epoch are exported.
    pub state: &'a Path,
    /// Where models go; made if absent.
    pub out_dir: &'a Path,
    /// Name of the sweep.
    pub sweep: &'a str,
    /// Its identity.
    pub sweep_id: &'a str,
    /// Which trial.
    pub trial: TrialId,
    /// Its execution that wrote the checkpoint.
    pub attempt: Attempt,
    /// Version of this program.
    pub code_version: &'a str,
    /// Now, in milliseconds since 1970.
    pub created_unix_ms: u64,
}

impl ExportRequest<'_> {
    /// The model is `trial-N.onnx`, its card `trial-N.card.json`; of a refused one `trial-N.native.bin` and
    /// `trial-N.native.card.json`.
    fn path(&self, rest: &str) -> PathBuf {
        self.out_dir.join(format!("trial-{}.{rest}", self.trial))
    }
}

/// An exported model.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The ONNX file.
    pub model: PathBuf,
    /// The card beside it.
    pub card_path: PathBuf,
    /// What the card says.
    pub card: Card,
}

/// No ONNX model.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// Only what hpo trains itself can be exported by it.
    #[error("trial {0} has no model of ours: hpo exports those that it trains itself, with kind = \"burn\"")]
    NotBurn(TrialId),
    /// The checkpoint cannot be used.
    #[error("the state of trial {trial} cannot be exported")]
    State {
        /// Whose state.
        trial: TrialId,
        /// What is wrong with it.
        source: StateFault,
    },
    /// There is nothing to compare on.
    #[error("the data of the sweep cannot be read, and no model is exported without a comparison on it")]
    Data(#[from] DataFault),
    /// There is other data now.
    #[error("the data (hash {found}) is not what trial {trial} learned from (hash {wanted}): put the old files back")]
    OtherData {
        /// Who learned.
        trial: TrialId,
        /// Hash of what it learned from.
        wanted: String,
        /// Hash of what is there.
        found: String,
    },
    /// The disk.
    #[error(transparent)]
    File(#[from] FileFault),
    /// The model is not what the network is. The network's own state is kept, and labelled.
    #[error("the ONNX export of trial {trial} is refused; its own state is kept as {native}")]
    Refused {
        /// Which trial.
        trial: TrialId,
        /// A copy of the checkpoint.
        native: PathBuf,
        /// The card beside it, which says why.
        card_path: PathBuf,
        /// Why.
        source: Box<Refusal>,
    },
}

/// Why an export is not a model.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The network cannot be written.
    #[error(transparent)]
    Trace(#[from] TraceFault),
    /// What was written is no sound model.
    #[error("the exported model is not sound")]
    Model(#[from] ModelFault),
    /// It has other names, or another shape, than the network.
    #[error("the exported model takes {input} and gives {output}")]
    Interface {
        /// Name and row of the input.
        input: String,
        /// Name and row of the output.
        output: String,
    },
    /// No runtime loads it.
    #[error(transparent)]
    Session(#[from] SessionFault),
    /// It is not the network.
    #[error("the exported model is not the network")]
    Parity(#[from] ParityFault),
    /// It does not run over the test split.
    #[error("the exported model cannot be scored on the test split")]
    Score(#[source] RuntimeFault),
}

/// Exports the weights of the trial's best epoch, compares the model with the network on held images, scores it on the
/// test split, and writes it with its card. No file of that name ever holds a model that was not compared.
///
/// # Errors
/// [`ExportFault::Refused`] if the model is not the network: then no ONNX file of that trial remains, and a copy of its
/// state is kept beside a card that says why. All others leave the folder as it was.
pub fn export_trial(request: &ExportRequest<'_>) -> Result<Exported, ExportFault> {
    let subject = Subject::load(request)?;
    let path = request.path("onnx");
    let vetted = match subject.encode(request) {
        Ok(bytes) => {
            let draft = Draft::write(&path, &bytes)?;
            let written = draft.read()?;
            subject.vet(&written).map(|vetted| (draft, written, vetted))
        }
        Err(refusal) => Err(refusal),
    };
    match vetted {
        Ok((draft, written, vetted)) => publish(request, &subject, draft, &written, vetted),
        Err(refusal) => Err(keep_native(request, &subject, refusal)?),
    }
}

/// A trained network, and what it is held against.
struct Subject<'a> {
    job: &'a BurnJob,
    network: Network,
    header: StateHeader,
    data: Dataset,
}

/// What was found out about a model that passed.
struct Vetted {
    interface: Interface,
    parity: Parity,
    test: Option<Score>,
}

impl<'a> Subject<'a> {
    fn load(request: &ExportRequest<'a>) -> Result<Self, ExportFault> {
        let trial = request.trial;
        let Trainable::Burn(job) = &request.job.trainable else { return Err(ExportFault::NotBurn(trial)) };
        let (_, network, header) = load_best(request.state).map_err(|source| ExportFault::State { trial, source })?;
        let data = data::load(&job.data, job.split, request.job.seed)?;
        if data.card != header.data {
            return Err(ExportFault::OtherData { trial, wanted: header.data.hash, found: data.card.hash });
        }
        Ok(Self { job, network, header, data })
    }

    /// The whole file.
    fn encode(&self, request: &ExportRequest<'_>) -> Result<Vec<u8>, Refusal> {
        let mut model = trace(&self.network, self.data.card.input)?;
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let labels = [
            ("sweep", request.sweep.to_owned()),
            ("sweep_id", request.sweep_id.to_owned()),
            ("trial", request.trial.to_string()),
            ("attempt", request.attempt.to_string()),
            ("epoch", self.header.best.epoch.to_string()),
            ("hyperparameters", json(serde_json::to_string(request.params))),
            ("data_hash", self.data.card.hash.clone()),
            (NORMALISATION, json(serde_json::to_string(&self.data.card.scaling))),
        ];
        let labels = BTreeMap::from(labels.map(|(key, value)| (key.to_owned(), value)));
        label(&mut model, request.code_version, labels);
        Ok(model.encode_to_vec())
    }

    /// Everything that is asked of a model before it may have its name.
    fn vet(&self, model: &[u8]) -> Result<Vetted, Refusal> {
        let (_, interface) = decode(model)?;
        let (input, output) = (&interface.input, &interface.output);
        let names = (input.name.as_str(), output.name.as_str());
        if names != (INPUT, OUTPUT) || input.row() != self.data.card.input || output.row() != [self.data.card.classes] {
            let words = |port: &super::check::Port| format!("`{}` {:?}", port.name, port.row());
            return Err(Refusal::Interface { input: words(input), output: words(output) });
        }
        let mut session = Session::open(model)?;
        let held = if self.data.test.len() < 2 { &self.data.validation } else { &self.data.test };
        let width = self.width();
        let rows = &held.images[..held.len().min(COMPARED) * width];
        let parity = parity(&mut session, rows, &self.logits(rows))?;
        let test = self.score(&mut session, &self.data.test)?;
        Ok(Vetted { interface, parity, test })
    }

    fn score(&self, session: &mut Session, part: &Part) -> Result<Option<Score>, Refusal> {
        if part.is_empty() {
            return Ok(None);
        }
        let labels: Vec<usize> = part.labels.iter().map(|&label| usize::try_from(label).unwrap_or(usize::MAX)).collect();
        Ok(run(session, &part.images, self.width(), BATCH).map_err(Refusal::Score)?.score(&labels))
    }

    /// What the network itself says.
    fn logits(&self, rows: &[f32]) -> Logits {
        let [channels, height, width] = self.data.card.input;
        let mut all = Logits::new(Vec::new(), self.data.card.classes);
        for batch in rows.chunks(BATCH * self.width()) {
            let data = TensorData::new(batch.to_vec(), [batch.len() / self.width(), channels, height, width]);
            let logits = self.network.forward(Tensor::<4>::from_data(data, &Device::flex())).into_data();
            all.append(Logits::new(logits.iter::<f32>().collect(), self.data.card.classes));
        }
        all
    }

    /// f32 values an image.
    fn width(&self) -> usize {
        self.data.card.input.iter().product()
    }

    fn card(&self, request: &ExportRequest<'_>, format: Format, path: &Path, bytes: &[u8]) -> Card {
        Card {
            card: card::VERSION,
            format,
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            id: blake3::hash(bytes).to_hex().to_string(),
            refused: None,
            origin: Origin {
                sweep: request.sweep.to_owned(),
                sweep_id: request.sweep_id.to_owned(),
                trial: request.trial,
                attempt: request.attempt,
                epoch: self.header.best.epoch,
            },
            hyperparameters: request.params.clone(),
            metrics: Figures { validation: self.header.best.metrics.clone(), test: None },
            parity: None,
            data: CardData {
                kind: match self.job.data {
                    Data::Idx { .. } => "idx",
                    Data::Glyphs { .. } => "glyphs",
                }
                .to_owned(),
                hash: self.data.card.hash.clone(),
                split: SplitSizes { train: self.data.train.len(), validation: self.data.validation.len(), test: self.data.test.len() },
                normalisation: self.data.card.scaling,
            },
            inputs: Vec::new(),
            outputs: Vec::new(),
            code_version: request.code_version.to_owned(),
            created: card::utc(request.created_unix_ms),
        }
    }
}

fn publish(
    request: &ExportRequest<'_>,
    subject: &Subject<'_>,
    draft: Draft,
    written: &[u8],
    vetted: Vetted,
) -> Result<Exported, ExportFault> {
    let (model, card_path) = (request.path("onnx"), request.path("card.json"));
    let mut card = subject.card(request, Format::Onnx, &model, written);
    card.metrics.test = vetted.test;
    card.parity = Some(vetted.parity);
    card.inputs = vec![vetted.interface.input];
    card.outputs = vec![vetted.interface.output];
    // the card first: no model is ever without one
    card.write(&card_path)?;
    draft.publish()?;
    remove(&request.path("native.bin"))?;
    remove(&request.path("native.card.json"))?;
    Ok(Exported { model, card_path, card })
}

/// Keeps the state beside a card that says why there is no ONNX model, and takes away one of an earlier export.
fn keep_native(request: &ExportRequest<'_>, subject: &Subject<'_>, refusal: Refusal) -> Result<ExportFault, ExportFault> {
    let (native, card_path) = (request.path("native.bin"), request.path("native.card.json"));
    let state = read(request.state)?;
    let mut card = subject.card(request, Format::Native, &native, &state);
    card.refused = Some(reasons(&refusal));
    card.write(&card_path)?;
    Draft::write(&native, &state)?.publish()?;
    remove(&request.path("onnx"))?;
    remove(&request.path("card.json"))?;
    Ok(ExportFault::Refused { trial: request.trial, native, card_path, source: Box::new(refusal) })
}

/// A fault and what is behind it, on one line.
fn reasons(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(fault), |fault| fault.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
