//! The certificate authority of a run, and the certificate that a driver gets from it at its start.
//!
//! The authority's key is the truth: `ca-key.pem`, made with the run and kept as private as the token. `ca.pem` follows from
//! it and is written again by each driver; it is what workers believe, read from the run folder on each dial. Nothing in
//! `rendezvous.json` repeats it, for whoever can change the one file can change the other.
//!
//! **Nothing here expires.** A term would guard against a key that is lost and that nobody can call back. A driver's key is
//! never written down and dies with its process; the authority's lies beside the token and goes with the run folder, and
//! who has read it has the run in any case. But a term would end sweeps that run for weeks, and turn away nodes whose clock
//! is hours off, or stands in 1970.
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use hpo_wire::{ALPN, SERVER_NAME};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, version};

use crate::rendezvous::{RendezvousFault, fault};
use crate::rundir::RunDir;

/// The authority of a run cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityFault {
    /// Its files cannot be read or written.
    #[error(transparent)]
    File(#[from] RendezvousFault),
    /// Its key is none.
    #[error("`{}` is not the key of a certificate authority; put it back as it was, or remove it: the next driver makes a new one", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: rcgen::Error,
    },
    /// No certificate could be made.
    #[error("no certificate can be made")]
    Certificate(#[from] rcgen::Error),
    /// The certificate is of no use.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Signs the certificates of a run's drivers.
#[derive(Debug)]
pub(crate) struct Authority(KeyPair);

impl Authority {
    /// The authority of a run; made if the run has none yet.
    pub(crate) fn open(run: &RunDir) -> Result<Self, AuthorityFault> {
        let path = run.authority_key();
        let key = match fs::read_to_string(&path) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(|source| AuthorityFault::Key { path, source })?,
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => {
                // P-256: every TLS library has it, and one signature a connection is all that it costs.
                let key = KeyPair::generate()?;
                write(run, path, &key.serialize_pem())?;
                key
            }
            Err(other) => return Err(fault(&path, "read")(other).into()),
        };
        let certificate = authority_params().self_signed(&key)?;
        write(run, run.authority(), &certificate.pem())?;
        Ok(Self(key))
    }

    /// What a driver shows: a certificate of its own, whose key is in its memory alone.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, AuthorityFault> {
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(authority_params(), &self.0);
        let certificate = driver_params()?.signed_by(&key, &issuer)?;
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(ring).with_protocol_versions(&[&version::TLS13])?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A worker dials rarely; tickets of strangers would be work for nothing.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// In one step, readable by its owner alone.
fn write(run: &RunDir, path: PathBuf, text: &str) -> Result<(), RendezvousFault> {
    let mut draft = tempfile::NamedTempFile::new_in(run.path()).map_err(fault(&path, "create"))?;
    draft.write_all(text.as_bytes()).and_then(|()| draft.as_file().sync_all()).map_err(fault(&path, "write"))?;
    draft.persist(&path).map_err(|failed| fault(&path, "replace")(failed.error))?;
    Ok(())
}

/// The same for every run and every time, so that the certificate need not be read to issue with its key.
fn authority_params() -> CertificateParams {
    let mut params = ageless();
    params.distinguished_name.push(DnType::CommonName, "hpo run authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn driver_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    let CertificateParams { not_before, not_after, .. } = ageless();
    (params.not_before, params.not_after) = (not_before, not_after);
    params.distinguished_name.push(DnType::CommonName, "hpo driver");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn ageless() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1);
    // By RFC 5280 the date of what has no end.
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    params
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use tokio_rustls::rustls::RootCertStore;
    use tokio_rustls::rustls::client::WebPkiServerVerifier;
    use tokio_rustls::rustls::client::danger::ServerCertVerifier;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    /// Whether a worker of `run` whose clock shows `unix` seconds believes a certificate that `authority` issues now.
    fn believed(run: &RunDir, authority: &Authority, unix: u64) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(run.authority()).unwrap()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), ring).build().unwrap();
        let key = KeyPair::generate().unwrap();
        let issued = driver_params().unwrap().signed_by(&key, &Issuer::new(authority_params(), &authority.0)).unwrap();
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(unix));
        verifier.verify_server_cert(issued.der(), &[], &name, &[], now).map(drop)
    }

    #[test]
    fn a_driver_that_comes_later_is_believed_by_the_same_certificate_whatever_the_clocks_say() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        let first = Authority::open(&run).unwrap();
        let pem = fs::read(run.authority()).unwrap();
        let later = Authority::open(&run).unwrap();
        let other = tempfile::tempdir().unwrap();
        let foreign = Authority::open(&RunDir::new(other.path())).unwrap();
        // In 1970, now, and in 2500.
        for unix in [60, 1_800_000_000, 16_725_000_000] {
            assert_eq!(believed(&run, &first, unix), Ok(()));
            assert_eq!(believed(&run, &later, unix), Ok(()));
            assert!(believed(&run, &foreign, unix).is_err());
        }
        // A worker that has read the certificate before the second driver started believes that one as well.
        fs::write(run.authority(), pem).unwrap();
        assert_eq!(believed(&run, &later, 1_800_000_000), Ok(()));
    }

    #[test]
    fn both_files_are_private_and_a_key_that_is_none_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        Authority::open(&run).unwrap().server_config().unwrap();
        for path in [run.authority(), run.authority_key()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(run.authority_key(), "no key").unwrap();
        let fault = Authority::open(&run).unwrap_err().to_string();
        assert!(fault.contains("ca-key.pem` is not the key of a certificate authority"), "{fault}");
    }
}
