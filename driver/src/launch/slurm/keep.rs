//! What lies in the run folder about its jobs: `slurm.json`, by which a driver tells the next one what the queue may not show, and
//! `slurm-asked.json`, by which people tell the driver what they want, from whatever machine they are on.
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::rendezvous::{RendezvousFault, fault, write_json};
use crate::rundir::RunDir;

/// What the driver has done and found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// By whose clock the moments are ([`crate::process::machine`]): to another machine's they say nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// What Slurm accepted, in order.
    #[serde(default)]
    pub arrays: Vec<Submitted>,
    /// Tasks that were asked for, and nobody knows yet whether Slurm has accepted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<InDoubt>,
    /// Nodes on which nothing starts.
    #[serde(default)]
    pub bad_nodes: Vec<String>,
    /// Why nothing more is submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<String>,
}

/// An array that Slurm accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its number.
    pub array: u32,
    /// Its tasks.
    pub tasks: u32,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// How many of them may run at one time; none: all, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
}

/// A submission without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDoubt {
    /// Its tasks.
    pub tasks: u32,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
}

/// What people ask of the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Most workers, instead of what the sweep file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_workers: Option<u32>,
    /// Stop for now: trials save their states, workers leave.
    #[serde(default)]
    pub drain: bool,
}

impl Notes {
    /// Those of a run; none are as good as empty ones.
    ///
    /// # Errors
    /// If they are there and cannot be read.
    pub fn read(run: &RunDir) -> Result<Self, RendezvousFault> {
        read(&run.slurm_notes())
    }

    /// Keeps them, in one step.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, run: &RunDir) -> Result<(), RendezvousFault> {
        write_json(&run.slurm_notes(), self)
    }
}

impl Asked {
    /// What was asked last; nothing at first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(run: &RunDir) -> Result<Self, RendezvousFault> {
        read(&asked(run))
    }

    /// Asks, in one step.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, run: &RunDir) -> Result<(), RendezvousFault> {
        write_json(&asked(run), self)
    }
}

fn asked(run: &RunDir) -> PathBuf {
    run.path().join("slurm-asked.json")
}

fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, RendezvousFault> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|wrong| fault(path, "understand")(wrong.into())),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(other) => Err(fault(path, "read")(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_and_asked_is_read_again_and_nothing_at_first() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        assert_eq!((Notes::read(&run).unwrap(), Asked::read(&run).unwrap()), (Notes::default(), Asked::default()));
        let notes = Notes {
            machine: "m1".to_owned(),
            arrays: vec![Submitted { array: 14, tasks: 8, unix_ms: 5, most: Some(3) }],
            in_doubt: Some(InDoubt { tasks: 2, unix_ms: 9 }),
            bad_nodes: vec!["n7".to_owned()],
            gave_up: None,
        };
        notes.write(&run).unwrap();
        let asked = Asked { max_workers: Some(3), drain: true };
        asked.write(&run).unwrap();
        assert_eq!((Notes::read(&run).unwrap(), Asked::read(&run).unwrap()), (notes, asked));
        fs::write(run.slurm_notes(), "{").unwrap();
        assert!(Notes::read(&run).unwrap_err().to_string().starts_with("cannot understand"));
    }
}
