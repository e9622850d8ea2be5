//! Programs that know nothing of us: a shell script is enough.
use crate::world::World;

const SWEEP: &str = r#"
[sweep]
name = "programs"
metric = "loss"
max_trials = 6
[space]
x = { uniform = [-2.0, 2.0] }
[scheduler]
kind = "asha-promote"
min_resource = 1
max_resource = 4
eta = 2
[trial]
kind = "command"
command = COMMAND
PATTERN
[workers]
local = 2
"#;

fn sweep(command: &str, pattern: &str) -> String {
    SWEEP.replace("COMMAND", command).replace("PATTERN", pattern)
}

fn runs(sweep: &str) -> (World, serde_json::Value) {
    let world = World::new(sweep);
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let report = world.audit();
    (world, report)
}

#[test]
fn a_program_that_only_prints_its_loss_is_enough() {
    let script = r#"["awk", "-v", "x={x}", "-v", "from={from}", "-v", "until={until}", "BEGIN { for (e = from + 1; e <= until; e++) { printf \"epoch %d loss=%.6f\\n\", e, x * x + 1 / e; fflush() } }"]"#;
    let (_world, report) = runs(&sweep(script, "metric_pattern = 'loss=([0-9.eE+-]+)'"));
    assert_eq!((&report["trials"]["total"], &report["trials"]["failed"]), (&6.into(), &0.into()));
    let best = report["best"]["metric"].as_f64().unwrap();
    let x = report["best"]["params"]["x"].as_f64().unwrap();
    assert!((best - (x * x + 0.25)).abs() < 1e-5 || best > 0.25, "{report}");
    assert!(report["model"].is_null(), "there is no burn model to export: {report}");
}

/// It keeps a counter in its checkpoint, and fails loudly if it does not get back what it wrote.
const COUNTER: &str = r#"["sh", "-c", '''
state=0
if [ -n "$HPO_CHECKPOINT_IN" ]; then state=$(cat "$HPO_CHECKPOINT_IN"); fi
if [ "$state" != "$HPO_FROM" ]; then echo "state $state, from $HPO_FROM" >&2; exit 9; fi
echo "@hpo {\"say\":\"started\"}"
while [ "$state" -lt "$HPO_UNTIL" ]; do
  state=$((state + 1))
  echo "@hpo {\"say\":\"report\",\"resource\":$state,\"metrics\":{\"loss\":0.$HPO_TRIAL}}"
done
echo "$state" > "$HPO_CHECKPOINT_OUT"
echo "@hpo {\"say\":\"reached\",\"resource\":$state,\"checkpoint\":\"$HPO_CHECKPOINT_OUT\"}"
''']"#;

#[test]
fn a_program_that_speaks_the_protocol_resumes_from_its_own_file() {
    let (world, report) = runs(&sweep(COUNTER, ""));
    assert_eq!((&report["trials"]["failed"], &report["best"]["trial"]), (&0.into(), &0.into()), "{report}");
    assert!(world.events("reached").iter().any(|record| record["resource"] == 4), "the best climbed to the top");
}

/// It works in the sweep file's folder, and the run folder is named from where the command was typed.
#[test]
fn a_sweep_file_in_another_folder_finds_its_run_folder() {
    let world = World::new("");
    std::fs::create_dir(world.path("configs")).unwrap();
    std::fs::write(world.path("configs/sweep.toml"), sweep(COUNTER, "")).unwrap();
    let run = world.done(&["run", "configs/sweep.toml", "--run-dir", "run"]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let report = world.audit();
    assert_eq!(report["trials"]["failed"], 0, "{report}");
}

/// It would be begun again for ever.
#[test]
fn a_program_that_leaves_by_itself_and_saves_nothing_fails() {
    let script = r#"["sh", "-c", '''
echo "@hpo {\"say\":\"report\",\"resource\":1,\"metrics\":{\"loss\":1}}"
echo "@hpo {\"say\":\"left\",\"resource\":1}"
''']"#;
    let world = World::new(&sweep(script, "").replace("min_resource = 1", "min_resource = 2"));
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    let report = world.audit();
    assert_eq!(report["trials"]["failed"], 6, "{report}");
    let ends = world.events("ended");
    assert!(ends.len() == 12 && ends.iter().all(|end| end.to_string().contains("without a state")), "each twice, and no more: {ends:?}");
}

#[test]
fn a_program_that_fails_says_why_and_the_sweep_goes_on() {
    let script = r#"["sh", "-c", '''
if [ "$HPO_TRIAL" = 1 ]; then echo "no such thing" >&2; exit 7; fi
e=$HPO_FROM; while [ $e -lt $HPO_UNTIL ]; do e=$((e + 1)); echo "loss=1.$HPO_TRIAL"; done
''']"#;
    let (world, report) = runs(&sweep(script, "metric_pattern = 'loss=([0-9.]+)'"));
    assert_eq!(report["trials"]["failed"], 1, "{report}");
    // One retry by default, then it is over.
    assert_eq!(report["attempts"]["failed"], 2);
    let said: Vec<String> =
        world.events("ended").iter().map(|record| record["how"]["message"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(said.iter().any(|message| message.contains("no such thing") && message.contains('7')), "{said:?}");
}

/// Each promotion begins anew, and the report says why.
#[test]
fn training_that_a_program_without_a_state_repeats_is_told_with_its_reason() {
    let script =
        r#"["sh", "-c", 'e=$HPO_FROM; while [ $e -lt $HPO_UNTIL ]; do e=$((e + 1)); sleep 0.05; echo "loss=$HPO_TRIAL.$e"; done']"#;
    let (world, report) = runs(&sweep(script, "metric_pattern = 'loss=([0-9.]+)'"));
    assert!(report["hours"]["redone"].as_f64().unwrap() > 0.0, "{report}");
    let text = world.done(&["report", "run"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains("because the program keeps no checkpoint"), "{text}");
    let checked = world.json(&["check", "sweep.toml", "--json"]);
    assert!(checked["warnings"].to_string().contains("HPO_CHECKPOINT_OUT"), "{checked}");
}
