//! One line of the journal.
use hpo_core::{Action, Event, Seed, Stamp, SweepSpec};
use serde::{Deserialize, Serialize};

/// The first line: what the events that follow are about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format; see `FORMAT.md`.
    pub format: u32,
    /// The sweep's own id: 128 random bits, 32 hexadecimal digits. Stands in every handshake.
    pub sweep: String,
    /// When the sweep was created: milliseconds since 1970-01-01 UTC. Stamps count from here.
    pub created_unix_ms: u64,
    /// The version of the program that created it.
    pub version: String,
    /// The frozen specification, all that decisions depend on.
    pub spec: SweepSpec,
    /// Name of the searcher (`[searcher] kind`); its options are in the frozen `sweep.toml`, its proposals in the events.
    pub searcher: String,
    /// BLAKE3 of the frozen `sweep.toml`, 64 hexadecimal digits: what workers do stands there and not in `spec`.
    pub sweep_toml: String,
    /// The sweep's seed again, for people who read the file.
    pub seed: Seed,
}

/// Every other line: one event, and what was decided on it. Read by `parse.rs`, which tests compare with what `derive` reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Record {
    /// Position, from 1, without gaps.
    pub seq: u64,
    /// When it was applied.
    pub at: Stamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// What the sweep decided: each action in its `Display` form. `hpo verify` derives them again and compares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<String>,
}

/// What a record keeps of the actions that its event caused.
#[must_use]
pub fn decisions(actions: &[Action]) -> Vec<String> {
    actions.iter().filter(|action| action.is_decision()).map(Action::to_string).collect()
}

impl Record {
    /// Reads the text of a line. Whether its checksum is right is another question.
    ///
    /// # Errors
    /// If it is no record.
    pub fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        super::parse::record(line)
    }
}
