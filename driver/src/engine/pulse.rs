//! Shows others that this driver lives, and notices when it is the driver no more. A thread of its own, so that neither
//! the engine, which waits for its disk, nor many connections delay it.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tracing::warn;

use super::fault::EngineFault;
use super::run::Progress;
use crate::journal::{BEAT, Fence, JournalFault, Place};
use crate::rendezvous::{Rendezvous, RendezvousFault};
use crate::rundir::RunDir;

/// An engine goes round every second. One that has not for so long does nothing for the sweep any more, however alive its
/// process is: it is no longer vouched for, so that a standby may go on. Disks that sync for minutes have been seen.
const STUCK: Duration = Duration::from_secs(120);

/// The thread's other end. The thread ends with the fence.
#[derive(Debug)]
pub(super) struct Pulse {
    duty: Arc<Mutex<Duty>>,
    fenced: oneshot::Receiver<JournalFault>,
}

/// What is looked after; none of it before there is any.
#[derive(Debug, Default)]
struct Duty {
    engine: Option<watch::Receiver<Progress>>,
    journal: Option<Place>,
    rendezvous: Option<(RunDir, Rendezvous)>,
}

impl Pulse {
    /// Begins to touch the claim: a long journal is lived through before there is an engine.
    pub(super) fn start(fence: Weak<Fence>) -> Result<Self, EngineFault> {
        let duty = Arc::default();
        let (tell, fenced) = oneshot::channel();
        let kept = Arc::clone(&duty);
        let body = move || {
            if let Some(fault) = beat(&fence, &kept) {
                // Nobody listens if the driver is ending anyway.
                let _ = tell.send(fault);
            }
        };
        std::thread::Builder::new().name("pulse".to_owned()).spawn(body).map_err(EngineFault::NoThread)?;
        Ok(Self { duty, fenced })
    }

    /// From now on vouches for this engine, and keeps the name of its journal.
    pub(super) fn vouch(&self, engine: watch::Receiver<Progress>, journal: Place) {
        let mut duty = held(&self.duty);
        (duty.engine, duty.journal) = (Some(engine), Some(journal));
    }

    /// Tells workers where the driver is, and again should an older driver tell them otherwise.
    pub(super) fn post(&self, run: &RunDir, rendezvous: &Rendezvous) -> Result<(), RendezvousFault> {
        held(&self.duty).rendezvous = Some((run.clone(), rendezvous.clone()));
        rendezvous.write(run)
    }

    /// Tells them no more.
    pub(super) fn withdraw(&self) {
        if let Some((run, rendezvous)) = held(&self.duty).rendezvous.take() {
            rendezvous.withdraw(&run);
        }
    }

    /// Waits until another driver has taken over.
    pub(super) async fn fenced(&mut self) -> JournalFault {
        match (&mut self.fenced).await {
            Ok(fault) => fault,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Beats until the fence is gone, or no longer stands: then it says why.
fn beat(fence: &Weak<Fence>, duty: &Mutex<Duty>) -> Option<JournalFault> {
    let mut went_round = Instant::now();
    loop {
        let fence = fence.upgrade()?;
        match fence.check() {
            Err(fault) if fault.is_fenced() => return Some(fault),
            // The disk's faults show in the journal.
            Err(_) => {}
            Ok(()) => {
                let mut duty = held(duty);
                if duty.engine.as_mut().is_none_or(goes_round) {
                    went_round = Instant::now();
                }
                if went_round.elapsed() < STUCK {
                    fence.beat();
                } else {
                    warn!("the engine has done nothing for {} s: a standby may take over", went_round.elapsed().as_secs());
                }
                duty.look_after_names();
            }
        }
        drop(fence);
        std::thread::sleep(BEAT);
    }
}

/// Whether the engine has shown itself since the last look. One that has ended leaves the rest to others.
fn goes_round(engine: &mut watch::Receiver<Progress>) -> bool {
    let changed = engine.has_changed().unwrap_or(true);
    engine.mark_unchanged();
    changed
}

impl Duty {
    /// A driver that was overtaken between looking and naming has named its own files; they are put right. What fails is
    /// tried again with the next beat.
    fn look_after_names(&self) {
        if let Some(journal) = &self.journal {
            let _ = journal.mend();
        }
        if let Some((run, rendezvous)) = &self.rendezvous
            && !Rendezvous::read(run).is_ok_and(|found| found.is_some_and(|found| found.epoch >= rendezvous.epoch))
        {
            let _ = rendezvous.write(run);
        }
    }
}

fn held(duty: &Mutex<Duty>) -> MutexGuard<'_, Duty> {
    // Each of its parts is whole at any moment.
    duty.lock().unwrap_or_else(PoisonError::into_inner)
}
