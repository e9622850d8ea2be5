//! Journals: read, lived through again, verified, reported. As raw bytes, most of which fail at their checksums; and as
//! lines that get a number, a stamp and a checksum, behind which anything may stand.
use hpo_core::TrialId;
use hpo_driver::journal::{replay, verify};
use hpo_driver::report::{Inputs, Report, Why};
use hpo_driver::rundir::RunDir;
use serde_json::Value;

use crate::{Found, Target, scratch};

const WORDS: &[&str] = &[
    "\"event\":\"",
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
    "preempted",
    "failed",
    "stopped",
    "lost",
    "\"holds\":[]",
    "milli_gpus",
    "asha-promote",
    "asha-stop",
    "hyperband",
    "hyperband-async",
    "halving",
    "median",
    "pasha",
    "swift",
    "fifo",
    "\"anchor\":\"top\",",
    "min_resource",
    "max_resource",
    "\"max_trials\":",
    "\"reserved\":",
    "\"wall\":",
    "\"target\":",
    "weights",
    "\"checkpoint\":null",
];

pub(crate) const RAW: Target =
    Target { name: "journal", run: run_raw, examples: examples_raw, found: &[], words: WORDS, bytes_per_byte: 2048 };

pub(crate) const SEALED: Target =
    Target { name: "journal-sealed", run: run_sealed, examples, found: FOUND, words: WORDS, bytes_per_byte: 8192 };

const FOUND: &[Found] = &[];

/// The page of the format, whose lines are those of a whole journal.
const PAGE: &str = include_str!("../../../../driver/src/journal/FORMAT.md");

fn page() -> String {
    PAGE.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("json\n")).collect()
}

/// The lines of the page under each scheduler.
fn examples() -> Vec<Vec<u8>> {
    let ladder = r#""ladder":{"min_resource":1,"max_resource":9,"eta":3}"#;
    let of = |kind: &str, more: &str| page().replace(r#""kind":"asha-promote","#, &format!(r#""kind":"{kind}",{more}"#)).into_bytes();
    assert!(page().contains(ladder));
    vec![
        of("asha-promote", ""),
        of("asha-stop", ""),
        of("fifo", ""),
        of("halving", r#""bracket":3,"#),
        of("hyperband", ""),
        of("hyperband-async", r#""weights":[3,2,1],"#),
        of("pasha", ""),
        of("median", r#""min_trials":1,"#),
        of("swift", r#""decide_at":0.5,"margin":0.1,"#),
    ]
}

fn examples_raw() -> Vec<Vec<u8>> {
    let page = page().into_bytes();
    vec![page.clone(), page[..page.len() - 5].to_vec(), seal(&examples()[4])]
}

/// Gives each line what a reader asks for first.
fn seal(data: &[u8]) -> Vec<u8> {
    let mut sealed = vec![];
    let mut last_at = 0;
    for (number, line) in data.split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let mut body = line.to_vec();
        if let Ok(Value::Object(mut record)) = serde_json::from_slice(line) {
            record.remove("crc");
            if number > 0 {
                last_at = record.get("at").and_then(Value::as_u64).unwrap_or(0).max(last_at);
                record.insert("seq".to_owned(), number.into());
                record.insert("at".to_owned(), last_at.into());
            }
            body = serde_json::to_vec(&record).expect("a record is JSON");
        }
        body.pop();
        let crc = crc32c::crc32c(&body);
        sealed.extend(body);
        sealed.extend(format!(",\"crc\":\"{crc:08x}\"}}\n").into_bytes());
    }
    sealed
}

fn run_raw(data: &[u8]) {
    let run = RunDir::new(scratch::folder());
    scratch::file("journal.jsonl", data);
    match (replay(&run.journal()), Report::read(&run, &Inputs::default())) {
        (Ok(replayed), Ok(_)) => assert!(replayed.whole_bytes <= data.len() as u64),
        (Err(fault), Err(_)) => assert!(!fault.to_string().is_empty()),
        (replayed, report) => panic!("{:?} against {:?}", replayed.err(), report.err()),
    }
}

fn run_sealed(data: &[u8]) {
    let run = RunDir::new(scratch::folder());
    scratch::file("journal.jsonl", seal(data));
    let Ok(replayed) = replay(&run.journal()) else { return };
    replayed.sweep.check();
    // What it decided then need not be what it decides now.
    if let Err(fault) = verify(&run.journal()) {
        assert!(fault.line().is_some(), "{fault}");
    }
    let report = Report::read(&run, &Inputs { price: Some(1.5), driver: None }).expect("a journal that replays has a report");
    assert!(!report.status_text().is_empty() && !report.summary_text(None).is_empty());
    serde_json::to_string(&report.status_line()).expect("a status is JSON");
    serde_json::to_string(&report.line()).expect("a report is JSON");
    report.write(&run).expect("a report can be written");
    for trial in replayed.sweep.trials().map(|trial| trial.id).take(3).chain([TrialId(u32::MAX)]) {
        if let Ok(why) = Why::read(&run, trial, false) {
            assert!(!why.text().is_empty());
            serde_json::to_string(&why.line()).expect("an answer is JSON");
        }
    }
}
