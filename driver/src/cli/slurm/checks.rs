//! What is looked at before anything is submitted.
use std::path::{Path, PathBuf};

use hpo_driver::launch::slurm::call::{CallFault, PATIENCE, call};
use hpo_driver::launch::slurm::site::{self, Wish};
use hpo_driver::launch::slurm::submit::test_only;
use hpo_driver::launch::slurm::{DriverPlace, Jobs};

use super::patience::{config, patiently};
use crate::cli::args::Manners;

/// What the checks came to.
#[derive(Debug)]
pub(super) struct Found {
    /// What Slurm said of when a worker would start.
    pub(super) start: String,
    /// What may be wrong.
    pub(super) warnings: Vec<String>,
}

/// Holds the jobs against what the site allows, in arrays of `array_max` tasks at the most.
pub(super) async fn check(jobs: &Jobs, tasks: u32, array_max: u32, manners: Manners) -> anyhow::Result<Found> {
    let partitions = site::partitions(&ask("sinfo", &["-h", "-o", site::FORMAT]).await?);
    let settings = &jobs.setup.settings;
    let gpus = if jobs.setup.gpus { jobs.setup.slots } else { 0 };
    // `extra` may say it in the user's own way: then Slurm alone must judge.
    if settings.extra.is_empty() {
        site::check(&Wish { partition: settings.partition.as_deref(), time: settings.time, gpus }, &partitions)?;
    }
    let mut warnings = places(jobs);
    let judged = async {
        let start = as_many_as_may_be(jobs, tasks.min(array_max), &mut warnings).await?;
        if jobs.setup.driver == DriverPlace::Job {
            tried(&jobs.driver()).await?;
        }
        anyhow::Ok(start)
    };
    let start = patiently(manners, "`sbatch --test-only`", judged).await?;
    if jobs.setup.driver != DriverPlace::Login && settings.time.is_none() {
        warnings.push("[slurm] has no `time`: the partition's default applies, also to the driver".to_owned());
    }
    Ok(Found { start, warnings })
}

/// Most tasks of one array.
///
/// # Errors
/// If no controller is found.
pub(super) async fn array_max(manners: Manners) -> anyhow::Result<u32> {
    Ok(site::array_max(&config(manners).await?))
}

/// The output of one of Slurm's programs; empty where it fails, for sites close what they like.
async fn ask(program: &'static str, arguments: &[&str]) -> Result<String, CallFault> {
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let said = call(program, &arguments, PATIENCE).await?;
    if !said.is_fine() {
        tracing::warn!("{program}: {}", said.complaint());
    }
    Ok(said.out)
}

/// Lets Slurm judge the workers' script. A limit on their number is no reason to begin with none: half of them are tried then.
async fn as_many_as_may_be(jobs: &Jobs, tasks: u32, warnings: &mut Vec<String>) -> anyhow::Result<String> {
    let mut some = tasks;
    loop {
        match tried(&jobs.workers(some, &[], None)).await {
            Ok(start) => return Ok(start),
            Err(refused) if some == 1 => return Err(refused),
            Err(refused) => {
                if some == tasks {
                    warnings.push(format!("Slurm does not take {tasks} workers at once, so that it may be fewer: {refused}"));
                }
                some /= 2;
            }
        }
    }
}

/// Lets Slurm judge a script without submitting it.
async fn tried(text: &str) -> anyhow::Result<String> {
    let mut file = tempfile::NamedTempFile::new()?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(test_only(file.path()).await?)
}

/// Whether the nodes see what the jobs need, as far as it can be told from here.
fn places(jobs: &Jobs) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let named =
        [("the run folder", jobs.run.path()), ("hpo itself", jobs.program.as_path()), ("the sweep file's folder", jobs.folder.as_path())];
    let local = |(what, path): (&str, &Path)| {
        let kind = kind_of(&mounts, path)?;
        is_local(&kind).then(|| format!("{what} (`{}`, {kind})", path.display()))
    };
    let local: Vec<String> = named.into_iter().filter_map(local).collect();
    if local.is_empty() {
        return vec![];
    }
    vec![format!("on disks of this machine: {}; unless the nodes see these, choose a shared file system", local.join(", "))]
}

/// The file system that a path is on, by the longest mount point above it.
fn kind_of(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        Some((PathBuf::from(words.next()?.replace("\\040", " ")), words.next()?.to_owned()))
    };
    let above = mounts.lines().filter_map(mount).filter(|(point, _)| path.starts_with(point));
    // Of several on one point the last one counts.
    above.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

fn is_local(kind: &str) -> bool {
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "ramfs", "overlay", "f2fs", "vfat"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_a_disk_of_this_machine_is_told_from_a_shared_one() {
        let mounts =
            "/dev/sda1 / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\ntmpfs /home/me/scratch tmpfs rw 0 0\n/dev/sdb /a\\040b xfs rw 0 0\n";
        for (path, kind) in
            [("/data/run", "ext4"), ("/home/me/run", "nfs4"), ("/homely", "ext4"), ("/home/me/scratch/x", "tmpfs"), ("/a b/c", "xfs")]
        {
            assert_eq!(kind_of(mounts, Path::new(path)).as_deref(), Some(kind), "{path}");
        }
        assert!(is_local("tmpfs") && !is_local("nfs4") && !is_local("lustre"));
    }
}
