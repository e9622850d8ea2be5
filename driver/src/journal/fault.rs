//! What can be wrong with a journal or its disk.
use std::io;
use std::path::{Path, PathBuf};

use hpo_core::Rejection;

use super::claim::Claim;

/// Why a journal cannot be read or written. After a failed write nothing that it held was acted upon; the next driver
/// goes on from what is whole.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    /// The system refused.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The disk or a quota is full.
    #[error("cannot {doing} `{}`: no space left; free some, then go on with `hpo resume`", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A sweep has been created here before.
    #[error("`{}` exists already; `hpo resume` goes on with it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is empty or its first line is cut off.
    #[error("`{}` has no header: nothing of this sweep was recorded; remove the run folder and start anew", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// Another version wrote it.
    #[error("`{}` has format {found}, this program reads format {known}; use the version of hpo that created it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A line that is followed by others is not as it was written.
    #[error("`{}` is damaged in line {line}: {damage}; restore the file from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1; the header is line 1.
        line: u64,
        /// In which way.
        #[source]
        damage: Damage,
    },
    /// A line is whole, but the sweep would never have taken its event.
    #[error("`{}` line {line} holds an event that the sweep refuses: {why}; the file was edited, or another version wrote it", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: u64,
        /// Why it is refused.
        #[source]
        why: Rejection,
    },
    /// A higher epoch was claimed: this driver may not write any more.
    #[error("another driver ({by}) has taken over the run in `{}`; this one is fenced off and leaves everything to it", folder.display())]
    TakenOver {
        /// The run folder.
        folder: PathBuf,
        /// The driver of the last epoch.
        by: Box<Claim>,
    },
    /// The folder is not there any more, or no claim is in it, neither this driver's nor a later one.
    #[error(
        "the run folder `{}` was removed, emptied or moved while this driver worked in it; this driver ends. What was moved goes on with `hpo resume`",
        folder.display()
    )]
    Removed {
        /// The run folder.
        folder: PathBuf,
    },
    /// As [`Self::Removed`], for one who waited for the end of its driver.
    #[error(
        "the run folder `{}` was removed, emptied or moved while this driver stood by for it; it waits no longer. What was moved goes on with `hpo resume`",
        folder.display()
    )]
    Vanished {
        /// The run folder.
        folder: PathBuf,
    },
    /// The epoch was claimed between looking and claiming.
    #[error("another driver is starting on the run in `{}`; `hpo status` shows it", folder.display())]
    Raced {
        /// The run folder.
        folder: PathBuf,
    },
    /// The file is not as this driver left it.
    #[error("`{}` was changed by someone else while this driver wrote it; end the other program, then `hpo resume`", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// No checksum where one belongs.
    #[error("it does not end in a checksum")]
    NoChecksum,
    /// The checksum is another.
    #[error("its checksum is {found}, its text has {expected}")]
    Checksum {
        /// That of the text.
        expected: String,
        /// That in the line.
        found: String,
    },
    /// Longer than any line that is written.
    #[error("it is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The checksum is right, but this is no record.
    #[error("it is not a record")]
    NotARecord(#[source] serde_json::Error),
    /// Records are missing or come twice.
    #[error("record {expected} should stand here, but it is record {found}")]
    Gap {
        /// The number that was due.
        expected: u64,
        /// The number in the line.
        found: u64,
    },
    /// Stamps never decrease.
    #[error("its stamp is before that of the line above")]
    TimeReversed,
}

impl JournalFault {
    /// Wraps what the system said about `path`.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, doing, source },
            _ => Self::Io { path, doing, source },
        }
    }

    /// The line it is about, if it is about one.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Damaged { line, .. } | Self::Refused { line, .. } => Some(*line),
            Self::NoHeader { .. } | Self::Format { .. } => Some(1),
            _ => None,
        }
    }

    /// Whether another driver has the run now, so that this one must leave everything as it is.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::TakenOver { .. } | Self::Raced { .. } | Self::Foreign { .. })
    }

    /// Whether this driver has no run folder any more.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Removed { .. })
    }
}
