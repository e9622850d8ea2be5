use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hpo_core::{Event, Stamp, Sweep};

use super::claim::{living_within, read};
use super::*;
use crate::process::Process;
use crate::testing::{header, history, spec};

/// A run folder with the journal of a whole sweep.
struct Case {
    folder: tempfile::TempDir,
    records: Vec<Record>,
}

impl Case {
    fn new() -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap(), records: history(&spec(4)) };
        let mut writer = Writer::create(&case.path(), &header(spec(4)), case.claim()).unwrap();
        writer.append(&case.records).unwrap();
        writer.sync().unwrap();
        case
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.jsonl")
    }

    fn claim(&self) -> Fence {
        Fence::claim(self.folder.path(), 0).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// A copy of the journal with other content.
    fn with(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("copy.jsonl");
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Where each line begins, and the end.
    fn starts(&self) -> Vec<usize> {
        let bytes = self.bytes();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        std::iter::once(0).chain(ends).collect()
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.bytes()).unwrap().split_inclusive('\n').map(str::to_owned).collect()
    }
}

fn digest(records: &[Record]) -> u64 {
    let mut sweep = Sweep::new(spec(4));
    records.iter().for_each(|record| sweep.apply(record.at, &record.event, &mut vec![]));
    sweep.digest()
}

fn damage(path: &Path) -> (u64, Damage) {
    match replay(path).unwrap_err() {
        JournalFault::Damaged { line, damage, .. } => (line, damage),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_written_replays_to_the_same_sweep() {
    let case = Case::new();
    let replayed = replay(&case.path()).unwrap();
    assert_eq!(replayed.header, header(spec(4)));
    assert_eq!(replayed.records, case.records.len() as u64);
    assert_eq!((replayed.last_at, replayed.torn), (case.records.last().unwrap().at, None));
    assert_eq!(replayed.sweep.digest(), digest(&case.records));
    assert_eq!(verify(&case.path()).unwrap().events, replayed.records);
    let read: Vec<Record> = Reader::open(&case.path()).unwrap().1.map(|entry| entry.unwrap().record).collect();
    assert_eq!(read, case.records);
    let mode = fs::metadata(case.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "a journal is private");
    for line in case.lines() {
        let _: serde_json::Value = serde_json::from_str(&line).unwrap();
    }
    assert!(matches!(Writer::create(&case.path(), &header(spec(4)), case.claim()), Err(JournalFault::Exists { .. })));
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_journal_goes_on() {
    let case = Case::new();
    let (whole, starts) = (case.bytes(), case.starts());
    let (last, end) = (starts[starts.len() - 2], whole.len());
    let before = digest(&case.records[..case.records.len() - 1]);
    for cut in last..end {
        fs::write(case.path(), &whole[..cut]).unwrap();
        let replayed = replay(&case.path()).unwrap();
        let torn = (cut > last).then(|| Torn { line: starts.len() as u64 - 1, bytes: (cut - last) as u64 });
        assert_eq!((replayed.torn, replayed.sweep.digest()), (torn, before), "cut at {cut}");
        let mut writer = Writer::resume(&case.path(), &replayed, case.claim()).unwrap();
        writer.append(&case.records[case.records.len() - 1..]).unwrap();
        writer.sync().unwrap();
        assert_eq!(case.bytes(), whole, "cut at {cut}");
    }
}

#[test]
fn a_last_line_with_a_wrong_checksum_counts_as_torn() {
    let case = Case::new();
    let mut bytes = case.bytes();
    let starts = case.starts();
    let last = starts[starts.len() - 2];
    bytes[last + 10] ^= 1;
    let replayed = replay(&case.with(&bytes)).unwrap();
    assert_eq!(replayed.torn, Some(Torn { line: starts.len() as u64 - 1, bytes: (bytes.len() - last) as u64 }));
    // A power failure can leave a hole of zeros where the last line should be.
    bytes[last..].fill(0);
    assert!(replay(&case.with(&bytes)).unwrap().torn.is_some());
}

#[test]
fn a_flipped_bit_in_the_middle_is_refused_with_its_line() {
    let case = Case::new();
    let (whole, starts) = (case.bytes(), case.starts());
    for line in [1, 2, 7] {
        for at in starts[line - 1]..starts[line] {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let (found, damage) = damage(&case.with(&bytes));
                assert_eq!(found, line as u64, "bit {bit} of byte {at}: {damage}");
            }
        }
    }
    let mut bytes = whole;
    bytes[starts[6] + 20] ^= 4;
    let text = replay(&case.with(&bytes)).unwrap_err().to_string();
    assert!(text.contains("is damaged in line 7: its checksum is "), "{text}");
}

#[test]
fn a_missing_or_doubled_or_exchanged_line_is_refused() {
    let case = Case::new();
    let lines = case.lines();
    let altered = |change: &dyn Fn(&mut Vec<String>)| {
        let mut altered = lines.clone();
        change(&mut altered);
        damage(&case.with(altered.concat().as_bytes()))
    };
    let missing = altered(&|lines| drop(lines.remove(4)));
    assert!(matches!(missing, (5, Damage::Gap { expected: 4, found: 5 })), "{missing:?}");
    let doubled = altered(&|lines| lines.insert(4, lines[4].clone()));
    assert!(matches!(doubled, (6, Damage::Gap { expected: 5, found: 4 })), "{doubled:?}");
    let exchanged = altered(&|lines| lines.swap(4, 5));
    assert!(matches!(exchanged, (5, Damage::Gap { expected: 4, found: 5 })), "{exchanged:?}");
}

#[test]
fn what_is_no_journal_is_said_clearly() {
    let case = Case::new();
    let first = case.lines().remove(0);
    for cut in [0, 1, first.len() - 1] {
        assert!(matches!(replay(&case.with(&first.as_bytes()[..cut])), Err(JournalFault::NoHeader { .. })), "cut at {cut}");
    }
    let line = |value: serde_json::Value| {
        let mut bytes = vec![];
        line::encode(&value, &mut bytes).unwrap();
        case.with(&bytes)
    };
    let newer = replay(&line(serde_json::json!({ "format": 2, "other": true }))).unwrap_err();
    assert!(matches!(newer, JournalFault::Format { found: 2, known: 1, .. }), "{newer}");
    assert!(matches!(damage(&line(serde_json::json!({ "format": 1 }))), (1, Damage::NotARecord(_))));
    assert!(matches!(damage(&case.with(b"hello\nworld\n")), (1, Damage::NoChecksum)));
    assert!(matches!(replay(Path::new("/nowhere/journal.jsonl")), Err(JournalFault::Io { doing: "open", .. })));
}

#[test]
fn an_event_that_the_sweep_refuses_and_time_that_runs_back_are_refused() {
    let case = Case::new();
    let rewritten = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut records = case.records.clone();
        change(&mut records);
        let mut bytes = case.lines()[0].clone().into_bytes();
        records.iter().for_each(|record| line::encode(record, &mut bytes).unwrap());
        case.with(&bytes)
    };
    let refused = replay(&rewritten(&|records| records[1].event = Event::DriverStarted { epoch: 1 })).unwrap_err();
    assert!(matches!(refused, JournalFault::Refused { line: 3, .. }), "{refused}");
    let reversed = damage(&rewritten(&|records| records[5].at = Stamp(0)));
    assert!(matches!(reversed, (7, Damage::TimeReversed)), "{reversed:?}");
    let other = verify(&rewritten(&|records| records[1].acts[0] = "suggest 9".into())).unwrap_err();
    assert_eq!(other.line(), Some(3));
    let text = other.to_string();
    assert_eq!(text, "line 3: on this event the sweep decides [suggest 0; suggest 1], but the journal has [suggest 9; suggest 1]");
}

#[test]
fn a_full_disk_is_a_fault_that_says_what_to_do() {
    let case = Case::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut writer = Writer::on(&case.path(), writer::Disk::of(full, case.claim()), 0);
    let fault = writer.append(&case.records).unwrap_err();
    assert!(matches!(fault, JournalFault::Full { .. }), "{fault:?}");
    assert!(fault.to_string().ends_with("no space left; free some, then go on with `hpo resume`"), "{fault}");
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
fn a_writer_notices_that_someone_else_wrote() {
    let case = Case::new();
    let replayed = replay(&case.path()).unwrap();
    let mut writer = Writer::resume(&case.path(), &replayed, case.claim()).unwrap();
    File::options().append(true).open(case.path()).unwrap().write_all(b"x").unwrap();
    assert!(matches!(writer.append(&[]), Err(JournalFault::Foreign { .. })));
}

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
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(short / 3);
            File::options().write(true).open(&path).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
        });
        assert_eq!(lives(), Some(5), "on another host, and it does");
    });
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
    let fence = std::sync::Arc::new(case.claim());
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
    let slow = std::sync::Arc::new(case.claim());
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
    assert!(new.append(&[]).is_ok());
}

#[test]
fn the_examples_in_the_format_page_are_true() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/journal/FORMAT.md")).unwrap();
    let examples: String = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("json\n")).collect();
    let case = Case::new();
    let path = case.with(examples.as_bytes());
    let verified = verify(&path).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(verified.events >= 12 && verified.torn.is_none(), "{verified:?}");
    for name in [
        "driver_started",
        "suggested",
        "exhausted",
        "worker_joined",
        "worker_left",
        "worker_lost",
        "started",
        "reported",
        "reached",
        "ended",
        "drain_asked",
        "ticked",
    ] {
        assert!(page.contains(&format!("\n| `{name}` |")), "{name} is not explained");
    }
}
