//! What a sweep leaves behind.
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::crash::live;
use crate::world::{SWEEP, World, acts, hit, inhabitants, long_sweep};

#[test]
fn a_sweep_ends_with_a_verified_model_a_report_and_balanced_books() {
    let world = World::new(SWEEP);
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run", "--json"]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let report = world.audit();
    assert_eq!((&report["state"], &report["unit"], &report["trials"]["total"]), (&"finished".into(), &"slot".into(), &9.into()));
    let last: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(last["best"], report["best"], "`run --json` ends with the report's line");
    // The model was checked by a runtime that is not burn, on examples that no decision saw.
    let model = &report["model"];
    assert!(model["max_abs_diff"].as_f64().unwrap() <= 1e-4 && model["argmax_agreement"] == 1.0, "{model}");
    let path = world.path(model["path"].as_str().unwrap());
    let card: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path.with_extension("card.json")).unwrap()).unwrap();
    assert_eq!(card["trial"], report["best"]["trial"]);
    assert!(report["best"]["test"].is_number(), "{report}");
    for file in ["report/report.md", "report/report.html", "report/trials.csv"] {
        assert!(world.run_dir().join(file).metadata().unwrap().len() > 100, "{file}");
    }
    // An image of the right shape, as one CSV row.
    let row = (0..256).map(|pixel| (pixel % 7 * 40).to_string()).collect::<Vec<_>>().join(",");
    std::fs::write(world.path("one.csv"), row + "\n").unwrap();
    let guess = world.json(&["predict", path.to_str().unwrap(), "--input", "one.csv", "--json"]);
    assert!((0..8).contains(&guess["class"].as_u64().unwrap()), "{guess}");
    // Another of the trials whose state was kept can be exported on demand.
    let others: Vec<u64> = world.events("reported").iter().filter_map(|record| record["trial"].as_u64()).collect();
    assert!(others.len() > 9);
    let again = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    assert_eq!(again.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&again.stderr).contains("hpo resume"), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn the_same_seed_on_one_worker_gives_the_same_decisions_and_losses() {
    let sweep = SWEEP.replace("max_trials = 9", "max_trials = 4").replace("local = 2", "local = 1");
    let decisions = || {
        let world = World::new(&sweep);
        let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
        assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
        let loss = |record: &serde_json::Value| (record["trial"].clone(), record["resource"].clone(), record["loss"].clone());
        world.events("reported").iter().map(loss).collect::<Vec<_>>()
    };
    assert_eq!(decisions(), decisions());
}

#[test]
fn a_budget_of_time_is_kept() {
    // Enough for a report on any machine.
    let sweep = SWEEP.replace("max_trials = 9", "wall = \"20s\"");
    let world = World::new(&sweep);
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let report = world.audit();
    let ends = |record: &serde_json::Value| acts(record).any(|act| act.starts_with("finish"));
    let ended = world.journal().iter().find(|record| ends(record)).unwrap()["at"].as_u64().unwrap();
    assert!((20_000..60_000).contains(&ended), "{ended} ms");
    assert!(report["best"]["metric"].is_number(), "what was found until then is exported: {report}");
}

#[test]
fn a_worker_that_slept_through_the_end_of_the_sweep_leaves_at_once() {
    let sweep = SWEEP.replace("max_trials = 9", "max_trials = 4");
    let world = World::new(&sweep);
    let driver = world.start();
    world.wait_for("a report", |records| records.iter().any(|record| record["event"] == "reported"));
    hit(driver.pid(), Signal::SIGKILL);
    // It looks for the dead driver where that one listened.
    let mut late = world.logged("late", world.hpo(&["worker", "--run-dir", "run", "--slots", "1", "--no-gpu"]));
    sleep(Duration::from_secs(2));
    late.signal(Signal::SIGSTOP);
    let resumed = world.done(&["resume", "run"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert!(world.run_dir().join("ended.json").exists() && !world.run_dir().join("rendezvous.json").exists());
    late.signal(Signal::SIGCONT);
    let begun = Instant::now();
    assert_eq!(late.code(), Some(0));
    // Fifteen seconds are the longest wait between two tries; without word it would look for ten minutes.
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

/// Two looks, two seconds apart, the 30 seconds that workers may take to leave, and some. Its workers look for a driver for ten minutes.
const SOON: Duration = Duration::from_secs(120);

#[test]
fn a_driver_whose_run_folder_is_removed_says_so_and_ends_with_its_own_code() {
    let world = World::new(SWEEP);
    let mut driver = world.background(&["driver", "sweep.toml", "--run-dir", "run", "--listen", "127.0.0.1:0"]);
    // It has nothing to write, for nobody works for it.
    world.wait_until("the driver listens", || world.run_dir().join("rendezvous.json").exists());
    let begun = Instant::now();
    std::fs::remove_dir_all(world.run_dir()).unwrap();
    assert_eq!(driver.code(), Some(3), "{}", world.said());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(world.said().matches("was removed, emptied or moved").count(), 1, "{}", world.said());
    assert!(!world.run_dir().exists(), "it made nothing anew");
}

/// They look for it where it was, and have nothing to do there that could fail.
#[test]
fn idle_workers_of_a_dead_driver_are_replaced_where_the_run_folder_is_now() {
    let world = World::new(SWEEP);
    let mut driver = world.start();
    world.wait_for("a report", |records| records.iter().any(|record| record["event"] == "reported"));
    driver.signal(Signal::SIGKILL);
    driver.code();
    let records = world.journal();
    world.wait_until("all that they hold is trained", || world.unheard_states(&records) >= live(&records).len());
    std::fs::rename(world.run_dir(), world.path("moved")).unwrap();
    // It is not waited for as long as they would look for their driver where it was: that is longer than our patience.
    let resumed = world.done(&["resume", "moved"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
}

#[test]
fn a_sweep_whose_run_folder_is_moved_leaves_no_process_and_goes_on_where_it_is_now() {
    let world = World::new(&long_sweep());
    let mut driver = world.start();
    world.wait_for("a report", |records| records.iter().any(|record| record["event"] == "reported"));
    let begun = Instant::now();
    std::fs::rename(world.run_dir(), world.path("elsewhere")).unwrap();
    assert_eq!(driver.code(), Some(3), "{}", world.said());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(world.said().contains("was removed, emptied or moved"), "{}", world.said());
    world.wait_until("its workers are gone", || inhabitants(&world).is_empty());
    // Something of a worker may have come there after the move.
    let _ = std::fs::remove_dir_all(world.run_dir());
    std::fs::rename(world.path("elsewhere"), world.run_dir()).unwrap();
    let resumed = world.done(&["resume", "run"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    world.audit();
}
