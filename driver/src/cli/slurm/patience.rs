//! A controller that does not answer: people are told what is waited for, and it is not for long.
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hpo_driver::launch::slurm::call::call;

use super::tell;
use crate::cli::args::Manners;

/// How long nobody is told what is waited for.
const SILENT: Duration = Duration::from_secs(3);
/// How long the first answer is waited for. Slurm's programs try for a minute where they do not find their configuration, and for
/// nine seconds and more where nobody listens.
const FIRST: Duration = Duration::from_secs(20);
/// By which Slurm's programs say that there is nobody to talk to; anything else may be a site that closes what it likes.
const NOBODY: [&str; 4] = ["Unable to contact", "configuration file", "configuration source", "ClusterName needs"];

/// What `scontrol show config` says; nothing where the site does not let everyone ask.
///
/// # Errors
/// If no controller is found.
pub(super) async fn config(manners: Manners) -> anyhow::Result<String> {
    let named = std::env::var_os("SLURM_CONF").map(std::path::PathBuf::from);
    if let Some(gone) = named.as_deref().filter(|file| !file.exists()) {
        bail!("there is no `{}`, which SLURM_CONF names: unset it, or give Slurm's configuration file", gone.display());
    }
    let said = patiently(manners, "Slurm's controller", call("scontrol", &["show".to_owned(), "config".to_owned()], FIRST)).await;
    let said = said.with_context(|| hint(named.as_deref()))?;
    if said.is_fine() {
        return Ok(said.out);
    }
    let why = said.complaint();
    if NOBODY.iter().any(|sign| why.contains(sign)) {
        return Err(anyhow!("scontrol: {why}").context(hint(named.as_deref())));
    }
    tracing::warn!("scontrol: {why}");
    Ok(said.out)
}

fn hint(named: Option<&Path>) -> String {
    let file = named.map_or("Slurm's default, for SLURM_CONF is not set".to_owned(), |file| format!("`{}`", file.display()));
    format!("Slurm's controller is not reached; the configuration is {file}, and `scontrol ping` must answer")
}

/// Waits for `work`; after a while people are told for what.
pub(super) async fn patiently<T>(manners: Manners, what: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SILENT) => tell(manners, &format!("waiting for {what} ..")),
    }
    work.await
}
