//! While a connection stands: whether a later driver has taken over. The old one may hang in its disk while its network
//! answers for it; then nothing else would tell.
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use super::rendezvous;

/// How often `rendezvous.json` is looked at: well within the time that a new driver gives its workers to come back, and
/// seldom enough for a thousand of them on one file system.
const LOOK: Duration = Duration::from_secs(10);

/// Waits until the rendezvous names a driver of a later epoch, and gives that.
pub(super) async fn later(path: &Path, than: u32) -> u32 {
    later_by(path, than, LOOK).await
}

async fn later_by(path: &Path, than: u32, look: Duration) -> u32 {
    loop {
        sleep(look).await;
        let path: PathBuf = path.to_owned();
        // A file system that hangs must not hold up the connection. What cannot be read says nothing.
        if let Ok(Ok(found)) = tokio::task::spawn_blocking(move || rendezvous(&path)).await
            && found.epoch > than
        {
            return found.epoch;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_later_driver_is_noticed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rendezvous.json");
        let put = |epoch: u32| fs::write(&path, format!(r#"{{"format":1,"epoch":{epoch},"addresses":["a:1"],"tls":true}}"#)).unwrap();
        let look = Duration::from_millis(5);
        let quiet = async || tokio::time::timeout(look * 20, later_by(&path, 3, look)).await.is_err();
        assert!(quiet().await, "there is none");
        fs::write(&path, "{").unwrap();
        assert!(quiet().await, "half a file");
        put(3);
        assert!(quiet().await, "the same");
        put(2);
        assert!(quiet().await, "an older one that has not noticed yet");
        put(5);
        assert_eq!(tokio::time::timeout(Duration::from_secs(20), later_by(&path, 3, look)).await, Ok(5));
    }
}
