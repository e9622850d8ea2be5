//! How workers find the driver and show that they belong to the sweep: `rendezvous.json` and `token` in the run folder.
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hpo_core::shell;
use nix::ifaddrs::getifaddrs;
use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};

use crate::rundir::{PRIVATE_FILE, RunDir};

/// Version of `rendezvous.json`.
pub const FORMAT: u32 = 1;
/// The shortest token that is one.
const TOKEN_MIN: usize = 32;

/// Where the driver listens. Lies in the run folder as long as it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendezvous {
    /// [`FORMAT`].
    pub format: u32,
    /// Id of the sweep.
    pub sweep: String,
    /// Counts the drivers of this sweep: with a higher one, older addresses are out of date.
    pub epoch: u32,
    /// Where to dial, `address:port`; the first that answers is right.
    pub addresses: Vec<String>,
    /// Whether to speak TLS there, and believe `ca.pem` beside this file. Without it only this very machine may dial.
    pub tls: bool,
    /// The driver's process, for people.
    pub pid: u32,
    /// The driver's host, for people.
    pub host: String,
}

/// The run folder's files cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} `{}`", path.display())]
pub struct RendezvousFault {
    /// The file.
    pub path: PathBuf,
    /// What was tried.
    pub doing: &'static str,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

pub(crate) fn fault(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> RendezvousFault {
    let path = path.to_owned();
    move |source| RendezvousFault { path, doing, source }
}

impl Rendezvous {
    /// Reads the one of a run. `None` if no driver listens.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub fn read(run: &RunDir) -> Result<Option<Self>, RendezvousFault> {
        let path = run.rendezvous();
        match fs::read(&path) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(other) => Err(fault(&path, "read")(other)),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|wrong| fault(&path, "understand")(wrong.into())),
        }
    }

    /// Puts it in its place in one step: a reader sees the old one or the new one.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, run: &RunDir) -> Result<(), RendezvousFault> {
        write_json(&run.rendezvous(), self)
    }

    /// Takes it away, if it is still this driver's.
    pub fn withdraw(&self, run: &RunDir) {
        if Self::read(run).is_ok_and(|found| found.is_some_and(|found| found.epoch == self.epoch)) {
            let _ = fs::remove_file(run.rendezvous());
        }
    }
}

/// Says in `ended.json` that the sweep has ended, and why, to workers that come too late to hear it from a driver: a job of an
/// array may start hours after the others. To be written before the rendezvous is withdrawn.
///
/// # Errors
/// If the disk refuses.
pub fn write_ended(run: &RunDir, why: &str) -> Result<(), RendezvousFault> {
    write_json(&run.ended(), &serde_json::json!({ "format": FORMAT, "why": why }))
}

/// Writes a JSON file in one step, readable by its owner alone.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RendezvousFault> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut text = serde_json::to_vec(value).map_err(|wrong| fault(path, "write")(wrong.into()))?;
    text.push(b'\n');
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(fault(path, "create"))?;
    temporary.write_all(&text).and_then(|()| temporary.as_file().sync_all()).map_err(fault(path, "write"))?;
    temporary.persist(path).map(|_| ()).map_err(|failed| fault(path, "replace")(failed.error))
}

/// Every address at which a listener bound to `bound` can be dialled. For the unspecified address those are the ones of
/// all network interfaces, the loopback last.
#[must_use]
pub fn addresses(bound: SocketAddr) -> Vec<String> {
    if !bound.ip().is_unspecified() {
        return vec![bound.to_string()];
    }
    let interfaces = getifaddrs().into_iter().flatten().filter_map(|interface| interface.address);
    let mut found: Vec<IpAddr> = interfaces
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        // An IPv6 link-local address means nothing without its interface.
        .filter(|ip| ip.is_ipv4() || bound.is_ipv6())
        .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()))
        .collect();
    found.sort_by_key(|ip| (ip.is_loopback(), *ip));
    found.dedup();
    found.into_iter().map(|ip| SocketAddr::new(ip, bound.port()).to_string()).collect()
}

/// The secret of a run: made with the run, then read.
///
/// # Errors
/// If the disk or the system's random numbers refuse.
pub fn create_token(run: &RunDir) -> Result<String, RendezvousFault> {
    let path = run.token();
    let token: String = random::<32>().map_err(fault(&path, "draw"))?.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = File::options().write(true).create_new(true).mode(PRIVATE_FILE).open(&path).map_err(fault(&path, "create"))?;
    file.write_all(token.as_bytes()).and_then(|()| file.sync_all()).map_err(fault(&path, "write"))?;
    Ok(token)
}

/// The secret of an existing run.
///
/// # Errors
/// If it cannot be read, can be read by others, or is so short that it could be guessed.
pub fn read_token(run: &RunDir) -> Result<String, RendezvousFault> {
    let path = run.token();
    let mode = fs::metadata(&path).map_err(fault(&path, "read"))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        // Workers refuse it, too.
        let why = format!("it can be read by others (mode {mode:03o}): run `chmod 600 {}`", shell::path(&path));
        return Err(fault(&path, "take the token of")(io::Error::new(io::ErrorKind::PermissionDenied, why)));
    }
    let token = fs::read_to_string(&path).map_err(fault(&path, "read"))?.trim().to_owned();
    if token.len() < TOKEN_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = format!("a token is one line of at least {TOKEN_MIN} letters and digits");
        return Err(fault(&path, "take the token of")(io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    Ok(token)
}

/// Whom a worker of this run takes for its driver.
///
/// # Errors
/// If no driver has written the certificate of the run's authority, or it cannot be used.
pub fn read_trust(run: &RunDir) -> Result<hpo_wire::Trust, RendezvousFault> {
    let path = run.authority();
    let pem = fs::read(&path).map_err(fault(&path, "read"))?;
    hpo_wire::Trust::authority(&pem).map_err(|wrong| fault(&path, "believe")(io::Error::other(wrong)))
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendezvous_is_found_and_withdrawn_only_by_its_driver() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        assert_eq!(Rendezvous::read(&run).unwrap(), None);
        let first = Rendezvous {
            format: FORMAT,
            sweep: "s".into(),
            epoch: 1,
            addresses: vec!["127.0.0.1:1".into()],
            tls: true,
            pid: 1,
            host: "h".into(),
        };
        first.write(&run).unwrap();
        let second = Rendezvous { epoch: 2, ..first.clone() };
        second.write(&run).unwrap();
        first.withdraw(&run);
        assert_eq!(Rendezvous::read(&run).unwrap(), Some(second.clone()));
        second.withdraw(&run);
        assert_eq!(Rendezvous::read(&run).unwrap(), None);
        fs::write(run.rendezvous(), "{").unwrap();
        assert!(Rendezvous::read(&run).unwrap_err().to_string().starts_with("cannot understand"));
    }

    #[test]
    fn the_token_is_private_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        let token = create_token(&run).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(read_token(&run).unwrap(), token);
        assert_eq!(fs::metadata(run.token()).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create_token(&run).is_err());
        for wrong in ["", "short", "two words of which the sum is long enough"] {
            fs::write(run.token(), wrong).unwrap();
            assert!(read_token(&run).is_err(), "{wrong:?}");
        }
        fs::write(run.token(), &token).unwrap();
        fs::set_permissions(run.token(), fs::Permissions::from_mode(0o640)).unwrap();
        let why = read_token(&run).unwrap_err();
        assert!(std::error::Error::source(&why).is_some_and(|why| why.to_string().contains("mode 640): run `chmod 600 ")), "{why:?}");
    }

    #[test]
    fn a_bound_address_is_told_as_it_is_and_the_unspecified_one_as_all_interfaces() {
        assert_eq!(addresses("127.0.0.1:99".parse().unwrap()), ["127.0.0.1:99"]);
        let all = addresses("0.0.0.0:99".parse().unwrap());
        assert_eq!(all.last().map(String::as_str), Some("127.0.0.1:99"), "{all:?}");
        assert!(all.iter().all(|address| !address.starts_with("0.0.0.0")), "{all:?}");
    }
}
