//! Drivers after and beside each other.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::journal::claim::{living_within, read};
use crate::process::Process;

#[test]
fn a_claim_shows_whether_its_driver_lives() {
    let folder = tempfile::tempdir().unwrap();
    let short = Duration::from_millis(300);
    let lives = || living_within(folder.path(), short).unwrap().map(|claim| claim.epoch);
    assert_eq!(lives(), None, "nobody was here");
    let fence = Fence::claim(folder.path(), 4).unwrap();
    assert_eq!((fence.epoch(), lives()), (5, Some(5)), "above the journal's, and alive");
    let path = folder.path().join("driver-epoch-5");
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| (0..200).for_each(|_| fence.end()));
        while !ending.is_finished() {
            let read = fs::read(&path).unwrap();
            assert!(serde_json::from_slice::<Claim>(&read).is_ok(), "half a claim: {}", String::from_utf8_lossy(&read));
        }
    });
    assert_eq!(lives(), None, "ended in good order, also while someone still holds it");
    drop(fence);
    assert_eq!(lives(), None);

    let mut claim = Claim { process: Process::me(), host: crate::process::host(), ..Claim::unknown(5) };
    claim.process.started += 1;
    fs::write(&path, serde_json::to_vec(&claim).unwrap()).unwrap();
    assert_eq!(lives(), None, "killed, and its number given to another process");
    claim.process.started -= 1;
    fs::write(&path, serde_json::to_vec(&claim).unwrap()).unwrap();
    assert_eq!(lives(), Some(5), "a claim of an earlier version");
    claim.machine = "another of the same name".into();
    fs::write(&path, serde_json::to_vec(&claim).unwrap()).unwrap();
    assert_eq!(lives(), None, "its process number says nothing here, and it does not touch its claim");
    claim.host = "elsewhere".into();
    fs::write(&path, serde_json::to_vec(&claim).unwrap()).unwrap();
    assert_eq!(lives(), None, "on another host, and it does not touch its claim");
    let (seen, patient) = (AtomicBool::new(false), Duration::from_secs(20));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !seen.load(Ordering::Relaxed) {
                File::options().write(true).open(&path).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
                std::thread::sleep(short);
            }
        });
        let living = living_within(folder.path(), patient).unwrap().map(|claim| claim.epoch);
        seen.store(true, Ordering::Relaxed);
        assert_eq!(living, Some(5), "on another host, and it does");
    });
}

#[test]
fn of_two_writers_the_older_is_fenced_off() {
    let case = Case::new();
    let replayed = replay(&case.path()).unwrap();
    let mut old = Writer::resume(&case.path(), &replayed, case.claim()).unwrap();
    let next = Record { seq: replayed.records + 1, at: replayed.last_at, event: Event::DriverStarted { epoch: 7 }, acts: vec![] };
    old.append(std::slice::from_ref(&next)).unwrap();
    // A successor comes between write and sync: the record is written, but must not be acted upon.
    let successor = case.claim();
    assert!(matches!(old.sync(), Err(JournalFault::TakenOver { by, .. }) if by.epoch == successor.epoch()));
    let fault = old.append(&[next]).unwrap_err();
    let by = format!("another driver (epoch 3, process {} on host `{}`) has taken over", std::process::id(), crate::process::host());
    assert!(fault.is_fenced() && fault.to_string().starts_with(&by), "it says who: {fault}");
    // Even one that slept through several.
    let (second, third) = (successor, case.claim());
    assert!(second.check().is_err() && old.sync().is_err());
    assert!(third.check().is_ok());
}

#[test]
fn of_many_claimants_of_one_epoch_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    for last in 0..20 {
        let claims: Vec<_> = std::thread::scope(|scope| {
            let claimants: Vec<_> = (0..8).map(|_| scope.spawn(|| Fence::claim_next(folder.path(), last))).collect();
            claimants.into_iter().map(|claimant| claimant.join().unwrap()).collect()
        });
        let won: Vec<&Fence> = claims.iter().flatten().collect();
        assert!(matches!(won[..], [fence] if fence.epoch() == last + 1 && fence.check().is_ok()), "{claims:?}");
        assert!(claims.iter().all(|claim| !matches!(claim, Err(fault) if !matches!(fault, JournalFault::Raced { .. }))));
    }
    // Whoever judged that epoch 7 is gone knows nothing of its successors.
    assert!(matches!(Fence::claim_next(folder.path(), 7), Err(JournalFault::Raced { .. })));
    fs::remove_file(folder.path().join("driver-epoch-8")).unwrap();
    assert!(matches!(Fence::claim_next(folder.path(), 7), Err(JournalFault::Raced { .. })), "not even if its claim was removed");
}

#[test]
fn a_claim_that_was_taken_from_its_driver_stays_so_whatever_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let old = Fence::claim(folder.path(), 0).unwrap();
    let new = Fence::claim_next(folder.path(), 1).unwrap();
    old.beat();
    old.end();
    let marked = read(folder.path(), 1).unwrap().unwrap();
    assert_eq!(marked.successor.map(|successor| successor.epoch), Some(2));
    assert!(!marked.ended && old.check().is_err() && new.check().is_ok());
    // Without the later claim in sight, as on a host whose directory entries are old.
    fs::rename(folder.path().join("driver-epoch-2"), folder.path().join("hidden")).unwrap();
    assert!(old.check().is_err(), "the mark alone is enough");
}

/// Goes on as the next driver: what it reads, and where it writes.
fn successor(case: &Case) -> (Replayed, Place, Writer) {
    let fence = Arc::new(case.claim());
    let place = Place::of(case.folder.path()).unwrap();
    let replayed = replay(&place.path()).unwrap();
    let (place, writer) = place.go_on(&replayed, fence).unwrap();
    (replayed, place, writer)
}

fn started(replayed: &Replayed, epoch: u32) -> Record {
    Record { seq: replayed.records + 1, at: replayed.last_at, event: Event::DriverStarted { epoch }, acts: vec![] }
}

#[test]
fn whatever_a_driver_writes_after_its_successor_came_goes_where_nobody_reads() {
    let case = Case::new();
    let (replayed, first, mut old) = successor(&case);
    assert_eq!(first, Place::first(case.folder.path()), "all before have ended: the file is the same");
    // It has looked at its claim and is about to write: this very process holds it, and lives.
    let mut late = File::options().append(true).open(first.path()).unwrap();
    let (_, place, mut new) = successor(&case);
    assert_eq!(place.path(), case.folder.path().join("journal-epoch-3.jsonl"));
    new.append(&[started(&replayed, 3)]).unwrap();
    new.sync().unwrap();
    let whole = case.bytes();
    late.write_all(b"{\"seq\":1,\"at\":0,\"event\":\"drain_asked\"}\n{\"torn").unwrap();
    late.set_len(10).unwrap();
    assert!(old.append(&[started(&replayed, 2)]).unwrap_err().is_fenced() && old.sync().is_err());
    assert_eq!(case.bytes(), whole, "the promised name leads to the successor's file");
    assert_eq!(fs::read(place.path()).unwrap(), whole);
    assert_eq!(verify(&case.path()).unwrap().events, replayed.records + 1);
    // It goes on so when the doubtful one is long gone; nothing is copied without need.
    drop((old, new));
    fs::remove_file(case.folder.path().join("driver-epoch-2")).unwrap();
    let (_, again, mut third) = successor(&case);
    assert_eq!(again, place, "a doubtful driver of before the copy cannot reach it");
    third.append(&[started(&replay(&place.path()).unwrap(), 4)]).unwrap();
    third.sync().unwrap();
    assert_eq!(case.bytes(), fs::read(place.path()).unwrap());
}

#[test]
fn a_driver_that_was_overtaken_while_it_took_over_harms_nothing() {
    let case = Case::new();
    // Claims, reads, and sleeps; its successor does it all.
    let slow = Arc::new(case.claim());
    let before = Place::of(case.folder.path()).unwrap();
    let replayed = replay(&before.path()).unwrap();
    let (_, place, mut new) = successor(&case);
    new.append(&[started(&replayed, slow.epoch() + 1)]).unwrap();
    new.sync().unwrap();
    let whole = case.bytes();
    assert!(before.go_on(&replayed, slow.clone()).unwrap_err().is_fenced(), "it notices");
    // Even one that is past all its looks, and names a copy of its own.
    fs::copy(case.folder.path().join("driver-epoch-1"), case.folder.path().join("journal-epoch-2.jsonl")).unwrap();
    fs::remove_file(case.path()).unwrap();
    fs::write(case.path(), "what it had read").unwrap();
    assert_eq!(Place::of(case.folder.path()).unwrap(), place, "the newest counts");
    assert_eq!(crate::rundir::RunDir::new(case.folder.path()).journal(), place.path());
    place.mend().unwrap();
    assert_eq!(case.bytes(), whole, "its successor puts the name right");
    // Where the file system numbers the two names apart, that is done with each beat, and must leave nothing behind.
    let names = || fs::read_dir(case.folder.path()).unwrap().count();
    let before = names();
    place.name().unwrap();
    assert_eq!((case.bytes(), names()), (whole, before));
    assert!(new.append(&[]).is_ok());
}

#[test]
fn a_driver_whose_disk_refused_or_that_was_killed_did_not_end_in_good_order() {
    let case = Case::new();
    let replayed = replay(&case.path()).unwrap();
    // A disk that takes nothing.
    let full = File::options().append(true).open("/dev/full").unwrap();
    let mut writer = Writer::on(&case.path(), Disk::of(full, case.claim()), 0);
    assert!(writer.append(&[started(&replayed, 2)]).is_err());
    drop(writer);
    let folder = case.folder.path();
    assert!(!read(folder, 2).unwrap().unwrap().ended, "what it wrote is known to nobody");
    let (_, place, writer) = successor(&case);
    assert_eq!(place.path(), folder.join("journal-epoch-3.jsonl"), "so nobody writes behind it");
    drop(writer);
    let (_, same, writer) = successor(&case);
    assert_eq!(same, place, "the third ended in good order");
    drop(writer);
    // Killed: its process is dead, and that is all that is known of it.
    let path = folder.join("driver-epoch-4");
    let mut killed = read(folder, 4).unwrap().unwrap();
    (killed.ended, killed.process.started) = (false, killed.process.started + 1);
    fs::write(&path, serde_json::to_vec(&killed).unwrap()).unwrap();
    assert!(living_within(folder, Duration::from_millis(50)).unwrap().is_none());
    let (_, place, _writer) = successor(&case);
    assert_eq!(place.path(), folder.join("journal-epoch-5.jsonl"));
}
