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
        "uniform",
        "log_uniform",
        "int",
        "log_int",
        "choice",
        "ordered",
        "bool",
        "value",
        "when",
        "step",
        "pool",
        "csv",
        "params",
        "kind",
        "hyperband",
        "asha-promote",
        "hyperband-async",
        "swift",
        "pasha",
        "median",
        "halving",
        "synthetic",
        "tabular",
        "max_trials",
        "eta",
        "bracket_weights",
        "[space]",
        "[trial]",
        "\"\"\"",
        "'''",
        "0x",
        "1979-05-27",
        "= {",
        "= [",
    ],
    bytes_per_byte: 2048,
};

const FOUND: &[Found] = &[
    Found {
        what: "each of 25,000 complaints of one line was looked for from the beginning of the text, which took 20 s",
        input: || format!("[sweep]\nname = [\"x {}", "\"tr ".repeat(25_000)).into_bytes(),
    },
    Found {
        what: "a name of 70,000 characters was wider than a column can be formatted, and `hpo check` panicked",
        input: || with_space(&format!("{} = {{ bool = true }}", "a".repeat(70_000))),
    },
    Found {
        what: "each of 30,000 faults listed all 30,000 parameters: 70 GB",
        input: || with_space(&lines(30_000, |n| format!("p{n} = {{ bool = true, when = {{ z = 1 }} }}"))),
    },
    Found {
        what: "each of 40,000 unknown keys was shown with the whole file",
        input: || with_space(&lines(40_000, |n| format!("p{n} = 1"))),
    },
    Found {
        what: "each of 150,000 choices was compared with all others",
        input: || with_space(&format!("a = {{ choice = [{}] }}", lines(150_000, |n| format!("{n},")))),
    },
    Found {
        what: "a condition of 100,000 values was compared with each of as many choices",
        input: || {
            let values = lines(80_000, |n| format!("{n},"));
            with_space(&format!("a = {{ choice = [{values}] }}\nb = {{ bool = true, when = {{ a = [{values}] }} }}"))
        },
    },
    Found {
        what: "the distance of a long unknown key from each known one took its length times theirs",
        input: || with_space(&format!("a = {{ bool = true, {} = 1 }}", "x".repeat(900_000))),
    },
    Found {
        what: "each of 100,000 columns of a pool was compared with all others",
        input: || with_space(&format!("pool = {{ csv = \"pool.csv\", params = [{}] }}", lines(90_000, |n| format!("\"c{n}\",")))),
    },
    Found {
        what: "each of 40,000 words in a column of a pool was looked for among all of them",
        input: || {
            let rows = lines(40_000, |n| format!("word{n},1,3,2,1"));
            let (sweep, _) = POOL.split_once("lr,").expect("a table");
            format!("{sweep}lr,width,loss_0,loss_1,loss_2\n{rows}").into_bytes()
        },
    },
    Found {
        what: "conditions nested a thousand deep",
        input: || with_space(&lines(1_000, |n| format!("p{n} = {{ bool = true, when = {{ p{} = true }} }}", n + 1))),
    },
    Found { what: "arrays nested 100,000 deep", input: || with_space(&format!("a = {}", "[".repeat(100_000))) },
    Found {
        what: "tables nested 100,000 deep",
        input: || with_space(&format!("{} = 1", lines(100_000, |_| "a.".to_owned()).replace('\n', "") + "b")),
    },
];

fn with_space(space: &str) -> Vec<u8> {
    SMALL.replace("lr = {", &format!("{space}\nlr = {{")).into_bytes()
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

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
    let plan = Plan::of(checked);
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
