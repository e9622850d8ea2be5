//! Reports of small sweeps with a known history.
pub(super) mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hpo_core::sweep::idle::{Idle, RungBarrier};
use hpo_core::{Event, Goal, Resource, TrialId};
use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::journal::{Fence, Writer};
use world::{World, alive, spec, whole};

fn card(trial: u32, format: &str) -> String {
    let parity = r#"{"max_abs_diff":2.5e-6,"argmax_agreement":1.0,"examples":1000,"runtime":{"name":"tract","version":"0.5.0"}}"#;
    let test = r#"{"loss":0.21,"accuracy":0.975,"examples":1000}"#;
    format!(
        r#"{{"card":1,"format":"{format}","file":"trial-{trial}.{format}","id":"00ff","trial":{trial},"sweep_id":"0123456789abcdef0123456789abcdef",
            "metrics":{{"validation":{{"val_loss":0.2}},"test":{test}}},"parity":{parity},"refused":null,"new":{{}}}}"#
    )
}

fn cards() -> Vec<ModelCard> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("trial-3.card.json"), card(3, "onnx")).unwrap();
    let mut cards = ModelCard::read_all(folder.path(), "0123456789abcdef0123456789abcdef");
    cards[0].path = "runs/digits/models/trial-3.onnx".into();
    cards
}

fn json(report: &Report) -> Value {
    serde_json::to_value(report.line()).unwrap()
}

#[test]
fn a_whole_sweep_in_every_form() {
    let report = whole().report(cards(), &Inputs { price: Some(2.5), driver: None });
    let written = Written { md: "report.md".into(), html: "runs/digits/report/report.html".into(), csv: "trials.csv".into() };
    assert_snapshot!("markdown", markdown::page(&report));
    assert_snapshot!("summary", report.summary_text(Some(&written)));
    assert_snapshot!("csv", String::from_utf8(csv::trials(&report).unwrap()).unwrap());
    assert_snapshot!("json", serde_json::to_string_pretty(&report.line()).unwrap());
}

/// `cli.md` promises these names; what follows them may grow.
#[test]
fn the_line_begins_with_what_is_promised() {
    let text = serde_json::to_string(&whole().report(cards(), &Inputs::default()).line()).unwrap();
    let promised = ["sweep", "state", "trials", "best", "unit", "hours", "gain_per_hour", "resource", "attempts", "model"];
    let places: Vec<usize> = promised.iter().map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    let line: Value = serde_json::from_str(&text).unwrap();
    let has = |of: &str, names: &[&str]| names.iter().all(|name| line[of].get(name).is_some());
    assert!(has("trials", &["total", "finished", "paused", "stopped", "failed"]));
    assert!(has("best", &["trial", "metric", "test", "params"]));
    assert!(has("hours", &["reserved", "winner", "explored", "stopped", "redone", "restore", "checkpoint", "startup", "idle", "drain"]));
    assert!(has("attempts", &["finished", "preempted", "lost", "failed"]));
    assert!(has("model", &["path", "max_abs_diff", "argmax_agreement", "runtime"]));
    assert_eq!(line["best"]["test"], 0.21);
}

#[test]
fn categories_sum_to_what_was_reserved_to_the_millisecond() {
    for end in [5_000, 100_000, 255_000, 300_000, u64::MAX] {
        let report = whole_until(end).report(vec![], &Inputs::default());
        let line = json(&report);
        let hours = line["hours"].as_object().unwrap();
        let of = |name: &str| hours[name].as_f64().unwrap();
        let sum: f64 = hours.iter().filter(|(name, _)| *name != "reserved").map(|(_, hours)| hours.as_f64().unwrap()).sum();
        assert!((sum - of("reserved")).abs() * 3.6e6 < 0.5, "{line}");
        assert!((of("reserved") * 3.6e9 - report.view.uses.reserved as f64).abs() < 500.0, "{line}");
    }
}

fn whole_until(end: u64) -> World {
    let mut world = World::new(spec());
    world.broken.insert(4);
    world.will_join(1_000, 1, "node1-100");
    world.will_join(1_500, 2, "node2-200");
    world.will(250_000, Event::WorkerLost { worker: world::worker(2) });
    world.run(end)
}

#[test]
fn a_sweep_in_which_nothing_happened() {
    let report = World::new(spec()).run(20).report(vec![], &Inputs::default());
    let line = json(&report);
    assert_eq!((&line["best"], &line["gain_per_hour"], &line["model"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&line["state"], &line["hours"]["reserved"]), (&Value::from("stopped"), &Value::from(0.0)));
    assert!(!report.has_result());
    assert_snapshot!("empty_markdown", markdown::page(&report));
    assert_snapshot!("empty_summary", report.summary_text(None));
    well_formed(&html::page(&report));
}

#[test]
fn every_trial_failed_and_none_counts_as_a_result() {
    let mut world = World::new(spec());
    world.broken.extend(0..12);
    world.will_join(1_000, 1, "node1-100");
    let report = world.run(u64::MAX).report(vec![], &Inputs::default());
    let line = json(&report);
    assert_eq!((&line["state"], &line["best"], &line["trials"]["failed"]), (&Value::from("finished"), &Value::Null, &Value::from(12)));
    assert_eq!(line["hours"]["winner"], 0.0);
    let text = report.summary_text(None);
    assert!(text.contains("Trial 0 failed: the loss is not a number [31m <b> (11 more;"), "{text}");
    assert!(!text.contains('\u{1b}'), "no word from outside moves the cursor");
    assert!(String::from_utf8(csv::trials(&report).unwrap()).unwrap().lines().count() == 13);
    well_formed(&html::page(&report));
}

#[test]
fn status_tells_what_runs_and_why_nothing_does() {
    let idle = |world: World, inputs: &Inputs| world.report(vec![], inputs).idle_because();
    assert_snapshot!("status", whole_until(100_000).report(vec![], &alive(101_000)).status_text());
    assert_snapshot!(
        "status_json",
        serde_json::to_string_pretty(&whole_until(100_000).report(vec![], &alive(101_000)).status_line()).unwrap()
    );
    assert_snapshot!("status_dead", whole_until(100_000).report(vec![], &Inputs::default()).status_text());
    let because = |world: World, inputs: &Inputs| idle(world, inputs).unwrap();
    assert_eq!(idle(whole_until(100_000), &alive(101_000)), None);
    assert_eq!(because(whole_until(100_000), &Inputs::default()), "no driver is running");
    assert_eq!(because(World::new(spec()).run(20), &alive(20)), "no worker is connected");
    assert_eq!(because(whole_until(1_001), &alive(1_001)), "waiting for the searcher to propose trial 0");
    assert_eq!(because(whole(), &alive(9_000_000)), "the sweep has ended: the target is reached");
    let mut stopping = World::new(spec());
    stopping.will_join(1_000, 1, "node1-100");
    stopping.will(10_000, Event::DrainAsked);
    assert_eq!(because(stopping.run(10_000), &alive(10_001)), "the sweep is stopping for now: trial 0 saves its state and leaves");
    let mut lost = World::new(spec());
    lost.will_join(1_000, 1, "node1-100");
    lost.will(10_000, Event::WorkerLost { worker: world::worker(1) });
    assert_eq!(because(lost.run(10_000), &alive(10_001)), "no worker is connected; 1 trial waits for one");
}

#[test]
fn status_names_what_free_slots_wait_for() {
    let few = |max_trials| {
        let mut few = spec();
        few.budget.max_trials = Some(max_trials);
        let mut few = World::new(few);
        few.will_join(1_000, 1, "node1-100");
        few.will_join(1_000, 2, "node2-200");
        few
    };
    let because = |world: World, at: u64| world.report(vec![], &alive(at + 1)).idle_because().unwrap();
    assert_eq!(
        because(few(1).run(20_000), 20_000),
        "no further trial starts (`max_trials` is 1); trial 0 still runs and decides who goes on"
    );
    // A new driver that has heard of neither worker.
    let mut anew = few(12);
    anew.will(1_001, Event::DriverStarted { epoch: 2 });
    assert_eq!(because(anew.run(1_001), 1_001), "2 slots wait until this driver has heard of node1-100, node2-200");
    let barrier = |bracket, coming: &[u32], to_come| {
        let trials = coming.iter().copied().map(TrialId).collect();
        status::idle(&Idle::Barrier(RungBarrier { bracket, resource: Resource(9), trials, to_come }), "")
    };
    assert_eq!(barrier(2, &[4, 7, 9], 0), "the rung at resource 9 of bracket 2 waits for trials 4, 7, 9");
    assert_eq!(barrier(0, &[4], 1), "the rung at resource 9 waits for trial 4 and 1 new trial");
    assert_eq!(barrier(1, &[], 5), "the rung at resource 9 of bracket 1 waits for 5 new trials");
    let many: Vec<u32> = (0..20).collect();
    assert_eq!(barrier(0, &many, 0), "the rung at resource 9 waits for trials 0, 1, 2, 3, 4, 5, 6, 7 and 12 more");
    let doubt = status::idle(&Idle::Doubt { failed: 5 }, "trial 7 still runs and decides who goes on");
    assert!(doubt.starts_with("5 trials have failed and none has ever reported"), "{doubt}");
    let used_up = status::idle(&Idle::NoMore { started: 6, exhausted: true }, "none runs");
    assert_eq!(used_up, "the searcher has nothing more to propose after 6 trials; none runs");
}

#[test]
fn reserved_time_counts_to_now_while_a_driver_lives_and_else_to_the_last_event() {
    let reserved = |inputs: &Inputs| whole_until(1_600).report(vec![], inputs).view().uses.reserved / 1000;
    let last = reserved(&Inputs::default());
    assert_eq!(reserved(&alive(11_600)), (11_600 - 1_000) + (11_600 - 1_500));
    assert!(last < 700, "{last}");
    // A clock that was set back shows the last event, not a moment before it.
    assert_eq!(reserved(&alive(0)), last);
}

#[test]
fn a_gain_is_positive_in_both_directions() {
    let mut larger = spec();
    larger.goal = Goal::Maximize;
    larger.budget.target = None;
    let mut world = World::new(larger);
    world.will_join(1_000, 1, "node1-100");
    let up = world.run(100_000).report(vec![], &Inputs::default());
    let best = up.view().best.as_ref().unwrap();
    assert_eq!((best.trial, best.metric), (TrialId(2), 2.4));
    let figures = up.figures();
    assert_eq!(figures.baseline, Some(Baseline { trial: TrialId(0), metric: 1.2, full: false }));
    assert!((figures.gain_per_hour.unwrap() - 1.2 / figures.hours).abs() < 1e-9);
    assert!(up.history.curve.windows(2).all(|pair| pair[0].metric < pair[1].metric));
    let down = whole().report(vec![], &Inputs::default());
    assert!(down.figures().gain_per_hour.unwrap() >= 0.0);
    assert!(down.history.curve.windows(2).all(|pair| pair[0].metric > pair[1].metric && pair[0].reserved <= pair[1].reserved));
}

#[test]
fn gpus_are_counted_as_gpu_hours() {
    let mut world = World::new(spec());
    world.milli_gpus = 250;
    // After the driver, which starts at 10: what joined an earlier driver counts only once it is heard of again.
    world.will_join(20, 1, "node1-100");
    let report = world.run(3_600_000 / 40).report(vec![], &Inputs { price: Some(8.0), driver: None });
    let line = json(&report);
    assert_eq!(line["unit"], "gpu");
    let quarter = (report.view().at.0 - 20) as f64 / 4.0 / 3.6e6;
    assert!((line["hours"]["reserved"].as_f64().unwrap() - quarter).abs() < 1e-9);
    assert!((line["cost"].as_f64().unwrap() - 8.0 * quarter).abs() < 1e-9);
    assert!(report.summary_text(None).contains("GPU-hours"));
}

#[test]
fn the_page_is_well_formed_needs_nothing_else_and_escapes_everything() {
    let hostile = whole();
    let mut header = hostile.header();
    header.searcher = "<img src=x onerror=alert(1)>".to_owned();
    let mut cards = cards();
    cards[0].runtime = Some("\"><script>alert(2)</script>".to_owned());
    let report = Report::new(header, hostile.sweep, hostile.history, cards, &Inputs::default());
    let page = html::page(&report);
    let elements = well_formed(&page);
    assert_eq!(elements.iter().filter(|name| *name == "script").count(), 1);
    assert!(!elements.iter().any(|name| ["img", "c", "link", "iframe"].contains(&name.as_str())), "{elements:?}");
    assert!(elements.iter().filter(|name| *name == "svg").count() == 2);
    let ours = page.replace("&lt;img src=x", "");
    for outside in ["http:", "https:", "url(", "@import", "src="] {
        assert!(!ours.contains(outside), "{outside}");
    }
    assert!(page.contains("a|b&lt;c&gt;"));
}

/// Parses the page as XML, for which its void elements are closed; returns the names of its elements.
fn well_formed(page: &str) -> Vec<String> {
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let closed = body.replace("charset=\"utf-8\">", "charset=\"utf-8\"/>").replace("initial-scale=1\">", "initial-scale=1\"/>");
    let tree = roxmltree::Document::parse(&closed).unwrap_or_else(|fault| panic!("{fault}\n{closed}"));
    tree.descendants().filter(|node| node.is_element()).map(|node| node.tag_name().name().to_owned()).collect()
}

#[test]
fn files_are_written_from_a_journal_whose_last_line_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::new(folder.path());
    let world = whole();
    let fence = Fence::claim(folder.path(), 0).unwrap();
    let mut writer = Writer::create(&run.journal(), &world.header(), fence).unwrap();
    writer.append(&world.records).unwrap();
    writer.sync().unwrap();
    let whole_file = fs::read(run.journal()).unwrap();
    fs::write(run.journal(), &whole_file[..whole_file.len() - 5]).unwrap();
    fs::create_dir(run.models()).unwrap();
    fs::write(run.models().join("trial-3.card.json"), card(3, "onnx")).unwrap();

    let report = Report::read(&run, &Inputs::default()).unwrap();
    assert_eq!(report.history.events + 1, world.records.len() as u64);
    let first = report.write(&run).unwrap();
    let again = report.write(&run).unwrap();
    assert_eq!(first, again);
    assert_eq!(fs::read_to_string(&first.html).unwrap(), html::page(&report));
    assert_eq!(fs::read_dir(run.report()).unwrap().count(), 3, "no draft is left behind");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&first.md), mode(&run.report())), (0o600, 0o700));
    assert_eq!(json(&report)["model"]["path"], run.models().join("trial-3.onnx").to_str().unwrap());

    let nowhere = RunDir::new(folder.path().join("absent"));
    let fault = Report::read(&nowhere, &Inputs::default()).unwrap_err().to_string();
    assert!(fault.contains("absent") && fault.contains("journal.jsonl"), "{fault}");
    fs::remove_dir_all(run.report()).unwrap();
    fs::write(run.report(), "a file in the way").unwrap();
    let fault = report.write(&run).unwrap_err().to_string();
    assert!(fault.starts_with("cannot write the report file"), "{fault}");
}

#[test]
fn cards_are_read_with_tolerance() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("a.card.json", &card(3, "native"));
    put("b.card.json", &card(3, "onnx"));
    put("c.card.json", &card(5, "onnx"));
    put("broken.card.json", "{");
    put("empty.card.json", "[]");
    put("notes.json", &card(3, "onnx"));
    put("foreign.card.json", &card(3, "onnx").replace("0123456789abcdef0123456789abcdef", "ffff"));
    put("outside.card.json", &card(8, "onnx").replace("trial-8.onnx", "../../secret/trial-8.onnx"));
    let cards = ModelCard::read_all(folder.path(), "0123456789abcdef0123456789abcdef");
    assert_eq!(cards.iter().map(|card| card.trial.0).collect::<Vec<_>>(), [3, 3, 5, 8]);
    assert_eq!(cards[3].path, folder.path().join("trial-8.onnx"));
    assert!(!cards[0].verdict().contains("verified"));
    let chosen = ModelCard::choose(cards, TrialId(3)).unwrap();
    assert_eq!((chosen.is_onnx(), chosen.runtime.as_deref()), (true, Some("tract 0.5.0")));
    assert_eq!((chosen.test_of("val_loss"), chosen.test_of("val_accuracy"), chosen.test_of("f1")), (Some(0.21), Some(0.975), None));
    assert_eq!(chosen.verdict(), "verified by tract 0.5.0 on 1000 held inputs: largest difference 2.5e-6, the same class for 100 %");
    assert!(ModelCard::read_all(Path::new("/nowhere/at/all"), "x").is_empty());
}
