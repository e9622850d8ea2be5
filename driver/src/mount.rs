//! What the file system under a run folder is known not to keep of what `journal/FORMAT.md` asks of it.
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where Linux lists what is mounted.
const MOUNTS: &str = "/proc/self/mounts";
/// Shops of objects that are dressed as files: a rename is a copy, an append a new object.
const OBJECT_STORES: [&str; 5] = ["fuse.s3fs", "fuse.goofys", "fuse.rclone", "fuse.gcsfuse", "fuse.geesefs"];

/// Why another host may see an old journal in `folder`, or a half-made one, and what to do; none if no reason is known.
#[must_use]
pub fn doubt(folder: &Path) -> Option<String> {
    // The folder may not be there yet: where it will be made decides.
    let there = folder.ancestors().map(|at| if at.as_os_str().is_empty() { Path::new(".") } else { at });
    let place = there.filter_map(|at| fs::canonicalize(at).ok()).next()?;
    doubt_among(&fs::read(MOUNTS).ok()?, &place)
}

/// `mounts` as in fstab(5): source, mount point, kind, options, ...; the last that covers `place` counts.
fn doubt_among(mounts: &[u8], place: &Path) -> Option<String> {
    let covers = |line: &&[u8]| mount_point(line).is_some_and(|point| place.starts_with(point));
    let depth = |line: &&[u8]| mount_point(line).map_or(0, |point| point.components().count());
    // Of equally deep ones `max_by_key` takes the last, which lies on top.
    let line = mounts.split(|byte| *byte == b'\n').filter(covers).max_by_key(depth)?;
    let mut fields = line.split(|byte| *byte == b' ').skip(2).map(String::from_utf8_lossy);
    let (kind, options) = (fields.next()?, fields.next().unwrap_or_default());
    let why = if kind.starts_with("nfs") && options.split(',').any(|option| option == "nocto") {
        "NFS mounted with `nocto`, where a host may read a journal as it was a minute ago: mount it without, or"
    } else if kind == "fuse.sshfs" {
        "sshfs, where a host may read a journal as it was twenty seconds ago: mount it with `dir_cache=no`, or"
    } else if OBJECT_STORES.contains(&&*kind) {
        "an object store, which has no appending and no renaming:"
    } else {
        return None;
    };
    Some(format!("`{}` is on {why} keep runs elsewhere; a driver on another host could lose reports", place.display()))
}

/// The mount point in a line, with its `\040` for a blank and the like undone.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let mut field = line.split(|byte| *byte == b' ').nth(1)?;
    let mut name = Vec::with_capacity(field.len());
    while let Some((&first, rest)) = field.split_first() {
        let code = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) if first == b'\\' => {
                name.push(byte);
                field = &rest[3..];
            }
            _ => {
                name.push(first);
                field = rest;
            }
        }
    }
    (!name.is_empty() && name[0] == b'/').then(|| PathBuf::from(OsString::from_vec(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = r"/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2,hard,nocto,proto=tcp 0 0
server:/scratch /scratch nfs rw,vers=3,hard,noctopus 0 0
me@login:/data /mnt/far\040away fuse.sshfs rw,nosuid,user_id=0 0 0
bucket /mnt/bucket fuse.s3fs rw 0 0
tmpfs /home/local tmpfs rw 0 0
nonsense
";

    fn on(place: &str) -> Option<String> {
        doubt_among(MOUNTS.as_bytes(), Path::new(place))
    }

    #[test]
    fn file_systems_that_show_hosts_an_old_journal_are_named() {
        assert!(on("/home/me/runs/a").unwrap().contains("`nocto`"));
        assert!(on("/mnt/far away/runs").unwrap().contains("`dir_cache=no`"));
        assert!(on("/mnt/bucket").unwrap().contains("an object store"));
        for fine in ["/", "/scratch/runs", "/home/local/runs", "/homes/runs", "/mnt/far"] {
            assert_eq!(on(fine), None, "{fine}");
        }
        assert_eq!(doubt_among(b"", Path::new("/home")), None);
        assert!(doubt_among(b"a /x\\9 nfs nocto", Path::new("/x\\9")).is_some());
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_where_it_will_be() {
        assert_eq!(doubt(&tempfile::tempdir().unwrap().path().join("runs/new")), None);
    }
}
