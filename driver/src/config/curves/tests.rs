use std::path::Path;

use crate::config::check_text;

const SWEEP: &str = r#"
[sweep]
name = "curves"
metric = "loss"
max_trials = 9
[space]
SPACE
[scheduler]
kind = "fifo"
max_resource = UNITS
[trial]
TRIAL
"#;

/// What is wrong with such a sweep, if anything is; paths are relative to `folder`.
fn probe(folder: &Path, space: &str, units: u32, trial: &str) -> Option<String> {
    let text = SWEEP.replace("SPACE", space).replace("UNITS", &units.to_string()).replace("TRIAL", trial);
    let checked = check_text(&text, &folder.join("sweep.toml"), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
    let faults = super::probe(&checked).err()?;
    let [fault] = faults.all() else { panic!("{faults}") };
    let line = text.lines().position(|line| line == "[trial]").unwrap() + 1;
    assert_eq!(fault.at, Some((line, 2)));
    Some(fault.message.replace(&*folder.join("").to_string_lossy(), ""))
}

#[test]
fn a_space_must_fit_its_function() {
    let folder = tempfile::tempdir().unwrap();
    let no = |space: &str, function: &str| probe(folder.path(), space, 9, &format!("kind = 'synthetic'\nfunction = '{function}'"));
    let two = "x = { uniform = [-5, 10] }\ny = { uniform = [0, 15] }";
    assert_eq!(no(two, "branin"), None);
    assert_eq!(
        no("x = { uniform = [0, 1] }", "branin").unwrap(),
        "branin takes two numbers, the first from -5 to 10, the second from 0 to 15; it has 1 parameters"
    );
    // Inside in the middle, and outside at one end.
    let six: String = "abcdef".chars().map(|name| format!("{name} = {{ uniform = [0, 1] }}\n")).collect();
    assert_eq!(no(&six, "hartmann6"), None);
    let wide = six.replace("f = { uniform = [0, 1]", "f = { uniform = [0, 2]");
    assert!(no(&wide, "hartmann6").unwrap().starts_with("hartmann6 takes six numbers from 0 to 1; `f` = "));
    let mixed =
        "optimizer = { choice = ['sgd', 'adam'] }\nlr = { log_uniform = [1e-5, 1.0] }\nlayers = { int = [1, 12] }\nnorm = { bool = true }";
    let momentum = "\nmomentum = { uniform = [0.0, 0.99], when = { optimizer = 'sgd' } }";
    assert_eq!(no(&format!("{mixed}{momentum}"), "mixed"), None);
    assert!(no(mixed, "mixed").unwrap().ends_with("`momentum` is missing"), "under one of the choices");
}

#[test]
fn a_pool_must_be_the_table_of_its_recordings() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "lr,loss_0,loss_1\n0.1,3,2\n0.2,4,3\n").unwrap();
    std::fs::write(folder.path().join("b.csv"), "lr,loss_0,loss_1\n0.1,3,2\n0.3,4,x\n").unwrap();
    let no = |space: &str, units: u32, csv: &str| {
        probe(folder.path(), space, units, &format!("kind = 'tabular'\ncsv = '{csv}'\ncurve = 'loss_'"))
    };
    let pool = |csv: &str| format!("pool = {{ csv = '{csv}', params = ['lr'] }}");
    assert_eq!(no(&pool("a.csv"), 2, "a.csv"), None);
    let said = [
        no(&pool("a.csv"), 3, "a.csv").unwrap(),
        no(&pool("b.csv"), 2, "a.csv").unwrap(),
        no(&pool("a.csv"), 2, "b.csv").unwrap(),
        no("lr = { uniform = [0, 1] }", 2, "a.csv").unwrap(),
    ];
    let expected = [
        "max_resource is 3, and the curves have 2 units; lower it, for no training can go on after its end",
        "the recorded curves `a.csv` cannot be used: line 3, column `lr` says 0.2, and the pool 0.3; both must be read from one file",
        "the recorded curves `b.csv` cannot be used: line 3, column `loss_1`: `x` is not a number",
        "the recorded curves `a.csv` cannot be used: a configuration must name its recording by `row`; take [space] from this file by `pool = { csv = .., params = [..] }`",
    ];
    assert_eq!(said, expected);
}

/// In a build without surrogates there is nothing to say.
#[test]
fn a_surrogate_must_be_a_model() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.onnx"), "nothing").unwrap();
    let trial = "kind = 'surrogate'\nmodel = 'model.onnx'\ncontinuous = ['epoch', 'lr']\nfidelity = 'epoch'\noutputs = ['loss']";
    let found = probe(folder.path(), "lr = { uniform = [0, 1] }", 3, trial);
    if cfg!(feature = "surrogate") {
        assert!(found.unwrap().starts_with("`model.onnx` cannot be used"));
    } else {
        assert_eq!(found, None);
    }
}
