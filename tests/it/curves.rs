//! Trainings without a GPU, served by real workers.
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::world::World;

const SWEEP: &str = r#"
[sweep]
name = "curves"
metric = "loss"
max_trials = 9
[space]
SPACE
[scheduler]
kind = "asha-promote"
min_resource = 1
max_resource = 9
eta = 3
[trial]
TRIAL
[workers]
local = 2
"#;

fn world(space: &str, trial: &str) -> World {
    World::new(&SWEEP.replace("SPACE", space).replace("TRIAL", trial))
}

#[test]
fn a_formula_trains_under_real_workers_and_leaves_no_model() {
    let space = "x = { uniform = [-5.0, 10.0] }\ny = { uniform = [0.0, 15.0] }";
    let world = world(space, "kind = 'synthetic'\nfunction = 'branin'\npace = 0.01");
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{said}");
    assert!(said.contains("there is no model to export: these trainings were looked up or computed, not done"), "{said}");
    let report = world.audit();
    assert_eq!((&report["trials"]["total"], &report["trials"]["failed"]), (&9.into(), &0.into()));
    assert!(report["model"].is_null(), "{report}");
    let top = world.events("reported").into_iter().filter(|record| record["resource"] == 9);
    let losses: Vec<f64> = top.filter_map(|record| record["metrics"]["loss"].as_f64()).collect();
    assert!(!losses.is_empty() && losses.iter().all(|loss| *loss >= 0.397887), "no loss is below the known optimum: {losses:?}");
    let export = world.done(&["export", "run"]);
    assert_eq!(export.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&export.stderr).contains("there is no model to export"));
}

#[test]
fn recorded_trainings_are_replayed_and_one_that_diverged_fails() {
    let world = world("pool = { csv = 'curves.csv', params = ['lr'] }", "kind = 'tabular'\ncsv = 'curves.csv'\ncurve = 'e'\npace = 0.005");
    let units: String = (0..9).map(|unit| format!(",e{unit}")).collect();
    let row = |lr: u32| (0..9).map(|unit| format!(",{}", lr * 10 + 9 - unit)).collect::<String>();
    let mut csv = format!("lr{units}\n");
    for lr in 1..9 {
        csv += &format!("0.{lr}{}\n", row(lr));
    }
    csv += &format!("0.9,nan{}\n", ",".repeat(8));
    std::fs::write(world.path("curves.csv"), csv).unwrap();
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let report = world.audit();
    let rows: Vec<i64> = world.events("suggested").iter().filter_map(|record| record["params"]["row"].as_i64()).collect();
    for record in world.events("reported") {
        let (trial, unit) = (record["trial"].as_u64().unwrap(), record["resource"].as_u64().unwrap());
        let lr = u64::try_from(rows[trial as usize]).unwrap() + 1;
        assert_eq!(record["metrics"]["loss"].as_f64(), Some((lr * 10 + 10 - unit) as f64), "{record}");
    }
    let diverged = rows.iter().filter(|row| **row == 8).count();
    assert_eq!(report["trials"]["failed"], diverged, "{report}");
    let kinds: Vec<String> = world.events("ended").iter().filter_map(|record| Some(record["how"]["kind"].as_str()?.to_owned())).collect();
    assert!(kinds.iter().filter(|kind| *kind == "not_finite").count() == diverged, "{kinds:?}");
}

#[test]
fn curves_that_do_not_fit_their_space_are_refused_before_anything_starts() {
    let world = world("x = { uniform = [-5.0, 10.0] }", "kind = 'synthetic'\nfunction = 'branin'");
    for words in [&["check", "sweep.toml"][..], &["run", "sweep.toml", "--run-dir", "run"]] {
        let refused = world.done(words);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("branin takes two numbers") && said.contains("sweep.toml:13:2"), "{said}");
    }
    assert!(!world.run_dir().exists());
}

#[test]
fn who_waits_for_a_dead_driver_is_idle_and_bills_no_trial() {
    // Every unit takes half a second, so the books can be held against the reports.
    let space = "x = { uniform = [-5.0, 10.0] }\ny = { uniform = [0.0, 15.0] }";
    let world = world(space, "kind = 'synthetic'\nfunction = 'branin'\npace = 0.5");
    let mut driver = world.start();
    world.wait_for("training", |records| records.iter().filter(|record| record["event"] == "reported").count() >= 2);
    driver.signal(Signal::SIGKILL);
    driver.code();
    // Both leases end meanwhile, and both workers wait: for so long that no machine's slowness is taken for it.
    std::thread::sleep(Duration::from_secs(25));
    assert_eq!(world.done(&["resume", "run"]).status.code(), Some(0), "{}", world.said());
    let report = world.audit();
    let hours = &report["hours"];
    let trained: f64 = ["winner", "explored", "stopped"].iter().filter_map(|use_of| hours[*use_of].as_f64()).sum::<f64>() * 3600.0;
    let units = world.events("reported").len() as f64;
    let (least, most) = (units * 0.5, units * 0.5 + 25.0);
    assert!((least..most).contains(&trained), "{units} units of half a second were trained, and {trained:.1} s are booked: {hours}");
    let idle = hours["idle"].as_f64().unwrap() * 3600.0;
    assert!(idle > 25.0, "two workers waited for most of 25 seconds, but {idle:.1} s are idle: {hours}");
}
