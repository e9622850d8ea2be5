//! A worker's folder is kept young while the worker lives: others remove what dead workers have left, and on another machine only age
//! tells them apart.
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Files of a worker of which none has changed for so long are those of a dead one, and are removed.
pub(super) const STALE: Duration = Duration::from_secs(24 * 3600);
/// How often a worker that lives touches one of its files.
pub(super) const SIGN: Duration = Duration::from_secs(3600);

/// Touches the file every so often, as long as it is awaited.
pub(super) async fn signs_of_life(file: PathBuf, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let touched = file.clone();
        let touch = move || File::options().write(true).open(touched)?.set_modified(SystemTime::now());
        if let Ok(Err(why)) = tokio::task::spawn_blocking(touch).await {
            tracing::warn!("cannot touch `{}`, which shows that this worker lives: {why}", file.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_yesterday_is_young_again_soon() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("process.json");
        let yesterday = SystemTime::now() - STALE;
        File::create(&file).unwrap().set_modified(yesterday).unwrap();
        let signs = tokio::spawn(signs_of_life(file.clone(), Duration::from_millis(5)));
        let is_young = || file.metadata().unwrap().modified().unwrap() > SystemTime::now() - SIGN;
        for _ in 0..2_000 {
            if is_young() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        signs.abort();
        assert!(is_young());
    }
}
