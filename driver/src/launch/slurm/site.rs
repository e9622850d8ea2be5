//! What a site allows, as `scontrol show config` and `sinfo` tell it. What is not understood forbids nothing: Slurm itself has the
//! last word.
use hpo_core::Millis;

use super::queue::time;

/// The columns asked of `sinfo`: partition, whether it is up, its time limit, generic resources of its nodes.
pub const FORMAT: &str = "%P|%a|%l|%G";
/// Most tasks of an array where the site does not say: Slurm's own default.
const ARRAY_MAX: u32 = 1001;

/// Most tasks of one array, by the output of `scontrol show config`.
#[must_use]
pub fn array_max(config: &str) -> u32 {
    let value = config.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == "MaxArraySize");
    value.and_then(|(_, value)| value.trim().parse().ok()).filter(|most| *most > 0).unwrap_or(ARRAY_MAX)
}

/// A partition, or the part of it whose nodes are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// Whether jobs go there that name none.
    pub is_default: bool,
    /// Whether jobs start there.
    pub is_up: bool,
    /// The longest that a job may run; none if for ever.
    pub limit: Option<Millis>,
    /// GPUs of a node.
    pub gpus: u32,
}

/// Reads the output of `sinfo -h -o` [`FORMAT`].
#[must_use]
pub fn partitions(text: &str) -> Vec<Partition> {
    text.lines().filter_map(partition).collect()
}

fn partition(line: &str) -> Option<Partition> {
    let mut columns = line.trim().splitn(4, '|').map(str::trim);
    let (name, up, limit, gres) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
    let gpus = gres.split(',').filter(|one| *one == "gpu" || one.starts_with("gpu:")).map(count).sum();
    Some(Partition {
        name: name.trim_end_matches('*').to_owned(),
        is_default: name.ends_with('*'),
        is_up: up == "up",
        limit: time(limit),
        gpus,
    })
}

/// `gpu:2`, `gpu:a100:4(S:0-1)`.
fn count(gres: &str) -> u32 {
    let plain = gres.split('(').next().unwrap_or(gres);
    plain.rsplit(':').next().and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// What is asked of a site.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// Where; none: where jobs go that name no partition.
    pub partition: Option<&'a str>,
    /// For how long.
    pub time: Option<Millis>,
    /// GPUs of one task.
    pub gpus: u32,
}

/// Why a wish cannot come true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishFault {
    /// There is no such partition.
    #[error("there is no partition `{name}`; there are: {}", known.join(", "))]
    NoPartition {
        /// The one asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// None was named, and the site has no default.
    #[error("this site has no default partition: set `partition` in [slurm] to one of {}", known.join(", "))]
    NoDefault {
        /// Those that there are.
        known: Vec<String>,
    },
    /// It is closed.
    #[error("partition `{name}` is not up: jobs would wait until it is")]
    Down {
        /// Which.
        name: String,
    },
    /// A job could never start.
    #[error("`time` is {}, and jobs in partition `{name}` may take {} at most: they would wait for ever", span(*asked), span(*limit))]
    TooLong {
        /// Which.
        name: String,
        /// What was asked for.
        asked: Millis,
        /// What may be.
        limit: Millis,
    },
    /// No node has so many.
    #[error("a worker asks for {asked} GPUs, and nodes of partition `{name}` have {most} at most")]
    NoGpus {
        /// Which.
        name: String,
        /// What was asked for.
        asked: u32,
        /// What a node has.
        most: u32,
    },
}

fn span(millis: Millis) -> String {
    humantime::format_duration(std::time::Duration::from_millis(millis)).to_string()
}

/// Holds a wish against the partitions of a site. Nothing is wrong where nothing is known of them.
///
/// # Errors
/// The first reason why no job like this would ever start.
pub fn check(wish: &Wish<'_>, partitions: &[Partition]) -> Result<(), WishFault> {
    // Several may be named: the job goes where it starts first. Then Slurm itself must judge.
    if partitions.is_empty() || wish.partition.is_some_and(|name| name.contains(',')) {
        return Ok(());
    }
    let mut known: Vec<String> = partitions.iter().map(|partition| partition.name.clone()).collect();
    known.dedup();
    let ours: Vec<&Partition> = match wish.partition {
        Some(name) => partitions.iter().filter(|partition| partition.name == name).collect(),
        None => partitions.iter().filter(|partition| partition.is_default).collect(),
    };
    let Some(first) = ours.first() else {
        return Err(match wish.partition {
            Some(name) => WishFault::NoPartition { name: name.to_owned(), known },
            None => WishFault::NoDefault { known },
        });
    };
    let name = || first.name.clone();
    if ours.iter().all(|partition| !partition.is_up) {
        return Err(WishFault::Down { name: name() });
    }
    if let (Some(asked), Some(limit)) = (wish.time, first.limit)
        && asked > limit
    {
        return Err(WishFault::TooLong { name: name(), asked, limit });
    }
    let most = ours.iter().map(|partition| partition.gpus).max().unwrap_or(0);
    if wish.gpus > most {
        return Err(WishFault::NoGpus { name: name(), asked: wish.gpus, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINFO: &str =
        "main*|up|1:00:00|gpu:2\nmain*|up|1:00:00|(null)\nlong|up|infinite|gpu:a100:4(S:0-1),nvme:1\nold|down|2-00:00:00|(null)\n";

    #[test]
    fn arrays_are_as_large_as_the_site_says_or_as_slurm_allows_by_itself() {
        assert_eq!(array_max("Configuration data as of 2026\nMaxArraySize            = 101\nMaxJobCount = 7\n"), 101);
        assert_eq!(array_max("Welcome!\n"), 1001);
        assert_eq!(array_max("MaxArraySize = 0"), 1001, "arrays are off: the submission will say so");
    }

    #[test]
    fn partitions_are_read_as_sinfo_prints_them() {
        let partitions = partitions(SINFO);
        assert_eq!(partitions.len(), 4);
        assert_eq!((partitions[0].is_default, partitions[0].limit, partitions[0].gpus), (true, Some(3_600_000), 2));
        assert_eq!((partitions[2].limit, partitions[2].gpus), (None, 4));
        assert!(!partitions[3].is_up);
    }

    #[test]
    fn a_job_that_would_never_start_is_not_submitted() {
        let partitions = partitions(SINFO);
        let wish = |partition, time, gpus| check(&Wish { partition, time, gpus }, &partitions).map_err(|fault| fault.to_string());
        assert_eq!(wish(None, Some(3_600_000), 2), Ok(()));
        assert_eq!(wish(Some("long"), Some(u64::MAX), 4), Ok(()));
        assert_eq!(wish(Some("main,old"), Some(u64::MAX), 9), Ok(()), "Slurm itself will say");
        assert!(wish(Some("gpu"), None, 0).unwrap_err().starts_with("there is no partition `gpu`; there are: main, long, old"));
        assert!(wish(None, Some(3_600_001), 0).unwrap_err().contains("jobs in partition `main` may take 1h at most"));
        assert!(wish(None, None, 3).unwrap_err().contains("nodes of partition `main` have 2 at most"));
        assert!(wish(Some("old"), None, 0).unwrap_err().contains("not up"));
        assert_eq!(check(&Wish::default(), &[]), Ok(()), "where nothing is known nothing is wrong");
    }
}
