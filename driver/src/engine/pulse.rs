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
        Self::start_at(fence, BEAT, STUCK)
    }

    fn start_at(fence: Weak<Fence>, pace: Duration, stuck: Duration) -> Result<Self, EngineFault> {
        let duty = Arc::default();
        let (tell, fenced) = oneshot::channel();
        let kept = Arc::clone(&duty);
        let body = move || {
            if let Some(fault) = beat(&fence, &kept, pace, stuck) {
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

    /// Waits until another driver has taken over, or the run folder is gone.
    pub(super) async fn fenced(&mut self) -> JournalFault {
        match (&mut self.fenced).await {
            Ok(fault) => fault,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Beats until the fence is gone, or no longer stands: then it says why.
fn beat(fence: &Weak<Fence>, duty: &Mutex<Duty>, pace: Duration, stuck: Duration) -> Option<JournalFault> {
    let mut went_round = Instant::now();
    let mut missed = false;
    loop {
        let fence = fence.upgrade()?;
        let seen = fence.check();
        // Missed twice, it is gone; once, it may be a file system that is mounted again.
        let gone = seen.as_ref().is_err_and(JournalFault::is_removed);
        let was_missed = std::mem::replace(&mut missed, gone);
        match seen {
            Err(fault) if fault.is_fenced() || gone && was_missed => return Some(fault),
            // The disk's faults show in the journal.
            Err(_) => {}
            Ok(()) => {
                let mut duty = held(duty);
                if duty.engine.as_mut().is_none_or(goes_round) {
                    went_round = Instant::now();
                }
                if went_round.elapsed() < stuck {
                    fence.beat();
                } else {
                    warn!("the engine has done nothing for {} s: a standby may take over", went_round.elapsed().as_secs());
                }
                duty.look_after_names();
            }
        }
        drop(fence);
        std::thread::sleep(pace);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use hpo_core::Sweep;

    use super::super::run::Counters;
    use super::*;
    use crate::rendezvous::FORMAT;
    use crate::testing::spec;

    const PACE: Duration = Duration::from_millis(10);
    /// Long enough for several beats.
    const SEVERAL: Duration = Duration::from_millis(400);
    /// Nothing that is to come comes later.
    const PATIENCE: Duration = Duration::from_secs(60);

    struct Case {
        folder: tempfile::TempDir,
        fence: Arc<Fence>,
        pulse: Pulse,
    }

    impl Case {
        fn new(stuck: Duration) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let fence = Arc::new(Fence::claim(folder.path(), 4).unwrap());
            let pulse = Pulse::start_at(Arc::downgrade(&fence), PACE, stuck).unwrap();
            Self { folder, fence, pulse }
        }

        fn touched(&self) -> SystemTime {
            fs::metadata(self.folder.path().join("driver-epoch-5")).unwrap().modified().unwrap()
        }

        fn beats(&self) -> bool {
            let before = self.touched();
            within(PATIENCE, || self.touched() != before)
        }

        fn falls_silent(&self) -> bool {
            within(PATIENCE, || {
                let before = self.touched();
                std::thread::sleep(SEVERAL);
                self.touched() == before
            })
        }
    }

    fn within(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if done() {
                return true;
            }
            std::thread::sleep(PACE);
        }
        false
    }

    #[tokio::test]
    async fn a_driver_that_has_nothing_to_write_notices_its_successor_too() {
        let mut case = Case::new(STUCK);
        let successor = Fence::claim(case.folder.path(), 0).unwrap();
        let fault = tokio::time::timeout(PATIENCE, case.pulse.fenced()).await.unwrap();
        assert!(matches!(&fault, JournalFault::TakenOver { by, .. } if by.epoch == successor.epoch()), "{fault}");
        assert!(case.fence.check().is_err());
    }

    #[tokio::test]
    async fn a_driver_that_has_nothing_to_write_notices_that_its_run_folder_is_gone() {
        for emptied in [false, true] {
            let Case { folder, fence, mut pulse } = Case::new(STUCK);
            if emptied {
                fs::remove_file(folder.path().join("driver-epoch-5")).unwrap();
            } else {
                fs::remove_dir_all(folder.path()).unwrap();
            }
            let fault = tokio::time::timeout(PATIENCE, pulse.fenced()).await.unwrap();
            assert!(fault.is_removed() && !fault.is_fenced(), "{fault}");
            assert!(fault.to_string().contains(folder.path().to_str().unwrap()), "{fault}");
            assert!(fence.check().is_err_and(|again| again.is_removed()));
        }
    }

    #[test]
    fn an_engine_is_vouched_for_only_while_it_goes_round() {
        let case = Case::new(SEVERAL);
        assert!(case.beats(), "before there is an engine: a long journal is read");
        let shown = Progress {
            view: Sweep::new(spec(1)).view(),
            counters: Counters::default(),
            connected: 0,
            appetite: 0,
            tasks: Arc::default(),
            bad_nodes: Arc::default(),
        };
        let (engine, seen) = watch::channel(shown.clone());
        case.pulse.vouch(seen, Place::first(case.folder.path()));
        engine.send_replace(shown.clone());
        assert!(case.beats());
        assert!(case.falls_silent(), "it hangs in its disk, or in a loop");
        engine.send_replace(shown);
        assert!(case.beats(), "it was only slow");
        std::thread::sleep(SEVERAL * 2);
        drop(engine);
        assert!(case.beats(), "it has ended, and others clean up");
    }

    #[test]
    fn workers_are_told_again_where_the_driver_is_until_it_leaves() {
        let case = Case::new(STUCK);
        let run = RunDir::new(case.folder.path());
        let (sweep, host, addresses) = ("s".to_owned(), "h".to_owned(), vec!["a:1".to_owned()]);
        let ours = Rendezvous { format: FORMAT, sweep, epoch: 5, addresses, pid: 1, host, tls: true };
        case.pulse.post(&run, &ours).unwrap();
        for wrong in [Some(r#"{"torn"#.to_owned()), Some(serde_json::to_string(&Rendezvous { epoch: 4, ..ours.clone() }).unwrap()), None] {
            match wrong {
                Some(text) => fs::write(run.rendezvous(), text).unwrap(),
                None => fs::remove_file(run.rendezvous()).unwrap(),
            }
            assert!(within(PATIENCE, || Rendezvous::read(&run).is_ok_and(|found| found.as_ref() == Some(&ours))));
        }
        let later = Rendezvous { epoch: 6, ..ours.clone() };
        later.write(&run).unwrap();
        std::thread::sleep(SEVERAL);
        assert_eq!(Rendezvous::read(&run).unwrap(), Some(later), "a successor is not contradicted");
        ours.write(&run).unwrap();
        case.pulse.withdraw();
        std::thread::sleep(SEVERAL);
        assert_eq!(Rendezvous::read(&run).unwrap(), None);
    }
}
