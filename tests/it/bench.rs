//! `hpo bench` starts real drivers. Its figures are for people; that it measures what it says is tested.
use serde_json::Value;

use crate::world::World;

/// The JSON lines of a command.
fn lines(world: &World, words: &[&str]) -> Vec<Value> {
    let output = world.done(words);
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words:?}: {text}{said}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_acknowledged_report_of_a_crowd_is_in_the_journal() {
    let world = World::new("");
    for pace in [vec![], vec!["--closed"], vec!["--rate", "2000"], vec!["--plaintext", "--closed"]] {
        let said = lines(&world, &[&["bench", "grpc", "--json", "--reports", "600", "--workers", "3,20"], pace.as_slice()].concat());
        assert_eq!(said.iter().map(|line| line["workers"].as_u64().unwrap()).collect::<Vec<u64>>(), [3, 20]);
        for line in said {
            // It fails by itself unless the journal has as many.
            assert_eq!((line["reports"].as_u64(), line["report_ms"]["count"].as_u64()), (Some(600), Some(600)), "{line}");
            assert_eq!(line["tls"], !pace.contains(&"--plaintext"), "{line}");
            let (events, syncs) = (line["events"].as_u64().unwrap(), line["journal_syncs"].as_u64().unwrap());
            assert!(events > 600 && syncs > 0 && syncs <= events, "{line}");
            assert_eq!(line["lease_ms"].is_null(), pace.is_empty(), "a flood never comes to the end of a lease: {line}");
            if pace == ["--rate", "2000"] {
                assert!(line["seconds"].as_f64().unwrap() > 0.25, "600 reports at 2000 a second take 0.3 s: {line}");
            }
        }
    }
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 1, "only the sweep file is left");
}

#[test]
fn a_driver_recovers_from_each_of_several_crashes() {
    let world = World::new("");
    let said = lines(&world, &["bench", "recover", "--json", "--events", "2000,4000", "--repeats", "2"]);
    assert_eq!(said.iter().map(|line| line["events"].as_u64().unwrap()).collect::<Vec<u64>>(), [2000, 2000, 4000, 4000]);
    for line in said {
        let of = |name: &str| line[name].as_f64().unwrap();
        let parts = of("to_listening_seconds") + of("to_welcome_seconds") + of("to_lease_seconds");
        assert!((parts - of("seconds")).abs() < 1e-6, "the parts are the whole: {line}");
        assert!(of("read_seconds") > 0.0 && of("journal_mib") > 0.3 && of("driver_peak_mib") > 0.0, "{line}");
    }
}

#[test]
fn more_workers_than_the_usual_limit_of_open_files_can_be_connected() {
    let world = World::new("");
    // The limit is inherited; driver and bench each raise their own.
    let hpo = hpo_tests::hpo();
    let line = format!("ulimit -Sn 64 && exec {} bench grpc --json --reports 1000 --workers 100 --closed", hpo.display());
    let output = std::process::Command::new("sh").args(["-c", &line]).current_dir(world.path("")).output().unwrap();
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{said}");
    let figures: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(figures["report_ms"]["count"], 1000, "{figures}");
}
