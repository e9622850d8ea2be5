//! Whether the kernel killed something of ours because memory ran out.
use std::path::PathBuf;

/// Out-of-memory kills in this process's control group (cgroup v2) so far; `None` where that cannot be known.
pub(super) fn oom_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let events = std::fs::read_to_string(events_file(&groups)?).ok()?;
    count(&events)
}

/// cgroup v2 has one line, `0::/path`.
fn events_file(groups: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from("/sys/fs/cgroup").join(path).join("memory.events"))
}

fn count(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let groups = "1:cpu:/x\n0::/system.slice/slurmstepd.scope/job_7\n";
        assert_eq!(events_file(groups).unwrap(), PathBuf::from("/sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/memory.events"));
        assert_eq!(events_file("1:cpu:/x\n"), None);
        assert_eq!(count("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(count(""), None);
    }
}
