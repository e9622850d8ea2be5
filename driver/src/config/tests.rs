use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config");

fn no_env(_: &str) -> Option<String> {
    None
}

fn check(text: &str) -> Result<Checked, Faults> {
    check_text(text, Path::new("sweep.toml"), &no_env)
}

/// Names and texts of the fixtures in a folder.
fn fixtures(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(format!("{FIXTURES}/{folder}")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let toml = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    toml.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The names of the variants that `text` declares: what follows an `#[error(...)]`.
fn variants(source: &str) -> BTreeSet<String> {
    let mut lines = source.lines().map(str::trim);
    let mut names = BTreeSet::new();
    while let Some(line) = lines.next() {
        if line.starts_with("#[error(") {
            let declaration = lines.next().unwrap();
            names.insert(declaration.split(|letter: char| !letter.is_alphanumeric()).next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn every_message_has_a_fixture() {
    let mut seen = BTreeSet::new();
    for (path, text) in fixtures("bad") {
        for (_, message) in examine(&Additions::new(&text, &[]), &path, false, &no_env).1 {
            let debug = format!("{message:?}");
            let word = |text: &str| text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned();
            seen.insert(match debug.split_once("kind: ") {
                Some((_, kind)) if debug.starts_with("Space") => format!("Space {}", word(kind)),
                _ if debug.starts_with("Ladder") => format!("Ladder {}", word(debug.trim_start_matches("Ladder("))),
                _ => word(&debug),
            });
        }
    }
    let mut wanted = variants(include_str!("message.rs"));
    // It comes from the command line: see `set.rs`.
    assert!(wanted.remove("Set"));
    // About a file that cannot be read: see the test below.
    assert!(wanted.remove("Unreadable") && wanted.remove("Space") && wanted.remove("Ladder"));
    let space = [
        "Reversed",
        "NotFinite",
        "LogFromZero",
        "Step",
        "TooMany",
        "TooManyParameters",
        "Choices",
        "NoParent",
        "NoSuchValue",
        "ContinuousParent",
        "Contradiction",
        "Circular",
    ];
    // `Twice` is caught by TOML.
    wanted.extend(space.map(|kind| format!("Space {kind}")));
    wanted.extend(["NoResource", "Reversed", "Eta"].map(|fault| format!("Ladder {fault}")));
    assert_eq!(wanted, seen);
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_without_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sweep.toml");
    for prepare in [
        |_: &Path| {},
        |path: &Path| std::fs::write(path, [0xff, 0xfe]).unwrap(),
        |path: &Path| std::fs::write(path, "#".repeat(2 << 20)).unwrap(),
    ] {
        prepare(&path);
        let faults = load(&path).unwrap_err();
        assert_eq!(faults.all().len(), 1);
        assert_eq!(faults.all()[0].at, None);
        assert!(faults.to_string().contains("sweep.toml"), "{faults}");
    }
}

#[test]
fn the_data_folder_alone_has_a_default() {
    let folder = tempfile::tempdir().unwrap();
    let configs = folder.path().join("repository/configs");
    let data = folder.path().join("shared/data");
    for path in [&configs, &data] {
        std::fs::create_dir_all(path).unwrap();
    }
    for name in ["images", "labels"] {
        std::fs::write(data.join(name), "").unwrap();
    }
    let text = init::STARTER
        .replace("kind = \"glyphs\"", "kind = \"idx\"\nimages = \"${HPO_DATA_DIR}/images\"\nlabels = \"${HPO_DATA_DIR}/labels\"");
    let text = ["count = 2000", "classes = 10", "size = 16 ", "noise = 0.2"]
        .iter()
        .fold(text, |text, line| text.replace(line, &format!("# {line}")));
    let source = configs.join("sweep.toml");
    let images = |checked: Checked| match checked.job.trainable {
        hpo_core::job::Trainable::Burn(hpo_core::job::BurnJob { data: hpo_core::job::Data::Idx { images, .. }, .. }) => images,
        other => panic!("{other:?}"),
    };
    assert_eq!(images(check_text(&text, &source, &no_env).unwrap()), data.join("images"));
    // What is set is used, and only that.
    let elsewhere = |name: &str| (name == DATA_DIR).then(|| "/elsewhere".to_owned());
    let faults = check_text(&text, &source, &elsewhere).unwrap_err().to_string();
    assert!(faults.contains("/elsewhere/images") && faults.contains("/elsewhere/labels"), "{faults}");
}

#[test]
fn a_frozen_file_means_the_same_from_another_folder() {
    let configs = tempfile::tempdir().unwrap();
    std::fs::create_dir(configs.path().join("programs")).unwrap();
    let text = std::fs::read_to_string(format!("{FIXTURES}/good/command.toml")).unwrap();
    let original = check_text(&text, &configs.path().join("sweep.toml"), &|_| Some("secret".to_owned())).unwrap();
    let run = configs.path().join("runs/x/sweep.toml");
    let frozen = original.frozen();
    assert!(!frozen.contains("secret") && frozen.contains("${TOKEN}"), "{frozen}");
    let again = check_text(&frozen, &run, &|_| Some("secret".to_owned())).unwrap();
    assert_eq!((&original.job, &original.spec, &original.base), (&again.job, &again.spec, &again.base));
    assert_eq!(again.frozen(), frozen, "freezing twice changes nothing");
    // A file that gives a relative `base` of its own.
    std::fs::create_dir(configs.path().join("sub")).unwrap();
    let moved =
        check_text(&format!("base = 'sub' # mine\n{}", text.replace("\"programs\"", "\".\"")), &configs.path().join("sweep.toml"), &|_| {
            Some(String::new())
        })
        .unwrap();
    assert_eq!(moved.base, configs.path().join("sub"));
    assert_eq!(check_text(&moved.frozen(), &run, &|_| Some(String::new())).unwrap().job, moved.job);
}

#[test]
fn another_seed_is_the_seed_of_all() {
    let checked = check(init::STARTER).unwrap().with_seed(hpo_core::Seed(99));
    assert_eq!((checked.spec.seed.0, checked.job.seed.0), (99, 99));
}

#[test]
fn the_starter_passes_and_is_never_written_over_another_file() {
    assert!(check(init::STARTER).is_ok());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sweep.toml");
    init::write(&path).unwrap();
    load(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(init::write(&path), Err(init::InitFault::Exists { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(matches!(init::write(&folder.path().join("no/such/folder.toml")), Err(init::InitFault::Write { .. })));
}

/// A minimal file takes every default, and a default that is not a value of its key would be a fault.
#[test]
fn defaults_are_what_the_documentation_says() {
    use hpo_core::job::{Data, Device, Split, Trainable};
    let minimal = |name: &str| check(&std::fs::read_to_string(format!("{FIXTURES}/good/{name}.toml")).unwrap()).unwrap();
    let checked = minimal("minimal-glyphs");
    assert_eq!((checked.spec.seed.0, checked.spec.goal), (0, hpo_core::Goal::Minimize));
    assert_eq!(checked.spec.patience, hpo_core::sweep::spec::Patience { retries: 1, lost_max: 5 });
    assert_eq!((checked.job.stall_ms, checked.job.grace_ms), (600_000, 10_000));
    assert_eq!(checked.workers, Workers { local: None, lease: 30_000, heartbeat: 5_000 });
    assert_eq!(checked.report, Report::default());
    assert_eq!(checked.searcher, hpo_searchers::SearcherSpec::Random);
    let rungs: Vec<u32> = checked.spec.scheduler.ladder().rungs().iter().map(|rung| rung.0).collect();
    assert_eq!(rungs, [1, 3, 9]);
    let Trainable::Burn(job) = checked.job.trainable else { panic!("not burn") };
    assert_eq!((job.device, job.max_resource.0), (Device::Auto, 9));
    assert_eq!(job.data, Data::Glyphs { count: 2000, classes: 10, size: 16, noise: 0.2 });
    assert_eq!(job.split, Split { train: 0.8, validation: 0.1, test: 0.1 });
    let checked = minimal("minimal-command");
    let here = std::env::current_dir().unwrap();
    let Trainable::Command(job) = checked.job.trainable else { panic!("not a command") };
    assert_eq!((job.directory, job.env.len(), job.metric_pattern), (here, 0, None));
    assert_eq!(checked.spec.scheduler.ladder().rungs().len(), 1);
    let swift = std::fs::read_to_string(format!("{FIXTURES}/good/swift.toml")).unwrap();
    let swift = check(&swift.replace("decide_at = 0.25\nmargin = 2\n", "")).unwrap();
    let ladder = swift.spec.scheduler.ladder().clone();
    assert_eq!(swift.spec.scheduler, hpo_core::schedule::SchedulerSpec::Swift { ladder, decide_at: 0.5, margin: 1.0 });
}

/// Files that pass, to be damaged.
fn good_text() -> impl Strategy<Value = String> {
    let texts: Vec<String> = fixtures("good").into_iter().map(|(_, text)| text).chain([init::STARTER.to_owned()]).collect();
    prop::sample::select(texts)
}

/// Something like TOML.
fn few_lines() -> impl Strategy<Value = String> {
    let value = r#"("[^"\n]{0,9}"|[0-9eE.+-]{1,7}|\[[0-9, ]{0,8}\]|\{[a-z=0-9 ,]{0,9}\})"#;
    proptest::string::string_regex(&format!("(\\[[a-z.]{{1,8}}\\]\n)?([a-z]{{1,6}} ?= ?{value}\n){{0,5}}")).unwrap()
}

/// Where, how many bytes are cut, and what is put there.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    (any::<prop::sample::Index>(), 0_usize..6, "[ -~\n\u{e9}\u{4e16}]{0,3}")
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = check(&text).map_err(|faults| (faults.render(true), faults.to_json()));
    }

    #[test]
    fn no_toml_panics(text in few_lines()) {
        let _ = check(&text).map_err(|faults| faults.render(true));
    }

    /// Bytes changed, inserted, cut out: accepted, or refused with faults that point into the text.
    #[test]
    fn no_damaged_file_panics(text in good_text(), edits in prop::collection::vec(edit(), 1..6)) {
        let mut text = text;
        for (at, cut, put) in edits {
            let start = text.floor_char_boundary(at.index(text.len().max(1)));
            let end = text.ceil_char_boundary((start + cut).min(text.len()));
            text.replace_range(start..end, &put);
        }
        if let Err(faults) = check(&text) {
            let lines = text.split('\n').count();
            for fault in faults.all() {
                let (line, column) = fault.at.unwrap();
                prop_assert!((1..=lines).contains(&line) && column >= 1, "{:?}", fault);
                prop_assert!(!fault.message.is_empty());
            }
            prop_assert!(faults.render(false).contains("sweep.toml"));
        }
    }
}
