//! Earlier runs of other spaces, written as journals.
use std::path::{Path, PathBuf};

use hpo_core::sweep::{Checkpoint, End, FailureKind, Slot};
use hpo_core::{Action, Event, Metrics, Seq, Stamp, Sweep, WorkerId};

use super::*;
use crate::config::{check_text, load};
use crate::journal::{FORMAT, Fence, Header, Journal, Record, Writer, decisions};

/// A sweep file with this space, and these lines in `[searcher]`.
fn text(space: &str, searcher: &str) -> String {
    format!(
        "[sweep]\nname = \"new\"\nmetric = \"loss\"\nmax_trials = 9\n[space]\n{space}\n[searcher]\nkind = \"tpe\"\n{searcher}\n\
         [scheduler]\nkind = \"asha-promote\"\nmax_resource = 9\n[trial]\nkind = \"command\"\ncommand = [\"true\"]\n"
    )
}

fn check(text: &str, folder: &Path) -> Checked {
    check_text(text, &folder.join("sweep.toml"), &|_| None).unwrap()
}

/// A run of so many trials on one slot, each to the first rung, where it has the loss of its number; of every tenth nothing but its
/// failure is known. Its last trial is pending.
fn old_run(folder: &Path, space: &str, trials: u32) -> PathBuf {
    run_called("old", folder, space, trials)
}

fn run_called(name: &str, folder: &Path, space: &str, trials: u32) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir(&path).unwrap();
    let spec = check(&text(space, ""), folder).spec;
    let header = Header {
        format: FORMAT,
        sweep: format!("{:032x}", name.len()),
        created_unix_ms: 0,
        version: "0".to_owned(),
        spec: hpo_core::SweepSpec { budget: Default::default(), ..spec },
        searcher: "random".to_owned(),
        sweep_toml: "00".repeat(32),
        seed: Seed(3),
    };
    let mut sweep = Sweep::new(header.spec.clone());
    let mut random = Seed(3).rng();
    let slots = vec![Slot { name: String::new(), milli_gpus: 0 }];
    let mut todo = vec![
        Event::DriverStarted { epoch: 1 },
        Event::WorkerJoined { worker: WorkerId(1), name: String::new(), slots, holds: vec![], allocation: None, leaving: false },
    ];
    let mut writer = Writer::create(&path.join("journal.jsonl"), &header, Fence::claim(&path, 0).unwrap()).unwrap();
    let mut seq = 0;
    while !todo.is_empty() {
        let event = todo.remove(0);
        let mut actions = vec![];
        seq += 1;
        sweep.apply(Stamp(seq), &event, &mut actions);
        writer.append(&[Record { seq, at: Stamp(seq), event, acts: decisions(&actions) }]).unwrap();
        for action in actions {
            match action {
                Action::Suggest { trial } if trial.0 < trials => {
                    let params = header.spec.space.draw(|| random.random());
                    todo.push(Event::Suggested { trial, params, cost_us: 1 });
                }
                Action::Lease(lease) if lease.trial.0 + 1 < trials => {
                    let (trial, attempt, resource) = (lease.trial, lease.attempt, lease.until);
                    let how = End::Failed { kind: FailureKind::NotFinite, message: String::new() };
                    if trial.0 % 10 == 9 {
                        todo.push(Event::Ended { trial, attempt, seq: Seq(1), after_ms: None, how });
                        continue;
                    }
                    let loss = hpo_core::Loss::new(f64::from(trial.0));
                    todo.push(Event::Reported { trial, attempt, seq: Seq(1), after_ms: None, resource, loss, metrics: Metrics::default() });
                    let checkpoint = Checkpoint { id: format!("{trial}@{resource}"), resource, bytes: 0, wrote_ms: 0 };
                    todo.push(Event::Reached { trial, attempt, seq: Seq(2), after_ms: None, resource, checkpoint: Some(checkpoint) });
                }
                _ => {}
            }
        }
    }
    writer.sync().unwrap();
    assert_eq!(sweep.view().trials.total, trials);
    path
}

const SPACE: &str = "lr = { log_uniform = [1e-4, 1e-1] }\nlayers = { int = [1, 4] }\nold = { bool = true }";

#[test]
fn trials_are_mapped_by_name_and_what_differs_is_said() {
    let folder = tempfile::tempdir().unwrap();
    old_run(folder.path(), SPACE, 51);
    let space = "lr = { log_uniform = [1e-3, 1e-1] }\nlayers = { int = [1, 4] }\nfresh = { uniform = [0.0, 1.0] }";
    let taken = take_up(check(&text(space, "warm_start = [\"old\"]"), folder.path())).unwrap();
    let past = taken.past.clone().unwrap();
    let source = &past.runs[0];
    assert_eq!((source.trials, source.without_result), (51, 1));
    let ignored = source.ignored["lr"];
    assert!((5..30).contains(&ignored), "about a third lie below the new range: {ignored}");
    assert_eq!((source.used, source.ignored.len()), (50 - ignored, 1));
    assert!(source.failed >= 1 && source.failed <= 5);
    assert_eq!((source.filled.iter().next().unwrap().as_str(), source.left_out.iter().next().unwrap().as_str()), ("fresh", "old"));
    let SearcherSpec::Hinted { hints, .. } = &taken.searcher else { panic!("no past") };
    assert_eq!(hints.past.len(), source.used);
    hints.past.iter().for_each(|trial| taken.spec.space.contains(&trial.params).unwrap());
    let line = said(&taken).remove(0);
    for part in
        ["warm start: ", " of 51 trials of `", "new here and drawn by chance: `fresh`", "not here and left out: `old`", "whose `lr`"]
    {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(taken.searcher, take_up(check(&text(space, "warm_start = [\"old\"]"), folder.path())).unwrap().searcher);
}

#[test]
fn a_sweep_that_goes_on_needs_the_old_run_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let old = old_run(folder.path(), SPACE, 31);
    let file = check(&text(SPACE, "warm_start = [\"old\"]"), folder.path());
    let taken = take_up(file.clone()).unwrap();
    let run = RunDir::new(folder.path().join("new"));
    std::fs::create_dir(run.path()).unwrap();
    std::fs::write(run.warm_start(), taken.past.as_ref().unwrap().to_json()).unwrap();
    std::fs::remove_dir_all(old).unwrap();
    assert!(take_up(file.clone()).is_err());
    let thawed = thaw(file, &run).unwrap();
    assert_eq!((&thawed.searcher, &thawed.past), (&taken.searcher, &taken.past));
}

#[test]
fn a_folder_that_is_no_run_is_a_fault_of_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sweep.toml");
    std::fs::write(&path, text(SPACE, "warm_start = [\"nowhere\"]")).unwrap();
    let faults = take_up(load(&path).unwrap()).unwrap_err();
    let fault = &faults.all()[0];
    assert_eq!(fault.at.unwrap().0, 11, "{faults}");
    assert!(fault.message.contains("nowhere` is not a run folder: there is no such folder"), "{faults}");
    std::fs::create_dir(folder.path().join("nowhere")).unwrap();
    std::fs::write(folder.path().join("nowhere/journal.jsonl"), "{}\n").unwrap();
    assert_eq!(take_up(load(&path).unwrap()).unwrap_err().all()[0].at.unwrap().0, 11);
}

#[test]
fn rows_of_a_pool_are_found_by_their_values() {
    let folder = tempfile::tempdir().unwrap();
    old_run(folder.path(), "lr = { ordered = [0.1, 0.2, 0.3] }\nlayers = { int = [1, 4] }", 13);
    std::fs::write(folder.path().join("pool.csv"), "layers,lr,time\n1,0.1,5\n2,0.2,6\n3,0.30,7\n4,0.1,8\n").unwrap();
    let space = "pool = { csv = \"pool.csv\", params = [\"layers\", \"lr\"] }";
    let taken = take_up(check(&text(space, "warm_start = [\"old\"]"), folder.path())).unwrap();
    let source = taken.past.as_ref().unwrap().runs[0].clone();
    // Twelve by chance on twelve combinations, of which four are rows.
    assert!(source.used >= 1 && source.used + source.ignored[""] == 12, "{source:?}");
}

#[test]
fn long_runs_share_the_room() {
    let folder = tempfile::tempdir().unwrap();
    old_run(folder.path(), SPACE, 161);
    let one = take_up(check(&text(SPACE, "warm_start = [\"old\"]"), folder.path())).unwrap().past.unwrap().runs;
    assert_eq!((one[0].used, one[0].thinned), (100, 60));
    run_called("older", folder.path(), SPACE, 161);
    let two = take_up(check(&text(SPACE, "warm_start = [\"old\", \"older\"]"), folder.path())).unwrap().past.unwrap().runs;
    assert_eq!((two[0].used, two[1].used), (50, 50));
    let path = folder.path().join("sweep.toml");
    std::fs::write(&path, text(SPACE, "warm_start = [\"old\", \"older\", \"./old\"]")).unwrap();
    let twice = take_up(load(&path).unwrap()).unwrap_err();
    assert!(twice.to_string().contains("its trials would count twice") && twice.all()[0].at.unwrap().0 == 11, "{twice}");
}
