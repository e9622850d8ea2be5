//! What is promised on paper is there.
use std::process::Command;

use hpo_tests::{Scratch, hpo, root};

use crate::hold;
use crate::source::{files, text};

/// Folders whose names begin a path of the repository.
const FOLDERS: [&str; 9] = ["hpo-core", "searchers", "worker", "driver", "configs", "tests", "benches", "docs", ".ci"];

/// Words of a text that are paths of the repository; patterns are not.
fn paths(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| c.is_whitespace() || "`\"'()[]|,;".contains(c)).map(|word| word.trim_end_matches(['.', ':', '/']));
    let is_path =
        |word: &&str| word.split_once('/').is_some_and(|(first, _)| FOLDERS.contains(&first)) && !word.contains(['*', '<', '{', '$']);
    words.filter(is_path).collect()
}

/// Code spans and lines of code blocks that begin with `hpo`.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let spans =
        text.lines().flat_map(|line| if line.starts_with("hpo ") { vec![line] } else { line.split('`').skip(1).step_by(2).collect() });
    spans
        .map(|span| span.split('#').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first() == Some(&"hpo") && words.len() > 1)
        .collect()
}

#[test]
fn every_path_in_the_documents_exists() {
    let mut broken = vec![];
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = text(document);
        let found = paths(&text);
        assert!(found.len() > 3, "{document} names files of the repository");
        broken.extend(found.into_iter().filter(|path| !root().join(path).exists()).map(|path| format!("{document}: {path}")));
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
            .filter(|link| !link.contains("://") && !link.starts_with('#'));
        broken.extend(links.filter(|link| !root().join(link).exists()).map(|link| format!("{document}: link to {link}")));
    }
    hold("A path in README.md or ARCHITECTURE.md is there: a map that lies is worse than none.", &broken);
}

#[test]
fn every_command_in_the_readme_is_one() {
    let text = text("README.md");
    let commands = commands(&text);
    assert!(commands.len() > 5, "README.md shows commands");
    let mut broken = vec![];
    for words in commands {
        let verbs: Vec<&str> = words[1..]
            .iter()
            .copied()
            .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            .take(if words[1] == "bench" { 2 } else { 1 })
            .collect();
        let help = Command::new(hpo()).args(&verbs).arg("--help").output().expect("hpo can be run");
        let help_text = String::from_utf8_lossy(&help.stdout);
        if !help.status.success() {
            broken.push(format!("`{}` is no command", words.join(" ")));
        }
        let switches = words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap_or(word));
        broken
            .extend(switches.filter(|switch| !help_text.contains(*switch)).map(|switch| format!("`{}` has no {switch}", words.join(" "))));
    }
    hold("A command or switch in README.md is one that `hpo` knows: nothing is advertised that is not built.", &broken);
}

#[test]
fn every_sweep_file_in_the_readme_is_valid() {
    let text = text("README.md");
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let files: Vec<&str> = blocks.filter(|block| block.contains("[sweep]")).collect();
    assert!(!files.is_empty(), "README.md shows a sweep file");
    let mut broken = vec![];
    for file in files {
        let folder = Scratch::new();
        let path = folder.path().join("sweep.toml");
        std::fs::write(&path, file).expect("a file can be written");
        let check = Command::new(hpo()).arg("check").arg(&path).output().expect("hpo can be run");
        if !check.status.success() {
            broken.push(String::from_utf8_lossy(&check.stderr).into_owned());
        }
    }
    hold("A sweep file in README.md is one that `hpo check` takes: people paste it.", &broken);
}

#[test]
fn every_sweep_file_opens_with_what_it_shows() {
    let configs: Vec<String> = files("toml").into_iter().filter(|path| path.starts_with("configs/")).collect();
    assert!(!configs.is_empty(), "configs/ holds sweep files");
    let opens = |path: &String| text(path).lines().take_while(|line| line.starts_with('#')).map(str::len).sum::<usize>() >= 40;
    let broken: Vec<String> = configs.into_iter().filter(|path| !opens(path)).collect();
    hold("Every file in configs/ opens with a comment: what it shows, what it needs, how long it takes.", &broken);
}

#[test]
fn the_version_is_in_the_changelog_and_the_licences_are_there() {
    let manifest: toml::Table = text("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let version = manifest["workspace"]["package"]["version"].as_str().expect("a version");
    let heading = format!("## [{version}]");
    assert!(
        text("CHANGELOG.md").lines().any(|line| line.starts_with(&heading)),
        "CHANGELOG.md has no section `{heading}`: users read there what changed"
    );
    assert_eq!(manifest["workspace"]["package"]["license"].as_str(), Some("MIT OR Apache-2.0"));
    assert!(text("LICENSE-MIT").contains("Permission is hereby granted, free of charge"));
    assert!(text("LICENSE-APACHE").contains("Apache License") && text("LICENSE-APACHE").contains("Version 2.0, January 2004"));
}

#[test]
fn paths_and_commands_are_found_in_prose() {
    let text = "See `worker/PROTOCOL.md`, (driver/src/journal/FORMAT.md). Runs lie in runs/NAME; `hpo run FILE --workers 4`\nhpo report runs/x  # prints\n`hpo`";
    assert_eq!(paths(text), ["worker/PROTOCOL.md", "driver/src/journal/FORMAT.md"]);
    assert_eq!(commands(text), [vec!["hpo", "run", "FILE", "--workers", "4"], vec!["hpo", "report", "runs/x"]]);
}
