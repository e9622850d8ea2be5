//! Waits until the driver of a run is gone.
use std::time::{Duration, Instant};

use super::drive::off_the_runtime;
use super::fault::DriveFault;
use crate::journal::{Gone, JournalFault, Sight, Standing, Watch};
use crate::rundir::RunDir;

/// How often the run folder is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until nobody drives the run, and gives the last epoch, for [`Begin::TakeOver`](super::Begin::TakeOver), and how
/// it is known. A driver whose process is dead on this host is gone within a second; any other after `patience` without a
/// sign of life. `heard` is told what is waited for: once, and whenever that changes.
///
/// # Errors
/// If the look itself fails, or the run folder was there and is not any more. A folder that cannot be read for a while is
/// waited for.
pub async fn stand_by(run: &RunDir, patience: Duration, mut heard: impl FnMut(&Standing)) -> Result<(u32, Gone), DriveFault> {
    let begun = Instant::now();
    let mut watch = Watch::new(patience);
    let mut last = None;
    loop {
        let folder = run.path().to_owned();
        match off_the_runtime(move || Sight::of(&folder)).await? {
            Ok(sight) => match watch.look(begun.elapsed(), sight) {
                Standing::Gone { epoch, why } => return Ok((epoch, why)),
                Standing::Removed => return Err(JournalFault::Vanished { folder: run.path().to_owned() }.into()),
                standing if last.as_ref() != Some(&standing) => {
                    heard(&standing);
                    last = Some(standing);
                }
                _ => {}
            },
            Err(why) => tracing::info!("cannot look at the run folder, and try again: {why}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
