//! Sweep files, with the table of a pool behind a line of dashes: refused with faults that can be shown, or accepted, and
//! then what it costs can be told and draws can be taken.
use std::path::Path;

use hpo_driver::config::curves::probe;
use hpo_driver::config::draws::Draws;
use hpo_driver::config::plan::Plan;
use hpo_driver::config::{self, Checked};

use crate::{Found, Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "config",
    run,
    examples,
    found: FOUND,
    words: &[
        "uniform", "log_uniform", "int", "log_int", "choice", "ordered", "bool", "value", "when", "step", "pool", "csv", "params", "kind",
        "hyperband", "asha-promote", "hyperband-async", "swift", "pasha", "median", "halving", "synthetic", "tabular", "max_trials", "eta",
        "bracket_weights", "[space]", "[trial]", "\"\"\"", "'''", "0x", "1979-05-27", "= {", "= [",
    ],
    bytes_per_byte: 2048,
};

const FOUND: &[Found] = &[];

const SMALL: &str = r#"
[sweep]
name = "s"
metric = "loss"
goal = "minimize"
max_trials = 20
[space]
lr = { log_uniform = [1e-4, 1e-1] }
depth = { int = [1, 9], step = 2 }
optimizer = { choice = ["sgd", "adam"] }
momentum = { uniform = [0.0, 1.0], step = 0.1, when = { optimizer = "sgd" } }
nesterov = { bool = true, when = { optimizer = "sgd" } }
[scheduler]
kind = "hyperband"
min_resource = 1
max_resource = 27
[searcher]
kind = "random"
[trial]
kind = "command"
command = ["python", "train.py", "--lr={lr}", "{depth}"]
"#;

const POOL: &str = r#"
[sweep]
name = "s"
metric = "loss"
max_trials = 20
[space]
pool = { csv = "pool.csv", params = ["lr", "width"] }
[scheduler]
kind = "asha-stop"
min_resource = 1
max_resource = 3
[trial]
kind = "tabular"
csv = "pool.csv"
curve = "loss_"
---
lr,width,loss_0,loss_1,loss_2
0.1,8,3,2,1
0.01,16,3,2.5,nan
"#;

fn examples() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let files = folder.read_dir().expect("the folder of sweep files").flatten().map(|entry| entry.path());
    let mut sweeps: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    sweeps.sort();
    let sweeps = sweeps.iter().map(|path| std::fs::read(path).expect("a sweep file"));
    sweeps.chain([SMALL, POOL].map(|text| text.as_bytes().to_vec())).collect()
}

fn run(data: &[u8]) {
    let (sweep, table) = scratch::halves(data);
    scratch::file("pool.csv", table);
    let Ok(text) = std::str::from_utf8(sweep) else { return };
    match config::check_text(text, &scratch::folder().join("sweep.toml"), &|_| None) {
        Ok(checked) => use_it(&checked),
        Err(faults) => {
            assert!(!faults.all().is_empty() && !faults.to_string().is_empty(), "a refusal says why");
            assert!(faults.to_json()["faults"].is_array());
        }
    }
}

fn use_it(checked: &Checked) {
    let plan = Plan::of(&checked.spec);
    assert!(plan.to_string().len() + plan.to_json().to_string().len() > 100, "a plan says something");
    let draws = Draws::of(&checked.spec.space, checked.spec.seed, 4);
    assert_eq!(draws.to_json().count() == 4, !draws.to_string().contains("no other points"));
    if let Err(faults) = probe(checked) {
        assert!(!faults.to_string().is_empty());
    }
    let spec = serde_json::to_string(&checked.spec).expect("a spec is written to the journal");
    let again = serde_json::from_str::<hpo_core::SweepSpec>(&spec).unwrap_or_else(|fault| panic!("{fault}: {spec}"));
    assert_eq!(again, checked.spec, "and read back from it");
}
