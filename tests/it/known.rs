//! What is known before a sweep begins, with real drivers.
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::world::World;

const SWEEP: &str = r#"
[sweep]
name = "known"
metric = "loss"
max_trials = 12
[space]
x = { uniform = [-5.0, 10.0] }
y = { uniform = [0.0, 15.0] }
[searcher]
SEARCHER
[scheduler]
kind = "asha-promote"
min_resource = 1
max_resource = 9
eta = 3
[trial]
kind = "synthetic"
function = "branin"
pace = 0.2
[workers]
local = 2
"#;

fn params(world: &World) -> Vec<Value> {
    world.events("suggested").into_iter().map(|record| record["params"].clone()).collect()
}

/// The driver dies in the middle, and the earlier run is gone when the next one comes.
#[test]
fn a_sweep_begins_with_what_is_known_and_never_asks_an_earlier_run_again() {
    let known = "kind = 'tpe'\nwarm_start = ['old']\nseed_trials = [{ x = 3.0 }]";
    let world = World::new(&SWEEP.replace("SEARCHER", known));
    std::fs::write(world.path("old.toml"), SWEEP.replace("SEARCHER", "kind = 'random'")).unwrap();
    assert_eq!(world.done(&["run", "old.toml", "--run-dir", "old"]).status.code(), Some(0));
    let journal = std::fs::read_to_string(world.path("old/journal.jsonl")).unwrap();
    let old: Vec<Value> = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["params"].clone()).collect();

    let mut driver = world.start();
    world.wait_for("proposals", |records| records.iter().filter(|record| record["event"] == "suggested").count() >= 3);
    driver.signal(Signal::SIGKILL);
    driver.code();
    assert!(world.said().contains("warm start: 12 of 12 trials of `"), "{}", world.said());
    std::fs::remove_dir_all(world.path("old")).unwrap();
    let resumed = world.done(&["resume", "run"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));

    let params = params(&world);
    assert_eq!(params.len(), 12);
    assert_eq!(params[0]["x"], 3.0, "what is known to be good comes first");
    assert!(params[1..4].iter().all(|params| old.contains(params)), "then what was best before: {params:?}");
    let report = world.audit();
    assert_eq!((&report["warm_start"][0]["trials"], &report["warm_start"][0]["used"]), (&12.into(), &12.into()));
    assert_eq!(report["trials"]["total"], 12, "trials of the earlier run are none of this one");
    assert_eq!(report["suggestions"]["count"], 12);
    assert!(report["suggestions"]["p99_us"].as_u64() >= report["suggestions"]["p50_us"].as_u64());
    // A new sweep does need the earlier run.
    let refused = world.done(&["run", "sweep.toml", "--run-dir", "another"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("is not a run folder") && said.contains("sweep.toml:11"), "{said}");
}
