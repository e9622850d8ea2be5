//! A trial's state in one file:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `HPOSTATE` |
//! | 4 | version, little-endian |
//! | 4 | length of the header, little-endian |
//! | | [`StateHeader`] as JSON |
//! | | parameters, optimizer state, and parameters of the best epoch if that is an earlier one: three burnpack files |
//! | 32 | BLAKE3 of all before |
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Bytes, Device};
use hpo_core::{Goal, Metrics, Resource, Seed};
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use crate::data::DataCard;
use crate::models::{Network, NetworkSpec};

const MAGIC: &[u8; 8] = b"HPOSTATE";
const VERSION: u32 = 1;
const HASH_BYTES: usize = 32;

/// What a state file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateHeader {
    /// What wrote it.
    pub code_version: String,
    /// The network.
    pub network: NetworkSpec,
    /// How it is trained. The learning rate follows from this and the epoch.
    pub recipe: Recipe,
    /// Seed of the trial: data order and dropout follow from it and the epoch.
    pub seed: Seed,
    /// What it is trained on.
    pub data: DataCard,
    /// By what the best epoch is chosen.
    pub metric: String,
    /// Whether that is to be small or large.
    pub goal: Goal,
    /// Epochs behind it, and their last report.
    pub now: Moment,
    /// The epoch with the best metric, the earliest of equals. Its parameters are what is exported.
    pub best: Moment,
    sections: Sections,
}

/// A report and when it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// After so many epochs.
    pub epoch: Resource,
    /// The report.
    pub metrics: Metrics,
}

/// Lengths in bytes, in the order of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sections {
    network: u64,
    optimizer: u64,
    /// 0 if the best epoch is the last one.
    best: u64,
}

/// Why a state could not be written or restored.
#[derive(Debug, thiserror::Error)]
pub enum StateFault {
    /// Writing failed.
    #[error("cannot write the state {path}: is the disk full or read-only?")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Reading failed.
    #[error("cannot read the state {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another kind of file.
    #[error("{path} is not the state of a burn trial")]
    NotState {
        /// Which file.
        path: PathBuf,
    },
    /// From another version of hpo.
    #[error("{path} was written by hpo {writer} as a state of version {found}; this hpo reads version {VERSION}: use that one")]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version of the hpo that wrote it, as far as it can be told.
        writer: String,
    },
    /// Cut short or altered.
    #[error("the state {path} is damaged (its checksum is wrong): an earlier checkpoint must be used")]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// The checksum is right, but the header is none.
    #[error("the header of the state {path} makes no sense")]
    Header {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// burn cannot write or read the parameters or the optimizer's state.
    #[error("the tensors of the state {path} do not fit its network")]
    Tensors {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// The checksum is right, but the header describes no network, or one that is larger than its parameters.
    #[error("the state {path} holds {found} bytes of parameters, which its network cannot have come from")]
    Network {
        /// Which file.
        path: PathBuf,
        /// How many bytes there are.
        found: usize,
    },
    /// The state of something else.
    #[error("the state {path} has another {what} than this trial: it belongs to another trial or its data has changed")]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
}

/// Everything that training continues from, between two epochs.
pub(super) struct State {
    pub(super) now: Moment,
    /// Without gradients, and sharing nothing with a network in training.
    pub(super) network: Network,
    pub(super) optimizer: ModuleOptimizer,
    pub(super) best: Best,
}

/// The best epoch so far.
#[derive(Clone)]
pub(super) struct Best {
    pub(super) moment: Moment,
    /// `None` if it is the current one.
    pub(super) network: Option<Network>,
}

/// What does not change while a trial trains.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    pub(super) network: NetworkSpec,
    pub(super) recipe: Recipe,
    pub(super) seed: Seed,
    pub(super) data: DataCard,
    pub(super) metric: String,
    pub(super) goal: Goal,
}

/// Writes the state under a temporary name, flushes it to the disk, and renames it to `path`.
pub(super) fn save(path: &Path, identity: &Identity, state: &State) -> Result<(), StateFault> {
    let tensors_fault = |source| StateFault::Tensors { path: path.to_owned(), source };
    let network = state.network.clone().into_record().into_bytes().map_err(tensors_fault)?;
    let optimizer = state.optimizer.into_bytes().map_err(tensors_fault)?;
    let best = state.best.network.clone().map(|network| network.into_record().into_bytes()).transpose().map_err(tensors_fault)?;
    let best: &[u8] = best.as_deref().unwrap_or_default();
    let header = StateHeader {
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        network: identity.network,
        recipe: identity.recipe,
        seed: identity.seed,
        data: identity.data.clone(),
        metric: identity.metric.clone(),
        goal: identity.goal,
        now: state.now.clone(),
        best: state.best.moment.clone(),
        sections: Sections { network: network.len() as u64, optimizer: optimizer.len() as u64, best: best.len() as u64 },
    };
    let header = serde_json::to_vec(&header).map_err(|source| StateFault::Header { path: path.to_owned(), source })?;
    let parts: [&[u8]; 7] = [MAGIC, &VERSION.to_le_bytes(), &(header.len() as u32).to_le_bytes(), &header, &network, &optimizer, best];
    write(path, &parts).map_err(|source| StateFault::Write { path: path.to_owned(), source })
}

fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".state-").tempfile_in(folder)?;
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
        file.write_all(part)?;
    }
    file.write_all(hasher.finalize().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|fault| fault.error)
}

/// A state file, checked, not yet on a device.
struct Stored {
    path: PathBuf,
    header: StateHeader,
    network: Vec<u8>,
    optimizer: Vec<u8>,
    best: Vec<u8>,
}

fn read(path: &Path) -> Result<Stored, StateFault> {
    let bytes = std::fs::read(path).map_err(|source| StateFault::Read { path: path.to_owned(), source })?;
    let damaged = || StateFault::Damaged { path: path.to_owned() };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| StateFault::NotState { path: path.to_owned() })?;
    let (version, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let found = u32::from_le_bytes(*version);
    if found != VERSION {
        return Err(StateFault::Version { path: path.to_owned(), found, writer: writer(rest) });
    }
    let (_, hash) = rest.split_last_chunk::<HASH_BYTES>().ok_or_else(damaged)?;
    if blake3::hash(&bytes[..bytes.len() - HASH_BYTES]) != *hash {
        return Err(damaged());
    }
    let (length, mut rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let mut section = |length: u64| {
        let (section, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after;
        Some(section.to_vec())
    };
    let header = section(u32::from_le_bytes(*length).into()).ok_or_else(damaged)?;
    let header: StateHeader = serde_json::from_slice(&header).map_err(|source| StateFault::Header { path: path.to_owned(), source })?;
    let Sections { network, optimizer, best } = header.sections;
    let [network, optimizer, best] = [section(network), section(optimizer), section(best)].map(|found| found.ok_or_else(damaged));
    Ok(Stored { path: path.to_owned(), header, network: network?, optimizer: optimizer?, best: best? })
}

/// Which hpo wrote the state, from what follows the version in the file: headers of other versions have this much in common.
fn writer(rest: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Writer {
        code_version: String,
    }
    let header = rest.split_first_chunk().and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?));
    let writer = header.and_then(|header| serde_json::from_slice::<Writer>(header).ok());
    writer.map_or_else(|| "of another version".to_owned(), |writer| writer.code_version)
}

impl Stored {
    fn network(&self, bytes: Vec<u8>, device: &Device) -> Result<Network, StateFault> {
        let fault = |source| StateFault::Tensors { path: self.path.clone(), source };
        // Before anything is built by what the header says: memory grows with what is there.
        let weights = self.header.network.weights().and_then(|weights| weights.checked_mul(4));
        if weights.is_none_or(|needed| needed > bytes.len() as u64) {
            return Err(StateFault::Network { path: self.path.clone(), found: bytes.len() });
        }
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(fault)?;
        // The seed does not matter: every parameter is replaced.
        let empty = self.header.network.init(device, self.header.seed);
        Ok(empty.try_load_record(record).map_err(fault)?.valid())
    }
}

/// Restores the state of the trial that `identity` describes, after `epoch` epochs.
pub(super) fn load(path: &Path, identity: &Identity, epoch: Resource, device: &Device) -> Result<State, StateFault> {
    let mut stored = read(path)?;
    let header = &stored.header;
    let same = [
        ("network", header.network == identity.network),
        ("way of training", header.recipe == identity.recipe),
        ("seed", header.seed == identity.seed),
        ("data set", header.data == identity.data),
        ("metric", (&header.metric, header.goal) == (&identity.metric, identity.goal)),
        ("number of epochs", header.now.epoch == epoch),
    ];
    if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
        return Err(StateFault::Foreign { path: path.to_owned(), what });
    }
    let [network, optimizer, best] = [&mut stored.network, &mut stored.optimizer, &mut stored.best].map(std::mem::take);
    let network = stored.network(network, device)?;
    let optimizer = identity.recipe.optimizer().from_bytes(Bytes::from_bytes_vec(optimizer));
    let optimizer = optimizer.map_err(|source| StateFault::Tensors { path: path.to_owned(), source })?;
    let best = (!best.is_empty()).then(|| stored.network(best, device)).transpose()?;
    Ok(State { network, optimizer, best: Best { moment: stored.header.best, network: best }, now: stored.header.now })
}

/// The network of the best epoch, on the CPU and without gradients, and what the file says about it.
///
/// # Errors
/// Whatever is wrong with the file.
pub fn load_best(path: &Path) -> Result<(NetworkSpec, Network, StateHeader), StateFault> {
    let mut stored = read(path)?;
    let bytes = std::mem::take(if stored.best.is_empty() { &mut stored.network } else { &mut stored.best });
    let network = stored.network(bytes, &Device::flex())?;
    Ok((stored.header.network, network, stored.header))
}
