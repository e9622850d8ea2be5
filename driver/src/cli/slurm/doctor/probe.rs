//! The side of the node, within the job.
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cli::runs::unix_ms;

/// The file that the login node leaves, and the one that the node leaves.
pub(super) const FROM_HOST: &str = "from-host";
pub(super) const FROM_NODE: &str = "from-node";

/// How long an address may take to answer: as long as a worker would wait.
const DIAL_WAIT: Duration = Duration::from_secs(5);
/// How long the login node's file may take to be seen.
const READ_WAIT: Duration = Duration::from_secs(10);

/// What the node found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    /// When this was written, in milliseconds since 1970 by the node's clock.
    pub(super) unix_ms: u64,
    /// Its name.
    pub(super) node: String,
    /// Why the login node's file cannot be read, if so.
    pub(super) unread: Option<String>,
    /// Why none can be written, if so.
    pub(super) unwritten: Option<String>,
    /// The addresses of the login node.
    pub(super) ways: Vec<Way>,
    /// `CUDA_VISIBLE_DEVICES`.
    pub(super) visible: Option<String>,
    /// `/dev/nvidia0` and so on.
    pub(super) devices: Vec<String>,
    /// Why Slurm's controller cannot be asked from here, if so.
    pub(super) no_slurm: Option<String>,
}

/// One address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Way {
    pub(super) address: String,
    /// Why nobody answers, if so.
    pub(super) fault: Option<String>,
    /// Milliseconds until the answer.
    pub(super) took_ms: u64,
    /// So many milliseconds the login node's clock is ahead of this one's.
    pub(super) ahead_ms: i64,
}

/// Looks at everything, and tells it in all ways that there are: by network, as a file, and in the job's output.
pub(super) fn probe(folder: &Path, word: &str, addresses: &[String]) -> anyhow::Result<()> {
    let mut report = Report {
        node: std::env::var("SLURMD_NODENAME").unwrap_or_else(|_| hpo_driver::process::host()),
        unread: read(folder, word).err().map(|why| why.to_string()),
        ways: addresses.iter().map(|address| dial(address, word)).collect(),
        visible: std::env::var("CUDA_VISIBLE_DEVICES").ok(),
        devices: devices(),
        no_slurm: ping().err().map(|why| why.to_string()),
        ..Report::default()
    };
    let write_report = |report: &mut Report| -> anyhow::Result<()> {
        report.unix_ms = unix_ms();
        Ok(write(folder, FROM_NODE, &serde_json::to_vec(report)?)?)
    };
    report.unwritten = write_report(&mut report).err().map(|why| why.to_string());
    let text = serde_json::to_string(&report)?;
    println!("{text}");
    if let Some(way) = report.ways.iter().find(|way| way.fault.is_none()) {
        call(&way.address, &format!("{word} {text}\n"))?;
    }
    Ok(())
}

/// Writes a file as checkpoints and journals are written: aside, synced, renamed.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name)).map_err(|failed| failed.error)?;
    File::open(folder)?.sync_all()
}

/// Whether the login node's file is to be seen, whole.
fn read(folder: &Path, word: &str) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(folder.join(FROM_HOST)) {
            Ok(text) if text == word => return Ok(()),
            Ok(_) => return Err(io::Error::other("it holds something else")),
            Err(why) if begun.elapsed() > READ_WAIT => return Err(why),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn dial(address: &str, word: &str) -> Way {
    let (begun, before) = (Instant::now(), unix_ms());
    let answer = call(address, &format!("{word}\n"));
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    // The answer was given half way between.
    let here = before.saturating_add(took_ms / 2);
    let ahead_ms = answer.as_ref().map_or(0, |there| there.cast_signed().saturating_sub(here.cast_signed()));
    Way { address: address.to_owned(), fault: answer.err().map(|why| why.to_string()), took_ms, ahead_ms }
}

/// Says a line and hears the time there.
fn call(address: &str, line: &str) -> io::Result<u64> {
    let to: SocketAddr = address.parse().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&to, DIAL_WAIT)?;
    stream.set_read_timeout(Some(DIAL_WAIT))?;
    stream.set_write_timeout(Some(DIAL_WAIT))?;
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    answer.trim().parse().map_err(|_| io::Error::other("somebody else answers"))
}

fn devices() -> Vec<String> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut cards: Vec<String> =
        names.filter(|name| name.strip_prefix("nvidia").is_some_and(|number| number.parse::<u32>().is_ok())).collect();
    cards.sort();
    cards
}

/// Whether this node may talk to the controller: to put a job back, and for a driver that is a job.
fn ping() -> io::Result<()> {
    let mut child = Command::new("scontrol").arg("ping").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("`scontrol ping` ended with {status}"))),
            None if begun.elapsed() > READ_WAIT => {
                let _ = child.kill();
                return Err(io::Error::other("`scontrol ping` does not answer"));
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
