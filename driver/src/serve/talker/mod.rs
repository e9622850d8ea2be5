//! Workers that do no work: they join, take leases and report, over real connections. `hpo bench` measures the driver
//! with them. Each has a connection of its own, as a worker on its node has; a thousand fit into one process.
mod crowd;
mod line;

use std::time::{Duration, Instant};

use hpo_core::WorkerId;
use hpo_wire::pb::fleet_client::FleetClient;
use hpo_wire::{ConvertFault, DialFault, FromDriver, TOKEN_HEADER, Trust, bearer, dial};
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::rendezvous::{Rendezvous, RendezvousFault, read_token, read_trust};
use crate::rundir::RunDir;

pub use crowd::{Figures, Pace, Plan, crowd};
use line::Line;

/// A driver that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The conversation broke off.
#[derive(Debug, thiserror::Error)]
pub enum TalkFault {
    /// The run folder does not say how to reach the driver.
    #[error(transparent)]
    RunFolder(#[from] RendezvousFault),
    /// No driver listens.
    #[error("no driver listens for this run: it has no rendezvous.json")]
    NoDriver,
    /// The driver cannot be reached.
    #[error(transparent)]
    Dial(#[from] DialFault),
    /// It ended the conversation.
    #[error("the driver ended the conversation")]
    Status(#[from] Status),
    /// It made no sense.
    #[error("the driver said what is no message")]
    Nonsense(#[from] ConvertFault),
    /// The token has characters that no header can carry.
    #[error("the token is none")]
    Token,
    /// It hung up, or said nothing for a minute.
    #[error("the driver went silent before it had confirmed every word")]
    Silent,
    /// It ended the sweep.
    #[error("the driver ended the sweep before all was said: {why}")]
    Finished {
        /// In its words.
        why: String,
    },
}

/// The driver of a run, and what it wants to see.
#[derive(Clone, Debug)]
pub struct Target {
    address: String,
    trust: Trust,
    token: MetadataValue<Ascii>,
}

impl Target {
    /// The one that drives this run now.
    ///
    /// # Errors
    /// If none does, or the run folder cannot be read.
    pub fn of(run: &RunDir) -> Result<Self, TalkFault> {
        let rendezvous = Rendezvous::read(run)?.ok_or(TalkFault::NoDriver)?;
        let address = rendezvous.addresses.into_iter().next().ok_or(TalkFault::NoDriver)?;
        let trust = if rendezvous.tls { read_trust(run)? } else { Trust::plaintext_on_loopback() };
        let mut token: MetadataValue<Ascii> = bearer(&read_token(run)?).parse().map_err(|_| TalkFault::Token)?;
        token.set_sensitive(true);
        Ok(Self { address, trust, token })
    }

    /// The one place where these workers dial.
    async fn dial(&self) -> Result<FleetClient<Channel>, TalkFault> {
        Ok(FleetClient::new(dial(&self.address, &self.trust).await?))
    }

    fn sign<T>(&self, request: &mut tonic::Request<T>) {
        request.metadata_mut().insert(TOKEN_HEADER, self.token.clone());
    }
}

/// When a worker that joined was answered.
#[derive(Clone, Copy, Debug)]
pub struct Joined {
    /// The driver's welcome.
    pub welcomed: Instant,
    /// Its first lease.
    pub leased: Instant,
}

/// Joins with one slot, waits for the first lease, and hangs up.
///
/// # Errors
/// If the driver breaks off before.
pub async fn first_lease(target: &Target, worker: WorkerId) -> Result<Joined, TalkFault> {
    let mut line = Line::open(target, worker).await?;
    let mut welcomed = None;
    loop {
        match line.hear().await? {
            FromDriver::Welcome(_) => welcomed = Some(Instant::now()),
            FromDriver::Lease(_) => {
                let leased = Instant::now();
                return Ok(Joined { welcomed: welcomed.unwrap_or(leased), leased });
            }
            FromDriver::Finish { why, .. } => return Err(TalkFault::Finished { why }),
            _ => {}
        }
    }
}
