//! Why a driver ended before its sweep.
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use hpo_core::{TrialId, shell};
use hpo_searchers::BuildFault;

use crate::journal::{Claim, JournalFault};
use crate::launch::LaunchFault;
use crate::rendezvous::RendezvousFault;
use crate::rundir::NotARun;
use crate::serve::{AuthorityFault, ServeFault};

/// What ends the engine's loop. Nothing that was not written down was acted upon; `hpo resume` goes on.
#[derive(Debug, thiserror::Error)]
pub enum EngineFault {
    /// The journal cannot be written.
    #[error("the journal cannot be written")]
    Journal(#[from] JournalFault),
    /// The searcher proposed values that are not a point of the space.
    #[error("the searcher proposed values for trial {trial} that are not in the space; this is a fault of the searcher")]
    OutsideSpace {
        /// For which trial.
        trial: TrialId,
    },
    /// The searcher panicked.
    #[error("the searcher panicked; what it said is above")]
    SearcherDied,
    /// It was asked to leave the sweep to the next driver.
    #[error("asked to leave; workers train on and wait for the next driver")]
    Left,
    /// The system gives no thread.
    #[error("cannot start a thread")]
    NoThread(#[source] io::Error),
}

/// Why nobody need take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Settled {
    /// The sweep is over.
    #[error("has ended")]
    Finished,
    /// Someone asked it to stop for now.
    #[error("was asked to stop for now; `hpo resume` goes on with it")]
    Suspended,
}

/// Why a sweep could not be driven, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum DriveFault {
    /// `run` on a folder in which a sweep is.
    #[error("`{}` holds a sweep already; go on with it by `hpo resume {}`, or choose another --run-dir", run.display(), shell::path(run))]
    Exists {
        /// The folder.
        run: PathBuf,
    },
    /// The folder is in the way.
    #[error("`{}` exists and is no run folder, or not yet: another `hpo` may be making it one; choose another --run-dir", run.display())]
    InTheWay {
        /// The folder.
        run: PathBuf,
    },
    /// `resume` on something else.
    #[error(transparent)]
    NotARun(#[from] NotARun),
    /// One driver a sweep.
    #[error(
        "the sweep in `{}` has a living driver: process {} on host `{}` (epoch {}); look at it with `hpo status`, end it first, or wait for its end with `hpo driver --standby`",
        run.display(), claim.process.pid, claim.host, claim.epoch
    )]
    Driven {
        /// The folder.
        run: PathBuf,
        /// Who drives.
        claim: Box<Claim>,
    },
    /// A standby is not needed any more.
    #[error("the sweep in `{}` {how}", run.display())]
    Settled {
        /// The folder.
        run: PathBuf,
        /// In which way.
        how: Settled,
    },
    /// The frozen sweep file does not say what the journal says.
    #[error("`{}` was changed after the sweep was created; put it back as it was, or start a new sweep with it", path.display())]
    SweepChanged {
        /// The file.
        path: PathBuf,
    },
    /// There is no such searcher for the space.
    #[error("[searcher]: {0}")]
    Searcher(#[from] BuildFault),
    /// The run folder cannot be written.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Plaintext would cross a network.
    #[error(
        "plaintext is for this machine alone, and {address} is more; add --listen 127.0.0.1:0, or leave out --insecure-plaintext-on-loopback"
    )]
    PlaintextAbroad {
        /// The address.
        address: SocketAddr,
    },
    /// The run's certificate authority cannot be made or used.
    #[error(transparent)]
    Authority(#[from] AuthorityFault),
    /// The journal cannot be read or claimed.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// Token or rendezvous cannot be read or written.
    #[error(transparent)]
    Rendezvous(#[from] RendezvousFault),
    /// The engine ended.
    #[error(transparent)]
    Engine(#[from] EngineFault),
    /// The engine panicked: an invariant is broken.
    #[error("the engine panicked; what it said is above. The journal is whole: `hpo resume` goes on, `hpo verify` looks for the cause")]
    EnginePanicked,
    /// The gRPC server ended.
    #[error(transparent)]
    Serve(#[from] ServeFault),
    /// The gRPC server ended, though nobody asked it to.
    #[error("the gRPC server ended unexpectedly; `hpo resume` goes on")]
    DoorClosed,
    /// The local workers do not run.
    #[error(transparent)]
    Launch(#[from] LaunchFault),
}

impl DriveFault {
    /// Whether another driver has the run: then its workers must be left alone.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        match self {
            Self::Journal(fault) | Self::Engine(EngineFault::Journal(fault)) => fault.is_fenced(),
            Self::Driven { .. } => true,
            _ => false,
        }
    }

    /// Whether the run folder is gone: then nothing can be kept there, and nobody is to wait for anything.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Journal(fault) | Self::Engine(EngineFault::Journal(fault)) if fault.is_removed())
    }

    /// Whether the fault is that the run folder is not usable as it is (exit code 3).
    #[must_use]
    pub fn is_about_the_run_folder(&self) -> bool {
        matches!(
            self,
            Self::Exists { .. }
                | Self::InTheWay { .. }
                | Self::NotARun(_)
                | Self::Driven { .. }
                | Self::SweepChanged { .. }
                | Self::Searcher(_)
                | Self::Io { .. }
                | Self::Journal(_)
                | Self::Engine(EngineFault::Journal(_))
                | Self::Rendezvous(_)
                | Self::Authority(_)
                | Self::Launch(LaunchFault::RunFolder { .. } | LaunchFault::Roster(_))
        )
    }
}
