use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hpo_core::{Event, Stamp, Sweep};

use super::*;
use crate::testing::{header, history, spec};

mod succession;

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
fn a_writer_notices_that_someone_else_wrote() {
    let case = Case::new();
    let replayed = replay(&case.path()).unwrap();
    let mut writer = Writer::resume(&case.path(), &replayed, case.claim()).unwrap();
    File::options().append(true).open(case.path()).unwrap().write_all(b"x").unwrap();
    assert!(matches!(writer.append(&[]), Err(JournalFault::Foreign { .. })));
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
        "worker_leaving",
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
