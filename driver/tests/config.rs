//! The sweep file as users meet it: what each message looks like, that sound files pass, and that the schema agrees.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
use std::path::{Path, PathBuf};

use hpo_core::Params;
use hpo_core::space::{Domain, Fold};
use hpo_driver::config::{self, Checked, Faults};
use hpo_driver::config::{draws::Draws, plan::Plan};
use hpo_searchers::{
    Acquisition, BohbOptions, Confidence, EnsembleOptions, EvolutionOptions, GpOptions, GridOptions, Relation, SearcherSpec, TpeOptions,
    Warp,
};

/// An environment with nothing of this machine in it.
fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("secret".to_owned()),
        config::DATA_DIR => Some(root("tests/config/data").to_string_lossy().into_owned()),
        _ => None,
    }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sweep files in a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut toml: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    toml.sort();
    assert!(!toml.is_empty(), "no sweep files in {}", folder.display());
    toml
}

fn check(path: &Path) -> Result<Checked, Faults> {
    config::check_text(&std::fs::read_to_string(path).unwrap(), path, &env)
}

/// Each fixture's faults as a person reads them lie beside it. `INSTA_UPDATE=always cargo test -p hpo-driver --test config`
/// writes them anew; read the difference before committing it.
#[test]
fn every_faulty_file_is_explained() {
    let here = root("");
    for path in files(&root("tests/config/bad")) {
        let faults = check(&path).expect_err(&path.to_string_lossy());
        let rendered = faults.to_string().replace(&*here.to_string_lossy(), "");
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let settings = {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("config/bad");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings
        };
        settings.bind(|| insta::assert_snapshot!(name.as_str(), rendered));
        for fault in faults.all() {
            assert!(fault.at.is_some(), "{name}: {fault:?}");
        }
    }
}

#[test]
fn many_faults_come_at_once_in_the_order_of_lines_and_as_json() {
    let faults = check(&root("tests/config/bad/many.toml")).unwrap_err();
    let lines: Vec<usize> = faults.all().iter().map(|fault| fault.at.unwrap().0).collect();
    assert!(lines.is_sorted() && lines.len() > 20, "{lines:?}");
    let json = faults.to_json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["faults"].as_array().unwrap().len(), lines.len());
    let misspelt = json["faults"].as_array().unwrap().iter().find(|fault| fault["line"] == 3).unwrap();
    assert_eq!(
        *misspelt,
        serde_json::json!({"line": 3, "column": 1, "message": "[sweep] has no key `max_trial`", "help": "did you mean `max_trials`?"})
    );
}

#[test]
fn sound_files_pass_with_all_they_say() {
    let mut said = String::new();
    for path in files(&root("tests/config/good")) {
        // The command fixture runs in a folder beside it.
        let checked = check(&path).unwrap_or_else(|faults| panic!("{faults}"));
        let spec = serde_json::to_string_pretty(&checked.spec).unwrap();
        let job = serde_json::to_string_pretty(&checked.job).unwrap().replace(&*root("").to_string_lossy(), "");
        said +=
            &format!("== {}\n{spec}\n{job}\n{:?}\n{:?}\n", path.file_name().unwrap().to_string_lossy(), checked.workers, checked.report);
    }
    insta::assert_snapshot!(said);
}

/// The sweeps that come with hpo; the paths in them need data, which is stood in for here by empty files.
fn shipped() -> Vec<PathBuf> {
    files(&root("../configs"))
}

#[test]
fn shipped_sweeps_pass() {
    for path in shipped() {
        let checked = check(&path).unwrap_or_else(|faults| panic!("{faults}"));
        let plan = Plan::of(&checked);
        let name = path.file_stem().unwrap().to_string_lossy();
        assert_eq!(checked.spec.name, name, "a sweep is named after its file");
        assert!(
            checked.text.starts_with("# Shows ") && checked.text.contains("Takes "),
            "{name} opens with what it shows and how long it takes"
        );
        assert!(plan.worst_case_resource.is_some(), "{name} is bounded");
    }
}

#[test]
fn the_plan_is_said_in_figures() {
    let plan = Plan::of(&check(&root("../configs/quickstart.toml")).unwrap());
    insta::assert_snapshot!(format!("{plan}\n{}", plan.to_json()));
}

/// A sweep file that passes, with some lines put in the place of others.
fn quickstart_with(changes: &[(&str, &str)]) -> Checked {
    let path = root("../configs/quickstart.toml");
    let text = changes.iter().fold(std::fs::read_to_string(&path).unwrap(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    config::check_text(&text, &path, &env).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_plan_shows_each_bracket() {
    let hyperband = quickstart_with(&[
        ("asha-promote", "hyperband"),
        ("max_resource = 9", "max_resource = 81"),
        ("max_trials = 24", "max_trials = 200"),
    ]);
    let plan = Plan::of(&hyperband);
    insta::assert_snapshot!(format!("{plan}\n{}", plan.to_json()));
}

/// Who is stopped in mid-round depends on the curves.
#[test]
fn of_swift_the_plan_says_what_it_costs_at_most() {
    let swift = quickstart_with(&[("asha-promote", "swift"), ("max_trials = 24", "max_trials = 9")]);
    let plan = Plan::of(&swift).to_string();
    let end = plan.find("resource    ").map(|start| &plan[start..]);
    insta::assert_snapshot!(end.unwrap(), @"
    resource    21 at worst, at most 21 expected
    checkpoints at most 10 kept at once
    Expected: what the brackets need on one slot, if nothing fails and no other budget ends the sweep before. Trials that are stopped in mid-round cost less; how many depends on their curves.
    ");
}

#[test]
fn of_pasha_the_plan_says_what_it_costs_at_least() {
    let pasha = quickstart_with(&[("asha-promote", "pasha")]);
    let plan = Plan::of(&pasha).to_string();
    assert!(plan.contains("at least") && plan.contains("Where curves cross it costs more"), "{plan}");
}

#[test]
fn a_sweep_that_hardly_trains_a_trial_in_full_is_warned_of() {
    let warnings = |changes: &[(&str, &str)]| Plan::of(&quickstart_with(changes)).warnings;
    assert_eq!(warnings(&[]), [""; 0]);
    let few = |scheduler| {
        warnings(&[("asha-promote", scheduler), ("max_trials = 24", "max_trials = 8"), ("max_resource = 9", "max_resource = 27")])
    };
    let fifo = [("asha-promote", "fifo"), ("min_resource = 1\n", ""), ("eta = 3\n", ""), ("max_trials = 24", "max_trials = 1")];
    assert_eq!(warnings(&fifo), [""; 0], "there every trial is trained in full");
    let help = "set max_trials to 27 or more, or bring min_resource and max_resource nearer to each other";
    assert_eq!(few("halving"), [format!("of 8 trials none can reach max_resource = 27: {help}")]);
    let [seldom] = &few("asha-promote")[..] else { panic!("one warning") };
    assert!(seldom.starts_with("of 8 trials about 0.") && seldom.ends_with(help), "{seldom}");
    // The pool of the fixture has four rows.
    let path = root("tests/config/good/pool.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("max_trials = 4", "max_trials = 5");
    let plan = Plan::of(&config::check_text(&text, &path, &env).unwrap());
    assert_eq!(plan.warnings, ["the space has 4 points at most, so that fewer than max_trials = 5 trials will start"]);
    assert!(plan.to_string().ends_with(&format!("\nwarning: {}", plan.warnings[0])));
}

#[test]
fn searchers_are_read_with_their_options() {
    let searcher = |name: &str| check(&root(&format!("tests/config/good/{name}.toml"))).unwrap().searcher;
    let model = TpeOptions { gamma: 0.2, candidates: 64, startup: 20 };
    assert_eq!(searcher("searcher-sobol"), SearcherSpec::Sobol);
    assert_eq!(searcher("searcher-tpe"), SearcherSpec::Tpe(model));
    let bohb = BohbOptions { model: TpeOptions { startup: 8, ..model }, random_share: 0.25 };
    assert_eq!(searcher("searcher-bohb"), SearcherSpec::Bohb(bohb));
    let gp = GpOptions { startup: 12, acquisition: Acquisition::Ucb { beta: 2.0 }, warp: Warp::Rank };
    assert_eq!(searcher("searcher-gp-mf"), SearcherSpec::GpMf(gp, Relation::Decay));
    let points = [("lr".to_owned(), 3), ("momentum".to_owned(), 2)].into();
    assert_eq!(searcher("searcher-grid"), SearcherSpec::Grid(GridOptions { points }));
    assert_eq!(searcher("searcher-evolution"), SearcherSpec::Evolution(EvolutionOptions { population: 30, sample: 10 }));
    let members = vec![SearcherSpec::Sobol, SearcherSpec::Bohb(BohbOptions::default())];
    assert_eq!(searcher("searcher-ensemble"), SearcherSpec::Ensemble(EnsembleOptions { members }));
    let defaults = |kind: &str| quickstart_with(&[("kind = \"random\"", kind)]).searcher;
    assert_eq!(defaults("kind = \"tpe\""), SearcherSpec::Tpe(TpeOptions::default()));
    assert_eq!(defaults("kind = \"bohb\""), SearcherSpec::Bohb(BohbOptions::default()));
    assert_eq!(defaults("kind = \"gp\""), SearcherSpec::Gp(GpOptions::default()));
    assert_eq!(defaults("kind = \"gp-mf\""), SearcherSpec::GpMf(GpOptions::default(), Relation::default()));
    assert_eq!(defaults("kind = \"evolution\""), SearcherSpec::Evolution(EvolutionOptions::default()));
    let SearcherSpec::Ensemble(ensemble) = defaults("kind = \"ensemble\"") else { panic!("no ensemble") };
    assert_eq!(ensemble.members.iter().map(SearcherSpec::name).collect::<Vec<_>>(), ["random", "tpe", "evolution"]);
}

/// Known points and beliefs go with any searcher; runs are named and not looked for before a sweep begins.
#[test]
fn what_is_known_beforehand_is_read() {
    let checked = check(&root("tests/config/good/searcher-hints.toml")).unwrap();
    assert_eq!((checked.searcher.name(), checked.searcher.method()), ("tpe", &SearcherSpec::Tpe(TpeOptions::default())));
    let SearcherSpec::Hinted { hints, .. } = &checked.searcher else { panic!("nothing is known") };
    let known: Vec<Vec<&str>> = hints.seed_trials.iter().map(|point| point.keys().map(String::as_str).collect()).collect();
    assert_eq!(known, [vec!["lr", "momentum"], vec!["optimizer"]]);
    let beliefs: Vec<_> = hints.prior.iter().map(|(name, belief)| (name.as_str(), belief.value.to_string(), belief.confidence)).collect();
    assert_eq!(beliefs, [("lr", "0.01".to_owned(), Confidence::Medium), ("optimizer", "sgd".to_owned(), Confidence::High)]);
    assert_eq!(checked.warm_start, [root("tests/config/good/runs/old"), PathBuf::from("/elsewhere")]);
    assert!(hints.past.is_empty() && checked.past.is_none());
}

/// Three learning rates, each with adam, and with sgd and two momenta.
#[test]
fn the_plan_knows_how_many_points_a_grid_has() {
    let path = root("tests/config/good/searcher-grid.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let plan = |trials: u32| {
        let text = text.replace("max_trials = 9", &format!("max_trials = {trials}"));
        Plan::of(&config::check_text(&text, &path, &env).unwrap())
    };
    assert_eq!((plan(9).trials, plan(9).warnings.len()), (Some(9), 0));
    assert_eq!(plan(12).trials, Some(9));
    assert_eq!(plan(12).warnings, ["the grid has 9 points at most, so that fewer than max_trials = 12 trials will start"]);
    let [few, ..] = &plan(6).warnings[..] else { panic!("a warning") };
    assert!(few.starts_with("the grid has 9 points, and max_trials = 6 leaves out all but the first"), "{few}");
}

/// Those that are on the grid, or among the rows of a pool, are tried once; the others are tried beside it.
#[test]
fn the_plan_counts_seed_trials_once() {
    let path = root("tests/config/good/searcher-grid.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let plan = |trials: u32, known: &str| {
        let text = text.replace("max_trials = 9", &format!("max_trials = {trials}"));
        let text = text.replace("[searcher]", &format!("[searcher]\nseed_trials = [{known}]"));
        let plan = Plan::of(&config::check_text(&text, &path, &env).unwrap());
        (plan.trials, plan.warnings)
    };
    // On the grid, off it, and perhaps off it.
    assert_eq!(plan(9, r#"{ lr = 0.01, optimizer = "adam" }"#), (Some(9), vec![]));
    let off = r#"{ lr = 0.02, optimizer = "adam" }, { optimizer = "adam" }"#;
    assert_eq!(plan(11, off), (Some(11), vec![]));
    let more = "the grid with the seed trials has 11 points at most, so that fewer than max_trials = 12 trials will start";
    assert_eq!(plan(12, off), (Some(11), vec![more.to_owned()]));
    let [fewer, ..] = &plan(9, off).1[..] else { panic!("two points of the grid are left out") };
    assert!(fewer.starts_with("the grid with the seed trials has 11 points, and max_trials = 9 leaves out"), "{fewer}");
    let path = root("tests/config/good/pool.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("max_trials = 4", "max_trials = 5");
    let known = "[searcher]\nkind = \"random\"\nseed_trials = [{ row = 2 }, { row = 0 }]\n\n[scheduler]";
    let plan = Plan::of(&config::check_text(&text.replace("[scheduler]", known), &path, &env).unwrap());
    assert_eq!(plan.trials, Some(4));
    assert_eq!(plan.warnings, ["the space has 4 points at most, so that fewer than max_trials = 5 trials will start"]);
}

#[test]
fn draws_are_a_table_in_which_only_what_exists_is_filled() {
    let mut said = String::new();
    for file in ["tests/config/good/space.toml", "tests/config/good/pool.toml", "../configs/mlpf.toml"] {
        let spec = check(&root(file)).unwrap_or_else(|faults| panic!("{faults}")).spec;
        let draws = Draws::of(&spec.space, spec.seed, 12);
        said += &format!("== {file}\n{draws}");
        for (line, trial) in draws.to_json().zip(0..) {
            assert_eq!(line["trial"], trial);
            let params: Params = serde_json::from_value(line["params"].clone()).unwrap();
            assert_eq!(spec.space.contains(&params), Ok(()));
            if trial < 2 {
                said += &format!("{line}\n");
            }
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_pool_is_frozen_with_its_rows() {
    let checked = check(&root("tests/config/good/pool.toml")).unwrap();
    let spec = serde_json::to_string(&checked.spec).unwrap();
    let read: hpo_core::SweepSpec = serde_json::from_str(&spec).unwrap();
    assert_eq!(read, checked.spec, "a replay needs no CSV");
    assert_eq!(read.space.pool().unwrap().rows(), 4);
}

/// The paper's space as it stands: arXiv:2203.01112.
#[test]
fn the_space_of_mlpf_has_its_18_dimensions() {
    let space = check(&root("../configs/mlpf.toml")).unwrap().spec.space;
    assert_eq!(space.dimensions(), 18);
    let count = |is: fn(&Domain) -> bool| space.parameters().iter().filter(|parameter| is(&parameter.domain)).count();
    assert_eq!(count(|domain| matches!(domain, Domain::Float { .. })), 5);
    assert_eq!(count(|domain| matches!(domain, Domain::Bool)), 2);
    assert_eq!(count(|domain| matches!(domain, Domain::Int { .. })), 11);
    let lr = space.parameters().iter().find(|parameter| parameter.name == "lr").unwrap();
    assert_eq!(lr.domain, Domain::Float { low: 1e-4, high: 3e-2, fold: Fold::Log, step: None });
}

#[path = "config/schema.rs"]
mod schema_of_files;
