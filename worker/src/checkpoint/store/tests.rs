use super::*;

const TRIAL: TrialId = TrialId(0);
const FIRST: Attempt = Attempt(1);

fn store() -> (tempfile::TempDir, Store, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("checkpoints"));
    let scratch = store.scratch(WorkerId(3)).unwrap();
    (folder, store, scratch)
}

fn written(scratch: &Path, content: &[u8]) -> PathBuf {
    let file = scratch.join("trial-0.attempt-1");
    fs::write(&file, content).unwrap();
    file
}

#[test]
fn a_state_is_found_under_the_hash_of_its_content_and_its_attempt() {
    let (folder, store, scratch) = store();
    let file = written(&scratch, b"abc");
    let stored = store.adopt(&file, TRIAL, FIRST).unwrap();
    assert_eq!(stored.id, format!("{}-1", blake3::hash(b"trial 0\nabc").to_hex()));
    assert_eq!(stored.bytes, 3);
    assert!(!file.exists());
    let path = store.open_verified(&stored.id, TRIAL).unwrap();
    assert_eq!(path, folder.path().join("checkpoints").join(&stored.id[..2]).join(&stored.id));
    assert_eq!(fs::read(path).unwrap(), b"abc");
}

#[test]
fn a_damaged_state_names_the_file_and_both_hashes() {
    let (_folder, store, scratch) = store();
    let stored = store.adopt(&written(&scratch, b"abc"), TRIAL, FIRST).unwrap();
    let path = store.open_verified(&stored.id, TRIAL).unwrap();
    fs::write(&path, b"abd").unwrap();
    let fault = store.open_verified(&stored.id, TRIAL).unwrap_err();
    let (expected, found) = (layout::hash(&stored.id).unwrap(), blake3::hash(b"trial 0\nabd").to_hex().to_string());
    assert!(matches!(&fault, CheckpointFault::Damaged { expected: was, found: is, .. } if was == expected && *is == found), "{fault}");
    assert!(fault.is_of_file());
    for part in [path.to_str().unwrap(), expected, &found] {
        assert!(fault.to_string().contains(part), "{fault}");
    }
    fs::write(&path, b"").unwrap();
    assert!(matches!(store.open_verified(&stored.id, TRIAL), Err(CheckpointFault::Damaged { .. })));
}

#[test]
fn what_is_not_there_is_absent() {
    let (_folder, store, scratch) = store();
    let stored = store.adopt(&written(&scratch, b"abc"), TRIAL, FIRST).unwrap();
    fs::remove_file(store.open_verified(&stored.id, TRIAL).unwrap()).unwrap();
    assert!(matches!(store.open_verified(&stored.id, TRIAL), Err(CheckpointFault::Absent { .. })));
    assert!(matches!(store.adopt(&scratch.join("never written"), TRIAL, FIRST), Err(CheckpointFault::Absent { .. })));
    assert!(matches!(store.adopt(&scratch, TRIAL, FIRST), Err(CheckpointFault::NoFile { what: "a folder", .. })), "a folder is no state");
    let link = scratch.join("link");
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    assert!(
        matches!(store.adopt(&link, TRIAL, FIRST), Err(CheckpointFault::NoFile { what: "a link", .. })),
        "a link would leave its target behind"
    );
}

#[test]
fn an_id_never_leads_out_of_the_store() {
    let (_folder, store, _) = store();
    let long = "../".repeat(21) + "a";
    for id in ["", "../../etc/passwd", &"A".repeat(64), &"g".repeat(64), &long] {
        assert!(matches!(store.open_verified(id, TRIAL), Err(CheckpointFault::BadId { .. })), "{id}");
    }
}

#[test]
fn what_a_crash_leaves_is_never_taken_for_a_state_and_is_swept_when_old() {
    let (folder, store, scratch) = store();
    assert_eq!(Store::new(folder.path().join("none yet")).sweep_stale(Duration::ZERO).unwrap(), 0);
    let file = written(&scratch, b"half of a sta");
    assert!(matches!(store.open_verified(&blake3::hash(b"half of a state").to_hex(), TRIAL), Err(CheckpointFault::Absent { .. })));
    assert_eq!(store.sweep_stale(Duration::from_secs(3600)).unwrap(), 0);
    assert!(file.exists(), "its worker may still be writing");
    age(&file);
    age(&scratch);
    assert_eq!(store.sweep_stale(Duration::from_secs(3600)).unwrap(), 1);
    assert!(!scratch.exists(), "an empty old folder goes too");
}

/// As if it had not changed since yesterday.
fn age(path: &Path) {
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    File::open(path).unwrap().set_modified(yesterday).unwrap();
}

/// Its `job.json` was once swept when another worker started, and no trainer of it began any more.
#[test]
fn old_files_of_a_worker_that_lives_stay() {
    let (_folder, store, scratch) = store();
    let (job, process) = (scratch.join("job.json"), scratch.join("process.json"));
    for file in [&job, &process] {
        fs::write(file, "{}").unwrap();
        age(file);
    }
    age(&scratch);
    // It has shown that it lives.
    File::open(&process).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_eq!(store.sweep_stale(Duration::from_secs(3600)).unwrap(), 0);
    assert!(job.exists() && process.exists());
}

#[test]
fn a_full_disk_says_so() {
    let full = at("write", Path::new("/x"))(io::Error::from(io::ErrorKind::StorageFull));
    assert!(matches!(full, CheckpointFault::Full { .. }));
    assert!(!full.is_of_file());
    assert_eq!(full.to_string(), "the disk is full: cannot store the checkpoint `/x`; free some space, then `hpo resume` goes on");
}

#[test]
fn equal_states_of_two_trials_are_two() {
    let (_folder, store, scratch) = store();
    let [one, other] = [TrialId(0), TrialId(1)].map(|trial| store.adopt(&written(&scratch, b"abc"), trial, FIRST).unwrap());
    fs::remove_file(store.open_verified(&one.id, TrialId(0)).unwrap()).unwrap();
    assert!(store.open_verified(&other.id, TrialId(1)).is_ok());
    assert!(matches!(store.open_verified(&other.id, TrialId(0)), Err(CheckpointFault::Damaged { .. })));
}

#[test]
fn equal_states_of_two_attempts_are_two_and_who_deletes_one_late_leaves_the_other() {
    let (_folder, store, scratch) = store();
    let [old, new] = [1, 2].map(|attempt| store.adopt(&written(&scratch, b"abc"), TRIAL, Attempt(attempt)).unwrap());
    fs::remove_file(store.open_verified(&old.id, TRIAL).unwrap()).unwrap();
    assert_eq!(fs::read(store.open_verified(&new.id, TRIAL).unwrap()).unwrap(), b"abc");
}

#[test]
fn a_state_of_an_earlier_version_is_found_under_its_hash_alone() {
    let (_folder, store, scratch) = store();
    let stored = store.adopt(&written(&scratch, b"abc"), TRIAL, FIRST).unwrap();
    let new = store.open_verified(&stored.id, TRIAL).unwrap();
    let hash = layout::hash(&stored.id).unwrap();
    let old = new.with_file_name(hash);
    fs::rename(new, &old).unwrap();
    assert_eq!(store.open_verified(hash, TRIAL).unwrap(), old);
}
