//! The side of the login node: listens as a driver would, and looks for what the node has written.
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use hpo_driver::rendezvous;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::probe::{self, Report};
use crate::cli::runs::unix_ms;

/// A caller that says more, or takes longer, is not our probe.
const WORDS_MAX: u64 = 64 * 1024;
const CALL_WAIT: Duration = Duration::from_secs(5);

/// What listens and looks.
pub(super) struct Host {
    listener: TcpListener,
    addresses: Vec<String>,
    word: String,
    folder: PathBuf,
    /// What came by network.
    pub(super) called: bool,
    pub(super) report: Option<Report>,
    /// What came as a file, and how long after it was written, by the node's clock.
    pub(super) file: Option<(Report, u64)>,
}

impl Host {
    /// Listens on all interfaces, and leaves a file for the node.
    pub(super) async fn open(folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("0.0.0.0:0").await.context("cannot listen on this host")?;
        let addresses = rendezvous::addresses(listener.local_addr()?);
        // Only to know our own job again.
        let mut bytes = [0; 16];
        SysRng.try_fill_bytes(&mut bytes).context("the system gives no random numbers")?;
        let word = format!("{:032x}", u128::from_le_bytes(bytes));
        probe::write(folder, probe::FROM_HOST, word.as_bytes()).context("cannot write beside the run folder")?;
        Ok(Self { listener, addresses, word, folder: folder.to_owned(), called: false, report: None, file: None })
    }

    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// Answers callers for so long, and looks once for the node's file.
    pub(super) async fn listen(&mut self, time: Duration) {
        if let Ok(Ok((stream, _))) = timeout(time, self.listener.accept()).await
            && let Ok(Some(line)) = timeout(CALL_WAIT, answer(stream)).await
            && let Some(said) = line.strip_prefix(&self.word)
        {
            self.called = true;
            self.report = serde_json::from_str(said.trim()).ok().or(self.report.take());
        }
        if self.file.is_none()
            && let Ok(bytes) = std::fs::read(self.folder.join(probe::FROM_NODE))
            && let Ok(report) = serde_json::from_slice::<Report>(&bytes)
        {
            let passed = unix_ms().saturating_sub(report.unix_ms);
            self.file = Some((report, passed));
        }
    }
}

/// Hears one line and says what time it is here.
async fn answer(stream: TcpStream) -> Option<String> {
    let mut stream = BufReader::new(stream.take(WORDS_MAX));
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut stream = stream.into_inner().into_inner();
    stream.write_all(format!("{}\n", unix_ms()).as_bytes()).await.ok()?;
    Some(line)
}
